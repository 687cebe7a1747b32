//! Where weights are found, with folders made here; downloads from a server on this machine's loopback.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;
use crate::Error;
use crate::applications::*;
use crate::layers::{Dense, Input, LayerExt, LayerOutput};

/// One dense layer over the channels, with weights that somebody publishes.
#[derive(Debug)]
struct Published {
    hash: Option<Hash>,
}

impl Architecture for Published {
    fn name(&self, _options: &Options) -> String {
        "published".to_string()
    }

    fn default_size(&self) -> usize {
        8
    }

    fn minimum_size(&self) -> usize {
        4
    }

    fn preprocessing(&self, _options: &Options) -> Preprocessing {
        Preprocessing::Tf
    }

    fn imagenet_weights(&self, options: &Options) -> Option<WeightsFile> {
        (!options.include_top).then(|| WeightsFile {
            name: "published_notop.h5".to_string(),
            url: "https://storage.invalid/weights/published_notop.h5".to_string(),
            hash: self.hash.clone(),
            repository: None,
        })
    }

    fn features(
        &self,
        blocks: &mut Blocks<'_>,
        image: LayerOutput,
        _options: &Options,
    ) -> regraft_layers::Result<LayerOutput> {
        blocks.apply("features", Dense::new(5), image)
    }
}

pub(super) fn published(hash: Option<Hash>) -> Application<impl Architecture> {
    Application::new(Published { hash })
        .include_top(false)
        .pooling("avg")
}

/// A file with the network's weights, which `seed` has drawn.
pub(super) fn weights_of(seed: u64) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("published_notop.h5");
    let backbone = published(None).seed(seed).build().unwrap();
    backbone.model.save(&path).unwrap();
    std::fs::read(path).unwrap()
}

pub(super) fn md5(bytes: &[u8]) -> Option<Hash> {
    let kind = Hash::parse(&"0".repeat(32)).unwrap();
    Some(kind.same_of(bytes).unwrap())
}

/// A lookup in folders of this test alone.
pub(super) fn lookup(folder: &Path) -> Lookup {
    let lookup = Lookup::new()
        .home(folder.join("home"))
        .keras_home(folder.join("keras"));
    Lookup {
        base_url: None,
        ..lookup
    }
    .download(false)
}

fn put(folder: &Path, home: &str, bytes: &[u8]) -> PathBuf {
    let folder = folder.join(home).join("models");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("published_notop.h5");
    std::fs::write(&path, bytes).unwrap();
    path
}

pub(super) fn kernel(backbone: &Backbone) -> crate::Tensor {
    backbone
        .model
        .weight("features/kernel")
        .unwrap()
        .value()
        .clone()
}

#[test]
fn every_file_of_keras_belongs_to_settings_that_can_be_made_and_back() {
    let file = |application: Application<dyn Architecture>| application.weights_file().ok();
    let mut reached = BTreeSet::new();
    let mut reach = |application: Application<dyn Architecture>| {
        for include_top in [true, false] {
            let file = file(application.clone().include_top(include_top));
            reached.insert(file.expect("there are weights for it").url);
        }
    };
    for name in names().filter(|name| !name.starts_with("EfficientNetLite")) {
        reach(by_name(name).unwrap());
    }
    for size in [96, 128, 160, 192, 224] {
        let shape = [size, size, 3];
        for alpha in [0.35, 0.5, 0.75, 1.0, 1.3, 1.4] {
            reach(mobilenet_v2().alpha(alpha).input_shape(shape).into_any());
        }
        for alpha in [0.25, 0.5, 0.75, 1.0] {
            reach(mobilenet().alpha(alpha).input_shape(shape).into_any());
        }
    }
    for network in [mobilenet_v3_small, mobilenet_v3_large] {
        reach(network().alpha(0.75).into_any());
        reach(network().minimalistic(true).into_any());
    }
    let table: BTreeSet<String> = keras_files::rows().map(|row| row.file.url).collect();
    assert_eq!(table.len(), 176);
    assert_eq!(reached, table);
}

#[test]
fn the_file_is_the_one_that_keras_takes() {
    let name =
        |application: Application<dyn Architecture>| application.weights_file().unwrap().name;
    let headless = |side: usize| {
        mobilenet_v2()
            .include_top(false)
            .input_shape([side, side, 3])
    };
    let begin = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0";
    assert_eq!(
        name(headless(96).into_any()),
        format!("{begin}_96_no_top.h5")
    );
    // Sizes that there are no weights for take those of 224.
    assert_eq!(
        name(headless(100).into_any()),
        format!("{begin}_224_no_top.h5")
    );
    let oblong = mobilenet_v2().include_top(false).input_shape([96, 128, 3]);
    assert_eq!(name(oblong.into_any()), format!("{begin}_224_no_top.h5"));
    // MobileNet has none for 96.
    let small = mobilenet()
        .include_top(false)
        .input_shape([96, 96, 3])
        .alpha(0.5);
    assert_eq!(name(small.into_any()), "mobilenet_5_0_224_tf_no_top.h5");
    assert_eq!(name(nasnet_large().into_any()), "nasnet_large.h5");
}

#[test]
fn settings_without_weights_are_told() {
    let error = |application: Application<dyn Architecture>| {
        let error = application.weights_file().unwrap_err();
        assert!(matches!(error, Error::Setting(_)), "{error}");
        error.to_string()
    };
    let told = error(mobilenet_v2().alpha(0.9).into_any());
    assert!(told.contains("alpha=0.35,size=96"), "{told}");
    assert!(!error(mobilenet().alpha(0.9).into_any()).contains("size=96"));
    error(mobilenet_v2().alpha(0.501).into_any());
    error(mobilenet().depth_multiplier(2).into_any());
    error(
        mobilenet_v3_small()
            .alpha(0.75)
            .minimalistic(true)
            .into_any(),
    );
    assert!(error(vgg16().classes(10).into_any()).contains("1000"));
    assert!(
        error(
            vgg16()
                .input_shape([64, 64, 1])
                .include_top(false)
                .into_any()
        )
        .contains("3 channels")
    );
    assert!(error(efficientnet_lite0().into_any()).contains("weights(path)"));
    // The number of classes is nobody's without the top.
    vgg16()
        .classes(10)
        .include_top(false)
        .weights_file()
        .unwrap();
}

#[test]
fn an_efficientnet_with_keras_weights_scales_as_keras_does() {
    let network = efficientnet_b0()
        .include_top(false)
        .input_shape([32, 32, 3]);
    let rescalings = |application: Application<EfficientNet>| {
        let model = application.build().unwrap().model;
        model
            .places()
            .iter()
            .filter(|place| place.class_name == "Rescaling")
            .count()
    };
    assert_eq!(rescalings(network.clone()), 1);
    let mut pretrained = network;
    pretrained.options.imagenet_weights = true;
    assert_eq!(rescalings(pretrained), 2);
}

#[test]
fn this_librarys_folder_comes_before_keras() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (ours, theirs) = (weights_of(1), weights_of(2));
    let application = published(None);
    let error = application
        .pretrained_with(&lookup(folder))
        .unwrap_err()
        .to_string();
    for told in [
        "home/models/published_notop.h5",
        "keras/models",
        "https://storage.invalid",
    ] {
        assert!(error.contains(told), "{error}");
    }
    let path = put(folder, "keras", &theirs);
    assert_eq!(application.find_weights(&lookup(folder)).unwrap(), path);
    // What was checked first is known from now on.
    let note = folder.join("home/models/published_notop.h5.sha256");
    assert!(note.is_file());
    put(folder, "home", &ours);
    let path = application.find_weights(&lookup(folder)).unwrap();
    assert!(path.starts_with(folder.join("keras")), "{}", path.display());
    std::fs::remove_file(note).unwrap();
    let backbone = application.pretrained_with(&lookup(folder)).unwrap();
    let drawn = published(None).seed(1).build().unwrap();
    assert_eq!(kernel(&backbone), kernel(&drawn));
}

#[test]
fn a_file_with_another_hash_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let bytes = weights_of(1);
    let application = published(md5(&bytes));
    put(folder, "home", &bytes[..bytes.len() - 1]);
    let error = application
        .find_weights(&lookup(folder))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("MD5") && error.contains("remove it"),
        "{error}"
    );
    // Nor does it hide the right one.
    let path = put(folder, "keras", &bytes);
    assert_eq!(application.find_weights(&lookup(folder)).unwrap(), path);
}

#[test]
fn without_a_published_hash_the_tensors_must_be_the_networks() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let layers = crate::layers::layers![Input::new([3]), Dense::new(7).named("features")];
    let path = put(folder, "home", b"");
    crate::Sequential::new(layers).unwrap().save(&path).unwrap();
    let error = published(None).find_weights(&lookup(folder)).unwrap_err();
    assert!(matches!(error, Error::Load(_)), "{error}");
    assert!(
        !folder
            .join("home/models/published_notop.h5.sha256")
            .exists()
    );
}
