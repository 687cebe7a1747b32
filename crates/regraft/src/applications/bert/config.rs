//! `config.json` of a folder: what an encoder is made of.

use std::path::Path;

use regraft_tensor::{Detail, one_line};
use serde_json::Value;

use crate::{Error, Result};

/// The families of encoders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BertFamily {
    /// BERT, and what has its form: MiniLM, MPNet's small relatives.
    Bert,
    /// DistilBERT: half the layers, neither token types nor pooler.
    DistilBert,
    /// RoBERTa: positions begin at 2.
    Roberta,
}

/// The sizes and settings of an encoder, as `config.json` has them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BertConfig {
    /// The family.
    pub family: BertFamily,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Features of a token.
    pub hidden: usize,
    /// Blocks.
    pub layers: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Features between the two dense layers of a block.
    pub intermediate: usize,
    /// The activation between them, as Keras calls it; GELU's approximation is `gelu_tanh`.
    pub activation: String,
    /// The longest sequence of tokens.
    pub positions: usize,
    /// How many kinds of tokens there are: 2 where two texts go in together; 0 where there are none.
    pub token_types: usize,
    /// What normalizations add to variances.
    pub epsilon: f32,
    /// How likely a feature is dropped in training.
    pub dropout: f32,
    /// How likely a weight of attention is dropped in training.
    pub attention_dropout: f32,
    /// The row of the table of positions of the first token.
    pub(super) first_position: usize,
}

impl BertConfig {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// [`Error::File`] for what is no configuration of such an encoder.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let shown = one_line(&path.to_string_lossy());
        let bytes = std::fs::read(path).map_err(|error| {
            let detail = Detail::new(&shown, "a `config.json` that can be read", error);
            Error::File(detail.help("give the folder of a published encoder"))
        })?;
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|error| Error::File(Detail::new(&shown, "JSON", error)))?;
        Self::of(&value).map_err(|detail| Error::File(detail.within(&shown)))
    }

    fn of(value: &Value) -> Result<Self, Detail> {
        let family = match value["model_type"].as_str() {
            Some("bert") => BertFamily::Bert,
            Some("distilbert") => BertFamily::DistilBert,
            Some("roberta" | "xlm-roberta" | "camembert") => BertFamily::Roberta,
            other => {
                let expected = "\"bert\", \"distilbert\" or \"roberta\"";
                return Err(Detail::new("model_type", expected, format!("{other:?}")));
            }
        };
        if let Some(kind) = value["position_embedding_type"]
            .as_str()
            .filter(|kind| *kind != "absolute")
        {
            return Err(Detail::new(
                "position_embedding_type",
                "\"absolute\"",
                format!("{kind:?}"),
            ));
        }
        let distilled = family == BertFamily::DistilBert;
        let key = |usual, other| if distilled { other } else { usual };
        let size = |key: &str, usual: Option<usize>| -> Result<usize, Detail> {
            match (&value[key], usual) {
                (Value::Null, Some(usual)) => Ok(usual),
                (given, _) => {
                    let size = given.as_u64().filter(|size| (1..1 << 24).contains(size));
                    size.map(|size| size as usize)
                        .ok_or_else(|| Detail::new(key, "a size", given))
                }
            }
        };
        let share = |key: &str| -> Result<f32, Detail> {
            match &value[key] {
                Value::Null => Ok(0.1),
                given => {
                    let share = given.as_f64().filter(|share| (0.0..1.0).contains(share));
                    share
                        .map(|share| share as f32)
                        .ok_or_else(|| Detail::new(key, "a share below 1", given))
                }
            }
        };
        let activation = match value[key("hidden_act", "activation")].as_str() {
            None | Some("gelu") => "gelu",
            Some("gelu_new" | "gelu_pytorch_tanh" | "gelu_fast") => "gelu_tanh",
            Some("relu") => "relu",
            Some("silu" | "swish") => "silu",
            Some(other) => {
                let expected = "gelu, gelu_new, relu or silu";
                return Err(Detail::new("hidden_act", expected, format!("{other:?}")));
            }
        };
        let (hidden, heads) = (
            size(key("hidden_size", "dim"), Some(768))?,
            size(key("num_attention_heads", "n_heads"), Some(12))?,
        );
        if hidden % heads != 0 {
            let received = format!("{hidden} features and {heads} heads");
            return Err(Detail::new(
                "",
                "features that are a multiple of the heads",
                received,
            ));
        }
        let epsilon = value["layer_norm_eps"].as_f64().unwrap_or(1e-12) as f32;
        let padding = value["pad_token_id"].as_u64().unwrap_or(1) as usize;
        Ok(BertConfig {
            family,
            vocabulary: size("vocab_size", Some(30522))?,
            hidden,
            layers: size(
                key("num_hidden_layers", "n_layers"),
                Some(key_layers(distilled)),
            )?,
            heads,
            intermediate: size(key("intermediate_size", "hidden_dim"), Some(3072))?,
            activation: activation.to_string(),
            positions: size("max_position_embeddings", Some(512))?,
            token_types: if distilled {
                0
            } else {
                size("type_vocab_size", Some(2))?
            },
            epsilon,
            dropout: share(key("hidden_dropout_prob", "dropout"))?,
            attention_dropout: share(key("attention_probs_dropout_prob", "attention_dropout"))?,
            first_position: if family == BertFamily::Roberta {
                padding + 1
            } else {
                0
            },
        })
    }

    /// The longest text, in tokens.
    pub fn longest(&self) -> usize {
        self.positions.saturating_sub(self.first_position)
    }
}

/// Blocks where the configuration does not say how many.
fn key_layers(distilled: bool) -> usize {
    if distilled { 6 } else { 12 }
}
