//! Comparisons, element by element: 1 where they hold, else 0. They have no gradient.

use crate::ops::{Binary, IntoVar, Zip};
use crate::{Gradient, Var, attributes};

/// Defines comparisons: the type, its documentation, the method of [`Var`].
macro_rules! comparison {
    ($(#[$documentation:meta])* $name:ident, $method:ident, $operator:tt) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Binary for $name {
            const NAME: &'static str = stringify!($method);

            attributes!();

            #[inline(always)]
            fn value(self, a: f32, b: f32) -> f32 {
                if a $operator b { 1.0 } else { 0.0 }
            }

            fn gradient<'g>(self, _at: &Gradient<'g, '_>) -> [Option<Var<'g>>; 2] {
                [None, None]
            }
        }

        impl<'g> Var<'g> {
            $(#[$documentation])*
            /// Element by element with broadcasting, without gradient.
            pub fn $method(self, other: impl IntoVar<'g>) -> Var<'g> {
                let other = other.into_var(self.graph());
                self.graph().apply(Zip($name), &[self, other])
            }
        }
    };
}

comparison!(
    /// 1 where a > b, else 0.
    Greater, greater, >
);
comparison!(
    /// 1 where a ≥ b, else 0.
    GreaterEqual, greater_equal, >=
);
comparison!(
    /// 1 where a < b, else 0.
    Less, less, <
);
comparison!(
    /// 1 where a ≤ b, else 0.
    LessEqual, less_equal, <=
);
comparison!(
    /// 1 where a = b, else 0.
    Equal, equal, ==
);
comparison!(
    /// 1 where a ≠ b, else 0.
    NotEqual, not_equal, !=
);
