//! Images of other sizes, shades and borders.

use regraft_autograd::Dim;
use regraft_tensor::Detail;
use serde_json::Value;

use super::arguments::Arguments;
use super::declaration::{Declared, IMAGE, Takes, function, one};
use super::neural::{channels_last, in_format};
use super::typed::Typed;
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
            let shares = super::typed::floats(x.graph(), vec![3], shares);
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
];

fn resize<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("images")?;
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
    require(
        x.rank() == 4,
        "images",
        "(batch, rows, columns, channels)",
        x.shape().to_string(),
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
    let x = a.tensor("images")?;
    require(
        x.rank() == 4,
        "images",
        "(batch, rows, columns, channels)",
        x.shape().to_string(),
    )?;
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
