//! Images seen through a projective map of the plane, given by its numbers or by four points.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;

use super::arguments::Arguments;
use super::declaration::{Declared, IMAGE, Takes, one};
use super::images::images;
use super::neural::{channels_last, in_format};
use super::typed::{Typed, floats};
use crate::layers::Interpolation;
use crate::layers::augmentation::{Fill, FillMode};
use crate::settings::require;

type Results<'g> = Result<Vec<Typed<'g>>, Detail>;

pub(super) const TABLE: &[Declared] = &[
    Declared::new(
        "AffineTransform",
        Takes::Values(&["images", "transform"]),
        |a| {
            let map = a.tensor("transform")?.floats();
            let expected = "8 numbers, for all images or for each";
            let map = for_each(map, &[8], expected)?;
            let mode = a.settings.or("fill_mode", FillMode::Constant)?;
            warped(a, map, mode)
        },
    )
    .within(IMAGE),
    Declared::new(
        "PerspectiveTransform",
        Takes::Values(&["images", "start_points", "end_points"]),
        |a| {
            let expected = "4 points (x, y), for all images or for each";
            let points = |name| for_each(a.tensor(name)?.floats(), &[4, 2], expected);
            let map = homography(points("start_points")?, points("end_points")?);
            warped(a, map, FillMode::Constant)
        },
    )
    .within(IMAGE),
];

/// What is given once, or for each image, as if for each: the leading axis is 1 or the batch.
fn for_each<'g>(x: Var<'g>, sizes: &[usize], expected: &str) -> Result<Var<'g>, Detail> {
    let shape = x.shape();
    let fixed: Vec<Dim> = sizes.iter().copied().map(Dim::Fixed).collect();
    match shape.dims() {
        dims if dims == fixed => Ok(x.expand_dims(0)),
        [Dim::Batch | Dim::PerSample(_) | Dim::Fixed(1), rest @ ..] if rest == fixed => Ok(x),
        _ => Err(Detail::new("", expected, shape)),
    }
}

/// The map that shows at each of the points `to` what is at that of the points `from`.
fn homography<'g>(from: Var<'g>, to: Var<'g>) -> Var<'g> {
    let graph = from.graph();
    let [u, v, x, y] =
        [(from, 0), (from, 1), (to, 0), (to, 1)].map(|(points, at)| points.slice(2, at..at + 1));
    let number = |value: f32| x * 0.0 + value;
    let (one, none) = (number(1.0), number(0.0));
    // u = (a0 x + a1 y + a2) / (c0 x + c1 y + 1), and v likewise.
    let columns = graph.concatenate(&[x, y, one, none, none, none, -u * x, -u * y], 2);
    let rows = graph.concatenate(&[none, none, none, x, y, one, -v * x, -v * y], 2);
    let equations = graph.concatenate(&[columns, rows], 1);
    let places = graph.concatenate(&[u, v], 1);
    equations.solve(places, false).squeeze(2)
}

/// The images seen through `map`, `[a0, a1, a2, b0, b1, b2, c0, c1]`: column x and row y show what is at
/// column (a0 x + a1 y + a2) / k and row (b0 x + b1 y + b2) / k, with k = c0 x + c1 y + 1.
fn warped<'g>(a: &Arguments<'g, '_>, map: Var<'g>, mode: FillMode) -> Results<'g> {
    let x = images(a)?;
    let (first, of) = (!channels_last(a)?, x.of);
    let fill = Fill {
        mode,
        value: a.settings.or::<f32>("fill_value", 0.0)?,
        interpolation: a.settings.or("interpolation", Interpolation::Bilinear)?,
    };
    fill.check()?;
    let mode = &fill.mode;
    let outside = if *mode == FillMode::Constant {
        fill.value
    } else {
        0.0
    };
    // TensorFlow gives the map no gradient.
    let map = map.stop_gradient();
    let warped = in_format(x.to_float(), first, |x| {
        let shape = x.shape();
        let [rows, columns, channels] = [1, 2, 3].map(|axis| shape.dims()[axis].size(0));
        require(rows * columns > 0, "images", "pixels", shape.to_string())?;
        // Of the result's pixels the rows and columns, in a row.
        let count = rows * columns;
        let places = |at: fn(usize, usize) -> usize| {
            let places = (0..count).map(|pixel| at(pixel, columns) as f32);
            floats(x.graph(), vec![count], places.collect())
        };
        let (row, column) = (places(|at, of| at / of), places(|at, of| at % of));
        let part = |at: usize| map.slice(1, at..at + 1);
        let depth = part(6) * column + part(7) * row + 1.0;
        let near = depth.not_equal(0.0);
        let depth = near.select(depth, 1.0);
        let along = |at: usize, size: usize| {
            let place = (part(at) * column + part(at + 1) * row + part(at + 2)) / depth;
            inside(place, size, mode)
        };
        let (left, above) = (along(0, columns), along(3, rows));
        let pixels = x
            .reshape(vec![
                shape.dims()[0],
                Dim::Fixed(count),
                Dim::Fixed(channels),
            ])
            .permute(&[0, 2, 1]);
        let image = Pixels {
            pixels,
            size: [rows, columns],
            fill: outside,
        };
        let y = match fill.interpolation {
            Interpolation::Nearest => {
                // Halves are rounded away from zero; half a cell added could be rounded up itself.
                let nearest = |place: Var<'g>| {
                    let far = place.abs();
                    let whole = far.floor();
                    place.sign() * (whole + (far - whole).greater_equal(0.5))
                };
                image.at(nearest(above), nearest(left))
            }
            _ => {
                let (row, column) = (above.floor(), left.floor());
                let (below, right) = (row + 1.0, column + 1.0);
                let along = |row: Var<'g>| {
                    let wide = |share: Var<'g>| share.expand_dims(1);
                    wide(right - left) * image.at(row, column)
                        + wide(left - column) * image.at(row, right)
                };
                (below - above).expand_dims(1) * along(row)
                    + (above - row).expand_dims(1) * along(below)
            }
        };
        // What is infinitely far away is outside.
        let y = near.expand_dims(1).select(y, outside);
        Ok(y.permute(&[0, 2, 1]).reshape(shape))
    })?;
    one(warped.to(of))
}

/// The places of an image of `size` cells along an axis that are seen at `place`, as TensorFlow has it.
fn inside<'g>(place: Var<'g>, size: usize, mode: &FillMode) -> Var<'g> {
    let (cells, last) = (size as f32, size as f32 - 1.0);
    let (before, behind) = (place.less(0.0), place.greater(last));
    let place = match mode {
        FillMode::Constant => return place,
        FillMode::Nearest => place,
        _ if size <= 1 => place * 0.0,
        FillMode::Reflect => {
            let both = 2.0 * cells;
            let low = place + (-place / both).floor() * both;
            let low = low.less(-cells).select(low + both, -low - 1.0);
            let high = place - (place / both).floor() * both;
            let high = high.greater_equal(cells).select(-high + (both - 1.0), high);
            before.select(low, behind.select(high, place))
        }
        _ => {
            let low = place + ((-place / last).floor() + 1.0) * cells;
            let high = place - (place / last).floor() * cells;
            before.select(low, behind.select(high, place))
        }
    };
    place.clip(0.0, last)
}

/// Images as rows of pixels, `(batch, channels, pixels)`.
struct Pixels<'g> {
    pixels: Var<'g>,
    size: [usize; 2],
    fill: f32,
}

impl<'g> Pixels<'g> {
    /// The pixels at whole rows and columns, `(batch or 1, places)`; outside is the fill.
    fn at(&self, row: Var<'g>, column: Var<'g>) -> Var<'g> {
        let [rows, columns] = self.size.map(|size| size as f32);
        let within = |place: Var<'g>, size: f32| place.greater_equal(0.0) * place.less(size);
        let seen = within(row, rows) * within(column, columns);
        let number = row.clip(0.0, rows - 1.0) * columns + column.clip(0.0, columns - 1.0);
        let mut dims = self.pixels.shape().dims().to_vec();
        dims[2] = number.shape().dims()[1];
        let number = number.expand_dims(1).broadcast_to(Shape::from(dims));
        let taken = self.pixels.take_along(number.to_i32());
        seen.expand_dims(1).select(taken, self.fill)
    }
}
