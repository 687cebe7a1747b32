//! Surgery: a new model out of an old one, ending elsewhere or with another head. Layers keep their
//! names, paths, weights and freezing states, and nothing that is done to the new model changes the
//! old one.

use regraft_tensor::Detail;

use crate::contract::layer::LayerSpec;
use crate::keras::names::near;
use crate::models::functional::Order;
use crate::models::info::LayerKey;
use crate::models::structure::Structure;
use crate::models::topology::{Body, Container, Topology, ValueId};
use crate::{Error, LayerInfo, Model, Result};

impl Model {
    /// A new model that ends at the output of a layer, with the layers on the way there: the
    /// backbone of a classifier, say.
    ///
    /// A layer of a nested model is named by its path (`"mobilenetv2_1.00_224/out_relu"`); the nested model
    /// is cut there and stays a layer of the new model, so that paths are what they were. Inputs
    /// that the layer does not depend on are dropped.
    ///
    /// ```
    /// use regraft_layers::{Dense, Input, LayerExt, Sequential, layers};
    ///
    /// let model = Sequential::new(layers![
    ///     Input::new([8]),
    ///     Dense::new(4).named("features"),
    ///     Dense::new(10),
    /// ])?;
    /// let backbone = model.cut_at("features")?;
    /// assert_eq!(backbone.output_shapes()[0].to_string(), "(None, 4)");
    /// # Ok::<(), regraft_layers::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Name`] if there is no such layer, with the nearest names; [`Error::Model`] if the
    /// model is not built, or if the layer is called more than once, so that it has no single output.
    pub fn cut_at(&self, layer: impl Into<LayerKey>) -> Result<Model> {
        self.features([layer])
    }

    /// A new model that ends where the layer begins: its outputs are what the layer takes. As
    /// [`cut_at`](Self::cut_at) otherwise.
    ///
    /// ```
    /// use regraft_layers::{Dense, Input, LayerExt, Sequential, layers};
    ///
    /// let layers = layers![Input::new([8]), Dense::new(4), Dense::new(10).named("head")];
    /// let backbone = Sequential::new(layers)?.cut_before("head")?;
    /// assert_eq!(backbone.output_shapes()[0].to_string(), "(None, 4)");
    /// # Ok::<(), regraft_layers::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`cut_at`](Self::cut_at).
    pub fn cut_before(&self, layer: impl Into<LayerKey>) -> Result<Model> {
        self.require_built()?;
        let mut model = self.clone();
        let outputs = model.reveal(self.get_layer(layer)?.path(), Topology::inputs_of)?;
        model.end_at(&outputs);
        Ok(model)
    }

    /// A new model whose outputs are those of several layers, in this order; as
    /// [`cut_at`](Self::cut_at) otherwise. All are computed in one pass.
    ///
    /// # Errors
    /// As [`cut_at`](Self::cut_at), and [`Error::Model`] if no layer is named.
    pub fn features<K: Into<LayerKey>>(
        &self,
        layers: impl IntoIterator<Item = K>,
    ) -> Result<Model> {
        self.require_built()?;
        let mut model = self.clone();
        let mut outputs = Vec::new();
        for layer in layers {
            let layer = self.get_layer(layer)?;
            // Of a nested model those that it had; what was revealed of it comes after them.
            let count = layer.output_shapes().len();
            let found = model.reveal(layer.path(), Topology::outputs_of)?;
            outputs.extend(found.into_iter().take(count));
        }
        if outputs.is_empty() {
            let detail = Detail::new(&self.name, "the name of at least 1 layer", "none");
            return Err(Error::Model(detail));
        }
        model.end_at(&outputs);
        Ok(model)
    }

    /// A new model: this one up to the output of the layer `after`, and then `head`, with new
    /// weights. `after` is a name or path, or a position: `-2` replaces the last layer.
    ///
    /// ```
    /// use regraft_layers::{Dense, Input, LayerExt, Sequential, layers};
    ///
    /// let mut model = Sequential::new(layers![
    ///     Input::new([8]),
    ///     Dense::new(4).named("features"),
    ///     Dense::new(1000).named("predictions"),
    /// ])?;
    /// model.freeze(..)?;
    /// let grafted = model.replace_head("features", layers![Dense::new(3).named("animals")])?;
    /// assert_eq!(grafted.select(..)?, ["features", "animals"]);
    /// assert_eq!(grafted.count_parameters().trainable, 15);
    /// # Ok::<(), regraft_layers::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`cut_at`](Self::cut_at), and what the layers of the head refuse.
    pub fn replace_head(&self, after: impl Into<LayerKey>, head: Vec<LayerSpec>) -> Result<Model> {
        self.cut_at(after)?.with_head(head)
    }

    /// A new model: this one, and `head` on top of its output, with new weights. If there are several
    /// outputs, the first layer of the head takes them all (`Concatenate`, say).
    ///
    /// # Errors
    /// What the layers of the head refuse.
    pub fn with_head(&self, head: Vec<LayerSpec>) -> Result<Model> {
        self.require_built()?;
        let mut model = self.clone();
        for layer in head {
            let position = model.insert(layer)?;
            let entry = &model.topology.layers[position];
            if entry.is_input() {
                let detail = Detail::new(&entry.name, "layers on top of the model", "an input");
                return Err(Error::Model(detail.within(&self.name)));
            }
            model.append_call(position)?;
        }
        let outputs = model.topology.outputs.clone();
        model.end_at(&outputs);
        Ok(model)
    }

    /// Every single layer in order with its path, those of nested models included.
    pub fn flat_layers(&self) -> Vec<LayerInfo<'_>> {
        let mut layers = Vec::new();
        self.topology.visit("", &mut |path, entry| {
            if matches!(entry.body, Body::Leaf(_)) && !entry.is_input() {
                layers.push(LayerInfo::new(path, entry, &self.store));
            }
        });
        layers
    }

    /// See [`reveal`].
    fn reveal(&mut self, path: &str, side: Side) -> Result<Vec<ValueId>> {
        let parts: Vec<&str> = path.split('/').collect();
        let found = reveal(&mut self.topology, &parts, side);
        found.map_err(|detail| Error::Model(detail.within(&self.name)))
    }

    /// Makes these values the outputs and drops what they do not need.
    fn end_at(&mut self, outputs: &[ValueId]) {
        self.topology = ending_at(&self.topology, outputs, true);
        // It is a model of its own, so what froze the old one as a whole does not hold for it.
        self.topology.reveal();
        self.topology.frozen &= !self.topology.trains();
        self.compact();
    }
}

/// Values of a call: what it takes, or what it gives.
type Side = fn(&Topology, usize) -> Vec<ValueId>;

/// What the layer at `path` takes or gives, as values of `topology`; nested models on the way get what is
/// within them as further outputs.
fn reveal(topology: &mut Topology, path: &[&str], side: Side) -> Result<Vec<ValueId>, Detail> {
    let Some((&name, inner)) = path.split_first() else {
        return Ok(Vec::new());
    };
    let Some(layer) = topology.layers.iter().position(|entry| entry.name == name) else {
        let names = topology.layers.iter().map(|entry| entry.name.as_str());
        let help = near(name, names);
        return Err(Detail::new("", "the name of a layer", format!("{name:?}")).help(help));
    };
    let calls = topology.calls.iter().enumerate();
    let calls: Vec<usize> = calls
        .filter(|(_, call)| call.layer == layer)
        .map(|(position, _)| position)
        .collect();
    let &[call] = calls.as_slice() else {
        let received = format!("one that is called {} times", calls.len());
        let detail = Detail::new(name, "a layer that is called once", received);
        return Err(detail.help("cut at a layer that takes its outputs"));
    };
    let entry = &mut topology.layers[layer];
    if let (Body::Leaf(_), Some(inner)) = (&entry.body, inner.first()) {
        let received = format!("{inner:?} within {name:?}");
        let detail = Detail::new("", "a layer that has one output", received);
        return Err(detail.help("a wrapper calls its layer as it likes: cut at the wrapper"));
    }
    let (Body::Nested(nested), false) = (&mut entry.body, inner.is_empty()) else {
        return Ok(side(topology, call));
    };
    let mut values = Vec::new();
    for value in reveal(nested, inner, side).map_err(|detail| detail.within(name))? {
        if let Some(input) = nested.inputs.iter().position(|input| *input == value) {
            values.push(topology.calls[call].inputs[input]);
            continue;
        }
        let known = nested.outputs.iter().position(|output| *output == value);
        let output = known.unwrap_or(nested.outputs.len());
        if let (None, Some(spec)) = (known, nested.value(value).cloned()) {
            nested.outputs.push(value);
            nested.output_structure = None;
            entry.output_shapes.push(spec.shape.clone());
            topology.calls[call].values.push(spec);
        }
        values.push(ValueId { call, output });
    }
    Ok(values)
}

/// The part of `topology` that these outputs need, in nested models too. The inputs of nested models
/// stay all; unused ones of the whole are dropped.
fn ending_at(topology: &Topology, outputs: &[ValueId], drop_inputs: bool) -> Topology {
    let mut inputs = topology.inputs.clone();
    if drop_inputs {
        let needed = Order::of(topology, &[], outputs).calls;
        inputs.retain(|input| needed.contains(&input.call));
    }
    let order = Order::of(topology, &inputs, outputs);
    let mut ended = order.apply(topology, &inputs, outputs);
    ended.input_structure = left(&topology.input_structure, &topology.inputs, &inputs);
    ended.output_structure = left(&topology.output_structure, &topology.outputs, outputs);
    if ended.is_stack() && !ended.is_chain() {
        ended.container = Container::Functional;
    }
    for layer in 0..ended.layers.len() {
        if let Body::Nested(_) = ended.layers[layer].body {
            drop_unused_outputs(&mut ended, layer);
        }
    }
    ended
}

/// How `values` are arranged, which are some of `all`; as a list if they are in another order, or others.
fn left(structure: &Option<Structure>, all: &[ValueId], values: &[ValueId]) -> Option<Structure> {
    let kept = || all.iter().map(|value| values.contains(value));
    let in_order = all.iter().filter(|value| values.contains(value)).eq(values);
    let structure = structure.as_ref().filter(|_| in_order)?;
    structure.keep(&mut kept())
}

/// Ends the nested model at position `layer` where its outputs are used.
fn drop_unused_outputs(topology: &mut Topology, layer: usize) {
    let Body::Nested(nested) = &topology.layers[layer].body else {
        return;
    };
    let consumed = topology.calls.iter().flat_map(|call| call.operands());
    let mut used: Vec<usize> = consumed
        .chain(&topology.outputs)
        .filter(|value| topology.calls[value.call].layer == layer)
        .map(|value| value.output)
        .collect();
    used.sort_unstable();
    used.dedup();
    let outputs: Vec<ValueId> = used.iter().map(|&output| nested.outputs[output]).collect();
    let ended = ending_at(nested, &outputs, false);
    let entry = &mut topology.layers[layer];
    entry.output_shapes = used
        .iter()
        .filter_map(|&output| entry.output_shapes.get(output).cloned())
        .collect();
    entry.body = Body::Nested(Box::new(ended));
    let of_layer: Vec<bool> = topology.calls.iter().map(|c| c.layer == layer).collect();
    let renumber = |value: &mut ValueId| {
        if of_layer[value.call] {
            value.output = used.binary_search(&value.output).unwrap_or(value.output);
        }
    };
    for call in &mut topology.calls {
        call.operands_mut().for_each(renumber);
        if call.layer == layer {
            call.values = used
                .iter()
                .filter_map(|&output| call.values.get(output).cloned())
                .collect();
        }
    }
    topology.outputs.iter_mut().for_each(renumber);
}

impl Topology {
    /// Whether each layer is called once, on all outputs of the one before, and the last gives the
    /// outputs of the whole.
    fn is_chain(&self) -> bool {
        let whole = |position: usize| self.outputs_of(position);
        let follows = |(position, call): (usize, &crate::models::topology::LayerCall)| {
            call.layer == position
                && call.masks.is_empty()
                && match position.checked_sub(1) {
                    None => call.inputs.is_empty(),
                    Some(before) => call.inputs == whole(before),
                }
        };
        self.calls.iter().enumerate().all(follows)
            && self.calls.len().checked_sub(1).map(whole) == Some(self.outputs.clone())
    }
}

#[cfg(test)]
mod tests {
    use regraft_tensor::Tensor;

    use super::*;
    use crate::layers::{Add, BatchNormalization, Concatenate};
    use crate::{Dense, Freezing, Functional, Input, LayerExt, Registry, Sequential, layers};

    /// A base of two branches in a functional model with a head.
    fn model() -> Model {
        let mut f = Functional::with_seed(3);
        let x = f.input([4]);
        let stem = f.apply(Dense::new(4).named("stem"), &[x]).unwrap();
        let left = f.apply(Dense::new(3).named("left"), &[stem]).unwrap();
        let left = f
            .apply(BatchNormalization::new().named("bn"), &[left])
            .unwrap();
        let right = f.apply(Dense::new(3).named("right"), &[stem]).unwrap();
        let sum = f.apply(Add.named("sum"), &[left, right]).unwrap();
        f.set_name("base");
        let base = f.model(&[x], &[sum]).unwrap();
        let mut f = Functional::with_seed(4);
        let x = f.input([4]);
        let h = f.apply(base.named("base").frozen(), &[x]).unwrap();
        let y = f.apply(Dense::new(2).named("head"), &[h]).unwrap();
        f.model(&[x], &[y]).unwrap()
    }

    fn paths(model: &Model) -> Vec<String> {
        let layers = model.flat_layers();
        layers
            .iter()
            .map(|layer| layer.path().to_string())
            .collect()
    }

    /// The outputs of a model for one sample.
    fn run(model: &Model) -> Vec<Vec<f32>> {
        let graph = regraft_autograd::Graph::new();
        let x = graph.constant(Tensor::new([1, 4], vec![0.3, -1.0, 0.7, 2.0]).unwrap());
        let (outputs, _) = model.emit(&graph, &[x], crate::Mode::Inference).unwrap();
        let nodes = graph.nodes_for(&outputs);
        let mut program = regraft_autograd::Program::from_nodes(nodes).workspace();
        let run = regraft_autograd::Run::default();
        program.run(1, &[], model.weights(), run).unwrap();
        (0..outputs.len())
            .map(|output| program.output(output).to_vec())
            .collect()
    }

    #[test]
    fn a_model_is_cut_within_a_nested_model() {
        let model = model();
        let cut = model.cut_at("base/bn").unwrap();
        assert_eq!(paths(&cut), ["base/stem", "base/left", "base/bn"]);
        assert_eq!(cut.output_shapes()[0].to_string(), "(None, 3)");
        assert_eq!(
            cut.weight("base/left/kernel").unwrap().value(),
            model.weight("base/left/kernel").unwrap().value()
        );
        assert_eq!(
            cut.get_layer("base/bn").unwrap().freezing(),
            Freezing::Frozen
        );
        assert_eq!(paths(&model.cut_at("base").unwrap()).len(), 5);
        assert_eq!(
            run(&model.cut_at("head").unwrap()),
            run(&model),
            "the whole"
        );
    }

    #[test]
    fn features_are_the_values_on_the_way_to_the_output() {
        let model = model();
        let names = ["head", "base/right", "base/sum", "base/bn"];
        let features = model.features(names).unwrap();
        let values = run(&features);
        assert_eq!(values[0], run(&model)[0]);
        for (name, value) in names.iter().zip(&values) {
            assert_eq!(*value, run(&model.cut_at(*name).unwrap())[0], "{name}");
        }
        let sum: Vec<f32> = values[1]
            .iter()
            .zip(&values[3])
            .map(|(a, b)| a + b)
            .collect();
        assert_eq!(values[2], sum);
        let whole = model
            .features(["base/bn", "base", "head", "base/sum"])
            .unwrap();
        let whole = run(&whole);
        assert_eq!(
            whole,
            [3, 2, 0, 2].map(|index: usize| values[index].clone())
        );
        // Nested models of several outputs go through their configuration and back.
        let config = features.to_config();
        let read = Model::from_config(&config, &Registry::new()).unwrap();
        assert_eq!(read.output_shapes(), features.output_shapes());
        assert_eq!(read.to_config(), config);
        let text = features.summary().to_string();
        assert!(text.contains("[(None, 3),"), "{text}");
    }

    #[test]
    fn a_new_head_leaves_the_old_model_as_it_was() {
        let model = model();
        let before = run(&model);
        let head = || layers![Dense::new(5).activation("relu"), Dense::new(7)];
        let mut grafted = model.replace_head("base/right", head()).unwrap();
        assert_eq!(
            paths(&grafted),
            ["base/stem", "base/right", "dense", "dense_1"]
        );
        assert_eq!(
            grafted.count_parameters().trainable,
            3 * 5 + 5 + 5 * 7 + 7,
            "the base stays frozen"
        );
        grafted
            .set_weight("base/stem/bias", Tensor::full([4], 9.0))
            .unwrap();
        assert_eq!(run(&model), before);
        assert_eq!(
            paths(&model.replace_head(-2, head()).unwrap())[5..],
            ["dense", "dense_1"]
        );
        let joined = model.features(["base/left", "base/right"]).unwrap();
        let joined = joined.with_head(layers![Concatenate::new(), Dense::new(1)]);
        assert_eq!(joined.unwrap().output_shapes()[0].to_string(), "(None, 1)");
    }

    #[test]
    fn a_stack_stays_a_stack() {
        let stack = layers![
            Input::new([4]),
            Dense::new(3).named("a"),
            Dense::new(2).named("b"),
            Dense::new(2).named("c")
        ];
        let model = Sequential::new(stack).unwrap();
        let grafted = model
            .replace_head("a", layers![Dense::new(2).named("c")])
            .unwrap();
        assert_eq!(grafted.class_name(), "Sequential");
        assert_eq!(paths(&grafted), ["a", "c"]);
        let both = model.features(["a", "c"]).unwrap();
        assert_eq!(both.class_name(), "Functional");
        assert_eq!(run(&both)[1], run(&model)[0]);
    }

    #[test]
    fn what_is_not_there_is_said_with_near_names() {
        let model = model();
        let error = model.cut_at("base/bm").unwrap_err().to_string();
        assert!(error.contains("\"base/bn\""), "{error}");
        assert!(model.features(Vec::<&str>::new()).is_err());
        let error = model.with_head(layers![Input::new([3])]).unwrap_err();
        assert!(error.to_string().contains("an input"), "{error}");
        let mut f = Functional::new();
        let x = f.input([4]);
        let once = f.apply(Dense::new(4).named("twice"), &[x]).unwrap();
        let y = f.apply_again("twice", &[once]).unwrap();
        let error = f.model(&[x], &[y]).unwrap().cut_at("twice").unwrap_err();
        assert!(error.to_string().contains("called 2 times"), "{error}");
    }
}
