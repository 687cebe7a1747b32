//! timm's networks (PyTorch Image Models), under timm's names: built as the originals are, for evaluation and training:
//! with their borders, epsilons and activations, and layers that are called as the modules are in state dicts.
//!
//! ```
//! use regraft::applications::timm;
//!
//! let mobile = timm::by_name("mobilenetv3_small_050.lamb_in1k")?;
//! let backbone = mobile.include_top(false).pooling("avg").build()?; // with `.pretrained()?` not random
//! # Ok::<(), regraft::Error>(())
//! ```
//!
//! Those that begin with `tf_` are as TensorFlow computes them: an odd cell of a border comes behind, and the epsilon
//! is 0.001. Which published weights are meant, a tag says ([`Application::weights_tag`]); they are looked for where
//! [`weights`](crate::applications::weights) says, Hugging Face's cache among these. Outputs are logits, as there.

use super::convnext::ConvNeXt;
use super::densenet::DenseNet;
use super::ghostnet::GhostNet;
use super::mobile::Mobile;
use super::resnet::ResNet;
use super::{Entry, Library, PyTorchNetwork, networks};
use crate::Result;
use crate::applications::Application;

networks! {
    Timm;
    /// ResNet18: 11.7 million parameters, images of 224×224.
    ///
    /// He et al. 2015, <https://arxiv.org/abs/1512.03385>.
    resnet18 => ResNet::basic([2, 2, 2, 2]);
    /// ResNet34: 21.8 million parameters, images of 224×224.
    ///
    /// He et al. 2015, <https://arxiv.org/abs/1512.03385>.
    resnet34 => ResNet::basic([3, 4, 6, 3]);
    /// ResNet26: 16.0 million parameters, images of 224×224.
    ///
    /// He et al. 2015, <https://arxiv.org/abs/1512.03385>.
    resnet26 => ResNet::bottleneck([2, 2, 2, 2]);
    /// ResNet50: 25.6 million parameters, images of 224×224.
    ///
    /// He et al. 2015, <https://arxiv.org/abs/1512.03385>.
    resnet50 => ResNet::bottleneck([3, 4, 6, 3]);
    /// ResNet101: 44.5 million parameters, images of 224×224.
    ///
    /// He et al. 2015, <https://arxiv.org/abs/1512.03385>.
    resnet101 => ResNet::bottleneck([3, 4, 23, 3]);
    /// ResNet152: 60.2 million parameters, images of 224×224.
    ///
    /// He et al. 2015, <https://arxiv.org/abs/1512.03385>.
    resnet152 => ResNet::bottleneck([3, 8, 36, 3]);
    /// ResNet18-D, with three small windows first and shortcuts halved by means: 11.7 million parameters, images of 224×224.
    ///
    /// He et al. 2018, <https://arxiv.org/abs/1812.01187>.
    resnet18d => ResNet::basic([2, 2, 2, 2]).d();
    /// ResNet34-D, with three small windows first and shortcuts halved by means: 21.8 million parameters, images of 224×224.
    ///
    /// He et al. 2018, <https://arxiv.org/abs/1812.01187>.
    resnet34d => ResNet::basic([3, 4, 6, 3]).d();
    /// ResNet26-D, with three small windows first and shortcuts halved by means: 16.0 million parameters, images of 224×224.
    ///
    /// He et al. 2018, <https://arxiv.org/abs/1812.01187>.
    resnet26d => ResNet::bottleneck([2, 2, 2, 2]).d();
    /// ResNet50-D, with three small windows first and shortcuts halved by means: 25.6 million parameters, images of 224×224.
    ///
    /// He et al. 2018, <https://arxiv.org/abs/1812.01187>.
    resnet50d => ResNet::bottleneck([3, 4, 6, 3]).d();
    /// ResNet101-D, with three small windows first and shortcuts halved by means: 44.6 million parameters, images of 256×256.
    ///
    /// He et al. 2018, <https://arxiv.org/abs/1812.01187>.
    resnet101d => ResNet::bottleneck([3, 4, 23, 3]).d();
    /// ResNeXt50 with 32 groups of 4: 25.0 million parameters, images of 224×224.
    ///
    /// Xie et al. 2016, <https://arxiv.org/abs/1611.05431>.
    resnext50_32x4d => ResNet::bottleneck([3, 4, 6, 3]).grouped(32, 4);
    /// ResNet50, twice as wide within blocks: 68.9 million parameters, images of 224×224.
    ///
    /// Zagoruyko and Komodakis 2016, <https://arxiv.org/abs/1605.07146>.
    wide_resnet50_2 => ResNet::bottleneck([3, 4, 6, 3]).grouped(1, 128);
    /// MobileNetV2 of width 0.5: 2.0 million parameters, images of 224×224.
    ///
    /// Sandler et al. 2018, <https://arxiv.org/abs/1801.04381>.
    mobilenetv2_050 => Mobile::mobilenet_v2(0.5);
    /// MobileNetV2 of width 1.0: 3.5 million parameters, images of 224×224.
    ///
    /// Sandler et al. 2018, <https://arxiv.org/abs/1801.04381>.
    mobilenetv2_100 => Mobile::mobilenet_v2(1.0);
    /// MobileNetV2 of width 1.4: 6.1 million parameters, images of 224×224.
    ///
    /// Sandler et al. 2018, <https://arxiv.org/abs/1801.04381>.
    mobilenetv2_140 => Mobile::mobilenet_v2(1.4);
    /// MobileNetV3, small, of width 0.5: 1.6 million parameters, images of 224×224.
    ///
    /// Howard et al. 2019, <https://arxiv.org/abs/1905.02244>.
    mobilenetv3_small_050 => Mobile::v3_small(0.5);
    /// MobileNetV3, small, of width 0.75: 2.0 million parameters, images of 224×224.
    ///
    /// Howard et al. 2019, <https://arxiv.org/abs/1905.02244>.
    mobilenetv3_small_075 => Mobile::v3_small(0.75);
    /// MobileNetV3, small, of width 1.0: 2.5 million parameters, images of 224×224.
    ///
    /// Howard et al. 2019, <https://arxiv.org/abs/1905.02244>.
    mobilenetv3_small_100 => Mobile::v3_small(1.0);
    /// MobileNetV3, large: 5.5 million parameters, images of 224×224.
    ///
    /// Howard et al. 2019, <https://arxiv.org/abs/1905.02244>.
    mobilenetv3_large_100 => Mobile::v3_large(1.0);
    /// MobileNetV3, small, as TensorFlow computes it: 2.5 million parameters, images of 224×224.
    ///
    /// Howard et al. 2019, <https://arxiv.org/abs/1905.02244>.
    tf_mobilenetv3_small_100 => Mobile::v3_small(1.0), same();
    /// MobileNetV3, large, as TensorFlow computes it: 5.5 million parameters, images of 224×224.
    ///
    /// Howard et al. 2019, <https://arxiv.org/abs/1905.02244>.
    tf_mobilenetv3_large_100 => Mobile::v3_large(1.0), same();
    /// EfficientNetB0: 5.3 million parameters, images of 224×224.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    efficientnet_b0 => Mobile::efficientnet(1.0, 1.0);
    /// EfficientNetB1: 7.8 million parameters, images of 240×240.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    efficientnet_b1 => Mobile::efficientnet(1.0, 1.1);
    /// EfficientNetB2: 9.1 million parameters, images of 256×256.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    efficientnet_b2 => Mobile::efficientnet(1.1, 1.2);
    /// EfficientNetB3: 12.2 million parameters, images of 288×288.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    efficientnet_b3 => Mobile::efficientnet(1.2, 1.4);
    /// EfficientNetB4: 19.3 million parameters, images of 320×320.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    efficientnet_b4 => Mobile::efficientnet(1.4, 1.8);
    /// EfficientNetB5: 30.4 million parameters, images of 448×448.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    efficientnet_b5 => Mobile::efficientnet(1.6, 2.2);
    /// EfficientNetB0, as TensorFlow computes it: 5.3 million parameters, images of 224×224.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    tf_efficientnet_b0 => Mobile::efficientnet(1.0, 1.0), same();
    /// EfficientNetB1, as TensorFlow computes it: 7.8 million parameters, images of 240×240.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    tf_efficientnet_b1 => Mobile::efficientnet(1.0, 1.1), same();
    /// EfficientNetB2, as TensorFlow computes it: 9.1 million parameters, images of 260×260.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    tf_efficientnet_b2 => Mobile::efficientnet(1.1, 1.2), same();
    /// EfficientNetB3, as TensorFlow computes it: 12.2 million parameters, images of 300×300.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    tf_efficientnet_b3 => Mobile::efficientnet(1.2, 1.4), same();
    /// EfficientNetB4, as TensorFlow computes it: 19.3 million parameters, images of 380×380.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    tf_efficientnet_b4 => Mobile::efficientnet(1.4, 1.8), same();
    /// EfficientNetB5, as TensorFlow computes it: 30.4 million parameters, images of 456×456.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    tf_efficientnet_b5 => Mobile::efficientnet(1.6, 2.2), same();
    /// EfficientNetB6, as TensorFlow computes it: 43.0 million parameters, images of 528×528.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    tf_efficientnet_b6 => Mobile::efficientnet(1.8, 2.6), same();
    /// EfficientNetB7, as TensorFlow computes it: 66.3 million parameters, images of 600×600.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    tf_efficientnet_b7 => Mobile::efficientnet(2.0, 3.1), same();
    /// EfficientNet-Lite0: 4.7 million parameters, images of 224×224.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    efficientnet_lite0 => Mobile::lite(1.0, 1.0);
    /// EfficientNet-Lite0, as TensorFlow computes it: 4.7 million parameters, images of 224×224.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    tf_efficientnet_lite0 => Mobile::lite(1.0, 1.0), same();
    /// EfficientNet-Lite1, as TensorFlow computes it: 5.4 million parameters, images of 240×240.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    tf_efficientnet_lite1 => Mobile::lite(1.0, 1.1), same();
    /// EfficientNet-Lite2, as TensorFlow computes it: 6.1 million parameters, images of 260×260.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    tf_efficientnet_lite2 => Mobile::lite(1.1, 1.2), same();
    /// EfficientNet-Lite3, as TensorFlow computes it: 8.2 million parameters, images of 300×300.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    tf_efficientnet_lite3 => Mobile::lite(1.2, 1.4), same();
    /// EfficientNet-Lite4, as TensorFlow computes it: 13.0 million parameters, images of 380×380.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    tf_efficientnet_lite4 => Mobile::lite(1.4, 1.8), same();
    /// EfficientNetV2B0, as TensorFlow computes it: 7.1 million parameters, images of 192×192.
    ///
    /// Tan and Le 2021, <https://arxiv.org/abs/2104.00298>.
    tf_efficientnetv2_b0 => Mobile::v2_base(1.0, 1.0), same();
    /// EfficientNetV2B1, as TensorFlow computes it: 8.1 million parameters, images of 192×192.
    ///
    /// Tan and Le 2021, <https://arxiv.org/abs/2104.00298>.
    tf_efficientnetv2_b1 => Mobile::v2_base(1.0, 1.1), same();
    /// EfficientNetV2B2, as TensorFlow computes it: 10.1 million parameters, images of 208×208.
    ///
    /// Tan and Le 2021, <https://arxiv.org/abs/2104.00298>.
    tf_efficientnetv2_b2 => Mobile::v2_base(1.1, 1.2), same();
    /// EfficientNetV2B3, as TensorFlow computes it: 14.4 million parameters, images of 240×240.
    ///
    /// Tan and Le 2021, <https://arxiv.org/abs/2104.00298>.
    tf_efficientnetv2_b3 => Mobile::v2_base(1.2, 1.4), same();
    /// EfficientNetV2S, as TensorFlow computes it: 21.5 million parameters, images of 300×300.
    ///
    /// Tan and Le 2021, <https://arxiv.org/abs/2104.00298>.
    tf_efficientnetv2_s => Mobile::v2_s(), same();
    /// EfficientNetV2M, as TensorFlow computes it: 54.1 million parameters, images of 384×384.
    ///
    /// Tan and Le 2021, <https://arxiv.org/abs/2104.00298>.
    tf_efficientnetv2_m => Mobile::v2_m(), same();
    /// EfficientNetV2L, as TensorFlow computes it: 118.5 million parameters, images of 384×384.
    ///
    /// Tan and Le 2021, <https://arxiv.org/abs/2104.00298>.
    tf_efficientnetv2_l => Mobile::v2_l(), same();
    /// GhostNet of width 0.5: 2.6 million parameters, images of 224×224.
    ///
    /// Han et al. 2019, <https://arxiv.org/abs/1911.11907>.
    ghostnet_050 => GhostNet::new(0.5), dropout(0.2);
    /// GhostNet of width 1.0: 5.2 million parameters, images of 224×224.
    ///
    /// Han et al. 2019, <https://arxiv.org/abs/1911.11907>.
    ghostnet_100 => GhostNet::new(1.0), dropout(0.2);
    /// GhostNet of width 1.3: 7.4 million parameters, images of 224×224.
    ///
    /// Han et al. 2019, <https://arxiv.org/abs/1911.11907>.
    ghostnet_130 => GhostNet::new(1.3), dropout(0.2);
    /// ConvNeXt, atto: 3.7 million parameters, images of 224×224.
    ///
    /// Liu et al. 2022, <https://arxiv.org/abs/2201.03545>.
    convnext_atto => ConvNeXt::timm([2, 2, 6, 2], 40).convolving(), epsilon(1e-6);
    /// ConvNeXt, femto: 5.2 million parameters, images of 224×224.
    ///
    /// Liu et al. 2022, <https://arxiv.org/abs/2201.03545>.
    convnext_femto => ConvNeXt::timm([2, 2, 6, 2], 48).convolving(), epsilon(1e-6);
    /// ConvNeXt, pico: 9.0 million parameters, images of 224×224.
    ///
    /// Liu et al. 2022, <https://arxiv.org/abs/2201.03545>.
    convnext_pico => ConvNeXt::timm([2, 2, 6, 2], 64).convolving(), epsilon(1e-6);
    /// ConvNeXt, nano: 15.6 million parameters, images of 224×224.
    ///
    /// Liu et al. 2022, <https://arxiv.org/abs/2201.03545>.
    convnext_nano => ConvNeXt::timm([2, 2, 8, 2], 80).convolving(), epsilon(1e-6);
    /// ConvNeXt, tiny: 28.6 million parameters, images of 224×224.
    ///
    /// Liu et al. 2022, <https://arxiv.org/abs/2201.03545>.
    convnext_tiny => ConvNeXt::timm([3, 3, 9, 3], 96), epsilon(1e-6);
    /// ConvNeXt, small: 50.2 million parameters, images of 224×224.
    ///
    /// Liu et al. 2022, <https://arxiv.org/abs/2201.03545>.
    convnext_small => ConvNeXt::timm([3, 3, 27, 3], 96), epsilon(1e-6);
    /// ConvNeXt, base: 88.6 million parameters, images of 224×224.
    ///
    /// Liu et al. 2022, <https://arxiv.org/abs/2201.03545>.
    convnext_base => ConvNeXt::timm([3, 3, 27, 3], 128), epsilon(1e-6);
    /// ConvNeXt, large: 197.8 million parameters, images of 224×224.
    ///
    /// Liu et al. 2022, <https://arxiv.org/abs/2201.03545>.
    convnext_large => ConvNeXt::timm([3, 3, 27, 3], 192), epsilon(1e-6);
    /// DenseNet121: 8.0 million parameters, images of 224×224.
    ///
    /// Huang et al. 2016, <https://arxiv.org/abs/1608.06993>.
    densenet121 => DenseNet::new([6, 12, 24, 16], 64, 32);
    /// DenseNet161: 28.7 million parameters, images of 224×224.
    ///
    /// Huang et al. 2016, <https://arxiv.org/abs/1608.06993>.
    densenet161 => DenseNet::new([6, 12, 36, 24], 96, 48);
    /// DenseNet169: 14.1 million parameters, images of 224×224.
    ///
    /// Huang et al. 2016, <https://arxiv.org/abs/1608.06993>.
    densenet169 => DenseNet::new([6, 12, 32, 32], 64, 32);
    /// DenseNet201: 20.0 million parameters, images of 224×224.
    ///
    /// Huang et al. 2016, <https://arxiv.org/abs/1608.06993>.
    densenet201 => DenseNet::new([6, 12, 48, 32], 64, 32);
}

/// The names that [`by_name`] knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    NETWORKS.iter().map(|(name, _)| *name)
}

/// The network with this name: `by_name("resnet50")?`, or with published weights of a tag:
/// `by_name("resnet50.a1_in1k")?`.
///
/// # Errors
/// [`Error::Setting`](crate::Error::Setting) for a name that is not known, with those most like it.
pub fn by_name(name: &str) -> Result<Application<PyTorchNetwork>> {
    super::by_name(Library::Timm, NETWORKS, name)
}
