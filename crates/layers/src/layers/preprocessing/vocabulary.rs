//! A vocabulary: which number each token has, what becomes of tokens that are not in it.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use regraft_autograd::Var;
use regraft_tensor::{Detail, Tensor};
use serde_json::{Value, json};

use super::encoding::OutputMode;
use super::hashing::{bin, salt};
use crate::Call;
use crate::layers::object;
use crate::settings::{Map, Settings, number, require};

/// What stands in a vocabulary.
pub(super) trait Token:
    Clone + Eq + Hash + Ord + fmt::Debug + Send + Sync + 'static
{
    /// As a configuration has it.
    fn serialize(&self) -> Value;
    /// From a configuration, or a line of a file.
    fn deserialize(value: &Value) -> Option<Self>;
    /// The token for what is not known, unless told otherwise.
    fn unknown() -> Self;
    /// Which of `count` numbers for unknown tokens it has, `by_hash` or by its value.
    fn bin(&self, salt: Option<[u64; 2]>, count: u64, by_hash: bool) -> u64;
}

impl Token for String {
    fn serialize(&self) -> Value {
        self.as_str().into()
    }

    fn deserialize(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_string)
    }

    fn unknown() -> Self {
        "[UNK]".to_string()
    }

    fn bin(&self, salt: Option<[u64; 2]>, count: u64, _by_hash: bool) -> u64 {
        bin(self, salt, count)
    }
}

impl Token for i64 {
    fn serialize(&self) -> Value {
        (*self).into()
    }

    fn deserialize(value: &Value) -> Option<Self> {
        match value {
            Value::String(line) => line.parse().ok(),
            // Keras 2 wrote whole numbers as floats.
            Value::Number(number) => number.as_i64().or_else(|| {
                let float = number.as_f64().filter(|float| float.fract() == 0.0);
                float.map(|float| float as i64)
            }),
            _ => None,
        }
    }

    fn unknown() -> Self {
        -1
    }

    fn bin(&self, salt: Option<[u64; 2]>, count: u64, by_hash: bool) -> u64 {
        match by_hash {
            true => bin(&self.to_string(), salt, count),
            false => self.rem_euclid(count as i64) as u64,
        }
    }
}

/// The settings of a layer with a vocabulary.
#[derive(Clone, Debug)]
pub(super) struct Vocabulary<T> {
    /// In order, without the tokens for masked and unknown ones.
    tokens: Option<Vec<T>>,
    numbers: Arc<HashMap<T, i32>>,
    /// How much a token tells, for all numbers, those of unknown tokens first.
    idf_weights: Option<Vec<f32>>,
    /// Whether the special tokens were given with the others, and are written so.
    with_special: bool,
    pub max_tokens: Option<usize>,
    pub num_oov_indices: usize,
    pub oov_token: Option<T>,
    pub mask_token: Option<T>,
    pub invert: bool,
    pub output_mode: OutputMode,
    pub pad_to_max_tokens: bool,
    pub by_hash: bool,
    pub salt: Option<[u64; 2]>,
}

/// The number of a masked token where numbers become rows: it leaves no trace.
const MASKED: i32 = i32::MAX;

impl<T: Token> Vocabulary<T> {
    pub fn new() -> Self {
        Vocabulary {
            tokens: None,
            numbers: Arc::default(),
            idf_weights: None,
            with_special: false,
            max_tokens: None,
            num_oov_indices: 1,
            oov_token: Some(T::unknown()),
            mask_token: None,
            invert: false,
            output_mode: OutputMode::Int,
            pad_to_max_tokens: false,
            by_hash: false,
            salt: None,
        }
    }

    /// The first number of unknown tokens.
    fn first_unknown(&self) -> usize {
        usize::from(self.mask_token.is_some() && self.output_mode == OutputMode::Int)
    }

    /// The number of the first token of the vocabulary.
    fn first(&self) -> usize {
        self.first_unknown() + self.num_oov_indices
    }

    /// How many numbers there are.
    fn size(&self) -> usize {
        self.first() + self.tokens.as_ref().map_or(0, Vec::len)
    }

    /// How long a row is.
    fn depth(&self) -> usize {
        match (self.pad_to_max_tokens, self.max_tokens) {
            (true, Some(most)) => most,
            _ => self.size(),
        }
    }

    /// Takes these tokens, with or without the special ones in front, and how much each tells.
    pub fn set(&mut self, mut tokens: Vec<T>, weights: Option<Vec<f32>>) {
        let special = (self.mask_token.iter().take(self.first_unknown()))
            .chain(self.oov_token.iter().cycle().take(self.num_oov_indices));
        let first = self.first();
        let has_special = tokens.len() >= first && special.eq(tokens[..first].iter());
        self.with_special = has_special && first > 0;
        if has_special {
            tokens.drain(..first);
        }
        self.idf_weights = weights.map(|weights| {
            let all = weights.len().min(tokens.len() + first);
            if has_special {
                return weights[..all].to_vec();
            }
            // What is not known tells as much as others on average, as Keras has it.
            let mean = weights.iter().sum::<f32>() / weights.len().max(1) as f32;
            let front = std::iter::repeat_n(mean, first);
            front.chain(weights).collect()
        });
        let number = |(index, token): (usize, &T)| (token.clone(), (index + first) as i32);
        self.numbers = Arc::new(tokens.iter().enumerate().map(number).collect());
        self.tokens = Some(tokens);
    }

    /// Numbers the tokens anew after a setting was changed.
    pub fn renumber(&mut self) {
        if let Some(tokens) = self.tokens.take() {
            let weights = self.idf_weights.take().map(|all| {
                let skipped = all.len() - tokens.len().min(all.len());
                all[skipped..].to_vec()
            });
            self.set(tokens, weights);
        }
    }

    /// Learns the tokens of `documents`, the most frequent first.
    pub fn adapt(&mut self, documents: impl IntoIterator<Item = Vec<T>>) {
        let mut counts: HashMap<T, u64> = HashMap::new();
        let mut documents_with: HashMap<T, u64> = HashMap::new();
        let mut all = 0;
        for document in documents {
            all += 1;
            for (index, token) in document.iter().enumerate() {
                *counts.entry(token.clone()).or_default() += 1;
                if !document[..index].contains(token) {
                    *documents_with.entry(token.clone()).or_default() += 1;
                }
            }
        }
        for special in self.mask_token.iter().chain(&self.oov_token) {
            counts.remove(special);
        }
        let mut tokens: Vec<(u64, T)> = counts.into_iter().map(|(t, count)| (count, t)).collect();
        // Ties are broken by the tokens, the last one first.
        tokens.sort_by(|a, b| b.cmp(a));
        if let Some(most) = self.max_tokens {
            tokens.truncate(most.saturating_sub(self.first()));
        }
        let tokens: Vec<T> = tokens.into_iter().map(|(_, token)| token).collect();
        let weights = (self.output_mode == OutputMode::TfIdf).then(|| {
            let weight = |token: &T| {
                let with = documents_with.get(token).copied().unwrap_or(0);
                (1.0 + all as f32 / (1.0 + with as f32)).ln()
            };
            tokens.iter().map(weight).collect()
        });
        self.set(tokens, weights);
    }

    /// All tokens by their numbers, those for masked and unknown ones first.
    pub fn tokens(&self) -> Vec<T> {
        (0..self.size())
            .filter_map(|number| self.token(number as i64).cloned())
            .collect()
    }

    /// The number of a token.
    pub fn number(&self, token: &T) -> Result<i32, Detail> {
        if self.mask_token.as_ref() == Some(token) {
            return Ok(match self.output_mode {
                OutputMode::Int => 0,
                _ => MASKED,
            });
        }
        if let Some(&number) = self.numbers.get(token) {
            return Ok(number);
        }
        let first = self.first_unknown() as u64;
        match self.num_oov_indices as u64 {
            0 => {
                let detail = Detail::new("", "tokens of the vocabulary", format!("{token:?}"));
                Err(detail.help("set `num_oov_indices` to 1 for a number for all others"))
            }
            1 => Ok(first as i32),
            count => Ok((first + token.bin(self.salt, count, self.by_hash)) as i32),
        }
    }

    /// The token of a number.
    pub fn token(&self, number: i64) -> Option<&T> {
        if number == 0 && self.first_unknown() == 1 {
            return self.mask_token.as_ref();
        }
        let index = usize::try_from(number)
            .ok()
            .and_then(|n| n.checked_sub(self.first()));
        let known = index.and_then(|index| self.tokens.as_ref()?.get(index));
        known.or(self.oov_token.as_ref())
    }

    pub fn check(&self) -> Result<(), Detail> {
        use OutputMode::*;
        let allowed: &[OutputMode] = match self.invert {
            true => &[Int],
            false => &[Int, OneHot, MultiHot, Count, TfIdf],
        };
        self.output_mode.check(allowed)?;
        let Some(tokens) = &self.tokens else {
            let detail = Detail::new("", "a layer with a vocabulary", "one without");
            return Err(detail.help("give it one, or call `adapt` with data first"));
        };
        let distinct = self.numbers.len() == tokens.len();
        require(distinct, "vocabulary", "different tokens", tokens.len())?;
        let special = |token: &Option<T>| token.as_ref().is_some_and(|t| tokens.contains(t));
        let reserved = special(&self.mask_token) || (self.invert && special(&self.oov_token));
        let expected = "the tokens for masked and unknown ones only in front";
        require(!reserved, "vocabulary", expected, "one of them elsewhere")?;
        if let Some(most) = self.max_tokens {
            let fits = most > 1 && self.size() <= most;
            require(fits, "max_tokens", "at least as many as there are", most)?;
        }
        let padded = !self.pad_to_max_tokens || self.max_tokens.is_some();
        require(padded, "max_tokens", "a number to pad to", self.max_tokens)?;
        let weighted = self.output_mode == TfIdf;
        let weights = self.idf_weights.as_ref().map(Vec::len);
        let fits = !weighted || weights == Some(self.size());
        require(fits, "idf_weights", "one for each token", weights)
    }

    /// Numbers in the layer's form.
    pub fn encode<'g>(&self, call: &Call<'g, '_>, numbers: Var<'g>) -> Var<'g> {
        let depth = self.depth();
        match (&self.output_mode, &self.idf_weights) {
            (OutputMode::TfIdf, Some(weights)) => {
                let mut row = Tensor::zeros([depth]);
                row.as_mut_slice()[..weights.len()].copy_from_slice(weights);
                OutputMode::Count.encode(numbers, depth) * call.graph().constant(row)
            }
            (mode, _) => mode.encode(numbers, depth),
        }
    }

    pub fn config(&self) -> Map {
        let weighted = self.output_mode == OutputMode::TfIdf;
        let front = if self.with_special { self.first() } else { 0 };
        let special = self.mask_token.iter().take(self.first_unknown());
        let special = special.chain(self.oov_token.iter().cycle().take(self.num_oov_indices));
        let tokens = self.tokens.as_ref().map(|tokens| -> Value {
            let all = special.take(front).chain(tokens);
            all.map(Token::serialize).collect()
        });
        let weights = self.idf_weights.as_ref();
        let weights = weights.map(|weights| -> Value {
            let skipped = (self.first() - front).min(weights.len());
            weights[skipped..].iter().copied().map(number).collect()
        });
        object(json!({
            "invert": self.invert,
            "max_tokens": self.max_tokens,
            "num_oov_indices": self.num_oov_indices,
            "oov_token": self.oov_token.as_ref().map(Token::serialize),
            "mask_token": self.mask_token.as_ref().map(Token::serialize),
            "output_mode": self.output_mode.name(),
            "sparse": false,
            "pad_to_max_tokens": self.pad_to_max_tokens,
            "idf_weights": if weighted { weights } else { None },
            "vocabulary": tokens,
            "vocabulary_size": self.tokens.is_some().then(|| self.size()),
            "oov_method": if self.by_hash { "farmhash" } else { "floormod" },
            "salt": self.salt,
        }))
    }

    pub fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        settings.unsupported(&["sparse"])?;
        settings.ignore(&[
            "vocabulary_size",
            "has_input_vocabulary",
            "vocabulary_dtype",
        ]);
        let token = |key: &'static str| {
            let read = |value: &Value| {
                T::deserialize(value).ok_or_else(|| settings.wrong(key, "a token", value))
            };
            settings.value(key).map(read).transpose()
        };
        let choices = [(false, "floormod"), (true, "farmhash")];
        let mut vocabulary = Vocabulary {
            max_tokens: settings.get::<usize>("max_tokens")?,
            num_oov_indices: settings.get::<usize>("num_oov_indices")?.unwrap_or(1),
            oov_token: token("oov_token")?,
            mask_token: token("mask_token")?,
            invert: settings.or::<bool>("invert", false)?,
            output_mode: settings.or("output_mode", OutputMode::Int)?,
            pad_to_max_tokens: settings.or::<bool>("pad_to_max_tokens", false)?,
            by_hash: settings.one_of("oov_method", &choices)?,
            salt: salt(settings)?,
            ..Self::new()
        };
        let weights = settings.get::<Vec<f32>>("idf_weights")?;
        let key = "vocabulary";
        if let Some(value) = settings.value(key) {
            let inner = value.get("config").and_then(|config| config.get("value"));
            let tokens = match inner.unwrap_or(value) {
                Value::Array(tokens) => tokens.iter().map(T::deserialize).collect(),
                _ => None,
            };
            let tokens: Option<Vec<T>> = tokens;
            vocabulary.set(
                tokens.ok_or_else(|| settings.wrong(key, "a list of tokens", value))?,
                weights,
            );
        }
        Ok(vocabulary)
    }
}

/// The methods of layers with a vocabulary.
macro_rules! vocabulary_layer {
    ($layer:ident, $token:ty) => {
        impl Default for $layer {
            fn default() -> Self {
                $layer(Vocabulary::new())
            }
        }

        impl $layer {
            /// A layer that is to be [adapted](Self::adapt), or given a [vocabulary](Self::vocabulary).
            pub fn new() -> Self {
                Self::default()
            }

            /// The tokens in the order of their numbers; those for masked and unknown ones may stand in
            /// front or be left out.
            #[must_use]
            pub fn vocabulary<T: Into<$token>>(
                mut self,
                tokens: impl IntoIterator<Item = T>,
            ) -> Self {
                let tokens = tokens.into_iter().map(Into::into).collect();
                self.0.set(tokens, None);
                self
            }

            /// Learns the vocabulary of `documents`, each a list of tokens: the most frequent token comes
            /// first, of equally frequent ones the last in order. For `tf_idf` also how much each tells:
            /// `ln(1 + documents / (1 + documents with it))`.
            #[must_use]
            pub fn adapt<D, T>(mut self, documents: impl IntoIterator<Item = D>) -> Self
            where
                D: IntoIterator<Item = T>,
                T: Into<$token>,
            {
                let document = |document: D| document.into_iter().map(Into::into).collect();
                self.0.adapt(documents.into_iter().map(document));
                self
            }

            /// All tokens by their numbers, those for masked and unknown ones first.
            pub fn tokens(&self) -> Vec<$token> {
                self.0.tokens()
            }

            /// How many numbers there are for tokens that are not in the vocabulary; 1 unless told
            /// otherwise, and with 0 such a token is an error.
            #[must_use]
            pub fn num_oov_indices(mut self, count: usize) -> Self {
                self.0.num_oov_indices = count;
                self.0.renumber();
                self
            }

            /// A token that means that there is none: 0, or no trace in rows.
            #[must_use]
            pub fn mask_token(mut self, token: impl Into<$token>) -> Self {
                self.0.mask_token = Some(token.into());
                self.0.renumber();
                self
            }

            /// At most so many numbers.
            #[must_use]
            pub fn max_tokens(mut self, most: usize) -> Self {
                self.0.max_tokens = Some(most);
                self
            }

            /// Whether rows are as long as `max_tokens` says, however many tokens there are.
            #[must_use]
            pub fn pad_to_max_tokens(mut self, pad: bool) -> Self {
                self.0.pad_to_max_tokens = pad;
                self
            }

            /// `"int"` unless told otherwise, `"one_hot"`, `"multi_hot"`, `"count"` or `"tf_idf"`.
            #[must_use]
            pub fn output_mode(
                mut self,
                mode: impl Into<$crate::layers::preprocessing::OutputMode>,
            ) -> Self {
                self.0.output_mode = mode.into();
                self.0.renumber();
                self
            }

            /// Whether it goes the other way, from numbers to tokens.
            #[must_use]
            pub fn invert(mut self, invert: bool) -> Self {
                self.0.invert = invert;
                self
            }
        }
    };
}
pub(super) use vocabulary_layer;
