//! Which preprocessing a network wants that comes from a file: told by the names of its layers, which
//! Keras' applications have, and by what stands in front of the first weights.

use std::collections::HashSet;

use regraft_layers::Model as Network;
use regraft_tensor::Detail;

use super::backbone::Backbone;
use super::preprocessing::Preprocessing;
use super::pytorch::recognition::preprocessing as of_pytorch;
use crate::{Error, Model, Result};

/// Layers by which a family is known: all of the first list and none of the second are there.
type Family = (
    &'static [&'static str],
    &'static [&'static str],
    Preprocessing,
);

/// Networks that do not scale pixels themselves. The EfficientNets and ConvNeXt usually do; the few
/// that do not cannot be told from each other by their layers.
const FAMILIES: &[Family] = &[
    // VGG
    (
        &["block1_conv1", "block1_pool", "block5_conv3"],
        &[],
        Preprocessing::Caffe,
    ),
    // ResNetV2 and ResNet
    (
        &["conv2_block1_preact_bn", "conv1_conv"],
        &[],
        Preprocessing::Tf,
    ),
    (
        &["conv1_conv", "conv2_block1_0_conv", "conv2_block1_add"],
        &["conv2_block1_preact_bn"],
        Preprocessing::Caffe,
    ),
    // DenseNet
    (
        &["conv2_block1_0_bn", "conv2_block1_concat", "pool2_conv"],
        &[],
        Preprocessing::Torch,
    ),
    // MobileNet, its second and third version
    (&["conv1", "conv_dw_1", "conv_pw_1"], &[], Preprocessing::Tf),
    (
        &["Conv1", "expanded_conv_depthwise", "block_1_expand"],
        &[],
        Preprocessing::Tf,
    ),
    (
        &["conv", "expanded_conv_depthwise", "conv_1"],
        &[],
        Preprocessing::Tf,
    ),
    // InceptionV3, InceptionResNetV2, Xception, NASNet
    (&["mixed0", "mixed3", "mixed8"], &[], Preprocessing::Tf),
    (
        &["mixed_5b", "mixed_6a", "mixed_7a"],
        &[],
        Preprocessing::Tf,
    ),
    (
        &["block1_conv1", "block1_conv1_bn", "block14_sepconv2"],
        &[],
        Preprocessing::Tf,
    ),
    (&["stem_conv1", "stem_bn1"], &[], Preprocessing::Tf),
];

/// Networks that usually scale pixels themselves.
const SCALING: &[&[&str]] = &[
    &["stem_conv", "block1a_project_conv"],
    &["expanded_conv_project", "conv_1"],
    &["convnext_tiny_stem"],
    &["convnext_small_stem"],
    &["convnext_base_stem"],
    &["convnext_large_stem"],
    &["convnext_xlarge_stem"],
];

impl Model {
    /// What the model expects of pixels from 0 to 255, if it is, contains, or was cut from one of Keras'
    /// applications, wherever it was saved: told by the names of its layers. `BuiltIn` if scaling
    /// stands in front of it. `None` for other networks, and for EfficientNets and ConvNeXt without
    /// their own scaling.
    ///
    /// Of [torchvision's](super::torchvision) and [timm's](super::timm) networks, all names and shapes but those of
    /// the last layer tell; `None` where weights are published that expect different things, and where more of a
    /// classifier of several layers is missing.
    pub fn preprocessing(&self) -> Option<Preprocessing> {
        preprocessing(&self.network).or_else(|| of_pytorch(&self.network))
    }
}

impl Backbone {
    /// An opened model with the preprocessing that belongs to it ([`Model::preprocessing`]).
    ///
    /// ```no_run
    /// # fn main() -> regraft::Result<()> {
    /// # let images = regraft::ndarray::Array4::<u8>::zeros((1, 160, 160, 3));
    /// use regraft::applications::Backbone;
    ///
    /// let (model, _report) = regraft::Model::open("dogs.h5")?;
    /// let backbone = Backbone::of(model)?;
    /// let probabilities = backbone.predict(&images)?; // pixels from 0 to 255
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Model`] for a network that is not known.
    pub fn of(model: Model) -> Result<Backbone> {
        let Some(preprocessing) = model.preprocessing() else {
            let expected = "a network of Keras' applications, of torchvision or of timm";
            let detail = Detail::new(model.name(), expected, "layers of other names");
            let help = "say what it expects: `Preprocessing::Tf.apply(&images)`, …";
            return Err(Error::Model(detail.help(help)));
        };
        Ok(Backbone {
            model,
            preprocessing,
            load_report: None,
        })
    }
}

fn preprocessing(model: &Network) -> Option<Preprocessing> {
    let places = model.places();
    let names: HashSet<&str> = places.iter().map(|place| place.name).collect();
    let has = |all: &[&str]| all.iter().all(|name| names.contains(name));
    let family = FAMILIES
        .iter()
        .find(|(these, those, _)| has(these) && !those.iter().any(|name| names.contains(name)));
    // What scales before the first weights, be it the network's own or put in front of it.
    let scales = places
        .iter()
        .filter(|place| !place.is_model)
        .take_while(|place| place.weights.is_empty() || place.class_name == "Normalization")
        .any(|place| scales(place.class_name));
    match (family, scales) {
        (None, _) if !SCALING.iter().any(|names| has(names)) => None,
        (_, true) => Some(Preprocessing::BuiltIn),
        (family, false) => family.map(|(_, _, preprocessing)| *preprocessing),
    }
}

/// Whether a layer of this class changes the scale of pixels.
fn scales(class_name: &str) -> bool {
    let operations = ["Add", "Subtract", "Multiply", "Divide", "TrueDivide"];
    ["Rescaling", "Normalization"].contains(&class_name) || operations.contains(&class_name)
}
