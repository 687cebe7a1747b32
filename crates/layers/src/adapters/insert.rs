//! Putting an adapter onto a model: all of it, or nothing.

use std::collections::HashMap;
use std::sync::Arc;

use regraft_autograd::{Origin, VariableId};
use regraft_tensor::{Detail, Tensor};

use crate::adapters::attached::Attached;
use crate::adapters::formula::output_axis;
use crate::adapters::limits::{require_rank, require_rate};
use crate::adapters::product::Product;
use crate::adapters::{AdaptedLayer, AdapterState, Form, Role, Update};
use crate::contract::weight::Weight;
use crate::keras::names::{join, near};
use crate::models::topology::Entry;
use crate::{Error, Freezing, Initializer, Model, Result, WeightAxis, WeightKind, WeightSpec};

impl Model {
    /// Puts an adapter with its values onto the model, and makes it the active one. The first adapter of a
    /// model freezes all else, as [`adapt`](Self::adapt) does.
    ///
    /// # Errors
    /// [`Error::Name`] for a name that is taken, or a layer or weight that is not there; [`Error::Shape`] for
    /// values that do not fit; [`Error::Setting`] for what an adapter cannot do to a layer; the model is
    /// unchanged then.
    pub fn insert_adapter(&mut self, name: &str, state: AdapterState) -> Result<()> {
        let mut changed = self.with_adapter(name, state)?;
        changed.activate(&[name])?;
        *self = changed;
        Ok(())
    }

    /// The model with one adapter more, which is not active.
    pub(crate) fn with_adapter(&self, name: &str, state: AdapterState) -> Result<Model> {
        self.require_unmerged("add an adapter")?;
        if name.is_empty() || name.contains(['/', '.', '*', '?']) {
            let expected = "a name of an adapter without `/`, `.`, `*` and `?`";
            return Err(Error::Name(Detail::new("", expected, format!("{name:?}"))));
        }
        if self.adapters().iter().any(|other| other == name) {
            let received = format!("{name:?}, which it has");
            let detail = Detail::new(self.name(), "a name that no adapter has", received);
            return Err(Error::Name(detail.help("`delete_adapter` removes one")));
        }
        let products = self.products()?;
        let mut model = self.same();
        if self.adapters().is_empty() {
            model.freeze(..)?;
        }
        let source = Arc::new((state.adapter, state.metadata));
        // Layers that stand in several places are one, and known by their first weight.
        let mut layers: HashMap<VariableId, (Attached, Vec<Weight>)> = HashMap::new();
        for layer in state.layers {
            let mut found = None;
            self.topology.visit("", &mut |path, entry| {
                if path == layer.path {
                    found = Some(entry);
                }
            });
            let Some(entry) = found else {
                let mut paths = Vec::new();
                self.topology.visit("", &mut |path, _| paths.push(path));
                let help = near(&layer.path, paths.iter().map(String::as_str));
                let detail = Detail::new(self.name(), "a layer of the model", &layer.path);
                return Err(Error::Name(detail.help(help)));
            };
            let Some(&first) = entry.own_weights().first() else {
                let detail = Detail::new(&layer.path, "a layer with weights", "one without");
                return Err(Error::Name(detail));
            };
            let made = model.attached(name, &source, entry, layer, &products)?;
            if layers.insert(first, made).is_some() {
                let detail = Detail::new(self.name(), "each layer once", "one twice");
                return Err(Error::Name(detail));
            }
        }
        let mut pushed: HashMap<VariableId, Vec<VariableId>> = HashMap::new();
        for (first, (_, weights)) in &mut layers {
            let ids = weights.iter().map(Weight::id).collect();
            pushed.insert(*first, ids);
            weights
                .drain(..)
                .for_each(|weight| model.store.push(weight));
        }
        model.topology.visit_mut("", &mut |_, entry| {
            let first = entry.own_weights().first().copied();
            let found = first.and_then(|first| Some((layers.get(&first)?, pushed.get(&first)?)));
            if let Some(((attached, _), ids)) = found {
                entry.weights.extend(ids);
                entry.adapters.push(attached.clone());
            }
        });
        model.compact();
        // What only the formulas tell (a layer of one's own that takes no other kernel) is found here.
        let mut active = model.same();
        active.activate(&[name])?;
        let after = active.products()?;
        for (id, product) in &products {
            let same = after.get(id).is_some_and(|it| it.output == product.output);
            if !same {
                let at = &model.store[*id].path;
                let expected = "a product that takes the number of outputs from its kernel";
                return Err(Error::Setting(Detail::new(at, expected, "another shape")));
            }
        }
        Ok(model)
    }

    /// What an adapter has on a layer, with its weights.
    fn attached(
        &self,
        name: &str,
        source: &Arc<(
            crate::adapters::Adapter,
            serde_json::Map<String, serde_json::Value>,
        )>,
        entry: &Entry,
        layer: AdaptedLayer,
        products: &HashMap<VariableId, Product>,
    ) -> Result<(Attached, Vec<Weight>)> {
        let mut weights = Vec::new();
        let mut weight = |spec: WeightSpec, value: Tensor| {
            weights.push(Weight {
                id: VariableId::unique(),
                path: join(&layer.path, &spec.name),
                spec,
                value,
                state: Origin::unique_number(),
            });
        };
        let own = |name: &str| {
            let mut ids = entry.own_weights().iter();
            ids.find(|id| self.store[**id].name() == name).copied()
        };
        let names = || -> String {
            let ids = entry.own_weights().iter();
            let names = ids.map(|id| self.store[*id].name().to_string());
            names.collect::<Vec<_>>().join(", ")
        };
        let mut parts = Vec::new();
        for update in layer.updates {
            let id = own(&update.weight);
            let product = id.and_then(|id| products.get(&id));
            let Some(product) = product else {
                let expected = "a layer that multiplies the weight (`Call::product`)";
                let at = join(&layer.path, &update.weight);
                let received = match id {
                    Some(_) => "one that does something else with it".to_string(),
                    None => format!("one with {}", names()),
                };
                return Err(Error::Setting(Detail::new(at, expected, received)));
            };
            let has_other_bias = || {
                let ids = entry.own_weights().iter().map(|id| &self.store[*id].spec);
                let mut biases = ids.filter(|spec| spec.name == "bias");
                biases.any(|spec| !crate::adapters::formula::is_bias(spec))
            };
            update
                .check(product, has_other_bias())
                .map_err(|error| error.within(&join(&layer.path, &update.weight)))?;
            for (role, value) in update.values {
                let fixed =
                    matches!(update.form, Form::Vera { .. }) && matches!(role, Role::A | Role::B);
                let spec = WeightSpec {
                    name: update.form.name(name, &update.weight, role),
                    shape: value.shape().to_vec(),
                    kind: match fixed {
                        true => WeightKind::State,
                        false => WeightKind::Parameter,
                    },
                    initializer: Initializer::zeros(),
                    regularizer: None,
                    constraint: None,
                    fixed,
                    axes: None,
                };
                weight(spec, value);
            }
            parts.push((update.weight, update.form));
        }
        let mut replaced = Vec::new();
        for (own_name, value) in layer.replaced {
            let Some(id) = own(&own_name) else {
                let at = join(&layer.path, &own_name);
                return Err(Error::Name(Detail::new(
                    at,
                    "a weight of the layer",
                    names(),
                )));
            };
            let spec = &self.store[id].spec;
            if spec.shape != value.shape() {
                let at = join(&layer.path, &own_name);
                let expected = format!("shape {:?}", spec.shape);
                let received = format!("{:?}", value.shape());
                return Err(Error::Shape(Detail::new(at, expected, received)));
            }
            let spec = WeightSpec {
                name: format!("{name}/{own_name}"),
                ..spec.clone()
            };
            weight(spec, value);
            replaced.push(own_name);
        }
        let mut names: Vec<&str> = weights.iter().map(Weight::name).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let at = join(&layer.path, pair[0]);
            return Err(Error::Name(Detail::new(
                at,
                "each weight once",
                "one twice",
            )));
        }
        let attached = Attached {
            name: name.to_string(),
            source: source.clone(),
            active: false,
            parts,
            replaced,
            whole: layer.whole.then_some(Freezing::Trainable),
            count: weights.len(),
        };
        Ok((attached, weights))
    }
}

impl Update {
    /// An error unless it fits the product. `other_bias`: whether the layer has a bias that is not one number
    /// for each output.
    fn check(&self, product: &Product, other_bias: bool) -> Result<()> {
        let kernel = &product.kernel;
        let axis = output_axis(kernel);
        let (inputs, outputs) = product.features();
        let groups = product.groups();
        let setting =
            |expected: &str, received: String| Error::Setting(Detail::new("", expected, received));
        let shape = |role: Role| -> Result<&[usize]> {
            self.value(role)
                .map(Tensor::shape)
                .ok_or_else(|| setting(&format!("{role:?}"), "an adapter without it".to_string()))
        };
        let exactly = |role: Role, wanted: &[usize]| match shape(role)? {
            found if found == wanted => Ok(()),
            found => {
                let expected = format!("{role:?} of shape {wanted:?}");
                Err(Error::Shape(Detail::new(
                    "",
                    expected,
                    format!("{found:?}"),
                )))
            }
        };
        let outputs_fit = || match kernel.shape.get(axis) == Some(&outputs) {
            true => Ok(()),
            false => {
                let received = format!("{:?} for {outputs} outputs", kernel.shape);
                let expected = "a kernel whose last axis is that of the output";
                Err(setting(expected, received))
            }
        };
        let looked_up = kernel
            .axes
            .iter()
            .flatten()
            .any(|it| *it == WeightAxis::Entry);
        if let Form::LowRank { alpha, .. } = self.form
            && !alpha.is_finite()
        {
            return Err(setting("a finite alpha", alpha.to_string()));
        }
        if let Form::LowRank { dropout, .. } | Form::Vera { dropout } = self.form {
            require_rate(dropout)?;
        }
        if let (Form::Vera { .. }, false) = (self.form, product.is_dense()) {
            let received = format!("a kernel of shape {:?}", kernel.shape);
            return Err(setting("a dense layer for VeRA", received));
        }
        match self.form {
            Form::LowRank { .. } | Form::Vera { .. } => {
                if product.is_depthwise() {
                    let received = "one that treats each channel alone".to_string();
                    return Err(setting("a product that mixes channels", received));
                }
                outputs_fit()?;
                let a = shape(Role::A)?;
                let rank = a.get(axis).copied().unwrap_or(0);
                require_rank(rank, groups)?;
                let mut wanted = kernel.shape.clone();
                wanted[axis] = rank;
                let mut whole = wanted.clone();
                if let Some(input) = product.input_axis() {
                    whole[input] = inputs;
                }
                if a != whole {
                    exactly(Role::A, &wanted)?;
                }
                exactly(Role::B, &[rank / groups, outputs])?;
            }
            Form::ChannelScale | Form::OutputScale => {
                if self.form == Form::OutputScale && other_bias {
                    let received = "another, which cannot be scaled with the output".to_string();
                    return Err(setting("a bias of one number for each output", received));
                }
                if !product.is_depthwise() {
                    outputs_fit()?;
                }
                exactly(Role::Scale, &[outputs])?;
            }
            Form::InputScale => {
                if product.input_axis().is_none() && !product.is_depthwise() {
                    let received = format!("a kernel of shape {:?} alone", kernel.shape);
                    let expected = "a layer that says which axis of its kernel is summed over";
                    return Err(setting(expected, received));
                }
                exactly(Role::Scale, &[inputs])?;
            }
        }
        if let Form::Vera { .. } = self.form {
            exactly(Role::LambdaD, &[shape(Role::A)?[axis]])?;
            exactly(Role::LambdaB, &[outputs])?;
        }
        for role in [Role::Bias, Role::Magnitude] {
            if self.value(role).is_some() {
                exactly(role, &[outputs])?;
            }
        }
        if looked_up && self.value(Role::Bias).is_some() {
            let expected = "an embedding without a bias behind B";
            return Err(setting(expected, "one with it".to_string()));
        }
        if self.value(Role::Magnitude).is_some() {
            let with_bias = self.value(Role::Bias).is_some();
            if groups > 1 || looked_up || with_bias {
                let received = match (groups > 1, looked_up) {
                    (true, _) => "groups",
                    (_, true) => "an embedding",
                    _ => "a bias behind B",
                };
                let expected = "a DoRA without groups, embeddings and biases behind B";
                return Err(setting(expected, received.to_string()));
            }
        }
        Ok(())
    }
}
