//! The bar on a terminal, by `indicatif`.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A line that is drawn over and over for the running epoch, and gives way to lasting lines.
pub(super) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    pub fn new() -> Self {
        // The target allows more than is ever drawn, so that it never drops a drawing.
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(60));
        // The whole line is one message: setting position and message apart would draw twice.
        let style = ProgressStyle::with_template("{wide_msg}");
        bar.set_style(style.expect("the template is well-formed"));
        Bar { bar }
    }

    pub fn draw(&mut self, line: String) {
        self.bar.set_message(line);
    }

    /// Writes a line that stays, in place of the bar.
    pub fn line(&mut self, line: &str) {
        self.bar.set_message("");
        self.bar.suspend(|| eprintln!("{line}"));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
