//! The mean of the weights that the last epochs end with.

use regraft_autograd::VariableId;
use regraft_tensor::Tensor;

use super::{Callback, CallbackState, Context};
use crate::{History, Result};

/// Stochastic weight averaging: at the end of training the model has the mean of the weights that it had after epoch
/// `start_epoch` (counted from 0) and after each one since.
///
/// `mean ← mean + (w − mean) / (n + 1)`, in 32 bits, as PyTorch's `AveragedModel` computes it. Statistics of batch
/// normalizations that move are averaged like parameters (`use_buffers=True` there); with few epochs it is better to
/// have them frozen. Frozen weights keep every bit. Every `fit` begins anew; a [resumed](super::BackupAndRestore) one goes
/// on with its mean. A callback that puts back weights at the end of training belongs before this one.
///
/// Default: from the first epoch. Source: Izmailov et al. 2018, <https://arxiv.org/abs/1803.05407>.
///
/// ```
/// use regraft::callbacks::StochasticWeightAveraging;
///
/// let averaging = StochasticWeightAveraging::new().start_epoch(15);
/// let options = regraft::Fit::new().epochs(20).callback(averaging);
/// # drop(options);
/// ```
#[derive(Clone, Debug, Default)]
pub struct StochasticWeightAveraging {
    start_epoch: usize,
    count: usize,
    /// By path, in the model's order.
    mean: Vec<(String, Tensor)>,
}

impl StochasticWeightAveraging {
    /// From the first epoch on.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first epoch, counted from 0, that counts.
    #[must_use]
    pub fn start_epoch(mut self, epoch: usize) -> Self {
        self.start_epoch = epoch;
        self
    }
}

impl Callback for StochasticWeightAveraging {
    fn on_train_begin(&mut self, _context: &mut Context<'_>, _history: &mut History) -> Result<()> {
        self.count = 0;
        self.mean.clear();
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        context: &mut Context<'_>,
        _history: &History,
    ) -> Result<()> {
        if epoch < self.start_epoch {
            return Ok(());
        }
        let weights = context.model.weights().iter();
        let now = weights.map(|weight| (weight.path().to_string(), weight.value().clone()));
        let now: Vec<(String, Tensor)> = now.collect();
        let alike = |(mean, now): (&(String, Tensor), &(String, Tensor))| {
            mean.0 == now.0 && mean.1.shape() == now.1.shape()
        };
        if self.mean.len() != now.len() || !self.mean.iter().zip(&now).all(alike) {
            // The first, or a model that another callback has changed.
            self.mean = now;
            self.count = 1;
            return Ok(());
        }
        let among = (self.count + 1) as f32;
        for ((_, mean), (_, now)) in self.mean.iter_mut().zip(&now) {
            // What is frozen shares its memory with the model.
            if std::ptr::eq(mean.as_slice(), now.as_slice()) {
                continue;
            }
            let means = mean.as_mut_slice().iter_mut().zip(now.as_slice());
            means.for_each(|(mean, now)| *mean += (now - *mean) / among);
        }
        self.count += 1;
        Ok(())
    }

    fn on_train_end(&mut self, context: &mut Context<'_>, _history: &mut History) -> Result<()> {
        let network = &mut context.model.network;
        let changed = std::mem::take(&mut self.mean)
            .into_iter()
            .filter_map(|(path, mean)| {
                let weight = network.weight(&path)?;
                let other = weight.value().shape() == mean.shape() && *weight.value() != mean;
                other.then(|| (weight.id(), mean))
            });
        let changed: Vec<(VariableId, Tensor)> = changed.collect();
        if !changed.is_empty() {
            network.set_weights(changed)?;
        }
        Ok(())
    }

    fn state(&self) -> Option<CallbackState> {
        let state = CallbackState::new().value("count", self.count);
        let names: Vec<&str> = self.mean.iter().map(|(path, _)| path.as_str()).collect();
        let state = state.value("paths", names);
        let means = self.mean.iter().enumerate();
        Some(means.fold(state, |state, (index, (_, mean))| {
            state.tensor(&index.to_string(), mean.clone())
        }))
    }

    fn restore(&mut self, state: &CallbackState, _context: &mut Context<'_>) -> Result<()> {
        self.count = state.count("count")?;
        let paths = state.get_value("paths").and_then(|it| it.as_array());
        let paths = paths.into_iter().flatten().filter_map(|path| path.as_str());
        let means = paths.enumerate().filter_map(|(index, path)| {
            Some((
                path.to_string(),
                state.get_tensor(&index.to_string())?.clone(),
            ))
        });
        self.mean = means.collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::callbacks::BackupAndRestore;
    use crate::layers::{Dense, Input, LayerExt, layers};
    use crate::{Fit, Model, Sequential, Verbosity};

    /// Keeps the weights of each epoch, and ends training after one if told.
    #[derive(Debug, Default)]
    struct Kept {
        epochs: Vec<Vec<f32>>,
        fails_after: Option<usize>,
    }

    fn values(model: &Model) -> Vec<f32> {
        let values = model
            .weights()
            .iter()
            .flat_map(|weight| weight.value().as_slice());
        values.copied().collect()
    }

    impl Callback for Kept {
        fn on_epoch_end(
            &mut self,
            _epoch: usize,
            context: &mut Context<'_>,
            _history: &History,
        ) -> Result<()> {
            self.epochs.push(values(context.model));
            Ok(())
        }

        fn on_epoch_begin(&mut self, epoch: usize, _context: &mut Context<'_>) -> Result<()> {
            match self.fails_after == Some(epoch) {
                true => Err(crate::Error::Setting(regraft_tensor::Detail::new(
                    "", "", "",
                ))),
                false => Ok(()),
            }
        }
    }

    fn model() -> Model {
        let stack = layers![
            Input::new([3]),
            Dense::new(4).activation("tanh").named("base"),
            Dense::new(2).named("head")
        ];
        let mut model = Sequential::with_seed(stack, 7).unwrap();
        model.freeze("base").unwrap();
        model.compile("adam", "mse", ()).unwrap();
        model
    }

    fn data() -> (Array2<f32>, Array2<f32>) {
        let x = Array2::from_shape_fn((20, 3), |(i, j)| ((i * 5 + j * 3) % 7) as f32 / 3.0);
        (
            x,
            Array2::from_shape_fn((20, 2), |(i, j)| ((i + j) % 3) as f32),
        )
    }

    #[test]
    fn the_model_ends_with_the_mean_of_the_epochs_that_count() {
        let (x, y) = data();
        let mut model = model();
        let base = model.weight("base/kernel").unwrap().value().clone();
        let mut kept = Kept::default();
        let options = Fit::new()
            .epochs(6)
            .verbosity(Verbosity::Silent)
            .callback(&mut kept)
            .callback(StochasticWeightAveraging::new().start_epoch(2));
        model.fit(&x, &y, options).unwrap();
        assert_eq!(model.weight("base/kernel").unwrap().value(), &base);
        let ended = values(&model);
        assert_ne!(ended, kept.epochs[5]);
        for (at, value) in ended.iter().enumerate() {
            let sum: f64 = kept.epochs[2..].iter().map(|of| f64::from(of[at])).sum();
            let expected = sum / 4.0;
            assert!(
                (f64::from(*value) - expected).abs() < 1e-6,
                "{value} {expected}"
            );
        }
    }

    #[test]
    fn interrupted_training_goes_on_with_its_mean() {
        let (x, y) = data();
        let options = || Fit::new().epochs(6).verbosity(Verbosity::Silent);
        let mut whole = model();
        let averaging = || StochasticWeightAveraging::new().start_epoch(1);
        whole.fit(&x, &y, options().callback(averaging())).unwrap();

        let folder = tempfile::tempdir().unwrap();
        let mut resumed = model();
        let mut fails = Kept {
            fails_after: Some(4),
            ..Kept::default()
        };
        let backup = || BackupAndRestore::new(folder.path());
        let interrupted = options()
            .callback(averaging())
            .callback(backup())
            .callback(&mut fails);
        resumed.fit(&x, &y, interrupted).unwrap_err();
        let mut resumed = model();
        let again = options().callback(averaging()).callback(backup());
        resumed.fit(&x, &y, again).unwrap();
        assert_eq!(values(&resumed), values(&whole));
    }
}
