//! What files were like when they were hashed, so that one that has not changed since need not be read to know what is
//! in it.
//!
//! A file is the same if its device, number, size and both of its times are: of when its bytes were written and, which
//! nobody can set, of when anything about it was. What was changed within seconds of being read is not kept, since a
//! later change might have the same time. Where the system does not tell all of these, every file is read.

use std::collections::HashMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::Result;
use crate::hex::{from_hex, hex};
use crate::lines;

/// Changes when the same file gets another stamp.
const VERSION: u32 = 1;

/// So long must a file have been as it is: times are as rough as 2 s on some disks.
const SETTLED: Duration = Duration::from_secs(3);

/// What a file is like without being read.
pub(crate) type Stamp = [u8; 32];

/// The hashes of files that have not changed.
#[derive(Debug)]
pub(crate) struct Stamps {
    path: PathBuf,
    known: HashMap<Stamp, [u8; 32]>,
}

impl Stamps {
    /// What is known in a folder of what is kept.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(format!("files-{VERSION}"));
        let known = lines::read(&path, |line| {
            let (stamp, content) = line.split_at_checked(64)?;
            Some((from_hex(stamp)?, from_hex(content)?))
        })?;
        let known = known.into_iter().collect();
        Ok(Stamps { path, known })
    }

    /// Lets go of all, so that every file is read.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// The hash of a file that was like this.
    pub fn content(&self, stamp: &Stamp) -> Option<[u8; 32]> {
        self.known.get(stamp).copied()
    }

    /// Adds what was read; it is known then, though it cannot be kept.
    pub fn add(&mut self, found: Vec<(Stamp, [u8; 32])>) -> Result<()> {
        let line = |(stamp, content): &(Stamp, [u8; 32])| {
            [hex(stamp).as_bytes(), hex(content).as_bytes()].concat()
        };
        let added = lines::add(&self.path, found.iter().map(line));
        self.known.extend(found);
        added
    }
}

/// What a file is like now, if that tells it from all that it may become.
pub(crate) fn stamp(metadata: &Metadata) -> Option<Stamp> {
    let (numbers, changed) = told(metadata).filter(|_| metadata.is_file())?;
    let age = SystemTime::now().duration_since(changed).ok()?;
    if age < SETTLED {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    for number in numbers {
        hasher.update(&number.to_le_bytes());
    }
    Some(*hasher.finalize().as_bytes())
}

/// The numbers that tell a state of a file, and when anything about it was changed last.
#[cfg(unix)]
fn told(metadata: &Metadata) -> Option<([i64; 7], SystemTime)> {
    use std::os::unix::fs::MetadataExt;
    let (seconds, nanoseconds) = (metadata.ctime(), metadata.ctime_nsec());
    let since = Duration::new(u64::try_from(seconds).ok()?, nanoseconds as u32);
    let numbers = [
        metadata.dev() as i64,
        metadata.ino() as i64,
        metadata.size() as i64,
        metadata.mtime(),
        metadata.mtime_nsec(),
        seconds,
        nanoseconds,
    ];
    Some((numbers, SystemTime::UNIX_EPOCH + since))
}

#[cfg(not(unix))]
fn told(_: &Metadata) -> Option<([i64; 7], SystemTime)> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{self, File};

    use super::*;

    /// A file that has not been touched for a while cannot be made: its state is compared with that of now instead.
    #[test]
    fn whatever_changes_a_file_changes_what_is_told_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let state = || told(&path.metadata().unwrap()).unwrap().0;
        fs::write(&path, b"one").unwrap();
        let time = path.metadata().unwrap().modified().unwrap();
        let first = state();
        assert_eq!(state(), first);
        // Only just written.
        assert!(stamp(&path.metadata().unwrap()).is_none());
        // Other bytes of the same length with the same time, as an archive unpacks them.
        std::thread::sleep(Duration::from_millis(30));
        fs::write(&path, b"two").unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(time)
            .unwrap();
        assert_eq!(path.metadata().unwrap().modified().unwrap(), time);
        let second = state();
        assert_ne!(second, first);
        // Another file in its place.
        let other = folder.path().join("other");
        fs::write(&other, b"six").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_ne!(state(), second);
    }

    #[test]
    fn what_is_known_comes_back_and_what_is_damaged_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut stamps = Stamps::open(folder.path()).unwrap();
        stamps
            .add(vec![([1; 32], [2; 32]), ([3; 32], [4; 32])])
            .unwrap();
        let again = Stamps::open(folder.path()).unwrap();
        assert_eq!(again.content(&[1; 32]), Some([2; 32]));
        assert_eq!(again.content(&[2; 32]), None);
        let path = folder.path().join("files-1");
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.iter().position(|byte| *byte == b' ').unwrap() + 70;
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        let again = Stamps::open(folder.path()).unwrap();
        assert_eq!(again.content(&[1; 32]), None);
        assert_eq!(again.content(&[3; 32]), Some([4; 32]));
    }
}
