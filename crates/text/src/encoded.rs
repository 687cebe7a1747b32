//! A text as tokens.

use std::ops::Range;

/// The tokens of a text, in order, with those that the model expects around it (`[CLS]`, `[SEP]`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The numbers of the tokens in the vocabulary.
    pub ids: Vec<u32>,
    /// Which of two texts each token is of: 0 or 1.
    pub type_ids: Vec<u32>,
    /// The tokens as the vocabulary spells them: `play`, `##ing`.
    pub tokens: Vec<String>,
    /// The bytes of the text that each token stands for; empty for what was put around it.
    pub offsets: Vec<Range<usize>>,
    /// Whether tokens at the end were left out because there were too many.
    pub truncated: bool,
}

impl Encoded {
    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

impl From<&tokenizers::Encoding> for Encoded {
    fn from(encoding: &tokenizers::Encoding) -> Self {
        let offsets = encoding.get_offsets().iter();
        Encoded {
            ids: encoding.get_ids().to_vec(),
            type_ids: encoding.get_type_ids().to_vec(),
            tokens: encoding.get_tokens().to_vec(),
            offsets: offsets.map(|&(from, to)| from..to).collect(),
            truncated: !encoding.get_overflowing().is_empty(),
        }
    }
}
