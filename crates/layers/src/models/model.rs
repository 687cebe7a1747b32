//! A model: layers, the calls that connect them, and all their weights in one store.

use regraft_autograd::{DataType, Shape, VariableId};
use regraft_tensor::{Detail, Tensor};

use crate::contract::weight::{Weight, WeightStore};
use crate::keras::names::{meant, unique_name};
use crate::models::revision::Revision;
use crate::models::shared::Met;
use crate::models::structure::Structure;
use crate::models::topology::{Container, Topology, ValueId};
use crate::{ElementType, Error, Result};

/// A network of layers with their weights.
///
/// It is made by [`Sequential`](crate::Sequential) or [`Functional`](crate::Functional), and can be
/// a layer of another model.
///
/// A clone is another model: its weights have ids of their own ([`Weight::id`]), so that both can be
/// written into one graph, and an optimizer that knows the one has no memory of the other.
#[derive(Debug)]
pub struct Model {
    pub(crate) name: String,
    pub(crate) topology: Topology,
    pub(crate) store: WeightStore,
    pub(crate) seed: u64,
    pub(crate) revision: Revision,
}

impl Clone for Model {
    fn clone(&self) -> Self {
        let mut copy = self.same();
        let renewed = copy.store.renew_ids();
        copy.topology.visit_mut("", &mut |_, entry| {
            for id in &mut entry.weights {
                *id = renewed[id];
            }
        });
        copy
    }
}

impl Model {
    pub(crate) fn empty(name: &str, container: Container) -> Self {
        Model {
            name: name.to_string(),
            topology: Topology {
                container,
                ..Topology::default()
            },
            store: WeightStore::default(),
            seed: 0,
            revision: Revision::new(),
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
    pub fn class_name(&self) -> &'static str {
        self.topology.container.class_name()
    }

    /// Whether all of its layers come from a file of Keras 1 or 2, so that it is one of these Kerases' models.
    pub fn is_of_keras2(&self) -> bool {
        let mut layers = self
            .topology
            .layers
            .iter()
            .filter(|entry| !entry.is_input());
        let first = layers.next();
        first.is_some_and(|first| first.keras2) && layers.all(|entry| entry.keras2)
    }

    /// Whether all layers have their weights.
    pub fn is_built(&self) -> bool {
        self.topology.built
    }

    /// A number that changes with everything that makes compiled programs of this model invalid:
    /// its layers, what is frozen, and the values of frozen weights. Training does not change it. No
    /// two models have the same.
    pub fn revision(&self) -> u64 {
        self.revision.number()
    }

    /// As [`revision`](Self::revision), with how often values were opened to training since then: what
    /// holds all values, such as a program for prediction, knows by it whether they are still these.
    pub fn version(&self) -> (u64, u64) {
        self.revision.version()
    }

    /// The same model once more, with the identity of its weights: only to be put back in its place.
    pub(crate) fn same(&self) -> Self {
        Model {
            name: self.name.clone(),
            topology: self.topology.clone(),
            store: self.store.clone(),
            seed: self.seed,
            revision: Revision::new(),
        }
    }

    /// All weights in order.
    pub fn weights(&self) -> &WeightStore {
        &self.store
    }

    /// The weight at `path` (`dense_1/kernel`); the end of a path is enough where no other weight's
    /// path ends so.
    pub fn weight(&self, path: &str) -> Option<&Weight> {
        self.find_weight(path).ok()
    }

    fn find_weight(&self, path: &str) -> Result<&Weight> {
        let paths: Vec<&str> = self.store.iter().map(Weight::path).collect();
        let path = meant(path, &paths).map_err(|help| {
            Error::Name(Detail::new(path, "a weight of the model", "none").help(help))
        })?;
        let weight = self.store.iter().find(|weight| weight.path == path);
        Ok(weight.expect("the path is one of these"))
    }

    /// Sets the values of the weight at `path`.
    ///
    /// # Errors
    /// [`Error::Name`] if there is no such weight, [`Error::Shape`] if the shape differs; the
    /// model is unchanged then.
    pub fn set_weight(&mut self, path: &str, value: Tensor) -> Result<()> {
        let id = self.find_weight(path)?.id;
        self.set_weights([(id, value)])
    }

    /// Sets the values of several weights, frozen ones too: all or none. Programs compiled before may
    /// hold frozen values as they were, so this gives a new [`revision`](Self::revision), as every
    /// change of a value does but those of training.
    ///
    /// # Errors
    /// [`Error::Name`] for an id that no weight of this model has, [`Error::Shape`] if a shape
    /// differs, [`Error::Model`] for other values of a weight that adapters are merged into; the model is
    /// unchanged then.
    pub fn set_weights(
        &mut self,
        values: impl IntoIterator<Item = (VariableId, Tensor)>,
    ) -> Result<()> {
        let values: Vec<(VariableId, Tensor)> = values.into_iter().collect();
        let merged = self.merged_weights();
        for (id, value) in &values {
            let Some(weight) = self.store.get(*id) else {
                let detail = Detail::new(&self.name, "ids of weights of the model", "another");
                return Err(Error::Name(detail));
            };
            if weight.value.shape() != value.shape() {
                let expected = format!("shape {:?}", weight.value.shape());
                let received = format!("{:?}", value.shape());
                return Err(Error::Shape(Detail::new(&weight.path, expected, received)));
            }
            let mut pairs = weight.value.as_slice().iter().zip(value.as_slice());
            if merged.contains(id) && pairs.any(|(a, b)| a.to_bits() != b.to_bits()) {
                self.require_unmerged("set the weights that they are in")?;
            }
        }
        for (id, value) in values {
            let weight = self.store.get_mut(id).expect("it was found above");
            weight.value = value;
        }
        self.revision.renew();
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

    /// The shape of the output.
    ///
    /// # Errors
    /// If the model is not built, or has several.
    pub fn output_shape(&self) -> Result<Shape> {
        self.require_built()?;
        let shapes = self.output_shapes();
        let [shape] = shapes.as_slice() else {
            let detail = Detail::new(&self.name, "1 output", shapes.len());
            return Err(Error::Model(detail.help("call `output_shapes`")));
        };
        Ok(shape.clone())
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
                let weight = &self.store[*id];
                count.add(weight, entry.moves(&weight.spec));
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
