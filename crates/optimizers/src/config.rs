//! Optimizers by name, and from and to the configurations that Keras stores.

use std::sync::Arc;

use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use crate::names::near;
use crate::options::Options;
use crate::rules::{self, NAMES};
use crate::schedules::{CustomSchedule, InverseTimeDecay};
use crate::{Error, LearningRate, Optimizer, Result, UpdateRule, schedules};

/// What a class of one's own makes of its configuration; see [`Optimizer::from_config_with`].
pub type CustomRule<'a> =
    &'a dyn Fn(&str, &Map<String, Value>) -> Option<Result<Arc<dyn UpdateRule>>>;

impl Optimizer {
    /// The optimizer of this name (`"adam"`, `"rmsprop"`; case and `_` do not matter) with Keras'
    /// defaults.
    ///
    /// # Errors
    /// [`Error::UnknownName`], with the names that come near.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::from_class(name, Map::new(), &|_, _| None, &|_, _| None)
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
            return Self::from_class(name, Map::new(), rule, schedule);
        }
        let class = config.get("class_name").and_then(Value::as_str);
        let Some(class) = class else {
            return Err(Error::Config(Detail::new(
                "optimizer",
                "a name, or an object with `class_name` and `config`",
                config,
            )));
        };
        let settings = match config.get("config") {
            Some(Value::Object(settings)) => settings.clone(),
            None | Some(Value::Null) => Map::new(),
            Some(other) => {
                return Err(Error::Config(Detail::new(
                    class,
                    "an object `config`",
                    other,
                )));
            }
        };
        Self::from_class(class, settings, rule, schedule)
    }

    fn from_class(
        class: &str,
        mut settings: Map<String, Value>,
        custom: CustomRule<'_>,
        schedule: CustomSchedule<'_>,
    ) -> Result<Self> {
        // As Keras 2 names the optimizers that it had from 2.11 on.
        let built_in = class.strip_prefix("Custom>");
        let built_in = built_in.filter(|class| rules::find(class).is_some());
        let class = built_in.unwrap_or(class);
        let own = Options::new(0.001.into());
        let mut options = |base| read_options(class, base, &mut settings, schedule);
        let (rule, options) = match rules::find(class) {
            Some(built_in) => {
                let options = options(built_in.options())?;
                (built_in.rule(class, settings)?, options)
            }
            None => {
                let options = options(own)?;
                let rule = custom(class, &settings).ok_or_else(|| unknown(class))?;
                (rule?, options)
            }
        };
        Self::assemble(rule, options)
    }

    /// The configuration as Keras stores it, with `class_name` and `config`.
    pub fn config(&self) -> Value {
        let mut config = self.options.config(self.name());
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

/// Takes the common settings out of `settings`, starting from `options`.
fn read_options(
    class: &str,
    mut options: Options,
    settings: &mut Map<String, Value>,
    schedule: CustomSchedule<'_>,
) -> Result<Options> {
    let o = &mut options;
    if let Some(value) = settings.remove("learning_rate") {
        o.learning_rate = read_learning_rate(class, &value, schedule)?;
    }
    // So Keras had it until 2.2, with a decay that every optimizer knew.
    let old_rate = settings.remove("lr");
    if let Some(rate) = &old_rate {
        o.learning_rate = read_learning_rate(class, rate, schedule)?;
    }
    let mut reader = Reader { class, settings };
    reader.read("name", &mut o.name)?;
    reader.read("weight_decay", &mut o.weight_decay)?;
    reader.read("clipnorm", &mut o.clipnorm)?;
    reader.read("global_clipnorm", &mut o.global_clipnorm)?;
    reader.read("clipvalue", &mut o.clipvalue)?;
    reader.read("use_ema", &mut o.use_ema)?;
    reader.read("ema_momentum", &mut o.ema_momentum)?;
    reader.read("ema_overwrite_frequency", &mut o.ema_overwrite_frequency)?;
    reader.read(
        "gradient_accumulation_steps",
        &mut o.gradient_accumulation_steps,
    )?;
    reader.read("loss_scale_factor", &mut o.loss_scale_factor)?;
    // Keras 2 wrote these. `decay` changed the learning rate, so only its absence can be ignored.
    let mut decay = 0.0;
    reader.read("decay", &mut decay)?;
    if let (Some(Value::Number(rate)), true) = (old_rate, decay != 0.0) {
        let rate = rate.as_f64().unwrap_or(f64::NAN);
        o.learning_rate = InverseTimeDecay::new(rate, 1, decay).into();
        decay = 0.0;
    }
    for ignored in ["jit_compile", "is_legacy_optimizer"] {
        settings.remove(ignored);
    }
    if decay != 0.0 {
        let at = format!("{class}.decay");
        return Err(Error::Config(Detail::new(at, "it unset", "a number")));
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

/// Takes settings out of a map by name and type.
struct Reader<'a> {
    class: &'a str,
    settings: &'a mut Map<String, Value>,
}

impl Reader<'_> {
    fn read<T: serde::de::DeserializeOwned>(&mut self, name: &str, target: &mut T) -> Result<()> {
        let Some(value) = self.settings.remove(name) else {
            return Ok(());
        };
        *target = T::deserialize(&value).map_err(|error| {
            Error::Config(Detail::new(format!("{}.{name}", self.class), error, value))
        })?;
        Ok(())
    }
}

/// The error for a class that does not exist, with the names that come near.
fn unknown(class: &str) -> Error {
    Error::UnknownName(near(class, "optimizer", NAMES))
}
