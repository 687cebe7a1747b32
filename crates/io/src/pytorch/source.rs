//! The bytes of a pickle, one after the other. Nothing is allocated before it is known to be there.

use std::io::{BufReader, Read};

use crate::input::{Input, Reader};
use crate::{Error, Result};

/// The names of a module and of a class are lines no longer than this.
pub(super) const LONGEST_LINE: usize = 1000;

pub(super) struct Source {
    reader: BufReader<Reader>,
    position: u64,
    length: u64,
}

impl Source {
    pub(super) fn new(input: &Input) -> Self {
        Source {
            reader: BufReader::new(input.reader()),
            position: 0,
            length: input.length(),
        }
    }

    /// How many bytes have been read.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    /// The next `count` bytes.
    pub(super) fn bytes(&mut self, count: u64) -> Result<Vec<u8>> {
        let there = count <= self.length - self.position;
        let Some(count) = usize::try_from(count).ok().filter(|_| there) else {
            return Err(truncated(format!("{count} more bytes")));
        };
        let mut bytes = vec![0; count];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// The next `count` bytes as text.
    pub(super) fn text(&mut self, count: u64) -> Result<String> {
        let bytes = self.bytes(count)?;
        String::from_utf8(bytes).map_err(|error| Error::format("", "text as UTF-8", error))
    }

    /// Text up to the end of the line, which is not part of it.
    pub(super) fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => break,
                byte => line.push(byte),
            }
            if line.len() > LONGEST_LINE {
                let expected = format!("a name of at most {LONGEST_LINE} bytes");
                return Err(Error::limit("", expected, "a longer one"));
            }
        }
        String::from_utf8(line).map_err(|error| Error::format("", "text as UTF-8", error))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.reader
            .read_exact(bytes)
            .map_err(|error| truncated(format!("{} more bytes ({error})", bytes.len())))?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

fn truncated(expected: String) -> Error {
    Error::format("", expected, "the end of the pickle")
        .help("the file is truncated or corrupt; copy or download it again")
}
