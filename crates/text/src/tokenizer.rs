//! From texts to token ids, as a published model expects them.

use std::fmt;
use std::path::Path;

use rayon::prelude::*;
use regraft_data::{Content, Hasher};
use regraft_tensor::{Detail, one_line};
use tokenizers::{PostProcessor, TruncationParams};

use crate::vocabulary::word_piece;
use crate::{Encoded, Error, Result};

/// The tokenizer of a published model: WordPiece, BPE or Unigram with all that goes before and after it.
///
/// It neither pads nor truncates unless told: what a `tokenizer.json` says of these is passed over, since it is of
/// whoever used it last.
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// A hash of the file that it is made from.
    origin: Content,
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocabulary_size", &self.vocabulary_size())
            .field(
                "max_length",
                &self.inner.get_truncation().map(|it| it.max_length),
            )
            .finish()
    }
}

/// Tokens with which models pad.
const PADDING: [&str; 4] = ["[PAD]", "<pad>", "<|endoftext|>", "</s>"];

impl Tokenizer {
    /// Reads a folder with a `tokenizer.json` or, if it has none, a `vocab.txt`; or one of these files. Whether a
    /// vocabulary is of lower-case words, `tokenizer_config.json` beside it says; it is unless told otherwise.
    ///
    /// # Errors
    /// [`Error::File`], and [`Error::Format`] for what is no tokenizer.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = match path.is_dir() {
            true => ["tokenizer.json", "vocab.txt"]
                .map(|name| path.join(name))
                .into_iter()
                .find(|file| file.exists()),
            false => Some(path.to_path_buf()),
        };
        let shown = one_line(&path.to_string_lossy());
        let Some(file) = file else {
            let expected = "a folder with `tokenizer.json` or `vocab.txt`";
            return Err(Error::File(Detail::new(shown, expected, "neither")));
        };
        let read = |file: &Path| {
            std::fs::read(file).map_err(|error| {
                Error::File(Detail::new(
                    one_line(&file.to_string_lossy()),
                    "a file that can be read",
                    error,
                ))
            })
        };
        let bytes = read(&file)?;
        let made = match file.extension().is_some_and(|ending| ending == "txt") {
            true => {
                let config = file.with_file_name("tokenizer_config.json");
                let config = std::fs::read(config).ok();
                let config = config
                    .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
                let lower_case = config.and_then(|config| config["do_lower_case"].as_bool());
                Self::from_vocabulary(&bytes, lower_case.unwrap_or(true))
            }
            false => Self::from_json(&bytes),
        };
        made.map_err(|error| error.within(&one_line(&file.to_string_lossy())))
    }

    /// The tokenizer of a `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Format`].
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(|error| {
            let received = one_line(&error.to_string());
            Error::Format(Detail::new("", "the JSON of a tokenizer", received))
        })?;
        inner.with_padding(None);
        let plain = inner.with_truncation(None).map(|_| ());
        plain.map_err(|error| Error::Format(Detail::new("", "a tokenizer", error.to_string())))?;
        let origin = Hasher::new("tokenizer.json").bytes(bytes).finish();
        Ok(Tokenizer { inner, origin })
    }

    /// BERT's tokenizer for a `vocab.txt`: a token a line, pieces within words with `##` in front.
    ///
    /// # Errors
    /// [`Error::Format`], also where `[UNK]`, `[CLS]` or `[SEP]` is missing.
    pub fn from_vocabulary(bytes: &[u8], lower_case: bool) -> Result<Self> {
        let hasher = Hasher::new("vocab.txt")
            .bytes(bytes)
            .number(lower_case.into());
        Ok(Tokenizer {
            inner: word_piece(bytes, lower_case)?,
            origin: hasher.finish(),
        })
    }

    /// Leaves out what is behind so many tokens, those around the text counted.
    ///
    /// # Errors
    /// [`Error::Set`] for a length that has no room for a token of a text.
    pub fn max_length(mut self, length: usize) -> Result<Self> {
        let around = self
            .inner
            .get_post_processor()
            .map_or(0, |it| it.added_tokens(false));
        if length <= around {
            let expected = format!(
                "at least {}, of which {around} are around the text",
                around + 1
            );
            return Err(Error::Set(Detail::new("max_length", expected, length)));
        }
        let truncation = TruncationParams {
            max_length: length,
            ..TruncationParams::default()
        };
        let cut = self.inner.with_truncation(Some(truncation)).map(|_| ());
        cut.map_err(|error| Error::Set(Detail::new("max_length", "a length", error.to_string())))?;
        Ok(self)
    }

    /// The tokens of a text; of an empty one those around it alone.
    ///
    /// # Errors
    /// [`Error::Text`] for what the tokenizer cannot take apart: an unknown character of a vocabulary that has no
    /// token for such.
    pub fn encode(&self, text: &str) -> Result<Encoded> {
        let encoding = self.inner.encode(text, true).map_err(untokenized)?;
        Ok(Encoded::from(&encoding))
    }

    /// The tokens of two texts that belong together, with what the model expects between them.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_pair(&self, first: &str, second: &str) -> Result<Encoded> {
        let encoding = self
            .inner
            .encode((first, second), true)
            .map_err(untokenized)?;
        Ok(Encoded::from(&encoding))
    }

    /// The tokens of a text of bytes.
    ///
    /// # Errors
    /// As [`encode`](Self::encode), and where the bytes are no UTF-8, with the place.
    pub fn encode_bytes(&self, bytes: &[u8]) -> Result<Encoded> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let received = format!("none from byte {} on", error.valid_up_to());
            let help = "save the file as UTF-8; bytes of other encodings cannot be told apart";
            Error::Text(Detail::new("", "UTF-8", received).help(help))
        })?;
        self.encode(text)
    }

    /// The tokens of many texts, on all threads.
    ///
    /// # Errors
    /// As [`encode`](Self::encode), with the number of the first text that cannot be taken apart.
    pub fn encode_all<S: AsRef<str> + Sync>(&self, texts: &[S]) -> Result<Vec<Encoded>> {
        let one = |(number, text): (usize, &S)| {
            let encoded = self.encode(text.as_ref());
            encoded.map_err(|error| error.within(&format!("text {number}")))
        };
        let encoded: Vec<Result<Encoded>> = texts.par_iter().enumerate().map(one).collect();
        encoded.into_iter().collect()
    }

    /// The text of tokens, without those around it.
    ///
    /// # Errors
    /// [`Error::Token`] for an id that the vocabulary does not have, with its place.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let known = self.known();
        if let Some(place) = ids
            .iter()
            .position(|&id| self.inner.id_to_token(id).is_none())
        {
            let expected = format!("an id below {known}");
            let detail = Detail::new(format!("token {place}"), expected, ids[place]);
            return Err(Error::Token(
                detail.help("the ids are of another tokenizer"),
            ));
        }
        self.inner.decode(ids, true).map_err(untokenized)
    }

    /// How many tokens there are, those that were added included.
    pub fn vocabulary_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// One more than the largest id: what the table of a model must have at least.
    pub fn known(&self) -> usize {
        let ids = self.inner.get_vocab(true).into_values();
        ids.max().map_or(0, |id| id as usize + 1)
    }

    /// The id of a token, if there is such.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The token of an id, if there is such.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The id with which texts are filled up; 0 where the vocabulary has no token for it, which masks hide anyway.
    pub fn padding(&self) -> u32 {
        PADDING.iter().find_map(|token| self.id(token)).unwrap_or(0)
    }

    /// A hash of what it is made of.
    pub(crate) fn origin(&self) -> &Content {
        &self.origin
    }
}

fn untokenized(error: tokenizers::Error) -> Error {
    Error::Text(Detail::new(
        "",
        "a text that the tokenizer knows",
        one_line(&error.to_string()),
    ))
}
