//! Surgery in the middle of a model: other layers in the place of some, and layers in between. As all
//! surgery it gives a new model and leaves the old one as it was.

use std::collections::HashMap;

use regraft_autograd::VariableId;
use regraft_tensor::{Detail, Tensor};

use crate::contract::layer::{LayerKind, LayerSpec};
use crate::contract::weight::{Weight, WeightStore};
use crate::keras::names::join;
use crate::models::build::build_entry;
use crate::models::info::LayerKey;
use crate::models::topology::{Body, Entry, LayerCall, Topology, ValueId, ValueSpec};
use crate::{Error, LayerInfo, Model, Result};

impl Model {
    /// A new model with another layer in the place of one. It keeps the old one's name unless it has one of
    /// its own, and the values of weights that both have under one name in one shape: a layer that does
    /// more than the old one (an adapter around it, say) goes on from what that has learnt. Active adapters of
    /// the old one are computed into the values that it takes; adapters themselves it has not. Other weights
    /// are new.
    ///
    /// ```
    /// use regraft_layers::{Dense, Input, Sequential, layers};
    ///
    /// let model = Sequential::new(layers![Input::new([8]), Dense::new(4), Dense::new(2)])?;
    /// let other = model.replace_layer("dense", Dense::new(4).activation("relu"))?;
    /// assert_eq!(
    ///     other.weight("dense/kernel").map(|weight| weight.value().as_slice().to_vec()),
    ///     model.weight("dense/kernel").map(|weight| weight.value().as_slice().to_vec()),
    /// );
    /// # Ok::<(), regraft_layers::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Name`] for a layer that is not there or a name that is taken; what the new layer refuses,
    /// and what those after it refuse of its output; [`Error::Setting`] for an adapter of the old layer that
    /// no weight can hold.
    pub fn replace_layer(
        &self,
        layer: impl Into<LayerKey>,
        with: impl Into<LayerSpec>,
    ) -> Result<Model> {
        let path = self.get_layer(layer)?.path().to_string();
        self.replaced([(path, with.into())])
    }

    /// A new model with other layers in the place of all for which `map` gives one; single layers, those of
    /// nested models included. As [`replace_layer`](Self::replace_layer) otherwise.
    ///
    /// # Errors
    /// As [`replace_layer`](Self::replace_layer).
    pub fn map_layers(&self, map: impl Fn(&LayerInfo<'_>) -> Option<LayerSpec>) -> Result<Model> {
        let layers = self.flat_layers();
        let given = layers
            .iter()
            .filter_map(|layer| Some((layer.path().to_string(), map(layer)?)));
        self.replaced(given.collect::<Vec<_>>())
    }

    /// A new model in which what takes the output of a layer takes that of `inserted` instead, which takes
    /// the layer's.
    ///
    /// # Errors
    /// [`Error::Name`] for a layer that is not there or a name that is taken; [`Error::Model`] for a layer
    /// that is called several times or has several outputs; what the new layer refuses, and what those
    /// after it refuse of its output.
    pub fn insert_after(
        &self,
        layer: impl Into<LayerKey>,
        inserted: impl Into<LayerSpec>,
    ) -> Result<Model> {
        self.require_built()?;
        let path = self.get_layer(layer)?.path().to_string();
        let mut model = self.clone();
        let mut topology = std::mem::take(&mut model.topology);
        let made = model.insert_in(&mut topology, "", &path, inserted.into());
        model.topology = topology;
        made?;
        model.rebuilt()
    }

    fn replaced(&self, given: impl IntoIterator<Item = (String, LayerSpec)>) -> Result<Model> {
        self.require_built()?;
        let mut model = self.clone();
        let mut topology = std::mem::take(&mut model.topology);
        let mut learnt = Vec::new();
        for (path, spec) in given {
            learnt.extend(model.replace_in(&mut topology, "", &path, spec)?);
        }
        model.topology = topology;
        let mut model = model.rebuilt()?;
        for (path, value) in learnt {
            let mut weights = model.store.iter();
            let same = weights.find(|weight| weight.path() == path);
            let same = same.filter(|weight| weight.value().shape() == value.shape());
            if let Some(id) = same.map(Weight::id) {
                model.set_weights([(id, value)])?;
            }
        }
        Ok(model)
    }

    /// Finds anew what every layer gives, and gives new ones their weights.
    fn rebuilt(mut self) -> Result<Model> {
        let seed = self.seed;
        rebuild(&mut self.topology, "", &mut self.store, seed)?;
        self.compact();
        Ok(self)
    }

    /// Puts a layer in the place of the one at `path` and returns the values of the old one's weights, under
    /// the paths that weights of the new one have.
    fn replace_in(
        &mut self,
        topology: &mut Topology,
        prefix: &str,
        path: &str,
        mut spec: LayerSpec,
    ) -> Result<Vec<(String, Tensor)>> {
        let (position, rest) = find(topology, path)?;
        if let Some(rest) = rest {
            let prefix = join(prefix, &topology.layers[position].name);
            let nested = nested(&mut topology.layers[position])?;
            return self.replace_in(nested, &prefix, rest, spec);
        }
        let old = &topology.layers[position];
        if old.is_input() {
            let detail = Detail::new(path, "a layer that computes something", "an input");
            return Err(Error::Model(detail));
        }
        let name = spec.name.take().unwrap_or_else(|| old.name.clone());
        check_name(topology, &name, Some(position))?;
        let (stream, at) = (old.stream, join(prefix, &name));
        let new = self.entry(spec, name, &at, stream)?;
        let old = std::mem::replace(&mut topology.layers[position], new);
        let mut merged = HashMap::new();
        self.merge_layer(&old, &mut merged)
            .map_err(|detail| Error::Setting(detail.within(path)))?;
        let value = |id: &VariableId| {
            let weight = &self.store[*id];
            let value = merged.remove(id).unwrap_or_else(|| weight.value().clone());
            (join(&at, weight.name()), value)
        };
        Ok(old.own_weights().iter().map(value).collect())
    }

    fn insert_in(
        &mut self,
        topology: &mut Topology,
        prefix: &str,
        path: &str,
        mut spec: LayerSpec,
    ) -> Result<()> {
        let (position, rest) = find(topology, path)?;
        if let Some(rest) = rest {
            let prefix = join(prefix, &topology.layers[position].name);
            let nested = nested(&mut topology.layers[position])?;
            return self.insert_in(nested, &prefix, rest, spec);
        }
        let calls = topology.calls.iter().enumerate();
        let calls: Vec<usize> = calls
            .filter(|(_, call)| call.layer == position)
            .map(|(at, _)| at)
            .collect();
        let outputs = |call: usize| topology.calls[call].values.len();
        let &[call] = calls.as_slice() else {
            let received = format!("one that is called {} times", calls.len());
            let detail = Detail::new(path, "a layer that is called once", received);
            return Err(Error::Model(detail));
        };
        if outputs(call) != 1 {
            let received = format!("{} outputs", outputs(call));
            let detail = Detail::new(path, "a layer with one output", received);
            return Err(Error::Model(detail));
        }
        let class_name = match &spec.kind {
            LayerKind::Leaf(layer) => layer.class_name().to_string(),
            LayerKind::Nested(model) => model.class_name().to_string(),
        };
        let taken: Vec<&str> = topology.layers.iter().map(|it| it.name.as_str()).collect();
        let free = || {
            let base = crate::keras::names::snake_case(&class_name);
            crate::keras::names::unique_name(&base, |name| taken.contains(&name))
        };
        let name = spec.name.take().unwrap_or_else(free);
        check_name(topology, &name, None)?;
        let streams = topology.layers.iter().map(|entry| entry.stream);
        let stream = streams.max().map_or(0, |last| last + 64);
        let at = join(prefix, &name);
        let entry = self.entry(spec, name, &at, stream)?;
        topology.layers.insert(position + 1, entry);
        // Later calls and layers move on by one, and what took the layer's output takes the new one's.
        let moved = |id: &mut ValueId| {
            if id.call >= call {
                id.call += 1;
            }
        };
        for other in &mut topology.calls {
            if other.layer > position {
                other.layer += 1;
            }
            other.inputs.iter_mut().for_each(moved);
            other.masks.iter_mut().flatten().for_each(moved);
        }
        topology.outputs.iter_mut().for_each(moved);
        let inputs = topology.inputs.iter_mut();
        inputs
            .filter(|id| id.call > call)
            .for_each(|id| id.call += 1);
        let output = ValueId { call, output: 0 };
        let new = LayerCall {
            layer: position + 1,
            inputs: vec![output],
            masks: Vec::new(),
            values: Vec::new(),
        };
        topology.calls.insert(call + 1, new);
        Ok(())
    }
}

/// The position of the layer that `path` begins with, and the rest of the path.
fn find<'p>(topology: &Topology, path: &'p str) -> Result<(usize, Option<&'p str>)> {
    let (name, rest) = match path.split_once('/') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    let position = topology.layers.iter().position(|entry| entry.name == name);
    match position {
        Some(position) => Ok((position, rest)),
        None => Err(Error::Name(Detail::new(
            path,
            "a layer of the model",
            "none",
        ))),
    }
}

/// The model that an entry is.
fn nested(entry: &mut Entry) -> Result<&mut Topology> {
    match &mut entry.body {
        Body::Nested(nested) => Ok(nested),
        Body::Leaf(_) => {
            let received = format!("{:?}, which contains a layer", entry.name);
            let detail = Detail::new(&entry.name, "a model", received);
            Err(Error::Model(detail.help("replace the layer around it")))
        }
    }
}

fn check_name(topology: &Topology, name: &str, but: Option<usize>) -> Result<()> {
    let mut layers = topology.layers.iter().enumerate();
    let taken = layers.any(|(position, entry)| Some(position) != but && entry.name == name);
    if taken || name.is_empty() || name.contains('/') {
        let expected = "a layer name without `/` that no other layer has";
        return Err(Error::Name(Detail::new("", expected, format!("{name:?}"))));
    }
    Ok(())
}

/// Finds anew what every call gives, in nested models first; layers without weights get them.
fn rebuild(
    topology: &mut Topology,
    prefix: &str,
    store: &mut WeightStore,
    seed: u64,
) -> Result<()> {
    for position in 0..topology.calls.len() {
        let call = &topology.calls[position];
        let layer = call.layer;
        let given = call.inputs.iter().filter_map(|&id| topology.value(id));
        let given: Vec<ValueSpec> = given.cloned().collect();
        let entry = &mut topology.layers[layer];
        if entry.is_input() {
            continue;
        }
        let path = join(prefix, &entry.name);
        match &mut entry.body {
            Body::Nested(nested) => rebuild(nested, &path, store, seed)?,
            // It may take another shape than before, if its weights do.
            Body::Leaf(_) if !entry.input_shapes.is_empty() => {
                entry.input_shapes = given.iter().map(|value| value.shape.clone()).collect();
            }
            Body::Leaf(_) => {}
        }
        let values = build_entry(entry, &path, store, seed, &given)?;
        entry.output_shapes = values.iter().map(|value| value.shape.clone()).collect();
        topology.calls[position].values = values;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{BatchNormalization, Dropout};
    use crate::{Dense, Freezing, Functional, Input, LayerExt, Sequential, layers};

    /// A base of two layers in a model with a head.
    fn model() -> Model {
        let base = layers![
            Input::new([4]),
            Dense::new(3).named("a"),
            Dense::new(3).named("b")
        ];
        let base = Sequential::with_seed(base, 2).unwrap();
        let mut f = Functional::with_seed(1);
        let x = f.input([4]);
        let h = f.apply(base.named("base").frozen(), &[x]).unwrap();
        let y = f.apply(Dense::new(2).named("head"), &[h]).unwrap();
        f.model(&[x], &[y]).unwrap()
    }

    fn paths(model: &Model) -> Vec<String> {
        let layers = model.flat_layers();
        layers.iter().map(|it| it.path().to_string()).collect()
    }

    fn values(model: &Model, path: &str) -> Vec<f32> {
        model.weight(path).unwrap().value().as_slice().to_vec()
    }

    #[test]
    fn a_layer_gives_its_place_its_name_and_what_it_has_learnt() {
        let old = model();
        let new = old
            .replace_layer("a", Dense::new(3).activation("tanh").use_bias(false))
            .unwrap();
        assert_eq!(paths(&new), paths(&old));
        assert_eq!(values(&new, "base/a/kernel"), values(&old, "base/a/kernel"));
        assert!(new.weight("base/a/bias").is_none());
        assert_eq!(new.get_layer("a").unwrap().config()["activation"], "tanh");
        assert_eq!(new.get_layer("a").unwrap().freezing(), Freezing::Trainable);
        assert_eq!(new.get_layer("b").unwrap().freezing(), Freezing::Frozen);
        // The old model is what it was.
        assert_eq!(old.get_layer("a").unwrap().config()["activation"], "linear");
        assert_eq!(old.weights().len(), 6);
    }

    #[test]
    fn what_follows_must_take_the_new_output() {
        let error = model()
            .replace_layer("a", Dense::new(5))
            .unwrap_err()
            .to_string();
        assert!(error.contains("b/kernel"), "{error}");
        // The last layer may give another shape.
        let wider = model().replace_layer("head", Dense::new(7)).unwrap();
        assert_eq!(wider.output_shapes()[0].to_string(), "(None, 7)");
        assert!(model().replace_layer("input_layer", Dense::new(4)).is_err());
        assert!(model().replace_layer("none", Dense::new(4)).is_err());
    }

    #[test]
    fn layers_can_be_put_in_between() {
        let old = model();
        let new = old.insert_after("a", Dropout::new(0.5)).unwrap();
        assert_eq!(paths(&new), ["base/a", "base/dropout", "base/b", "head"]);
        let new = new
            .insert_after("base", BatchNormalization::new().named("norm"))
            .unwrap();
        assert_eq!(
            paths(&new),
            ["base/a", "base/dropout", "base/b", "norm", "head"]
        );
        let new = new.insert_after("head", Dense::new(5)).unwrap();
        assert_eq!(new.output_shapes()[0].to_string(), "(None, 5)");
        for path in ["base/a/kernel", "base/b/bias", "head/kernel"] {
            assert_eq!(values(&new, path), values(&old, path), "{path}");
        }
        // It is a whole model: configurations and files know it.
        let again = Model::from_config(&new.to_config(), &crate::Registry::new()).unwrap();
        assert_eq!(paths(&again), paths(&new));
        assert!(old.insert_after("a", Dense::new(3).named("b")).is_err());
    }

    #[test]
    fn many_can_be_replaced_at_once() {
        let old = model();
        let new = old
            .map_layers(|layer| {
                let dense = layer.class_name() == "Dense" && layer.path().starts_with("base/");
                dense.then(|| Dense::new(3).activation("relu").frozen())
            })
            .unwrap();
        assert_eq!(new.get_layer("a").unwrap().config()["activation"], "relu");
        assert_eq!(
            new.get_layer("head").unwrap().config()["activation"],
            "linear"
        );
        assert_eq!(values(&new, "b/kernel"), values(&old, "b/kernel"));
        assert_eq!(new.count_parameters(), old.count_parameters());
    }
}
