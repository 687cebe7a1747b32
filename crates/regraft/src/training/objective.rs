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
    losses: Vec<LossFunction>,
    /// All 1 if `None`.
    weights: Option<Vec<f32>>,
    /// Why there is none, and what the file has: a loss that is not known here.
    unknown: Option<Box<(Detail, Value, Value)>>,
}

impl Objective {
    /// One loss for all outputs.
    pub fn new(loss: LossFunction) -> Result<Self> {
        Self::of_outputs(vec![loss])
    }

    /// A loss per output, or one for all.
    pub fn of_outputs(losses: Vec<LossFunction>) -> Result<Self> {
        for loss in &losses {
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

    /// The loss of each output of `model`.
    pub fn losses(&self, model: &Model) -> Result<Vec<&LossFunction>> {
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
        match self.losses.as_slice() {
            [loss] => Ok(vec![loss; outputs]),
            losses if losses.len() == outputs => Ok(losses.iter().collect()),
            losses => wrong("1 loss, or a loss", losses.len()),
        }
    }

    /// The sum of the weighted losses, and the loss of each output, which leaves out what the mask of
    /// its predictions does.
    pub fn apply<'g>(
        &self,
        model: &Model,
        targets: &[Var<'g>],
        predictions: &[Var<'g>],
        masks: &[Option<Var<'g>>],
        sample_weights: Option<Var<'g>>,
    ) -> Result<(Var<'g>, Vec<Var<'g>>)> {
        let losses = self.losses(model)?;
        let mut parts = Vec::with_capacity(losses.len());
        let mut total: Option<Var<'g>> = None;
        for (index, loss) in losses.into_iter().enumerate() {
            let prediction = predictions[index];
            let mask = masks.get(index).copied().flatten();
            let apply = || loss.apply_masked(targets[index], prediction, sample_weights, mask);
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
            [loss] => loss.serialize(),
            losses => losses.iter().map(LossFunction::serialize).collect(),
        };
        let shorten = |weight: &f32| weight.to_string().parse::<f64>().unwrap_or(f64::NAN);
        let weights = self.weights.as_ref();
        let weights: Option<Vec<f64>> = weights.map(|all| all.iter().map(shorten).collect());
        (loss, json!(weights))
    }

    /// What [`config`](Self::config) and Keras write: one loss, a list in the order of the outputs, or
    /// a dictionary by the outputs' names.
    pub fn from_config(
        loss: &Value,
        weights: &Value,
        outputs: &[String],
        registry: &Registry,
    ) -> Result<Self> {
        let at = |detail: Detail| Error::Setting(detail.within("loss"));
        let one = |value: &Value| registry.loss(value).map_err(at);
        let losses = match by_output(loss, outputs) {
            Some(losses) => losses.into_iter().map(one).collect::<Result<Vec<_>>>()?,
            None => vec![one(loss)?],
        };
        let mut objective = Objective::of_outputs(losses)?;
        if let Some(weights) = by_output(weights, outputs) {
            let number = |value: &Value| {
                let wrong = || at(Detail::new("loss_weights", "numbers", value));
                value.as_f64().map(|weight| weight as f32).ok_or_else(wrong)
            };
            let weights: Result<Vec<f32>> = weights.into_iter().map(number).collect();
            objective.set_weights(weights?)?;
        }
        Ok(objective)
    }
}

/// The values of a list, or of a dictionary in the order of the outputs; `None` for anything else.
fn by_output<'v>(value: &'v Value, outputs: &[String]) -> Option<Vec<&'v Value>> {
    match value {
        Value::Array(values) => Some(values.iter().collect()),
        Value::Object(values) if !values.contains_key("class_name") => {
            outputs.iter().map(|name| values.get(name)).collect()
        }
        _ => None,
    }
}
