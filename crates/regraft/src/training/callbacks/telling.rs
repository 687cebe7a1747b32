//! Telling all callbacks of a `fit` what happens, in the order in which they were given.

use std::collections::BTreeMap;

use regraft_tensor::Detail;

use super::{Callback, CallbackState, Context};
use crate::{Error, History, Result};

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
        match moment {
            Moment::EpochEnd(epoch) => {
                context.states = self.states();
                for callback in &mut self.list {
                    callback.after_epoch(epoch, context, history)?;
                }
            }
            Moment::TrainBegin => {
                if let Some(states) = context.resumed.take() {
                    self.restore(states, context)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What each callback remembers, under its name; the second of a name has a number.
    fn states(&self) -> BTreeMap<String, CallbackState> {
        let states = self.names().into_iter().zip(&self.list);
        states
            .filter_map(|(name, callback)| Some((name, callback.state()?)))
            .collect()
    }

    fn restore(
        &mut self,
        mut states: BTreeMap<String, CallbackState>,
        context: &mut Context<'_>,
    ) -> Result<()> {
        let names = self.names();
        let known: Vec<&String> = states.keys().filter(|name| !names.contains(name)).collect();
        if let Some(name) = known.first() {
            let expected = format!("a callback {name}, whose state the backup has");
            let detail = Detail::new("callbacks", expected, names.join(", "));
            return Err(Error::File(detail.help(
                "call `fit` as before, with the same callbacks, or delete the backup to begin anew",
            )));
        }
        for (name, callback) in names.into_iter().zip(&mut self.list) {
            if let Some(state) = states.remove(&name) {
                callback.restore(&state, context)?;
            }
        }
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::with_capacity(self.list.len());
        for callback in &self.list {
            let name = callback.name();
            let earlier = |other: &&String| other.split('#').next() == Some(name);
            names.push(match names.iter().filter(earlier).count() {
                0 => name.to_string(),
                number => format!("{name}#{number}"),
            });
        }
        names
    }
}
