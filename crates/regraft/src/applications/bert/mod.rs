//! Encoders of texts: BERT, DistilBERT, RoBERTa, MiniLM, out of a folder as Hugging Face has it.

mod config;
mod network;
#[cfg(test)]
mod tests;
mod weights;

use std::path::{Path, PathBuf};

use regraft_tensor::Detail;

pub use config::{BertConfig, BertFamily};

use crate::{Error, Model, Result};

/// What an encoder gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BertPooling {
    /// The mean of the features of all tokens that count, which is what sentence encoders are trained for.
    #[default]
    Mean,
    /// The features of the first token, `[CLS]`.
    First,
    /// These through the dense layer with a hyperbolic tangent that BERT was trained with.
    Pooler,
    /// The features of every token: `(batch, length, features)`.
    Tokens,
}

/// An encoder to be built; see [`bert`].
#[derive(Clone, Debug)]
pub struct Bert {
    folder: PathBuf,
    length: Option<usize>,
    pooling: BertPooling,
    normalize: bool,
    token_types: bool,
    dropout: Option<f32>,
}

/// The encoder in a folder with `config.json` and `model.safetensors` or `pytorch_model.bin`, a functional model with
/// inputs `input_ids` and `attention_mask`, both integers `(batch, length)`.
///
/// ```no_run
/// # fn main() -> regraft::Result<()> {
/// use regraft::applications::{self, BertPooling};
///
/// let encoder = applications::bert("all-MiniLM-L6-v2").length(64).pooling(BertPooling::Mean).normalize().build()?;
/// let mut model = encoder.model;
/// model.freeze("embeddings")?;
/// model.freeze("encoder/layer_[0-3]")?;
/// # Ok(())
/// # }
/// ```
///
/// Its parts are `embeddings`, `encoder/layer_0` and so on, each with `attention/query`, `attention/key`,
/// `attention/value`, `attention/attention_output`, `attention_norm`, `intermediate`, `output` and `output_norm`, and
/// `pooler`: for freezing, cutting and adapters by selectors as in any model. `regraft::text` makes the ids.
pub fn bert(folder: impl AsRef<Path>) -> Bert {
    Bert {
        folder: folder.as_ref().to_path_buf(),
        length: None,
        pooling: BertPooling::default(),
        normalize: false,
        token_types: false,
        dropout: None,
    }
}

/// An encoder with its weights.
#[derive(Debug)]
#[non_exhaustive]
pub struct BertEncoder {
    /// The network.
    pub model: Model,
    /// What it is made of.
    pub config: BertConfig,
    /// The tensors of the file that the model has no place for: those of what the encoder was trained with.
    pub unused: Vec<String>,
}

impl BertEncoder {
    /// Checks that a tokenizer with ids below `known` belongs to the encoder, as far as that can be seen.
    ///
    /// # Errors
    /// [`Error::Data`] if it has more tokens than the table.
    pub fn check_vocabulary(&self, known: usize) -> Result<()> {
        if known <= self.config.vocabulary {
            return Ok(());
        }
        let expected = format!("a tokenizer of at most {} tokens", self.config.vocabulary);
        let detail = Detail::new("tokenizer", expected, known);
        Err(Error::Data(
            detail.help("use the tokenizer of the encoder's folder"),
        ))
    }
}

/// The length unless told otherwise, where the encoder allows it.
const LENGTH: usize = 128;

impl Bert {
    /// How many tokens a text has (128 unless told otherwise): longer ones are cut by the tokenizer, shorter ones
    /// filled up. Attention costs the square of it.
    #[must_use]
    pub fn length(mut self, length: usize) -> Self {
        self.length = Some(length);
        self
    }

    /// What it gives: the mean unless told otherwise.
    #[must_use]
    pub fn pooling(mut self, pooling: BertPooling) -> Self {
        self.pooling = pooling;
        self
    }

    /// Brings the features to length 1, so that products are cosines.
    #[must_use]
    pub fn normalize(mut self) -> Self {
        self.normalize = true;
        self
    }

    /// Adds an input `token_type_ids`: 0 for tokens of the first text, 1 for those of the second. Without it all are
    /// of the first.
    #[must_use]
    pub fn token_types(mut self) -> Self {
        self.token_types = true;
        self
    }

    /// How likely features and weights of attention are dropped in training, in the place of what `config.json` says.
    #[must_use]
    pub fn dropout(mut self, rate: f32) -> Self {
        self.dropout = Some(rate);
        self
    }

    /// Builds it and loads its weights.
    ///
    /// # Errors
    /// [`Error::File`] for a folder that has not what is needed, and what does not fit.
    pub fn build(self) -> Result<BertEncoder> {
        let mut config = BertConfig::read(self.folder.join("config.json"))?;
        if let Some(rate) = self.dropout {
            (config.dropout, config.attention_dropout) = (rate, rate);
        }
        let mut network = network::network(&config, &self)?;
        let unused = weights::load(&mut network, &config, &self.folder)?;
        Ok(BertEncoder {
            model: Model::from(network),
            config,
            unused,
        })
    }

    fn length_for(&self, config: &BertConfig) -> Result<usize> {
        let longest = config.longest();
        let length = self.length.unwrap_or(LENGTH.min(longest));
        if (1..=longest).contains(&length) {
            return Ok(length);
        }
        let expected = format!("1 to {longest} tokens, for which the encoder has positions");
        Err(Error::Setting(Detail::new("length", expected, length)))
    }
}
