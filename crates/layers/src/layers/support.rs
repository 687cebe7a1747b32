//! What several layers need: checks of inputs and settings, axes, and pieces of configurations.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::{Detail, Tensor};
use serde_json::Value;

use crate::settings::{Given, IntoSetting, Map, Setting, Settings, resolve};

/// What Keras' own adapters and quantized forms leave in a layer's settings.
pub(crate) fn adapted_or_quantized(settings: &Settings<'_>) -> Result<(), Detail> {
    // It would change what is computed.
    settings.unsupported(&["quantization_config"])?;
    // Files hold the sum of the weight and its update, or it is made on reading.
    settings.ignore(&["lora_rank", "lora_alpha"]);
    Ok(())
}

/// The only input.
pub(crate) fn single(inputs: &[Shape]) -> Result<&Shape, Detail> {
    match inputs {
        [input] => Ok(input),
        _ => Err(Detail::new(
            "",
            "1 input",
            format!("{} of them", inputs.len()),
        )),
    }
}

/// The only input, which must have `rank` axes.
pub(crate) fn of_rank(inputs: &[Shape], rank: usize) -> Result<&Shape, Detail> {
    let input = single(inputs)?;
    match input.rank() == rank {
        true => Ok(input),
        false => Err(Detail::new("", format!("an input of {rank} axes"), input)),
    }
}

/// The size of the last axis of the only input.
pub(crate) fn features(inputs: &[Shape]) -> Result<usize, Detail> {
    let input = single(inputs)?;
    match input.dims() {
        [_, .., Dim::Fixed(features)] => Ok(*features),
        _ => Err(Detail::new("", "an input (batch, …, features)", input)),
    }
}

/// The axes of `input` that these numbers mean, and their sizes. The batch is not among them.
pub(crate) fn fixed_axes(
    axes: &[isize],
    input: &Shape,
) -> Result<(Vec<usize>, Vec<usize>), Detail> {
    let resolved = resolve(axes, input.rank())?;
    let size = |&axis: &usize| {
        let size = input.dims()[axis].fixed();
        size.ok_or_else(|| Detail::new("axis", "axes other than the batch", input))
    };
    let sizes = resolved.iter().map(size).collect::<Result<_, _>>()?;
    Ok((resolved, sizes))
}

/// The axes of `x` that these numbers mean; what does not fit was found when the layer was built.
pub(crate) fn axes_of(axes: &[isize], x: Var<'_>) -> Vec<usize> {
    resolve(axes, x.shape().rank()).unwrap_or_default()
}

/// The axes of `x` that are not among `axes`.
pub(crate) fn other_axes(axes: &[usize], x: Var<'_>) -> Vec<usize> {
    let all = 0..x.shape().rank();
    all.filter(|axis| !axes.contains(axis)).collect()
}

/// A weight with one axis for each of `axes` of `x`, shaped so that it goes with `x`.
pub(crate) fn along<'g>(weight: Var<'g>, axes: &[usize], x: Var<'g>) -> Var<'g> {
    let shape = x.shape();
    let last = (shape.rank() - axes.len())..shape.rank();
    if last.eq(axes.iter().copied()) {
        return weight;
    }
    let at = |axis: usize| match axes.contains(&axis) {
        true => shape.dims()[axis],
        false => Dim::Fixed(1),
    };
    weight.reshape((0..shape.rank()).map(at).collect::<Shape>())
}

/// A row of numbers.
pub(crate) fn row(values: &[f32]) -> Tensor {
    let mut row = Tensor::zeros([values.len()]);
    row.as_mut_slice().copy_from_slice(values);
    row
}

/// A configuration written with `json!`.
pub(crate) fn object(value: Value) -> Map {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// One axis, which older files have in a list.
#[derive(Clone, Copy, Debug)]
pub struct OneAxis(pub isize);

impl Setting for OneAxis {
    fn read(given: Given<'_>) -> Result<Self, Detail> {
        match Vec::<isize>::read(given)?[..] {
            [axis] => Ok(OneAxis(axis)),
            _ => Err(given.wrong("one axis")),
        }
    }

    fn write(&self) -> Value {
        self.0.into()
    }
}

impl IntoSetting<OneAxis> for isize {
    fn into_setting(self) -> OneAxis {
        OneAxis(self)
    }
}

/// A whole number that is not negative.
pub(crate) fn as_size(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|size| size.try_into().ok())
}
