//! What is frozen, as the test knows it: its own record of the states that it gave, its own reading of
//! what a state promises, and its own copy of all bytes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use regraft::{Freezing, Model, Selector};
use regraft_layers::WeightKind;

/// One of the four states.
pub fn state() -> impl Strategy<Value = Freezing> {
    prop_oneof![
        2 => Just(Freezing::Trainable),
        1 => Just(Freezing::FrozenStatistics),
        1 => Just(Freezing::FrozenParams),
        3 => Just(Freezing::Frozen),
    ]
}

/// States given one after the other, to layers, nested models and single weights, by their number.
pub fn choices() -> impl Strategy<Value = Vec<(usize, Freezing)>> {
    prop::collection::vec((0_usize..256, state()), 0..16)
}

/// Whether training may change parameters of a layer in this state.
pub fn trains(state: Freezing) -> bool {
    match state {
        Freezing::Trainable | Freezing::FrozenStatistics => true,
        Freezing::FrozenParams | Freezing::Frozen => false,
    }
}

/// Whether statistics of a layer in this state move, and it drops and adds noise.
pub fn moves(state: Freezing) -> bool {
    match state {
        Freezing::Trainable | Freezing::FrozenParams => true,
        Freezing::FrozenStatistics | Freezing::Frozen => false,
    }
}

/// The same behaviour with parameters trained.
pub fn trained(state: Freezing) -> Freezing {
    match moves(state) {
        true => Freezing::Trainable,
        false => Freezing::FrozenStatistics,
    }
}

/// What was given to a model, by paths.
#[derive(Clone, Debug)]
pub struct Mask {
    /// The state of each layer.
    pub layers: BTreeMap<String, Freezing>,
    /// Weights that were given one after their layer was, and whether training may change them.
    pub alone: BTreeMap<String, bool>,
    weights: BTreeMap<String, WeightKind>,
}

impl Mask {
    /// Of a model that was just built.
    pub fn of(model: &Model) -> Self {
        let layers = model.places().into_iter();
        let layers = layers.filter(|place| !place.is_model && place.class_name != "InputLayer");
        let weights = model.weights().iter();
        Mask {
            layers: layers
                .map(|place| (place.path, Freezing::Trainable))
                .collect(),
            alone: BTreeMap::new(),
            weights: weights
                .map(|weight| (weight.path().to_string(), weight.kind()))
                .collect(),
        }
    }

    /// Layers, nested models and single weights, in an order that does not change.
    pub fn targets(&self) -> Vec<String> {
        let mut targets: Vec<String> = self.layers.keys().cloned().collect();
        targets.extend(self.weights.keys().cloned());
        for path in self.layers.keys() {
            for (end, _) in path.match_indices('/') {
                targets.push(path[..end].to_string());
            }
        }
        targets.sort();
        targets.dedup();
        targets
    }

    /// The layer, nested model or weight that a number stands for.
    pub fn target(&self, number: usize) -> String {
        let targets = self.targets();
        targets[number % targets.len()].clone()
    }

    /// Gives a layer, or all layers of a nested model, a state, in the model and here; or a weight what
    /// the state says of its kind.
    pub fn set(&mut self, model: &mut Model, target: &str, state: Freezing) {
        model.set_freezing(target, state).unwrap();
        match self.weights.get(target) {
            Some(WeightKind::Parameter) => self.set_alone(target, Some(trains(state))),
            Some(WeightKind::State) => {
                self.set_alone(target, Some(false).filter(|_| !moves(state)))
            }
            None => self.within(target, |_| state),
        }
    }

    fn set_alone(&mut self, weight: &str, moves: Option<bool>) {
        match moves {
            Some(moves) => self.alone.insert(weight.to_string(), moves),
            None => self.alone.remove(weight),
        };
    }

    /// Unfreezes as `unfreeze` promises: statistics that do not move stay as they are, of a layer and of a
    /// single weight.
    pub fn unfreeze(&mut self, model: &mut Model, target: &str) {
        match self.weights.get(target) {
            Some(kind) => {
                model.unfreeze(Selector::weights(target)).unwrap();
                return self.set_alone(
                    target,
                    Some(true).filter(|_| *kind == WeightKind::Parameter),
                );
            }
            None => model.unfreeze(target).unwrap(),
        }
        // What follows a kernel, in a spectral normalization, is no statistic: no sample has taught it.
        let states = self
            .weights
            .iter()
            .filter(|(path, kind)| **kind == WeightKind::State && !path.ends_with("/vector_u"));
        let with_state: Vec<String> = states.map(|(path, _)| layer_of(path).to_string()).collect();
        self.within(target, |(path, now)| match with_state.contains(path) {
            true if now != Freezing::Trainable => Freezing::FrozenStatistics,
            _ => Freezing::Trainable,
        });
    }

    pub fn apply(&mut self, model: &mut Model, choices: &[(usize, Freezing)]) {
        for (number, state) in choices {
            let target = self.target(*number);
            self.set(model, &target, *state);
        }
    }

    /// Gives a layer, or all of a nested model, a state; their weights have none of their own then.
    fn within(&mut self, target: &str, state: impl Fn((&String, Freezing)) -> Freezing) {
        let inner = format!("{target}/");
        for (path, own) in &mut self.layers {
            if path == target || path.starts_with(&inner) {
                *own = state((path, *own));
            }
        }
        self.alone.retain(|path, _| !path.starts_with(&inner));
    }

    /// The state of the layer of a weight.
    pub fn state_of(&self, weight: &str) -> Freezing {
        self.layers[layer_of(weight)]
    }

    /// What is said of a layer: its state, and of one that contains others the state that all have, or
    /// trainable if they differ.
    pub fn shared_state(&self, layer: &str) -> Freezing {
        let inner = format!("{layer}/");
        let mut within = self.layers.iter();
        let own = self.layers[layer];
        match within.all(|(path, state)| !path.starts_with(&inner) || *state == own) {
            true => own,
            false => Freezing::Trainable,
        }
    }

    /// Whether training must leave a weight alone.
    pub fn is_frozen(&self, weight: &regraft_layers::Weight) -> bool {
        let (state, alone) = (self.state_of(weight.path()), self.alone.get(weight.path()));
        match (weight.kind(), alone) {
            (WeightKind::Parameter, None) => !trains(state),
            (WeightKind::State, None) => !moves(state),
            (WeightKind::Parameter, Some(trained)) => !trained,
            // It stands still alone, and moves with its layer only.
            (WeightKind::State, Some(moved)) => !(*moved && moves(state)),
        }
    }

    /// The parameters that training may change.
    pub fn trained(&self, model: &Model) -> Vec<String> {
        let weights = model.weights().iter();
        let trained =
            weights.filter(|it| it.kind() == WeightKind::Parameter && !self.is_frozen(it));
        trained.map(|weight| weight.path().to_string()).collect()
    }

    /// Whether there is a parameter that training may change.
    pub fn trains_any(&self, model: &Model) -> bool {
        !self.trained(model).is_empty()
    }
}

/// The path of the layer that has the weight.
pub fn layer_of(weight: &str) -> &str {
    weight.rsplit_once('/').map_or("", |(layer, _)| layer)
}

/// Whether the weight at `path` is a kernel that a spectral normalization gives another value in each step of
/// training.
pub fn is_normalized(model: &Model, path: &str) -> bool {
    let wrapper = model.get_layer(layer_of(layer_of(path)));
    path.ends_with("/kernel") && wrapper.is_ok_and(|it| it.class_name() == "SpectralNormalization")
}

/// A copy of the bytes of all weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes(pub BTreeMap<String, Vec<u32>>);

impl Bytes {
    pub fn of(model: &Model) -> Self {
        let weights = model.weights().iter();
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect();
        Bytes(
            weights
                .map(|weight| (weight.path().to_string(), bits(weight.value().as_slice())))
                .collect(),
        )
    }

    /// Fails unless the model's bytes are these wherever `mask` says frozen.
    #[track_caller]
    pub fn assert_frozen(&self, model: &Model, mask: &Mask, after: &str) {
        let now = Bytes::of(model);
        for weight in model
            .weights()
            .iter()
            .filter(|weight| mask.is_frozen(weight))
        {
            let path = weight.path();
            assert_eq!(now.0.get(path), self.0.get(path), "{path} moved: {after}");
        }
    }

    /// As [`assert_frozen`](Self::assert_frozen), for a copy that was made on the way.
    #[track_caller]
    pub fn assert_frozen_in(&self, copy: &Bytes, model: &Model, mask: &Mask, after: &str) {
        for weight in model
            .weights()
            .iter()
            .filter(|weight| mask.is_frozen(weight))
        {
            let path = weight.path();
            assert_eq!(copy.0.get(path), self.0.get(path), "{path} moved: {after}");
        }
    }

    /// The paths whose bytes are not these.
    pub fn moved(&self, model: &Model) -> Vec<String> {
        let now = Bytes::of(model);
        let moved = now
            .0
            .into_iter()
            .filter(|(path, bits)| self.0.get(path) != Some(bits));
        moved.map(|(path, _)| path).collect()
    }
}
