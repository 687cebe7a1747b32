//! Images of other sizes, colours and borders, and filtered ones.

use regraft_autograd::{Dim, Var};
use regraft_tensor::Detail;
use regraft_tensor::kernels::window::Window;
use serde_json::Value;

use super::arguments::Arguments;
use super::declaration::{Declared, IMAGE, Takes, function, one};
use super::neural::{channels_last, in_format};
use super::typed::{Typed, floats};
use crate::layers::Interpolation;
use crate::settings::require;

type Results<'g> = Result<Vec<Typed<'g>>, Detail>;

pub(super) const TABLE: &[Declared] = &[
    Declared::new("Resize", Takes::Values(&["images"]), resize)
        .within(IMAGE)
        .like(&[
            function(
                "image.resize image.resize_v2 image.resize_images_v2",
                "images size method=interpolation -preserve_aspect_ratio -antialias",
            ),
            function(
                "image.resize_bilinear ResizeBilinear",
                "images size half_pixel_centers align_corners",
            ),
        ]),
    Declared::new("RGBToGrayscale", Takes::Values(&["images"]), |a| {
        let x = a.tensor("images")?;
        let (first, of) = (!channels_last(a)?, x.of);
        let gray = in_format(x.to_float(), first, |x| {
            let last = x.shape().rank() - 1;
            let fits = x.shape().dims()[last] == Dim::Fixed(3);
            require(fits, "images", "3 channels", x.shape().to_string())?;
            let shares = vec![0.2989, 0.587, 0.114];
            let shares = floats(x.graph(), vec![3], shares);
            Ok((x * shares).sum_keeping(&[last]))
        })?;
        one(gray.to(of))
    })
    .within(IMAGE)
    .like(&[function("image.rgb_to_grayscale", "images")]),
    Declared::new("PadImages", Takes::Values(&["images"]), |a| {
        bordered(a, true)
    })
    .within(IMAGE),
    Declared::new("CropImages", Takes::Values(&["images"]), |a| {
        bordered(a, false)
    })
    .within(IMAGE),
    Declared::new("RGBToHSV", Takes::Values(&["images"]), |a| {
        colours(a, |[r, g, b]| {
            let value = r.maximum(g).maximum(b);
            let range = value - r.minimum(g).minimum(b);
            let some = range.greater(0.0);
            let sixth = some.select(range, 1.0) * 6.0;
            let from_red = (g - b) / sixth;
            let from_green = (b - r) / sixth + 2.0 / 6.0;
            let from_blue = (r - g) / sixth + 4.0 / 6.0;
            let from_others = g.equal(value).select(from_green, from_blue);
            let hue = r.equal(value).select(from_red, from_others);
            let hue = some.select(hue, 0.0);
            let lit = value.greater(0.0);
            let saturation = lit.select(range / lit.select(value, 1.0), 0.0);
            [hue.less(0.0).select(hue + 1.0, hue), saturation, value]
        })
    })
    .within(IMAGE)
    .like(&[function("image.rgb_to_hsv", "images")]),
    Declared::new("HSVToRGB", Takes::Values(&["images"]), |a| {
        colours(a, |[hue, saturation, value]| {
            let sixth = hue * 6.0;
            let shares = [
                (sixth - 3.0).abs() - 1.0,
                -(sixth - 2.0).abs() + 2.0,
                -(sixth - 4.0).abs() + 2.0,
            ];
            shares.map(|share| (saturation * (share.clip(0.0, 1.0) - 1.0) + 1.0) * value)
        })
    })
    .within(IMAGE)
    .like(&[function("image.hsv_to_rgb", "images")]),
    Declared::new("GaussianBlur", Takes::Values(&["images"]), |a| {
        let read = |name, default: f64| -> Result<[f64; 2], Detail> {
            let given = a
                .settings
                .get::<Vec<f64>>(name)?
                .unwrap_or(vec![default; 2]);
            let expected = "two numbers above 0";
            let wrong = || Detail::new(name, expected, format!("{given:?}"));
            let fits = given.iter().all(|&number| number > 0.0 && number < 4096.0);
            let both = <[f64; 2]>::try_from(given.as_slice()).ok();
            both.filter(|_| fits).ok_or_else(wrong)
        };
        let (size, sigma) = (read("kernel_size", 3.0)?, read("sigma", 1.0)?);
        let bell = |axis: usize| -> Vec<f64> {
            let middle = (size[axis] - 1.0) / 2.0;
            let height = |at: usize| (-0.5 * ((at as f64 - middle) / sigma[axis]).powi(2)).exp();
            let heights: Vec<f64> = (0..size[axis] as usize).map(height).collect();
            let sum: f64 = heights.iter().sum();
            heights.into_iter().map(|height| height / sum).collect()
        };
        // Keras writes the second axis' numbers in rows and reads them in columns.
        let (inner, outer) = (bell(0), bell(1));
        let numbers = outer
            .iter()
            .flat_map(|y| inner.iter().map(move |x| (x * y) as f32));
        let numbers: Vec<f32> = numbers.collect();
        filtered(a, [inner.len(), outer.len()], &[numbers])
    })
    .within(IMAGE),
    Declared::new("SobelEdges", Takes::Values(&["images"]), |a| {
        let down = [-1.0, -2.0, -1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 1.0];
        let right = [-1.0, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0];
        filtered(a, [3, 3], &[down.to_vec(), right.to_vec()])
    })
    .within(IMAGE),
    Declared::new("SSIM", Takes::Values(&["image1", "image2"]), similarity).within(IMAGE),
];

/// The operand with images.
pub(super) fn images<'g>(a: &Arguments<'g, '_>) -> Result<Typed<'g>, Detail> {
    let x = a.tensor("images")?;
    let expected = "(batch, rows, columns, channels)";
    require(x.rank() == 4, "images", expected, x.shape().to_string())?;
    Ok(x)
}

fn resize<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = images(a)?;
    let off = [
        "crop_to_aspect_ratio",
        "pad_to_aspect_ratio",
        "align_corners",
    ];
    a.settings.unsupported(&off)?;
    a.settings.ignore(&["fill_mode", "fill_value"]);
    let centred = a.settings.or::<bool>("half_pixel_centers", true)?;
    require(centred, "half_pixel_centers", "true", centred)?;
    let size: Vec<usize> = a
        .integers("size")?
        .into_iter()
        .map(|size| size.max(0) as usize)
        .collect();
    let [rows, columns] = size[..] else {
        return Err(Detail::new("size", "rows and columns", format!("{size:?}")));
    };
    require(
        rows.min(columns) > 0,
        "size",
        "at least 1 row and column",
        &size,
    )?;
    let antialias = a.settings.or::<bool>("antialias", false)?;
    let method = Interpolation::from(a.settings.text("interpolation", "bilinear")?);
    method.check()?;
    let (first, of) = (!channels_last(a)?, x.of);
    let resized = in_format(x.to_float(), first, |x| {
        Ok(method.resize(x, [rows, columns], antialias))
    })?;
    // Keras gives the type that came in, rounded where that is one of integers.
    one(match of.is_integer() {
        true => resized.with(resized.var.round()).to(of),
        false => resized.to(of),
    })
}

/// Images with borders of zeros, or without their borders, as far as sizes are told.
fn bordered<'g>(a: &Arguments<'g, '_>, pad: bool) -> Results<'g> {
    let x = images(a)?;
    let first = !channels_last(a)?;
    let names: [[&'static str; 3]; 2] = match pad {
        true => [
            ["top_padding", "bottom_padding", "target_height"],
            ["left_padding", "right_padding", "target_width"],
        ],
        false => [
            ["top_cropping", "bottom_cropping", "target_height"],
            ["left_cropping", "right_cropping", "target_width"],
        ],
    };
    let axis = if first { 2 } else { 1 };
    let mut borders = vec![(0, 0); 4];
    for (offset, [before, after, target]) in names.into_iter().enumerate() {
        let size = x.size(axis + offset);
        let told = |name| a.settings.get::<usize>(name);
        let (before, after, target) = (told(before)?, told(after)?, told(target)?);
        let all = target.map(|target| match pad {
            true => target.saturating_sub(size),
            false => size.saturating_sub(target),
        });
        borders[axis + offset] = match (before, after, all) {
            (Some(before), Some(after), _) => (before, after),
            (Some(before), None, Some(all)) => (before, all.saturating_sub(before)),
            (None, Some(after), Some(all)) => (all.saturating_sub(after), after),
            _ => {
                let expected = "two of: cells in front, cells behind, and the size";
                return Err(a.settings.wrong("target_height", expected, &Value::Null));
            }
        };
    }
    one(x.with(match pad {
        true => x.var.pad(&borders, 0.0),
        false => x.var.crop(&borders),
    }))
}

/// Three numbers of each pixel made of its three.
fn colours<'g>(
    a: &Arguments<'g, '_>,
    change: impl Fn([Var<'g>; 3]) -> [Var<'g>; 3],
) -> Results<'g> {
    let x = a.tensor("images")?;
    let shape = x.shape().to_string();
    let fits = x.rank() == 4 && x.of.is_float();
    require(fits, "images", "floats (batch, rows, columns, 3)", shape)?;
    let first = !channels_last(a)?;
    one(in_format(x, first, |x| {
        let fits = x.shape().dims()[3] == Dim::Fixed(3);
        require(fits, "images", "3 channels", x.shape().to_string())?;
        let parts = [0, 1, 2].map(|at| x.slice(3, at..at + 1));
        Ok(x.graph().concatenate(&change(parts), 3))
    })?)
}

/// The structural similarity of the images of each sample: means, variances and covariances under a window that is
/// a bell, compared at each of its places, and the mean of that.
fn similarity<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let (x, y) = (a.tensor("image1")?, a.tensor("image2")?);
    let highest = a.settings.or::<f64>("max_val", 1.0)?;
    let size = a.settings.or::<usize>("filter_size", 11)?;
    let sigma = a.settings.or::<f64>("filter_sigma", 1.5)?;
    let [c1, c2] = [("k1", 0.01), ("k2", 0.03)].map(|(name, default)| {
        let k = a.settings.or::<f64>(name, default)?;
        Ok::<f32, Detail>((k * highest).powi(2) as f32)
    });
    let (c1, c2) = (c1?, c2?);
    let first = !channels_last(a)?;
    let as_rows = |x: Typed<'g>| match first {
        true => x.to_float().var.permute(&[0, 2, 3, 1]),
        false => x.to_float().var,
    };
    let expected = "two images of each sample, of the same shape";
    require(
        x.rank() == 4 && x.shape() == y.shape(),
        "image2",
        expected,
        y.shape(),
    )?;
    let of = x.of;
    let (x, y) = (as_rows(x), as_rows(y));
    let shape = x.shape();
    let sizes = [1, 2, 3].map(|axis| shape.dims()[axis].size(0));
    let fits = (1..=sizes[0].min(sizes[1])).contains(&size) && sigma > 0.0;
    require(fits, "filter_size", "a window within the images", size)?;
    let bell: Vec<f64> = (0..size)
        .map(|at| (-(at as f64 - (size as f64 - 1.0) / 2.0).powi(2) / (2.0 * sigma * sigma)).exp())
        .collect();
    let sum: f64 = bell.iter().sum();
    let weights = bell
        .iter()
        .flat_map(|a| bell.iter().map(move |b| (a * b / sum / sum) as f32));
    let weights = weights.flat_map(|weight| std::iter::repeat_n(weight, sizes[2]));
    let kernel = floats(x.graph(), vec![size, size, sizes[2], 1], weights.collect());
    let mean = |x: Var<'g>| x.depthwise_convolution(kernel, Window::new(&[size, size]));
    let (of_x, of_y) = (mean(x), mean(y));
    let (squares, products) = (of_x.square() + of_y.square(), of_x * of_y);
    let variances = mean(x.square()) - of_x.square() + (mean(y.square()) - of_y.square());
    let covariance = mean(x * y) - products;
    let above = (products * 2.0 + c1) * (covariance * 2.0 + c2);
    let similar = above / ((squares + c1) * (variances + c2));
    one(Typed::new(similar.mean(&[1, 2, 3]), of.as_float()).to(of))
}

/// Each channel filtered by each of the kernels, of `rows · columns` numbers. One gives images of the same
/// shape, with zeros around them; several stand along a new last axis, with images that are mirrored at their
/// borders.
fn filtered<'g>(
    a: &Arguments<'g, '_>,
    [rows, columns]: [usize; 2],
    kernels: &[Vec<f32>],
) -> Results<'g> {
    let x = images(a)?;
    require(
        rows * columns > 0,
        "kernel_size",
        "at least 1 by 1",
        rows.min(columns),
    )?;
    let (first, count) = (!channels_last(a)?, kernels.len());
    let y = in_format(x.to_float(), first, |x| {
        let [batch, height, width, channels] = [0, 1, 2, 3].map(|axis| x.shape().dims()[axis]);
        let sizes = [height, width, channels].map(|dim| dim.size(0));
        let cells = (0..rows * columns).flat_map(|cell| {
            let of_cell = move |_| kernels.iter().map(move |kernel| kernel[cell]);
            (0..sizes[2]).flat_map(of_cell)
        });
        let kernel = floats(
            x.graph(),
            vec![rows, columns, sizes[2], count],
            cells.collect(),
        );
        let window = Window::new(&[rows, columns]);
        if count == 1 {
            let window = window.same_padding(&sizes[..2]);
            return Ok(x.depthwise_convolution(kernel, window));
        }
        let mut wide = x;
        for (axis, &size) in [1, 2].into_iter().zip(&sizes) {
            let expected = "at least 2 rows and columns";
            require(size > 1, "images", expected, x.shape().to_string())?;
            let mirrored = std::iter::once(1).chain(0..size).chain([size - 2]);
            wide = wide.pick(axis, super::indices(mirrored));
        }
        let y = wide.depthwise_convolution(kernel, window);
        Ok(y.reshape(vec![batch, height, width, channels, Dim::Fixed(count)]))
    });
    one(y?.to(x.of))
}
