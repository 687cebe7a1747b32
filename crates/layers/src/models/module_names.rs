//! What layers are called in the program that their weights come from.

use std::collections::HashMap;

use regraft_tensor::Detail;

use crate::keras::names::near;
use crate::{Error, Model, Result};

impl Model {
    /// Says what layers are called in PyTorch, by their paths: `[("stem_conv", "features.0.0")]`. Loading
    /// weights of PyTorch does it by itself. Files that name modules (those of adapters) go by it; a layer
    /// without is called by its path, with `.` for `/`.
    ///
    /// # Errors
    /// [`Error::Name`] for a layer that is not there, with the nearest names; nothing is changed then.
    pub fn set_module_names<P: AsRef<str>, M: Into<String>>(
        &mut self,
        names: impl IntoIterator<Item = (P, M)>,
    ) -> Result<()> {
        let names = names.into_iter();
        let mut names: HashMap<String, String> = names
            .map(|(path, module)| (path.as_ref().to_string(), module.into()))
            .collect();
        let mut paths = Vec::new();
        self.topology.visit("", &mut |path, _| paths.push(path));
        if let Some(unknown) = names.keys().find(|path| !paths.contains(path)) {
            let help = near(unknown, paths.iter().map(String::as_str));
            let detail = Detail::new(self.name(), "the path of a layer", format!("{unknown:?}"));
            return Err(Error::Name(detail.help(help)));
        }
        self.topology.visit_mut("", &mut |path, entry| {
            if let Some(module) = names.remove(path) {
                entry.module = Some(module);
            }
        });
        Ok(())
    }
}
