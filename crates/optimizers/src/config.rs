//! Optimizers by name, and from and to the configurations that Keras stores.

use std::sync::Arc;

use regraft_settings::{Configured, Detail, FromSettings, Map, Settings};
use serde_json::{Value, json};

use crate::names::near;
use crate::options::Options;
use crate::rules::{self, NAMES};
use crate::schedules::{CustomSchedule, InverseTimeDecay};
use crate::{Error, LearningRate, Optimizer, Result, UpdateRule, schedules};

/// What a class of one's own makes of its configuration; see [`Optimizer::from_config_with`].
pub type CustomRule<'a> = &'a dyn Fn(&str, &Map) -> Option<Result<Arc<dyn UpdateRule>>>;

impl Optimizer {
    /// The optimizer of this name (`"adam"`, `"rmsprop"`; case and `_` do not matter) with Keras'
    /// defaults.
    ///
    /// # Errors
    /// [`Error::UnknownName`], with the names that come near.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::from_class(name, &Map::new(), &|_, _| None, &|_, _| None)
    }

    /// The optimizer that a Keras configuration describes: the object with `class_name` and
    /// `config` that `keras.optimizers.serialize` makes and `.keras` files hold, or just a name.
    /// Settings of Keras 2 that have no effect are accepted.
    ///
    /// # Errors
    /// [`Error::UnknownName`] for an unknown class, [`Error::Config`] for a setting that is unknown
    /// or of the wrong type, [`Error::Hyperparameter`] for one out of range.
    pub fn from_config(config: &Value) -> Result<Self> {
        Self::from_config_with(config, &|_, _| None, &|_, _| None)
    }

    /// As [`from_config`](Self::from_config), with rules and schedules of one's own: `rule` is given
    /// the class name and the settings that are not common to all optimizers, `schedule` those of a
    /// learning rate, and each returns what it makes of it if it is one that it knows.
    ///
    /// # Errors
    /// As [`from_config`](Self::from_config).
    pub fn from_config_with(
        config: &Value,
        rule: CustomRule<'_>,
        schedule: CustomSchedule<'_>,
    ) -> Result<Self> {
        if let Value::String(name) = config {
            return Self::from_class(name, &Map::new(), rule, schedule);
        }
        let class = config.get("class_name").and_then(Value::as_str);
        let Some(class) = class else {
            return Err(Error::Config(Detail::new(
                "optimizer",
                "a name, or an object with `class_name` and `config`",
                config,
            )));
        };
        match config.get("config") {
            Some(Value::Object(settings)) => Self::from_class(class, settings, rule, schedule),
            None | Some(Value::Null) => Self::from_class(class, &Map::new(), rule, schedule),
            Some(other) => {
                let detail = Detail::new(class, "an object `config`", other);
                Err(Error::Config(detail))
            }
        }
    }

    fn from_class(
        class: &str,
        settings: &Map,
        custom: CustomRule<'_>,
        schedule: CustomSchedule<'_>,
    ) -> Result<Self> {
        // As Keras 2 names the optimizers that it had from 2.11 on.
        let built_in = class.strip_prefix("Custom>");
        let built_in = built_in.filter(|class| rules::find(class).is_some());
        let class = built_in.unwrap_or(class);
        let base = Options::new(0.001.into());
        let rule = rules::find(class);
        let base = rule.map_or(base, |rule| rule.options());
        // What all optimizers have, and what is the rule's own.
        let common = base.config();
        let is_common = |key: &str| common.contains_key(key) || OF_KERAS_2.contains(&key);
        let settings = settings
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()));
        let (common, own): (Map, Map) = settings.partition(|(key, _)| is_common(key));
        let options = read_options(class, base, &common, schedule)?;
        let rule = match rule {
            Some(built_in) => built_in.rule(class, &own)?,
            None => custom(class, &own).ok_or_else(|| unknown(class))??,
        };
        Self::assemble(rule, options)
    }

    /// The configuration as Keras stores it, with `class_name` and `config`.
    pub fn config(&self) -> Value {
        let mut config = self.options.config();
        config.extend(self.rule.config());
        let built_in = rules::find(self.class_name()).is_some();
        json!({
            "module": if built_in { json!("keras.optimizers") } else { Value::Null },
            "class_name": self.class_name(),
            "config": config,
            "registered_name": if built_in { Value::Null } else { json!(self.class_name()) },
        })
    }
}

/// What only Keras 2 wrote.
const OF_KERAS_2: [&str; 4] = ["lr", "decay", "jit_compile", "is_legacy_optimizer"];

/// The common settings; those left out are as in `base`.
fn read_options(
    class: &str,
    base: Options,
    config: &Map,
    schedule: CustomSchedule<'_>,
) -> Result<Options> {
    let settings = Settings::new(class, config);
    settings.ignore(&["learning_rate"]);
    settings.ignore(&OF_KERAS_2);
    let mut options = Options::from_settings(&settings).map_err(Error::Config)?;
    options.learning_rate = base.learning_rate;
    if !config.contains_key("weight_decay") {
        options.weight_decay = base.weight_decay;
    }
    // `lr`: so Keras had it until 2.2.
    if let Some(rate) = settings.value("lr").or(settings.value("learning_rate")) {
        options.learning_rate = read_learning_rate(class, rate, schedule)?;
    }
    // The learning rate falls by `decay`. Of Nadam it was a part of the formula, which has been another one since.
    let decay = settings.or::<f64>("decay", 0.0).map_err(Error::Config)?;
    match &options.learning_rate {
        _ if decay == 0.0 => {}
        LearningRate::Constant(rate) if class != "Nadam" => {
            options.learning_rate = InverseTimeDecay::new(f64::from(*rate), 1, decay).into();
        }
        _ => {
            let at = format!("{class}.decay");
            return Err(Error::Config(Detail::new(at, "it unset", "a number")));
        }
    }
    Ok(options)
}

/// A number, or a schedule with `class_name` and `config`.
fn read_learning_rate(
    class: &str,
    value: &Value,
    schedule: CustomSchedule<'_>,
) -> Result<LearningRate> {
    match value {
        Value::Number(number) => Ok(number.as_f64().unwrap_or(f64::NAN).into()),
        Value::Object(_) => {
            schedules::from_config_with(value, schedule).map(LearningRate::Schedule)
        }
        other => Err(Error::Config(Detail::new(
            format!("{class}.learning_rate"),
            "a number or a schedule",
            other,
        ))),
    }
}

/// The error for a class that does not exist, with the names that come near.
fn unknown(class: &str) -> Error {
    Error::UnknownName(near(class, "optimizer", NAMES))
}
