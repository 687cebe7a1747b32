//! What setters take for a setting.

use super::Setting;

/// What a setter takes for a setting of type `T`: the value itself; for one that may be missing also
/// what it is if it is there; for a function also its name in Keras; for sizes also one for all axes.
///
/// It is not that of `regraft-settings`, since Rust wants a conversion where one of its types is: only where
/// [`Activation`](crate::Activation) is can everything that is a function become one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not make a setting of type `{T}`",
    note = "a type of settings of your own implements `regraft_layers::Setting`"
)]
pub trait IntoSetting<T> {
    /// The setting.
    fn into_setting(self) -> T;
}

impl<T: Setting> IntoSetting<T> for T {
    fn into_setting(self) -> T {
        self
    }
}

impl<T: Setting> IntoSetting<Option<T>> for T {
    fn into_setting(self) -> Option<T> {
        Some(self)
    }
}

/// Other types that a setter takes for a setting, and for one that may be missing; their generic
/// parameters stand in front.
macro_rules! also {
    ($([$($generics:tt)*] $given:ty => $type:ty: $into:expr;)*) => {$(
        impl<$($generics)*> $crate::IntoSetting<$type> for $given {
            fn into_setting(self) -> $type {
                let into: fn(Self) -> $type = $into;
                into(self)
            }
        }

        impl<$($generics)*> $crate::IntoSetting<Option<$type>> for $given {
            fn into_setting(self) -> Option<$type> {
                Some(self.into_setting())
            }
        }
    )*};
}

pub(crate) use also;

also! {
    [] &str => String: str::to_string;
    [const N: usize] [isize; N] => Vec<isize>: |axes| axes.to_vec();
    [] &[isize] => Vec<isize>: <[isize]>::to_vec;
    [] &Vec<isize> => Vec<isize>: Vec::clone;
    [const N: usize] [usize; N] => Vec<usize>: |sizes| sizes.to_vec();
    [] &[usize] => Vec<usize>: <[usize]>::to_vec;
    [] &Vec<usize> => Vec<usize>: Vec::clone;
    [] f32 => Vec<f32>: |value| vec![value];
    [const N: usize] [f32; N] => Vec<f32>: |values| values.to_vec();
    [] &[f32] => Vec<f32>: <[f32]>::to_vec;
    [const N: usize] [f64; N] => Vec<f64>: |values| values.to_vec();
    [] &[f64] => Vec<f64>: <[f64]>::to_vec;
    [const N: usize] [Option<usize>; N] => Vec<Option<usize>>: |sizes| sizes.to_vec();
}

/// Settings of a type that is made of a name, also of one that means nothing, which is reported later:
/// the type, and what is expected.
macro_rules! by_name {
    ($type:ident: $expected:literal) => {
        impl $crate::Setting for $type {
            fn read(given: $crate::settings::Given<'_>) -> Result<Self, regraft_tensor::Detail> {
                let name = given.value.as_str().ok_or_else(|| given.wrong($expected))?;
                Ok(name.into())
            }

            fn write(&self) -> serde_json::Value {
                self.name().into()
            }
        }

        impl $crate::IntoSetting<$type> for &str {
            fn into_setting(self) -> $type {
                self.into()
            }
        }
    };
}
pub(crate) use by_name;
