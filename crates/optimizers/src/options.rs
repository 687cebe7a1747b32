//! What every optimizer can do besides its rule: Keras' common arguments.

use std::fmt;
use std::sync::Arc;

use regraft_settings::{
    Configured, Detail, require_positive, require_rate, require_share, settings,
};

use crate::error::named;
use crate::pattern::Pattern;
use crate::{LearningRate, ParameterInfo, Result};

/// A question about a parameter.
type Predicate = Arc<dyn Fn(&ParameterInfo) -> bool + Send + Sync>;

settings! {
    /// The common arguments, as the builder collects them.
    #[derive(Clone)]
    pub struct Options as "keras.optimizers.Optimizer" {
        new()
        pub(crate) name: Option<String> = None,
        pub(crate) weight_decay: Option<f64> = None => require_rate,
        pub(crate) clipnorm: Option<f64> = None => require_positive,
        pub(crate) global_clipnorm: Option<f64> = None => require_positive,
        pub(crate) clipvalue: Option<f64> = None => require_positive,
        pub(crate) use_ema: bool = false,
        pub(crate) ema_momentum: f64 = 0.99 => require_share,
        pub(crate) ema_overwrite_frequency: Option<u64> = None => |at: &str, steps| at_least(1, at, steps),
        // What Keras multiplies the loss by and divides the gradients by: of files, for files. In 32 bits
        // nothing is lost without.
        pub(crate) loss_scale_factor: Option<f64> = None => require_positive,
        pub(crate) gradient_accumulation_steps: Option<u64> = None => |at: &str, steps| at_least(2, at, steps),
    }
    state {
        pub(crate) learning_rate: LearningRate = LearningRate::Constant(0.001),
        pub(crate) undecayed_names: Vec<String> = Vec::new(),
        pub(crate) undecayed: Option<Predicate> = None,
        patterns: Vec<Pattern> = Vec::new(),
    }
    writing |options, config| {
        config.shift_insert(1, "learning_rate".to_string(), options.learning_rate.config());
    }
    checking |options| {
        let clips = [
            ("clipnorm", options.clipnorm),
            ("global_clipnorm", options.global_clipnorm),
            ("clipvalue", options.clipvalue),
        ];
        let set = clips.iter().filter(|(_, clip)| clip.is_some());
        let set: Vec<&str> = set.map(|(name, _)| *name).collect();
        let expected = "at most one of clipnorm, global_clipnorm and clipvalue";
        match set.len() {
            0 | 1 => Ok(()),
            _ => Err(Detail::new("", expected, set.join(" and ")).help("keep one of them")),
        }
    }
}

/// Refuses fewer steps, if it is set.
fn at_least(least: u64, at: &str, steps: Option<u64>) -> Result<(), Detail> {
    match steps {
        Some(steps) if steps < least => Err(Detail::new(
            at,
            format!("at least {least} (or unset)"),
            steps,
        )),
        _ => Ok(()),
    }
}

impl Options {
    pub(crate) fn new(learning_rate: LearningRate) -> Self {
        Options {
            learning_rate,
            ..Self::default()
        }
    }

    /// Whether everything is in range; `owner` is named in the error.
    pub(crate) fn validate(&mut self, owner: &str) -> Result<()> {
        self.learning_rate.validate(owner)?;
        let names = self.undecayed_names.iter();
        let patterns = names.map(|name| Pattern::new("exclude_from_weight_decay", name));
        let checked = self.check().and_then(|()| patterns.collect());
        self.patterns = checked.map_err(|detail| named(owner, detail))?;
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
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("config", &self.config())
            .field("undecayed_names", &self.undecayed_names)
            .finish_non_exhaustive()
    }
}
