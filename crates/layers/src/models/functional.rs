//! Models whose layers form a graph: branches, several inputs, layers used more than once.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use regraft_autograd::Shape;
use regraft_tensor::Detail;

use crate::contract::layer::LayerSpec;
use crate::keras::names::near;
use crate::layers::Input;
use crate::models::ends::{Ends, LayerOutput};
use crate::models::model::Model;
use crate::models::structure::Structure;
use crate::models::topology::{Container, Entry, Topology, ValueId};
use crate::{Error, LayerExt, Result, Sequential};

/// Builds a [`Model`] by applying layers to the outputs of others.
///
/// ```
/// use regraft_layers::{Dense, Functional, layers::Add};
///
/// let mut f = Functional::new();
/// let x = f.input([8]);
/// let h = f.apply(Dense::new(8).activation("relu"), &[x])?;
/// let sum = f.apply(Add, &[x, h])?;
/// let y = f.apply(Dense::new(3), &[sum])?;
/// let model = f.model(&[x], &[y])?;
/// assert_eq!(model.output_shapes()[0].to_string(), "(None, 3)");
/// # Ok::<(), regraft_layers::Error>(())
/// ```
///
/// Keras: <https://keras.io/guides/functional_api/>.
pub type Functional = FunctionalBuilder<Model>;

/// A [`Functional`] that gives models of type `M`: what [`Functional`] gives, with something around it.
///
/// What is refused is told at once, by the call that asked for it, and leaves the graph as it was: there are
/// no outputs of a layer that was refused, so no later error can be the consequence of an earlier one.
#[derive(Debug)]
pub struct FunctionalBuilder<M> {
    model: Model,
    id: u64,
    /// Graphs that this one is a copy of, each with how many calls it had then: their outputs are here, too.
    copied: Vec<(u64, usize)>,
    gives: PhantomData<fn() -> M>,
}

/// The outputs so far are those of both; what is applied to one later is not there in the other.
impl<M> Clone for FunctionalBuilder<M> {
    fn clone(&self) -> Self {
        let mut copied = self.copied.clone();
        copied.push((self.id, self.model.topology.calls.len()));
        FunctionalBuilder {
            model: self.model.clone(),
            id: next_id(),
            copied,
            gives: PhantomData,
        }
    }
}

/// The number of the next graph.
fn next_id() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

impl<M: From<Model>> Default for FunctionalBuilder<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: From<Model>> FunctionalBuilder<M> {
    /// An empty graph.
    pub fn new() -> Self {
        Self::with_seed(0)
    }

    /// An empty graph whose layers draw their first weights from `seed`.
    pub fn with_seed(seed: u64) -> Self {
        let mut model = Model::empty("functional", Container::Functional);
        model.seed = seed;
        FunctionalBuilder {
            model,
            id: next_id(),
            copied: Vec::new(),
            gives: PhantomData,
        }
    }

    /// Gives the models made of this graph a name.
    pub fn set_name(&mut self, name: impl Into<String>) {
        self.model.set_name(name);
    }

    /// An input: samples of floats of this shape. [`apply`](Self::apply) with an [`Input`] and no
    /// outputs makes one with a name, or of integers.
    pub fn input(&mut self, sample: impl AsRef<[usize]>) -> LayerOutput {
        let name = self.model.free_name("input_layer");
        let input = Input::new(sample).named(name);
        self.apply(input, &[])
            .expect("an input has neither weights nor inputs, and its name is free")
    }

    /// Adds a layer and applies it to outputs of layers that are there.
    ///
    /// # Errors
    /// A layer that refuses its inputs, or a name that is there already; the graph is unchanged then.
    pub fn apply(
        &mut self,
        layer: impl Into<LayerSpec>,
        inputs: &[LayerOutput],
    ) -> Result<LayerOutput> {
        let layer = layer.into();
        self.or_as_it_was(|graph| {
            let inputs = graph.values(inputs)?;
            let position = graph.model.insert(layer)?;
            let connected = graph.connect(position, &inputs)?;
            graph.first(connected)
        })
    }

    /// Does something that only adds, and takes back what it added if it fails.
    fn or_as_it_was<T>(&mut self, add: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let (topology, weights) = (&self.model.topology, self.model.store.len());
        let (layers, calls) = (topology.layers.len(), topology.calls.len());
        let added = add(self);
        if added.is_err() {
            self.model.topology.layers.truncate(layers);
            self.model.topology.calls.truncate(calls);
            self.model.store.truncate(weights);
        }
        added
    }

    /// Applies a layer with masks that are given, as Keras' `layer(x, mask=…)`: for each input the value
    /// whose elements are not 0 where a step counts, or `None` for the mask that the input has already.
    ///
    /// ```
    /// use regraft_layers::{Functional, layers::GlobalAveragePooling1D};
    ///
    /// let mut f = Functional::new();
    /// let (x, lengths) = (f.input([6, 4]), f.input([6]));
    /// let y = f.apply_masked(GlobalAveragePooling1D::new(), &[x], &[Some(lengths)])?;
    /// let model = f.model(&[x, lengths], &[y])?;
    /// # Ok::<(), regraft_layers::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`apply`](Self::apply), and another number of masks than of inputs.
    pub fn apply_masked(
        &mut self,
        layer: impl Into<LayerSpec>,
        inputs: &[LayerOutput],
        masks: &[Option<LayerOutput>],
    ) -> Result<LayerOutput> {
        let masks: Result<Vec<Option<ValueId>>> = masks
            .iter()
            .map(|mask| Ok(self.values(mask.as_slice())?.first().copied()))
            .collect();
        let masks = masks?;
        if masks.len() != inputs.len() {
            let expected = format!("{} masks, one for each input", inputs.len());
            let detail = Detail::new(self.model.name(), expected, masks.len());
            return Err(Error::Model(
                detail.help("`None` is the mask that an input has"),
            ));
        }
        let output = self.apply(layer, inputs)?;
        self.mask_call(output.value.call, masks);
        Ok(output)
    }

    /// Gives the call its masks.
    fn mask_call(&mut self, call: usize, masks: Vec<Option<ValueId>>) {
        if let Some(call) = self.model.topology.calls.get_mut(call) {
            call.masks = masks;
        }
    }

    /// Applies a layer that is there already, with the same weights.
    ///
    /// # Errors
    /// A name that is not there, or inputs that do not fit the layer's weights.
    pub fn apply_again(&mut self, name: &str, inputs: &[LayerOutput]) -> Result<LayerOutput> {
        let inputs = self.values(inputs)?;
        let layers = &self.model.topology.layers;
        let Some(position) = layers.iter().position(|entry| entry.name == name) else {
            let help = near(name, layers.iter().map(|entry| entry.name.as_str()));
            let received = format!("{name:?}");
            let detail = Detail::new(self.model.name(), "the name of a layer", received);
            return Err(Error::Name(detail.help(help)));
        };
        let connected = self.connect(position, &inputs)?;
        self.first(connected)
    }

    /// Applies layers one after the other, the first to `input`, and returns the output of the last.
    ///
    /// # Errors
    /// As [`apply`](Self::apply); none of the layers is there then.
    pub fn chain(
        &mut self,
        layers: impl IntoIterator<Item = LayerSpec>,
        input: LayerOutput,
    ) -> Result<LayerOutput> {
        self.or_as_it_was(|graph| {
            let mut layers = layers.into_iter();
            layers.try_fold(input, |output, layer| graph.apply(layer, &[output]))
        })
    }

    /// All outputs of the call that `output` comes from: of a nested model as many as it has, the
    /// first of which [`apply`](Self::apply) returned.
    pub fn outputs_of(&self, output: LayerOutput) -> Vec<LayerOutput> {
        let values = self
            .has(output)
            .then(|| self.model.topology.outputs_of(output.value.call));
        let outputs = values.into_iter().flatten();
        outputs.map(|value| self.output(value)).collect()
    }

    /// The handle of the first of a call's values.
    fn first(&self, values: Vec<ValueId>) -> Result<LayerOutput> {
        match values.first() {
            Some(&value) => Ok(self.output(value)),
            None => {
                let detail = Detail::new(self.model.name(), "a layer with an output", "none");
                Err(Error::Model(detail))
            }
        }
    }

    /// The shape of an output; `None` for one of another graph.
    pub fn shape(&self, output: LayerOutput) -> Option<Shape> {
        let value = self.model.topology.value(output.value);
        let value = value.filter(|_| self.has(output));
        value.map(|value| value.shape.clone())
    }

    /// Applies layers one after the other, as a nested `Sequential` of this name. Their first weights
    /// are drawn from a seed of their own.
    ///
    /// # Errors
    /// As [`apply`](Self::apply); a value that has no batch in front.
    pub fn apply_stack(
        &mut self,
        name: &str,
        layers: Vec<LayerSpec>,
        input: LayerOutput,
    ) -> Result<LayerOutput> {
        let shape = self.shape(input).unwrap_or_else(Shape::scalar);
        let Some(sample) = shape.sample().filter(|_| shape.is_batch_first()) else {
            let detail = Detail::new(name, "a batch of samples of this `Functional`", shape);
            return Err(Error::Shape(detail));
        };
        // So that layers at the same place of two stacks do not begin with the same numbers.
        let position = self.model.topology.layers.len() as u64 + 1;
        let seed = position.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.model.seed;
        let mut stack = Sequential::with_seed(vec![Input::new(sample).into()], seed)?;
        for layer in layers {
            stack.add(layer)?;
        }
        self.apply(stack.named(name), &[input])
    }

    /// Adds a layer without applying it, for [`connect`](Self::connect).
    pub(crate) fn insert(&mut self, layer: LayerSpec) -> Result<usize> {
        self.model.insert(layer)
    }

    /// Applies the layer at `position`, with masks given with the inputs (none, or one for each).
    pub(crate) fn connect_masked(
        &mut self,
        position: usize,
        inputs: &[ValueId],
        masks: Vec<Option<ValueId>>,
    ) -> Result<Vec<ValueId>> {
        let values = self.connect(position, inputs)?;
        self.mask_call(self.model.topology.calls.len() - 1, masks);
        Ok(values)
    }

    /// Applies the layer at `position`.
    pub(crate) fn connect(&mut self, position: usize, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        let entry = &self.model.topology.layers[position];
        if entry.is_input() != inputs.is_empty() {
            let expected = match entry.is_input() {
                true => "an input layer without inputs",
                false => "a layer with inputs",
            };
            let received = format!("{} of them", inputs.len());
            return Err(Error::Model(Detail::new(&entry.name, expected, received)));
        }
        self.model.connect(position, inputs)
    }

    /// The handle of a value.
    pub(crate) fn output(&self, value: ValueId) -> LayerOutput {
        LayerOutput {
            value,
            builder: self.id,
        }
    }

    /// Whether the output is one of this graph.
    fn has(&self, output: LayerOutput) -> bool {
        let own = (self.id, self.model.topology.calls.len());
        let mut known = self.copied.iter().chain([&own]);
        known.any(|&(id, calls)| output.builder == id && output.value.call < calls)
    }

    fn values(&self, outputs: &[LayerOutput]) -> Result<Vec<ValueId>> {
        let known = |output: &LayerOutput| match self.has(*output) {
            true => Ok(output.value),
            false => {
                let expected = "outputs of layers of this `Functional`";
                let detail = Detail::new(self.model.name(), expected, "one of another");
                Err(Error::Model(detail))
            }
        };
        outputs.iter().map(known).collect()
    }

    /// The model from `inputs` to `outputs`, with the layers on the way. It is a copy: several
    /// models can be made of one graph, and changing one leaves the others as they are.
    ///
    /// Pairs of keys and outputs make a dictionary as in Keras: the model has them in the order of their
    /// keys, they can be given and taken by name, and files say so.
    ///
    /// ```
    /// use regraft_layers::{Dense, Functional};
    ///
    /// let mut f = Functional::new();
    /// let x = f.input([8]);
    /// let (mask, boxes) = (f.apply(Dense::new(3), &[x])?, f.apply(Dense::new(4), &[x])?);
    /// let model = f.model(&[x], &[("mask", mask), ("boxes", boxes)])?;
    /// assert_eq!(model.output_names(), ["boxes", "mask"]);
    /// # Ok::<(), regraft_layers::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Model`] if an input is not an input layer's or is named twice, if there is no output,
    /// if an output depends on an input that is not named, or if a key occurs twice.
    pub fn model(&self, inputs: impl Ends, outputs: impl Ends) -> Result<M> {
        let (inputs, input_structure) = self.arranged(inputs.ends())?;
        let (outputs, output_structure) = self.arranged(outputs.ends())?;
        let mut model = self.assemble(&inputs, &outputs)?;
        model.topology.input_structure = input_structure;
        model.topology.output_structure = output_structure;
        Ok(model.into())
    }

    /// Ends in the order that a model has them in, and how they are arranged.
    fn arranged(
        &self,
        mut ends: Vec<(Option<String>, LayerOutput)>,
    ) -> Result<(Vec<LayerOutput>, Option<Structure>)> {
        let keys: Option<Vec<String>> = ends.iter().map(|(key, _)| key.clone()).collect();
        let structure = keys
            .filter(|keys| !keys.is_empty())
            .map(Structure::dictionary);
        ends.sort_by(|(a, _), (b, _)| a.cmp(b));
        let twice =
            |pair: &&[(Option<String>, LayerOutput)]| pair[0].0.is_some() && pair[0].0 == pair[1].0;
        if let Some(pair) = ends.windows(2).find(twice) {
            let received = format!("{:?} twice", pair[0].0.as_deref().unwrap_or_default());
            let detail = Detail::new(self.model.name(), "keys that are unique", received);
            return Err(Error::Model(detail));
        }
        Ok((
            ends.into_iter().map(|(_, output)| output).collect(),
            structure,
        ))
    }

    /// The model from `inputs` to `outputs` in this order.
    pub(crate) fn assemble(
        &self,
        inputs: &[LayerOutput],
        outputs: &[LayerOutput],
    ) -> Result<Model> {
        let (inputs, outputs) = (self.values(inputs)?, self.values(outputs)?);
        let topology = &self.model.topology;
        let refuse = |expected: &str, received: String| {
            let detail = Detail::new(self.model.name(), expected, received);
            Err(Error::Model(detail))
        };
        if outputs.is_empty() || inputs.is_empty() {
            return refuse("at least 1 input and 1 output", "none".to_string());
        }
        for (position, input) in inputs.iter().enumerate() {
            let entry = &topology.layers[topology.calls[input.call].layer];
            if !entry.is_input() || inputs[..position].contains(input) {
                let received = format!("the output of {:?}", entry.name);
                return refuse("inputs of the graph, each once", received);
            }
        }
        let order = Order::of(topology, &inputs, &outputs);
        for &call in &order.calls {
            let entry = &topology.layers[topology.calls[call].layer];
            if entry.is_input() && !inputs.iter().any(|input| input.call == call) {
                let received = format!("{:?} left out", entry.name);
                return refuse("every input that the outputs depend on", received);
            }
        }
        let mut model = self.model.clone();
        // Of the copy, whose weights have ids of their own.
        model.topology = order.apply(&model.topology, &inputs, &outputs);
        model.compact();
        Ok(model)
    }
}

/// Which calls are needed, and the order in which Keras lists their layers: by distance from the
/// outputs, then as a depth-first walk from them finds them. Weight files number layers that way.
pub(crate) struct Order {
    /// Positions of calls, ascending.
    pub calls: Vec<usize>,
    /// Positions of layers.
    layers: Vec<usize>,
}

impl Order {
    pub fn of(topology: &Topology, inputs: &[ValueId], outputs: &[ValueId]) -> Order {
        let count = topology.calls.len();
        let mut found: HashMap<usize, i64> = HashMap::new();
        let mut entered = vec![false; count];
        let mut finished = Vec::new();
        let mut stack: Vec<(usize, usize)> = Vec::new();
        for output in outputs {
            stack.push((output.call, 0));
            while let Some((call, next)) = stack.pop() {
                if next == 0 {
                    if std::mem::replace(&mut entered[call], true) {
                        continue;
                    }
                    let number = found.len() as i64;
                    found.entry(topology.calls[call].layer).or_insert(number);
                }
                match topology.calls[call].operands().nth(next) {
                    Some(input) => {
                        stack.push((call, next + 1));
                        stack.push((input.call, 0));
                    }
                    None => finished.push(call),
                }
            }
        }
        let mut depths = vec![0_usize; count];
        let mut layer_depths: HashMap<usize, usize> = HashMap::new();
        for &call in finished.iter().rev() {
            let layer_depth = layer_depths.entry(topology.calls[call].layer).or_default();
            *layer_depth = depths[call].max(*layer_depth);
            depths[call] = *layer_depth;
            for input in topology.calls[call].operands() {
                depths[input.call] = depths[input.call].max(depths[call] + 1);
            }
        }
        // Inputs that nothing depends on come before all others at the outputs' depth.
        for input in inputs {
            let layer = topology.calls[input.call].layer;
            if !entered[input.call] {
                finished.push(input.call);
                found.entry(layer).or_insert(-1);
                layer_depths.entry(layer).or_insert(0);
            }
        }
        finished.sort_unstable();
        let mut layers: Vec<usize> = found.keys().copied().collect();
        layers.sort_unstable_by_key(|layer| {
            (std::cmp::Reverse(layer_depths[layer]), found[layer], *layer)
        });
        Order {
            calls: finished,
            layers,
        }
    }

    /// The topology of these calls and layers alone.
    pub fn apply(&self, topology: &Topology, inputs: &[ValueId], outputs: &[ValueId]) -> Topology {
        let numbers = |positions: &[usize]| -> HashMap<usize, usize> {
            positions
                .iter()
                .enumerate()
                .map(|(new, &old)| (old, new))
                .collect()
        };
        let (layer, value) = (numbers(&self.layers), numbers(&self.calls));
        let renumbered = |id: &ValueId| ValueId {
            call: value[&id.call],
            ..*id
        };
        let values = |ids: &[ValueId]| ids.iter().map(renumbered).collect();
        let call = |&position: &usize| {
            let mut call = topology.calls[position].clone();
            call.layer = layer[&call.layer];
            call.operands_mut().for_each(|id| *id = renumbered(id));
            call
        };
        let entry = |&position: &usize| -> Entry { topology.layers[position].clone() };
        Topology {
            container: topology.container,
            frozen: topology.frozen,
            layers: self.layers.iter().map(entry).collect(),
            calls: self.calls.iter().map(call).collect(),
            inputs: values(inputs),
            outputs: values(outputs),
            input_structure: None,
            output_structure: None,
            built: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Add, BatchNormalization, Concatenate};
    use crate::{Dense, Freezing, Sequential, layers};

    #[test]
    fn layers_can_be_shared_and_calls_of_other_shapes_too() {
        let mut f = Functional::new();
        let (rows, grid) = (f.input([4]), f.input([3, 4]));
        let a = f.apply(Dense::new(5).named("shared"), &[rows]).unwrap();
        let b = f.apply_again("shared", &[grid]).unwrap();
        let model = f.model(&[rows, grid], &[a, b]).unwrap();
        assert_eq!(model.weights().len(), 2);
        let shapes: Vec<String> = model
            .output_shapes()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(shapes, ["(None, 5)", "(None, 3, 5)"]);
        let narrow = f.input([3]);
        let error = f.apply_again("shared", &[narrow]).unwrap_err().to_string();
        assert!(error.contains("shared/kernel"), "{error}");
    }

    #[test]
    fn a_model_has_only_what_lies_between_its_ends() {
        let mut f = Functional::new();
        let x = f.input([4]);
        let other = f.input([4]);
        let h = f.apply(Dense::new(3).named("h"), &[x]).unwrap();
        let unused = f.apply(Dense::new(3).named("unused"), &[other]).unwrap();
        let y = f.apply(Dense::new(2).named("y"), &[h]).unwrap();
        let features = f.model(&[x], &[h]).unwrap();
        let names = |model: &Model| -> Vec<String> {
            model
                .layers()
                .iter()
                .map(|layer| layer.name().to_string())
                .collect()
        };
        assert_eq!(names(&features), ["input_layer", "h"]);
        assert_eq!(features.weights().len(), 2);
        assert_eq!(
            names(&f.model(&[x], &[y]).unwrap()),
            ["input_layer", "h", "y"]
        );
        let sum = f.apply(Add, &[h, unused]).unwrap();
        let error = f.model(&[x], &[sum]).unwrap_err().to_string();
        assert!(error.contains("input_layer_1"), "{error}");
        assert!(f.model(&[x, x], &[y]).is_err());
        assert!(f.model(&[h], &[y]).is_err());
        assert!(f.model(&[x], &[] as &[LayerOutput]).is_err());
    }

    #[test]
    fn a_refused_layer_leaves_the_graph_as_it_was() {
        let mut f = Functional::new();
        let x = f.input([4]);
        let y = f.apply(Dense::new(4).named("d"), &[x]).unwrap();
        let z = f.input([3]);
        assert!(f.apply(Add.named("sum"), &[y, z]).is_err());
        assert!(f.apply(Dense::new(4).named("d"), &[x]).is_err());
        assert!(f.apply(Dense::new(4), &[]).is_err());
        assert!(f.apply(Input::new([4]), &[x]).is_err());
        assert!(
            f.apply_again("e", &[x])
                .unwrap_err()
                .to_string()
                .contains("\"d\"")
        );
        assert!(Functional::new().apply(Dense::new(1), &[x]).is_err());
        let sum = f.apply(Add.named("sum"), &[y, x]).unwrap();
        assert_eq!(f.model(&[x], &[sum]).unwrap().weights().len(), 2);
    }

    #[test]
    fn the_first_error_is_told_and_has_no_consequences() {
        let mut f = Functional::new();
        let x = f.input([4]);
        let stack = || layers![Dense::new(3).named("a"), Dense::new(3).activation("rely")];
        let refused = |error: Error| assert!(error.to_string().contains("rely"), "{error}");
        // Twice: nothing of the first time is in the way of the second.
        for _ in 0..2 {
            refused(f.chain(stack(), x).unwrap_err());
            refused(f.apply_stack("stack", stack(), x).unwrap_err());
        }
        let y = f.chain(layers![Dense::new(3).named("a")], x).unwrap();
        assert_eq!(f.model(&[x], &[y]).unwrap().weights().len(), 2);
        let masks = f.apply_masked(Dense::new(2), &[x], &[]).unwrap_err();
        assert!(masks.to_string().contains("1 mask"), "{masks}");
    }

    #[test]
    fn what_is_applied_to_a_copy_is_not_there_in_the_first() {
        let mut f = Functional::new();
        let x = f.input([4]);
        let mut copy = f.clone();
        let y = f.apply(Dense::new(2), &[x]).unwrap();
        let z = copy.apply(Dense::new(3), &[x]).unwrap();
        let error = |made: Result<Model>| made.unwrap_err().to_string();
        assert!(error(f.model(&[x], &[z])).contains("one of another"));
        assert!(error(copy.model(&[x], &[y])).contains("one of another"));
        assert_eq!(
            copy.model(&[x], &[z]).unwrap().output_shapes()[0].to_string(),
            "(None, 3)"
        );
        let again = copy.clone();
        assert!(again.model(&[x], &[z]).is_ok() && again.model(&[x], &[y]).is_err());
    }

    #[test]
    fn unfreezing_a_nested_base_keeps_its_statistics_frozen() {
        let stack = layers![Input::new([4]), Dense::new(4), BatchNormalization::new()];
        let base = Sequential::new(stack).unwrap();
        let mut f = Functional::new();
        let x = f.input([4]);
        let h = f.apply(base.named("base"), &[x]).unwrap();
        let y = f.apply(Concatenate::new(), &[x, h]).unwrap();
        let mut model = f.model(&[x], &[y]).unwrap();
        model.freeze("base").unwrap();
        assert_eq!(
            model.get_layer("base").unwrap().freezing(),
            Freezing::Frozen
        );
        assert_eq!(model.count_parameters().trainable, 0);
        model.unfreeze("base").unwrap();
        let norm = model.get_layer("base/batch_normalization").unwrap();
        assert_eq!(norm.freezing(), Freezing::FrozenStatistics);
        assert_eq!(model.count_parameters().trainable, 20 + 8);
    }
}
