//! What the definitions of activations share.

/// Defines an activation without settings: its documentation, its type, its name in Keras, its
/// formula.
macro_rules! activation {
    ($(#[$documentation:meta])* $name:ident, $keras:literal, |$x:ident| $formula:expr) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name;

        impl $crate::Configured for $name {
            fn class_name(&self) -> &str {
                $keras
            }

            fn module(&self) -> &str {
                "keras.activations"
            }
        }

        impl $crate::settings::FromSettings for $name {
            fn from_settings(
                settings: &$crate::settings::Settings<'_>,
            ) -> Result<Self, regraft_tensor::Detail> {
                settings.ignore($crate::activations::define::LAYER_SETTINGS);
                Ok($name)
            }
        }

        impl $crate::ActivationFunction for $name {
            fn apply<'g>(&self, $x: regraft_autograd::Var<'g>) -> regraft_autograd::Var<'g> {
                $formula
            }
        }
    };
}
pub(super) use activation;

/// What Keras adds to the settings where the activation is written as a layer.
pub(super) const LAYER_SETTINGS: &[&str] = &["name", "trainable", "dtype"];

/// The module of an activation with settings other than the defaults for which Keras has no layer.
/// Its functions have no place for settings in a file and would silently be read with the defaults;
/// a module that it does not know is an error there.
pub(super) const OWN_MODULE: &str = "regraft.activations";

/// The module of an activation that has the defaults, or for which Keras has no layer.
pub(super) fn module(is_default: bool) -> &'static str {
    match is_default {
        true => "keras.activations",
        false => OWN_MODULE,
    }
}
