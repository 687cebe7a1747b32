//! Augmentation layers: nothing in inference, active in training.

use regraft::layers::{Dense, Flatten, Input, RandomBrightness, RandomFlip, layers};
use regraft::ndarray::{Array2, Array4, ArrayD, Ix4};
use regraft::optimizers::SGD;
use regraft::{Fit, Model, Sequential, Verbosity};

use crate::common::{assert_close, case, npy};

fn images(name: &str) -> Array4<f32> {
    let images: ArrayD<f32> = npy(name);
    images.into_dimensionality::<Ix4>().unwrap()
}

#[test]
fn files_open_and_predict_as_without() {
    let x = images("augmentation/x.npy");
    for (file, expected) in [("m.keras", "y.npy"), ("tfk.h5", "tfk.y.npy")] {
        let (model, _) = Model::open(case(&format!("augmentation/{file}"))).unwrap();
        let y = model.predict(&x).unwrap();
        let expected = npy(&format!("augmentation/{expected}"));
        assert_close(y.as_slice(), &expected, 1e-5);
    }
    let _opened = Model::open(case("augmentation/RandomZoom.keras")).unwrap();
}

fn values<'a>(weights: impl Iterator<Item = &'a regraft_layers::Weight>) -> Vec<f32> {
    weights
        .flat_map(|weight| weight.value().as_slice().to_vec())
        .collect()
}

fn train(model: &mut Model, x: &Array4<f32>, y: &Array2<f32>) {
    let fit = Fit::new()
        .epochs(3)
        .batch_size(2)
        .seed(5)
        .verbosity(Verbosity::Silent);
    model.fit(x, y, fit).unwrap();
}

#[test]
fn training_sees_other_images_each_time_and_frozen_it_does_not() {
    let x = images("augmentation/x.npy");
    let y = Array2::from_shape_fn((x.dim().0, 1), |(row, _)| row as f32);
    let open = |freeze: bool| {
        let (mut model, _) = Model::open(case("augmentation/m.keras")).unwrap();
        if freeze {
            model.freeze("data_augmentation").unwrap();
        }
        model.freeze("c").unwrap();
        model.compile(SGD::new(0.01), "mse", ()).unwrap();
        model
    };
    let (mut active, mut again, mut frozen) = (open(false), open(false), open(true));
    // What is drawn anew for every step cannot be kept; what is frozen can.
    assert!(!active.plan(x.dim().0, 2).unwrap().features_kept);
    assert!(frozen.plan(x.dim().0, 2).unwrap().features_kept);
    for model in [&mut active, &mut again, &mut frozen] {
        train(model, &x, &y);
    }
    let [active, again, frozen] = [active, again, frozen].map(|m| values(m.weights().iter()));
    assert_eq!(active, again);
    assert_ne!(active, frozen);
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let x = Array4::from_shape_fn((16, 64, 64, 3), |(n, h, w, c)| {
        ((n * 31 + h * 17 + w * 7 + c * 3) % 256) as f32
    });
    let y = Array2::from_shape_fn((16, 1), |(row, _)| row as f32);
    let trained = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let mut model = Sequential::new(layers![
                Input::new([64, 64, 3]),
                RandomFlip::new("horizontal"),
                regraft::layers::RandomRotation::new(0.1),
                regraft::layers::RandAugment::new(),
                RandomBrightness::new(0.1),
                Flatten::new(),
                Dense::new(1),
            ])
            .unwrap();
            model.compile(SGD::new(1e-7), "mse", ()).unwrap();
            let fit = Fit::new()
                .epochs(2)
                .batch_size(8)
                .seed(3)
                .verbosity(Verbosity::Silent);
            model.fit(&x, &y, fit).unwrap();
            values(model.weights().iter())
        })
    };
    let one = trained(1);
    assert!(one.iter().all(|weight| weight.is_finite()));
    assert_eq!(one, trained(3));
}

#[test]
fn layers_come_back_from_a_file_as_they_were() {
    let folder = std::env::temp_dir().join(format!("regraft-augmentation-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("m.keras");
    let (model, _) = Model::open(case("augmentation/tfk.h5")).unwrap();
    model.save(&file).unwrap();
    let (again, _) = Model::open(&file).unwrap();
    assert_eq!(model.summary().to_string(), again.summary().to_string());
    let x = images("augmentation/x.npy");
    let y = [model, again].map(|model| model.predict(&x).unwrap());
    assert_eq!(y[0].as_slice(), y[1].as_slice());
    std::fs::remove_dir_all(folder).unwrap();
}
