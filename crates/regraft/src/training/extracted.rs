//! What came of extracting features with a store.

use regraft_tensor::{Detail, Tensor};

use crate::{Error, Result};

/// The outputs of a model for a data set, as
/// [`Model::extract_features`](crate::Model::extract_features) gives them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Extracted {
    /// Each output of the model, one row per sample.
    pub outputs: Vec<Tensor>,
    /// How many samples were computed. The others were found, or have the same content as another.
    pub computed: usize,
    /// Why something that was computed has not been kept, if that is so.
    pub not_kept: Option<String>,
}

impl Extracted {
    /// The only output.
    ///
    /// # Errors
    /// A model of several outputs.
    pub fn into_tensor(mut self) -> Result<Tensor> {
        match (self.outputs.pop(), self.outputs.len()) {
            (Some(output), 0) => Ok(output),
            (_, others) => {
                let detail = Detail::new("features", "1 output", format!("{} outputs", others + 1));
                Err(Error::Model(detail.help("see `outputs`")))
            }
        }
    }
}
