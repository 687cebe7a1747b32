//! The stages of work on pictures as the command shows them: bars on a terminal, a line each anywhere else.

use regraft_pictures::{Observer, Stage as Part};

use crate::interrupt;
use crate::output::Output;
use crate::stage::{Stage, Unit};

/// Shows the stages, and stops them at Ctrl-C.
pub struct Watch<'a> {
    output: &'a Output,
    stage: Option<(Stage, Option<u64>)>,
    _guard: interrupt::Guard,
}

impl<'a> Watch<'a> {
    pub fn new(output: &'a Output) -> Self {
        Watch {
            output,
            stage: None,
            _guard: interrupt::guard(),
        }
    }
}

impl Observer for Watch<'_> {
    fn begin(&mut self, part: Part, steps: usize) {
        let unit = match part {
            Part::Scan => Unit::Of("files"),
            Part::Improve => Unit::Of("epochs"),
            _ => Unit::Of("pictures"),
        };
        let total = (steps > 0).then_some(steps as u64);
        self.stage = Some((self.output.stage(part.to_string(), unit, total), total));
    }

    fn progress(&mut self, _part: Part, done: usize) {
        if let Some((stage, total)) = &self.stage {
            stage.set(done as u64, *total);
        }
    }

    fn end(&mut self, _part: Part, told: &str) {
        if let Some((stage, _)) = self.stage.take() {
            stage.finish(told);
        }
    }

    fn note(&mut self, note: &str) {
        self.output.note(note);
    }

    fn is_cancelled(&self) -> bool {
        interrupt::requested()
    }
}
