//! Inputs, outputs, losses and metrics by name, for models of several. The names are those that
//! [`input_names`](regraft_layers::Model::input_names) and
//! [`output_names`](regraft_layers::Model::output_names) give: the keys where the model has a dictionary.

use regraft_layers::losses::LossFunction;
use regraft_layers::near;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::training::input::Data;
use crate::training::objective::Objective;
use crate::{Error, Model, Result};

impl Model {
    /// As [`losses`](Self::losses), by the names of the outputs, in any order.
    ///
    /// # Errors
    /// As [`losses`](Self::losses); a name that no output has, and an output without a loss.
    pub fn named_losses<S: Into<String>, L: Into<LossFunction>>(
        &mut self,
        losses: impl IntoIterator<Item = (S, L)>,
    ) -> Result<&mut Self> {
        let losses = losses.into_iter();
        let losses = losses
            .map(|(name, loss)| (name.into(), Some(loss.into())))
            .collect();
        let losses = self.by_outputs("loss", losses)?;
        self.training_mut()?.objective = Objective::of_outputs(losses)?;
        Ok(self)
    }

    /// As [`loss_weights`](Self::loss_weights), by the names of the outputs, in any order.
    ///
    /// # Errors
    /// As [`loss_weights`](Self::loss_weights); a name that no output has, and an output without a weight.
    pub fn named_loss_weights<S: Into<String>>(
        &mut self,
        weights: impl IntoIterator<Item = (S, f32)>,
    ) -> Result<&mut Self> {
        let weights = weights.into_iter();
        let weights = weights
            .map(|(name, weight)| (name.into(), weight))
            .collect();
        let weights = self.by_outputs("loss_weights", weights)?;
        self.loss_weights(weights)
    }

    /// What is given for each output, in the order of the outputs.
    fn by_outputs<T>(&self, at: &str, given: Vec<(String, T)>) -> Result<Vec<T>> {
        let names = self.network.output_names();
        in_order(at, "output", &names, given).map_err(Error::Setting)
    }
}

/// Data in the order of the inputs or outputs that are called `names`. Without names of their own they are
/// in it already.
pub(crate) fn data_in_order<'a>(
    at: &str,
    names: &[String],
    data: Vec<Data<'a>>,
) -> Result<Vec<Data<'a>>> {
    if data.iter().all(|data| data.name.is_none()) {
        return Ok(data);
    }
    let mut named = Vec::with_capacity(data.len());
    for data in data {
        let Some(name) = data.name.clone() else {
            let detail = Detail::new(at, "arrays that all have names, or none", "some of each");
            return Err(Error::Data(detail));
        };
        named.push((name, data));
    }
    in_order(at, "array", names, named).map_err(Error::Data)
}

/// What is given by name, in the order of `names`, each of which must be there once.
fn in_order<T>(
    at: &str,
    what: &str,
    names: &[String],
    given: Vec<(String, T)>,
) -> std::result::Result<Vec<T>, Detail> {
    let mut found: Vec<Option<T>> = names.iter().map(|_| None).collect();
    for (name, value) in given {
        let Some(place) = names.iter().position(|known| *known == name) else {
            let expected = format!("the names {names:?}");
            let help = near(&name, names.iter().map(String::as_str));
            return Err(Detail::new(at, expected, format!("{name:?}")).help(help));
        };
        if found[place].replace(value).is_some() {
            let expected = format!("one {what} for {name:?}");
            return Err(Detail::new(at, expected, "2"));
        }
    }
    let missing = found.iter().position(Option::is_none);
    if let Some(place) = missing {
        let expected = format!("one for each of {names:?}");
        return Err(Detail::new(
            at,
            expected,
            format!("none for {:?}", names[place]),
        ));
    }
    Ok(found.into_iter().flatten().collect())
}

/// Makes dictionaries by the outputs' names of what `compile` was given for each output, as Keras wants it
/// where the outputs are a dictionary.
pub(crate) fn by_output_name(config: &mut Value, names: &[String]) {
    for key in ["loss", "loss_weights", "metrics", "weighted_metrics"] {
        match config.get_mut(key) {
            Some(Value::Array(values)) if values.len() == names.len() => {
                let values = values.iter().cloned();
                let values: Map<String, Value> = names.iter().cloned().zip(values).collect();
                config[key] = values.into();
            }
            _ => {}
        }
    }
}
