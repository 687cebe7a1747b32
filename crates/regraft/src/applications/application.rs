//! What an architecture is, and the settings with which one is built.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regraft_layers::layers::{GlobalAveragePooling2D, GlobalMaxPooling2D, Input};
use regraft_layers::{Activation, Functional, LayerExt, LayerOutput};
use regraft_tensor::Detail;

use super::backbone::Backbone;
use super::preprocessing::Preprocessing;
use super::pytorch::PyTorchNetwork;
use super::weights::file::WeightsFile;
use super::{blocks::Blocks, imagenet};
use crate::{Error, Load, LoadReport, Model, Result};

/// A network that somebody has designed: what [`Application`] builds. One of your own is an `impl` of
/// this trait and then `Application::new(MyNetwork)`.
pub trait Architecture: fmt::Debug + Send + Sync {
    /// The name of the model: `mobilenetv2_1.00_224`.
    fn name(&self, options: &Options) -> String;

    /// The number of rows and of columns that it was trained with.
    fn default_size(&self) -> usize;

    /// The smallest number of rows and of columns that it takes without its top.
    fn minimum_size(&self) -> usize;

    /// What it expects of images.
    fn preprocessing(&self, options: &Options) -> Preprocessing;

    /// The published file with the weights that it learnt from ImageNet with these settings: none unless told
    /// otherwise. [`Application::pretrained`] loads it.
    fn imagenet_weights(&self, _options: &Options) -> Option<WeightsFile> {
        None
    }

    /// Whether the settings go together, beyond what holds for all.
    ///
    /// # Errors
    /// The setting that does not fit.
    fn check(&self, _options: &Options) -> Result<(), Detail> {
        Ok(())
    }

    /// The layers from the image to the features, `(rows, columns, channels)`.
    ///
    /// # Errors
    /// A layer that refuses its input.
    fn features(
        &self,
        blocks: &mut Blocks<'_>,
        image: LayerOutput,
        options: &Options,
    ) -> regraft_layers::Result<LayerOutput>;

    /// The layers from the features to the classes: unless told otherwise global average pooling and
    /// a [`Dense`](crate::layers::Dense).
    ///
    /// # Errors
    /// A layer that refuses its input.
    fn top(
        &self,
        blocks: &mut Blocks<'_>,
        features: LayerOutput,
        options: &Options,
    ) -> regraft_layers::Result<LayerOutput> {
        let pooled = blocks.apply("avg_pool", GlobalAveragePooling2D::new(), features)?;
        blocks.predictions(pooled, options)
    }

    /// What follows the pooling when there is no top, or the features if they are not pooled:
    /// nothing unless told otherwise.
    ///
    /// # Errors
    /// A layer that refuses its input.
    fn after_pooling(
        &self,
        _blocks: &mut Blocks<'_>,
        pooled: LayerOutput,
    ) -> regraft_layers::Result<LayerOutput> {
        Ok(pooled)
    }

    /// The names of the pooling at the end when there is no top: of the mean, of the largest. `None`
    /// for Keras' automatic names.
    fn pooling_names(&self) -> Option<[&'static str; 2]> {
        Some(["avg_pool", "max_pool"])
    }

    /// The network, if it is one of PyTorch's, so that state dicts fit it.
    fn pytorch(&self) -> Option<&PyTorchNetwork> {
        None
    }
}

/// What stands at the end of a network without its top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pooling {
    /// The features as they are, `(rows, columns, channels)`.
    #[default]
    None,
    /// The mean of each channel.
    Average,
    /// The largest of each channel.
    Max,
}

/// The settings that all applications share. [`Application`] has a method for each.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Whether the layers that tell ImageNet's classes are there.
    pub include_top: bool,
    /// What stands at the end if they are not.
    pub pooling: Pooling,
    /// Rows, columns and channels of the images.
    pub input_shape: [usize; 3],
    /// The number of classes.
    pub classes: usize,
    /// What is applied to the classes' numbers.
    pub classifier_activation: Activation,
    /// Whether a network that can take pixels from 0 to 255 as they are does so.
    pub include_preprocessing: bool,
    /// Whether it gets the weights that Keras publishes, for networks that are built otherwise then.
    pub imagenet_weights: bool,
}

/// An architecture with its settings, to be built.
///
/// ```
/// use regraft::applications;
///
/// let backbone = applications::mobilenet_v2()
///     .input_shape([96, 96, 3])
///     .include_top(false)
///     .pooling("avg")
///     .build()?;
/// assert_eq!(backbone.model.output_shapes()[0].to_string(), "(None, 1280)");
/// # Ok::<(), regraft::Error>(())
/// ```
///
/// The defaults are Keras': with top, 1,000 classes, softmax, the size that the network was trained
/// with; only the weights are random unless a file is given.
#[derive(Debug)]
#[must_use = "nothing is made before `build`"]
pub struct Application<A: Architecture + ?Sized> {
    pub(super) options: Options,
    pub(super) input_shape: Option<[usize; 3]>,
    pub(super) weights: Option<PathBuf>,
    pub(super) pooling: Result<Pooling, Detail>,
    pub(super) name: Option<String>,
    pub(super) preprocessing: Option<Preprocessing>,
    pub(super) seed: u64,
    pub(super) architecture: Arc<A>,
}

impl<A: Architecture + ?Sized> Clone for Application<A> {
    fn clone(&self) -> Self {
        Application {
            options: self.options.clone(),
            input_shape: self.input_shape,
            weights: self.weights.clone(),
            pooling: self.pooling.clone(),
            name: self.name.clone(),
            preprocessing: self.preprocessing,
            seed: self.seed,
            architecture: Arc::clone(&self.architecture),
        }
    }
}

impl<A: Architecture> Application<A> {
    /// This architecture with the settings that are Keras' defaults.
    pub fn new(architecture: A) -> Self {
        Application {
            options: Options {
                include_top: true,
                pooling: Pooling::None,
                input_shape: [0; 3],
                classes: imagenet::COUNT,
                classifier_activation: "softmax".into(),
                include_preprocessing: true,
                imagenet_weights: false,
            },
            input_shape: None,
            weights: None,
            pooling: Ok(Pooling::None),
            name: None,
            preprocessing: None,
            seed: 0,
            architecture: Arc::new(architecture),
        }
    }
}

impl<A: Architecture + 'static> Application<A> {
    /// The same without its type, so that different architectures can stand in one list.
    pub fn into_any(self) -> Application<dyn Architecture> {
        Application {
            options: self.options,
            input_shape: self.input_shape,
            weights: self.weights,
            pooling: self.pooling,
            name: self.name,
            preprocessing: self.preprocessing,
            seed: self.seed,
            architecture: self.architecture,
        }
    }
}

impl<A: Architecture + ?Sized> Application<A> {
    /// The architecture.
    pub fn architecture(&self) -> &A {
        &self.architecture
    }

    /// Whether the layers that tell ImageNet's classes are there; they are unless told otherwise.
    pub fn include_top(mut self, include_top: bool) -> Self {
        self.options.include_top = include_top;
        self
    }

    /// Loads the weights of this file: Keras' own, with or without top, or one that
    /// [`Model::save`](crate::Model::save) wrote; of PyTorch's networks a state dict, `.pth` or `.safetensors`.
    /// Every layer must be in it. [`pretrained`](Self::pretrained)
    /// finds Keras' own by itself.
    pub fn weights(mut self, path: impl AsRef<Path>) -> Self {
        self.weights = Some(path.as_ref().to_path_buf());
        self
    }

    /// What stands at the end if there is no top: `"avg"`, `"max"` or a [`Pooling`]; nothing unless
    /// told otherwise. With the top it changes nothing, as in Keras.
    pub fn pooling(mut self, pooling: impl IntoPooling) -> Self {
        self.pooling = pooling.into_pooling();
        self
    }

    /// Rows, columns and channels of the images, instead of those that the network was trained with.
    pub fn input_shape(mut self, input_shape: [usize; 3]) -> Self {
        self.input_shape = Some(input_shape);
        self
    }

    /// The number of classes, 1,000 unless told otherwise.
    pub fn classes(mut self, classes: usize) -> Self {
        self.options.classes = classes;
        self
    }

    /// What is applied to the classes' numbers: `"softmax"` unless told otherwise, `"linear"` for
    /// logits.
    pub fn classifier_activation(mut self, activation: impl Into<Activation>) -> Self {
        self.options.classifier_activation = activation.into();
        self
    }

    /// The name of the model, instead of Keras'.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// What the weights expect of images, where that is not what it was for Keras' own: weights from
    /// PyTorch, say.
    pub fn preprocessing(mut self, preprocessing: Preprocessing) -> Self {
        self.preprocessing = Some(preprocessing);
        self
    }

    /// The seed of the first weights, 0 unless told otherwise.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Builds the model, and loads its weights if a file was given.
    ///
    /// # Errors
    /// [`Error::Setting`] for an image that is too small, or a setting that has no meaning;
    /// [`Error::Io`] and [`Error::Load`] for a file that cannot be read or does not fit.
    pub fn build(&self) -> Result<Backbone> {
        let options = self.checked_options()?;
        let mut functional = Functional::with_seed(self.seed);
        let name = self.name.clone();
        functional.set_name(name.unwrap_or_else(|| self.architecture.name(&options)));
        let input = Input::new(options.input_shape).named("input_layer");
        let image = functional.apply(input, &[])?;
        let mut blocks = Blocks::new(&mut functional);
        let features = self.architecture.features(&mut blocks, image, &options)?;
        let names = self.architecture.pooling_names();
        let mut output = match (options.include_top, options.pooling) {
            (true, _) => self.architecture.top(&mut blocks, features, &options)?,
            (false, Pooling::None) => features,
            (false, Pooling::Average) => {
                let name = names.map(|names| names[0]);
                blocks.apply(name, GlobalAveragePooling2D::new(), features)?
            }
            (false, Pooling::Max) => {
                let name = names.map(|names| names[1]);
                blocks.apply(name, GlobalMaxPooling2D::new(), features)?
            }
        };
        if !options.include_top {
            output = self.architecture.after_pooling(&mut blocks, output)?;
        }
        let mut model = Model::from(functional.model(&[image], &[output])?);
        let load_report = match &self.weights {
            Some(path) => Some(self.load(&mut model, path, &options)?),
            None => None,
        };
        let preprocessing = self.preprocessing;
        Ok(Backbone {
            model,
            preprocessing: preprocessing
                .unwrap_or_else(|| self.architecture.preprocessing(&options)),
            load_report,
        })
    }

    fn load(&self, model: &mut Model, path: &Path, options: &Options) -> Result<LoadReport> {
        let Some(network) = self.architecture.pytorch() else {
            return model.load_weights_with(path, Load::new().without_optimizer());
        };
        let [rows, columns, channels] = options.input_shape;
        if !options.imagenet_weights || channels == 3 {
            return network.load(model, path, options);
        }
        let of_colours = self.clone().input_shape([rows, columns, 3]).build()?;
        network.adapt_channels(model, &of_colours.model)?;
        Ok(of_colours.load_report.expect("weights were to be loaded"))
    }

    pub(super) fn checked_options(&self) -> Result<Options> {
        let mut options = self.options.clone();
        let setting =
            |detail: Detail| Error::Setting(detail.within(&self.architecture.name(&options)));
        options.pooling = self.pooling.clone().map_err(setting)?;
        let size = self.architecture.default_size();
        options.input_shape = self.input_shape.unwrap_or([size, size, 3]);
        let [rows, columns, channels] = options.input_shape;
        let least = self.architecture.minimum_size();
        let setting =
            |detail: Detail| Error::Setting(detail.within(&self.architecture.name(&options)));
        if rows < least || columns < least || channels == 0 {
            let expected = format!("images of at least {least}×{least} with at least 1 channel");
            let received = format!("{:?}", options.input_shape);
            return Err(setting(Detail::new("input_shape", expected, received)));
        }
        if options.include_top && options.classes == 0 {
            return Err(setting(Detail::new("classes", "at least 1", 0)));
        }
        options.classifier_activation.get().map_err(setting)?;
        self.architecture.check(&options).map_err(setting)?;
        Ok(options)
    }
}

/// A [`Pooling`], or Keras' name of it.
pub trait IntoPooling {
    /// The pooling.
    ///
    /// # Errors
    /// A name that is not known.
    fn into_pooling(self) -> Result<Pooling, Detail>;
}

impl IntoPooling for Pooling {
    fn into_pooling(self) -> Result<Pooling, Detail> {
        Ok(self)
    }
}

impl IntoPooling for &str {
    fn into_pooling(self) -> Result<Pooling, Detail> {
        match self {
            "avg" => Ok(Pooling::Average),
            "max" => Ok(Pooling::Max),
            _ => Err(Detail::new(
                "pooling",
                "\"avg\" or \"max\"",
                format!("{self:?}"),
            )),
        }
    }
}

/// Architectures that can begin with their own scaling, so that they take pixels as they are.
pub trait BuiltInPreprocessing: Architecture {}

impl<A: BuiltInPreprocessing + ?Sized> Application<A> {
    /// Whether the network begins with the scaling of pixels from 0 to 255, as it does unless told
    /// otherwise. Without, the backbone's preprocessing does the scaling.
    pub fn include_preprocessing(mut self, include_preprocessing: bool) -> Self {
        self.options.include_preprocessing = include_preprocessing;
        self
    }
}

#[cfg(test)]
mod tests {
    use regraft_layers::layers::Dense;

    use super::*;
    use crate::Tensor;

    /// One dense layer over the channels.
    #[derive(Debug)]
    struct Tiny;

    impl Architecture for Tiny {
        fn name(&self, options: &Options) -> String {
            format!("tiny_{}", options.input_shape[0])
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

        fn features(
            &self,
            blocks: &mut Blocks<'_>,
            image: LayerOutput,
            _options: &Options,
        ) -> regraft_layers::Result<LayerOutput> {
            blocks.apply("features", Dense::new(5), image)
        }
    }

    fn shape(application: Application<Tiny>) -> String {
        application.build().unwrap().model.output_shapes()[0].to_string()
    }

    #[test]
    fn the_end_is_what_was_asked_for() {
        let tiny = || Application::new(Tiny);
        assert_eq!(shape(tiny()), "(None, 1000)");
        assert_eq!(shape(tiny().classes(3).pooling("avg")), "(None, 3)");
        assert_eq!(shape(tiny().include_top(false)), "(None, 8, 8, 5)");
        let headless = tiny().include_top(false).input_shape([4, 6, 1]);
        assert_eq!(shape(headless.clone()), "(None, 4, 6, 5)");
        assert_eq!(shape(headless.clone().pooling("avg")), "(None, 5)");
        assert_eq!(shape(headless.clone().pooling(Pooling::Max)), "(None, 5)");
        let backbone = headless.pooling("max").build().unwrap();
        assert_eq!(backbone.model.name(), "tiny_4");
        assert!(backbone.model.get_layer("max_pool").is_ok());
    }

    #[test]
    fn settings_without_meaning_are_refused() {
        let error = |application: Application<Tiny>| application.build().unwrap_err().to_string();
        let tiny = || Application::new(Tiny);
        assert!(error(tiny().input_shape([3, 8, 3])).contains("at least 4×4"));
        assert!(error(tiny().pooling("mean")).contains("\"avg\" or \"max\""));
        assert!(error(tiny().classes(0)).contains("tiny_8/classes"));
        assert!(error(tiny().classifier_activation("softmux")).contains("softmux"));
    }

    #[test]
    fn weights_come_from_a_file_and_all_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.h5");
        let saved = Application::new(Tiny).seed(7).build().unwrap();
        saved.model.save(&path).unwrap();
        let loaded = Application::new(Tiny).weights(&path).build().unwrap();
        let values = |backbone: &Backbone| -> Vec<Tensor> {
            let weights = backbone.model.weights().iter();
            weights.map(|weight| weight.value().clone()).collect()
        };
        assert_eq!(values(&loaded), values(&saved));
        assert_eq!(loaded.load_report.unwrap().loaded.len(), 4);
        let headless = Application::new(Tiny).include_top(false).weights(&path);
        assert!(matches!(headless.build(), Err(Error::Load(_))));
    }

    #[test]
    fn images_are_preprocessed_before_they_are_predicted() {
        let backbone = Application::new(Tiny).include_top(false).build().unwrap();
        let images = ndarray::Array4::<u8>::from_elem((2, 8, 8, 3), 255);
        let scaled = ndarray::Array4::<f32>::ones((2, 8, 8, 3));
        let predicted = backbone.predict(&images).unwrap();
        assert_eq!(predicted, backbone.model.predict(&scaled).unwrap());
    }
}
