//! A layer's weights: what a layer declares, and what a model holds for it.

use std::collections::HashMap;
use std::ops::Index;

use regraft_autograd::{Origin, VariableId, Variables};
use regraft_tensor::Tensor;

use crate::{Constraint, Initializer, Regularizer};

/// Whether a weight is trained, or updated by the layer itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightKind {
    /// Trained by the optimizer.
    Parameter,
    /// Updated by the layer while it trains, such as the moving statistics of a batch normalization.
    State,
}

/// What an axis of a weight runs over. It says how the weight lies in the files of other programs, and never
/// what is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WeightAxis {
    /// The cells of a window, along one axis.
    Space,
    /// The features of the input, which are summed over.
    Input,
    /// The features of the output.
    Output,
    /// Channels that are each treated alone, as in a depthwise convolution.
    Channel,
    /// What a value of the input chooses from, as the rows of an embedding.
    Entry,
    /// An axis of the sample, element by element; 0 is the first behind the batch.
    Sample(usize),
}

/// What a layer declares of a weight.
#[derive(Clone, Debug)]
pub struct WeightSpec {
    /// The name within the layer, as Keras has it: `kernel`, `bias`, `gamma`, `moving_mean`.
    pub name: String,
    /// The sizes.
    pub shape: Vec<usize>,
    /// Whether it is trained.
    pub kind: WeightKind,
    /// Where it starts.
    pub initializer: Initializer,
    /// A penalty on it that is added to the loss while it is trained.
    pub regularizer: Option<Regularizer>,
    /// What holds for it after each update.
    pub constraint: Option<Constraint>,
    /// Whether no call of the layer updates it, so that it is a constant of every graph.
    pub fixed: bool,
    /// What its axes mean, one for each; `None` if the layer does not say.
    pub axes: Option<Vec<WeightAxis>>,
}

impl WeightSpec {
    /// Says that no call of the layer updates this state: it is a constant of the graph even while
    /// the layer is trained.
    pub fn fixed(&mut self) -> &mut Self {
        self.fixed = true;
        self
    }

    /// Says what the axes mean, so that the weight is found in files of programs that lay it out in another
    /// way: `[WeightAxis::Input, WeightAxis::Output]` for the kernel of a dense layer.
    pub fn axes(&mut self, axes: impl IntoIterator<Item = WeightAxis>) -> &mut Self {
        self.axes = Some(axes.into_iter().collect());
        self
    }

    /// Says that the axes are those of the sample, `axes` of the input with the batch as 0.
    pub(crate) fn along(&mut self, axes: &[usize]) -> &mut Self {
        let of_sample = |&axis: &usize| WeightAxis::Sample(axis.saturating_sub(1));
        self.axes(axes.iter().map(of_sample).collect::<Vec<_>>())
    }

    /// Adds a penalty.
    pub fn regularizer(&mut self, regularizer: &Option<Regularizer>) -> &mut Self {
        self.regularizer.clone_from(regularizer);
        self
    }

    /// Adds a constraint.
    pub fn constraint(&mut self, constraint: &Option<Constraint>) -> &mut Self {
        self.constraint.clone_from(constraint);
        self
    }
}

/// Where a layer declares its weights, in the order in which files store them.
#[derive(Debug, Default)]
pub struct Weights {
    pub(crate) specs: Vec<WeightSpec>,
    /// Whether the layer is to be as in Keras 2 ([`Call::as_keras2`](crate::Call::as_keras2)).
    pub(crate) as_keras2: bool,
}

impl Weights {
    /// Declares a parameter: a weight that is trained.
    pub fn parameter(
        &mut self,
        name: &str,
        shape: impl AsRef<[usize]>,
        initializer: &Initializer,
    ) -> &mut WeightSpec {
        self.add(name, shape.as_ref(), initializer, WeightKind::Parameter)
    }

    /// Declares a state: a weight that the layer itself updates
    /// ([`Call::update`](crate::Call::update)).
    pub fn state(
        &mut self,
        name: &str,
        shape: impl AsRef<[usize]>,
        initializer: &Initializer,
    ) -> &mut WeightSpec {
        self.add(name, shape.as_ref(), initializer, WeightKind::State)
    }

    fn add(
        &mut self,
        name: &str,
        shape: &[usize],
        initializer: &Initializer,
        kind: WeightKind,
    ) -> &mut WeightSpec {
        let position = self.specs.len();
        self.specs.push(WeightSpec {
            name: name.to_string(),
            shape: shape.to_vec(),
            kind,
            initializer: initializer.clone(),
            regularizer: None,
            constraint: None,
            fixed: false,
            axes: None,
        });
        &mut self.specs[position]
    }
}

/// A weight that a model holds.
#[derive(Clone, Debug)]
pub struct Weight {
    pub(crate) id: VariableId,
    pub(crate) path: String,
    pub(crate) spec: WeightSpec,
    pub(crate) value: Tensor,
    /// The number of the value: another one has another.
    pub(crate) state: u64,
}

impl Weight {
    /// What tells it from every other weight of this process: it is drawn when the weight is made, and
    /// stays when the model is moved, nested or changed in place. A copy of a model has weights of its
    /// own, with other ids. Graphs, optimizers and programs know the weight by it.
    pub fn id(&self) -> VariableId {
        self.id
    }

    /// The path in the model: `dense_3/kernel`, `base/conv1/kernel`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The name within its layer.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// What the layer declared.
    pub fn spec(&self) -> &WeightSpec {
        &self.spec
    }

    /// Whether it is a parameter or a state.
    pub fn kind(&self) -> WeightKind {
        self.spec.kind
    }

    /// The values.
    pub fn value(&self) -> &Tensor {
        &self.value
    }
}

/// All weights of a model in order, each also to be found by its [`id`](Weight::id).
#[derive(Clone, Debug, Default)]
pub struct WeightStore {
    weights: Vec<Weight>,
    /// Where each is.
    positions: HashMap<VariableId, usize>,
}

impl WeightStore {
    /// The weights in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Weight> {
        self.weights.iter()
    }

    /// The weight with this id.
    pub fn get(&self, id: VariableId) -> Option<&Weight> {
        self.positions.get(&id).map(|&at| &self.weights[at])
    }

    /// The number of weights.
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// A weight to be changed: its value counts as another one from now on.
    pub(crate) fn get_mut(&mut self, id: VariableId) -> Option<&mut Weight> {
        let weight = self.positions.get(&id).map(|&at| &mut self.weights[at])?;
        weight.state = Origin::unique_number();
        Some(weight)
    }

    pub(crate) fn push(&mut self, weight: Weight) {
        let before = self.positions.insert(weight.id, self.weights.len());
        debug_assert!(before.is_none(), "a weight is in a model once");
        self.weights.push(weight);
    }

    /// Keeps the first `length` weights.
    pub(crate) fn truncate(&mut self, length: usize) {
        for weight in self.weights.drain(length..) {
            self.positions.remove(&weight.id);
        }
    }

    /// The weights themselves, in order.
    pub(crate) fn into_weights(self) -> Vec<Weight> {
        self.weights
    }

    /// Gives every weight a new id, and returns the new ones by the old.
    pub(crate) fn renew_ids(&mut self) -> HashMap<VariableId, VariableId> {
        let mut renewed = HashMap::with_capacity(self.weights.len());
        self.positions.clear();
        for (position, weight) in self.weights.iter_mut().enumerate() {
            let id = VariableId::unique();
            renewed.insert(std::mem::replace(&mut weight.id, id), id);
            self.positions.insert(id, position);
        }
        renewed
    }
}

impl FromIterator<Weight> for WeightStore {
    fn from_iter<I: IntoIterator<Item = Weight>>(weights: I) -> Self {
        let mut store = WeightStore::default();
        weights.into_iter().for_each(|weight| store.push(weight));
        store
    }
}

impl Index<VariableId> for WeightStore {
    type Output = Weight;

    fn index(&self, id: VariableId) -> &Weight {
        self.get(id)
            .expect("a layer's weights are in its model's store")
    }
}

impl Variables for WeightStore {
    fn value(&self, id: VariableId) -> Option<&[f32]> {
        self.get(id).map(|weight| weight.value.as_slice())
    }
}
