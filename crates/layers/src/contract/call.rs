//! What a layer's formula is written with: its weights as values of the graph, whether it behaves as
//! in training, and where it reports updates of its state.

use std::cell::Cell;

use regraft_autograd::{DataType, Dim, Graph, Origin, Shape, Var, VariableId};
use regraft_tensor::Detail;

use crate::adapters::formula;
use crate::contract::emission::Mode;
use crate::contract::weight::{WeightKind, WeightSpec};
use crate::models::scene::{Scene, Value};
use crate::models::topology::Entry;
use crate::{ElementType, Regularizer};

/// The surroundings of one call of a layer.
#[derive(Debug)]
pub struct Call<'g, 'm> {
    scene: Scene<'g, 'm>,
    entry: &'m Entry,
    types: &'m [ElementType],
    /// Of the inputs.
    masks: &'m [Option<Var<'g>>],
    /// Whether that of the first one was given with the call.
    mask_is_given: bool,
    /// Of what a contained layer gave last.
    wrapped_mask: Cell<Option<Var<'g>>>,
}

impl<'g, 'm> Call<'g, 'm> {
    pub(crate) fn new(
        scene: Scene<'g, 'm>,
        entry: &'m Entry,
        types: &'m [ElementType],
        masks: &'m [Option<Var<'g>>],
    ) -> Self {
        Call {
            scene,
            entry,
            types,
            masks,
            mask_is_given: false,
            wrapped_mask: Cell::new(None),
        }
    }

    /// Says that the mask of the first input was given with the call, or that it was not.
    pub(crate) fn with_mask_given(self, mask_is_given: bool) -> Self {
        Call {
            mask_is_given,
            ..self
        }
    }

    /// The mask of a sequence with which the states to begin with are given, if there are such among so many inputs. With
    /// these Keras 3 takes a mask that is given with the call (`mask=`), and not the one that has come with the sequence.
    pub(crate) fn mask_with_states(&self, inputs: usize) -> Option<Var<'g>> {
        let passes = inputs < 2 || self.mask_is_given || self.as_keras2();
        self.mask(0).filter(|_| passes)
    }

    /// The element types of the inputs as Keras names them. The inputs themselves are of the type
    /// that the layer [takes](crate::Layer::input_type).
    pub fn input_types(&self) -> &'m [ElementType] {
        self.types
    }

    /// The graph that the formula is written into.
    pub fn graph(&self) -> &'g Graph {
        self.scene.graph
    }

    /// Whether the layer behaves as in training: it is being trained and not frozen.
    pub fn training(&self) -> bool {
        self.scene.mode == Mode::Training && self.entry.freezing.behaves_as_in_training()
    }

    /// Whether the layer comes from a file of Keras 1 or 2, where it shall compute as these do.
    pub(crate) fn as_keras2(&self) -> bool {
        self.entry.keras2
    }

    /// The mask of the input at `index`, if it has one: 1 where a step counts and 0 where it is padding,
    /// usually of shape `(batch, steps)`. What becomes of it is told by [`Layer::mask`](crate::Layer::mask).
    pub fn mask(&self, index: usize) -> Option<Var<'g>> {
        self.masks.get(index).copied().flatten()
    }

    /// The first result of the layer that this one [contains](crate::Layer::wrapped) at `index`, applied
    /// to inputs with their masks (none, or one for each). Each call draws and updates by itself, and
    /// goes on from the state that the call before left.
    pub fn wrapped(
        &self,
        index: usize,
        inputs: &[Var<'g>],
        masks: &[Option<Var<'g>>],
    ) -> Option<Var<'g>> {
        self.call_wrapped(index, inputs, masks, false)
            .first()
            .copied()
    }

    /// As [`wrapped`](Self::wrapped), with all results of the layer.
    pub fn wrapped_all(
        &self,
        index: usize,
        inputs: &[Var<'g>],
        masks: &[Option<Var<'g>>],
    ) -> Vec<Var<'g>> {
        self.call_wrapped(index, inputs, masks, false)
    }

    /// The mask of what the contained layer gave that was called last, if that has one.
    pub fn wrapped_mask(&self) -> Option<Var<'g>> {
        self.wrapped_mask.get()
    }

    /// As [`wrapped`](Self::wrapped), without the activity penalty of the layer itself: what is
    /// `layer.call(…)` in Keras, where the other is `layer(…)`.
    pub fn wrapped_formula(
        &self,
        index: usize,
        inputs: &[Var<'g>],
        masks: &[Option<Var<'g>>],
    ) -> Option<Var<'g>> {
        self.call_wrapped(index, inputs, masks, true)
            .first()
            .copied()
    }

    fn call_wrapped(
        &self,
        index: usize,
        inputs: &[Var<'g>],
        masks: &[Option<Var<'g>>],
        formula_alone: bool,
    ) -> Vec<Var<'g>> {
        let Some(entry) = self.entry.wrapped.get(index) else {
            return Vec::new();
        };
        let value = |(index, &var): (usize, &Var<'g>)| Value {
            var,
            mask: masks.get(index).copied().flatten(),
            is_given: true,
        };
        let inputs: Vec<Value<'g>> = inputs.iter().enumerate().map(value).collect();
        let scene = Scene {
            formula_alone,
            ..self.scene
        };
        let results = scene.call_entry(entry, &inputs, self.types);
        if let Some(first) = results.first() {
            self.wrapped_mask.set(first.mask);
        }
        results.iter().map(|result| result.var).collect()
    }

    /// The weight called `name` of the layer that this one [contains](crate::Layer::wrapped) at `index`, if
    /// it has one.
    pub fn wrapped_weight(&self, index: usize, name: &str) -> Option<Var<'g>> {
        let inner = self.within(index)?;
        inner.find(name).map(|id| inner.weight_var(id))
    }

    /// Gives a parameter of the layer that this one contains at `index` a new value before that layer is
    /// called in a training step, as Keras' `assign` within `call` does: gradients are with respect to the
    /// new value, which is stored, and from which the optimizer goes on. A frozen parameter has the new
    /// value in this step, and keeps its own. Outside training nothing happens.
    pub fn assign_wrapped(&self, index: usize, name: &str, value: Var<'g>) {
        let inner = self.within(index).filter(|_| self.training());
        let Some(inner) = inner else {
            return;
        };
        let Some(id) = inner.find(name) else {
            inner.unknown(name);
            return;
        };
        let before = inner.weight_var(id);
        let spec = &self.scene.store[id].spec;
        let mut emission = self.scene.emission.borrow_mut();
        let value = match inner.moves(id) && spec.kind == WeightKind::Parameter {
            true => {
                let value = before.assign(value);
                emission.set(id, value);
                value
            }
            false => {
                emission.vars.insert(id, value);
                value
            }
        };
        if let (Some(&at), Some(regularizer)) = (emission.penalized.get(&id), &spec.regularizer) {
            emission.penalties[at] = regularizer.penalty(value);
        }
    }

    /// What `formula` makes of the surroundings of the layer that this one contains at `index`, if it contains one there:
    /// for a formula that takes the layer's weights, but is not its call.
    pub(crate) fn in_wrapped<R>(
        &self,
        index: usize,
        formula: impl FnOnce(&Call<'g, 'm>) -> R,
    ) -> Option<R> {
        let inner = self.within(index)?;
        let name = &inner.entry.name;
        Some(self.scene.graph.scope(name, || formula(&inner)))
    }

    /// The surroundings of the layer that this one contains at `index`.
    fn within(&self, index: usize) -> Option<Call<'g, 'm>> {
        let entry = self.entry.wrapped.get(index)?;
        Some(Call::new(self.scene, entry, self.types, self.masks))
    }

    /// The weight that was declared as `name`: a constant if it is frozen, a variable otherwise.
    pub fn weight(&self, name: &str) -> Var<'g> {
        match self.find(name) {
            Some(id) => formula::scaled(self, &self.scene.store[id].spec, self.weight_var(id)),
            None => self.unknown(name),
        }
    }

    /// The entry that is called.
    pub(crate) fn entry(&self) -> &'m Entry {
        self.entry
    }

    /// Whether the graph is for training, however the layer behaves.
    pub(crate) fn in_training(&self) -> bool {
        self.scene.mode == Mode::Training
    }

    /// The weight that an adapter has under this name, if it has one.
    pub(crate) fn of_adapter(&self, name: &str) -> Option<Var<'g>> {
        self.own(name).map(|id| self.weight_var(id))
    }

    /// What was declared of the layer's own weight `name`.
    pub(crate) fn spec(&self, name: &str) -> Option<&'m WeightSpec> {
        self.own(name).map(|id| &self.scene.store[id].spec)
    }

    /// What is linear in the weight `name` and in `x`: a product with a kernel. `formula` writes it for any
    /// kernel whose axes mean what those of the weight mean; how many outputs there are, and of how many
    /// channels a group is, it takes from the kernel that it is given. An [adapter](crate::adapters) puts
    /// factors of its own to the same formula, so that strides, dilation and borders are the layer's;
    /// without one this is `formula(x, self.weight(name))`.
    ///
    /// ```
    /// # use regraft_autograd::Var;
    /// # use regraft_layers::Call;
    /// fn formula<'g>(call: &Call<'g, '_>, x: Var<'g>) -> Var<'g> {
    ///     call.product(x, "kernel", |x, kernel| x.matmul(kernel)) + call.weight("bias")
    /// }
    /// ```
    pub fn product(
        &self,
        x: Var<'g>,
        name: &str,
        formula: impl Fn(Var<'g>, Var<'g>) -> Var<'g>,
    ) -> Var<'g> {
        let Some(id) = self.find(name) else {
            return formula(x, self.unknown(name));
        };
        let kernel = self.weight_var(id);
        let y = match self.entry.adapts(name) {
            false => formula(x, kernel),
            true => formula::adapted(self, x, (name, kernel), &formula),
        };
        if let Some(own) = self.own(name) {
            let mut emission = self.scene.emission.borrow_mut();
            emission.products.insert(own, (x.shape(), y.shape()));
        }
        y
    }

    /// Whether a weight was declared as `name`.
    pub fn has_weight(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Gives the state that was declared as `name` a new value after this training step. Outside
    /// training, and for a frozen layer or a state that is frozen alone, nothing happens: frozen
    /// statistics cannot move.
    pub fn update(&self, name: &str, value: Var<'g>) {
        if !self.training() {
            return;
        }
        match self.find(name) {
            Some(id) if !self.is_updated(id) => {
                let received = format!("{name:?}, which is not one");
                let detail = Detail::new("update", "a state that the layer updates", received);
                let help = "declare it with `Weights::state` in `Layer::build`";
                let error = regraft_autograd::Error::Shape(detail.help(help));
                self.scene.graph.fail(error);
            }
            Some(id) if !self.moves(id) => {}
            Some(id) => {
                let mut emission = self.scene.emission.borrow_mut();
                emission.moved.insert(id);
                emission.set(id, value);
            }
            None => {
                self.unknown(name);
            }
        }
    }

    /// Adds a penalty (a number) to the loss, in training and in evaluation.
    pub fn penalty(&self, value: Var<'g>) {
        self.scene.emission.borrow_mut().penalties.push(value);
    }

    /// Adds an activity regularizer's penalty on `output`, divided by the number of its rows (the batch) as
    /// Keras does. That of a frozen layer counts, too: it moves what is trained before the layer.
    pub fn activity_penalty(&self, regularizer: &Option<Regularizer>, output: Var<'g>) {
        if let (false, Some(regularizer)) = (self.scene.formula_alone, regularizer) {
            let shape = output.shape();
            let rows = shape.dims().first().copied().unwrap_or(Dim::Fixed(1));
            let count = self.scene.graph.full([rows], 1.0).sum_all();
            self.penalty(regularizer.penalty(output) / count);
        }
    }

    /// The number of a new stream of random numbers, for a random op.
    pub fn random_stream(&self) -> u64 {
        self.scene.graph.new_stream()
    }

    /// The stream that a layer's setting `seed` names, or a new one.
    pub fn stream(&self, seed: Option<u64>) -> u64 {
        // Streams that users name and streams that are counted never meet.
        const NAMED: u64 = 1 << 63;
        seed.map_or_else(|| self.random_stream(), |seed| seed | NAMED)
    }

    /// Whether the layer itself may give it new values.
    fn is_updated(&self, id: VariableId) -> bool {
        let spec = &self.scene.store[id].spec;
        spec.kind == WeightKind::State && !spec.fixed
    }

    /// The weight that stands for `name`: an adapter's, if it has one of its own in the place.
    fn find(&self, name: &str) -> Option<VariableId> {
        match self.entry.replacement(name) {
            Some(name) => self.own(&name),
            None => self.own(name),
        }
    }

    fn own(&self, name: &str) -> Option<VariableId> {
        let named = |id: &&VariableId| self.scene.store[**id].spec.name == name;
        self.entry.weights.iter().find(named).copied()
    }

    fn unknown(&self, name: &str) -> Var<'g> {
        let names = self
            .entry
            .weights
            .iter()
            .map(|id| self.scene.store[*id].name());
        let declared = names.collect::<Vec<_>>().join(", ");
        self.scene.graph.fail(regraft_autograd::Error::Shape(
            Detail::new(
                "",
                format!("a declared weight ({declared})"),
                format!("{name:?}"),
            )
            .help("declare it in `Layer::build`"),
        ));
        self.scene.graph.input(name, Shape::scalar(), DataType::F32)
    }

    /// Whether it is a parameter that training moves, whatever the graph is for.
    fn is_trained(&self, id: VariableId) -> bool {
        let spec = &self.scene.store[id].spec;
        spec.kind == WeightKind::Parameter && self.entry.moves(spec)
    }

    /// Whether it is a variable: one that is trained, or that the layer updates.
    fn moves(&self, id: VariableId) -> bool {
        self.scene.mode != Mode::Constant && self.entry.moves(&self.scene.store[id].spec)
    }

    fn weight_var(&self, id: VariableId) -> Var<'g> {
        if let Some(&var) = self.scene.emission.borrow().vars.get(&id) {
            return var;
        }
        let weight = &self.scene.store[id];
        let moves = self.moves(id);
        let var = if moves {
            self.scene
                .graph
                .variable(id, weight.name(), weight.value.shape())
        } else {
            let value = weight.value.clone();
            let graph = self.scene.graph;
            graph.constant_from(Origin::of_value(weight.state), weight.name(), value)
        };
        let mut emission = self.scene.emission.borrow_mut();
        emission.vars.insert(id, var);
        if moves && weight.spec.kind == WeightKind::Parameter {
            emission.trainable.push((id, var));
            emission.moved.insert(id);
        }
        // Also where the weights stay as they are: the loss is that of training.
        if self.is_trained(id)
            && let Some(regularizer) = &weight.spec.regularizer
        {
            let at = emission.penalties.len();
            emission.penalized.insert(id, at);
            emission.penalties.push(regularizer.penalty(var));
        }
        var
    }
}
