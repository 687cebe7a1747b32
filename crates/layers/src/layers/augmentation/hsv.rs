//! Colours as hue, saturation and value, as TensorFlow has them: hue from 0 to 1, value as large as the
//! largest of red, green and blue.

/// Red, green and blue as hue, saturation and value.
pub(crate) fn from_rgb([r, g, b]: [f32; 3]) -> [f32; 3] {
    let value = r.max(g).max(b);
    let range = value - r.min(g).min(b);
    let saturation = if value > 0.0 { range / value } else { 0.0 };
    if range <= 0.0 {
        return [0.0, saturation, value];
    }
    let norm = 1.0 / (6.0 * range);
    let hue = if r == value {
        norm * (g - b)
    } else if g == value {
        norm * (b - r) + 2.0 / 6.0
    } else {
        norm * (r - g) + 4.0 / 6.0
    };
    [if hue < 0.0 { hue + 1.0 } else { hue }, saturation, value]
}

/// Hue, saturation and value as red, green and blue.
pub(crate) fn to_rgb([hue, saturation, value]: [f32; 3]) -> [f32; 3] {
    let sixth = hue * 6.0;
    let shares = [
        (sixth - 3.0).abs() - 1.0,
        2.0 - (sixth - 2.0).abs(),
        2.0 - (sixth - 4.0).abs(),
    ];
    shares.map(|share| (1.0 - saturation + saturation * share.clamp(0.0, 1.0)) * value)
}

/// `change` made to each pixel of `x` as hue, saturation and value.
pub(crate) fn each_pixel(x: &[f32], y: &mut [f32], change: impl Fn([f32; 3]) -> [f32; 3]) {
    for (x, y) in x.chunks_exact(3).zip(y.chunks_exact_mut(3)) {
        y.copy_from_slice(&to_rgb(change(from_rgb([x[0], x[1], x[2]]))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_is_the_same_colour() {
        for r in 0..6 {
            for g in 0..6 {
                for b in 0..6 {
                    let rgb = [r, g, b].map(|level| level as f32 * 51.0);
                    for (back, value) in to_rgb(from_rgb(rgb)).into_iter().zip(rgb) {
                        assert!((back - value).abs() < 1e-3, "{rgb:?}");
                    }
                }
            }
        }
    }
}
