//! A model: layers, the calls that connect them, and all their weights in one store.

use regraft_autograd::{DataType, Shape};
use regraft_tensor::{Detail, Tensor};

use crate::names::{meant, unique_name};
use crate::shared::Met;
use crate::structure::Structure;
use crate::topology::{Topology, ValueId};
use crate::weight::{Weight, WeightStore};
use crate::{ElementType, Error, Result};

/// A network of layers with their weights.
///
/// It is made by [`Sequential`](crate::Sequential) or [`Functional`](crate::Functional), and can be
/// a layer of another model.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) name: String,
    pub(crate) topology: Topology,
    pub(crate) store: WeightStore,
    pub(crate) seed: u64,
    pub(crate) revision: u64,
}

impl Model {
    pub(crate) fn empty(name: &str, class_name: &str) -> Self {
        Model {
            name: name.to_string(),
            topology: Topology {
                class_name: class_name.to_string(),
                ..Topology::default()
            },
            store: WeightStore::default(),
            seed: 0,
            revision: 0,
        }
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the model a name.
    pub fn set_name(&mut self, name: impl Into<String>) {
        self.name = name.into();
    }

    /// `Sequential` or `Functional`.
    pub fn class_name(&self) -> &str {
        &self.topology.class_name
    }

    /// Whether all layers have their weights.
    pub fn is_built(&self) -> bool {
        self.topology.built
    }

    /// A number that changes with everything that makes compiled programs of this model invalid:
    /// its layers, what is frozen, and the values of frozen weights. Training does not change it.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// All weights in order.
    pub fn weights(&self) -> &WeightStore {
        &self.store
    }

    /// All weights, whose values may be changed. Programs compiled before may hold frozen ones as
    /// they were, so this counts as a new [`revision`](Self::revision).
    pub fn weights_mut(&mut self) -> &mut WeightStore {
        self.revision += 1;
        &mut self.store
    }

    /// All weights, to be trained: only values that are not frozen may be changed.
    pub fn trained_weights_mut(&mut self) -> &mut WeightStore {
        &mut self.store
    }

    /// The weight at `path` (`dense_1/kernel`); the end of a path is enough where no other weight's
    /// path ends so.
    pub fn weight(&self, path: &str) -> Option<&Weight> {
        Some(&self.store.0[self.weight_position(path).ok()?])
    }

    fn weight_position(&self, path: &str) -> Result<usize> {
        let paths: Vec<&str> = self.store.iter().map(Weight::path).collect();
        let path = meant(path, &paths).map_err(|help| {
            Error::Name(Detail::new(path, "a weight of the model", "none").help(help))
        })?;
        let position = paths.iter().position(|other| *other == path);
        Ok(position.expect("the path is one of these"))
    }

    /// Sets the values of the weight at `path`.
    ///
    /// # Errors
    /// [`Error::Name`] if there is no such weight, [`Error::Shape`] if the shape differs; the
    /// model is unchanged then.
    pub fn set_weight(&mut self, path: &str, value: Tensor) -> Result<()> {
        let position = self.weight_position(path)?;
        let weight = &mut self.store.0[position];
        if weight.value.shape() != value.shape() {
            let expected = format!("shape {:?}", weight.value.shape());
            let received = format!("{:?}", value.shape());
            return Err(Error::Shape(Detail::new(path, expected, received)));
        }
        weight.value = value;
        self.revision += 1;
        Ok(())
    }

    /// The policies of element types that layers had in the file they come from, with the number of
    /// layers: `[("mixed_float16", 12)]`. Here all is computed with 32 bits; saving keeps the policies.
    pub fn policies(&self) -> Vec<(String, usize)> {
        let mut counts = std::collections::BTreeMap::new();
        self.topology.visit("", &mut |_, entry| {
            if let Some(policy) = &entry.policy {
                *counts.entry(policy.clone()).or_insert(0) += 1;
            }
        });
        counts.into_iter().collect()
    }

    /// The shapes of the inputs.
    pub fn input_shapes(&self) -> Vec<Shape> {
        let shape = |value: &ValueId| self.value_shape(*value);
        self.topology.inputs.iter().filter_map(shape).collect()
    }

    /// The shapes of the outputs.
    pub fn output_shapes(&self) -> Vec<Shape> {
        let shape = |value: &ValueId| self.value_shape(*value);
        self.topology.outputs.iter().filter_map(shape).collect()
    }

    /// The element types of the inputs in the data-flow graph.
    pub fn input_types(&self) -> Vec<DataType> {
        let types = self.input_element_types().into_iter();
        types.map(ElementType::data_type).collect()
    }

    /// The element types of the inputs as Keras names them.
    pub fn input_element_types(&self) -> Vec<ElementType> {
        self.topology.types(&self.topology.inputs)
    }

    /// The element types of the outputs as Keras names them. What [`emit`](Self::emit) gives are
    /// floats in any case.
    pub fn output_element_types(&self) -> Vec<ElementType> {
        self.topology.types(&self.topology.outputs)
    }

    /// The names of the inputs, in their order: of the input layers, or the keys if the inputs are a
    /// dictionary.
    pub fn input_names(&self) -> Vec<String> {
        let names = self.value_names(&self.topology.inputs);
        let structure = self.topology.input_structure.as_ref();
        structure.map_or_else(|| names.clone(), |structure| structure.names(&names))
    }

    /// The names of the outputs, in their order: of the layers that give them, those that occur again
    /// with a number appended, or the keys if the outputs are a dictionary.
    pub fn output_names(&self) -> Vec<String> {
        let names = self.value_names(&self.topology.outputs);
        let structure = self.topology.output_structure.as_ref();
        structure.map_or_else(|| names.clone(), |structure| structure.names(&names))
    }

    /// Whether the outputs are a dictionary, which Keras gives by keys and wants targets by.
    pub fn has_named_outputs(&self) -> bool {
        let structure = self.topology.output_structure.as_ref();
        structure.is_some_and(Structure::is_dictionary)
    }

    fn value_names(&self, values: &[ValueId]) -> Vec<String> {
        let mut names: Vec<String> = Vec::with_capacity(values.len());
        for value in values {
            let call = self.topology.calls.get(value.call);
            let name = call.map_or("", |call| &self.topology.layers[call.layer].name);
            names.push(unique_name(name, |name| names.iter().any(|n| n == name)));
        }
        names
    }

    fn value_shape(&self, value: ValueId) -> Option<Shape> {
        self.topology.value(value).map(|value| value.shape.clone())
    }

    pub(crate) fn require_built(&self) -> Result<()> {
        if self.topology.built {
            return Ok(());
        }
        Err(Error::Model(
            Detail::new(
                &self.name,
                "a model whose input shape is known",
                "one without",
            )
            .help(
                "begin it with `Input::new([…])`, or call `build(&[…])` with the shape of a sample",
            ),
        ))
    }

    /// Numbers of elements: parameters that are trained, parameters that are frozen, and state.
    pub fn count_parameters(&self) -> ParameterCount {
        let mut count = ParameterCount::default();
        let mut met = Met::default();
        self.topology.visit("", &mut |_, entry| {
            if met.again(entry) {
                return;
            }
            for id in &entry.weights {
                let weight = &self.store.0[id.0];
                count.add(weight.spec.kind, entry.freezing, weight.value.len());
            }
        });
        count
    }
}

/// Numbers of elements of a model's weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParameterCount {
    /// Of parameters that are trained.
    pub trainable: usize,
    /// Of parameters that are frozen.
    pub frozen: usize,
    /// Of statistics and other state, which are never trained.
    pub state: usize,
}

impl ParameterCount {
    /// The sum of the three.
    pub fn total(&self) -> usize {
        self.trainable + self.frozen + self.state
    }
}
