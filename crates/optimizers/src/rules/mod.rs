//! The update rules, one per file: the formula, where it comes from, and its comparison with Keras.
//!
//! Each rule (`AdamRule`) holds hyperparameters only. What users write is its builder (`Adam`),
//! which has the common options too.

mod newton_schulz;

use std::sync::Arc;

use regraft_settings::{Detail, FromSettings, Map, Settings, require};

use crate::builder::{Builder, BuiltIn};
use crate::options::Options;
use crate::{Error, Result, UpdateRule};

/// Declares a rule with its hyperparameters, each once, as [`settings!`] does: what is documented has a
/// setter, which is that of the rule's builder.
macro_rules! rule {
    (
        $(#[$meta:meta])*
        pub struct $rule:ident as $class:literal of $builder:ident {
            $(
                $(#[$doc:meta])*
                $name:ident: $type:ty = $default:expr $(=> $check:expr)?,
            )*
        }
        $($behind:tt)*
    ) => {
        regraft_settings::settings! {
            $(#[$meta])*
            pub struct $rule as $class {
                new()
                $($name: $type = $default $(=> $check)?,)*
            }
            $($behind)*
        }

        impl crate::rules::$builder {
            $(rule!(@setter [$(#[$doc])*] $name $type);)*
        }
    };
    (@setter [] $name:ident $type:ty) => {};
    (@setter [$(#[$doc:meta])+] $name:ident $type:ty) => {
        $(#[$doc])+
        pub fn $name(mut self, $name: impl regraft_settings::IntoSetting<$type>) -> Self {
            self.rule.$name = $name.into_setting();
            self
        }
    };
}
/// Declares the rules: file, rule, builder, class name.
macro_rules! rules {
    ($($(#[$doc:meta])* $file:ident, $rule:ident, $builder:ident;)*) => {
        $(
            mod $file;
            pub use $file::$rule;
            $(#[$doc])*
            pub type $builder = Builder<$rule>;
        )*

        /// The class names, as Keras has them.
        pub(crate) const NAMES: &[&str] = &[$(stringify!($builder)),*];

        /// The built-in rules by number, as in `NAMES`.
        const RULES: &[RuleType] = &[$(RuleType {
            options: || <$builder>::default().options,
            rule: read::<$rule>,
        }),*];
    };
}

rules! {
    /// Gradient descent, with momentum if asked for: see [`SGDRule`].
    sgd, SGDRule, SGD;
    /// Steps over a running root mean square: see [`RMSpropRule`].
    rmsprop, RMSpropRule, RMSprop;
    /// Adam, with AMSGrad if asked for: see [`AdamRule`].
    adam, AdamRule, Adam;
    /// Adam with weight decay: see [`AdamWRule`].
    adamw, AdamWRule, AdamW;
    /// Adam with Nesterov's momentum: see [`NadamRule`].
    nadam, NadamRule, Nadam;
    /// Adam with the largest gradient: see [`AdamaxRule`].
    adamax, AdamaxRule, Adamax;
    /// Steps over all squared gradients so far: see [`AdagradRule`].
    adagrad, AdagradRule, Adagrad;
    /// Steps in proportion to the steps made lately: see [`AdadeltaRule`].
    adadelta, AdadeltaRule, Adadelta;
    /// Follow the regularized leader: see [`FtrlRule`].
    ftrl, FtrlRule, Ftrl;
    /// Steps by the sign of a momentum: see [`LionRule`].
    lion, LionRule, Lion;
    /// Adam's steps in proportion to the parameter's size: see [`LambRule`].
    lamb, LambRule, Lamb;
    /// Squared gradients by row and column: see [`AdafactorRule`].
    adafactor, AdafactorRule, Adafactor;
    /// Orthogonal steps for matrices, AdamW for the rest: see [`MuonRule`].
    muon, MuonRule, Muon;
}

/// Makes a rule from its own settings.
type ReadRule = fn(&str, &Map) -> Result<Arc<dyn UpdateRule>>;

/// How to make a built-in rule from a configuration.
#[derive(Clone, Copy)]
pub(crate) struct RuleType {
    options: fn() -> Options,
    rule: ReadRule,
}

impl RuleType {
    /// The common options with this rule's defaults.
    pub(crate) fn options(self) -> Options {
        (self.options)()
    }

    /// The rule with these settings.
    pub(crate) fn rule(self, class: &str, settings: &Map) -> Result<Arc<dyn UpdateRule>> {
        (self.rule)(class, settings)
    }
}

/// The built-in rule of this name, in whatever case.
pub(crate) fn find(name: &str) -> Option<RuleType> {
    let plain = name.to_lowercase().replace('_', "");
    let index = NAMES.iter().position(|n| n.to_lowercase() == plain)?;
    Some(RULES[index])
}

/// A rule from its own settings; those left out have their defaults.
fn read<R: BuiltIn + FromSettings>(class: &str, settings: &Map) -> Result<Arc<dyn UpdateRule>> {
    let rule = R::from_settings(&Settings::new(class, settings)).map_err(Error::Config)?;
    Ok(Arc::new(rule))
}

fn require_not_above_zero(at: &str, value: f64) -> Result<(), Detail> {
    let expected = "a finite number, zero or less";
    require(value.is_finite() && value <= 0.0, at, expected, value)
}
