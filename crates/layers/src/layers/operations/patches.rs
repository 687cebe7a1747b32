//! Windows over images and sequences, each as a row, and back.

use regraft_autograd::{Dim, Graph, Var};
use regraft_tensor::Detail;
use regraft_tensor::kernels::window::Window;
use serde_json::Value;

use super::arguments::Arguments;
use super::declaration::{Declared, IMAGE, MATH, NN, Takes, X, one};
use super::neural::{channels_last, in_format, per_axis, window};
use super::typed::{Typed, floats};
use crate::layers::Sizes;
use crate::settings::require;

type Results<'g> = Result<Vec<Typed<'g>>, Detail>;

pub(super) const TABLE: &[Declared] = &[
    Declared::new("ExtractPatches", Takes::Values(&["images"]), extract).within(IMAGE),
    Declared::new("Fold", X, fold).within(NN),
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
    let kernel = each_cell(x.graph(), size, channels);
    x.convolution(kernel, window, 1)
}

/// The kernel that passes each cell of each channel on.
fn each_cell<'g>(graph: &'g Graph, size: &[usize], channels: usize) -> Var<'g> {
    let numbers = size.iter().product::<usize>() * channels;
    let one = |at: usize| f32::from(u8::from(at.is_multiple_of(numbers + 1)));
    let kernel = (0..numbers * numbers).map(one).collect();
    floats(graph, [size, &[channels, numbers]].concat(), kernel)
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
    let (window, size) = unfolding(a)?;
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

/// The images of which [`Unfold`](unfold) gave these columns; where windows overlap, their cells are added.
fn fold<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("x")?;
    let expected = "columns (batch, channels · cells, windows)";
    require(x.rank() == 3, "x", expected, x.shape().to_string())?;
    let output = a.settings.required::<Sizes<2>>("output_size")?.0;
    let (window, size) = unfolding(a)?;
    let windows: Option<Vec<usize>> = [0, 1]
        .map(|axis| window.output_size(axis + 1, output[axis]))
        .into_iter()
        .collect();
    let cells: usize = size.iter().product();
    let (rows, count) = (x.size(1), x.size(2));
    let windows = windows.filter(|windows| windows.iter().product::<usize>() == count);
    let Some(windows) = windows.filter(|_| rows.is_multiple_of(cells)) else {
        let expected = format!("columns of {cells} cells of each channel, one for each window");
        return Err(Detail::new("x", expected, x.shape()));
    };
    let (batch, channels) = (x.shape().dims()[0], rows / cells);
    let dims = |sizes: &[usize]| -> Vec<Dim> {
        std::iter::once(batch)
            .chain(sizes.iter().copied().map(Dim::Fixed))
            .collect()
    };
    let by_window = x
        .floats()
        .reshape(dims(&[channels, cells, windows[0], windows[1]]))
        .permute(&[0, 3, 4, 2, 1])
        .reshape(dims(&[windows[0], windows[1], cells * channels]));
    let kernel = each_cell(x.graph(), &size, channels);
    let images = by_window.convolution_transposed(kernel, window, 1, &output);
    one(x.to_float().with(images.permute(&[0, 3, 1, 2])).to(x.of))
}

/// The window over images that `Unfold` and `Fold` are told, and its sizes.
fn unfolding(a: &Arguments<'_, '_>) -> Result<(Window, Vec<usize>), Detail> {
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
    Ok((window, size))
}
