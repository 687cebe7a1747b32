//! Adapters computed into the weights of their layers, and out of these again.

use std::collections::{HashMap, HashSet};

use regraft_autograd::VariableId;
use regraft_tensor::{Detail, Tensor};

use crate::adapters::attached::Attached;
use crate::adapters::formula::{around, is_bias, output_axis};
use crate::adapters::{Form, Role};
use crate::keras::names::join;
use crate::models::shared::Met;
use crate::models::topology::Entry;
use crate::{Error, Model, Result, WeightAxis, WeightSpec};

impl Model {
    /// Whether adapters are merged into the weights.
    pub fn is_merged(&self) -> bool {
        let mut merged = false;
        self.topology
            .visit("", &mut |_, entry| merged |= entry.merged.is_some());
        merged
    }

    /// The weights that adapters are merged into.
    pub(crate) fn merged_weights(&self) -> HashSet<VariableId> {
        let mut found = HashSet::new();
        self.topology.visit("", &mut |_, entry| {
            let Some(merged) = &entry.merged else {
                return;
            };
            let own = entry.own_weights().iter().copied();
            let is_in = |id: &VariableId| merged.iter().any(|(it, _)| it == self.store[*id].name());
            found.extend(own.filter(is_in));
        });
        found
    }

    /// Computes the active adapters into the weights of their layers, so that the model costs what its base
    /// does. The weights' old bytes are kept, and [`unmerge_adapter`](Self::unmerge_adapter) puts them back.
    /// Merged weights are not trained.
    ///
    /// # Errors
    /// [`Error::Model`] if no adapter is active or one is merged; [`Error::Setting`] for what no weight of the
    /// layer can hold: factors over all channels beside a kernel of groups, as PEFT has them, or a bias behind
    /// B where the layer has none. The model is unchanged then.
    pub fn merge_adapter(&mut self) -> Result<()> {
        self.require_unmerged("merge them")?;
        if self.active_adapters().is_empty() {
            let detail = Detail::new(self.name(), "an active adapter", "none");
            return Err(Error::Model(detail.help("`set_adapter` makes one active")));
        }
        let values = self.merged_values()?;
        let store = &mut self.store;
        self.topology.visit_mut("", &mut |_, entry| {
            if entry.active().next().is_none() {
                return;
            }
            let own = entry.own_weights().iter();
            let changed = own.filter(|id| values.contains_key(id));
            let before = changed.map(|id| {
                let weight = &store[*id];
                (weight.name().to_string(), weight.value.clone())
            });
            entry.merged = Some(before.collect());
        });
        for (id, value) in values {
            let weight = store.get_mut(id).expect("a weight of the model");
            weight.value = value;
        }
        self.revision.renew();
        Ok(())
    }

    /// Puts the bytes back that weights had before [`merge_adapter`](Self::merge_adapter).
    ///
    /// # Errors
    /// [`Error::Model`] if none is merged.
    pub fn unmerge_adapter(&mut self) -> Result<()> {
        if !self.is_merged() {
            let detail = Detail::new(self.name(), "merged adapters", "none");
            return Err(Error::Model(detail));
        }
        let store = &mut self.store;
        self.topology.visit_mut("", &mut |_, entry| {
            for (name, value) in entry.merged.take().into_iter().flatten() {
                let mut own = entry.own_weights().iter();
                let id = own.find(|id| store[**id].name() == name);
                let weight = id.and_then(|id| store.get_mut(*id));
                weight.expect("it was there when it was merged").value = value;
            }
        });
        self.revision.renew();
        Ok(())
    }

    /// [`merge_adapter`](Self::merge_adapter), after which the model has no adapters any more.
    ///
    /// # Errors
    /// As that.
    pub fn merge_and_unload(&mut self) -> Result<()> {
        if !self.is_merged() {
            self.merge_adapter()?;
        }
        self.topology
            .visit_mut("", &mut |_, entry| entry.merged = None);
        for name in self.adapters() {
            self.delete_adapter(&name)?;
        }
        Ok(())
    }

    /// The values that the layers' own weights have with the active adapters computed into them, of those
    /// that change: what files of models hold.
    ///
    /// # Errors
    /// [`Error::Setting`] as [`merge_adapter`](Self::merge_adapter).
    pub fn merged_values(&self) -> Result<HashMap<VariableId, Tensor>> {
        let mut values = HashMap::new();
        let mut failed = None;
        let mut met = Met::default();
        self.topology.visit("", &mut |path, entry| {
            // A layer that stands in several places is one.
            if met.again(entry) {
                return;
            }
            if let Err(detail) = self.merge_layer(entry, &mut values) {
                failed.get_or_insert(Error::Setting(detail.within(&path)));
            }
        });
        failed.map_or(Ok(values), Err)
    }

    /// Puts the values of one layer's own weights that change into `values`.
    pub(crate) fn merge_layer(
        &self,
        entry: &Entry,
        values: &mut HashMap<VariableId, Tensor>,
    ) -> Result<(), Detail> {
        let weight = |name: &str| {
            let mut all = entry.weights.iter().map(|id| &self.store[*id]);
            all.find(|it| it.name() == name)
        };
        for adapter in entry.active() {
            for own in &adapter.replaced {
                let copy = weight(&format!("{}/{own}", adapter.name));
                if let (Some(own), Some(copy)) = (weight(own), copy) {
                    values.insert(own.id, copy.value.clone());
                }
            }
        }
        let parts = || {
            entry
                .active()
                .flat_map(|it| it.parts.iter().map(move |part| (it, part)))
        };
        let mut kernels: Vec<&String> = parts().map(|(_, (kernel, _))| kernel).collect();
        kernels.sort();
        kernels.dedup();
        let groups = |spec: &WeightSpec| {
            // What goes into the kernel says it; a factor over all channels has more.
            spec.axes.as_deref().and_then(|axes| {
                let axis = axes.iter().position(|axis| *axis == WeightAxis::Input)?;
                Some((axis, spec.shape[axis]))
            })
        };
        for name in kernels {
            let own = weight(name).expect("checked when the adapter was attached");
            let base = values.remove(&own.id).unwrap_or_else(|| own.value.clone());
            let axis = output_axis(&own.spec);
            let value = |adapter: &Attached, form: Form, role: Role| {
                weight(&form.name(&adapter.name, name, role)).map(|it| &it.value)
            };
            let of_kernel = || parts().filter(|(_, (kernel, _))| kernel == name);
            let mut merged = base.clone();
            let mut shift: Option<Vec<f32>> = None;
            for (adapter, (_, form)) in of_kernel() {
                let value = |role| value(adapter, *form, role);
                let (Some(a), Some(b)) = (value(Role::A), value(Role::B)) else {
                    continue;
                };
                let mut outer = own.spec.shape.clone();
                outer[axis] = a.shape()[axis];
                if a.shape() != outer {
                    let expected = "factors that have the kernel's groups";
                    let received = format!("{:?} beside {:?}", a.shape(), own.spec.shape);
                    let help =
                        "PEFT's factors see all channels, which a kernel of groups cannot hold";
                    return Err(Detail::new(name, expected, received).help(help));
                }
                let strength = form.strength(a.shape()[axis]);
                let inner = value(Role::LambdaD).map(Tensor::as_slice);
                let behind = value(Role::LambdaB).map(Tensor::as_slice);
                let update = low_rank(a, axis, b, strength, inner, behind);
                let length = value(Role::Magnitude);
                add(&mut merged, &base, axis, &update, length);
                if let Some(bias) = value(Role::Bias) {
                    let shift = shift.get_or_insert_with(|| vec![0.0; bias.len()]);
                    for (sum, value) in shift.iter_mut().zip(bias.as_slice()) {
                        *sum += strength * value;
                    }
                }
            }
            let mut scale_bias: Vec<&Tensor> = Vec::new();
            for (adapter, (_, form)) in of_kernel() {
                let Some(scale) = value(adapter, *form, Role::Scale) else {
                    continue;
                };
                match form {
                    Form::InputScale => {
                        scale_inputs(&mut merged, &own.spec, groups(&own.spec), scale)
                    }
                    _ => scale_outputs(&mut merged, &own.spec, axis, scale),
                }
                if *form == Form::OutputScale {
                    scale_bias.push(scale);
                }
            }
            values.insert(own.id, merged);
            if shift.is_none() && scale_bias.is_empty() {
                continue;
            }
            let all = entry.own_weights().iter().map(|id| &self.store[*id]);
            let bias = all.clone().find(|it| is_bias(&it.spec));
            match bias {
                Some(bias) => {
                    let mut sum = values
                        .remove(&bias.id)
                        .unwrap_or_else(|| bias.value.clone());
                    for (at, value) in sum.as_mut_slice().iter_mut().enumerate() {
                        *value += shift.as_ref().map_or(0.0, |shift| shift[at]);
                        scale_bias
                            .iter()
                            .for_each(|scale| *value *= scale.as_slice()[at]);
                    }
                    values.insert(bias.id, sum);
                }
                None if shift.is_some() => {
                    let at = join(name, "bias");
                    let expected = "a layer with a bias, to hold that behind B";
                    return Err(Detail::new(at, expected, "one without"));
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// `strength · A · B` with the kernel's axes, with groups that B has; VeRA's factors are in front of B and
/// behind it.
fn low_rank(
    a: &Tensor,
    axis: usize,
    b: &Tensor,
    strength: f32,
    before: Option<&[f32]>,
    behind: Option<&[f32]>,
) -> Vec<f32> {
    let [outer, rank, inner] = around(a.shape(), axis);
    let (of_group, outputs) = (b.shape()[0], b.shape()[1]);
    let per_group = outputs / (rank / of_group).max(1);
    let (a, b) = (a.as_slice(), b.as_slice());
    let mut update = vec![0.0; outer * outputs * inner];
    for row in 0..outer {
        for output in 0..outputs {
            let first = output / per_group.max(1) * of_group;
            for column in 0..inner {
                let mut sum = 0.0_f32;
                for index in 0..of_group {
                    let at = first + index;
                    let factor = before.map_or(1.0, |before| before[at]);
                    sum += a[(row * rank + at) * inner + column]
                        * factor
                        * b[index * outputs + output];
                }
                let factor = behind.map_or(1.0, |behind| behind[output]);
                update[(row * outputs + output) * inner + column] = strength * sum * factor;
            }
        }
    }
    update
}

/// Adds to `merged` what an update of `base` is; with `length` that of a DoRA.
fn add(merged: &mut Tensor, base: &Tensor, axis: usize, update: &[f32], length: Option<&Tensor>) {
    let Some(length) = length else {
        let values = merged.as_mut_slice().iter_mut();
        values
            .zip(update)
            .for_each(|(value, update)| *value += update);
        return;
    };
    let sum = base
        .as_slice()
        .iter()
        .zip(update)
        .map(|(w, update)| w + update);
    let sum = Tensor::new(base.shape(), sum.collect()).expect("as many as before");
    let now = super::adapt::lengths(&sum, axis);
    let [_, outputs, inner] = around(base.shape(), axis);
    let (length, now) = (length.as_slice(), now.as_slice());
    for (at, value) in merged.as_mut_slice().iter_mut().enumerate() {
        let output = at / inner % outputs;
        let factor = length[output] / now[output];
        *value += (factor - 1.0) * base.as_slice()[at] + factor * update[at];
    }
}

fn scale_outputs(kernel: &mut Tensor, spec: &WeightSpec, axis: usize, scale: &Tensor) {
    let scale = scale.as_slice();
    let axes = spec.axes.as_deref().unwrap_or_default();
    let depthwise = axes.contains(&WeightAxis::Channel);
    let [_, outputs, inner] = around(&spec.shape, axis);
    for (at, value) in kernel.as_mut_slice().iter_mut().enumerate() {
        // Channel by channel, the outputs of each behind one another.
        let output = match depthwise {
            true => at % scale.len(),
            false => at / inner % outputs,
        };
        *value *= scale[output];
    }
}

fn scale_inputs(
    kernel: &mut Tensor,
    spec: &WeightSpec,
    input: Option<(usize, usize)>,
    scale: &Tensor,
) {
    let scale = scale.as_slice();
    let axes = spec.axes.as_deref().unwrap_or_default();
    let channel = axes.iter().position(|axis| *axis == WeightAxis::Channel);
    let found = channel.map(|axis| (axis, scale.len())).or(input);
    let (axis, of_group) = found.expect("checked when the adapter was attached");
    let output_at = output_axis(spec);
    let [_, _, inner] = around(&spec.shape, axis);
    let [_, outputs, inner_of_output] = around(&spec.shape, output_at);
    let groups = scale.len() / of_group.max(1);
    let per_group = outputs / groups.max(1);
    for (at, value) in kernel.as_mut_slice().iter_mut().enumerate() {
        let within = at / inner % of_group;
        let output = at / inner_of_output % outputs;
        let group = match channel {
            Some(_) => 0,
            None => output / per_group.max(1),
        };
        *value *= scale[group * of_group + within];
    }
}
