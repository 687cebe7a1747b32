//! Telling all callbacks of a `fit` what happens, in the order in which they were given.

use super::{Callback, Context};
use crate::{History, Result};

/// What callbacks are told of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    TrainBegin,
    EpochBegin(usize),
    BatchEnd(usize, usize),
    EpochEnd(usize),
    TrainEnd,
}

/// The callbacks of one `fit`.
#[derive(Debug)]
pub(crate) struct Callbacks<'a> {
    list: Vec<Box<dyn Callback + 'a>>,
    wants_batches: bool,
}

impl<'a> Callbacks<'a> {
    pub fn new(list: Vec<Box<dyn Callback + 'a>>) -> Self {
        Callbacks {
            wants_batches: list.iter().any(|callback| callback.wants_batches()),
            list,
        }
    }

    pub fn wants_batches(&self) -> bool {
        self.wants_batches
    }

    /// Tells all callbacks in order.
    pub fn tell(
        &mut self,
        moment: Moment,
        context: &mut Context<'_>,
        history: &mut History,
    ) -> Result<()> {
        for callback in &mut self.list {
            match moment {
                Moment::TrainBegin => callback.on_train_begin(context, history)?,
                Moment::EpochBegin(epoch) => callback.on_epoch_begin(epoch, context)?,
                Moment::BatchEnd(epoch, step) if callback.wants_batches() => {
                    callback.on_batch_end(epoch, step, context)?;
                }
                Moment::BatchEnd(..) => {}
                Moment::EpochEnd(epoch) => callback.on_epoch_end(epoch, context, history)?,
                Moment::TrainEnd => callback.on_train_end(context, history)?,
            }
        }
        if let Moment::EpochEnd(epoch) = moment {
            for callback in &mut self.list {
                callback.after_epoch(epoch, context, history)?;
            }
        }
        Ok(())
    }
}
