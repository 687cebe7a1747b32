//! Texts as samples: ids of one length, and which of them count.

use regraft_data::{Content, Dataset, Hasher, Part, RowSpec, Rows};
use regraft_tensor::Detail;
use regraft_tensor::kernels::random::Key;

use crate::{Encoded, Error, Result, Tokenizer};

/// Texts as a [`Dataset`]: for each the ids of its tokens, filled up to one length, and a mask that is 1 where there is
/// a token and 0 behind; with [`type_ids`](Texts::type_ids) also which of two texts each token is of. Targets are labels,
/// if there are some.
#[derive(Clone, Debug)]
pub struct Texts {
    length: usize,
    padding: i32,
    ids: Vec<i32>,
    types: Vec<i32>,
    /// How many tokens each text has.
    counts: Vec<usize>,
    truncated: Vec<usize>,
    labels: Vec<i32>,
    with_types: bool,
    origin: Content,
}

/// A length is a multiple of this, so that there are few.
const STEP: usize = 8;

impl Texts {
    /// Texts of `length` tokens: longer ones are cut, shorter ones filled up.
    ///
    /// # Errors
    /// As [`Tokenizer::max_length`] and [`Tokenizer::encode_all`].
    pub fn new<S: AsRef<str> + Sync>(
        tokenizer: &Tokenizer,
        texts: &[S],
        length: usize,
    ) -> Result<Self> {
        let tokenizer = tokenizer.clone().max_length(length)?;
        let encoded = tokenizer.encode_all(texts)?;
        Ok(Self::of(&tokenizer, &encoded, length))
    }

    /// Texts as long as the longest, in steps of 8, but of no more than `at_most` tokens. Attention costs the square
    /// of the length, so no longer than needed is much faster.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn fitted<S: AsRef<str> + Sync>(
        tokenizer: &Tokenizer,
        texts: &[S],
        at_most: usize,
    ) -> Result<Self> {
        let tokenizer = tokenizer.clone().max_length(at_most)?;
        let encoded = tokenizer.encode_all(texts)?;
        let longest = encoded.iter().map(Encoded::len).max().unwrap_or(0);
        let length = longest.next_multiple_of(STEP).clamp(1, at_most);
        Ok(Self::of(&tokenizer, &encoded, length))
    }

    fn of(tokenizer: &Tokenizer, encoded: &[Encoded], length: usize) -> Self {
        let padding = tokenizer.padding() as i32;
        let mut ids = vec![padding; encoded.len() * length];
        let mut types = vec![0; encoded.len() * length];
        for (at, text) in encoded.iter().enumerate() {
            let here = at * length..;
            for (to, &id) in ids[here.clone()].iter_mut().zip(&text.ids) {
                *to = id as i32;
            }
            for (to, &of) in types[here].iter_mut().zip(&text.type_ids) {
                *to = of as i32;
            }
        }
        let cut = encoded
            .iter()
            .enumerate()
            .filter(|(_, text)| text.truncated);
        Texts {
            length,
            padding,
            ids,
            types,
            counts: encoded.iter().map(Encoded::len).collect(),
            truncated: cut.map(|(at, _)| at).collect(),
            labels: Vec::new(),
            with_types: false,
            origin: *tokenizer.origin(),
        }
    }

    /// Gives each text the number of its class.
    ///
    /// # Errors
    /// [`Error::Set`] unless there are as many labels as texts.
    pub fn labels(mut self, labels: impl Into<Vec<i32>>) -> Result<Self> {
        let labels = labels.into();
        if labels.len() != self.counts.len() {
            let expected = format!("{} labels, one for each text", self.counts.len());
            return Err(Error::Set(Detail::new("labels", expected, labels.len())));
        }
        self.labels = labels;
        Ok(self)
    }

    /// Gives the model a third input: 0 for tokens of the first text and 1 for those of the second.
    #[must_use]
    pub fn type_ids(mut self) -> Self {
        self.with_types = true;
        self
    }

    /// How many tokens a sample has.
    pub fn length(&self) -> usize {
        self.length
    }

    /// How many of them count.
    pub fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// The texts of which tokens were left out.
    pub fn truncated(&self) -> &[usize] {
        &self.truncated
    }

    /// The ids of a text, filled up.
    pub fn ids(&self, text: usize) -> &[i32] {
        &self.ids[text * self.length..][..self.length]
    }

    /// The mask of a text.
    pub fn mask(&self, text: usize) -> impl Iterator<Item = i32> + use<> {
        let count = self.counts[text];
        (0..self.length).map(move |at| i32::from(at < count))
    }
}

impl Dataset for Texts {
    fn len(&self) -> usize {
        self.counts.len()
    }

    fn inputs(&self) -> Vec<RowSpec> {
        let inputs = 2 + usize::from(self.with_types);
        vec![RowSpec::integers([self.length]); inputs]
    }

    fn targets(&self) -> Vec<RowSpec> {
        match self.labels.is_empty() {
            true => Vec::new(),
            false => vec![RowSpec::integers([])],
        }
    }

    fn content(&self, sample: usize) -> Result<Option<Content>, Detail> {
        let used = self.counts[sample];
        let of = |rows: &[i32]| -> Vec<u8> {
            let row = &rows[sample * self.length..][..used];
            row.iter().flat_map(|id| id.to_le_bytes()).collect()
        };
        let mut hasher = Hasher::new("texts 1")
            .bytes(&self.origin)
            .bytes(&of(&self.ids));
        hasher = hasher
            .number(self.length as u64)
            .number(self.padding as u64);
        if self.with_types {
            hasher = hasher.bytes(&of(&self.types));
        }
        Ok(Some(hasher.finish()))
    }

    fn fill(&self, samples: &[usize], _key: Key, rows: &mut Rows) -> Result<(), Detail> {
        if let Some(targets) = rows.integers(Part::Target(0)) {
            for (target, &sample) in targets.iter_mut().zip(samples) {
                *target = self.labels[sample];
            }
        }
        for (input, from) in [(0, Some(&self.ids)), (1, None), (2, Some(&self.types))] {
            if input == 2 && !self.with_types {
                continue;
            }
            let Some(to) = rows.integers(Part::Input(input)) else {
                continue;
            };
            for (row, &sample) in to.chunks_exact_mut(self.length).zip(samples) {
                match from {
                    Some(from) => row.copy_from_slice(&from[sample * self.length..][..self.length]),
                    None => row
                        .iter_mut()
                        .zip(self.mask(sample))
                        .for_each(|(to, mask)| *to = mask),
                }
            }
        }
        Ok(())
    }
}
