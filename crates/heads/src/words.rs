//! Numbers as words of 64 bits, one after the other. What is read may be anything: nothing is made that is larger than
//! the bytes.

/// Words that are written.
#[derive(Default)]
pub(crate) struct Words(Vec<u8>);

impl Words {
    pub fn number(&mut self, number: usize) {
        self.0.extend_from_slice(&(number as u64).to_le_bytes());
    }

    pub fn float(&mut self, number: f64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// How many, and each.
    pub fn numbers(&mut self, numbers: &[usize]) {
        self.number(numbers.len());
        numbers.iter().for_each(|number| self.number(*number));
    }

    pub fn floats(&mut self, numbers: impl ExactSizeIterator<Item = f64>) {
        self.number(numbers.len());
        numbers.for_each(|number| self.float(number));
    }

    pub fn pairs(&mut self, pairs: impl ExactSizeIterator<Item = (f64, f64)>) {
        self.number(pairs.len());
        pairs.for_each(|(a, b)| {
            self.float(a);
            self.float(b);
        });
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Words that are read.
pub(crate) struct Reader<'a>(&'a [[u8; 8]]);

impl<'a> Reader<'a> {
    /// `None` if a word is not whole.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        rest.is_empty().then_some(Reader(words))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, count: usize) -> Option<&'a [[u8; 8]]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn number(&mut self) -> Option<usize> {
        let word = self.take(1)?[0];
        usize::try_from(u64::from_le_bytes(word)).ok()
    }

    pub fn flag(&mut self) -> Option<bool> {
        match self.number()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub fn float(&mut self) -> Option<f64> {
        Some(f64::from_le_bytes(self.take(1)?[0]))
    }

    pub fn numbers(&mut self) -> Option<Vec<usize>> {
        let count = self.number()?;
        let words = self.take(count)?.iter();
        words
            .map(|word| usize::try_from(u64::from_le_bytes(*word)).ok())
            .collect()
    }

    pub fn floats(&mut self) -> Option<Vec<f64>> {
        let count = self.number()?;
        let words = self.take(count)?.iter();
        Some(words.map(|word| f64::from_le_bytes(*word)).collect())
    }

    pub fn pairs(&mut self) -> Option<Vec<(f64, f64)>> {
        let count = self.number()?.checked_mul(2)?;
        let (pairs, _) = self.take(count)?.as_chunks::<2>();
        let pair = |[a, b]: &[[u8; 8]; 2]| (f64::from_le_bytes(*a), f64::from_le_bytes(*b));
        Some(pairs.iter().map(pair).collect())
    }
}
