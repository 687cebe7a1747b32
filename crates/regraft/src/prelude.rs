//! What most programs need, in one line: `use regraft::prelude::*;`.
//!
//! The types of the facade, all layers with [`layers!`](macro@crate::layers::layers), the usual optimizers,
//! losses and callbacks by name, and the modules in which the others are.
//!
//! ```
//! use regraft::prelude::*;
//!
//! let mut model = Sequential::new(layers![
//!     Input::new([4]),
//!     Dense::new(8).activation("relu").named("hidden"),
//!     Dense::new(2),
//! ])?;
//! model.freeze("hidden")?;
//! model.compile(Adam::new(1e-3), SparseCategoricalCrossentropy::from_logits(), ["accuracy"])?;
//! let x = Array2::<f32>::zeros((8, 4));
//! let options = Fit::new().epochs(1).validation_split(0.5).callback(EarlyStopping::new());
//! model.fit(&x, &[0, 1, 0, 1, 0, 1, 0, 1], options.verbosity(Verbosity::Silent))?;
//! # Ok::<(), regraft::Error>(())
//! ```

pub use ndarray::{Array1, Array2, Array3, Array4, ArrayD};

pub use crate::layers::{layers, *};
pub use crate::losses::{
    BinaryCrossentropy, CategoricalCrossentropy, MeanSquaredError, SparseCategoricalCrossentropy,
};
pub use crate::optimizers::{Adam, AdamW, RMSprop, SGD, schedules};
pub use crate::training::callbacks::{EarlyStopping, ModelCheckpoint, ReduceLROnPlateau};
pub use crate::{
    Distillation, FeatureCache, Fit, Freezing, History, Layout, Load, LoadReport, Model, Selector,
    Sequential, Tensor, Verbosity, applications, callbacks, losses, metrics, optimizers,
};
