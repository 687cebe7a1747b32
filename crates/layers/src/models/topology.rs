//! The parts of a model: layers, and the calls that connect them.

use regraft_autograd::{DataType, Shape, VariableId};
use regraft_tensor::Tensor;

use crate::adapters::attached::Attached;
use crate::contract::freezing::Alone;
use crate::contract::weight::WeightStore;
use crate::keras::names::join;
use crate::layers::Input;
use crate::models::structure::Structure;
use crate::{ElementType, Freezing, Layer, WeightKind, WeightSpec};

/// How many models may be nested in each other.
pub(crate) const DEEPEST: usize = 32;

/// The two kinds of model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Container {
    /// A stack: each layer takes the output of the one before.
    Sequential,
    /// Any graph of layers.
    #[default]
    Functional,
}

impl Container {
    /// What Keras calls it.
    pub fn class_name(self) -> &'static str {
        match self {
            Container::Sequential => "Sequential",
            Container::Functional => "Functional",
        }
    }
}

/// Layers and how they are connected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topology {
    /// What kind of model it is.
    pub container: Container,
    pub layers: Vec<Entry>,
    /// In an order in which every value is there before it is used.
    pub calls: Vec<LayerCall>,
    pub inputs: Vec<ValueId>,
    pub outputs: Vec<ValueId>,
    /// How the inputs are arranged, unless as a list.
    pub input_structure: Option<Structure>,
    /// How the outputs are arranged, unless as a list.
    pub output_structure: Option<Structure>,
    /// Whether all layers have their weights and the calls are there.
    pub built: bool,
    /// Whether the model itself was frozen, as a whole. Layers in it may be trained all the same: of
    /// a nested model it is said in files and in the summary, and has no effect.
    pub frozen: bool,
}

/// A value that flows between layers, within one topology: an output of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId {
    /// The position of the call.
    pub(crate) call: usize,
    /// Which of its outputs.
    pub(crate) output: usize,
}

/// A layer applied to values.
#[derive(Clone, Debug)]
pub(crate) struct LayerCall {
    pub layer: usize,
    pub inputs: Vec<ValueId>,
    /// The masks that were given with the inputs, in their order; an input that has none here has the
    /// one that comes with its value.
    pub masks: Vec<Option<ValueId>>,
    /// The shapes and the element types of the outputs.
    pub values: Vec<ValueSpec>,
}

impl LayerCall {
    /// All values that it takes: the inputs, and then the masks that were given with them.
    pub fn operands(&self) -> impl Iterator<Item = &ValueId> {
        self.inputs.iter().chain(self.masks.iter().flatten())
    }

    /// As [`operands`](Self::operands), to be renumbered.
    pub fn operands_mut(&mut self) -> impl Iterator<Item = &mut ValueId> {
        self.inputs
            .iter_mut()
            .chain(self.masks.iter_mut().flatten())
    }
}

/// What is known of a value before it is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ValueSpec {
    pub shape: Shape,
    pub element_type: ElementType,
}

impl ValueSpec {
    /// The type of the elements in the data-flow graph.
    pub fn data_type(&self) -> DataType {
        self.element_type.data_type()
    }
}

/// A layer in a model.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub name: String,
    pub body: Body,
    pub freezing: Freezing,
    /// Weights that do not follow the layer, by name: whether each is trained.
    pub alone: Alone,
    /// Whether its parameters are fixed only because the whole model was read as frozen, so that they
    /// are trained where the model becomes a part of another one.
    pub hidden: bool,
    pub weights: Vec<VariableId>,
    pub input_shapes: Vec<Shape>,
    /// Of the outputs; empty before the layer is called.
    pub output_shapes: Vec<Shape>,
    /// The number of the first random stream of its initializers.
    pub stream: u64,
    /// The policy of element types that its file has, if that is not `float32`: what Keras computes it
    /// in. Here all is computed with 32 bits; the policy is kept for saving.
    pub policy: Option<String>,
    /// Whether it was read from a file of Keras 1 or 2, and computes as these do where Keras 3 does otherwise.
    pub keras2: bool,
    /// The layers that it contains, if it is a wrapper.
    pub wrapped: Vec<Entry>,
    /// The attribute in which Keras' wrapper keeps it, if one contains it.
    pub attribute: Option<&'static str>,
    /// Settings that were changed after the layer was made, as a configuration has them.
    pub changed_settings: serde_json::Map<String, serde_json::Value>,
    /// What adapters add to it. Their weights are among `weights`, behind the layer's own.
    pub adapters: Vec<Attached>,
    /// What it is called in the program that its weights come from, if that is known.
    pub module: Option<String>,
    /// The values that its own weights had before adapters were merged into them, by name.
    pub merged: Option<Vec<(String, Tensor)>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Leaf(std::sync::Arc<dyn Layer>),
    Nested(Box<Topology>),
}

impl Entry {
    pub fn class_name(&self) -> &str {
        match &self.body {
            Body::Leaf(layer) => layer.class_name(),
            Body::Nested(topology) => topology.container.class_name(),
        }
    }

    /// The weights of contained layers that it keeps in front of its own.
    pub fn kept(&self, store: &WeightStore) -> Vec<VariableId> {
        let Body::Leaf(layer) = &self.body else {
            return Vec::new();
        };
        let found = layer.wrapped_weights().into_iter();
        let found = found.filter_map(|(index, name)| {
            let mut ids = self.wrapped.get(index)?.weights.iter().copied();
            ids.find(|id| store[*id].name() == name)
        });
        found.collect()
    }

    /// Its state as files say it: where the whole hides it, what it is by itself.
    pub fn own_freezing(&self) -> Freezing {
        match self.hidden {
            true => self.freezing.with_parameters(),
            false => self.freezing,
        }
    }

    /// Whether training changes a weight of it: trains a parameter, or moves a state.
    pub fn moves(&self, weight: &WeightSpec) -> bool {
        self.uses(&weight.name) && moves(self.freezing, &self.alone, weight)
    }

    /// Whether it is a single layer of which any parameter is trained; it need not have one.
    pub fn trains(&self) -> bool {
        let leaf = matches!(self.body, Body::Leaf(_)) && !self.is_input();
        leaf && (self.freezing.trains_parameters() || self.alone.values().any(|trained| *trained))
    }

    /// Gives it a state with all its weights.
    pub fn set_freezing(&mut self, freezing: Freezing) {
        self.freezing = freezing;
        self.alone.clear();
    }

    /// Fixes its parameters, those that were unfrozen alone too.
    pub fn fix_parameters(&mut self) {
        self.freezing = self.freezing.without_parameters();
        self.alone.retain(|_, trained| !*trained);
    }

    /// Keras' `trainable` of the layer or model by itself.
    pub fn says_trainable(&self) -> bool {
        match &self.body {
            Body::Leaf(_) => self.own_freezing().trains_parameters(),
            Body::Nested(topology) => !topology.frozen,
        }
    }

    /// Whether it is an input layer.
    pub fn is_input(&self) -> bool {
        self.leaf_as::<Input>().is_some()
    }

    /// The layer, if it is an `L`.
    pub fn leaf_as<L: Layer>(&self) -> Option<&L> {
        match &self.body {
            Body::Leaf(layer) => {
                let layer: &dyn std::any::Any = &**layer;
                layer.downcast_ref()
            }
            Body::Nested(_) => None,
        }
    }
}

impl Entry {
    /// Calls `visit` with it and with what is in it.
    pub fn visit<'a>(&'a self, path: String, visit: &mut impl FnMut(String, &'a Entry)) {
        visit(path.clone(), self);
        for entry in &self.wrapped {
            entry.visit(join(&path, &entry.name), visit);
        }
        if let Body::Nested(topology) = &self.body {
            topology.visit(&path, visit);
        }
    }

    /// As [`visit`](Self::visit), with entries that may be changed.
    pub fn visit_mut(&mut self, path: &str, visit: &mut impl FnMut(&str, &mut Entry)) {
        visit(path, self);
        for entry in &mut self.wrapped {
            entry.visit_mut(&join(path, &entry.name), visit);
        }
        if let Body::Nested(topology) = &mut self.body {
            topology.visit_mut(path, visit);
        }
    }

    /// How deep models and wrappers are nested in it; 0 if there is none.
    pub fn nesting(&self) -> usize {
        let wrapped = self.wrapped.iter().map(|entry| entry.nesting() + 1);
        let nested = match &self.body {
            Body::Nested(topology) => topology.nesting() + 1,
            Body::Leaf(_) => 0,
        };
        wrapped.max().unwrap_or(0).max(nested)
    }
}

impl Topology {
    /// Calls `visit` with every entry and its path, those within another after it.
    pub fn visit<'a>(&'a self, prefix: &str, visit: &mut impl FnMut(String, &'a Entry)) {
        for entry in &self.layers {
            entry.visit(join(prefix, &entry.name), visit);
        }
    }

    /// As [`visit`](Self::visit), with entries that may be changed.
    pub fn visit_mut(&mut self, prefix: &str, visit: &mut impl FnMut(&str, &mut Entry)) {
        for entry in &mut self.layers {
            entry.visit_mut(&join(prefix, &entry.name), visit);
        }
    }
}

impl Topology {
    /// The layers that users see: of a `Sequential` all but the input, as in Keras.
    pub fn shown(&self) -> impl Iterator<Item = &Entry> {
        let hides_inputs = self.is_stack();
        let entries = self.layers.iter();
        entries.filter(move |entry| !(hides_inputs && entry.is_input()))
    }

    /// Whether it is a `Sequential`.
    pub fn is_stack(&self) -> bool {
        self.container == Container::Sequential
    }

    /// Calls `change` with every single layer but inputs.
    pub fn change_leaves(&mut self, change: &mut impl FnMut(&mut Entry)) {
        self.visit_mut("", &mut |_, entry| {
            if matches!(entry.body, Body::Leaf(_)) && !entry.is_input() {
                change(entry);
            }
        });
    }

    /// Whether parameters of any layer are trained.
    pub fn trains(&self) -> bool {
        let mut trains = false;
        self.visit("", &mut |_, entry| trains |= entry.trains());
        trains
    }

    /// Fixes the parameters of all layers, as Keras does not train a model whose own `trainable` is
    /// false, whatever its layers say.
    pub fn hide(&mut self) {
        self.change_leaves(&mut |entry| {
            entry.hidden = entry.freezing.trains_parameters();
            entry.fix_parameters();
        });
    }

    /// Fixes the parameters of all layers within a frozen model, at any depth: Keras 2's rule.
    pub fn hide_within_frozen(&mut self, frozen: bool) {
        let frozen = frozen || self.frozen;
        for entry in &mut self.layers {
            match &mut entry.body {
                Body::Nested(topology) => topology.hide_within_frozen(frozen),
                Body::Leaf(_) if frozen => {
                    entry.visit_mut("", &mut |_, entry| entry.fix_parameters());
                }
                Body::Leaf(_) => {}
            }
        }
    }

    /// Gives layers that the whole model hid their own states.
    pub fn reveal(&mut self) {
        self.change_leaves(&mut |entry| {
            entry.freezing = entry.own_freezing();
            entry.hidden = false;
        });
    }

    /// What is known of a value.
    pub fn value(&self, id: ValueId) -> Option<&ValueSpec> {
        self.calls.get(id.call)?.values.get(id.output)
    }

    /// What a call takes, but for masks.
    pub fn inputs_of(&self, call: usize) -> Vec<ValueId> {
        let call = self.calls.get(call);
        call.map_or(Vec::new(), |call| call.inputs.clone())
    }

    /// The outputs of a call.
    pub fn outputs_of(&self, call: usize) -> Vec<ValueId> {
        let count = self.calls.get(call).map_or(0, |call| call.values.len());
        (0..count).map(|output| ValueId { call, output }).collect()
    }

    /// How deep models are nested in it; 0 if there is none. Models are nested
    /// [`DEEPEST`] deep at most, so that walks may follow them by recursion.
    pub fn nesting(&self) -> usize {
        self.layers.iter().map(Entry::nesting).max().unwrap_or(0)
    }

    /// The element types of values.
    pub fn types(&self, values: &[ValueId]) -> Vec<ElementType> {
        let element_type = |&id: &ValueId| self.value(id).map(|value| value.element_type);
        let types = values.iter().map(element_type);
        types.map(Option::unwrap_or_default).collect()
    }
}

/// Whether training changes a weight of a layer in this state, some of whose weights have one of their own.
fn moves(freezing: Freezing, alone: &Alone, weight: &WeightSpec) -> bool {
    let own = alone.get(&weight.name).copied();
    match weight.kind {
        WeightKind::Parameter => own.unwrap_or(freezing.trains_parameters()),
        WeightKind::State => {
            freezing.behaves_as_in_training() && own.unwrap_or(true) && !weight.fixed
        }
    }
}
