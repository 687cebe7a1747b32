//! One small language that picks layers (and their weights): by position, by name or glob, by kind,
//! by predicate, and by `&`, `|`, `!` of these. Freezing, loading and saving all use it.

use std::collections::HashSet;
use std::fmt;
use std::ops;
use std::sync::Arc;

use regraft_tensor::Detail;

use crate::names::near;
use crate::topology::{Body, Entry, Topology, join};
use crate::{Error, Freezing, LayerInfo, Model, Result};

/// Picks layers of a model.
///
/// | written | picks |
/// |---|---|
/// | `..-1`, `2..`, `1..=3`, `..`, `-1` | layers by position (negative: from the end), inputs not counted |
/// | `"dense_1"`, `"base/conv1"` | the layer of this name or path |
/// | `"block*"`, `"base/**"` | names or paths that match; `*` stays within a name, `**` does not |
/// | `Selector::kind("BatchNormalization")` | layers of a class |
/// | `Selector::when(\|layer\| …)` | layers for which a function says so |
/// | `a & b`, `a \| b`, `!a` | both, either, the others |
///
/// A pattern without `/` is compared with the names of layers at every depth, one with `/` with
/// whole paths. Picking a nested model picks all that is in it.
#[derive(Clone)]
pub enum Selector {
    /// Layers by position: from the first number to before the second, negative ones counted from
    /// the end.
    Range(Option<isize>, Option<isize>),
    /// Names or paths that match a pattern with `*`, `**` and `?`.
    Glob(String),
    /// Layers of a class.
    Kind(String),
    /// Layers for which a function says so.
    When(Arc<dyn Fn(&LayerInfo<'_>) -> bool + Send + Sync>),
    /// What both pick.
    And(Box<Selector>, Box<Selector>),
    /// What either picks.
    Or(Box<Selector>, Box<Selector>),
    /// What the other does not pick.
    Not(Box<Selector>),
}

impl Selector {
    /// Layers of a class: `Selector::kind("BatchNormalization")`.
    pub fn kind(class_name: impl Into<String>) -> Self {
        Selector::Kind(class_name.into())
    }

    /// Layers for which `predicate` says so.
    pub fn when(predicate: impl Fn(&LayerInfo<'_>) -> bool + Send + Sync + 'static) -> Self {
        Selector::When(Arc::new(predicate))
    }

    /// Whether it picks the layer, `position` being that of the top-level layer that has it among
    /// `count`.
    fn picks(&self, layer: &LayerInfo<'_>, position: usize, count: usize) -> bool {
        match self {
            Selector::Range(start, end) => {
                let at = |bound: &Option<isize>, default: isize| match *bound {
                    None => default,
                    Some(bound) if bound < 0 => (count as isize + bound).max(0),
                    Some(bound) => bound,
                };
                let position = position as isize;
                (at(start, 0)..at(end, count as isize)).contains(&position)
            }
            Selector::Glob(pattern) => picks_by_name(pattern, layer.path()),
            Selector::Kind(class_name) => layer.class_name() == class_name,
            Selector::When(predicate) => predicate(layer),
            Selector::And(a, b) => {
                a.picks(layer, position, count) && b.picks(layer, position, count)
            }
            Selector::Or(a, b) => {
                a.picks(layer, position, count) || b.picks(layer, position, count)
            }
            Selector::Not(a) => !a.picks(layer, position, count),
        }
    }

    /// The patterns in it, for an error's help.
    fn patterns(&self) -> Vec<&str> {
        match self {
            Selector::Glob(name) | Selector::Kind(name) => vec![name],
            Selector::And(a, b) | Selector::Or(a, b) => {
                let mut patterns = a.patterns();
                patterns.extend(b.patterns());
                patterns
            }
            Selector::Not(a) => a.patterns(),
            Selector::Range(..) | Selector::When(_) => Vec::new(),
        }
    }
}

/// Whether the pattern matches the path itself, or one of the models that contain it.
fn picks_by_name(pattern: &str, path: &str) -> bool {
    let mut part = path;
    loop {
        let name = match pattern.contains('/') {
            true => part,
            false => part.rsplit('/').next().unwrap_or(part),
        };
        if glob(pattern.as_bytes(), name.as_bytes()) {
            return true;
        }
        match part.rfind('/') {
            Some(end) => part = &part[..end],
            None => return false,
        }
    }
}

/// Matches `*` (any characters but `/`), `**` (any), `?` (one but `/`), and the rest as it is. Takes
/// time proportional to the product of the lengths, whatever the pattern.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    // reachable[i]: whether the pattern so far can have consumed text[..i].
    let mut reachable = vec![false; text.len() + 1];
    reachable[0] = true;
    let mut rest = pattern;
    while let Some(&symbol) = rest.first() {
        let (any, crosses) = (symbol == b'*', rest.starts_with(b"**"));
        rest = &rest[if crosses { 2 } else { 1 }..];
        if any {
            for index in 0..text.len() {
                reachable[index + 1] |= reachable[index] && (crosses || text[index] != b'/');
            }
        } else {
            for index in (0..text.len()).rev() {
                let same = text[index] == symbol || symbol == b'?' && text[index] != b'/';
                reachable[index + 1] = reachable[index] && same;
            }
            reachable[0] = false;
        }
    }
    reachable[text.len()]
}

impl Model {
    /// The paths of the layers that `selector` picks, single layers only (of a nested model all that
    /// is in it).
    ///
    /// # Errors
    /// [`Error::NoMatch`] if it picks none, with the nearest names.
    pub fn select(&self, selector: impl IntoSelector) -> Result<Vec<String>> {
        let selector = selector.into_selector();
        let top: Vec<&Entry> = self
            .topology
            .layers
            .iter()
            .filter(|entry| !entry.is_input())
            .collect();
        let mut picked = Vec::new();
        let mut names: Vec<String> = Vec::new();
        for (position, entry) in top.iter().enumerate() {
            let mut visit = |path: String, entry: &Entry| {
                let info = LayerInfo::new(path.clone(), entry, &self.store);
                let leaf = matches!(entry.body, Body::Leaf(_)) && !entry.is_input();
                if leaf && selector.picks(&info, position, top.len()) {
                    picked.push(path.clone());
                }
                names.extend([path, entry.class_name().to_string()]);
            };
            entry.visit(entry.name.clone(), &mut visit);
        }
        if !picked.is_empty() {
            return Ok(picked);
        }
        names.sort();
        names.dedup();
        let help = match selector.patterns().first() {
            Some(pattern) => near(pattern, names.iter().map(String::as_str)),
            None => format!("there are {} layers", top.len()),
        };
        let expected = "a selector that matches at least one layer";
        let detail = Detail::new(&self.name, expected, format!("{selector:?}")).help(help);
        Err(Error::NoMatch(detail))
    }

    /// Gives the picked layers a state.
    ///
    /// # Errors
    /// [`Error::NoMatch`] if `selector` picks none.
    pub fn set_freezing(&mut self, selector: impl IntoSelector, freezing: Freezing) -> Result<()> {
        let trains = freezing.trains_parameters();
        self.change_freezing(selector.into_selector(), trains, |_, _| freezing)
    }

    /// Freezes the picked layers: no weight of them changes, they behave as in inference, and
    /// training spends nothing on them.
    ///
    /// # Errors
    /// [`Error::NoMatch`] if `selector` picks none.
    pub fn freeze(&mut self, selector: impl IntoSelector) -> Result<()> {
        self.set_freezing(selector, Freezing::Frozen)
    }

    /// Unfreezes the picked layers. Parameters are trained again; layers with statistics (batch
    /// normalization) go on using them as they are, since a few small batches would spoil what was
    /// learnt from many. [`set_freezing`](Self::set_freezing) with [`Freezing::Trainable`] lets them
    /// move too.
    ///
    /// # Errors
    /// [`Error::NoMatch`] if `selector` picks none.
    pub fn unfreeze(&mut self, selector: impl IntoSelector) -> Result<()> {
        self.change_freezing(
            selector.into_selector(),
            true,
            |now, has_state| match has_state {
                // A layer whose statistics move already is not told to stop.
                true if now != Freezing::Trainable => Freezing::FrozenStatistics,
                _ => Freezing::Trainable,
            },
        )
    }

    fn change_freezing(
        &mut self,
        selector: Selector,
        trains: bool,
        freezing: impl Fn(Freezing, bool) -> Freezing,
    ) -> Result<()> {
        let picked: HashSet<String> = self.select(selector)?.into_iter().collect();
        let store = &self.store;
        // A layer that stands elsewhere too has one state.
        let mut shared = HashSet::new();
        self.topology.visit("", &mut |path, entry| {
            if picked.contains(&path) {
                shared.extend(entry.weights.iter().copied());
            }
        });
        self.topology.visit_mut("", &mut |path, entry| {
            let is_shared = entry.weights.first().is_some_and(|id| shared.contains(id));
            if is_shared || picked.contains(path) {
                let mut kinds = entry.weights.iter().map(|id| store[*id].kind());
                // What follows a kernel (in a spectral normalization) was not learnt from samples.
                let has_state = entry.kept(store).is_empty()
                    && kinds.any(|kind| kind == crate::WeightKind::State);
                entry.freezing = freezing(entry.freezing, has_state);
                entry.hidden = false;
            }
        });
        let all = mark_models(&mut self.topology, "", &picked, !trains);
        if !all && trains {
            // The whole is frozen no more, so that what it hid is frozen by itself from now on.
            self.topology.frozen = false;
            self.topology
                .change_leaves(&mut |entry| entry.hidden = false);
        }
        self.revision.renew();
        Ok(())
    }
}

/// Marks the models all of whose layers are picked, as Keras' setter of `trainable` does, and says
/// whether this one is.
fn mark_models(
    topology: &mut Topology,
    prefix: &str,
    picked: &HashSet<String>,
    frozen: bool,
) -> bool {
    let (mut any, mut all) = (false, true);
    for entry in topology.layers.iter_mut().filter(|entry| !entry.is_input()) {
        let path = join(prefix, &entry.name);
        let is_picked = match &mut entry.body {
            Body::Leaf(_) => picked.contains(&path),
            Body::Nested(nested) => mark_models(nested, &path, picked, frozen),
        };
        any |= is_picked;
        all &= is_picked;
    }
    if any && all {
        topology.frozen = frozen;
    }
    any && all
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Range(start, end) => {
                let bound =
                    |bound: &Option<isize>| bound.map(|b| b.to_string()).unwrap_or_default();
                write!(f, "{}..{}", bound(start), bound(end))
            }
            Selector::Glob(pattern) => write!(f, "{pattern:?}"),
            Selector::Kind(class_name) => write!(f, "kind {class_name:?}"),
            Selector::When(_) => f.write_str("a predicate"),
            Selector::And(a, b) => write!(f, "({a:?} & {b:?})"),
            Selector::Or(a, b) => write!(f, "({a:?} | {b:?})"),
            Selector::Not(a) => write!(f, "!{a:?}"),
        }
    }
}

/// What can be used where layers are picked.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not pick layers",
    label = "expected a position, a range, a name or a `Selector`",
    note = "pick by position (`..-1`, `2`), by name or glob (`\"block*\"`), or by kind (`Selector::kind(\"Dense\")`)"
)]
pub trait IntoSelector {
    /// The selector.
    fn into_selector(self) -> Selector;
}

/// Each type with the selector that a value of it means.
macro_rules! selectors {
    ($($value:ident: $type:ty => $selector:expr),* $(,)?) => {$(
        impl IntoSelector for $type {
            fn into_selector(self) -> Selector {
                let $value = self;
                $selector
            }
        }
    )*};
}

/// Positions from `start` to before `end`, or to the end.
fn range(start: impl Into<Option<i32>>, end: impl Into<Option<i32>>) -> Selector {
    let bound = |bound: Option<i32>| bound.map(|bound| bound as isize);
    Selector::Range(bound(start.into()), bound(end.into()))
}

/// What follows position `last`: nothing after the last of all.
fn after(last: i32) -> Option<i32> {
    (last != -1).then_some(last + 1)
}

selectors! {
    selector: Selector => selector,
    name: &str => Selector::Glob(name.to_string()),
    name: &String => Selector::Glob(name.clone()),
    name: String => Selector::Glob(name),
    position: i32 => range(position, after(position)),
    _all: ops::RangeFull => range(None, None),
    positions: ops::RangeTo<i32> => range(None, positions.end),
    positions: ops::RangeFrom<i32> => range(positions.start, None),
    positions: ops::Range<i32> => range(positions.start, positions.end),
    positions: ops::RangeToInclusive<i32> => range(None, after(positions.end)),
    positions: ops::RangeInclusive<i32> => range(*positions.start(), after(*positions.end())),
}

impl<S: IntoSelector> ops::BitAnd<S> for Selector {
    type Output = Selector;

    fn bitand(self, other: S) -> Selector {
        Selector::And(Box::new(self), Box::new(other.into_selector()))
    }
}

impl<S: IntoSelector> ops::BitOr<S> for Selector {
    type Output = Selector;

    fn bitor(self, other: S) -> Selector {
        Selector::Or(Box::new(self), Box::new(other.into_selector()))
    }
}

impl ops::Not for Selector {
    type Output = Selector;

    fn not(self) -> Selector {
        Selector::Not(Box::new(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_stop_at_slashes_unless_doubled() {
        let matches = |pattern: &str, text: &str| glob(pattern.as_bytes(), text.as_bytes());
        assert!(matches("block*", "block_1"));
        assert!(!matches("block*", "block_1/conv"));
        assert!(matches("base/**", "base/block_1/conv"));
        assert!(matches("base/*/conv?", "base/block_1/conv2"));
        assert!(!matches("base/*/conv?", "base/block_1/conv"));
        assert!(matches("**", ""));
        assert!(!matches("", "a"));
    }

    #[test]
    fn a_pattern_without_slash_is_compared_with_names_at_every_depth() {
        assert!(picks_by_name("bn*", "base/bn1"));
        assert!(picks_by_name("base", "base/bn1"));
        assert!(!picks_by_name("bas", "base/bn1"));
        assert!(picks_by_name("base/bn1", "base/bn1"));
        assert!(!picks_by_name("base/bn", "base/bn1"));
    }

    #[test]
    fn positions_and_ranges_say_what_they_say_elsewhere() {
        let layers = crate::layers![
            crate::Input::new([2]),
            crate::Dense::new(2),
            crate::Dense::new(2),
            crate::Dense::new(2),
        ];
        let model = crate::Sequential::new(layers).unwrap();
        let picked = |selector: Selector| model.select(selector).unwrap_or_default();
        let all = ["dense", "dense_1", "dense_2"];
        for (selector, expected) in [
            ((..).into_selector(), &all[..]),
            ((..-1).into_selector(), &all[..2]),
            ((..=-1).into_selector(), &all[..]),
            ((..=-2).into_selector(), &all[..2]),
            ((0..=1).into_selector(), &all[..2]),
            ((1..).into_selector(), &all[1..]),
            (0.into_selector(), &all[..1]),
            ((-1).into_selector(), &all[2..]),
            (
                "dense".into_selector() | "dense_2",
                &["dense", "dense_2"][..],
            ),
        ] {
            assert_eq!(picked(selector.clone()), expected, "{selector:?}");
        }
    }
}
