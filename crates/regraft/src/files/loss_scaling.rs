//! A loss scaling around an optimizer, with which Keras keeps gradients of 16 bits from vanishing. Those here
//! have 32, where it changes nothing: it is kept, and written again as it came.

use regraft_io::{SavedOptimizer, SavedWeight, TensorData};
use serde_json::{Map, Value, json};

/// What a file says of a loss scaling.
#[derive(Clone, Debug, Default)]
pub(crate) struct LossScaling {
    /// The settings, unless Keras put it there by itself, because of the model's policy; then a `.keras`
    /// file has the settings of the optimizer alone.
    settings: Option<Map<String, Value>>,
    /// Iteration, learning rate, step counter and scale.
    memory: Vec<SavedWeight>,
}

/// Its classes in Keras 3 and 2.
const CLASSES: [&str; 2] = ["LossScaleOptimizer", "LossScaleOptimizerV3"];
/// Its settings; others have one value alone.
const SETTINGS: [&str; 3] = ["name", "initial_scale", "dynamic_growth_steps"];
const NAME: &str = "loss_scale_optimizer";
const INITIAL_SCALE: f32 = 32768.0;

impl LossScaling {
    /// The configuration of the optimizer within `config`, and the scaling, if there is one.
    pub fn around<'c>(
        config: &'c Value,
        memory: Option<&SavedOptimizer>,
    ) -> (&'c Value, Option<LossScaling>) {
        let memory = memory.map_or(&[][..], |saved| &saved.loss_scale).to_vec();
        let own = &config["config"];
        if !CLASSES.iter().any(|class| config["class_name"] == **class) {
            let by_policy = (!memory.is_empty()).then_some(LossScaling {
                settings: None,
                memory,
            });
            return (config, by_policy);
        }
        let setting = |key: &&str| Some((key.to_string(), own.get(key)?.clone()));
        let settings = SETTINGS.iter().filter_map(setting).collect();
        // Keras 2 had one that does not change, which Keras 3 has no class for.
        let dynamic = own["dynamic"] != Value::Bool(false);
        let scaling = dynamic.then_some(LossScaling {
            settings: Some(settings),
            memory,
        });
        (&own["inner_optimizer"], scaling)
    }

    /// The configuration of both, as a file has it; a legacy one always has that of the scaling.
    pub fn config(&self, optimizer: Value, legacy: bool) -> Value {
        let mut settings = match &self.settings {
            Some(settings) => settings.clone(),
            None if !legacy => return optimizer,
            None => Map::new(),
        };
        settings.entry("name").or_insert_with(|| NAME.into());
        settings.insert("inner_optimizer".into(), optimizer);
        json!({
            "module": "keras.optimizers",
            "class_name": CLASSES[0],
            "config": settings,
            "registered_name": null,
        })
    }

    /// The four variables of its memory, which start as Keras' do.
    pub fn memory(&self) -> Vec<SavedWeight> {
        let of = |key: &str| self.settings.as_ref()?.get(key)?.as_f64();
        let scale = of("initial_scale").map_or(INITIAL_SCALE, |scale| scale as f32);
        let first = [
            ("iteration", TensorData::scalar(0_i64)),
            ("learning_rate", TensorData::scalar(0.0_f32)),
            ("step_counter", TensorData::scalar(0_i64)),
            ("dynamic_scale", TensorData::scalar(scale)),
        ];
        let is_whole = self.memory.len() == first.len();
        let variable = |(index, (name, first)): (usize, (&str, TensorData))| {
            let kept = self.memory.get(index).filter(|_| is_whole);
            let tensor = kept.map_or(first, |kept| kept.tensor.clone());
            SavedWeight::new(format!("{NAME}/{name}"), tensor)
        };
        first.into_iter().enumerate().map(variable).collect()
    }
}
