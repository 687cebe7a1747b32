//! Recipes for what comes after the head: which layers to unfreeze, how fast, held to what, and which point of
//! the way to keep.
//!
//! ```
//! use regraft::data::Arrays;
//! use regraft::prelude::*;
//! use regraft::fine_tuning::FineTune;
//!
//! let mut model = Sequential::new(layers![
//!     Input::new([2]),
//!     Dense::new(8).activation("tanh").named("base"),
//!     Dense::new(2).activation("softmax").named("head"),
//! ])?;
//! model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])?;
//! let x = Array2::from_shape_fn((40, 2), |(i, j)| ((i * 7 + j * 3) % 11) as f32 / 11.0 + (i % 2) as f32);
//! let y: Vec<i32> = (0..40).map(|i| i % 2).collect();
//! let data = Arrays::new(&x, &y)?;
//!
//! let recipe = FineTune::new().epochs(4).verbosity(Verbosity::Silent);
//! println!("{}", recipe.plan(&model, &data)?);
//! let tuned = model.fine_tune(&data, recipe)?;
//! println!("{tuned}");
//! // On the validation data it is never worse than the head alone.
//! let (kept, probe) = (tuned.kept().expect("there is validation"), tuned.probe().expect("as well"));
//! assert!(kept.loss <= probe.loss);
//! # Ok::<(), regraft::Error>(())
//! ```

mod anchor;
mod batch_gradients;
mod curve;
mod fisher;
#[cfg(feature = "heads")]
mod head2toe;
mod learning_rates;
mod line;
mod lr_find;
mod plan;
mod probe;
mod recipe;
mod resumed;
mod run;
mod stages;
mod suggestion;
mod test_time;
#[cfg(test)]
mod tests;
mod tuned;
#[cfg(feature = "heads")]
mod weighed;

pub use curve::RateCurve;
#[cfg(feature = "heads")]
pub use head2toe::{Head2Toe, SelectedFeatures, Selection};
pub use learning_rates::LearningRates;
pub use plan::FineTuningPlan;
pub use recipe::FineTune;
pub use stages::{Stage, TrainedBlock};
pub use suggestion::{BlockGradient, UnfreezeSuggestion};
pub use test_time::{TestTimeAugmentation, TestTimeAugmented, View};
pub use tuned::FineTuned;
