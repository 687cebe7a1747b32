//! What is loaded, and how.

use std::sync::Arc;

use regraft_layers::{IntoSelector, Selector};

use crate::files::layout::Layout;
use crate::files::name_map::NameMap;

/// What to load and how: `Load::new().keep("head")`. The defaults are strict: every weight of the
/// model must be in the file and every weight of the file in the model.
///
/// Weights that another program wrote go into the model by a map of names, and by the conventions of
/// that program ([`Layout`]):
///
/// ```no_run
/// # fn main() -> regraft::Result<()> {
/// # let mut model = regraft::Sequential::new(Vec::new())?;
/// use regraft::{Layout, Load};
///
/// let load = Load::map([
///     ("features.0.0.**", "stem_conv/$1"),
///     ("features.*.conv.**", "block_$1/$2"),
/// ]);
/// let report = model.load_weights_with("weights.safetensors", load.layout(Layout::PyTorch))?;
/// println!("{report}"); // … converted: OIHW → HWIO  stem_conv/kernel …
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "pass it to `load_weights_with`"]
pub struct Load {
    pub(crate) keep: Option<Selector>,
    pub(crate) only: Option<Selector>,
    pub(crate) allow_missing: bool,
    pub(crate) allow_unexpected: bool,
    pub(crate) skip_optimizer: bool,
    pub(crate) names: Option<NameMap>,
    pub(crate) layout: Option<Layout>,
    pub(crate) as_stored: Option<Selector>,
    /// Beginnings of names of tensors that are left aside.
    pub(crate) ignored: Vec<&'static str>,
}

impl Load {
    /// Everything, strictly.
    pub fn new() -> Self {
        Self::default()
    }

    /// The picked layers or single weights keep their values: a new head, whose counterpart in the file has
    /// another width or other classes.
    pub fn keep(mut self, selector: impl IntoSelector) -> Self {
        self.keep = Some(match self.keep {
            Some(earlier) => earlier | selector,
            None => selector.into_selector(),
        });
        self
    }

    /// The picked layers or single weights are loaded and all others keep theirs: what
    /// [`save_weights_of`](crate::Model::save_weights_of) saved.
    pub fn only(selector: impl IntoSelector) -> Self {
        Load {
            only: Some(selector.into_selector()),
            ..Load::default()
        }
    }

    /// Weights of the model that the file does not have keep their values.
    pub fn allow_missing(mut self) -> Self {
        self.allow_missing = true;
        self
    }

    /// Weights of the file that the model does not have are left aside.
    pub fn allow_unexpected(mut self) -> Self {
        self.allow_unexpected = true;
        self
    }

    /// As [`new`](Self::new), with names of tensors in the file rewritten to those of the model's
    /// weights by the first pattern that matches; other names stay. See [`rename`](Self::rename).
    ///
    /// In a pattern `*` stands for anything but `.` and `/`, `**` for anything, both for nothing too;
    /// `$1`, `$2`, … in a replacement are what they stood for. A pattern that matches no tensor is an
    /// error. The names are those that [`LoadReport::unexpected`](crate::LoadReport::unexpected) has and messages of loads print; if a
    /// pattern matches none of them, all are taken for patterns of addresses in the file.
    pub fn map<P: Into<String>, R: Into<String>>(
        patterns: impl IntoIterator<Item = (P, R)>,
    ) -> Self {
        let patterns = patterns.into_iter();
        let patterns = patterns.map(|(pattern, name)| (pattern.into(), name.into()));
        Load {
            names: Some(NameMap::Patterns(patterns.collect())),
            ..Load::default()
        }
    }

    /// Rewrites the names of the file's tensors (`features.0.0.weight`, `base/conv1/kernel`, as
    /// [`LoadReport::unexpected`](crate::LoadReport::unexpected) has them) to those of the model's weights (`conv1/kernel`), in which `.` is
    /// as good as `/`. The last part may be the file's own word, if a [`layout`](Self::layout) tells what
    /// it means. Layers are matched by these names alone then, never by class and order.
    pub fn rename(mut self, rename: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        self.names = Some(NameMap::Function(Arc::new(rename)));
        self
    }

    /// Whose conventions for the names and the layouts of a layer's weights the file follows: PyTorch's
    /// for PyTorch's own files, Keras' for all others unless told here. A `.safetensors` file does not
    /// say who wrote it, so PyTorch's must be asked for.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = Some(layout);
        self
    }

    /// The picked layers' features are in the order in which the file has them: nothing is permuted because
    /// of a flatten in front of them or an image behind. It is for files whose program had its channels last
    /// there, and for weights that were permuted already.
    pub fn as_stored(mut self, selector: impl IntoSelector) -> Self {
        self.as_stored = Some(match self.as_stored {
            Some(earlier) => earlier | selector,
            None => selector.into_selector(),
        });
        self
    }

    /// The optimizer's memory is not restored.
    pub fn without_optimizer(mut self) -> Self {
        self.skip_optimizer = true;
        self
    }
}
