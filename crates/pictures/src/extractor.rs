//! The backbone as it is used here: a frozen network from pixels, 0 to 255, to one row of features.

use std::path::{Path, PathBuf};

use regraft::applications::weights::Lookup;
use regraft::applications::{self, Application, Architecture, Preprocessing};
use regraft::layers::{
    Conv2D, Dense, Flatten, Functional, GlobalAveragePooling2D, Input, LayerExt, LayerSpec,
    Registry, Rescaling, layers,
};
use regraft::{Load, Model, Tensor};
use regraft_tensor::Detail;
use regraft_tensor::kernels::isa::Isa;

use crate::config::Config;
use crate::pytorch_names;
use crate::{Error, Result};

/// What the input of the model that is made is called.
const INPUT: &str = "pixels";

/// The layer that preprocesses them.
const BEFORE: &str = "preprocessing";

/// The last layer of the model that is made.
pub(crate) const HEAD: &str = "predictions";

/// Layers that stand between features and classes, or behind these.
const BETWEEN: [&str; 7] = [
    "Dropout",
    "Activation",
    "Softmax",
    "ReLU",
    "BatchNormalization",
    "GaussianNoise",
    "AlphaDropout",
];

/// Poolings over all of a picture.
const POOLINGS: [&str; 3] = [
    "GlobalAveragePooling2D",
    "GlobalMaxPooling2D",
    "AdaptiveAveragePooling2D",
];

/// A frozen network that gives one row of features for a picture of pixels from 0 to 255.
#[derive(Debug)]
pub(crate) struct Extractor {
    /// From pixels to features, preprocessing included; all of it frozen.
    pub model: Model,
    /// What the network is called.
    pub name: String,
    /// How it was found, cut and fed, one sentence each.
    pub told: Vec<String>,
    /// Rows and columns of what it sees.
    pub size: [usize; 2],
    /// The file that the weights are from.
    pub file: PathBuf,
}

impl Extractor {
    /// The backbone that these settings name.
    pub fn open(config: &Config) -> Result<Self> {
        let given = given_preprocessing(config)?;
        let mut told = Vec::new();
        let path = Path::new(&config.backbone);
        let application = application(&config.backbone);
        let (network, preprocessing, file) = match (application, path.exists()) {
            (Some(name), false) => {
                let (model, preprocessing, file) = match &config.weights {
                    Some(file) => {
                        let (model, preprocessing) = with_weights(name, file, config)?;
                        (model, preprocessing, file.clone())
                    }
                    None => {
                        let (application, lookup) = (sized(name, config)?, Lookup::new());
                        let file = application.find_weights(&lookup)?;
                        let backbone = application.pretrained_with(&lookup)?;
                        (backbone.model, backbone.preprocessing, file)
                    }
                };
                told.push(format!("{name} with the weights of {}", file.display()));
                (model, Some(preprocessing), file)
            }
            _ => match opened(path, config)? {
                Some(model) => {
                    let model = without_classifier(&model, config, &mut told)?;
                    let preprocessing = model.preprocessing();
                    (model, preprocessing, path.to_path_buf())
                }
                // Weights alone: the name of the file may say of what.
                None => {
                    let name = application_in(path)?;
                    let (model, preprocessing) = with_weights(name, path, config)?;
                    told.push(format!(
                        "{name}, as the name of the file says, which holds weights alone"
                    ));
                    (model, Some(preprocessing), path.to_path_buf())
                }
            },
        };
        let preprocessing = match given.or(preprocessing) {
            Some(preprocessing) => preprocessing,
            None => {
                let expected = "a network of which it is known what it expects of pixels";
                let detail = Detail::new(&config.backbone, expected, "layers of other names");
                let help = "say it: `--preprocessing none` (it takes 0 to 255), `tf` (-1 to 1), `scaled` (0 to 1), \
                            `torch` or `caffe`";
                return Err(Error::Backbone(detail.help(help)));
            }
        };
        told.push(format!("pixels: {}", words(preprocessing)));
        let network = pooled(network, &mut told)?;
        let name = network.name().to_string();
        let [rows, columns] = picture_size(&network)?;
        let model = with_pixels(network, preprocessing)?;
        Ok(Extractor {
            model,
            name,
            told,
            size: [rows, columns],
            file,
        })
    }

    /// A hash of all that features depend on besides the pictures: the network, its weights, and how this machine
    /// rounds.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"regraft-pictures features 1");
        hasher.update(self.model.to_config().to_string().as_bytes());
        hasher.update(&[u8::from(Isa::detect().fused())]);
        let mut bytes = Vec::new();
        for weight in self.model.weights().iter() {
            hasher.update(weight.path().as_bytes());
            bytes.clear();
            bytes.extend(
                weight
                    .value()
                    .as_slice()
                    .iter()
                    .flat_map(|value| value.to_le_bytes()),
            );
            hasher
                .update(&(bytes.len() as u64).to_le_bytes())
                .update(&bytes);
        }
        *hasher.finalize().as_bytes()
    }

    /// The number of features.
    pub fn width(&self) -> usize {
        let shape = self
            .model
            .output_shapes()
            .first()
            .and_then(|shape| shape.sample());
        shape
            .and_then(|sample| sample.first().copied())
            .unwrap_or(0)
    }

    /// The whole classifier: the backbone, and one layer from features to the probabilities of classes.
    pub fn with_head(&self, kernel: Tensor, bias: Tensor, classes: &[String]) -> Result<Model> {
        let head = Dense::new(classes.len()).activation("softmax").named(HEAD);
        let mut model = self.model.with_head(layers![head])?;
        model.set_layer_weights(HEAD, vec![kernel, bias])?;
        model.set_class_names(classes.iter().cloned());
        model.set_name("classifier");
        Ok(model)
    }
}

/// The name of the application that somebody means by `mobilenet_v2`, `MobileNetV2` or `mobilenet-v2`.
fn application(name: &str) -> Option<&'static str> {
    let plain = plain(name);
    applications::names().find(|known| self::plain(known) == plain)
}

/// Letters and digits alone, small.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

/// The application of which a file of weights is, by the file's name: the longest name that stands at its beginning.
fn application_in(path: &Path) -> Result<&'static str> {
    let stem = plain(&path.file_stem().unwrap_or_default().to_string_lossy());
    let known = applications::names().filter(|name| stem.starts_with(&plain(name)));
    known.max_by_key(|name| name.len()).ok_or_else(|| {
        let expected =
            "a file with a whole network, or one whose name begins with that of a known network";
        let detail = Detail::new(
            path.display().to_string(),
            expected,
            "weights of an unknown network",
        );
        Error::Backbone(detail.help("say of which: `--backbone mobilenet_v2 --weights FILE`"))
    })
}

/// The model in a file, or `None` if it holds weights alone.
fn opened(path: &Path, config: &Config) -> Result<Option<Model>> {
    if !path.exists() {
        let names: Vec<&str> = applications::names().collect();
        let detail = Detail::new(
            "backbone",
            "the name of a known network, or a file",
            &config.backbone,
        );
        let help = format!("known names: {}", names.join(", "));
        return Err(Error::Backbone(detail.help(help)));
    }
    let error = match Model::open(path) {
        Ok((model, _)) => return Ok(Some(model)),
        Err(regraft::Error::File(_)) => return Ok(None),
        Err(error) => error,
    };
    // Where the file leaves the sizes of pictures open.
    let size = config.size.unwrap_or(224);
    match Model::open_sized(path, [size, size, 3], &Registry::new()) {
        Ok((model, _)) => Ok(Some(model)),
        Err(_) => Err(error.into()),
    }
}

/// An application without its top, with weights from a file, which may have the top or not.
fn with_weights(name: &str, file: &Path, config: &Config) -> Result<(Model, Preprocessing)> {
    let application = sized(name, config)?;
    let mut backbone = application.build()?;
    let load = || Load::new().without_optimizer();
    let renamed = || load().rename(pytorch_names::efficientnet);
    let first = match backbone.model.load_weights_with(file, load()) {
        Ok(_) => return Ok((backbone.model, backbone.preprocessing)),
        Err(error) => error,
    };
    // With its classifier, which is left away then: in Keras' layout, or in that of PyTorch's EfficientNets.
    for (with_top, load) in [(true, load()), (false, renamed()), (true, renamed())] {
        let Ok(mut candidate) = application.clone().include_top(with_top).build() else {
            continue;
        };
        if candidate.model.load_weights_with(file, load).is_ok() {
            if with_top {
                let mut told = Vec::new();
                candidate.model =
                    without_classifier(&candidate.model, &Config::default(), &mut told)?;
            }
            return Ok((candidate.model, candidate.preprocessing));
        }
    }
    Err(first.into())
}

/// The application without its top, of the size that is asked for.
fn sized(name: &str, config: &Config) -> Result<Application<dyn Architecture>> {
    let application = applications::by_name(name)?
        .include_top(false)
        .pooling("avg");
    Ok(match config.size {
        Some(size) => application.input_shape([size, size, 3]),
        None => application,
    })
}

/// The model up to where its classifier begins.
fn without_classifier(model: &Model, config: &Config, told: &mut Vec<String>) -> Result<Model> {
    if let Some(layer) = &config.layer {
        told.push(format!("cut behind {layer}, as told"));
        return Ok(model.cut_at(layer.as_str())?);
    }
    let layers = model.layers();
    // The last pooling over all of the picture, if what follows it are layers of a classifier.
    if let Some(pooling) = layers
        .iter()
        .rposition(|layer| POOLINGS.contains(&layer.class_name()))
    {
        let behind = layers.len() - 1 - pooling;
        let path = layers[pooling].path().to_string();
        told.push(match behind {
            0 => format!(
                "{} has no classifier: it ends with the pooling {path}",
                model.name()
            ),
            count => format!("{count} layers behind the last pooling, {path}, were cut off"),
        });
        return Ok(model.cut_at(path.as_str())?);
    }
    // Otherwise what its last dense layer takes.
    let Some(dense) = layers
        .iter()
        .rposition(|layer| layer.class_name() == "Dense")
    else {
        told.push(format!(
            "{} has no classifier: all of it is taken",
            model.name()
        ));
        return Ok(model.clone());
    };
    let before = layers[..dense]
        .iter()
        .rev()
        .find(|layer| !BETWEEN.contains(&layer.class_name()));
    let Some(before) = before.filter(|layer| layer.class_name() != "InputLayer") else {
        let detail = Detail::new(model.name(), "layers before the classifier", "none");
        return Err(Error::Backbone(
            detail.help("take a network that sees pictures, or say `--layer NAME`"),
        ));
    };
    let path = before.path().to_string();
    told.push(format!(
        "cut behind {path}, which the last dense layer, {}, takes",
        layers[dense].path()
    ));
    Ok(model.cut_at(path.as_str())?)
}

/// One row of features, whatever the network ends with.
fn pooled(model: Model, told: &mut Vec<String>) -> Result<Model> {
    let shape = model.output_shape()?;
    let sample = shape.sample().unwrap_or_default();
    match sample.as_slice() {
        [width] if *width > 0 => Ok(model),
        [1, 1, _] => Ok(model.with_head(layers![Flatten::new().named("features")])?),
        [_, _, _] => {
            told.push("its features are averaged over the picture".to_string());
            Ok(model.with_head(layers![GlobalAveragePooling2D::new().named("features")])?)
        }
        _ => {
            let expected = "features (batch, channels), or (batch, rows, columns, channels)";
            let detail = Detail::new(model.name(), expected, shape);
            Err(Error::Backbone(
                detail.help("say where they are: `--layer NAME`"),
            ))
        }
    }
}

/// Rows and columns of a network of one input with three channels.
fn picture_size(model: &Model) -> Result<[usize; 2]> {
    let shapes = model.input_shapes();
    let sample = match shapes.as_slice() {
        [shape] => shape.sample(),
        _ => None,
    };
    match sample.as_deref() {
        Some(&[rows, columns, 3]) => Ok([rows, columns]),
        _ => {
            let received: Vec<String> = shapes.iter().map(ToString::to_string).collect();
            let expected = "one input of pictures, (batch, rows, columns, 3)";
            Err(Error::Backbone(Detail::new(
                model.name(),
                expected,
                received.join(", "),
            )))
        }
    }
}

/// The frozen network behind its preprocessing, which is made of layers, so that files take pixels as they are.
fn with_pixels(network: Model, preprocessing: Preprocessing) -> Result<Model> {
    let mut model = match before(preprocessing)? {
        None => network,
        Some(before) => {
            let size = picture_size(&network)?;
            behind(before, network, size)?
        }
    };
    if preprocessing == Preprocessing::Caffe {
        // Red, green, blue turned round, then each less its mean.
        let turned = vec![0., 0., 1., 0., 1., 0., 1., 0., 0.];
        let kernel = Tensor::new([1, 1, 3, 3], turned).expect("nine numbers");
        let bias = Tensor::new([3], vec![-103.939, -116.779, -123.68]).expect("three numbers");
        model.set_layer_weights(BEFORE, vec![kernel, bias])?;
    }
    model.freeze(..)?;
    Ok(model)
}

/// The network behind a layer that takes pictures.
fn behind(
    before: LayerSpec,
    network: Model,
    [rows, columns]: [usize; 2],
) -> regraft::Result<Model> {
    let name = network.name().to_string();
    let mut functional = Functional::new();
    functional.set_name(format!("{name}_of_pixels"));
    let pixels = functional.apply(Input::new([rows, columns, 3]).named(INPUT), &[])?;
    let x = functional.apply(before, &[pixels])?;
    let features = functional.apply(network.named(name), &[x])?;
    Ok(functional.model(&[pixels], &[features])?)
}

/// The layer that preprocesses, if the network does not do it itself.
fn before(preprocessing: Preprocessing) -> Result<Option<LayerSpec>> {
    let layer: LayerSpec = match preprocessing {
        Preprocessing::BuiltIn => return Ok(None),
        Preprocessing::Tf => Rescaling::new(1.0 / 127.5).offset(-1.0).named(BEFORE),
        Preprocessing::Scaled { scale, offset } => {
            Rescaling::new(scale).offset(offset).named(BEFORE)
        }
        Preprocessing::Torch => {
            let (mean, deviation) = ([0.485_f32, 0.456, 0.406], [0.229_f32, 0.224, 0.225]);
            let scale: Vec<f32> = deviation
                .iter()
                .map(|deviation| 1.0 / (255.0 * deviation))
                .collect();
            let offset: Vec<f32> = mean
                .iter()
                .zip(deviation)
                .map(|(mean, deviation)| -mean / deviation)
                .collect();
            Rescaling::per_channel(scale)
                .offset_per_channel(offset)
                .named(BEFORE)
        }
        Preprocessing::Caffe => Conv2D::new(3, 1).named(BEFORE),
        other => {
            let detail = Detail::new(
                "preprocessing",
                "one that is known here",
                format!("{other:?}"),
            );
            return Err(Error::Setting(detail));
        }
    };
    Ok(Some(layer))
}

/// What the settings say about the preprocessing.
fn given_preprocessing(config: &Config) -> Result<Option<Preprocessing>> {
    Ok(Some(match config.preprocessing.as_deref() {
        None => return Ok(None),
        Some("none") => Preprocessing::BuiltIn,
        Some("tf") => Preprocessing::Tf,
        Some("torch") => Preprocessing::Torch,
        Some("caffe") => Preprocessing::Caffe,
        Some("scaled") => Preprocessing::Scaled {
            scale: 1.0 / 255.0,
            offset: 0.0,
        },
        Some(other) => {
            let detail = Detail::new(
                "preprocessing",
                "none, tf, torch, caffe or scaled",
                format!("{other:?}"),
            );
            return Err(Error::Setting(detail));
        }
    }))
}

/// What a preprocessing does, in words.
fn words(preprocessing: Preprocessing) -> String {
    match preprocessing {
        Preprocessing::BuiltIn => "0 to 255, the network scales them itself".to_string(),
        Preprocessing::Tf => "scaled to -1 to 1".to_string(),
        Preprocessing::Torch => "each colour to mean 0 and deviation 1 of ImageNet".to_string(),
        Preprocessing::Caffe => "blue, green, red around ImageNet's means".to_string(),
        Preprocessing::Scaled { scale, offset } => format!("multiplied by {scale}, plus {offset}"),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use regraft::Sequential;
    use regraft::layers::Dropout;

    use super::*;

    fn images(size: usize) -> Tensor {
        let pixels = (0..2 * size * size * 3).map(|index| (index * 37 % 256) as f32);
        Tensor::new([2, size, size, 3], pixels.collect()).unwrap()
    }

    fn network() -> Model {
        Sequential::with_seed(
            layers![
                Input::new([8, 8, 3]),
                Conv2D::new(4, 3).activation("relu").named("conv"),
                GlobalAveragePooling2D::new().named("pool"),
                Dropout::new(0.2),
                Dense::new(5).activation("softmax").named("classes"),
            ],
            3,
        )
        .unwrap()
    }

    #[test]
    fn preprocessing_made_of_layers_is_what_the_backbone_does() {
        let images = images(8);
        let scaled = Preprocessing::Scaled {
            scale: 1.0 / 128.0,
            offset: -0.5,
        };
        for preprocessing in [
            Preprocessing::Tf,
            Preprocessing::Torch,
            Preprocessing::Caffe,
            scaled,
        ] {
            let network = network();
            let expected = network
                .predict(&preprocessing.apply(&images).unwrap())
                .unwrap();
            let found = with_pixels(network, preprocessing)
                .unwrap()
                .predict(&images)
                .unwrap();
            for (found, expected) in found.as_slice().iter().zip(expected.as_slice()) {
                assert!(
                    (found - expected).abs() <= 1e-5,
                    "{preprocessing:?}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn the_classifier_is_cut_off_and_it_is_said_where() {
        let mut told = Vec::new();
        let cut = without_classifier(&network(), &Config::default(), &mut told).unwrap();
        assert_eq!(cut.output_shapes()[0].to_string(), "(None, 4)");
        assert_eq!(
            told,
            ["2 layers behind the last pooling, pool, were cut off"]
        );
        // Without a pooling: what the last dense layer takes.
        let dense = Sequential::new(layers![
            Input::new([8, 8, 3]),
            Conv2D::new(2, 8),
            Flatten::new(),
            Dense::new(6).named("hidden"),
            Dropout::new(0.5),
            Dense::new(3),
        ])
        .unwrap();
        let mut told = Vec::new();
        let cut = without_classifier(&dense, &Config::default(), &mut told).unwrap();
        assert_eq!(cut.output_shapes()[0].to_string(), "(None, 6)");
        assert!(told[0].contains("hidden"), "{told:?}");
        let conv = Config {
            layer: Some("conv".into()),
            ..Config::default()
        };
        let cut = without_classifier(&network(), &conv, &mut told).unwrap();
        let cut = pooled(cut, &mut told).unwrap();
        assert_eq!(cut.output_shapes()[0].to_string(), "(None, 4)");
    }

    #[test]
    fn names_are_found_however_they_are_spelled() {
        for name in ["mobilenet_v2", "MobileNetV2", "mobilenet-v2"] {
            assert_eq!(application(name), Some("MobileNetV2"));
        }
        assert_eq!(application("mobilenet_v9"), None);
        let file = Path::new("efficientnet-lite0-57934424.pth");
        assert_eq!(application_in(file).unwrap(), "EfficientNetLite0");
        let keras = Path::new("mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5");
        assert_eq!(application_in(keras).unwrap(), "MobileNetV2");
        assert!(application_in(Path::new("weights.h5")).is_err());
    }
}
