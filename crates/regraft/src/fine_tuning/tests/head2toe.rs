//! Features of all blocks: what is chosen, and that the model that comes out computes what was solved.

use ndarray::Array4;

use crate::data::Arrays;
use crate::fine_tuning::Head2Toe;
use crate::fine_tuning::weighed::{by_weight, most};
use crate::layers::{
    ActivationLayer, Add, BatchNormalization, Conv2D, Dense, Functional, GlobalAveragePooling2D,
    Input, LayerExt, layers,
};
use crate::{Model, Sequential, Tensor};

/// Blocks with a normalization, a residual and an activation behind; the last sees nothing of what the first do.
fn network() -> Model {
    let mut f = Functional::with_seed(7);
    let x = f.input([8, 8, 1]);
    let conv = |width: usize| Conv2D::new(width, 3).padding("same");
    let a = f.apply(conv(6).named("block_1_conv"), &[x]).unwrap();
    let a = f
        .apply(BatchNormalization::new().named("block_1_norm"), &[a])
        .unwrap();
    let a = f
        .apply(ActivationLayer::new("relu").named("block_1_relu"), &[a])
        .unwrap();
    let b = f.apply(conv(6).named("block_2_conv"), &[a]).unwrap();
    let b = f.apply(Add.named("block_2_add"), &[a, b]).unwrap();
    let c = f
        .apply(conv(5).activation("tanh").named("last"), &[b])
        .unwrap();
    let c = f
        .apply(GlobalAveragePooling2D::new().named("mean"), &[c])
        .unwrap();
    let y = f.apply(Dense::new(4).named("old"), &[c]).unwrap();
    let mut model: Model = f.model(&[x], &[y]).unwrap();
    // Blind: a large bias under a tanh.
    let bias = Tensor::full([5], 9.0);
    model.set_weight("last/bias", bias).unwrap();
    model
}

fn data() -> (Array4<f32>, Vec<i32>) {
    let x = Array4::from_shape_fn((90, 8, 8, 1), |(n, i, j, _)| {
        let noise = ((n * 131 + i * 17 + j * 29) as f32 * 12.9898).sin() * 0.5;
        noise
            + match n % 3 {
                0 => (i as f32 * 2.0).sin(),
                1 => (j as f32 * 2.0).sin(),
                _ => ((i + j) as f32).sin(),
            }
    });
    (x, (0..90).map(|n| n % 3).collect())
}

#[test]
fn blocks_are_taken_at_their_ends_and_the_old_head_is_not() {
    let layers = network().layers_of_blocks(None).unwrap();
    assert_eq!(layers, ["block_1_relu", "block_2_add", "mean"]);
    let nested = Sequential::new(layers![
        Input::new([8, 8, 1]),
        network().cut_at("block_2_add").unwrap().named("base"),
        GlobalAveragePooling2D::new(),
        Dense::new(2).named("head"),
    ])
    .unwrap();
    let layers = nested.layers_of_blocks(None).unwrap();
    assert_eq!(layers[..1], ["base/block_1_relu"]);
    assert_eq!(layers.len(), 2);
}

#[test]
fn where_the_last_block_is_blind_others_are_kept_and_the_model_computes_what_was_solved() {
    let network = network();
    let before = network.revision();
    let (x, y) = data();
    let samples = Arrays::new(&x, &y).unwrap();
    let selected = network.head2toe(&samples, Head2Toe::new()).unwrap();
    assert_eq!(network.revision(), before);
    let (last, kept) = (&selected.tried()[0], selected.kept());
    assert!(last.share.is_none() && kept.share.is_some(), "{selected}");
    assert!(
        last.log_loss.is_infinite() && kept.log_loss < 0.5,
        "{selected}"
    );
    assert!(kept.accuracy > 0.8, "{selected}");
    assert!(
        selected
            .tried()
            .iter()
            .all(|tried| tried.log_loss >= kept.log_loss)
    );
    let count: usize = selected.layers().map(|(_, kept, _)| kept).sum();
    assert_eq!(count, selected.solved().features());

    // By hand: means over space, of length 1, the columns of the largest weights, and the head on them.
    let names = ["block_1_relu", "block_2_add", "mean"];
    let outputs = network.features(names).unwrap().predict_all(&x).unwrap();
    let mut all: Vec<f32> = Vec::new();
    for sample in 0..90 {
        for output in &outputs {
            let channels = *output.shape().last().unwrap();
            let of_sample = output.len() / 90;
            let values = &output.as_slice()[sample * of_sample..][..of_sample];
            let mut means = vec![0.0; channels];
            for (at, value) in values.iter().enumerate() {
                means[at % channels] += f64::from(*value) / (of_sample / channels) as f64;
            }
            let length = means
                .iter()
                .map(|it| it * it)
                .sum::<f64>()
                .sqrt()
                .max(1e-12);
            all.extend(means.iter().map(|it| (it / length) as f32));
        }
    }
    let width = all.len() / 90;
    let features = Tensor::new([90, width], all.clone()).unwrap();
    let whole = crate::heads::Ridge::new().fit(&features, &y).unwrap();
    let columns = most(&by_weight(&whole), kept.share.unwrap());
    assert_eq!(columns.len(), count);
    let (model, solved) = (selected.model(), selected.solved());
    let found = model.predict(&x).unwrap();
    for (row, found) in all.chunks(width).zip(found.as_slice().chunks(3)) {
        let mut logits = [0, 1, 2].map(|class| f64::from(solved.bias().as_slice()[class]));
        for (at, column) in columns.iter().enumerate() {
            for (class, logit) in logits.iter_mut().enumerate() {
                let weight = solved.kernel().as_slice()[at * 3 + class];
                *logit += f64::from(row[*column]) * f64::from(weight);
            }
        }
        let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
        for (logit, found) in logits.iter().zip(found) {
            let expected = logit.exp() / sum;
            assert!(
                (f64::from(*found) - expected).abs() < 1e-3,
                "{found} {expected}"
            );
        }
    }
    let kernel = model.weight("predictions/kernel").unwrap().value();
    let used = kernel
        .as_slice()
        .chunks(3)
        .filter(|row| row.iter().any(|it| *it != 0.0));
    assert_eq!(used.count(), count);
    // It can be saved, and is frozen but for the head.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("selected.keras");
    model.save(&path).unwrap();
    let (opened, _report) = Model::open(&path).unwrap();
    assert_eq!(opened.predict(&x).unwrap(), found);
    assert_eq!(model.count_parameters().trainable, kernel.len() + 3);
}

#[test]
fn the_features_with_the_largest_weights_are_those_that_are_kept() {
    let (x, y) = data();
    let samples = Arrays::new(&x, &y).unwrap();
    let few = Head2Toe::new()
        .shares([0.2])
        .layers(["block_1_relu", "block_2_add"]);
    let selected = network().head2toe(&samples, few).unwrap();
    assert_eq!(selected.tried().len(), 2);
    let kept = &selected.tried()[1];
    assert_eq!(kept.features, 3);
    // The norms of rows of weights tell, whatever their signs.
    let features: Vec<f32> = (0..40)
        .flat_map(|n| {
            let noise = |k: usize| ((n * 37 + k * 11) as f32 * 0.9).sin();
            let class = if n % 2 == 0 { 1.0 } else { -1.0 };
            [
                noise(1),
                -0.3 * class + noise(2),
                2.0 * class + noise(3),
                noise(4),
            ]
        })
        .collect();
    let features = Tensor::new([40, 4], features).unwrap();
    let labels: Vec<i32> = (0..40).map(|n| n % 2).collect();
    let solved = crate::heads::Ridge::new().fit(&features, &labels).unwrap();
    let order = by_weight(&solved);
    let norm = |row: usize| {
        let row = &solved.kernel().as_slice()[row * 2..][..2];
        row.iter().map(|it| it * it).sum::<f32>()
    };
    assert_eq!(order[0], 2);
    assert!(
        order.windows(2).all(|two| norm(two[0]) >= norm(two[1])),
        "{order:?}"
    );
    assert_eq!(most(&[3, 1, 0, 2], 0.5), [1, 3]);
    assert_eq!(most(&[3, 1, 0, 2], 0.01), [3]);
}

#[test]
fn what_does_not_go_is_refused() {
    let (x, y) = data();
    let samples = Arrays::new(&x, &y).unwrap();
    let refused = |data: &Arrays<'_>, head: Head2Toe, part: &str| {
        let text = network().head2toe(data, head).unwrap_err().to_string();
        assert!(text.contains(part), "{part}: {text}");
    };
    refused(&samples, Head2Toe::new().shares([0.0]), "shares");
    refused(
        &samples,
        Head2Toe::new().layers("blok_1_relu"),
        "block_1_relu",
    );
    let values: Vec<f32> = y.iter().map(|label| *label as f32 + 0.5).collect();
    let other = Arrays::new(&x, &values).unwrap();
    refused(&other, Head2Toe::new(), "class");
}
