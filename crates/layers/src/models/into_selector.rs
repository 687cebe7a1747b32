//! What can be written where a selector is expected: positions, ranges, names, lists of these.

use std::ops;

use crate::Selector;

/// What can be used where layers or weights are picked.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not pick layers or weights",
    label = "expected a position, a range, a name, a list of these or a `Selector`",
    note = "pick by position (`..-1`, `2`), by name or glob (`\"block*\"`, `\"**/bias\"`), or by kind (`Selector::kind(\"Dense\")`)"
)]
pub trait IntoSelector {
    /// The selector.
    fn into_selector(self) -> Selector;
}

impl IntoSelector for Selector {
    fn into_selector(self) -> Selector {
        self
    }
}

impl IntoSelector for String {
    fn into_selector(self) -> Selector {
        Selector::Glob(self)
    }
}

impl IntoSelector for &str {
    fn into_selector(self) -> Selector {
        Selector::Glob(self.to_string())
    }
}

impl IntoSelector for ops::RangeFull {
    fn into_selector(self) -> Selector {
        Selector::Range(None, None)
    }
}

/// What a reference to something picks: the same.
impl<S: IntoSelector + Clone> IntoSelector for &S {
    fn into_selector(self) -> Selector {
        self.clone().into_selector()
    }
}

impl<S: IntoSelector> IntoSelector for Vec<S> {
    fn into_selector(self) -> Selector {
        Selector::Any(self.into_iter().map(S::into_selector).collect())
    }
}

impl<S: IntoSelector + Clone> IntoSelector for &[S] {
    fn into_selector(self) -> Selector {
        self.to_vec().into_selector()
    }
}

impl<S: IntoSelector, const N: usize> IntoSelector for [S; N] {
    fn into_selector(self) -> Selector {
        Vec::from(self).into_selector()
    }
}

/// What follows position `last`: nothing after the last of all.
fn after(last: isize) -> Option<isize> {
    (last != -1).then_some(last.saturating_add(1))
}

/// Positions and ranges of a type of integers, of which `$at` makes positions.
macro_rules! positions {
    ($integer:ty, $at:expr) => {
        positions!($integer: position, { let at = $at(position); Selector::Range(Some(at), after(at)) });
        positions!(ops::RangeTo<$integer>: range, Selector::Range(None, Some($at(range.end))));
        positions!(ops::RangeFrom<$integer>: range, Selector::Range(Some($at(range.start)), None));
        positions!(ops::Range<$integer>: range, Selector::Range(Some($at(range.start)), Some($at(range.end))));
        positions!(ops::RangeToInclusive<$integer>: range, Selector::Range(None, after($at(range.end))));
        positions!(ops::RangeInclusive<$integer>: range, {
            Selector::Range(Some($at(*range.start())), after($at(*range.end())))
        });
    };
    ($type:ty: $value:ident, $selector:expr) => {
        impl IntoSelector for $type {
            fn into_selector(self) -> Selector {
                let $value = self;
                $selector
            }
        }
    };
}

positions!(i32, |position: i32| position as isize);
positions!(usize, |position: usize| isize::try_from(position)
    .unwrap_or(isize::MAX));
