//! torchvision's networks, under torchvision's names: built as the originals are, for evaluation and training: with
//! symmetric borders, PyTorch's moving statistics, and layers that are called as the modules are in state dicts.
//!
//! ```
//! use regraft::applications::torchvision;
//!
//! let backbone = torchvision::resnet18().input_shape([64, 64, 3]).classes(3).build()?;
//! assert!(backbone.model.get_layer("layer1.0.conv1").is_ok());
//! # Ok::<(), regraft::Error>(())
//! ```
//!
//! Weights are a file's (`.weights("resnet18-f37072fd.pth")`) or the published ones (`.pretrained()`), which are
//! looked for where [`weights`](crate::applications::weights) says, PyTorch's own cache among these. Outputs are
//! logits, as there. Pictures are `(samples, rows, columns, channels)` as everywhere here.
//!
//! What is drawn at random differs: the first weights (He's for convolutions, uniform up to 1 / √inputs for linear
//! layers, in all networks), dropout, and the branches that are left out.

use super::convnext::ConvNeXt;
use super::densenet::DenseNet;
use super::efficientnet::EfficientNet;
use super::inception_v3::InceptionV3;
use super::mobilenet::{MobileNetV2, MobileNetV3};
use super::regnet::RegNet;
use super::resnet::ResNet;
use super::shufflenet_v2::ShuffleNetV2;
use super::squeezenet::SqueezeNet;
use super::vgg::{AlexNet, Vgg};
use super::{Entry, Library, PyTorchNetwork, networks};
use crate::Result;
use crate::applications::Application;

networks! {
    Torchvision;
    /// ResNet18: 11.7 million parameters, images of 224×224.
    ///
    /// He et al. 2015, <https://arxiv.org/abs/1512.03385>.
    resnet18 => ResNet::basic([2, 2, 2, 2]);
    /// ResNet34: 21.8 million parameters, images of 224×224.
    ///
    /// He et al. 2015, <https://arxiv.org/abs/1512.03385>.
    resnet34 => ResNet::basic([3, 4, 6, 3]);
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
    /// ResNeXt50 with 32 groups of 4: 25.0 million parameters, images of 224×224.
    ///
    /// Xie et al. 2016, <https://arxiv.org/abs/1611.05431>.
    resnext50_32x4d => ResNet::bottleneck([3, 4, 6, 3]).grouped(32, 4);
    /// ResNeXt101 with 32 groups of 8: 88.8 million parameters, images of 224×224.
    ///
    /// Xie et al. 2016, <https://arxiv.org/abs/1611.05431>.
    resnext101_32x8d => ResNet::bottleneck([3, 4, 23, 3]).grouped(32, 8);
    /// ResNeXt101 with 64 groups of 4: 83.5 million parameters, images of 224×224.
    ///
    /// Xie et al. 2016, <https://arxiv.org/abs/1611.05431>.
    resnext101_64x4d => ResNet::bottleneck([3, 4, 23, 3]).grouped(64, 4);
    /// ResNet50, twice as wide within blocks: 68.9 million parameters, images of 224×224.
    ///
    /// Zagoruyko and Komodakis 2016, <https://arxiv.org/abs/1605.07146>.
    wide_resnet50_2 => ResNet::bottleneck([3, 4, 6, 3]).grouped(1, 128);
    /// ResNet101, twice as wide within blocks: 126.9 million parameters, images of 224×224.
    ///
    /// Zagoruyko and Komodakis 2016, <https://arxiv.org/abs/1605.07146>.
    wide_resnet101_2 => ResNet::bottleneck([3, 4, 23, 3]).grouped(1, 128);
    /// MobileNetV2: 3.5 million parameters, images of 224×224.
    ///
    /// Sandler et al. 2018, <https://arxiv.org/abs/1801.04381>.
    mobilenet_v2 => MobileNetV2, dropout(0.2);
    /// MobileNetV3, small: 2.5 million parameters, images of 224×224.
    ///
    /// Howard et al. 2019, <https://arxiv.org/abs/1905.02244>.
    mobilenet_v3_small => MobileNetV3::small(), epsilon(1e-3), momentum(0.01), dropout(0.2);
    /// MobileNetV3, large: 5.5 million parameters, images of 224×224.
    ///
    /// Howard et al. 2019, <https://arxiv.org/abs/1905.02244>.
    mobilenet_v3_large => MobileNetV3::large(), epsilon(1e-3), momentum(0.01), dropout(0.2);
    /// EfficientNetB0: 5.3 million parameters, images of 224×224.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    efficientnet_b0 => EfficientNet::v1(1.0, 1.0), dropout(0.2), drop_path(0.2);
    /// EfficientNetB1: 7.8 million parameters, images of 240×240.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    efficientnet_b1 => EfficientNet::v1(1.0, 1.1), dropout(0.2), drop_path(0.2);
    /// EfficientNetB2: 9.1 million parameters, images of 288×288.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    efficientnet_b2 => EfficientNet::v1(1.1, 1.2), dropout(0.3), drop_path(0.2);
    /// EfficientNetB3: 12.2 million parameters, images of 300×300.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    efficientnet_b3 => EfficientNet::v1(1.2, 1.4), dropout(0.3), drop_path(0.2);
    /// EfficientNetB4: 19.3 million parameters, images of 380×380.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    efficientnet_b4 => EfficientNet::v1(1.4, 1.8), dropout(0.4), drop_path(0.2);
    /// EfficientNetB5: 30.4 million parameters, images of 456×456.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    efficientnet_b5 => EfficientNet::v1(1.6, 2.2), dropout(0.4), drop_path(0.2), epsilon(1e-3), momentum(0.01);
    /// EfficientNetB6: 43.0 million parameters, images of 528×528.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    efficientnet_b6 => EfficientNet::v1(1.8, 2.6), dropout(0.5), drop_path(0.2), epsilon(1e-3), momentum(0.01);
    /// EfficientNetB7: 66.3 million parameters, images of 600×600.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    efficientnet_b7 => EfficientNet::v1(2.0, 3.1), dropout(0.5), drop_path(0.2), epsilon(1e-3), momentum(0.01);
    /// EfficientNetV2S: 21.5 million parameters, images of 384×384.
    ///
    /// Tan and Le 2021, <https://arxiv.org/abs/2104.00298>.
    efficientnet_v2_s => EfficientNet::s(), dropout(0.2), drop_path(0.2), epsilon(1e-3);
    /// EfficientNetV2M: 54.1 million parameters, images of 480×480.
    ///
    /// Tan and Le 2021, <https://arxiv.org/abs/2104.00298>.
    efficientnet_v2_m => EfficientNet::m(), dropout(0.3), drop_path(0.2), epsilon(1e-3);
    /// EfficientNetV2L: 118.5 million parameters, images of 480×480.
    ///
    /// Tan and Le 2021, <https://arxiv.org/abs/2104.00298>.
    efficientnet_v2_l => EfficientNet::l(), dropout(0.4), drop_path(0.2), epsilon(1e-3);
    /// RegNetY of 400 million operations: 4.3 million parameters, images of 224×224.
    ///
    /// Radosavovic et al. 2020, <https://arxiv.org/abs/2003.13678>.
    regnet_y_400mf => RegNet::y(16, 48, 27.89, 2.09, 8);
    /// RegNetY of 800 million operations: 6.4 million parameters, images of 224×224.
    ///
    /// Radosavovic et al. 2020, <https://arxiv.org/abs/2003.13678>.
    regnet_y_800mf => RegNet::y(14, 56, 38.84, 2.4, 16);
    /// RegNetY of 1,600 million operations: 11.2 million parameters, images of 224×224.
    ///
    /// Radosavovic et al. 2020, <https://arxiv.org/abs/2003.13678>.
    regnet_y_1_6gf => RegNet::y(27, 48, 20.71, 2.65, 24);
    /// RegNetY of 3,200 million operations: 19.4 million parameters, images of 224×224.
    ///
    /// Radosavovic et al. 2020, <https://arxiv.org/abs/2003.13678>.
    regnet_y_3_2gf => RegNet::y(21, 80, 42.63, 2.66, 24);
    /// RegNetY of 8,000 million operations: 39.4 million parameters, images of 224×224.
    ///
    /// Radosavovic et al. 2020, <https://arxiv.org/abs/2003.13678>.
    regnet_y_8gf => RegNet::y(17, 192, 76.82, 2.19, 56);
    /// RegNetY of 16,000 million operations: 83.6 million parameters, images of 224×224.
    ///
    /// Radosavovic et al. 2020, <https://arxiv.org/abs/2003.13678>.
    regnet_y_16gf => RegNet::y(18, 200, 106.23, 2.48, 112);
    /// RegNetY of 32,000 million operations: 145.0 million parameters, images of 224×224.
    ///
    /// Radosavovic et al. 2020, <https://arxiv.org/abs/2003.13678>.
    regnet_y_32gf => RegNet::y(20, 232, 115.89, 2.53, 232);
    /// RegNetX of 400 million operations: 5.5 million parameters, images of 224×224.
    ///
    /// Radosavovic et al. 2020, <https://arxiv.org/abs/2003.13678>.
    regnet_x_400mf => RegNet::x(22, 24, 24.48, 2.54, 16);
    /// RegNetX of 800 million operations: 7.3 million parameters, images of 224×224.
    ///
    /// Radosavovic et al. 2020, <https://arxiv.org/abs/2003.13678>.
    regnet_x_800mf => RegNet::x(16, 56, 35.73, 2.28, 16);
    /// RegNetX of 1,600 million operations: 9.2 million parameters, images of 224×224.
    ///
    /// Radosavovic et al. 2020, <https://arxiv.org/abs/2003.13678>.
    regnet_x_1_6gf => RegNet::x(18, 80, 34.01, 2.25, 24);
    /// RegNetX of 3,200 million operations: 15.3 million parameters, images of 224×224.
    ///
    /// Radosavovic et al. 2020, <https://arxiv.org/abs/2003.13678>.
    regnet_x_3_2gf => RegNet::x(25, 88, 26.31, 2.25, 48);
    /// RegNetX of 8,000 million operations: 39.6 million parameters, images of 224×224.
    ///
    /// Radosavovic et al. 2020, <https://arxiv.org/abs/2003.13678>.
    regnet_x_8gf => RegNet::x(23, 80, 49.56, 2.88, 120);
    /// RegNetX of 16,000 million operations: 54.3 million parameters, images of 224×224.
    ///
    /// Radosavovic et al. 2020, <https://arxiv.org/abs/2003.13678>.
    regnet_x_16gf => RegNet::x(22, 216, 55.59, 2.1, 128);
    /// RegNetX of 32,000 million operations: 107.8 million parameters, images of 224×224.
    ///
    /// Radosavovic et al. 2020, <https://arxiv.org/abs/2003.13678>.
    regnet_x_32gf => RegNet::x(23, 320, 69.86, 2.0, 168);
    /// ConvNeXt, tiny: 28.6 million parameters, images of 224×224.
    ///
    /// Liu et al. 2022, <https://arxiv.org/abs/2201.03545>.
    convnext_tiny => ConvNeXt::torchvision([3, 3, 9, 3], 96), epsilon(1e-6), drop_path(0.1);
    /// ConvNeXt, small: 50.2 million parameters, images of 224×224.
    ///
    /// Liu et al. 2022, <https://arxiv.org/abs/2201.03545>.
    convnext_small => ConvNeXt::torchvision([3, 3, 27, 3], 96), epsilon(1e-6), drop_path(0.4);
    /// ConvNeXt, base: 88.6 million parameters, images of 224×224.
    ///
    /// Liu et al. 2022, <https://arxiv.org/abs/2201.03545>.
    convnext_base => ConvNeXt::torchvision([3, 3, 27, 3], 128), epsilon(1e-6), drop_path(0.5);
    /// ConvNeXt, large: 197.8 million parameters, images of 224×224.
    ///
    /// Liu et al. 2022, <https://arxiv.org/abs/2201.03545>.
    convnext_large => ConvNeXt::torchvision([3, 3, 27, 3], 192), epsilon(1e-6), drop_path(0.5);
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
    /// VGG11: 132.9 million parameters, images of 224×224.
    ///
    /// Simonyan and Zisserman 2014, <https://arxiv.org/abs/1409.1556>.
    vgg11 => Vgg::new([1, 1, 2, 2, 2]), dropout(0.5);
    /// VGG11 with batch normalization: 132.9 million parameters, images of 224×224.
    ///
    /// Simonyan and Zisserman 2014, <https://arxiv.org/abs/1409.1556>.
    vgg11_bn => Vgg::new([1, 1, 2, 2, 2]).bn(), dropout(0.5);
    /// VGG13: 133.0 million parameters, images of 224×224.
    ///
    /// Simonyan and Zisserman 2014, <https://arxiv.org/abs/1409.1556>.
    vgg13 => Vgg::new([2, 2, 2, 2, 2]), dropout(0.5);
    /// VGG13 with batch normalization: 133.1 million parameters, images of 224×224.
    ///
    /// Simonyan and Zisserman 2014, <https://arxiv.org/abs/1409.1556>.
    vgg13_bn => Vgg::new([2, 2, 2, 2, 2]).bn(), dropout(0.5);
    /// VGG16: 138.4 million parameters, images of 224×224.
    ///
    /// Simonyan and Zisserman 2014, <https://arxiv.org/abs/1409.1556>.
    vgg16 => Vgg::new([2, 2, 3, 3, 3]), dropout(0.5);
    /// VGG16 with batch normalization: 138.4 million parameters, images of 224×224.
    ///
    /// Simonyan and Zisserman 2014, <https://arxiv.org/abs/1409.1556>.
    vgg16_bn => Vgg::new([2, 2, 3, 3, 3]).bn(), dropout(0.5);
    /// VGG19: 143.7 million parameters, images of 224×224.
    ///
    /// Simonyan and Zisserman 2014, <https://arxiv.org/abs/1409.1556>.
    vgg19 => Vgg::new([2, 2, 4, 4, 4]), dropout(0.5);
    /// VGG19 with batch normalization: 143.7 million parameters, images of 224×224.
    ///
    /// Simonyan and Zisserman 2014, <https://arxiv.org/abs/1409.1556>.
    vgg19_bn => Vgg::new([2, 2, 4, 4, 4]).bn(), dropout(0.5);
    /// InceptionV3: 23.8 million parameters, images of 299×299.
    ///
    /// The second classifier, which it has in training, is not there; its tensors in a file are left aside.
    /// Szegedy et al. 2015, <https://arxiv.org/abs/1512.00567>.
    inception_v3 => InceptionV3, epsilon(1e-3), dropout(0.5);
    /// SqueezeNet 1.0: 1.2 million parameters, images of 224×224.
    ///
    /// Iandola et al. 2016, <https://arxiv.org/abs/1602.07360>.
    squeezenet1_0 => SqueezeNet::v1_0(), dropout(0.5);
    /// SqueezeNet 1.1: 1.2 million parameters, images of 224×224.
    ///
    /// Iandola et al. 2016, <https://arxiv.org/abs/1602.07360>.
    squeezenet1_1 => SqueezeNet::v1_1(), dropout(0.5);
    /// ShuffleNetV2, 0.5 times as wide: 1.4 million parameters, images of 224×224.
    ///
    /// Ma et al. 2018, <https://arxiv.org/abs/1807.11164>.
    shufflenet_v2_x0_5 => ShuffleNetV2::new([48, 96, 192, 1024]);
    /// ShuffleNetV2, 1.0 times as wide: 2.3 million parameters, images of 224×224.
    ///
    /// Ma et al. 2018, <https://arxiv.org/abs/1807.11164>.
    shufflenet_v2_x1_0 => ShuffleNetV2::new([116, 232, 464, 1024]);
    /// ShuffleNetV2, 1.5 times as wide: 3.5 million parameters, images of 224×224.
    ///
    /// Ma et al. 2018, <https://arxiv.org/abs/1807.11164>.
    shufflenet_v2_x1_5 => ShuffleNetV2::new([176, 352, 704, 1024]);
    /// ShuffleNetV2, 2.0 times as wide: 7.4 million parameters, images of 224×224.
    ///
    /// Ma et al. 2018, <https://arxiv.org/abs/1807.11164>.
    shufflenet_v2_x2_0 => ShuffleNetV2::new([244, 488, 976, 2048]);
    /// AlexNet, at least 63×63: 61.1 million parameters, images of 224×224.
    ///
    /// Krizhevsky 2014, <https://arxiv.org/abs/1404.5997>.
    alexnet => AlexNet, dropout(0.5);
}

/// The names that [`by_name`] knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    NETWORKS.iter().map(|(name, _)| *name)
}

/// The network with this name: `by_name("resnet18")?`, or with published weights of a tag:
/// `by_name("resnet50.IMAGENET1K_V1")?`.
///
/// # Errors
/// [`Error::Setting`](crate::Error::Setting) for a name that is not known, with those most like it.
pub fn by_name(name: &str) -> Result<Application<PyTorchNetwork>> {
    super::by_name(Library::Torchvision, NETWORKS, name)
}
