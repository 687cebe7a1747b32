//! Freezing and unfreezing what a selector picks: layers with all their weights, or single weights.

use std::collections::{HashMap, HashSet};

use regraft_autograd::VariableId;

use crate::contract::weight::WeightStore;
use crate::keras::names::join;
use crate::models::selector::Picked;
use crate::models::topology::{Body, Entry, Topology};
use crate::{Freezing, IntoSelector, Model, Result, Selector, WeightKind};

/// What becomes of what is picked.
#[derive(Clone, Copy)]
enum Change {
    To(Freezing),
    Unfreeze,
}

impl Change {
    /// The state of a layer that was in the state `now`.
    fn of_layer(self, now: Freezing, has_state: bool) -> Freezing {
        match self {
            Change::To(freezing) => freezing,
            // A layer whose statistics move already is not told to stop.
            Change::Unfreeze if has_state && now != Freezing::Trainable => {
                Freezing::FrozenStatistics
            }
            Change::Unfreeze => Freezing::Trainable,
        }
    }

    /// Whether a weight that is picked alone is to be changed by training.
    fn of_weight(self, kind: WeightKind) -> bool {
        match (self, kind) {
            (Change::To(freezing), WeightKind::Parameter) => freezing.trains_parameters(),
            (Change::To(freezing), WeightKind::State) => freezing.behaves_as_in_training(),
            (Change::Unfreeze, _) => true,
        }
    }

    fn trains(self) -> bool {
        self.of_weight(WeightKind::Parameter)
    }
}

impl Model {
    /// Gives the picked layers a state; their weights have none of their own then.
    ///
    /// Of a weight that is picked alone the state says what becomes of its kind: whether a parameter is
    /// trained, whether a statistic moves. How its layer behaves stays the layer's matter, so a
    /// statistic moves only if its layer behaves as in training besides.
    ///
    /// # Errors
    /// [`Error::NoMatch`](crate::Error::NoMatch) if `selector` picks none.
    pub fn set_freezing(&mut self, selector: impl IntoSelector, freezing: Freezing) -> Result<()> {
        self.change_freezing(&selector.into_selector(), Change::To(freezing))
    }

    /// Freezes the picked layers: no weight of them changes, they behave as in inference, and
    /// training spends nothing on them. A weight that is picked alone does not change, whatever its layer
    /// does, and is a constant of the graph like those of a frozen layer.
    ///
    /// # Errors
    /// [`Error::NoMatch`](crate::Error::NoMatch) if `selector` picks none.
    pub fn freeze(&mut self, selector: impl IntoSelector) -> Result<()> {
        self.set_freezing(selector, Freezing::Frozen)
    }

    /// Unfreezes the picked layers. Parameters are trained again; layers with statistics (batch
    /// normalization) go on using them as they are, since a few small batches would spoil what was
    /// learnt from many. [`set_freezing`](Self::set_freezing) with [`Freezing::Trainable`] lets them
    /// move too. What follows a kernel, in a spectral normalization, moves with it again.
    ///
    /// A weight that is picked alone is trained although its layer stays frozen, and goes on behaving as
    /// in inference. Only biases, say, as BitFit does it:
    ///
    /// ```
    /// use regraft_layers::{Dense, Input, Sequential, layers};
    ///
    /// let mut model = Sequential::new(layers![Input::new([8]), Dense::new(4), Dense::new(2)])?;
    /// model.freeze(..)?;
    /// model.unfreeze("**/bias")?;
    /// assert_eq!(model.count_parameters().trainable, 4 + 2);
    /// # Ok::<(), regraft_layers::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoMatch`](crate::Error::NoMatch) if `selector` picks none.
    pub fn unfreeze(&mut self, selector: impl IntoSelector) -> Result<()> {
        self.change_freezing(&selector.into_selector(), Change::Unfreeze)
    }

    fn change_freezing(&mut self, selector: &Selector, change: Change) -> Result<()> {
        let picked = self.picked(selector)?;
        let whole = picked.iter().filter(|layer| layer.whole);
        let whole: HashSet<String> = whole.map(|layer| layer.path.clone()).collect();
        let parts: HashMap<&str, &Picked> = picked
            .iter()
            .filter(|layer| !layer.whole)
            .map(|layer| (layer.path.as_str(), layer))
            .collect();
        let store = &self.store;
        // A layer that stands elsewhere too has one state, with its weights.
        let mut shared = HashSet::new();
        let mut single = HashSet::new();
        self.topology.visit("", &mut |path, entry| {
            if whole.contains(&path) {
                shared.extend(entry.weights.iter().copied());
            } else if let Some(part) = parts.get(path.as_str()) {
                let picked = part.weights.iter().filter(|(_, picked)| *picked);
                single.extend(picked.map(|(id, _)| *id));
            }
        });
        self.topology.visit_mut("", &mut |path, entry| {
            let is_shared = entry.weights.first().is_some_and(|id| shared.contains(id));
            if is_shared || whole.contains(path) {
                let mut kinds = entry.weights.iter().map(|id| store[*id].kind());
                // What follows a kernel (in a spectral normalization) was not learnt from samples.
                let has_state =
                    entry.kept(store).is_empty() && kinds.any(|kind| kind == WeightKind::State);
                entry.set_freezing(change.of_layer(entry.freezing, has_state));
                entry.hidden = false;
            } else {
                entry.change_weights(change, store, &single);
            }
        });
        let all = mark_models(&mut self.topology, "", &whole, !change.trains());
        if !all && change.trains() {
            // The whole is frozen no more, so that what it hid is frozen by itself from now on.
            self.topology.frozen = false;
            self.topology
                .change_leaves(&mut |entry| entry.hidden = false);
        }
        self.revision.renew();
        Ok(())
    }
}

impl Entry {
    /// Changes those of its weights that are picked alone. What they do by the layer's state anyway needs no
    /// note.
    fn change_weights(
        &mut self,
        change: Change,
        store: &WeightStore,
        picked: &HashSet<VariableId>,
    ) {
        let weights = self.weights.iter().filter(|id| picked.contains(id));
        for spec in weights.map(|id| store[*id].spec()) {
            let wanted = change.of_weight(spec.kind);
            let by_layer = match (spec.kind, wanted) {
                (WeightKind::State, true) => true,
                (WeightKind::State, false) => self.freezing.behaves_as_in_training() && !spec.fixed,
                (WeightKind::Parameter, true) => self.freezing.trains_parameters(),
                // What only the whole hides is frozen alone.
                (WeightKind::Parameter, false) => self.own_freezing().trains_parameters(),
            };
            match by_layer == wanted {
                true => self.alone.remove(&spec.name),
                false => self.alone.insert(spec.name.clone(), wanted),
            };
        }
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

#[cfg(test)]
mod tests {
    use regraft_autograd::{Graph, Source};

    use super::*;
    use crate::layers::BatchNormalization;
    use crate::{Dense, Functional, Input, LayerExt, Mode, Registry, Sequential, layers};

    fn model() -> Model {
        let layers = layers![
            Input::new([3]),
            Dense::new(3).named("a"),
            BatchNormalization::new().named("n"),
            Dense::new(2).named("b"),
        ];
        Sequential::new(layers).unwrap()
    }

    /// The weights that are variables of the graph, and the states that get new values.
    fn moving(model: &Model) -> (Vec<String>, Vec<String>) {
        let graph = Graph::new();
        let x = graph.samples("x", &[3]);
        let (_, emission) = model.emit(&graph, &[x], Mode::Training).unwrap();
        let path = |id: VariableId| model.weights().get(id).unwrap().path().to_string();
        let variable = |id: VariableId| {
            let var = emission.weight(id)?;
            let is = matches!(graph.nodes().node(var.id()).source, Source::Variable(_));
            is.then(|| path(id))
        };
        let parameters = model.weights().iter().filter_map(|it| variable(it.id()));
        let updates = emission.updates.iter().map(|(id, _)| path(*id));
        (parameters.collect(), updates.collect())
    }

    #[test]
    fn biases_alone_are_trained() {
        let mut model = model();
        model.freeze(..).unwrap();
        model.unfreeze("**/bias").unwrap();
        assert_eq!(
            moving(&model),
            (vec!["a/bias".into(), "b/bias".into()], vec![])
        );
        let trained: Vec<_> = model
            .trainable_weights()
            .iter()
            .map(|it| it.path())
            .collect();
        assert_eq!(trained, ["a/bias", "b/bias"]);
        assert_eq!(model.count_parameters().trainable, 5);
        assert_eq!(model.count_parameters().frozen, 9 + 6 + 6);
        let layer = model.get_layer("a").unwrap();
        assert_eq!(layer.freezing(), Freezing::Frozen);
        assert!(layer.is_trainable() && layer.trainable_weights().len() == 1);
        let text = model.summary().to_string();
        let row = |name: &str| {
            text.lines()
                .find(|line| line.contains(name))
                .unwrap()
                .to_string()
        };
        assert!(
            row("a (Dense)").contains("part") && row("n (Ba").contains("  N  "),
            "{text}"
        );
        // The layer as a whole again.
        model.unfreeze("b").unwrap();
        model.freeze("a").unwrap();
        assert_eq!(moving(&model).0, ["b/kernel", "b/bias"]);
        assert!(
            model
                .topology
                .layers
                .iter()
                .all(|entry| entry.alone.is_empty())
        );
    }

    #[test]
    fn a_weight_that_is_frozen_alone_is_a_constant() {
        let mut model = model();
        model
            .freeze(["a/kernel", "n/gamma", "n/moving_mean"])
            .unwrap();
        let (variables, updates) = moving(&model);
        let parameters = ["a/bias", "n/beta", "b/kernel", "b/bias"];
        let variables: Vec<_> = variables
            .iter()
            .filter(|it| !it.contains("moving"))
            .collect();
        assert_eq!(variables, parameters);
        assert_eq!(updates, ["n/moving_variance"]);
        let layer = model.get_layer("n").unwrap();
        assert_eq!(layer.freezing(), Freezing::Trainable);
        // Nothing of it is trained where every parameter is frozen alone.
        model.freeze("a/bias").unwrap();
        let layer = model.get_layer("a").unwrap();
        assert!(layer.trainable_weights().is_empty() && !layer.is_trainable());
        // As its layer again, whose state has not changed.
        model.unfreeze(Selector::weights("*")).unwrap();
        assert!(
            model
                .topology
                .layers
                .iter()
                .all(|entry| entry.alone.is_empty())
        );
        // What rests with its layer is not moved alone.
        model.set_freezing("n", Freezing::FrozenStatistics).unwrap();
        model.unfreeze("n/moving_mean").unwrap();
        assert!(moving(&model).1.is_empty());
        // Of each kind what the state says.
        model.set_freezing(.., Freezing::Trainable).unwrap();
        let all = Selector::weights("*");
        model.set_freezing(all, Freezing::FrozenParams).unwrap();
        let (variables, updates) = moving(&model);
        assert!(
            variables.iter().all(|it| it.contains("moving")),
            "{variables:?}"
        );
        assert_eq!(updates.len(), 2);
    }

    #[test]
    fn a_wrapper_is_trained_if_what_it_contains_is() {
        let dense = Dense::new(2).named("dense");
        let sn = crate::layers::SpectralNormalization::new(dense).named("sn");
        let mut model = Sequential::new(layers![Input::new([3]), sn]).unwrap();
        let is_trained = |model: &Model| {
            let layer = model.get_layer("sn").unwrap();
            let any = !layer.trainable_weights().is_empty();
            assert_eq!(layer.is_trainable(), any);
            any
        };
        assert!(is_trained(&model));
        model.freeze("sn/dense").unwrap();
        assert!(!is_trained(&model));
        model.unfreeze("sn/dense/bias").unwrap();
        assert!(is_trained(&model));
    }

    #[test]
    fn states_of_weights_come_along() {
        let mut model = model();
        model.freeze("a").unwrap();
        model.freeze("b/kernel").unwrap();
        model.unfreeze("a/bias").unwrap();
        let expected = ["a/bias", "n/gamma", "n/beta", "b/bias"];
        let trained = |model: &Model| -> Vec<String> {
            let weights = model.trainable_weights().into_iter();
            weights.map(|weight| weight.path().to_string()).collect()
        };
        assert_eq!(trained(&model), expected);
        let config = model.to_config();
        let again = Model::from_config(&config, &Registry::new()).unwrap();
        assert_eq!(
            (trained(&again), again.to_config()),
            (trained(&model), config.clone())
        );
        assert_eq!(trained(&model.clone()), expected);
        assert_eq!(trained(&model.cut_at("b").unwrap()), expected);
        let nested = layers![Input::new([3]), model.clone().named("base"), Dense::new(1)];
        let nested = Sequential::new(nested).unwrap();
        let within = expected.map(|path| format!("base/{path}"));
        assert_eq!(trained(&nested)[..4], within);
        let frozen = layers![Input::new([3]), model.clone().named("base").frozen()];
        let frozen = Sequential::new(frozen).unwrap();
        assert!(trained(&frozen).is_empty());
        // A layer in several places has one state.
        let twice = layers![
            Input::new([3]),
            Dense::new(3).named("a"),
            model.named("base")
        ];
        let mut twice = Sequential::new(twice).unwrap();
        twice.share_layers(&["a", "base/a"]).unwrap();
        twice.freeze("base/a/kernel").unwrap();
        let of = |path: &str| twice.get_layer(path).unwrap().trainable_weights().len();
        assert_eq!((of("a"), of("base/a")), (1, 1));
        // A name that is no weight of the layer.
        let mut config = config;
        config["config"]["layers"][1]["trainable_weights"] = serde_json::json!({ "kernl": true });
        let error = Model::from_config(&config, &Registry::new()).unwrap_err();
        assert!(error.to_string().contains("kernel"), "{error}");
        config["config"]["layers"][1]["trainable_weights"] = serde_json::json!(["kernel"]);
        assert!(Model::from_config(&config, &Registry::new()).is_err());
    }

    #[test]
    fn what_the_whole_hides_is_trained_alone_once_it_is_asked_for() {
        let mut f = Functional::new();
        let x = f.input([3]);
        let y = f.chain(
            layers![Dense::new(3).named("a"), Dense::new(2).named("b")],
            x,
        );
        let model = f.model(&[x], &[y.unwrap()]).unwrap();
        let mut config = model.to_config();
        config["config"]["trainable"] = false.into();
        let mut model = Model::from_config(&config, &Registry::new()).unwrap();
        assert!(model.trainable_weights().is_empty());
        model.unfreeze("a/bias").unwrap();
        let again = Model::from_config(&model.to_config(), &Registry::new()).unwrap();
        for model in [model, again] {
            let trained = model.trainable_weights();
            assert_eq!(trained.len(), 1);
            assert_eq!(trained[0].path(), "a/bias");
        }
    }
}
