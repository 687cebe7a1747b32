//! Where bytes come from: a file on disk read piece by piece, bytes in memory, or a section of
//! either (an archive's member). Nothing is read before it is asked for.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::{Error, Result};

/// Small reads are served from blocks of this size, so that walking a file's many small structures
/// does not cost a system call each.
const BLOCK: u64 = 8 * 1024;

/// No more blocks than this are kept (1 MiB).
const MOST_BLOCKS: usize = 128;

/// A readable range of bytes. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Input {
    origin: Origin,
    start: u64,
    length: u64,
}

#[derive(Clone)]
enum Origin {
    Memory(Arc<Vec<u8>>),
    Disk(Arc<Mutex<Disk>>),
}

struct Disk {
    file: File,
    /// The file's length when it was opened.
    length: u64,
    blocks: HashMap<u64, Vec<u8>>,
}

impl Input {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let wrap = |error: io::Error| Error::io(path, "a readable file", &error);
        let file = File::open(path).map_err(wrap)?;
        let length = file.metadata().map_err(wrap)?.len();
        Ok(Input {
            origin: Origin::Disk(Arc::new(Mutex::new(Disk {
                file,
                length,
                blocks: HashMap::new(),
            }))),
            start: 0,
            length,
        })
    }

    pub(crate) fn memory(bytes: Vec<u8>) -> Self {
        Input {
            start: 0,
            length: bytes.len() as u64,
            origin: Origin::Memory(Arc::new(bytes)),
        }
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// `length` bytes from `start` on, or `None` if they are not all there.
    pub(crate) fn section(&self, start: u64, length: u64) -> Option<Self> {
        (start.checked_add(length)? <= self.length).then(|| Input {
            origin: self.origin.clone(),
            start: self.start + start,
            length,
        })
    }

    /// Fills `buffer` from `offset` on.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let offset = self.start + offset;
        match &self.origin {
            Origin::Memory(bytes) => {
                let offset = offset as usize;
                buffer.copy_from_slice(&bytes[offset..offset + buffer.len()]);
                Ok(())
            }
            Origin::Disk(disk) => {
                let mut disk = disk.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                disk.read_at(offset, buffer)
            }
        }
    }

    /// The first bytes, at most `most` of them.
    pub(crate) fn prefix(&self, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; most.min(self.length) as usize];
        self.read_at(0, &mut bytes)?;
        Ok(bytes)
    }

    /// A reader over the whole range.
    pub(crate) fn reader(&self) -> Reader {
        Reader {
            input: self.clone(),
            position: 0,
        }
    }
}

impl Disk {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if buffer.len() as u64 >= BLOCK {
            self.file.seek(SeekFrom::Start(offset))?;
            return self.file.read_exact(buffer);
        }
        let mut filled = 0;
        while filled < buffer.len() {
            let at = offset + filled as u64;
            let block = self.block(at / BLOCK)?;
            let within = (at % BLOCK) as usize;
            let available = block.get(within..).unwrap_or_default();
            if available.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let count = available.len().min(buffer.len() - filled);
            buffer[filled..filled + count].copy_from_slice(&available[..count]);
            filled += count;
        }
        Ok(())
    }

    fn block(&mut self, index: u64) -> io::Result<&[u8]> {
        if self.blocks.len() >= MOST_BLOCKS && !self.blocks.contains_key(&index) {
            self.blocks.clear();
        }
        match self.blocks.entry(index) {
            std::collections::hash_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let start = index * BLOCK;
                let mut block = vec![0; BLOCK.min(self.length.saturating_sub(start)) as usize];
                self.file.seek(SeekFrom::Start(start))?;
                self.file.read_exact(&mut block)?;
                Ok(entry.insert(block))
            }
        }
    }
}

/// [`Input`] as the standard library's reading traits.
pub(crate) struct Reader {
    input: Input,
    position: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.input.length.saturating_sub(self.position);
        let count = left.min(buffer.len() as u64) as usize;
        self.input.read_at(self.position, &mut buffer[..count])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.input.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_and_memory_give_the_same_bytes() {
        let bytes: Vec<u8> = (0..40_000u32).map(|i| (i % 251) as u8).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bytes");
        std::fs::write(&path, &bytes).unwrap();
        let disk = Input::open(&path).unwrap();
        let memory = Input::memory(bytes.clone());
        for (offset, length) in [(0, 5), (8190, 10), (16_383, 2), (3, 30_000), (39_999, 1)] {
            let mut from_disk = vec![0; length];
            let mut from_memory = vec![0; length];
            disk.read_at(offset, &mut from_disk).unwrap();
            memory.read_at(offset, &mut from_memory).unwrap();
            assert_eq!(from_disk, from_memory);
            assert_eq!(from_disk, bytes[offset as usize..][..length]);
        }
        assert!(disk.read_at(39_999, &mut [0; 2]).is_err());
        let section = disk.section(10, 20).unwrap();
        let mut all = Vec::new();
        section.reader().read_to_end(&mut all).unwrap();
        assert_eq!(all, bytes[10..30]);
        assert!(section.section(15, 6).is_none());
    }
}
