//! A sweep over learning rates, on a copy of the model.

use regraft_data::Dataset;
use regraft_tensor::Detail;

use crate::fine_tuning::LearningRates;
use crate::fine_tuning::curve::{RateCurve, StageRate};
use crate::training::compiled::not_compiled;
use crate::{Callback, Context, Error, Fit, Model, Result, Verbosity};

/// The sweep of fastai: from 10⁻⁷ to 10 in 100 steps.
const FROM: f64 = 1e-7;
const TO: f64 = 10.0;
const STEPS: usize = 100;

impl Model {
    /// Trains a copy of this model for up to 100 steps (batches of `batch_size`) with learning rates that grow from 10⁻⁷ to
    /// 10, as fastai's `lr_find` does, and tells the loss at each. It ends where the smoothed loss is four times its
    /// least. This model stays as it is, bit for bit.
    ///
    /// ```no_run
    /// # fn run(model: regraft::Model, data: &dyn regraft::data::Dataset) -> regraft::Result<()> {
    /// let found = model.lr_find(data, 64)?;
    /// println!("{found}"); // valley 1.32e-3, minimum …
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`fit_dataset`](Self::fit_dataset).
    pub fn lr_find(&self, data: &dyn Dataset, batch_size: usize) -> Result<LearningRates> {
        let mut model = self.clone();
        let mut sweep = Sweep::default();
        let optimizer = model.optimizer_mut().ok_or_else(not_compiled)?;
        optimizer.set_learning_rate(rate_of(0))?;
        let steps_per_epoch = data.len() / batch_size.max(1);
        if steps_per_epoch == 0 {
            let expected = format!("at least a batch of {batch_size} samples");
            return Err(Error::Data(Detail::new("lr_find", expected, data.len())));
        }
        let options = Fit::new()
            .epochs(STEPS / steps_per_epoch + 1)
            .batch_size(batch_size)
            .verbosity(Verbosity::Silent)
            .callback(&mut sweep);
        match model.fit_dataset(data, options) {
            // Where it diverges is what was asked.
            Ok(_) | Err(Error::Diverged(_)) => {}
            Err(error) => return Err(error),
        }
        if sweep.losses.last().is_none_or(|loss| loss.is_nan()) {
            // fastai goes on with what is no number.
            for step in sweep.rates.len()..STEPS {
                sweep.rates.push(rate(step));
                sweep.losses.push(f64::NAN);
            }
        }
        Ok(LearningRates {
            rates: sweep.rates,
            losses: sweep.losses,
            steps: STEPS,
        })
    }
}

/// Sets the rate of the next step and notes the loss of this one.
#[derive(Debug, Default)]
struct Sweep {
    rates: Vec<f64>,
    losses: Vec<f64>,
    /// Of the losses, not divided yet.
    mean: f64,
    best: Option<f64>,
}

impl Callback for Sweep {
    fn wants_batches(&self) -> bool {
        true
    }

    fn on_batch_end(
        &mut self,
        _epoch: usize,
        _step: usize,
        context: &mut Context<'_>,
    ) -> Result<()> {
        const SMOOTHING: f64 = 0.98;
        let Some(loss) = context.batch_loss() else {
            return Ok(());
        };
        let made = self.rates.len();
        self.mean = SMOOTHING * self.mean + (1.0 - SMOOTHING) * loss;
        let smooth = self.mean / (1.0 - SMOOTHING.powi(made as i32 + 1));
        self.rates.push(rate(made));
        self.losses.push(smooth);
        if self.best.is_none_or(|best| smooth < best) {
            self.best = Some(smooth);
        }
        let diverges = self.best.is_some_and(|best| smooth > 4.0 * best) || smooth.is_nan();
        if diverges || made + 1 == STEPS {
            context.stop();
            return Ok(());
        }
        context
            .optimizer_mut()?
            .set_learning_rate(rate_of(made + 1))?;
        Ok(())
    }
}

fn rate(step: usize) -> f64 {
    FROM * (TO / FROM).powf(step as f64 / STEPS as f64)
}

/// The rate of a step as an optimizer takes it that has a schedule.
fn rate_of(step: usize) -> StageRate {
    StageRate {
        curve: RateCurve::Constant,
        largest: rate(step),
        steps: 1,
    }
}
