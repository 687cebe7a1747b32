//! Puts an optimizer together: a rule, its hyperparameters and the common options.

use std::sync::Arc;

use crate::options::Options;
use crate::{LearningRate, Optimizer, ParameterInfo, Result, UpdateRule};

/// An optimizer being put together. [`Adam`](crate::Adam) and the other built-in optimizers are
/// this type over their rules; for a rule of one's own there is [`Optimizer::builder`].
///
/// Nothing is checked before [`build`](Self::build), which
/// [`IntoOptimizer`](crate::IntoOptimizer) calls where an optimizer is expected.
///
/// ```
/// use regraft_optimizers::Adam;
///
/// let optimizer = Adam::new(1e-3)
///     .beta_1(0.8)
///     .weight_decay(0.01)
///     .exclude_from_weight_decay(["bias", "gamma", "beta"])
///     .clipnorm(1.0)
///     .build()?;
/// assert_eq!(optimizer.name(), "adam");
///
/// let error = Adam::new(1e-3).beta_1(1.5).build().unwrap_err();
/// assert!(error.to_string().contains("beta_1"));
/// # Ok::<(), regraft_optimizers::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "call `build`, or pass it where an optimizer is expected"]
pub struct Builder<R> {
    pub(crate) rule: R,
    pub(crate) options: Options,
}

/// A rule of this crate: it has defaults, those of Keras.
pub trait BuiltIn: UpdateRule + Default {
    /// The default learning rate.
    const LEARNING_RATE: f64 = 0.001;
    /// The default weight decay.
    const WEIGHT_DECAY: Option<f64> = None;
}

impl<R: BuiltIn> Default for Builder<R> {
    /// Keras' defaults.
    fn default() -> Self {
        let mut options = Options::new(R::LEARNING_RATE.into());
        options.weight_decay = R::WEIGHT_DECAY;
        Builder {
            rule: R::default(),
            options,
        }
    }
}

impl<R: BuiltIn> Builder<R> {
    /// The optimizer at this learning rate (a number or a [`Schedule`](crate::Schedule)), all else
    /// at Keras' defaults.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Self {
        Self::default().learning_rate(learning_rate)
    }
}

impl<R: UpdateRule> Builder<R> {
    /// An optimizer with this rule, at learning rate 0.001.
    pub(crate) fn with_rule(rule: R) -> Self {
        Builder {
            rule,
            options: Options::new(0.001.into()),
        }
    }

    /// The learning rate: a finite number, zero or more, or a [`Schedule`](crate::Schedule).
    pub fn learning_rate(mut self, learning_rate: impl Into<LearningRate>) -> Self {
        self.options.learning_rate = learning_rate.into();
        self
    }

    /// The name under which Keras stores the optimizer's variables. Default: the class name in
    /// snake case.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.options.name = Some(name.into());
        self
    }

    /// Decoupled weight decay: before each update, `w -= w · weight_decay · learning_rate`.
    /// Default: none, but 0.004 for AdamW and Muon.
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.options.weight_decay = Some(weight_decay);
        self
    }

    /// Leaves parameters whose name matches out of weight decay. A pattern without `/` is looked
    /// for anywhere in the last part of the path (`bias` of `dense/bias`), as in Keras; one with
    /// `/` anywhere in the whole path. `.`, `*`, `^`, `$` and `|` mean what they do in regular
    /// expressions. As in Keras, this is not part of [`Optimizer::config`].
    pub fn exclude_from_weight_decay<P: Into<String>>(
        mut self,
        patterns: impl IntoIterator<Item = P>,
    ) -> Self {
        let patterns = patterns.into_iter().map(Into::into);
        self.options.undecayed_names.extend(patterns);
        self
    }

    /// Leaves parameters for which `test` says true out of weight decay.
    pub fn exclude_from_weight_decay_where(
        mut self,
        test: impl Fn(&ParameterInfo) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.options.undecayed = Some(Arc::new(test));
        self
    }

    /// Scales the gradient of each parameter down to this L2 norm if it is longer. Above zero.
    pub fn clipnorm(mut self, norm: f64) -> Self {
        self.options.clipnorm = Some(norm);
        self
    }

    /// Scales all gradients down together so that their joint L2 norm is at most this. Above zero.
    pub fn global_clipnorm(mut self, norm: f64) -> Self {
        self.options.global_clipnorm = Some(norm);
        self
    }

    /// Limits every element of every gradient to `[-value, value]`. Above zero.
    pub fn clipvalue(mut self, value: f64) -> Self {
        self.options.clipvalue = Some(value);
        self
    }

    /// Keeps an exponential moving average of every parameter:
    /// `average = momentum · average + (1 - momentum) · w` after each step.
    pub fn use_ema(mut self, use_ema: bool) -> Self {
        self.options.use_ema = use_ema;
        self
    }

    /// The momentum of the moving average, in `[0, 1]`. Default 0.99.
    pub fn ema_momentum(mut self, momentum: f64) -> Self {
        self.options.ema_momentum = momentum;
        self
    }

    /// Every so many steps, the parameters are overwritten by their moving averages. Default:
    /// never; see [`Optimizer::finalize`].
    pub fn ema_overwrite_frequency(mut self, steps: u64) -> Self {
        self.options.ema_overwrite_frequency = Some(steps);
        self
    }

    /// Updates the parameters only in every `steps`-th call, with the mean of the gradients since
    /// the last update. At least 2. Schedules count calls, not updates, as in Keras.
    pub fn gradient_accumulation_steps(mut self, steps: u64) -> Self {
        self.options.gradient_accumulation_steps = Some(steps);
        self
    }

    /// The optimizer.
    ///
    /// # Errors
    /// [`Error::Hyperparameter`](crate::Error::Hyperparameter) if something is out of its range or
    /// excludes something else.
    pub fn build(self) -> Result<Optimizer> {
        Optimizer::assemble(Arc::new(self.rule), self.options)
    }
}
