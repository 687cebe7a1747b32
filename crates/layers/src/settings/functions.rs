//! Settings that are functions.

use regraft_settings::{Given, Setting};
use regraft_tensor::Detail;
use serde_json::Value;

use super::IntoSetting;
use crate::{
    Activation, ActivationFunction, Constraint, ConstraintFunction, Initializer,
    InitializerFunction, Registry, Regularizer, RegularizerFunction,
};

/// The function that a value means.
fn function<T>(
    given: Given<'_>,
    read: impl FnOnce(&Registry, &Value) -> Result<T, Detail>,
    built_in: impl FnOnce(&Value) -> Result<T, Detail>,
) -> Result<T, Detail> {
    let made = match given.context() {
        Some(registry) => read(registry, given.value),
        None => built_in(given.value),
    };
    made.map_err(|detail| detail.within(given.key()))
}

/// Settings that are functions: in files what they serialize to, for setters also a name or a value of
/// a function's own type.
macro_rules! functions {
    ($($handle:ident $function:ident $read:ident, $none:expr;)*) => {$(
        impl Setting for $handle {
            fn read(given: Given<'_>) -> Result<Self, Detail> {
                function(given, Registry::$read, $handle::deserialize)
            }

            fn write(&self) -> Value {
                self.serialize()
            }

            fn write_none() -> Value {
                $none
            }
        }

        impl IntoSetting<$handle> for &str {
            fn into_setting(self) -> $handle {
                self.into()
            }
        }

        impl IntoSetting<Option<$handle>> for &str {
            fn into_setting(self) -> Option<$handle> {
                Some(self.into())
            }
        }

        impl<F: $function> IntoSetting<$handle> for F {
            fn into_setting(self) -> $handle {
                self.into()
            }
        }

        impl<F: $function> IntoSetting<Option<$handle>> for F {
            fn into_setting(self) -> Option<$handle> {
                Some(self.into())
            }
        }
    )*};
}

functions! {
    Activation ActivationFunction activation, "linear".into();
    Initializer InitializerFunction initializer, Value::Null;
    Regularizer RegularizerFunction regularizer, Value::Null;
    Constraint ConstraintFunction constraint, Value::Null;
}
