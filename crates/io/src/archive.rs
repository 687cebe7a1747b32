//! Members of a zip archive: found by name, checked against their checksums, read in place where they
//! are stored, and never unpacked to far more than they take.

use std::io::{BufReader, Read};

use serde_json::Value;
use zip::{CompressionMethod, ZipArchive};

use crate::input::{Input, Reader};
use crate::{Error, Result};

/// A member may be this many times larger unpacked than packed, as in Keras; deflate itself reaches
/// about 1,000 on zeros.
const MOST_EXPANSION: u64 = 100;

/// Members up to this size are read whatever their ratio.
const UNPACKED_ALLOWANCE: u64 = 64 << 20;

/// An archive that is being read.
pub(crate) struct Archive {
    input: Input,
    zip: ZipArchive<BufReader<Reader>>,
}

impl Archive {
    pub(crate) fn open(input: &Input) -> Result<Self> {
        let zip =
            ZipArchive::new(BufReader::new(input.reader())).map_err(|error| corrupt("", error))?;
        Ok(Archive {
            input: input.clone(),
            zip,
        })
    }

    /// The length of the whole archive in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.input.length()
    }

    pub(crate) fn names(&self) -> Result<Vec<String>> {
        self.zip
            .file_names()
            .map(|name| match name {
                Ok(name) => Ok(name.into_owned()),
                Err(error) => Err(corrupt("", error)),
            })
            .collect()
    }

    fn member(&mut self, name: &str) -> Result<zip::read::ZipFile<'_, BufReader<Reader>>> {
        let input_length = self.input.length();
        let member = match self.zip.by_name(name) {
            Ok(member) => member,
            Err(zip::result::ZipError::FileNotFound) => {
                return Err(Error::missing(name, "this member of the archive", "none")
                    .help("is it an archive that Keras or PyTorch wrote?"));
            }
            Err(error) => return Err(corrupt(name, error)),
        };
        let packed = member.compressed_size().min(input_length);
        let most = packed
            .saturating_mul(MOST_EXPANSION)
            .max(UNPACKED_ALLOWANCE);
        if member.size() > most {
            return Err(Error::limit(
                name,
                format!("at most {most} bytes from {packed} packed ones"),
                format!("{} bytes", member.size()),
            ));
        }
        Ok(member)
    }

    pub(crate) fn bytes(&mut self, name: &str) -> Result<Vec<u8>> {
        let member = self.member(name)?;
        let size = member.size();
        let mut bytes = Vec::new();
        // What a member really unpacks to may be more than it says.
        let read = member.take(size + 1).read_to_end(&mut bytes);
        read.map_err(|error| corrupt(name, error))?;
        if bytes.len() as u64 != size {
            return Err(corrupt_size(name, size, format!("{} or more", bytes.len())));
        }
        Ok(bytes)
    }

    pub(crate) fn json(&mut self, name: &str) -> Result<Value> {
        let bytes = self.bytes(name)?;
        serde_json::from_slice(&bytes).map_err(|error| Error::format(name, "JSON", error))
    }

    /// How many bytes a member takes uncompressed, as the archive says.
    pub(crate) fn size(&mut self, name: &str) -> Result<u64> {
        Ok(self.member(name)?.size())
    }

    /// A member that is stored uncompressed, in place; `None` if it is compressed.
    pub(crate) fn stored(&mut self, name: &str) -> Result<Option<Input>> {
        let mut member = self.member(name)?;
        if member.compression() != CompressionMethod::Stored {
            return Ok(None);
        }
        // Reading to the end checks the checksum; nothing else would notice a flipped bit.
        std::io::copy(&mut member, &mut std::io::sink()).map_err(|error| corrupt(name, error))?;
        let (start, length) = (member.data_start(), member.size());
        if member.compressed_size() != length {
            let received = format!("{} bytes", member.compressed_size());
            return Err(corrupt_size(name, length, received));
        }
        drop(member);
        let section = start.and_then(|start| self.input.section(start, length));
        let beyond = || Error::format(name, "a member within the archive", "one beyond");
        section.map(Some).ok_or_else(beyond)
    }
}

fn corrupt_size(name: &str, expected: u64, received: String) -> Error {
    Error::format(name, format!("{expected} bytes"), received)
}

fn corrupt(name: &str, error: impl std::fmt::Display) -> Error {
    Error::format(name, "a sound zip archive", error)
        .help("the file is truncated or corrupt; copy or download it again")
}
