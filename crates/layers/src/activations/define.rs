//! What the definitions of activations share.

/// Defines an activation without settings: its documentation, its type, its class in Keras, its
/// formula.
macro_rules! activation {
    ($(#[$documentation:meta])* $name:ident, $class:literal, |$x:ident| $formula:expr) => {
        settings! {
            $(#[$documentation])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            pub struct $name as $class;
        }

        impl $crate::ActivationFunction for $name {
            fn apply<'g>(&self, $x: regraft_autograd::Var<'g>) -> regraft_autograd::Var<'g> {
                $formula
            }
        }
    };
}
pub(super) use activation;
