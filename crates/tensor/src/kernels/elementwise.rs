//! One operation on every element: `y = f(x)`, `y = f(a, b)`, `y = f(a, b, c)`.
//!
//! The operation is compiled into the loop for each vector width, so one without branches (see
//! [`math`](super::math)) runs at the full width. A closure of more than a few dozen operations is
//! not inlined by the compiler and runs one element at a time: write it as a function marked
//! `#[inline(always)]`, and pass that function itself. An element's result depends on its inputs
//! alone, not on its place. Long slices are split over threads.

use super::isa::vectorised;
use super::parallel::parts;

vectorised! {
    fn map_part[F: Fn(f32) -> f32](x: &[f32], y: &mut [f32], f: F) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = f(x);
        }
    }
}

vectorised! {
    fn map_in_place_part[F: Fn(f32) -> f32](y: &mut [f32], f: F) {
        for y in y {
            *y = f(*y);
        }
    }
}

vectorised! {
    fn zip_part[F: Fn(f32, f32) -> f32](a: &[f32], b: &[f32], y: &mut [f32], f: F) {
        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
            *y = f(a, b);
        }
    }
}

vectorised! {
    fn zip_in_place_part[F: Fn(f32, f32) -> f32](y: &mut [f32], b: &[f32], f: F) {
        for (y, &b) in y.iter_mut().zip(b) {
            *y = f(*y, b);
        }
    }
}

vectorised! {
    fn zip3_part[F: Fn(f32, f32, f32) -> f32](
        a: &[f32], b: &[f32], c: &[f32], y: &mut [f32], f: F
    ) {
        for (((y, &a), &b), &c) in y.iter_mut().zip(a).zip(b).zip(c) {
            *y = f(a, b, c);
        }
    }
}

/// `y[i] = f(x[i])`.
///
/// # Panics
/// If the lengths differ.
pub fn map(x: &[f32], y: &mut [f32], f: impl Fn(f32) -> f32 + Sync + Copy) {
    assert_eq!(x.len(), y.len(), "map: lengths of x and y");
    parts(y, 1, 1, |start, y| {
        map_part(&x[start..start + y.len()], y, f);
    });
}

/// `y[i] = f(y[i])`.
pub fn map_in_place(y: &mut [f32], f: impl Fn(f32) -> f32 + Sync + Copy) {
    parts(y, 1, 1, |_, y| map_in_place_part(y, f));
}

/// `y[i] = f(a[i], b[i])`.
///
/// # Panics
/// If the lengths differ.
pub fn zip(a: &[f32], b: &[f32], y: &mut [f32], f: impl Fn(f32, f32) -> f32 + Sync + Copy) {
    assert_eq!(a.len(), y.len(), "zip: lengths of a and y");
    assert_eq!(b.len(), y.len(), "zip: lengths of b and y");
    parts(y, 1, 1, |start, y| {
        let end = start + y.len();
        zip_part(&a[start..end], &b[start..end], y, f);
    });
}

/// `y[i] = f(y[i], b[i])`.
///
/// # Panics
/// If the lengths differ.
pub fn zip_in_place(y: &mut [f32], b: &[f32], f: impl Fn(f32, f32) -> f32 + Sync + Copy) {
    assert_eq!(b.len(), y.len(), "zip_in_place: lengths of b and y");
    parts(y, 1, 1, |start, y| {
        zip_in_place_part(y, &b[start..start + y.len()], f);
    });
}

/// `y[i] = f(a[i], b[i], c[i])`.
///
/// # Panics
/// If the lengths differ.
pub fn zip3(
    a: &[f32],
    b: &[f32],
    c: &[f32],
    y: &mut [f32],
    f: impl Fn(f32, f32, f32) -> f32 + Sync + Copy,
) {
    assert_eq!(a.len(), y.len(), "zip3: lengths of a and y");
    assert_eq!(b.len(), y.len(), "zip3: lengths of b and y");
    assert_eq!(c.len(), y.len(), "zip3: lengths of c and y");
    parts(y, 1, 1, |start, y| {
        let end = start + y.len();
        zip3_part(&a[start..end], &b[start..end], &c[start..end], y, f);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::math;

    /// An element's bits must not depend on where in the slice, or in which part, it stands.
    #[test]
    fn a_value_does_not_depend_on_its_place() {
        let x: Vec<f32> = (0..(super::super::parallel::ELEMENTS + 77))
            .map(|i| (i % 1009) as f32 * 0.01 - 5.0)
            .collect();
        let mut whole = vec![0.0; x.len()];
        map(&x, &mut whole, math::tanh);
        for start in [0, 1, 5, 16, 65_530, x.len() - 3] {
            for length in [1, 3, 7, 40] {
                let end = (start + length).min(x.len());
                let mut part = vec![0.0; end - start];
                map(&x[start..end], &mut part, math::tanh);
                assert_eq!(part, whole[start..end]);
            }
        }
    }

    #[test]
    fn zips_take_their_arguments_in_order() {
        let (a, b, c) = ([8.0, 6.0], [2.0, 3.0], [1.0, 10.0]);
        let mut y = [0.0; 2];
        zip(&a, &b, &mut y, |a, b| a / b);
        assert_eq!(y, [4.0, 2.0]);
        zip3(&a, &b, &c, &mut y, |a, b, c| a / b - c);
        assert_eq!(y, [3.0, -8.0]);
        zip_in_place(&mut y, &a, |y, a| y - a);
        assert_eq!(y, [-5.0, -14.0]);
        map_in_place(&mut y, |y| -y);
        assert_eq!(y, [5.0, 14.0]);
    }
}
