//! Scalar functions for elementwise kernels.
pub use placeholder::*;
mod placeholder {
    macro_rules! f { ($($n:ident => $e:expr),* $(,)?) => { $(
        /// Function.
        #[inline(always)] pub fn $n(x: f32) -> f32 { let f: fn(f32)->f32 = $e; f(x) } )* } }
    f! { exp => |x| x.exp(), ln => |x| x.ln(), log1p => |x| x.ln_1p(), expm1 => |x| x.exp_m1(), tanh => |x| x.tanh(),
    sigmoid => |x| 1.0/(1.0+(-x).exp()), softplus => |x| x.max(0.0) + (-x.abs()).exp().ln_1p(),
    sqrt => |x| x.sqrt(), sin => |x| x.sin(), cos => |x| x.cos(), relu => |x| if x > 0.0 {x} else if x <= 0.0 {0.0} else {x},
    erf => |x| { let t = 1.0/(1.0+0.327_591_1*x.abs()); let p=((((1.061_405_4*t-1.453_152)*t+1.421_413_7)*t-0.284_496_74)*t+0.254_829_6)*t; (1.0-p*(-x*x).exp()).copysign(x) } }
}
/// `x` to the power `y`.
#[inline(always)]
pub fn pow(x: f32, y: f32) -> f32 {
    x.powf(y)
}
/// silu
#[inline(always)]
pub fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}
/// gelu
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}
/// gelu tanh
#[inline(always)]
pub fn gelu_tanh(x: f32) -> f32 {
    0.5 * x * (1.0 + tanh(0.797_884_6 * (x + 0.044_715 * x * x * x)))
}
/// relu6
#[inline(always)]
pub fn relu6(x: f32) -> f32 {
    relu(x).min(6.0)
}
/// leaky
#[inline(always)]
pub fn leaky_relu(x: f32, slope: f32) -> f32 {
    if x > 0.0 { x } else { slope * x }
}
/// round
#[inline(always)]
pub fn round(x: f32) -> f32 {
    const M: f32 = 12_582_912.0;
    (x + M) - M
}
/// quantile
#[inline(always)]
pub fn central_normal_quantile(u: f32) -> f32 {
    // bisect placeholder replaced by a polynomial
    let t = u * 0.954_499_7;
    let a = 0.147_f32;
    let l = (1.0 - t * t).ln();
    let p = 2.0 / (std::f32::consts::PI * a) + l / 2.0;
    (((p * p - l / a).sqrt() - p).sqrt() * std::f32::consts::SQRT_2)
        .min(2.0)
        .copysign(t)
}
