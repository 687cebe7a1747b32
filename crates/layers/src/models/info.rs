//! Looking at a model's layers: [`Model::layers`] and [`Model::get_layer`].

use std::collections::HashSet;
use std::fmt;

use regraft_autograd::{Shape, VariableId};
use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value};

use crate::contract::weight::{Weight, WeightStore};
use crate::keras::names::join;
use crate::keras::names::meant;
use crate::models::shared::Met;
use crate::models::topology::{Body, Entry};
use crate::{Error, Freezing, Layer, Model, ParameterCount, Result, WeightKind};

/// A layer of a model, to be looked at.
#[derive(Clone)]
pub struct LayerInfo<'m> {
    path: String,
    entry: &'m Entry,
    store: &'m WeightStore,
}

/// A layer by name or path (`"dense_1"`, `"base/conv1"`; the end of a path is enough where it is the
/// only one), or by position; negative positions count from the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerKey {
    /// By name, or by path for a layer of a nested model.
    Name(String),
    /// By position.
    Index(isize),
}

impl From<&str> for LayerKey {
    fn from(name: &str) -> Self {
        LayerKey::Name(name.to_string())
    }
}

impl From<String> for LayerKey {
    fn from(name: String) -> Self {
        LayerKey::Name(name)
    }
}

impl From<i32> for LayerKey {
    fn from(index: i32) -> Self {
        LayerKey::Index(index as isize)
    }
}

impl From<usize> for LayerKey {
    fn from(index: usize) -> Self {
        LayerKey::Index(isize::try_from(index).unwrap_or(isize::MAX))
    }
}

impl<'m> LayerInfo<'m> {
    pub(crate) fn new(path: String, entry: &'m Entry, store: &'m WeightStore) -> Self {
        LayerInfo { path, entry, store }
    }

    /// The name within the model that has it.
    pub fn name(&self) -> &'m str {
        &self.entry.name
    }

    /// The path in the whole model: `base/conv1`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The class name: `Dense`, or `Sequential` of a nested model.
    pub fn class_name(&self) -> &'m str {
        self.entry.class_name()
    }

    /// What training may change in it. Of a nested model or a wrapper: the state that all its layers share, or
    /// `Trainable` if they differ.
    pub fn freezing(&self) -> Freezing {
        let mut states = Vec::new();
        self.visit(&mut |entry| {
            if matches!(entry.body, Body::Leaf(_)) && !entry.is_input() {
                states.push(entry.freezing);
            }
        });
        let first = states.first().copied().unwrap_or_default();
        match states.iter().all(|state| *state == first) {
            true => first,
            false => Freezing::Trainable,
        }
    }

    /// Keras' `trainable`: what the layer or model says by itself. A nested model that was frozen as
    /// a whole says no even if some of its layers are trained.
    pub(crate) fn says_trainable(&self) -> bool {
        self.entry.says_trainable()
    }

    /// Whether any of its parameters is trained, if not all go by the state of the layer: if some were
    /// frozen or unfrozen alone.
    pub(crate) fn trains_in_part(&self) -> Option<bool> {
        let own = self.entry.weights.iter().map(|id| self.store[*id].spec());
        let parameters = own.filter(|spec| spec.kind == WeightKind::Parameter);
        let trained: Vec<bool> = parameters.map(|spec| self.entry.moves(spec)).collect();
        let apart = !self.entry.alone.is_empty() && trained.contains(&false);
        apart.then(|| trained.contains(&true))
    }

    /// Whether any parameter of it is trained; of a layer that has none, whether it would be.
    pub fn is_trainable(&self) -> bool {
        let mut trains = false;
        self.visit(&mut |entry| {
            let mut weights = entry.weights.iter().map(|id| &self.store[*id]);
            trains |= match weights.any(|weight| weight.kind() == WeightKind::Parameter) {
                true => entry.trained(self.store).next().is_some(),
                false => entry.wrapped.is_empty() && entry.trains(),
            };
        });
        trains
    }

    /// Its weights in order; of a nested model, those of all its layers.
    pub fn weights(&self) -> Vec<&'m Weight> {
        let mut weights = Vec::new();
        let mut seen = HashSet::new();
        self.visit(&mut |entry| {
            let ids = entry
                .kept(self.store)
                .into_iter()
                .chain(entry.weights.iter().copied());
            weights.extend(ids.filter(|id| seen.insert(*id)).map(|id| &self.store[id]));
        });
        weights
    }

    /// Those of its [`weights`](Self::weights) that are trained, as Keras' `trainable_weights`.
    pub fn trainable_weights(&self) -> Vec<&'m Weight> {
        let mut trained = HashSet::new();
        self.visit(&mut |entry| trained.extend(entry.trained(self.store).map(Weight::id)));
        let mut weights = self.weights();
        weights.retain(|weight| trained.contains(&weight.id()));
        weights
    }

    /// The values of its weights in order, as Keras' `get_weights`. They share memory with the
    /// model's until either is written.
    pub fn get_weights(&self) -> Vec<Tensor> {
        let value = |weight: &Weight| weight.value().clone();
        self.weights().into_iter().map(value).collect()
    }

    /// Numbers of elements of its weights.
    pub fn count_parameters(&self) -> ParameterCount {
        let mut count = ParameterCount::default();
        let mut met = Met::default();
        self.visit(&mut |entry| {
            if met.again(entry) {
                return;
            }
            for id in &entry.weights {
                let weight = &self.store[*id];
                count.add(weight, entry.moves(weight.spec()));
            }
        });
        count
    }

    /// The shapes of its inputs; none before the model is built.
    pub fn input_shapes(&self) -> &'m [Shape] {
        &self.entry.input_shapes
    }

    /// The shape of its (first) output, if the model is built.
    pub fn output_shape(&self) -> Option<&'m Shape> {
        self.entry.output_shapes.first()
    }

    /// The shapes of its outputs, of which only nested models have several; none before the model is
    /// built.
    pub fn output_shapes(&self) -> &'m [Shape] {
        &self.entry.output_shapes
    }

    /// The layer itself; none for a nested model.
    pub fn layer(&self) -> Option<&'m dyn Layer> {
        match &self.entry.body {
            Body::Leaf(layer) => Some(&**layer),
            Body::Nested(_) => None,
        }
    }

    /// The settings with Keras' names; of a nested model, none.
    pub fn config(&self) -> Map<String, Value> {
        self.layer().map(|layer| layer.config()).unwrap_or_default()
    }

    /// The layers of a nested model, or those that a wrapper contains; none for other layers.
    pub fn layers(&self) -> Vec<LayerInfo<'m>> {
        let info =
            |entry: &'m Entry| LayerInfo::new(join(&self.path, &entry.name), entry, self.store);
        match &self.entry.body {
            Body::Leaf(_) => self.entry.wrapped.iter().map(info).collect(),
            Body::Nested(topology) => topology.shown().map(info).collect(),
        }
    }

    /// Calls `visit` with the layer, or all that a nested model contains.
    fn visit(&self, visit: &mut impl FnMut(&'m Entry)) {
        self.entry
            .visit(String::new(), &mut |_, entry| visit(entry));
    }
}

impl fmt::Debug for LayerInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}, {})",
            self.path,
            self.class_name(),
            self.freezing()
        )
    }
}

impl Entry {
    /// Its own parameters that are trained.
    fn trained<'m>(&'m self, store: &'m WeightStore) -> impl Iterator<Item = &'m Weight> {
        let weights = self.weights.iter().map(|id| &store[*id]);
        weights.filter(|it| it.kind() == WeightKind::Parameter && self.moves(it.spec()))
    }
}

impl ParameterCount {
    /// Counts the elements of a weight that training changes or not.
    pub(crate) fn add(&mut self, weight: &Weight, moves: bool) {
        let slot = match weight.kind() {
            WeightKind::State => &mut self.state,
            WeightKind::Parameter if moves => &mut self.trainable,
            WeightKind::Parameter => &mut self.frozen,
        };
        *slot += weight.value().len();
    }
}

impl Model {
    /// The parameters that are trained, in the layers' order, as Keras' `trainable_weights`.
    pub fn trainable_weights(&self) -> Vec<&Weight> {
        let mut weights = Vec::new();
        let mut met = Met::default();
        self.topology.visit("", &mut |_, entry| {
            if !met.again(entry) {
                weights.extend(entry.trained(&self.store));
            }
        });
        weights
    }

    /// The layers in order; those of nested models are in [`LayerInfo::layers`]. As in Keras, the
    /// input layer of a `Sequential` is not among them.
    pub fn layers(&self) -> Vec<LayerInfo<'_>> {
        let shown = self.topology.shown();
        shown
            .map(|entry| LayerInfo::new(entry.name.clone(), entry, &self.store))
            .collect()
    }

    /// The layer of this name, path or position: `model.get_layer("dense_1")`,
    /// `model.get_layer(-1)`, `model.get_layer("base/conv1")`. The end of a path (`"conv1"`) is enough
    /// where no other layer's path ends so.
    ///
    /// # Errors
    /// [`Error::Name`] if there is none, with the nearest names, or if there are several.
    pub fn get_layer(&self, key: impl Into<LayerKey>) -> Result<LayerInfo<'_>> {
        let mut layers = self.layers();
        match key.into() {
            LayerKey::Index(index) => {
                let count = layers.len() as isize;
                let position = if index < 0 { index + count } else { index };
                if (0..count).contains(&position) {
                    return Ok(layers.swap_remove(position as usize));
                }
                let expected = format!("a position among {count} layers");
                Err(Error::Name(Detail::new(self.name(), expected, index)))
            }
            LayerKey::Name(name) => {
                let mut all = Vec::new();
                self.topology.visit("", &mut |path, entry| {
                    all.push(LayerInfo::new(path, entry, &self.store));
                });
                let paths: Vec<&str> = all.iter().map(|layer| layer.path()).collect();
                let path = meant(&name, &paths).map_err(|help| {
                    let received = format!("{name:?}");
                    let detail = Detail::new(self.name(), "the name of a layer", received);
                    Error::Name(detail.help(help))
                })?;
                let position = paths.iter().position(|other| *other == path);
                Ok(all.swap_remove(position.expect("the path is one of these")))
            }
        }
    }

    /// Sets all weights of a layer, in the order of [`LayerInfo::weights`], as Keras'
    /// `layer.set_weights`.
    ///
    /// # Errors
    /// [`Error::Name`] if there is no such layer, [`Error::Shape`] if the number of weights or a
    /// shape differs; the model is unchanged then.
    pub fn set_layer_weights(
        &mut self,
        key: impl Into<LayerKey>,
        values: Vec<Tensor>,
    ) -> Result<()> {
        let layer = self.get_layer(key)?;
        let ids: Vec<VariableId> = layer.weights().iter().map(|it| it.id()).collect();
        if ids.len() != values.len() {
            let expected = format!("{} weights", ids.len());
            let detail = Detail::new(layer.path(), expected, values.len());
            return Err(Error::Shape(detail));
        }
        self.set_weights(ids.into_iter().zip(values))
    }
}
