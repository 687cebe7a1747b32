//! torchvision's InceptionV3, without the second classifier that it has in training.

use regraft_layers::{LayerOutput, Result};

use super::network::Body;
use super::writer::{Conv, Torch};

#[derive(Clone, Copy, Debug)]
pub(super) struct InceptionV3;

/// A convolution of a branch: its name, filters, window, stride and border.
type Step = (&'static str, usize, [usize; 2], usize, [usize; 2]);

/// A convolution that keeps the size.
const fn step(name: &'static str, filters: usize, kernel: [usize; 2]) -> Step {
    let border = [(kernel[0] - 1) / 2, (kernel[1] - 1) / 2];
    (name, filters, kernel, 1, border)
}

/// A 3×3 convolution of stride 2 without border.
const fn halving(name: &'static str, filters: usize) -> Step {
    (name, filters, [3, 3], 2, [0, 0])
}

fn conv(
    torch: &mut Torch<'_, '_>,
    name: &str,
    (filters, kernel, stride, border): (usize, [usize; 2], usize, [usize; 2]),
    x: LayerOutput,
) -> Result<LayerOutput> {
    let mut conv = Conv::of_window(filters, kernel).stride(stride);
    if border == [0, 0] {
        conv = conv.padding(0);
    }
    let x = torch.conv(&format!("{name}.conv"), conv, x)?;
    let x = torch.norm(&format!("{name}.bn"), x)?;
    torch.act(name, "relu", x)
}

/// The convolutions of a branch, one after the other.
fn branch(
    torch: &mut Torch<'_, '_>,
    prefix: &str,
    steps: &[Step],
    mut x: LayerOutput,
) -> Result<LayerOutput> {
    for &(name, filters, kernel, stride, border) in steps {
        let name = format!("{prefix}.{name}");
        x = conv(torch, &name, (filters, kernel, stride, border), x)?;
    }
    Ok(x)
}

/// The mean of each pixel and what is around it, zeros at the border, and then a convolution.
fn pooled(
    torch: &mut Torch<'_, '_>,
    prefix: &str,
    filters: usize,
    x: LayerOutput,
) -> Result<LayerOutput> {
    let x = torch.mean_pool(&format!("{prefix}.pool"), [3, 1, 1], x)?;
    branch(torch, prefix, &[step("branch_pool", filters, [1, 1])], x)
}

impl InceptionV3 {
    fn a(
        torch: &mut Torch<'_, '_>,
        name: &str,
        pool: usize,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        let one = branch(torch, name, &[step("branch1x1", 64, [1, 1])], x)?;
        let five = [
            step("branch5x5_1", 48, [1, 1]),
            step("branch5x5_2", 64, [5, 5]),
        ];
        let five = branch(torch, name, &five, x)?;
        let three = [
            step("branch3x3dbl_1", 64, [1, 1]),
            step("branch3x3dbl_2", 96, [3, 3]),
            step("branch3x3dbl_3", 96, [3, 3]),
        ];
        let three = branch(torch, name, &three, x)?;
        let pool = pooled(torch, name, pool, x)?;
        torch.concat(name, &[one, five, three, pool])
    }

    fn b(torch: &mut Torch<'_, '_>, name: &str, x: LayerOutput) -> Result<LayerOutput> {
        let three = branch(torch, name, &[halving("branch3x3", 384)], x)?;
        let double = [
            step("branch3x3dbl_1", 64, [1, 1]),
            step("branch3x3dbl_2", 96, [3, 3]),
            halving("branch3x3dbl_3", 96),
        ];
        let double = branch(torch, name, &double, x)?;
        let pool = torch.max_pool(&format!("{name}.pool"), [3, 2, 0], x)?;
        torch.concat(name, &[three, double, pool])
    }

    fn c(
        torch: &mut Torch<'_, '_>,
        name: &str,
        width: usize,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        let one = branch(torch, name, &[step("branch1x1", 192, [1, 1])], x)?;
        let seven = [
            step("branch7x7_1", width, [1, 1]),
            step("branch7x7_2", width, [1, 7]),
            step("branch7x7_3", 192, [7, 1]),
        ];
        let seven = branch(torch, name, &seven, x)?;
        let double = [
            step("branch7x7dbl_1", width, [1, 1]),
            step("branch7x7dbl_2", width, [7, 1]),
            step("branch7x7dbl_3", width, [1, 7]),
            step("branch7x7dbl_4", width, [7, 1]),
            step("branch7x7dbl_5", 192, [1, 7]),
        ];
        let double = branch(torch, name, &double, x)?;
        let pool = pooled(torch, name, 192, x)?;
        torch.concat(name, &[one, seven, double, pool])
    }

    fn d(torch: &mut Torch<'_, '_>, name: &str, x: LayerOutput) -> Result<LayerOutput> {
        let three = [
            step("branch3x3_1", 192, [1, 1]),
            halving("branch3x3_2", 320),
        ];
        let three = branch(torch, name, &three, x)?;
        let seven = [
            step("branch7x7x3_1", 192, [1, 1]),
            step("branch7x7x3_2", 192, [1, 7]),
            step("branch7x7x3_3", 192, [7, 1]),
            halving("branch7x7x3_4", 192),
        ];
        let seven = branch(torch, name, &seven, x)?;
        let pool = torch.max_pool(&format!("{name}.pool"), [3, 2, 0], x)?;
        torch.concat(name, &[three, seven, pool])
    }

    fn e(torch: &mut Torch<'_, '_>, name: &str, x: LayerOutput) -> Result<LayerOutput> {
        let one = branch(torch, name, &[step("branch1x1", 320, [1, 1])], x)?;
        let three = branch(torch, name, &[step("branch3x3_1", 384, [1, 1])], x)?;
        let wide = branch(torch, name, &[step("branch3x3_2a", 384, [1, 3])], three)?;
        let high = branch(torch, name, &[step("branch3x3_2b", 384, [3, 1])], three)?;
        let three = torch.concat(&format!("{name}.branch3x3"), &[wide, high])?;
        let double = [
            step("branch3x3dbl_1", 448, [1, 1]),
            step("branch3x3dbl_2", 384, [3, 3]),
        ];
        let double = branch(torch, name, &double, x)?;
        let wide = branch(torch, name, &[step("branch3x3dbl_3a", 384, [1, 3])], double)?;
        let high = branch(torch, name, &[step("branch3x3dbl_3b", 384, [3, 1])], double)?;
        let double = torch.concat(&format!("{name}.branch3x3dbl"), &[wide, high])?;
        let pool = pooled(torch, name, 192, x)?;
        torch.concat(name, &[one, three, double, pool])
    }
}

impl Body for InceptionV3 {
    fn features(&self, torch: &mut Torch<'_, '_>, image: LayerOutput) -> Result<LayerOutput> {
        let mut x = conv(torch, "Conv2d_1a_3x3", (32, [3, 3], 2, [0, 0]), image)?;
        x = conv(torch, "Conv2d_2a_3x3", (32, [3, 3], 1, [0, 0]), x)?;
        x = conv(torch, "Conv2d_2b_3x3", (64, [3, 3], 1, [1, 1]), x)?;
        x = torch.max_pool("maxpool1", [3, 2, 0], x)?;
        x = conv(torch, "Conv2d_3b_1x1", (80, [1, 1], 1, [0, 0]), x)?;
        x = conv(torch, "Conv2d_4a_3x3", (192, [3, 3], 1, [0, 0]), x)?;
        x = torch.max_pool("maxpool2", [3, 2, 0], x)?;
        for (name, pool) in [("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)] {
            x = Self::a(torch, name, pool, x)?;
        }
        x = Self::b(torch, "Mixed_6a", x)?;
        for (name, width) in [
            ("Mixed_6b", 128),
            ("Mixed_6c", 160),
            ("Mixed_6d", 160),
            ("Mixed_6e", 192),
        ] {
            x = Self::c(torch, name, width, x)?;
        }
        x = Self::d(torch, "Mixed_7a", x)?;
        x = Self::e(torch, "Mixed_7b", x)?;
        Self::e(torch, "Mixed_7c", x)
    }

    fn classifier(&self) -> &'static str {
        "fc"
    }

    fn stages(&self) -> Vec<String> {
        let names = [
            "Conv2d_2b_3x3",
            "Conv2d_4a_3x3",
            "Mixed_5d",
            "Mixed_6e",
            "Mixed_7c",
        ];
        names.map(str::to_string).to_vec()
    }

    fn first(&self) -> &'static str {
        "Conv2d_1a_3x3.conv"
    }

    fn beside(&self) -> &'static [&'static str] {
        &["fc.", "AuxLogits."]
    }

    fn minimum_size(&self) -> usize {
        75
    }
}
