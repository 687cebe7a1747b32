//! What training minimizes: the losses of all outputs, weighted and added up.

use regraft_autograd::Var;
use regraft_layers::Model;
use regraft_layers::losses::LossFunction;
use regraft_tensor::Detail;
use serde_json::{Value, json};

use crate::registry::Registry;
use crate::{Error, Result};

/// A loss for every output, or one for all, and how much each output counts.
#[derive(Clone, Debug)]
pub(crate) struct Objective {
    /// `None` for an output that is predicted and measured, but not trained for.
    losses: Vec<Option<LossFunction>>,
    /// All 1 if `None`.
    weights: Option<Vec<f32>>,
    /// Why there is none, and what the file has: a loss that is not known here.
    unknown: Option<Box<(Detail, Value, Value)>>,
}

impl Objective {
    /// One loss for all outputs.
    pub fn new(loss: LossFunction) -> Result<Self> {
        Self::of_outputs(vec![Some(loss)])
    }

    /// A loss per output, where it has one, or one for all.
    pub fn of_outputs(losses: Vec<Option<LossFunction>>) -> Result<Self> {
        for loss in losses.iter().flatten() {
            let at = |detail: Detail| Error::Setting(detail.within("loss"));
            loss.get().map_err(at)?;
        }
        Ok(Objective {
            losses,
            weights: None,
            unknown: None,
        })
    }

    /// In the place of a loss that is not known: it cannot be computed, but is saved as it came.
    pub fn unknown(reason: Detail, loss: &Value, weights: &Value) -> Self {
        Objective {
            losses: Vec::new(),
            weights: None,
            unknown: Some(Box::new((reason, loss.clone(), weights.clone()))),
        }
    }

    /// Makes the outputs count this much.
    pub fn set_weights(&mut self, weights: Vec<f32>) -> Result<()> {
        if let Some(wrong) = weights.iter().find(|weight| !weight.is_finite()) {
            let detail = Detail::new("loss_weights", "finite numbers", wrong);
            return Err(Error::Setting(detail));
        }
        self.weights = Some(weights);
        Ok(())
    }

    /// Takes the loss of output `index` of so many away.
    pub fn remove(&mut self, index: usize, outputs: usize) {
        if self.losses.len() == 1 {
            self.losses = vec![self.losses[0].clone(); outputs];
        }
        if let Some(loss) = self.losses.get_mut(index) {
            *loss = None;
        }
    }

    /// The loss of each output of `model` that has one.
    pub fn losses(&self, model: &Model) -> Result<Vec<Option<&LossFunction>>> {
        if let Some(unknown) = &self.unknown {
            let help = "register it and open the file again, or give another to `losses`, which keeps \
                        the optimizer";
            return Err(Error::Setting(unknown.0.clone().help(help)));
        }
        let outputs = model.output_shapes().len();
        let wrong = |what: &str, count: usize| {
            let expected = format!("{what} for each of the {outputs} outputs of the model");
            Err(Error::Setting(Detail::new("compile", expected, count)))
        };
        if let Some(weights) = &self.weights
            && weights.len() != outputs
        {
            return wrong("a loss weight", weights.len());
        }
        let losses = match self.losses.as_slice() {
            [loss] => vec![loss.as_ref(); outputs],
            losses if losses.len() == outputs => losses.iter().map(Option::as_ref).collect(),
            losses => return wrong("1 loss, or a loss", losses.len()),
        };
        match losses.iter().any(Option::is_some) {
            true => Ok(losses),
            false => {
                let detail = Detail::new("compile", "a loss for at least one output", "none");
                Err(Error::Setting(detail))
            }
        }
    }

    /// Which of so many outputs have a loss.
    pub fn trained_for(&self, outputs: usize) -> Vec<bool> {
        match self.losses.as_slice() {
            [loss] => vec![loss.is_some(); outputs],
            losses => losses.iter().map(Option::is_some).collect(),
        }
    }

    /// The sum of the weighted losses, and the loss of each output that has one, which leaves out what the
    /// mask of its predictions does. `targets` are there for each loss, `sample_weights` for all outputs or
    /// for each.
    pub fn apply<'g>(
        &self,
        model: &Model,
        targets: &[Option<Var<'g>>],
        predictions: &[Var<'g>],
        masks: &[Option<Var<'g>>],
        sample_weights: &[Var<'g>],
    ) -> Result<(Var<'g>, Vec<Var<'g>>)> {
        let losses = self.losses(model)?;
        let mut parts = Vec::with_capacity(losses.len());
        let mut total: Option<Var<'g>> = None;
        for (index, loss) in losses.into_iter().enumerate() {
            let (Some(loss), Some(targets)) = (loss, targets[index]) else {
                continue;
            };
            let prediction = predictions[index];
            let mask = masks.get(index).copied().flatten();
            let weights = match sample_weights {
                [all] => Some(*all),
                each => each.get(index).copied(),
            };
            let apply = || loss.apply_masked(targets, prediction, weights, mask);
            let part = prediction.graph().scope(&loss.name(), apply);
            parts.push(part);
            let weighted = match &self.weights {
                Some(weights) => part * weights[index],
                None => part,
            };
            total = Some(total.map_or(weighted, |total| total + weighted));
        }
        match total {
            Some(total) => Ok((total, parts)),
            None => {
                let detail = Detail::new(model.name(), "a model with an output", "none");
                Err(Error::Model(detail))
            }
        }
    }

    /// `loss` and `loss_weights` as Keras stores them.
    pub fn config(&self) -> (Value, Value) {
        if let Some(unknown) = &self.unknown {
            return (unknown.1.clone(), unknown.2.clone());
        }
        let loss = match self.losses.as_slice() {
            [Some(loss)] => loss.serialize(),
            losses => {
                let one = |loss: &Option<_>| loss.as_ref().map(LossFunction::serialize);
                losses.iter().map(|loss| json!(one(loss))).collect()
            }
        };
        let shorten = |weight: &f32| weight.to_string().parse::<f64>().unwrap_or(f64::NAN);
        let weights = self.weights.as_ref();
        let weights: Option<Vec<f64>> = weights.map(|all| all.iter().map(shorten).collect());
        (loss, json!(weights))
    }

    /// What [`config`](Self::config) and Keras write: one loss, a list in the order of the outputs, or
    /// a dictionary by the outputs' names, in each other as the outputs are. An output that is not told, or
    /// told to have none, has no loss.
    pub fn from_config(
        loss: &Value,
        weights: &Value,
        outputs: &[String],
        registry: &Registry,
    ) -> Result<Self> {
        let at = |detail: Detail| Error::Setting(detail.within("loss"));
        let one = |value: &Value| registry.loss(value).map_err(at);
        let of_output = |value: Option<&Value>| value.map(one).transpose();
        let losses = match is_nested(loss) {
            true => {
                let losses = by_output(loss, outputs).map_err(at)?.into_iter();
                losses.map(of_output).collect::<Result<Vec<_>>>()?
            }
            false => vec![Some(one(loss)?)],
        };
        if losses.iter().all(Option::is_none) {
            return Err(at(Detail::new("", "one for an output at least", loss)));
        }
        let mut objective = Objective::of_outputs(losses)?;
        let at = |detail: Detail| Error::Setting(detail.within("loss_weights"));
        let number = |value: &Value| {
            let wrong = || at(Detail::new("", "numbers", value));
            value.as_f64().map(|weight| weight as f32).ok_or_else(wrong)
        };
        if is_nested(weights) {
            let weights = by_output(weights, outputs).map_err(at)?.into_iter();
            let weights: Result<Vec<f32>> = weights.map(|it| it.map_or(Ok(1.0), number)).collect();
            objective.set_weights(weights?)?;
        } else if !weights.is_null() {
            objective.set_weights(vec![number(weights)?; outputs.len()])?;
        }
        Ok(objective)
    }
}

/// Whether a value is a list or a dictionary, and no object of Keras'.
fn is_nested(value: &Value) -> bool {
    match value {
        Value::Array(_) => true,
        Value::Object(values) => !values.contains_key("class_name"),
        _ => false,
    }
}

/// What nested lists and dictionaries have for each output, if anything. Dictionaries are by the outputs'
/// names, or what these begin with (`heads` of `heads/boxes`); lists are in the order of the outputs, and
/// what they lack is that of the last ones.
fn by_output<'v>(value: &'v Value, names: &[String]) -> Result<Vec<Option<&'v Value>>, Detail> {
    let mut found = vec![None; names.len()];
    let all: Vec<(usize, &str)> = names.iter().map(String::as_str).enumerate().collect();
    place(value, &all, &mut found)?;
    Ok(found)
}

fn place<'v, 'n>(
    value: &'v Value,
    outputs: &[(usize, &'n str)],
    found: &mut [Option<&'v Value>],
) -> Result<(), Detail> {
    let wrong = |received: &dyn std::fmt::Display| {
        let names: Vec<&str> = outputs.iter().map(|(_, name)| *name).collect();
        Err(Detail::new("", format!("the outputs {names:?}"), received))
    };
    match value {
        Value::Array(items) => {
            let mut left = outputs;
            for item in items {
                let count = leaves(item).min(left.len());
                if count == 0 {
                    return wrong(&format!("{} in a list", items.len()));
                }
                place(item, &left[..count], found)?;
                left = &left[count..];
            }
            Ok(())
        }
        Value::Object(items) if is_nested(value) => {
            for (key, item) in items {
                let within =
                    |&(index, name): &(usize, &'n str)| match name.strip_prefix(key.as_str())? {
                        "" => Some((index, name)),
                        rest => rest.strip_prefix('/').map(|rest| (index, rest)),
                    };
                let of_key: Vec<(usize, &str)> = outputs.iter().filter_map(within).collect();
                if of_key.is_empty() {
                    return wrong(&format!("{key:?}"));
                }
                place(item, &of_key, found)?;
            }
            Ok(())
        }
        Value::Null => Ok(()),
        value => {
            outputs
                .iter()
                .for_each(|(index, _)| found[*index] = Some(value));
            Ok(())
        }
    }
}

/// How many values there are in lists and dictionaries.
fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(leaves).sum(),
        Value::Object(items) if is_nested(value) => items.values().map(leaves).sum(),
        _ => 1,
    }
}
