//! Downloads of weights as the command shows them.

use std::sync::{Mutex, PoisonError};

use regraft::applications::weights::{Lookup, WeightsFile};

use crate::output::Output;
use crate::stage::Unit;

impl Output {
    /// A lookup that shows how far a download is, and what it waits for.
    pub fn downloading(self, lookup: Lookup, file: &WeightsFile) -> Lookup {
        let stage = Mutex::new(None);
        let name = file.name.clone();
        let lookup = lookup.on_wait(move |told| self.note(told));
        lookup.on_progress(move |done, total| {
            let mut stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
            let shown = stage.get_or_insert_with(|| self.stage(&name, Unit::Bytes, total));
            shown.set(done, total);
            if Some(done) == total
                && let Some(shown) = stage.take()
            {
                shown.finish("");
            }
        })
    }
}
