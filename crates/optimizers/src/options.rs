//! What every optimizer can do besides its rule: Keras' common arguments.

use std::fmt;
use std::sync::Arc;

use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use crate::error::{require, require_non_negative};
use crate::pattern::Pattern;
use crate::{Error, LearningRate, ParameterInfo, Result};

/// A question about a parameter.
type Predicate = Arc<dyn Fn(&ParameterInfo) -> bool + Send + Sync>;

/// The common arguments, as the builder collects them.
#[derive(Clone)]
pub(crate) struct Options {
    pub name: Option<String>,
    pub learning_rate: LearningRate,
    pub weight_decay: Option<f64>,
    pub clipnorm: Option<f64>,
    pub global_clipnorm: Option<f64>,
    pub clipvalue: Option<f64>,
    pub use_ema: bool,
    pub ema_momentum: f64,
    pub ema_overwrite_frequency: Option<u64>,
    /// What Keras multiplies the loss by and divides the gradients by: of files, for files. In 32 bits
    /// nothing is lost without.
    pub loss_scale_factor: Option<f64>,
    pub gradient_accumulation_steps: Option<u64>,
    pub undecayed_names: Vec<String>,
    pub undecayed: Option<Predicate>,
    /// `undecayed_names`, read by `validate`.
    patterns: Vec<Pattern>,
}

impl Options {
    pub(crate) fn new(learning_rate: LearningRate) -> Self {
        Options {
            name: None,
            learning_rate,
            weight_decay: None,
            clipnorm: None,
            global_clipnorm: None,
            clipvalue: None,
            use_ema: false,
            ema_momentum: 0.99,
            ema_overwrite_frequency: None,
            loss_scale_factor: None,
            gradient_accumulation_steps: None,
            undecayed_names: Vec::new(),
            undecayed: None,
            patterns: Vec::new(),
        }
    }

    /// Whether everything is in range; `owner` is named in the error.
    pub(crate) fn validate(&mut self, owner: &str) -> Result<()> {
        self.learning_rate.validate(owner)?;
        if let Some(weight_decay) = self.weight_decay {
            require_non_negative(owner, "weight_decay", weight_decay)?;
        }
        let clips = [
            ("clipnorm", self.clipnorm),
            ("global_clipnorm", self.global_clipnorm),
            ("clipvalue", self.clipvalue),
        ];
        for (name, clip) in clips {
            if let Some(clip) = clip {
                let valid = clip.is_finite() && clip > 0.0;
                require(valid, owner, name, "a finite number above zero", clip)?;
            }
        }
        let set: Vec<&str> = clips
            .iter()
            .filter_map(|(name, clip)| clip.map(|_| *name))
            .collect();
        if set.len() > 1 {
            return Err(Error::Hyperparameter(
                Detail::new(
                    owner,
                    "at most one of clipnorm, global_clipnorm and clipvalue",
                    set.join(" and "),
                )
                .help("keep one of them"),
            ));
        }
        let valid = (0.0..=1.0).contains(&self.ema_momentum);
        require(
            valid,
            owner,
            "ema_momentum",
            "a number in [0, 1]",
            self.ema_momentum,
        )?;
        if let Some(frequency) = self.ema_overwrite_frequency {
            require(
                frequency > 0,
                owner,
                "ema_overwrite_frequency",
                "at least 1 (or unset)",
                frequency,
            )?;
        }
        if let Some(factor) = self.loss_scale_factor {
            let valid = factor.is_finite() && factor > 0.0;
            let expected = "a finite number above zero";
            require(valid, owner, "loss_scale_factor", expected, factor)?;
        }
        if let Some(steps) = self.gradient_accumulation_steps {
            require(
                steps >= 2,
                owner,
                "gradient_accumulation_steps",
                "at least 2 (or unset)",
                steps,
            )?;
        }
        let at = format!("{owner}.exclude_from_weight_decay");
        self.patterns = self
            .undecayed_names
            .iter()
            .map(|name| Pattern::new(&at, name))
            .collect::<Result<_>>()?;
        Ok(())
    }

    /// Whether `parameter` decays at all. A pattern with a `/` is looked for in the path, any other
    /// in the name, as Keras does.
    pub(crate) fn decays(&self, parameter: &ParameterInfo) -> bool {
        let excluded = self
            .undecayed_names
            .iter()
            .zip(&self.patterns)
            .any(|(text, pattern)| {
                if text.contains('/') {
                    pattern.matches(&parameter.path)
                } else {
                    pattern.matches(parameter.name())
                }
            });
        !excluded && !self.undecayed.as_ref().is_some_and(|test| test(parameter))
    }

    /// As Keras' `get_config` has it, in its order.
    pub(crate) fn config(&self, name: &str) -> Map<String, Value> {
        let mut config = Map::new();
        let mut set = |key: &str, value: Value| config.insert(key.to_string(), value);
        set("name", json!(name));
        set("learning_rate", self.learning_rate.config());
        set("weight_decay", json!(self.weight_decay));
        set("clipnorm", json!(self.clipnorm));
        set("global_clipnorm", json!(self.global_clipnorm));
        set("clipvalue", json!(self.clipvalue));
        set("use_ema", json!(self.use_ema));
        set("ema_momentum", json!(self.ema_momentum));
        set(
            "ema_overwrite_frequency",
            json!(self.ema_overwrite_frequency),
        );
        set("loss_scale_factor", json!(self.loss_scale_factor));
        set(
            "gradient_accumulation_steps",
            json!(self.gradient_accumulation_steps),
        );
        config
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("config", &self.config(self.name.as_deref().unwrap_or("")))
            .field("undecayed_names", &self.undecayed_names)
            .finish_non_exhaustive()
    }
}
