//! Runs a formula over every element of a parameter, its gradient and its slots in one pass.
//!
//! A rule gives the formula for one element; these functions compile it for AVX-512, for AVX2 and
//! for the plain target, and pick at run time. Rust never contracts `a * b + c` into a fused
//! multiply-add by itself and square root and division are correctly rounded, so that all three
//! give the same bits.
//!
//! ```
//! use regraft_optimizers::elementwise;
//!
//! let (mut value, gradient, mut momentum) = ([1.0, 2.0], [0.5, -0.5], [0.0, 1.0]);
//! elementwise::one_slot(&mut value, &gradient, &mut [&mut momentum], |w, g, m| {
//!     let m = 0.9 * m - 0.1 * g;
//!     (w + m, m)
//! });
//! assert_eq!(momentum, [-0.05, 0.95]);
//! assert_eq!(value, [0.95, 2.95]);
//! ```

use regraft_tensor::kernels::isa::Isa;

/// Writes one pass for each number of slots. Each slice is an argument of its own so that the
/// compiler knows that they do not overlap.
macro_rules! passes {
    ($($name:ident($($slot:ident: $number:ty),*);)*) => {$(
        fn $name<F: Fn(f32, f32 $(, $number)*) -> (f32, $($number,)*)>(
            value: &mut [f32],
            gradient: &[f32],
            $($slot: &mut [f32],)*
            formula: F,
        ) {
            #[inline(always)]
            fn pass<F: Fn(f32, f32 $(, $number)*) -> (f32, $($number,)*)>(
                value: &mut [f32],
                gradient: &[f32],
                $($slot: &mut [f32],)*
                formula: F,
            ) {
                let length = value.len();
                let gradient = &gradient[..length];
                $(let $slot = &mut $slot[..length];)*
                for index in 0..length {
                    (value[index], $($slot[index],)*) =
                        formula(value[index], gradient[index] $(, $slot[index])*);
                }
            }

            assert_eq!(value.len(), gradient.len(), "one gradient per element");
            $(assert_eq!(value.len(), $slot.len(), "one slot value per element");)*
            Isa::detect().run(
                #[inline(always)]
                || pass(value, gradient, $($slot,)* formula),
            );
        }
    )*};
}

passes! {
    pass_0();
    pass_1(first: f32);
    pass_2(first: f32, second: f32);
    pass_3(first: f32, second: f32, third: f32);
}

/// Replaces every element by `formula(value, gradient)`.
///
/// # Panics
/// If the slices differ in length.
pub fn no_slots(value: &mut [f32], gradient: &[f32], formula: impl Fn(f32, f32) -> f32) {
    pass_0(value, gradient, |w, g| (formula(w, g),));
}

/// Replaces every element and its slot by `formula(value, gradient, slot)`.
///
/// # Panics
/// If the slices differ in length or there is no slot.
pub fn one_slot(
    value: &mut [f32],
    gradient: &[f32],
    slots: &mut [&mut [f32]],
    formula: impl Fn(f32, f32, f32) -> (f32, f32),
) {
    let [first, ..] = slots else {
        panic!("no slot");
    };
    pass_1(value, gradient, first, formula);
}

/// Replaces every element and its two slots by `formula(value, gradient, first, second)`.
///
/// # Panics
/// If the slices differ in length or there are fewer than two slots.
pub fn two_slots(
    value: &mut [f32],
    gradient: &[f32],
    slots: &mut [&mut [f32]],
    formula: impl Fn(f32, f32, f32, f32) -> (f32, f32, f32),
) {
    let [first, second, ..] = slots else {
        panic!("fewer than two slots");
    };
    pass_2(value, gradient, first, second, formula);
}

/// Replaces every element and its three slots by
/// `formula(value, gradient, first, second, third)`.
///
/// # Panics
/// If the slices differ in length or there are fewer than three slots.
pub fn three_slots(
    value: &mut [f32],
    gradient: &[f32],
    slots: &mut [&mut [f32]],
    formula: impl Fn(f32, f32, f32, f32, f32) -> (f32, f32, f32, f32),
) {
    let [first, second, third, ..] = slots else {
        panic!("fewer than three slots");
    };
    pass_3(value, gradient, first, second, third, formula);
}

/// The sum of the squares of `values`, the same for any number of threads.
///
/// Squares are taken in `f64` and summed in sixteen interleaved lanes, which are then added in order.
pub(crate) fn sum_of_squares(values: &[f32]) -> f64 {
    sum_of(values, values, |value, _| value)
}

/// The sum of the squares of `formula(first, second)`, as [`sum_of_squares`].
pub(crate) fn sum_of(
    first: &[f32],
    second: &[f32],
    formula: impl Fn(f32, f32) -> f32 + Copy + Sync,
) -> f64 {
    const LANES: usize = 16;

    #[inline(always)]
    fn block<F: Fn(f32, f32) -> f32>(first: &[f32], second: &[f32], formula: F) -> f64 {
        let mut lanes = [0.0f64; LANES];
        let (firsts, first_rest) = first.as_chunks::<LANES>();
        let (seconds, second_rest) = second.as_chunks::<LANES>();
        for (a, b) in firsts.iter().zip(seconds) {
            let mut values = [0.0; LANES];
            for ((value, &a), &b) in values.iter_mut().zip(a).zip(b) {
                *value = formula(a, b);
            }
            for (sum, value) in lanes.iter_mut().zip(values) {
                *sum += f64::from(value) * f64::from(value);
            }
        }
        for ((sum, &a), &b) in lanes.iter_mut().zip(first_rest).zip(second_rest) {
            let value = f64::from(formula(a, b));
            *sum += value * value;
        }
        lanes.iter().sum()
    }

    assert_eq!(first.len(), second.len(), "one number for each");
    Isa::detect().run(
        #[inline(always)]
        || block(first, second, formula),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_visited_whatever_the_length() {
        for length in [0, 1, 7, 8, 15, 16, 17, 100] {
            let mut value: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let gradient = vec![1.0; length];
            let (mut a, mut b) = (vec![2.0; length], vec![3.0; length]);
            two_slots(
                &mut value,
                &gradient,
                &mut [&mut a, &mut b],
                |w, g, a, b| (w + g, a * 2.0, b + w),
            );
            for i in 0..length {
                let w = i as f32;
                assert_eq!((value[i], a[i], b[i]), (w + 1.0, 4.0, w + 3.0));
            }
        }
    }

    #[test]
    fn the_sum_of_squares_counts_the_remainder() {
        let values: Vec<f32> = (1..=37).map(|i| i as f32).collect();
        let expected: f64 = values.iter().map(|v| f64::from(v * v)).sum();
        assert_eq!(sum_of_squares(&values), expected);
    }
}
