//! What is frozen, as the test knows it: its own record of the states that it gave, its own reading of
//! what a state promises, and its own copy of all bytes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use regraft::{Freezing, Model};
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

/// States given one after the other, to layers and to nested models, by their number.
pub fn choices() -> impl Strategy<Value = Vec<(usize, Freezing)>> {
    prop::collection::vec((0_usize..64, state()), 0..16)
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

/// The state of each layer of a model, by path.
#[derive(Clone, Debug)]
pub struct Mask(pub BTreeMap<String, Freezing>);

impl Mask {
    /// Of a model that was just built.
    pub fn of(model: &Model) -> Self {
        let layers = model.places().into_iter();
        let layers = layers.filter(|place| !place.is_model && place.class_name != "InputLayer");
        Mask(
            layers
                .map(|place| (place.path, Freezing::Trainable))
                .collect(),
        )
    }

    /// Layers and nested models, in an order that does not change.
    pub fn targets(&self) -> Vec<String> {
        let mut targets: Vec<String> = self.0.keys().cloned().collect();
        for path in self.0.keys() {
            for (end, _) in path.match_indices('/') {
                targets.push(path[..end].to_string());
            }
        }
        targets.sort();
        targets.dedup();
        targets
    }

    /// The layer or nested model that a number stands for.
    pub fn target(&self, number: usize) -> String {
        let targets = self.targets();
        targets[number % targets.len()].clone()
    }

    /// Gives a layer, or all layers of a nested model, a state, in the model and here.
    pub fn set(&mut self, model: &mut Model, target: &str, state: Freezing) {
        model.set_freezing(target, state).unwrap();
        for (_, own) in self.within(target) {
            *own = state;
        }
    }

    /// Unfreezes as `unfreeze` promises: statistics that do not move stay as they are.
    pub fn unfreeze(&mut self, model: &mut Model, target: &str) {
        model.unfreeze(target).unwrap();
        let has_state = |path: &str| {
            let within = |weight: &&regraft_layers::Weight| layer_of(weight.path()) == path;
            let mut weights = model.weights().iter().filter(within);
            weights.any(|weight| weight.kind() == WeightKind::State)
        };
        for (path, own) in self.within(target) {
            *own = match has_state(path) && *own != Freezing::Trainable {
                true => Freezing::FrozenStatistics,
                false => Freezing::Trainable,
            };
        }
    }

    pub fn apply(&mut self, model: &mut Model, choices: &[(usize, Freezing)]) {
        for (number, state) in choices {
            let target = self.target(*number);
            self.set(model, &target, *state);
        }
    }

    fn within(&mut self, target: &str) -> impl Iterator<Item = (&String, &mut Freezing)> {
        let inner = format!("{target}/");
        let target = target.to_string();
        let layers = self.0.iter_mut();
        layers.filter(move |(path, _)| **path == target || path.starts_with(&inner))
    }

    /// The state of the layer of a weight.
    pub fn state_of(&self, weight: &str) -> Freezing {
        self.0[layer_of(weight)]
    }

    /// Whether training must leave a weight alone.
    pub fn is_frozen(&self, weight: &regraft_layers::Weight) -> bool {
        let state = self.state_of(weight.path());
        match weight.kind() {
            WeightKind::Parameter => !trains(state),
            WeightKind::State => !moves(state),
        }
    }

    /// Whether there is a parameter that training may change.
    pub fn trains_any(&self, model: &Model) -> bool {
        let mut weights = model.weights().iter();
        weights.any(|weight| weight.kind() == WeightKind::Parameter && !self.is_frozen(weight))
    }
}

/// The path of the layer that has the weight.
pub fn layer_of(weight: &str) -> &str {
    weight.rsplit_once('/').map_or("", |(layer, _)| layer)
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
