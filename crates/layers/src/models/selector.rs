//! One small language that picks layers and single weights: by position, by name or glob, by kind, by
//! predicate, and by `&`, `|`, `!` of these. Freezing, training, loading and saving all use it.

use std::any::{Any, TypeId};
use std::collections::HashSet;
use std::fmt;
use std::ops;
use std::sync::Arc;

use regraft_autograd::VariableId;
use regraft_tensor::Detail;

use crate::keras::names::{join, near};
use crate::models::glob::{glob, picks_by_name};
use crate::models::into_selector::IntoSelector;
use crate::models::topology::{Body, Entry};
use crate::{Error, Layer, LayerInfo, Model, Result, Weight};

/// Picks layers of a model, or single weights.
///
/// | written | picks |
/// |---|---|
/// | `..-1`, `2..`, `1..=3`, `..`, `-1` | layers by position (negative: from the end), inputs not counted |
/// | `"dense_1"`, `"base/conv1"` | the layer of this name or path |
/// | `"block*"`, `"base/**"`, `"block_1[0-6]*"` | names or paths that match; `*` stays within a name, `**` does not; `?` is a character, `[0-6x]` one of these, `[!0-6]` none of these |
/// | `"head/kernel"`, `"**/bias"` | weights by path, where no layer matches the pattern |
/// | `Selector::weights("bias")` | weights by name or path, in any case |
/// | `Selector::kind("BatchNormalization")`, `Selector::of::<Dense>()` | layers of a class, of a type |
/// | `Selector::when(\|layer\| …)` | layers for which a function says so |
/// | `["a", "b"]`, `vec![…]`, `&[…]` | what any of them picks |
/// | `a & b`, `a \| b`, `!a` | both, either, the others |
///
/// A pattern without `/` is compared with the names of layers at every depth, one with `/` with
/// whole paths. Picking a nested model or a wrapper, by name, class or type, picks all that is in it, and
/// picking a layer all its weights. A function is asked about every single layer, and picks that alone.
/// A name, pattern, class or position that matches nothing is an error wherever it stands.
/// `Selector::kind("Dense") & Selector::weights("bias")` are the biases of dense layers, and
/// `!Selector::weights("bias")` is all but biases.
#[derive(Clone)]
pub enum Selector {
    /// Layers by position: from the first number to before the second, negative ones counted from
    /// the end.
    Range(Option<isize>, Option<isize>),
    /// Layers whose names or paths match a pattern with `*`, `**`, `?` and `[…]`; if there is none and the
    /// pattern has a `/`, weights whose paths do.
    Glob(String),
    /// Weights whose names match a pattern, or, if it has a `/`, whose paths do.
    Weights(String),
    /// Layers of a class.
    Kind(String),
    /// Layers of a type, with the name of the type.
    Of(TypeId, &'static str),
    /// Layers for which a function says so.
    When(Arc<dyn Fn(&LayerInfo<'_>) -> bool + Send + Sync>),
    /// What both pick.
    And(Box<Selector>, Box<Selector>),
    /// What any of them picks.
    Any(Vec<Selector>),
    /// What the other does not pick.
    Not(Box<Selector>),
}

/// What a selector picks of one layer.
#[derive(Clone, Debug)]
pub(crate) struct Picked {
    pub path: String,
    /// Whether it picks the layer as such, with all its weights.
    pub whole: bool,
    /// The layer's own weights, and whether it picks each.
    pub weights: Vec<(VariableId, bool)>,
}

impl Picked {
    /// Whether it picks the layer or any weight of it.
    fn any(&self) -> bool {
        self.whole || self.weights.iter().any(|(_, picked)| *picked)
    }

    /// What two picks of the same layer have in common, or have together.
    fn with(mut self, other: &Picked, join: fn(bool, bool) -> bool) -> Self {
        self.whole = join(self.whole, other.whole);
        for ((_, own), (_, other)) in self.weights.iter_mut().zip(&other.weights) {
            *own = join(*own, *other);
        }
        self
    }
}

/// A layer that a selector is asked about.
struct Candidate<'m> {
    layer: LayerInfo<'m>,
    /// The layer, and before it the nested models and wrappers that it is in.
    lineage: Vec<&'m Entry>,
    weights: Vec<&'m Weight>,
    /// Of the top-level layer that has it, among `count`.
    position: usize,
    count: usize,
}

impl Candidate<'_> {
    /// The whole layer, or nothing of it.
    fn whole(&self, whole: bool) -> Picked {
        self.weights(whole, |_| whole)
    }

    fn weights(&self, whole: bool, picks: impl Fn(&Weight) -> bool) -> Picked {
        Picked {
            path: self.layer.path().to_string(),
            whole,
            weights: self.weights.iter().map(|it| (it.id(), picks(it))).collect(),
        }
    }
}

impl Selector {
    /// Layers of a class: `Selector::kind("BatchNormalization")`.
    pub fn kind(class_name: impl Into<String>) -> Self {
        Selector::Kind(class_name.into())
    }

    /// Layers of a type: `Selector::of::<Dense>()`.
    pub fn of<L: Layer>() -> Self {
        Selector::Of(TypeId::of::<L>(), std::any::type_name::<L>())
    }

    /// Single weights, by their names (`"bias"`) or, with a `/`, by their paths (`"block*/**/kernel"`).
    pub fn weights(pattern: impl Into<String>) -> Self {
        Selector::Weights(pattern.into())
    }

    /// Layers for which `predicate` says so.
    pub fn when(predicate: impl Fn(&LayerInfo<'_>) -> bool + Send + Sync + 'static) -> Self {
        Selector::When(Arc::new(predicate))
    }

    /// What it picks of a layer.
    fn picks(&self, at: &Candidate<'_>) -> Picked {
        match self {
            Selector::Range(start, end) => {
                let bound = |bound: &Option<isize>, default: isize| match *bound {
                    None => default,
                    Some(bound) if bound < 0 => (at.count as isize + bound).max(0),
                    Some(bound) => bound,
                };
                let range = bound(start, 0)..bound(end, at.count as isize);
                at.whole(range.contains(&(at.position as isize)))
            }
            Selector::Glob(pattern) => at.whole(picks_by_name(pattern, at.layer.path())),
            Selector::Weights(pattern) => at.weights(false, |weight| {
                // A layer that stands elsewhere too has its weights' paths there as well.
                let text = match pattern.contains('/') {
                    true => join(at.layer.path(), weight.name()),
                    false => weight.name().to_string(),
                };
                glob(pattern.as_bytes(), text.as_bytes())
            }),
            Selector::Kind(class_name) => {
                let mut lineage = at.lineage.iter();
                at.whole(lineage.any(|entry| entry.class_name() == class_name))
            }
            Selector::Of(id, _) => at.whole(at.lineage.iter().any(|entry| match &entry.body {
                Body::Leaf(layer) => {
                    let layer: &dyn Any = &**layer;
                    layer.type_id() == *id
                }
                Body::Nested(_) => false,
            })),
            Selector::When(predicate) => at.whole(predicate(&at.layer)),
            Selector::And(a, b) => a.picks(at).with(&b.picks(at), |a, b| a && b),
            Selector::Any(all) => {
                let mut picked = all.iter().map(|selector| selector.picks(at));
                let first = picked.next().unwrap_or_else(|| at.whole(false));
                picked.fold(first, |sum, next| sum.with(&next, |a, b| a || b))
            }
            Selector::Not(a) => {
                let mut picked = a.picks(at);
                picked.whole = !picked.any();
                picked
                    .weights
                    .iter_mut()
                    .for_each(|(_, picks)| *picks = !*picks);
                picked
            }
        }
    }

    /// The same for these layers: patterns that match none of them and may be paths of weights are.
    /// Fails with a part of it that matches nothing: under `!` or beside others, a misspelt name would
    /// pick the wrong things without a word.
    fn resolved<'s>(&'s self, layers: &[Candidate<'_>]) -> Result<Selector, &'s Selector> {
        let inner = |selector: &'s Selector| selector.resolved(layers);
        let matches = |part: &Selector| layers.iter().any(|at| part.picks(at).any());
        let resolved = match self {
            Selector::And(a, b) => Selector::And(inner(a)?.into(), inner(b)?.into()),
            Selector::Any(all) => Selector::Any(all.iter().map(inner).collect::<Result<_, _>>()?),
            Selector::Not(a) => Selector::Not(inner(a)?.into()),
            Selector::Of(..) | Selector::When(_) => self.clone(),
            part if matches(part) => part.clone(),
            Selector::Glob(pattern) if pattern.contains('/') => {
                let weights = Selector::Weights(pattern.clone());
                return matches(&weights).then_some(weights).ok_or(self);
            }
            part => return Err(part),
        };
        Ok(resolved)
    }

    /// The patterns in it, for an error's help.
    fn patterns(&self) -> Vec<&str> {
        match self {
            Selector::Glob(name) | Selector::Weights(name) | Selector::Kind(name) => vec![name],
            Selector::And(a, b) => [a.patterns(), b.patterns()].concat(),
            Selector::Any(all) => all.iter().flat_map(Selector::patterns).collect(),
            Selector::Not(a) => a.patterns(),
            Selector::Range(..) | Selector::Of(..) | Selector::When(_) => Vec::new(),
        }
    }
}

impl Model {
    /// The paths of the layers that `selector` picks, or of which it picks a weight; single layers only
    /// (of a nested model all that is in it).
    ///
    /// # Errors
    /// [`Error::NoMatch`] if it picks none, with the nearest names.
    pub fn select(&self, selector: impl IntoSelector) -> Result<Vec<String>> {
        let picked = self.picked(&selector.into_selector())?;
        Ok(picked.into_iter().map(|layer| layer.path).collect())
    }

    /// The paths of the weights that `selector` picks, in the model's order; of a layer that it picks
    /// all of them.
    ///
    /// # Errors
    /// [`Error::NoMatch`] if it picks none, with the nearest names.
    pub fn select_weights(&self, selector: impl IntoSelector) -> Result<Vec<String>> {
        let picked = self.picked_weights(&selector.into_selector())?;
        let paths = picked.into_iter().map(|weight| weight.path().to_string());
        Ok(paths.collect())
    }

    /// The weights that `selector` picks, in the model's order.
    pub(crate) fn picked_weights(&self, selector: &Selector) -> Result<Vec<&Weight>> {
        let layers = self.picked(selector)?;
        let weights = layers.iter().flat_map(|layer| &layer.weights);
        let picked = weights.filter(|(_, picked)| *picked).map(|(id, _)| *id);
        let picked: HashSet<VariableId> = picked.collect();
        if picked.is_empty() {
            return Err(self.no_match(selector, "at least one weight"));
        }
        let weights = self.store.iter();
        Ok(weights.filter(|it| picked.contains(&it.id())).collect())
    }

    /// What `selector` picks, layer by layer; of each at least a weight.
    pub(crate) fn picked(&self, selector: &Selector) -> Result<Vec<Picked>> {
        let layers = self.candidates();
        let nothing = |part: &Selector| self.no_match(part, "at least one layer or weight");
        let resolved = selector.resolved(&layers).map_err(nothing)?;
        let picked = layers.iter().map(|at| resolved.picks(at));
        let picked: Vec<Picked> = picked.filter(Picked::any).collect();
        match picked.is_empty() {
            false => Ok(picked),
            true => Err(nothing(selector)),
        }
    }

    /// All single layers, in order.
    fn candidates(&self) -> Vec<Candidate<'_>> {
        let top = self.topology.layers.iter().filter(|it| !it.is_input());
        let count = top.clone().count();
        let mut candidates = Vec::new();
        for (position, entry) in top.enumerate() {
            let mut lineage: Vec<(String, &Entry)> = Vec::new();
            entry.visit(entry.name.clone(), &mut |path, entry| {
                let holds = |outer: &str| {
                    let inner = path.strip_prefix(outer);
                    inner.is_some_and(|inner| inner.starts_with('/'))
                };
                while lineage.pop_if(|(outer, _)| !holds(outer)).is_some() {}
                lineage.push((path.clone(), entry));
                if matches!(entry.body, Body::Leaf(_)) && !entry.is_input() {
                    candidates.push(Candidate {
                        layer: LayerInfo::new(path, entry, &self.store),
                        lineage: lineage.iter().map(|(_, entry)| *entry).collect(),
                        weights: entry.weights.iter().map(|id| &self.store[*id]).collect(),
                        position,
                        count,
                    });
                }
            });
        }
        candidates
    }

    pub(crate) fn no_match(&self, selector: &Selector, what: &str) -> Error {
        let mut names: Vec<String> = Vec::new();
        self.topology.visit("", &mut |path, entry| {
            if !entry.is_input() {
                names.extend([path, entry.class_name().to_string()]);
            }
        });
        let patterns = selector.patterns();
        let weight = |pattern: &&&str| self.store.iter().any(|it| it.name() == **pattern);
        let help = match (patterns.iter().find(weight), patterns.first()) {
            (Some(name), _) => format!("weights of this name are `Selector::weights({name:?})`"),
            (None, Some(pattern)) => {
                if matches!(selector, Selector::Weights(_)) {
                    names = self.store.iter().map(|it| it.name().to_string()).collect();
                }
                if pattern.contains('/') {
                    names.extend(self.store.iter().map(|it| it.path().to_string()));
                }
                names.sort();
                names.dedup();
                near(pattern, names.iter().map(String::as_str))
            }
            (None, None) => {
                let layers = self.topology.layers.iter();
                let count = layers.filter(|entry| !entry.is_input()).count();
                format!("there are {count} layers, and what is in them")
            }
        };
        let expected = format!("a selector that matches {what}");
        let detail = Detail::new(&self.name, expected, format!("{selector:?}"));
        Error::NoMatch(detail.help(help))
    }
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
            Selector::Weights(pattern) => write!(f, "weights {pattern:?}"),
            Selector::Kind(class_name) => write!(f, "kind {class_name:?}"),
            Selector::Of(_, name) => write!(f, "layers of type {name}"),
            Selector::When(_) => f.write_str("a predicate"),
            Selector::And(a, b) => write!(f, "({a:?} & {b:?})"),
            Selector::Any(all) => {
                let all: Vec<String> = all.iter().map(|it| format!("{it:?}")).collect();
                write!(f, "({})", all.join(" | "))
            }
            Selector::Not(a) => write!(f, "!{a:?}"),
        }
    }
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
        Selector::Any(vec![self, other.into_selector()])
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
    use crate::LayerExt;

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
            ((..2_usize).into_selector(), &all[..2]),
            ((1_usize..=1).into_selector(), &all[1..2]),
            ((..=usize::MAX).into_selector(), &all[..]),
            (2_usize.into_selector(), &all[2..]),
            ([0, -1].into_selector(), &["dense", "dense_2"][..]),
            (vec!["dense_1", "dense"].into_selector(), &all[..2]),
            ((&[String::from("dense")][..]).into_selector(), &all[..1]),
            ([..1, ..2].into_selector(), &all[..2]),
            (Vec::<&str>::new().into_selector(), &[]),
            (Selector::of::<crate::Dense>(), &all[..]),
            (Selector::of::<crate::Input>(), &[]),
        ] {
            assert_eq!(picked(selector.clone()), expected, "{selector:?}");
        }
    }

    /// A dense layer, and a model of a normalization and a layer called `bias`.
    fn nested() -> Model {
        let base = crate::layers![
            crate::Input::new([2]),
            crate::layers::BatchNormalization::new().named("norm"),
            crate::Dense::new(2).named("bias"),
        ];
        let base = crate::Sequential::new(base).unwrap().named("base");
        let stack = crate::layers![crate::Input::new([2]), crate::Dense::new(2), base];
        crate::Sequential::new(stack).unwrap()
    }

    #[test]
    fn weights_and_layers_are_picked_by_one_language() {
        let model = nested();
        let dense = ["dense/kernel", "dense/bias"];
        let bias = ["base/bias/kernel", "base/bias/bias"];
        let norm = ["gamma", "beta", "moving_mean", "moving_variance"];
        let norm = norm.map(|name| format!("base/norm/{name}"));
        let norm = norm.each_ref().map(String::as_str);
        let weights = Selector::weights;
        for (selector, expected) in [
            // A layer is all its weights; what no layer matches are weights.
            ("dense".into_selector(), dense.to_vec()),
            ("dense/kernel".into_selector(), vec![dense[0]]),
            ("*/kernel".into_selector(), vec![dense[0]]),
            ("**/kernel".into_selector(), vec![dense[0], bias[0]]),
            ("*/*/gamma".into_selector(), vec![norm[0]]),
            // There is a layer of this name.
            ("**/bias".into_selector(), bias.to_vec()),
            (weights("**/bias"), vec![dense[1], bias[1]]),
            (weights("bias"), vec![dense[1], bias[1]]),
            (weights("moving_*"), norm[2..].to_vec()),
            // Sets.
            (weights("bias") & "dense", vec![dense[1]]),
            ("base".into_selector() & weights("bias"), vec![bias[1]]),
            (
                weights("kernel") | "norm",
                [&dense[..1], &norm, &bias[..1]].concat(),
            ),
            (!weights("bias"), [&dense[..1], &norm, &bias[..1]].concat()),
            (!!weights("bias"), vec![dense[1], bias[1]]),
            (!(weights("bias") | "norm"), vec![dense[0], bias[0]]),
            (
                !Selector::kind("Dense") | "dense/bias",
                [&dense[1..], &norm].concat(),
            ),
            (
                ["dense/bias", "norm"].into_selector(),
                [&dense[1..], &norm].concat(),
            ),
        ] {
            let picked = model.select_weights(&selector).unwrap();
            assert_eq!(picked, expected, "{selector:?}");
        }
        // Layers of which something is picked.
        let layers = model.select(weights("bias")).unwrap();
        assert_eq!(layers, ["dense", "base/bias"]);
    }

    /// A frame-wise model, and a spectral normalization.
    fn wrapped() -> Model {
        let frame = crate::layers![crate::Input::new([2]), crate::Dense::new(2).named("in")];
        let frame = crate::Sequential::new(frame).unwrap().named("frame");
        let dense = crate::Dense::new(2).named("dense");
        let stack = crate::layers![
            crate::Input::new([3, 2]),
            crate::layers::TimeDistributed::new(frame).named("td"),
            crate::layers::Flatten::new(),
            crate::layers::SpectralNormalization::new(dense).named("sn"),
            crate::Dense::new(1).named("out"),
        ];
        crate::Sequential::new(stack).unwrap()
    }

    #[test]
    fn classes_and_types_pick_what_is_within_as_names_do() {
        let mut model = wrapped();
        let td = ["td", "td/frame/in"];
        let sn = ["sn", "sn/dense"];
        for (selector, expected) in [
            ("sn".into_selector(), &sn[..]),
            (Selector::kind("SpectralNormalization"), &sn),
            (Selector::of::<crate::layers::SpectralNormalization>(), &sn),
            (Selector::kind("TimeDistributed"), &td),
            (Selector::of::<crate::layers::TimeDistributed>(), &td),
            (Selector::kind("Sequential"), &td[1..]),
            (Selector::kind("Dense"), &["td/frame/in", "sn/dense", "out"]),
            (
                !(Selector::kind("TimeDistributed") | Selector::kind("SpectralNormalization")),
                &["flatten", "out"],
            ),
            // What a function says, it says of each.
            (
                Selector::when(|layer| layer.class_name() != "Dense"),
                &["td", "flatten", "sn"],
            ),
        ] {
            assert_eq!(model.select(&selector).unwrap(), expected, "{selector:?}");
        }
        model
            .freeze(Selector::kind("SpectralNormalization"))
            .unwrap();
        let trained = |model: &Model| -> Vec<String> {
            let weights = model.trainable_weights().into_iter();
            weights.map(|it| it.path().to_string()).collect()
        };
        let expected = [
            "td/frame/in/kernel",
            "td/frame/in/bias",
            "out/kernel",
            "out/bias",
        ];
        assert_eq!(trained(&model), expected);
        model.freeze(Selector::kind("Sequential")).unwrap();
        assert_eq!(trained(&model), expected[2..]);
    }

    #[test]
    fn a_part_that_matches_nothing_is_an_error_wherever_it_stands() {
        let mut model = nested();
        let weights = Selector::weights;
        for (selector, part, nearest) in [
            (!weights("kernal"), "weights \"kernal\"", "\"kernel\""),
            (!"bse".into_selector(), "received \"bse\"", "\"base\""),
            (
                ["base", "dens"].into_selector(),
                "received \"dens\"",
                "\"dense\"",
            ),
            (
                "base/nrm".into_selector() | "dense",
                "\"base/nrm\"",
                "\"base/norm\"",
            ),
            (
                Selector::kind("Dense") & !Selector::kind("Dens"),
                "kind \"Dens\"",
                "\"Dense\"",
            ),
            ([0, 7].into_selector(), "received 7..8", "2 layers"),
            (
                !(..).into_selector() | !!weights("x/*"),
                "weights \"x/*\"",
                "nearest",
            ),
        ] {
            let error = model.freeze(&selector).unwrap_err();
            assert!(matches!(error, Error::NoMatch(_)), "{error}");
            let text = error.to_string();
            assert!(
                text.contains(part) && text.contains(nearest),
                "{selector:?}: {text}"
            );
        }
        assert_eq!(model.count_parameters().frozen, 0);
        // What cannot be misspelt may be of no layer.
        for selector in [
            !Selector::of::<crate::layers::Dropout>(),
            !Selector::when(|_| false),
        ] {
            assert_eq!(model.select(selector).unwrap().len(), 3);
        }
    }

    #[test]
    fn what_picks_nothing_says_how_weights_are_picked() {
        let model = nested();
        let error = |selector: Selector| model.select(selector).unwrap_err().to_string();
        let text = error("kernel".into_selector());
        assert!(text.contains("Selector::weights(\"kernel\")"), "{text}");
        let text = error("dense/kernal".into_selector());
        assert!(text.contains("\"dense/kernel\""), "{text}");
        let text = error(Selector::weights("kernal"));
        assert!(text.contains("kernel\""), "{text}");
        let layers = crate::layers![crate::Input::new([2]), crate::layers::Dropout::new(0.5)];
        let model = crate::Sequential::new(layers).unwrap();
        assert!(model.select(..).is_ok() && model.select_weights(..).is_err());
    }
}
