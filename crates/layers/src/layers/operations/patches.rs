//! Windows over images and sequences, each as a row.

use regraft_autograd::{Dim, Var};
use regraft_tensor::Detail;
use regraft_tensor::kernels::window::Window;
use serde_json::Value;

use super::arguments::Arguments;
use super::declaration::{Declared, IMAGE, MATH, NN, Takes, X, one};
use super::neural::{channels_last, in_format, per_axis, window};
use super::typed::{Typed, floats};
use crate::settings::require;

type Results<'g> = Result<Vec<Typed<'g>>, Detail>;

pub(super) const TABLE: &[Declared] = &[
    Declared::new("ExtractPatches", Takes::Values(&["images"]), extract).within(IMAGE),
    Declared::new("Unfold", X, unfold).within(NN),
    Declared::new("ExtractSequences", X, |a| {
        let x = a.tensor("x")?;
        let size = a.settings.required::<usize>("sequence_length")?;
        let stride = a.settings.required::<usize>("sequence_stride")?;
        one(x.with(frames(x.var, size, stride)?))
    })
    .within(MATH),
];

/// Windows of `size` cells of the last axis, `stride` apart: `[…, cells] → […, windows, size]`.
pub(super) fn frames(x: Var<'_>, size: usize, stride: usize) -> Result<Var<'_>, Detail> {
    let mut dims = x.shape().dims().to_vec();
    let Some(Dim::Fixed(cells)) = dims.pop() else {
        return Err(Detail::new("x", "a last axis besides the batch", x.shape()));
    };
    require(stride > 0, "sequence_stride", "at least 1", stride)?;
    let expected = format!("from 1 to {cells} cells");
    require(
        (1..=cells).contains(&size),
        "sequence_length",
        &expected,
        size,
    )?;
    let count = 1 + (cells - size) / stride;
    let places = (0..count).flat_map(|at| (0..size).map(move |cell| at * stride + cell));
    let taken = x.pick(dims.len(), super::indices(places));
    dims.extend([count, size].map(Dim::Fixed));
    Ok(taken.reshape(dims))
}

/// The windows over `x`, channels last, each with its cells in a row: a convolution whose kernel passes
/// each cell on.
fn patches<'g>(x: Var<'g>, window: Window, size: &[usize]) -> Var<'g> {
    let channels = x.shape().dims()[size.len() + 1].size(0);
    let numbers = size.iter().product::<usize>() * channels;
    let one = |at: usize| f32::from(u8::from(at.is_multiple_of(numbers + 1)));
    let kernel = (0..numbers * numbers).map(one).collect();
    let kernel = floats(x.graph(), [size, &[channels, numbers]].concat(), kernel);
    x.convolution(kernel, window, 1)
}

fn extract<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("images")?;
    let first = !channels_last(a)?;
    let axes = match a.settings.value("size").and_then(|size| size.as_array()) {
        Some(sizes) => sizes.len(),
        None => 2,
    };
    let fits = (2..=3).contains(&axes) && x.rank() == axes + 2;
    let expected = format!("a batch of images of {axes} axes and channels");
    require(fits, "images", &expected, x.shape().to_string())?;
    let Some(size) = per_axis(a, "size", axes, first)? else {
        return Err(a
            .settings
            .wrong("size", "the size of a patch", &Value::Null));
    };
    let strides = per_axis(a, "strides", axes, first)?.unwrap_or(size.clone());
    let dilation = per_axis(a, "dilation_rate", axes, first)?;
    let of = x.of;
    let taken = in_format(x.to_float(), first, |x| {
        Ok(patches(
            x,
            window(a, &size, Some(strides), dilation, x)?,
            &size,
        ))
    })?;
    one(taken.to(of))
}

/// Of images with the channels first: a column for each window, of all its cells of each channel in turn.
fn unfold<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("x")?;
    let expected = "images (batch, channels, rows, columns)";
    require(x.rank() == 4, "x", expected, x.shape().to_string())?;
    let pair = |name| per_axis(a, name, 2, true);
    let Some(size) = pair("kernel_size")? else {
        return Err(a
            .settings
            .wrong("kernel_size", "the size of a window", &Value::Null));
    };
    let [dilation, strides] =
        ["dilation", "stride"].map(|name| pair(name).map(|it| it.unwrap_or(vec![1; 2])));
    let padding = a.settings.get::<Vec<usize>>("padding")?.unwrap_or(vec![0]);
    let padding: Vec<(usize, usize)> = padding.iter().cycle().take(2).map(|&by| (by, by)).collect();
    let window = Window::new(&size)
        .strides(&strides?)
        .dilation(&dilation?)
        .padding(&padding);
    let of = x.of;
    let batch = x.shape().dims()[0];
    let channels = x.size(1);
    let rows = patches(x.floats().permute(&[0, 2, 3, 1]), window, &size);
    let windows: usize = [1, 2]
        .map(|axis| rows.shape().dims()[axis].size(0))
        .iter()
        .product();
    let cells: usize = size.iter().product();
    let sizes = |sizes: &[usize]| -> Vec<Dim> {
        std::iter::once(batch)
            .chain(sizes.iter().copied().map(Dim::Fixed))
            .collect()
    };
    let by_channel = rows
        .reshape(sizes(&[windows, cells, channels]))
        .permute(&[0, 3, 2, 1]);
    let y = by_channel.reshape(sizes(&[channels * cells, windows]));
    one(x.to_float().with(y).to(of))
}
