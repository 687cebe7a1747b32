//! Checks of settings, which a declaration names behind `=>`.

use std::fmt::Debug;

use regraft_tensor::Detail;

/// An error unless `holds`: a setting `at` should have been `expected`.
///
/// # Errors
/// That.
pub fn require(holds: bool, at: &str, expected: &str, received: impl Debug) -> Result<(), Detail> {
    match holds {
        true => Ok(()),
        false => Err(Detail::new(at, expected, format!("{received:?}"))),
    }
}

/// What is checked as a number: one of either size, which may be none.
pub trait Number {
    /// Its type.
    type Of: Copy + Debug + Into<f64>;
    /// The number, if there is one.
    fn number(self) -> Option<Self::Of>;
}

impl Number for f32 {
    type Of = f32;
    fn number(self) -> Option<f32> {
        Some(self)
    }
}

impl Number for f64 {
    type Of = f64;
    fn number(self) -> Option<f64> {
        Some(self)
    }
}

impl<N: Number> Number for Option<N> {
    type Of = N::Of;
    fn number(self) -> Option<N::Of> {
        self?.number()
    }
}

/// Declares checks of a number, which may be none.
macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident |$number:ident| $holds:expr, $expected:literal;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// Another number.
            pub fn $name(at: &str, value: impl Number) -> Result<(), Detail> {
                let holds = |$number: f64| $holds;
                match value.number() {
                    Some(number) => require(holds(number.into()), at, $expected, number),
                    None => Ok(()),
                }
            }
        )*
    };
}

checks! {
    /// An error unless the number, if there is one, is finite and not negative.
    require_rate |x| x.is_finite() && x >= 0.0, "a number that is not negative";
    /// An error unless the number, if there is one, is a share of the whole.
    require_share |x| (0.0..=1.0).contains(&x), "a number from 0 to 1";
    /// An error unless the number, if there is one, is from 0 on and below 1.
    require_decay |x| (0.0..1.0).contains(&x), "a number in [0, 1)";
    /// An error unless the number, if there is one, is finite.
    require_finite |x| x.is_finite(), "a finite number";
    /// An error unless the number, if there is one, is finite and above 0.
    require_positive |x| x.is_finite() && x > 0.0, "a number above 0";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_both_sizes_are_checked_and_shown_as_they_are() {
        assert!(require_share("x", 1.0_f32).is_ok() && require_share("x", None::<f64>).is_ok());
        assert!(require_decay("x", 1.0).is_err() && require_positive("x", f64::NAN).is_err());
        let received = |wrong: Result<(), Detail>| wrong.unwrap_err().received;
        assert_eq!(received(require_rate("x", Some(-0.1_f32))), "-0.1");
        assert_eq!(received(require_rate("x", -0.1)), "-0.1");
    }
}
