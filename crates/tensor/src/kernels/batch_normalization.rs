//! Batch normalization over the last axis: the statistics of each channel in one pass, and the
//! normalization and its gradients in one pass each.
//!
//! **The order of addition.** Rows are reduced in blocks of [`ROWS`](super::reduce::ROWS), one row
//! after the other, and the blocks in a tree: it depends on the number of rows alone. The variance of
//! a block is taken around the block's own mean while the block is in the cache, and two blocks become
//! one by the formula of Chan, Golub and LeVeque ("Updating formulae and a pairwise algorithm for
//! computing sample variances", 1979). All of that is done with distances from the first row, so a
//! mean far from zero costs no accuracy.

use super::isa::vectorised;
use super::parallel::parts;
use super::reduce::halves;

/// Channels that are reduced together.
const COLUMNS: usize = 32;

/// Channels of a remainder that are reduced together.
const FEW_COLUMNS: usize = 8;

/// Numbers per channel are repeated until they are about this many, so that loops are long.
const TILE: usize = 256;

/// Runs `$block::<COUNT>(…, channel)` for blocks that together are all channels.
macro_rules! blocks {
    ($channels:expr, $block:ident ($($argument:expr),*)) => {
        let mut channel = 0;
        while channel + COLUMNS <= $channels {
            $block::<COLUMNS>($($argument,)* channel);
            channel += COLUMNS;
        }
        while channel + FEW_COLUMNS <= $channels {
            $block::<FEW_COLUMNS>($($argument,)* channel);
            channel += FEW_COLUMNS;
        }
        while channel < $channels {
            $block::<1>($($argument,)* channel);
            channel += 1;
        }
    };
}

/// `COUNT` numbers from `from` on.
#[inline(always)]
fn block<const COUNT: usize>(x: &[f32], from: usize) -> &[f32; COUNT] {
    x[from..].first_chunk().expect("rows have all channels")
}

/// Means of the distances from `origin`, and sums of squared distances from those means, of `COUNT`
/// channels of some rows.
#[inline(always)]
fn moments_block<const COUNT: usize>(
    x: &[f32],
    origin: &[f32],
    channels: usize,
    means: &mut [f32],
    squares: &mut [f32],
    channel: usize,
) {
    let origin = block::<COUNT>(origin, channel);
    let mut sums = [0.0; COUNT];
    for row in x.chunks_exact(channels) {
        let row = block::<COUNT>(row, channel);
        for ((sum, &x), &origin) in sums.iter_mut().zip(row).zip(origin) {
            *sum += x - origin;
        }
    }
    let count = (x.len() / channels) as f32;
    let mean = sums.map(|sum| sum / count);
    let mut sums = [0.0; COUNT];
    for row in x.chunks_exact(channels) {
        let row = block::<COUNT>(row, channel);
        for (((sum, &x), &origin), &mean) in sums.iter_mut().zip(row).zip(origin).zip(&mean) {
            let distance = x - origin - mean;
            *sum += distance * distance;
        }
    }
    means[channel..channel + COUNT].copy_from_slice(&mean);
    squares[channel..channel + COUNT].copy_from_slice(&sums);
}

/// Sums of dy and of dy · (x − mean), of `COUNT` channels of some rows.
#[inline(always)]
fn sums_block<const COUNT: usize>(
    dy: &[f32],
    x: &[f32],
    means: &[f32],
    channels: usize,
    sums: &mut [f32],
    products: &mut [f32],
    channel: usize,
) {
    let mean = block::<COUNT>(means, channel);
    let (mut plain, mut with_x) = ([0.0; COUNT], [0.0; COUNT]);
    for (dy, x) in dy.chunks_exact(channels).zip(x.chunks_exact(channels)) {
        let (dy, x) = (block::<COUNT>(dy, channel), block::<COUNT>(x, channel));
        for index in 0..COUNT {
            plain[index] += dy[index];
            with_x[index] += dy[index] * (x[index] - mean[index]);
        }
    }
    sums[channel..channel + COUNT].copy_from_slice(&plain);
    products[channel..channel + COUNT].copy_from_slice(&with_x);
}

vectorised! {
    fn moments_of_rows[](x: &[f32], origin: &[f32], out: &mut [f32]) {
        let channels = origin.len();
        let (means, squares) = out.split_at_mut(channels);
        blocks!(channels, moments_block(x, origin, channels, means, squares));
    }
}

vectorised! {
    fn sums_of_rows[](dy: &[f32], x: &[f32], means: &[f32], channels: usize, out: &mut [f32]) {
        let (sums, products) = out.split_at_mut(channels);
        blocks!(channels, sums_block(dy, x, means, channels, sums, products));
    }
}

/// Makes means and squares of `count` and of `others` rows those of all.
fn join_moments(count: usize, others: usize, out: &mut [f32], other: &[f32]) {
    let channels = out.len() / 2;
    let (means, squares) = out.split_at_mut(channels);
    let share = others as f32 / (count + others) as f32;
    let weight = share * count as f32;
    let mine = means.iter_mut().zip(squares);
    for ((mean, square), (&mean_b, &square_b)) in
        mine.zip(other[..channels].iter().zip(&other[channels..]))
    {
        let distance = mean_b - *mean;
        *mean += distance * share;
        *square += square_b + distance * distance * weight;
    }
}

/// The number of rows.
fn rows(x: &[f32], channels: usize) -> usize {
    assert!(
        channels > 0 && x.len().is_multiple_of(channels),
        "batch normalization: rows of {channels} channels"
    );
    x.len() / channels
}

/// The mean of each channel of `x`, `[…, channels]`, and after all means the population variance
/// of each: `out` is `[2, channels]`. Without rows, both are 0.
///
/// # Panics
/// If a length does not fit; likewise for the other functions here.
pub fn moments(x: &[f32], channels: usize, out: &mut [f32]) {
    let count = rows(x, channels);
    assert_eq!(out.len(), 2 * channels, "moments: out");
    if count == 0 {
        return out.fill(0.0);
    }
    // Distances from the first row are as small as the deviation, however large the mean.
    let origin = &x[..channels];
    let leaf = |first: usize, count: usize, out: &mut [f32]| {
        moments_of_rows(&x[first * channels..][..count * channels], origin, out);
    };
    halves(0, count, out, &leaf, &join_moments);
    let (means, squares) = out.split_at_mut(channels);
    for ((mean, square), origin) in means.iter_mut().zip(squares).zip(origin) {
        *mean += origin;
        *square /= count as f32;
    }
}

/// `1 / √(variance + epsilon)` of each channel.
fn inverse_deviations(moments: &[f32], epsilon: f32) -> impl Iterator<Item = f32> {
    let variances = moments[moments.len() / 2..].iter();
    variances.map(move |variance| 1.0 / (variance + epsilon).sqrt())
}

/// Numbers per channel, repeated to about [`TILE`].
fn tiled(channels: impl ExactSizeIterator<Item = f32>) -> Vec<f32> {
    let (count, row): (usize, Vec<f32>) = (channels.len(), channels.collect());
    row.repeat((TILE / count.max(1)).max(1))
}

vectorised! {
    fn normalize_part[](x: &[f32], means: &[f32], scales: &[f32], offsets: &[f32], y: &mut [f32]) {
        let length = means.len();
        for (x, y) in x.chunks(length).zip(y.chunks_mut(length)) {
            let channels = means.iter().zip(scales).zip(offsets);
            for ((y, &x), ((&mean, &scale), &offset)) in y.iter_mut().zip(x).zip(channels) {
                *y = (x - mean) * scale + offset;
            }
        }
    }
}

/// What the gradient is made of: `dx = dy · scale + ((x − mean) · slope + offset)`, with the numbers
/// of each channel [`tiled`].
struct Slopes {
    means: Vec<f32>,
    scales: Vec<f32>,
    slopes: Vec<f32>,
    offsets: Vec<f32>,
}

vectorised! {
    fn gradient_part[](dy: &[f32], x: &[f32], of: &Slopes, dx: &mut [f32]) {
        let length = of.means.len();
        let read = dy.chunks(length).zip(x.chunks(length));
        for ((dy, x), dx) in read.zip(dx.chunks_mut(length)) {
            let centre = of.means.iter().zip(&of.slopes);
            let channels = centre.zip(of.scales.iter().zip(&of.offsets));
            let read = dy.iter().zip(x).zip(channels);
            for (dx, ((&dy, &x), ((&mean, &slope), (&scale, &offset)))) in dx.iter_mut().zip(read) {
                *dx = dy * scale + ((x - mean) * slope + offset);
            }
        }
    }
}

vectorised! {
    fn gradient_in_place_part[](x: &[f32], of: &Slopes, dx: &mut [f32]) {
        let length = of.means.len();
        for (x, dx) in x.chunks(length).zip(dx.chunks_mut(length)) {
            let centre = of.means.iter().zip(&of.slopes);
            let channels = centre.zip(of.scales.iter().zip(&of.offsets));
            for (dx, (&x, ((&mean, &slope), (&scale, &offset)))) in
                dx.iter_mut().zip(x.iter().zip(channels))
            {
                *dx = *dx * scale + ((x - mean) * slope + offset);
            }
        }
    }
}

/// `y = (x − mean) / √(variance + epsilon) · gamma + beta`, channel by channel, with means and
/// variances as [`moments`] gives them.
pub fn normalize(
    x: &[f32],
    moments: &[f32],
    gamma: &[f32],
    beta: &[f32],
    epsilon: f32,
    y: &mut [f32],
) {
    let channels = gamma.len();
    rows(x, channels);
    assert_eq!(x.len(), y.len(), "normalize: y");
    assert_eq!(moments.len(), 2 * channels, "normalize: moments");
    assert_eq!(beta.len(), channels, "normalize: beta");
    let means = tiled(moments[..channels].iter().copied());
    let inverse: Vec<f32> = inverse_deviations(moments, epsilon).collect();
    let scales = tiled(
        gamma
            .iter()
            .zip(&inverse)
            .map(|(gamma, inverse)| gamma * inverse),
    );
    let offsets = tiled(beta.iter().copied());
    parts(y, means.len(), 1, |start, y| {
        normalize_part(&x[start..][..y.len()], &means, &scales, &offsets, y);
    });
}

/// For each channel the sum of `dy`, which is the gradient of beta, and after all of them the sum
/// of `dy · (x − mean) / √(variance + epsilon)`, which is that of gamma: `out` is `[2, channels]`.
pub fn gradient_sums(dy: &[f32], x: &[f32], moments: &[f32], epsilon: f32, out: &mut [f32]) {
    let channels = moments.len() / 2;
    let count = rows(x, channels);
    assert_eq!(x.len(), dy.len(), "gradient sums: dy");
    assert_eq!(out.len(), 2 * channels, "gradient sums: out");
    let means = &moments[..channels];
    let leaf = |first: usize, count: usize, out: &mut [f32]| {
        let part = first * channels..(first + count) * channels;
        sums_of_rows(&dy[part.clone()], &x[part], means, channels, out);
    };
    let fold = |_: usize, _: usize, out: &mut [f32], other: &[f32]| {
        for (out, other) in out.iter_mut().zip(other) {
            *out += other;
        }
    };
    halves(0, count, out, &leaf, &fold);
    let products = out[channels..].iter_mut();
    for (product, inverse) in products.zip(inverse_deviations(moments, epsilon)) {
        *product *= inverse;
    }
}

impl Slopes {
    fn new(x: &[f32], moments: &[f32], gamma: &[f32], sums: &[f32], epsilon: f32) -> Self {
        let channels = gamma.len();
        let count = rows(x, channels) as f32;
        assert_eq!(moments.len(), 2 * channels, "input gradient: moments");
        assert_eq!(sums.len(), 2 * channels, "input gradient: sums");
        let inverse: Vec<f32> = inverse_deviations(moments, epsilon).collect();
        let scale = |channel: usize| gamma[channel] * inverse[channel];
        let slope = |channel: usize| {
            -scale(channel) * inverse[channel] * (sums[channels + channel] / count)
        };
        let offset = |channel: usize| -scale(channel) * (sums[channel] / count);
        Slopes {
            means: tiled(moments[..channels].iter().copied()),
            scales: tiled((0..channels).map(scale)),
            slopes: tiled((0..channels).map(slope)),
            offsets: tiled((0..channels).map(offset)),
        }
    }
}

/// The gradient of [`normalize`] with respect to `x`, of which the moments are functions:
/// `dx = gamma / √(variance + epsilon) · (dy − mean(dy) − x̂ · mean(dy · x̂))`, where `x̂` is the
/// normalized `x` and the sums are those of [`gradient_sums`].
pub fn input_gradient(
    dy: &[f32],
    x: &[f32],
    moments: &[f32],
    gamma: &[f32],
    sums: &[f32],
    epsilon: f32,
    dx: &mut [f32],
) {
    assert_eq!(x.len(), dy.len(), "input gradient: dy");
    assert_eq!(x.len(), dx.len(), "input gradient: dx");
    let slopes = Slopes::new(x, moments, gamma, sums, epsilon);
    parts(dx, slopes.means.len(), 1, |start, dx| {
        let part = start..start + dx.len();
        gradient_part(&dy[part.clone()], &x[part], &slopes, dx);
    });
}

/// As [`input_gradient`], with `dy` in `dx`.
pub fn input_gradient_in_place(
    x: &[f32],
    moments: &[f32],
    gamma: &[f32],
    sums: &[f32],
    epsilon: f32,
    dx: &mut [f32],
) {
    assert_eq!(x.len(), dx.len(), "input gradient: dx");
    let slopes = Slopes::new(x, moments, gamma, sums, epsilon);
    parts(dx, slopes.means.len(), 1, |start, dx| {
        gradient_in_place_part(&x[start..][..dx.len()], &slopes, dx);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::random::{Key, normal};

    fn draw(length: usize, stream: u64) -> Vec<f32> {
        let mut x = vec![0.0; length];
        normal(Key::new(3, stream), 0, &mut x);
        x
    }

    /// Mean and variance of each channel in 64 bits.
    fn wide_moments(x: &[f32], channels: usize) -> (Vec<f64>, Vec<f64>) {
        let count = (x.len() / channels) as f64;
        let of = |channel: usize| x[channel..].iter().step_by(channels).map(|&x| f64::from(x));
        let mean = |channel: usize| of(channel).sum::<f64>() / count;
        let variance = |channel: usize| {
            let mean = mean(channel);
            of(channel).map(|x| (x - mean).powi(2)).sum::<f64>() / count
        };
        (
            (0..channels).map(mean).collect(),
            (0..channels).map(variance).collect(),
        )
    }

    #[test]
    fn moments_are_exact_even_if_the_mean_is_far_from_zero() {
        for (count, channels) in [(1, 3), (127, 1), (129, 8), (3000, 45), (40_000, 17)] {
            let mut x = draw(count * channels, count as u64);
            for (index, x) in x.iter_mut().enumerate() {
                *x = *x * 0.5 + 1000.0 * (index % channels) as f32;
            }
            let mut out = vec![0.0; 2 * channels];
            moments(&x, channels, &mut out);
            let (means, variances) = wide_moments(&x, channels);
            for channel in 0..channels {
                let (mean, variance) =
                    (f64::from(out[channel]), f64::from(out[channels + channel]));
                assert!((mean - means[channel]).abs() <= 2e-7 * means[channel].abs().max(1.0));
                // The mean is rounded to 32 bits, and so are the distances from it.
                let distance = 2e-7 * means[channel].abs().max(1.0);
                let error = (variance - variances[channel]).abs();
                assert!(
                    error <= 4e-6 * variances[channel] + distance * distance,
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn the_number_of_threads_does_not_matter() {
        let channels = 24;
        let (x, dy) = (draw(30_000 * channels, 0), draw(30_000 * channels, 1));
        let (gamma, beta) = (draw(channels, 2), draw(channels, 3));
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| {
                let (mut of, mut sums) = (vec![0.0; 2 * channels], vec![0.0; 2 * channels]);
                let (mut y, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
                moments(&x, channels, &mut of);
                normalize(&x, &of, &gamma, &beta, 1e-3, &mut y);
                gradient_sums(&dy, &x, &of, 1e-3, &mut sums);
                input_gradient(&dy, &x, &of, &gamma, &sums, 1e-3, &mut dx);
                let mut in_place = dy.clone();
                input_gradient_in_place(&x, &of, &gamma, &sums, 1e-3, &mut in_place);
                assert_eq!(in_place, dx);
                [of, y, sums, dx].concat()
            })
        };
        assert_eq!(run(1), run(3));
    }

    #[test]
    fn what_is_normalized_has_the_moments_that_gamma_and_beta_say() {
        let channels = 5;
        let x = draw(4001 * channels, 0);
        let (gamma, beta) = ([1.0, 2.0, -3.0, 0.5, 0.0], [0.0, 10.0, -7.0, 1.0, 4.0]);
        let (mut of, mut y) = (vec![0.0; 10], vec![0.0; x.len()]);
        moments(&x, channels, &mut of);
        normalize(&x, &of, &gamma, &beta, 0.0, &mut y);
        moments(&y, channels, &mut of);
        for channel in 0..channels {
            assert!((of[channel] - beta[channel]).abs() < 1e-5);
            let expected = gamma[channel] * gamma[channel];
            assert!((of[channels + channel] - expected).abs() < 1e-4);
        }
    }

    #[test]
    fn no_rows_are_no_error() {
        let mut of = [1.0; 6];
        moments(&[], 3, &mut of);
        assert_eq!(of, [0.0; 6]);
        let mut sums = [1.0; 6];
        gradient_sums(&[], &[], &of, 1e-3, &mut sums);
        assert_eq!(sums, [0.0; 6]);
        normalize(&[], &of, &[1.0; 3], &[0.0; 3], 1e-3, &mut []);
        input_gradient(&[], &[], &of, &[1.0; 3], &sums, 1e-3, &mut []);
    }
}
