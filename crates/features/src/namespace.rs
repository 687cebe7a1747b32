//! The rows of one computation: what is on disk, and what waits to be written.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use memmap2::Mmap;
use regraft_tensor::Detail;

use crate::segment::{self, Segment};
use crate::store::{ROWS, TEMPORARY, entries};
use crate::{Digest, Error, FeatureStore, Result};

/// The rows of one computation, as they were when it was opened, and those that have been put since: what
/// [`FeatureStore::namespace`] gives. Rows of several outputs lie one after the other.
#[derive(Debug)]
pub struct Namespace<'s> {
    store: &'s FeatureStore,
    id: Digest,
    folder: PathBuf,
    width: usize,
    opened: SystemTime,
    files: Vec<Mapped>,
    places: HashMap<Digest, Place>,
    pending: Pending,
    /// How much of the mapped files may have come into memory since it was last given back.
    touched: AtomicU64,
}

/// Of larger files together so much stays in memory.
const RESIDENT: u64 = 64 << 20;

/// So much comes into memory with a page that is read.
const AROUND: u64 = 64 << 10;

/// A file of rows in memory.
#[derive(Debug)]
struct Mapped {
    path: PathBuf,
    file: File,
    segment: Segment<Mmap>,
    bytes: u64,
    /// Whether it has been said that it is in use.
    is_used: AtomicBool,
    /// Whether a row was not what had been written: nothing of it is believed then.
    is_damaged: AtomicBool,
}

/// Where a row is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Pending(usize),
    Stored { file: usize, row: usize },
}

/// Rows that wait to be written.
#[derive(Debug, Default)]
struct Pending {
    keys: Vec<Digest>,
    rows: Vec<f32>,
    since: Option<Instant>,
    /// Where those of them are that were taken from small files.
    taken: Vec<(Digest, Place)>,
}

impl Mapped {
    /// Whether it is as long as it was: memory beyond the end of a file that somebody has cut cannot be read.
    fn is_whole(&self) -> bool {
        let metadata = self.file.metadata();
        metadata.is_ok_and(|it| it.len() == self.bytes)
    }
}

impl<'s> Namespace<'s> {
    pub(crate) fn open(
        store: &'s FeatureStore,
        computation: &Digest,
        shapes: &[Vec<usize>],
    ) -> Result<Self> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"namespace").update(computation);
        for shape in shapes {
            hasher.update(&(shape.len() as u64).to_le_bytes());
            for &size in shape {
                hasher.update(&(size as u64).to_le_bytes());
            }
        }
        let hash = hasher.finalize();
        let widths = shapes.iter().map(|shape| shape.iter().product::<usize>());
        let mut namespace = Namespace {
            folder: store.folder().join(hash.to_hex().as_str()),
            store,
            id: *hash.as_bytes(),
            width: widths.sum(),
            opened: SystemTime::now(),
            files: Vec::new(),
            places: HashMap::new(),
            pending: Pending::default(),
            touched: AtomicU64::new(0),
        };
        let mut paths = entries(&namespace.folder)?;
        paths.retain(|path| path.extension().is_some_and(|it| it == ROWS));
        // Always the same of several that have a row.
        paths.sort();
        for path in paths {
            namespace.add(path)?;
        }
        Ok(namespace)
    }

    /// The number of floats in a row, of all outputs together.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether the row of a key is there, if it is still what was written.
    pub fn contains(&self, key: &Digest) -> bool {
        self.places
            .get(key)
            .is_some_and(|place| !self.is_lost(place))
    }

    /// Copies the row of a key. False if it is not there, or not what was written; what is in `row` is of no
    /// use then.
    ///
    /// # Panics
    /// If `row` is not as long as [`width`](Self::width) says.
    pub fn get(&self, key: &Digest, row: &mut [f32]) -> bool {
        assert_eq!(
            row.len(),
            self.width,
            "as many floats as a row of the namespace has"
        );
        let is_there = match self.places.get(key) {
            None => false,
            Some(&Place::Pending(at)) => {
                row.copy_from_slice(&self.pending.rows[at * self.width..][..self.width]);
                true
            }
            Some(&Place::Stored { file, row: at }) => self.read(&self.files[file], at, row),
        };
        self.store
            .counts
            .found
            .fetch_add(u64::from(is_there), Ordering::Relaxed);
        is_there
    }

    /// Adds a row, to be written with others: when they are many, have waited for some seconds, or at
    /// [`flush`](Self::flush). One that is there already stays.
    ///
    /// # Errors
    /// [`Error::Row`] if it is not as long as the namespace's; and those of [`flush`](Self::flush).
    pub fn put(&mut self, key: &Digest, row: &[f32]) -> Result<()> {
        if row.len() != self.width {
            let expected = format!("{} floats", self.width);
            return Err(Error::Row(Detail::new("a row", expected, row.len())));
        }
        if let Some(place) = self.places.get(key)
            && !self.is_lost(place)
        {
            return Ok(());
        }
        let pending = &mut self.pending;
        self.places.insert(*key, Place::Pending(pending.keys.len()));
        pending.keys.push(*key);
        pending.rows.extend_from_slice(row);
        let since = pending.since.get_or_insert_with(Instant::now);
        let is_much = 4 * pending.rows.len() as u64 >= self.store.segment_bytes;
        match is_much || since.elapsed() > self.store.patience {
            true => self.flush(),
            false => Ok(()),
        }
    }

    /// Writes the rows that wait. Those that cannot be written are forgotten, so that they do not pile up.
    ///
    /// # Errors
    /// [`Error::Full`] if the disk is full, [`Error::Budget`] if all files within the budget are in use,
    /// [`Error::Busy`] if another process writes for long, [`Error::Write`] otherwise. The namespace can be
    /// read on.
    pub fn flush(&mut self) -> Result<()> {
        if self.pending.keys.is_empty() {
            return Ok(());
        }
        let count = self.pending.keys.len() as u64;
        let written = self.write();
        let Pending { keys, taken, .. } = std::mem::take(&mut self.pending);
        for key in &keys {
            self.places.remove(key);
        }
        match written {
            Ok(path) => {
                self.add(path)?;
                let counts = &self.store.counts;
                counts.written.fetch_add(count, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                self.places.extend(taken);
                Err(error)
            }
        }
    }

    /// Writes a file, and returns its path.
    fn write(&mut self) -> Result<PathBuf> {
        /// Tells files of one process from each other.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let store = self.store;
        let _lock = store.lock()?;
        let merged = self.take_small();
        let Pending { keys, rows, .. } = &self.pending;
        let (name, pieces) = segment::write(&self.id, self.width, keys, rows);
        let bytes = segment::bytes(keys.len(), self.width);
        store.make_room(bytes, self.opened, &merged)?;
        let at = |error: io::Error| Error::write(&self.folder, &error);
        store.disk.create_folder(&self.folder).map_err(at)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let temporary = format!("{name}-{}-{number}.{TEMPORARY}", std::process::id());
        let path = self.folder.join(format!("{name}.{ROWS}"));
        store
            .disk
            .write(&self.folder.join(temporary), &path, pieces)
            .map_err(at)?;
        touch(&path);
        for small in merged {
            if small != path {
                // One that stays has rows that are there twice.
                let _ = store.disk.remove(&small);
            }
        }
        Ok(path)
    }

    /// Lets the rows of small files wait with the others, if there are many of them: a file for each of many
    /// short runs would make opening slow. Returns their paths.
    fn take_small(&mut self) -> Vec<PathBuf> {
        const MANY: usize = 32;
        let limit = self.store.segment_bytes / 8;
        let is_small = |file: &&Mapped| file.bytes < limit && file.is_whole() && file.path.exists();
        let small: Vec<&Mapped> = self.files.iter().filter(is_small).collect();
        if small.len() < MANY {
            return Vec::new();
        }
        let mut merged = Vec::new();
        let mut row = vec![0.0; self.width];
        for file in small {
            if 4 * self.pending.rows.len() as u64 >= self.store.segment_bytes {
                break;
            }
            for at in 0..file.segment.rows() {
                let key = file.segment.key(at);
                let Some(&place @ Place::Stored { .. }) = self.places.get(&key) else {
                    continue;
                };
                if self.read(file, at, &mut row) {
                    let pending = Place::Pending(self.pending.keys.len());
                    self.places.insert(key, pending);
                    self.pending.taken.push((key, place));
                    self.pending.keys.push(key);
                    self.pending.rows.extend_from_slice(&row);
                }
            }
            merged.push(file.path.clone());
        }
        merged
    }

    /// Maps a file, if it is what was written; otherwise it is removed.
    fn add(&mut self, path: PathBuf) -> Result<()> {
        use ErrorKind::{NotFound, PermissionDenied};
        let mapped = match map(&path) {
            Err(error) if matches!(error.kind(), NotFound | PermissionDenied) => return Ok(()),
            Err(error) => return Err(Error::read(&path, &error)),
            Ok(mapped) => mapped,
        };
        let checked = mapped.and_then(|(file, map)| Some((file, Segment::new(map).ok()?)));
        let is_ours = |segment: &Segment<Mmap>| {
            segment.namespace() == self.id && segment.width() == self.width
        };
        let Some((file, segment)) = checked.filter(|(_, segment)| is_ours(segment)) else {
            self.damaged(&path);
            return Ok(());
        };
        self.files.push(Mapped {
            bytes: segment::bytes(segment.rows(), self.width),
            path,
            file,
            segment,
            is_used: AtomicBool::new(false),
            is_damaged: AtomicBool::new(false),
        });
        let file = self.files.len() - 1;
        let segment = &self.files[file].segment;
        for row in 0..segment.rows() {
            let place = Place::Stored { file, row };
            self.places.entry(segment.key(row)).or_insert(place);
        }
        Ok(())
    }

    /// Copies a row of a file, if it is what was written.
    fn read(&self, mapped: &Mapped, at: usize, row: &mut [f32]) -> bool {
        if mapped.is_damaged.load(Ordering::Relaxed) {
            return false;
        }
        if !mapped.is_whole() || !mapped.segment.read(at, row) {
            if !mapped.is_damaged.swap(true, Ordering::Relaxed) {
                self.damaged(&mapped.path);
            }
            return false;
        }
        if !mapped.is_used.swap(true, Ordering::Relaxed) {
            touch(&mapped.path);
        }
        let bytes = AROUND.max(4 * self.width as u64);
        if self.touched.fetch_add(bytes, Ordering::Relaxed) > RESIDENT {
            self.touched.store(0, Ordering::Relaxed);
            self.give_back();
        }
        true
    }

    /// Gives back the memory of mapped files, if they are large: it is read again where it is needed.
    fn give_back(&self) {
        let mapped: u64 = self.files.iter().map(|file| file.bytes).sum();
        if mapped > RESIDENT {
            self.files.iter().for_each(|file| file.segment.give_back());
        }
    }

    /// Whether a row is in a file that is not believed.
    fn is_lost(&self, place: &Place) -> bool {
        match *place {
            Place::Pending(_) => false,
            Place::Stored { file, .. } => self.files[file].is_damaged.load(Ordering::Relaxed),
        }
    }

    fn damaged(&self, path: &Path) {
        self.store.counts.damaged.fetch_add(1, Ordering::Relaxed);
        // In a folder that cannot be written it stays, and is not believed the next time either.
        let _ = self.store.disk.remove(path);
    }
}

impl Drop for Namespace<'_> {
    /// Writes what waits, if that is possible.
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            self.store.note(error.to_string());
        }
    }
}

/// Says that a file is used now: what was not used for longest goes first. In a folder that cannot be
/// written nothing goes.
fn touch(path: &Path) {
    let file = File::options().write(true).open(path);
    let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
}

/// A file and its bytes, if it has some.
fn map(path: &Path) -> io::Result<Option<(File, Mmap)>> {
    // Asked before it is opened, which may wait for what is no file.
    let metadata = path.metadata()?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(None);
    }
    let file = File::open(path)?;
    // SAFETY: a mapping must not change while slices of it are alive. The store never changes a file that has
    // its name: it writes under another and renames, and removing one leaves its mappings. That somebody
    // else writes into it cannot be ruled out; all that is made of the bytes is a copy, which is checked and
    // which any bytes can be, and of a file that has been cut nothing is read (`Namespace::read`).
    let map = unsafe { Mmap::map(&file)? };
    Ok(Some((file, map)))
}
