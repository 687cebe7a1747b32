//! How fast each weight learns and how much it decays, where `fit` is told: by selector, and from layer to
//! layer.

use std::collections::HashMap;

use regraft_autograd::VariableId;
use regraft_layers::{Model, Selector, Weight};
use regraft_optimizers::ParameterInfo;
use regraft_tensor::Detail;

use crate::training::blocks::blocks;
use crate::training::parameters::parameter;
use crate::{Error, Result};

/// What `fit` was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rates {
    pub scales: Vec<(Selector, f32)>,
    pub decays: Vec<(Selector, f32)>,
    pub layer_decay: Option<f32>,
}

impl Rates {
    /// Refuses numbers without meaning.
    pub fn check(&self) -> Result<()> {
        let numbers = |of: &[(Selector, f32)], name: &str, help: &'static str| {
            let number = |(selector, it): &(Selector, f32)| {
                let at = format!("{name} of {selector:?}");
                (at, *it, help)
            };
            of.iter().map(number).collect::<Vec<_>>()
        };
        let scale = "it multiplies the optimizer's learning rate: 1 leaves it, 0 keeps still";
        let decay = "it takes the place of the optimizer's decay: 0 for none";
        let layers = "it multiplies the learning rate from layer to layer: 1 for none";
        let layers = self
            .layer_decay
            .map(|it| ("layer_decay".to_string(), it, layers));
        let mut all = numbers(&self.scales, "learning_rate_scale", scale)
            .into_iter()
            .chain(numbers(&self.decays, "weight_decay", decay))
            .chain(layers);
        match all.find(|(_, value, _)| !(value.is_finite() && *value >= 0.0)) {
            None => Ok(()),
            Some((at, value, help)) => {
                let detail = Detail::new(at, "a finite number ≥ 0", value);
                Err(Error::Setting(detail.help(help)))
            }
        }
    }

    /// The weights of a model as the optimizer knows them, with rates of their own where they have some.
    pub fn of(&self, model: &Model) -> Result<impl Fn(&Weight) -> ParameterInfo + use<>> {
        let mut scales: HashMap<VariableId, f32> = match self.layer_decay {
            None => HashMap::new(),
            Some(decay) => by_depth(model, decay),
        };
        let mut decays: HashMap<VariableId, f32> = HashMap::new();
        let picked = |selector: &Selector| -> Result<Vec<VariableId>> {
            let paths = model.select_weights(selector)?.into_iter();
            let ids = paths.filter_map(|path| Some(model.weight(&path)?.id()));
            Ok(ids.collect())
        };
        for (selector, scale) in &self.scales {
            for id in picked(selector)? {
                *scales.entry(id).or_insert(1.0) *= scale;
            }
        }
        for (selector, decay) in &self.decays {
            decays.extend(picked(selector)?.into_iter().map(|id| (id, *decay)));
        }
        Ok(move |weight: &Weight| ParameterInfo {
            learning_rate_scale: scales.get(&weight.id()).copied().unwrap_or(1.0),
            weight_decay: decays.get(&weight.id()).copied(),
            ..parameter(weight)
        })
    }
}

/// A factor for each weight: 1 in the last block of layers and what counts with it, and `decay` times that of the next
/// in each before it.
fn by_depth(model: &Model, decay: f32) -> HashMap<VariableId, f32> {
    let mut scales = HashMap::new();
    let mut depth = 0;
    for (from_last, block) in blocks(model).into_iter().rev().enumerate() {
        let with_classifier = depth == 0 && block.with_classifier;
        if from_last > 0 && !with_classifier {
            depth += 1;
        }
        let scale = f64::from(decay).powi(depth) as f32;
        scales.extend(block.parameters.into_iter().map(|id| (id, scale)));
    }
    scales
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::applications::timm;

    /// `fixtures/golden_timm_groups.py`: timm's `param_groups_layer_decay` with its defaults.
    #[test]
    fn rates_and_decays_are_those_of_timms_groups() {
        let text = include_str!("../../../../fixtures/golden/timm_groups.json");
        let golden: Value = serde_json::from_str(text).unwrap();
        for (network, groups) in golden.as_object().unwrap() {
            let mut expected = HashMap::new();
            for group in groups.as_array().unwrap() {
                let (scale, decay) = (group[0].as_f64().unwrap(), group[1].as_f64().unwrap());
                for module in group[2].as_str().unwrap().split(' ') {
                    let (module, names) = module.rsplit_once('.').unwrap();
                    for name in names.split('|') {
                        expected.insert((module, name), (scale as f32, decay as f32));
                    }
                }
            }
            let application = timm::by_name(network).unwrap().input_shape([64, 64, 3]);
            let model = application.build().unwrap().model;
            let rates = Rates {
                layer_decay: Some(0.75),
                decays: vec![
                    (Selector::weights("*"), 0.0),
                    (Selector::weights("kernel"), 0.05),
                ],
                ..Rates::default()
            };
            let infos = rates.of(&model.network).unwrap();
            let mut compared = 0;
            for weight in model.weights().iter() {
                let (layer, name) = weight.path().rsplit_once('/').unwrap();
                // A factor for each channel is a module's own number there, and a layer here.
                let (layer, name) = match (layer.strip_suffix(".gamma"), name) {
                    (Some(block), _) => (block, "gamma"),
                    (None, "kernel" | "gamma") => (layer, "weight"),
                    (None, "bias" | "beta") => (layer, "bias"),
                    _ => continue,
                };
                let (scale, decay) = expected[&(layer, name)];
                let info = infos(weight);
                let near = (info.learning_rate_scale / scale - 1.0).abs() < 1e-6;
                assert!(
                    near,
                    "{network} {layer}: {} of {scale}",
                    info.learning_rate_scale
                );
                assert_eq!(info.weight_decay, Some(decay), "{network} {layer} {name}");
                compared += 1;
            }
            assert_eq!(compared, expected.len(), "{network}");
        }
    }
}
