//! Formulas that more than one function is made of.

use regraft_autograd::Var;

/// The number that Keras keeps denominators and arguments of logarithms above.
pub(crate) const EPSILON: f32 = 1e-7;

/// `x / √Σ x²` over `axes`; zeros stay zeros, with gradient 0 of the norm.
pub(crate) fn l2_normalize<'g>(x: Var<'g>, axes: &[usize]) -> Var<'g> {
    // Bounding the sum rather than the root keeps the gradient finite where all is zero.
    let squares = x.square().sum_keeping(axes);
    x * squares.maximum(EPSILON * EPSILON).rsqrt()
}

/// A probability kept off 0 and 1, as Keras does before it takes logarithms.
pub(crate) fn clip_probability(p: Var<'_>) -> Var<'_> {
    p.clip(EPSILON, 1.0 - EPSILON)
}
