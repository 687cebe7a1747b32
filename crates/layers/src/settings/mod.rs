//! Settings: how a class [declares](crate::settings!) them, and how they are read from a Keras
//! configuration, each with its default, checked for its type, and none passed over in silence.

mod axes;
mod functions;
mod into_setting;

pub(crate) use axes::{axes, resolve};
pub use into_setting::IntoSetting;
pub(crate) use into_setting::{also, by_name};
pub use regraft_settings::{
    Detail, FromSettings, Given, Map, Setting, Settings, named, require, require_finite,
    require_positive, require_rate, require_share,
};
pub(crate) use regraft_settings::{brief, catalogue, make, make_with, number, read};

/// Declares a class and its settings, each once: [`regraft_settings::settings!`], which has the whole
/// grammar, with setters that also take [names of functions](IntoSetting).
///
/// ```
/// use regraft_autograd::Var;
/// use regraft_layers::{Call, Configured, Layer, Registry, settings, settings::require_rate};
///
/// settings! {
///     /// `y = (x + offset) · factor`.
///     #[derive(Clone, Debug)]
///     pub struct Scale as "Scale" {
///         /// A layer that multiplies with `factor`.
///         new(factor: f32)
///         factor: f32 = factor => require_rate,
///         /// What is added before; 0 unless told otherwise.
///         offset: f32 = 0.0,
///     }
/// }
///
/// impl Layer for Scale {
///     fn call<'g>(&self, _: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
///         (inputs[0] + self.offset) * self.factor
///     }
/// }
///
/// let config = Scale::new(2.0).offset(0.5).config();
/// assert_eq!(serde_json::to_string(&config).unwrap(), r#"{"factor":2.0,"offset":0.5}"#);
///
/// let mut registry = Registry::new();
/// registry.register("Scale", Scale::from_settings);
/// assert_eq!(registry.layer("Scale", &config)?.config(), config);
/// # use regraft_layers::FromSettings;
/// # Ok::<(), regraft_layers::Error>(())
/// ```
#[macro_export]
macro_rules! settings {
    ($($declaration:tt)*) => {
        $crate::declare_settings! { $crate $($declaration)* }
    };
}

#[doc(hidden)]
pub use regraft_settings::declare as declare_settings;
