//! Fourier transforms of values and of windows over them, as products with waves.

use std::f64::consts::TAU;

use regraft_autograd::{Dim, Graph, Var};
use regraft_tensor::Detail;

use super::arguments::Arguments;
use super::declaration::{Declared, MATH, Takes, X, one};
use super::patches::frames;
use super::typed::{Typed, floats, promoted};
use crate::settings::require;

type Results<'g> = Result<Vec<Typed<'g>>, Detail>;

/// Complex numbers are two values, the real parts and the imaginary ones.
const COMPLEX: Takes = Takes::List("x");

pub(super) const TABLE: &[Declared] = &[
    Declared::new("FFT", COMPLEX, |a| {
        let x = complex(a)?;
        along_last(x).map(parts)
    })
    .within(MATH),
    Declared::new("FFT2", COMPLEX, |a| along_both(complex(a)?).map(parts)).within(MATH),
    Declared::new("IFFT2", COMPLEX, |a| {
        let (real, imaginary) = complex(a)?;
        let cells = [1, 2].map(|back| real.axis(-back).map(|axis| real.size(axis)));
        let [columns, rows] = cells;
        let scale = 1.0 / (rows? * columns?).max(1) as f32;
        // The transform backwards is that of the conjugate, conjugated.
        let turned = imaginary.with(-imaginary.var);
        let (real, imaginary) = along_both((real, turned))?;
        let (real, imaginary) = (
            real.with(real.var * scale),
            imaginary.with(-imaginary.var * scale),
        );
        Ok(parts((real, imaginary)))
    })
    .within(MATH),
    Declared::new("RFFT", X, |a| {
        let x = a.tensor("x")?.to_float();
        let size = x.size(x.axis(-1)?);
        let length = a.settings.get::<usize>("fft_length")?.unwrap_or(size);
        of_real(x, length).map(parts)
    })
    .within(MATH),
    Declared::new("IRFFT", COMPLEX, |a| {
        let (real, imaginary) = complex(a)?;
        let size = real.size(real.axis(-1)?);
        let length = a.settings.get::<usize>("fft_length")?;
        one(to_real(
            real,
            imaginary,
            length.unwrap_or(2 * size.max(1) - 2),
        )?)
    })
    .within(MATH),
    Declared::new("STFT", X, short_time).within(MATH),
    Declared::new("ISTFT", COMPLEX, of_short_time).within(MATH),
];

fn parts<'g>((real, imaginary): (Typed<'g>, Typed<'g>)) -> Vec<Typed<'g>> {
    vec![real, imaginary]
}

fn complex<'g>(a: &Arguments<'g, '_>) -> Result<(Typed<'g>, Typed<'g>), Detail> {
    let both = promoted(&a.list("x")?);
    let [real, imaginary] = both.as_slice() else {
        let received = format!("{} values", both.len());
        return Err(Detail::new("x", "real and imaginary parts", received));
    };
    let (expected, received) = (real.shape(), imaginary.shape());
    require(expected == received, "x", &expected.to_string(), received)?;
    Ok((real.to_float(), imaginary.to_float()))
}

/// cos and sin of 2π · i · k / n, for i below `rows` and k below `columns`.
fn waves(graph: &Graph, n: usize, rows: usize, columns: usize) -> (Var<'_>, Var<'_>) {
    let wave = |function: fn(f64) -> f64| {
        let cells = (0..rows).flat_map(|i| (0..columns).map(move |k| (i, k)));
        let value = |(i, k)| function(TAU * ((i * k) % n) as f64 / n as f64) as f32;
        floats(graph, vec![rows, columns], cells.map(value).collect())
    };
    (wave(f64::cos), wave(f64::sin))
}

/// A length for which the waves are no burden: they are as many numbers as its square.
fn require_length(length: usize) -> Result<(), Detail> {
    let expected = "a length from 1 to 4096";
    require((1..=4096).contains(&length), "fft_length", expected, length)
}

/// The transform over the last axis.
fn along_last<'g>(
    (real, imaginary): (Typed<'g>, Typed<'g>),
) -> Result<(Typed<'g>, Typed<'g>), Detail> {
    let n = real.size(real.axis(-1)?);
    require_length(n)?;
    let (cos, sin) = waves(real.graph(), n, n, n);
    let product = |x: Typed<'g>, wave: Var<'g>| x.var.matmul(wave);
    Ok((
        real.with(product(real, cos) + product(imaginary, sin)),
        real.with(product(imaginary, cos) - product(real, sin)),
    ))
}

/// The transform over the last two axes.
fn along_both<'g>(x: (Typed<'g>, Typed<'g>)) -> Result<(Typed<'g>, Typed<'g>), Detail> {
    let rank = x.0.rank();
    x.0.axis(-2)?;
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 1, rank - 2);
    let swapped = |(real, imaginary): (Typed<'g>, Typed<'g>)| {
        [real, imaginary]
            .map(|x| x.with(x.var.permute(&order)))
            .into()
    };
    Ok(swapped(along_last(swapped(along_last(x)?))?))
}

/// `x` cut, or followed by zeros, so that the last axis has this size.
fn fitted<'g>(x: Typed<'g>, size: usize) -> Result<Var<'g>, Detail> {
    let last = x.axis(-1)?;
    let own = x.size(last);
    let mut padding = vec![(0, 0); x.rank()];
    padding[last] = (0, size.saturating_sub(own));
    Ok(match own > size {
        true => x.var.slice(last, 0..size),
        false if own == size => x.var,
        false => x.var.pad(&padding, 0.0),
    })
}

/// The first half of the transform of real numbers; the other half is its mirror image.
fn of_real<'g>(x: Typed<'g>, length: usize) -> Result<(Typed<'g>, Typed<'g>), Detail> {
    require_length(length)?;
    let (cos, sin) = waves(x.graph(), length, length, length / 2 + 1);
    let y = fitted(x, length)?;
    Ok((x.with(y.matmul(cos)), x.with(-y.matmul(sin))))
}

/// The real numbers of which these are the first half of the transform.
fn to_real<'g>(real: Typed<'g>, imaginary: Typed<'g>, length: usize) -> Result<Typed<'g>, Detail> {
    require_length(length)?;
    let kept = length / 2 + 1;
    let (cos, sin) = waves(real.graph(), length, kept, length);
    // All but the first and the middle one stand for their mirror image, too.
    let weight = |k: usize| match k == 0 || 2 * k == length {
        true => 1.0 / length as f32,
        false => 2.0 / length as f32,
    };
    let weights = floats(real.graph(), vec![kept], (0..kept).map(weight).collect());
    let (re, im) = (
        fitted(real, kept)? * weights,
        fitted(imaginary, kept)? * weights,
    );
    Ok(real.with(re.matmul(cos) - im.matmul(sin)))
}

/// The transform of each window over the last axis.
fn short_time<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("x")?.to_float();
    let windows = Windows::read(a)?;
    let (stride, length) = (windows.stride, windows.length);
    let last = x.axis(-1)?;
    let mut y = x.var;
    if a.settings.or::<bool>("center", true)? {
        let (cells, half) = (x.size(last), length / 2);
        let expected = format!("more than {half} cells");
        require(cells > half, "x", &expected, cells)?;
        // Mirrored at its ends.
        let before = (1..=half).rev();
        let behind = (1..=half).map(|at| cells - 1 - at);
        y = y.pick(last, super::indices(before.chain(0..cells).chain(behind)));
    }
    let window = windows.window(a)?.into_iter().map(|weight| weight as f32);
    let window = floats(x.graph(), vec![length], window.collect());
    let cut = frames(y, length, stride)?;
    of_real(x.with(cut * window), length).map(parts)
}

/// Frames of `length` numbers, `[…, frames, length]`, each `stride` behind the one before, added up.
fn overlapped(x: Var<'_>, stride: usize) -> Result<Var<'_>, Detail> {
    let shape = x.shape();
    let [leading @ .., Dim::Fixed(frames), Dim::Fixed(length)] = shape.dims() else {
        return Err(Detail::new("x", "frames, one behind another", &shape));
    };
    let (frames, length, last) = (*frames, *length, leading.len() + 1);
    let mut sum: Option<Var<'_>> = None;
    let parts = length.div_ceil(stride);
    for part in 0..parts {
        // The numbers of each frame that stand in the stride which is `part` behind the frame's first.
        let from = part * stride;
        let to = length.min(from + stride);
        let mut padding = vec![(0, 0); last + 1];
        padding[last] = (0, from + stride - to);
        let mut dims = leading.to_vec();
        dims.push(Dim::Fixed(frames * stride));
        let row = x.slice(last, from..to).pad(&padding, 0.0).reshape(dims);
        let mut padding = vec![(0, 0); last];
        padding[last - 1] = (from, (parts - 1 - part) * stride);
        let row = row.pad(&padding, 0.0);
        sum = Some(sum.map_or(row, |sum| sum + row));
    }
    let sum = sum.ok_or_else(|| Detail::new("x", "frames of at least one number", &shape))?;
    Ok(sum.slice(last - 1, 0..(frames - 1) * stride + length))
}

/// What `short_time` was made of, if no window is zero where it would be needed.
fn of_short_time<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let (real, imaginary) = complex(a)?;
    let windows = Windows::read(a)?;
    let (length, stride) = (windows.length, windows.stride);
    real.axis(-2)?;
    let frames = real.size(real.rank() - 2);
    require(frames > 0, "x", "at least one frame", frames)?;
    let mut y = to_real(real, imaginary, length)?.var;
    a.settings.ignore(&["window"]);
    if !a.settings.is_null("window") {
        // Divided by what all windows over a place add up to, as squares.
        let window = windows.window(a)?;
        let squares = |at: usize| {
            let places = (at % stride..length).step_by(stride);
            places.map(|place| window[place].powi(2)).sum::<f64>()
        };
        let share = |at: usize| match squares(at) {
            0.0 => 0.0,
            sum => (window[at] / sum) as f32,
        };
        let shares = (0..length).map(share).collect();
        y = y * floats(real.graph(), vec![length], shares);
    }
    let all = length + stride * (frames - 1);
    let y = overlapped(y, stride)?;
    let center = a.settings.or::<bool>("center", true)?;
    let start = if center { length / 2 } else { 0 };
    let end = match a.settings.get::<usize>("length")? {
        Some(length) => (start + length).min(all),
        None if center => all - length / 2,
        None => all,
    };
    let expected = format!("something besides borders of {start}");
    require(start < end, "x", &expected, all)?;
    let last = y.shape().rank() - 1;
    one(real.with(y.slice(last, start..end)))
}

/// What windows over a signal are told.
struct Windows {
    size: usize,
    stride: usize,
    length: usize,
}

impl Windows {
    fn read(a: &Arguments<'_, '_>) -> Result<Self, Detail> {
        let (size, stride, length) = (
            a.settings.required::<usize>("sequence_length")?,
            a.settings.required::<usize>("sequence_stride")?,
            a.settings.required::<usize>("fft_length")?,
        );
        require_length(length)?;
        let expected = format!("at least the sequence length, {size}");
        require(length >= size, "fft_length", &expected, length)?;
        require(stride > 0, "sequence_stride", "at least 1", stride)?;
        Ok(Windows {
            size,
            stride,
            length,
        })
    }

    /// The numbers that the window multiplies with, zeros around them.
    fn window(&self, a: &Arguments<'_, '_>) -> Result<Vec<f64>, Detail> {
        let size = self.size;
        let (c0, c1) = match a.settings.text("window", "hann") {
            _ if size == 1 || a.settings.is_null("window") => (1.0, 0.0),
            Ok("hann") => (0.5, 0.5),
            Ok("hamming") => (0.54, 0.46),
            Ok(_) | Err(_) => {
                let received = a.settings.value("window").cloned().unwrap_or_default();
                let expected = "\"hann\", \"hamming\" or null";
                return Err(a.settings.wrong("window", expected, &received));
            }
        };
        // As TensorFlow has it: a window of an odd size ends as it begins.
        let period = (size - size % 2).max(1);
        let front = (self.length - size) / 2;
        let weight = |at: usize| match at.checked_sub(front).filter(|at| *at < size) {
            Some(at) => c0 - c1 * (TAU * at as f64 / period as f64).cos(),
            None => 0.0,
        };
        Ok((0..self.length).map(weight).collect())
    }
}
