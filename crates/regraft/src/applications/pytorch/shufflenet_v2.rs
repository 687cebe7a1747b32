//! torchvision's ShuffleNetV2: half of the channels pass by, and then all are mixed.

use regraft_layers::layers::{Operation, Permute, Reshape};
use regraft_layers::{LayerOutput, Result};
use serde_json::json;

use super::network::Body;
use super::writer::{Conv, Torch};

#[derive(Clone, Copy, Debug)]
pub(super) struct ShuffleNetV2 {
    /// The filters of the three stages and of the last convolution.
    filters: [usize; 4],
}

const REPEATS: [usize; 3] = [4, 8, 4];

impl ShuffleNetV2 {
    pub const fn new(filters: [usize; 4]) -> Self {
        ShuffleNetV2 { filters }
    }
}

/// The channels in two halves, one of the first and one of the second in turn.
fn shuffled(torch: &mut Torch<'_, '_>, name: &str, x: LayerOutput) -> Result<LayerOutput> {
    let sizes = torch.blocks.sizes(x);
    let [rows, columns, channels] = [0, 1, 2].map(|axis| sizes[axis] as isize);
    let halves = Reshape::new([rows, columns, 2, channels / 2]);
    let x = torch.blocks.apply(format!("{name}.halves"), halves, x)?;
    let x = torch
        .blocks
        .apply(format!("{name}.mixed"), Permute::new([1, 2, 4, 3]), x)?;
    torch
        .blocks
        .apply(name, Reshape::new([rows, columns, channels]), x)
}

/// The first or the second half of the channels.
fn half(
    torch: &mut Torch<'_, '_>,
    name: &str,
    second: bool,
    x: LayerOutput,
) -> Result<LayerOutput> {
    let middle = torch.channels(x) / 2;
    let [start, stop] = match second {
        true => [json!(middle), json!(null)],
        false => [json!(null), json!(middle)],
    };
    let slice = json!({ "start": start, "stop": stop, "step": null });
    let channels = json!({ "class_name": "__slice__", "config": slice });
    let entries = json!([{ "class_name": "__ellipsis__", "config": {} }, channels]);
    let key = json!({ "class_name": "__tuple__", "config": { "value": entries } });
    let settings = [("key".to_string(), key)].into_iter().collect();
    let slice = Operation::with_settings("GetItem", &settings);
    torch.blocks.apply(name, slice, x)
}

/// Convolutions with their normalizations, and activations where there are some: modules of one sequence.
fn sequence(
    torch: &mut Torch<'_, '_>,
    prefix: &str,
    convs: &[(Conv, bool)],
    mut x: LayerOutput,
) -> Result<LayerOutput> {
    let mut parts = (0..).map(|part| format!("{prefix}.{part}"));
    let mut part = || parts.next().expect("numbers do not end");
    for &(conv, activates) in convs {
        x = torch.conv(&part(), conv, x)?;
        x = torch.norm(&part(), x)?;
        if activates {
            x = torch.act(&part(), "relu", x)?;
        }
    }
    Ok(x)
}

fn block(
    torch: &mut Torch<'_, '_>,
    name: &str,
    [filters, stride]: [usize; 2],
    x: LayerOutput,
) -> Result<LayerOutput> {
    let channels = torch.channels(x);
    let each = filters / 2;
    let depthwise = |channels: usize| Conv::new(channels, 3).stride(stride).groups(channels);
    let named = |part: &str| format!("{name}.{part}");
    let [one, two] = match stride {
        1 => [
            half(torch, &named("first"), false, x)?,
            half(torch, &named("second"), true, x)?,
        ],
        _ => {
            let convs = [(depthwise(channels), false), (Conv::new(each, 1), true)];
            [sequence(torch, &named("branch1"), &convs, x)?, x]
        }
    };
    let convs = [
        (Conv::new(each, 1), true),
        (depthwise(each), false),
        (Conv::new(each, 1), true),
    ];
    let two = sequence(torch, &named("branch2"), &convs, two)?;
    let both = torch.concat(&named("cat"), &[one, two])?;
    shuffled(torch, name, both)
}

impl Body for ShuffleNetV2 {
    fn features(&self, torch: &mut Torch<'_, '_>, image: LayerOutput) -> Result<LayerOutput> {
        let stem = Conv::new(24, 3).stride(2);
        let mut x = torch.conv_norm_act("conv1", stem, Some("relu"), image)?;
        x = torch.max_pool("maxpool", [3, 2, 1], x)?;
        for (stage, repeats) in REPEATS.into_iter().enumerate() {
            for position in 0..repeats {
                let name = format!("stage{}.{position}", stage + 2);
                let stride = if position == 0 { 2 } else { 1 };
                x = block(torch, &name, [self.filters[stage], stride], x)?;
            }
        }
        torch.conv_norm_act("conv5", Conv::new(self.filters[3], 1), Some("relu"), x)
    }

    fn classifier(&self) -> &'static str {
        "fc"
    }

    fn stages(&self) -> Vec<String> {
        let names = ["conv1.2", "maxpool", "stage2.3", "stage3.7", "conv5.2"];
        names.map(str::to_string).to_vec()
    }

    fn first(&self) -> &'static str {
        "conv1.0"
    }

    fn beside(&self) -> &'static [&'static str] {
        &["fc."]
    }
}
