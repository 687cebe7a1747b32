//! Images and files that do not fit an application, and files whose names differ from Keras 3's: what
//! does not fit is named, with what was expected and received, and the model stays as it was.

use regraft::applications::{densenet121, densenet169, inception_v3, xception};
use regraft::ndarray::Array4;
use regraft::{Error, Load, Model};
use regraft_io::{Checkpoint, Dialect, Format, SavedLayer};

const LEGACY: Format = Format::LegacyWeights;

fn densenet() -> Model {
    let application = densenet121().include_top(false).input_shape([32, 32, 3]);
    application.pooling("avg").build().unwrap().model
}

/// The bits of all weights.
fn bits(model: &Model) -> Vec<u32> {
    let values = model.weights().iter().map(|weight| weight.value());
    let bits = values.flat_map(|value| value.as_slice().iter().map(|x| x.to_bits()));
    bits.collect()
}

/// The report of a file that is refused, and the message. The model must not have changed.
fn refused(model: &mut Model, checkpoint: &Checkpoint) -> (regraft::LoadReport, String) {
    let before = bits(model);
    let error = model
        .load_checkpoint(checkpoint, "file.h5", Load::new())
        .unwrap_err();
    assert!(before == bits(model), "a refused file changed the model");
    let message = error.to_string();
    let Error::Load(load) = error else {
        panic!("{message}");
    };
    (load.0, message)
}

#[test]
fn images_of_another_size_or_with_other_channels_are_refused() {
    let error = densenet121().input_shape([31, 40, 3]).build().unwrap_err();
    let message = error.to_string();
    for part in ["densenet121", "input_shape", "32×32", "[31, 40, 3]"] {
        assert!(message.contains(part), "{message}");
    }
    let error = inception_v3().input_shape([74, 75, 3]).build().unwrap_err();
    assert!(error.to_string().contains("75×75"), "{error}");
    assert!(xception().input_shape([71, 71, 0]).build().is_err());
    let model = densenet();
    for (shape, received) in [((2, 32, 33, 3), "33"), ((2, 32, 32, 1), "1")] {
        let message = model.predict(&Array4::<f32>::zeros(shape)).unwrap_err();
        let message = message.to_string();
        assert!(message.contains("32, 32, 3"), "{message}");
        assert!(message.contains(received), "{message}");
    }
}

#[test]
fn a_file_of_another_architecture_is_refused() {
    let mut model = densenet();
    let application = densenet169().include_top(false).input_shape([32, 32, 3]);
    let other = application.build().unwrap().model;
    for format in [LEGACY, Format::KerasWeights(Dialect::Named)] {
        let checkpoint = other.checkpoint(format).unwrap();
        let (report, message) = refused(&mut model, &checkpoint);
        // Their first three blocks are the same; the fourth has more layers in the file.
        let gamma = report
            .mismatched
            .iter()
            .find(|it| it.weight == "pool4_bn/gamma");
        let gamma = gamma.unwrap_or_else(|| panic!("{message}"));
        assert_eq!(
            (gamma.expected.as_slice(), gamma.received.as_slice()),
            (&[1024][..], &[1280][..])
        );
        assert!(message.contains("pool4_bn/gamma"), "{message}");
        assert!(
            message.contains("1024") && message.contains("1280"),
            "{message}"
        );
        assert!(!report.unexpected.is_empty(), "{message}");
    }
}

#[test]
fn a_file_with_half_the_layers_or_half_the_tensors_is_refused() {
    let mut model = densenet();
    for format in [LEGACY, Format::KerasWeights(Dialect::Named)] {
        let whole = model.checkpoint(format).unwrap();
        let mut half = whole.clone();
        half.layers.truncate(half.layers.len() / 2);
        let (report, message) = refused(&mut model, &half);
        let last = "conv5_block16_2_conv/kernel".to_string();
        assert!(report.missing.contains(&last), "{message}");
        assert!(!report.missing.contains(&"conv1_conv/kernel".to_string()));
        assert!(message.contains("missing"), "{message}");

        let mut half = whole;
        for layer in &mut half.layers {
            layer.weights.truncate(layer.weights.len().div_ceil(2));
        }
        let (report, message) = refused(&mut model, &half);
        let variance = "conv5_block16_0_bn/moving_variance".to_string();
        assert!(report.missing.contains(&variance), "{message}");
        assert!(report.unexpected.is_empty(), "{message}");
    }
}

/// A legacy file of `model` whose layers have the names that `rename` gives.
fn renamed(model: &Model, rename: impl Fn(&str) -> String) -> Checkpoint {
    let mut checkpoint = model.checkpoint(LEGACY).unwrap();
    for SavedLayer { path, name, .. } in &mut checkpoint.layers {
        *path = rename(path);
        *name = Some(path.clone());
    }
    checkpoint
}

/// A model of other values than `model`, loaded from `checkpoint`, has the same.
fn loads(model: &Model, mut other: Model, checkpoint: &Checkpoint) {
    assert!(bits(model) != bits(&other));
    let report = other.load_checkpoint(checkpoint, "file.h5", Load::new());
    assert_eq!(report.unwrap().loaded.len(), model.weights().len());
    assert!(bits(model) == bits(&other));
}

#[test]
fn names_of_keras_2_fit_densenet() {
    // Keras 2 had `/` in the names of the first layers.
    let file = renamed(&densenet(), |name| match name.strip_prefix("conv1_") {
        Some(part) => format!("conv1/{part}"),
        None => name.to_string(),
    });
    assert!(file.layer("conv1/conv").is_some());
    let application = densenet121().include_top(false).input_shape([32, 32, 3]);
    let other = application.pooling("avg").seed(1).build().unwrap().model;
    loads(&densenet(), other, &file);
}

#[test]
fn automatic_names_may_be_counted_from_anywhere() {
    let application = xception().include_top(false).input_shape([71, 71, 3]);
    let model = application.build().unwrap().model;
    // The official files of Xception begin at `conv2d_1`; the layers with names of their own stay.
    let shifted = |by: usize| {
        renamed(&model, move |name| {
            for class in ["conv2d", "batch_normalization"] {
                if let Some(number) = name.strip_prefix(class) {
                    let number = number.strip_prefix('_').map_or(0, |n| n.parse().unwrap());
                    return format!("{class}_{}", number + by);
                }
            }
            name.to_string()
        })
    };
    loads(
        &model,
        application.clone().seed(1).build().unwrap().model,
        &shifted(1),
    );

    // One such layer less, and nothing is guessed.
    let mut file = shifted(2);
    file.layers.retain(|layer| layer.path != "conv2d_2");
    let mut other = application.seed(1).build().unwrap().model;
    let (report, message) = refused(&mut other, &file);
    assert!(
        report.missing.contains(&"conv2d/kernel".to_string()),
        "{message}"
    );
}
