//! All applications by the names of Keras' constructors, and of the functions here.

use regraft_tensor::Detail;

use super::*;
use crate::{Error, Result};

/// The name of Keras' constructor, that of the function here, and the function.
type Entry = (
    &'static str,
    &'static str,
    fn() -> Application<dyn Architecture>,
);

/// The entries of functions under the names of Keras' constructors.
macro_rules! entries {
    ($($name:literal $function:ident),* $(,)?) => {
        &[$(($name, stringify!($function), || $function().into_any())),*]
    };
}

/// Every application.
static APPLICATIONS: &[Entry] = entries![
    "VGG16" vgg16,
    "VGG19" vgg19,
    "ResNet50" resnet50,
    "ResNet101" resnet101,
    "ResNet152" resnet152,
    "ResNet50V2" resnet50_v2,
    "ResNet101V2" resnet101_v2,
    "ResNet152V2" resnet152_v2,
    "MobileNet" mobilenet,
    "MobileNetV2" mobilenet_v2,
    "MobileNetV3Small" mobilenet_v3_small,
    "MobileNetV3Large" mobilenet_v3_large,
    "EfficientNetB0" efficientnet_b0,
    "EfficientNetB1" efficientnet_b1,
    "EfficientNetB2" efficientnet_b2,
    "EfficientNetB3" efficientnet_b3,
    "EfficientNetB4" efficientnet_b4,
    "EfficientNetB5" efficientnet_b5,
    "EfficientNetB6" efficientnet_b6,
    "EfficientNetB7" efficientnet_b7,
    "EfficientNetV2B0" efficientnet_v2_b0,
    "EfficientNetV2B1" efficientnet_v2_b1,
    "EfficientNetV2B2" efficientnet_v2_b2,
    "EfficientNetV2B3" efficientnet_v2_b3,
    "EfficientNetV2S" efficientnet_v2_s,
    "EfficientNetV2M" efficientnet_v2_m,
    "EfficientNetV2L" efficientnet_v2_l,
    "DenseNet121" densenet121,
    "DenseNet169" densenet169,
    "DenseNet201" densenet201,
    "InceptionV3" inception_v3,
    "InceptionResNetV2" inception_resnet_v2,
    "Xception" xception,
    "NASNetMobile" nasnet_mobile,
    "NASNetLarge" nasnet_large,
    "ConvNeXtTiny" convnext_tiny,
    "ConvNeXtSmall" convnext_small,
    "ConvNeXtBase" convnext_base,
    "ConvNeXtLarge" convnext_large,
    "ConvNeXtXLarge" convnext_xlarge,
    "EfficientNetLite0" efficientnet_lite0,
    "EfficientNetLite1" efficientnet_lite1,
    "EfficientNetLite2" efficientnet_lite2,
    "EfficientNetLite3" efficientnet_lite3,
    "EfficientNetLite4" efficientnet_lite4,
];

/// The names that [`by_name`] knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    APPLICATIONS.iter().map(|(name, ..)| *name)
}

/// The application with the name of Keras' constructor, or of the function here: `by_name("MobileNetV2")?`,
/// `by_name("mobilenet_v2")?`. One of PyTorch's networks has its library in front:
/// `by_name("torchvision/resnet18")?`, `by_name("timm/resnet50.a1_in1k")?`.
///
/// # Errors
/// [`Error::Setting`] for a name that is not known, with those most like it.
pub fn by_name(name: &str) -> Result<Application<dyn Architecture>> {
    match name.split_once('/') {
        Some(("torchvision", name)) => return Ok(torchvision::by_name(name)?.into_any()),
        Some(("timm", name)) => return Ok(timm::by_name(name)?.into_any()),
        _ => {}
    }
    let found = APPLICATIONS
        .iter()
        .find(|(constructor, function, _)| [*constructor, *function].contains(&name));
    found.map(|(.., application)| application()).ok_or_else(|| {
        let received = format!("{name:?}");
        let detail = Detail::new("application", "the name of an application", received);
        let functions = APPLICATIONS.iter().map(|(_, function, _)| *function);
        Error::Setting(detail.help(regraft_layers::near(name, names().chain(functions))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_and_unknown_ones_get_near_ones() {
        for name in ["InceptionV3", "inception_v3"] {
            assert_eq!(by_name(name).unwrap().architecture().default_size(), 299);
        }
        let error = by_name("Mobilenetv2").unwrap_err().to_string();
        assert!(error.contains("\"MobileNetV2\""), "{error}");
    }
}
