//! Activation functions, with the names and formulas of Keras.

use super::{erf, expm1, select, sigmoid, tanh};

/// `max(x, 0)`; NaN for NaN.
#[inline(always)]
pub fn relu(x: f32) -> f32 {
    select(x < 0.0, 0.0, x)
}

/// `min(max(x, 0), 6)`; NaN for NaN.
#[inline(always)]
pub fn relu6(x: f32) -> f32 {
    let x = relu(x);
    select(x > 6.0, 6.0, x)
}

/// `x` where positive, else `slope · x`.
#[inline(always)]
pub fn leaky_relu(x: f32, slope: f32) -> f32 {
    select(x < 0.0, slope * x, x)
}

/// `x` where positive, else `alpha · (eˣ − 1)`.
#[inline(always)]
pub fn elu(x: f32, alpha: f32) -> f32 {
    select(x < 0.0, alpha * expm1(x), x)
}

/// `x · sigmoid(x)`, also called swish.
#[inline(always)]
pub fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}

/// `x · Φ(x) = x / 2 · (1 + erf(x / √2))`: the exact form, Keras' `gelu(approximate=False)`.
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// `x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))`: Keras' `gelu(approximate=True)`.
#[inline(always)]
pub fn gelu_tanh(x: f32) -> f32 {
    // √(2/π)
    const SCALE: f32 = 0.797_884_6;
    0.5 * x * (1.0 + tanh(SCALE * (x + 0.044_715 * x * x * x)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every formula spelled out in double precision with the standard library's functions.
    #[test]
    fn agree_with_their_formulas_in_double_precision() {
        let sigmoid_64 = |x: f64| 1.0 / (1.0 + (-x).exp());
        for i in -600..=600 {
            let x = i as f32 / 100.0;
            let wide = f64::from(x);
            let scale = (2.0 / std::f64::consts::PI).sqrt();
            let inner = scale * (wide + 0.044_715 * wide.powi(3));
            let cases = [
                (relu(x), wide.max(0.0)),
                (relu6(x), wide.clamp(0.0, 6.0)),
                (
                    leaky_relu(x, 0.25),
                    if x < 0.0 { 0.25 * wide } else { wide },
                ),
                (
                    elu(x, 1.5),
                    if x < 0.0 { 1.5 * wide.exp_m1() } else { wide },
                ),
                (silu(x), wide * sigmoid_64(wide)),
                (gelu_tanh(x), 0.5 * wide * (1.0 + inner.tanh())),
            ];
            for (received, expected) in cases {
                assert!(
                    (f64::from(received) - expected).abs() < 1e-6,
                    "{x}: {received} {expected}"
                );
            }
        }
    }

    #[test]
    fn keep_what_is_not_a_number() {
        for f in [relu, relu6, silu, gelu, gelu_tanh] {
            assert!(f(f32::NAN).is_nan());
        }
        assert!(elu(f32::NAN, 1.0).is_nan() && leaky_relu(f32::NAN, 0.1).is_nan());
        assert_eq!(relu6(f32::INFINITY), 6.0);
        // Φ(1) = 0.8413447460685429 (standard tables).
        assert!((gelu(1.0) - 0.841_344_8).abs() < 1e-6);
    }
}
