//! A folder of namespaces: its budget, its lock, and what becomes of files that are not used.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use regraft_tensor::Detail;

use crate::disk::Disk;
use crate::{Digest, Error, Namespace, Result};

/// Rows kept on disk, in a folder. Any number of processes may use it at the same time.
#[derive(Debug)]
pub struct FeatureStore {
    folder: PathBuf,
    budget: u64,
    pub(crate) disk: Disk,
    /// Bytes of rows that are written as one file.
    pub(crate) segment_bytes: u64,
    /// How long rows may wait to be written.
    pub(crate) patience: Duration,
    pub(crate) counts: Counts,
    problem: Mutex<Option<String>>,
}

/// What a store has done since it was opened, in this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Rows that were found.
    pub found: u64,
    /// Rows that were written.
    pub written: u64,
    /// Files that were not what had been written, and have been removed.
    pub damaged: u64,
    /// Files that were removed to keep the budget.
    pub evicted: u64,
    /// Why rows were last not kept, if some were not.
    pub problem: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub found: AtomicU64,
    pub written: AtomicU64,
    pub damaged: AtomicU64,
    pub evicted: AtomicU64,
}

/// A file of rows as it stands in the folder.
struct Found {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// The name of the file that whoever writes has locked.
const LOCK: &str = "lock";
/// How files of rows end.
pub(crate) const ROWS: &str = "rows";
/// How files end that are being written.
pub(crate) const TEMPORARY: &str = "tmp";

impl FeatureStore {
    /// The store in a folder, which is made if it is not there. It may take 4 GiB; see
    /// [`budget`](Self::budget).
    ///
    /// # Errors
    /// [`Error::Write`] if the folder cannot be made.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        if !folder.is_dir() {
            fs::create_dir_all(&folder).map_err(|error| Error::write(&folder, &error))?;
        }
        Ok(FeatureStore {
            folder,
            budget: 4 << 30,
            disk: Disk::default(),
            segment_bytes: 64 << 20,
            patience: Duration::from_secs(5),
            counts: Counts::default(),
            problem: Mutex::default(),
        })
    }

    /// How many bytes the files may take. It is kept whenever something is written; while small files become
    /// one, their rows are there twice.
    pub fn budget(mut self, bytes: u64) -> Self {
        self.budget = bytes;
        // Some files, so that there is something to choose from.
        self.segment_bytes = (bytes / 8).min(64 << 20);
        self
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The rows of one computation: `computation` is a hash of all that they depend on but for the sample
    /// (a network, its weights, how inputs are prepared), `shapes` that of a row of each output.
    ///
    /// # Errors
    /// [`Error::Read`] if the folder cannot be read. What is wrong with a file is no error: its rows are not
    /// there.
    pub fn namespace(&self, computation: &Digest, shapes: &[Vec<usize>]) -> Result<Namespace<'_>> {
        Namespace::open(self, computation, shapes)
    }

    /// What the store has done since it was opened.
    pub fn usage(&self) -> Usage {
        let Counts {
            found,
            written,
            damaged,
            evicted,
        } = &self.counts;
        let problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        Usage {
            found: found.load(Ordering::Relaxed),
            written: written.load(Ordering::Relaxed),
            damaged: damaged.load(Ordering::Relaxed),
            evicted: evicted.load(Ordering::Relaxed),
            problem: problem.clone(),
        }
    }

    /// Notes in [`usage`](Self::usage) why rows were not kept.
    pub fn note(&self, problem: impl Into<String>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem.into());
    }

    /// The bytes of all files of rows.
    ///
    /// # Errors
    /// [`Error::Read`] if the folder cannot be read.
    pub fn bytes(&self) -> Result<u64> {
        let (rows, _) = self.files()?;
        Ok(rows.iter().map(|file| file.bytes).sum())
    }

    /// Removes all rows.
    ///
    /// # Errors
    /// [`Error::Write`] if a file cannot be removed, and as those of writing.
    pub fn clear(&self) -> Result<()> {
        let _lock = self.lock()?;
        let (rows, temporary) = self.files()?;
        let rows = rows.into_iter().map(|file| file.path);
        for path in rows.chain(temporary) {
            self.remove(&path)
                .map_err(|error| Error::write(&path, &error))?;
        }
        Ok(())
    }

    /// Waits until no other process writes, and keeps it so until the file is closed, or the process ends.
    pub(crate) fn lock(&self) -> Result<File> {
        const LONG: Duration = Duration::from_secs(10);
        let path = self.folder.join(LOCK);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let file = file.map_err(|error| Error::write(&path, &error))?;
        let since = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(Error::write(&path, &error)),
                Err(TryLockError::WouldBlock) if since.elapsed() > LONG => {
                    let received = format!("locked for {} s", LONG.as_secs());
                    let detail = Detail::new(path.display().to_string(), "to lock it", received);
                    return Err(Error::Busy(
                        detail.help("see which process holds it, and whether it was stopped"),
                    ));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Makes room for so many bytes, if that needs no file that was used since `opened`; the files `leaving`
    /// will be gone. Whoever calls it has the lock.
    pub(crate) fn make_room(
        &self,
        bytes: u64,
        opened: SystemTime,
        leaving: &[PathBuf],
    ) -> Result<()> {
        let (mut rows, temporary) = self.files()?;
        rows.retain(|file| !leaving.contains(&file.path));
        // Nobody else writes: those who were writing are gone.
        for path in temporary {
            self.remove(&path)
                .map_err(|error| Error::write(&path, &error))?;
        }
        let all: u64 = rows.iter().map(|file| file.bytes).sum();
        let mut excess = (all + bytes).saturating_sub(self.budget);
        if excess == 0 {
            return Ok(());
        }
        rows.retain(|file| file.used < opened);
        let unused: u64 = rows.iter().map(|file| file.bytes).sum();
        if unused < excess {
            let expected = format!("at most {} bytes", self.budget);
            let received = format!("{} in use, and {bytes} more", all - unused);
            let detail = Detail::new(self.folder.display().to_string(), expected, received);
            return Err(Error::Budget(detail.help("give the store a larger budget")));
        }
        rows.sort_by(|a, b| a.used.cmp(&b.used).then_with(|| a.path.cmp(&b.path)));
        for file in rows {
            if excess == 0 {
                break;
            }
            // Some systems keep what another process reads.
            if self.remove(&file.path).is_ok() {
                excess = excess.saturating_sub(file.bytes);
                self.counts.evicted.fetch_add(1, Ordering::Relaxed);
            }
        }
        match excess {
            0 => Ok(()),
            _ => {
                let detail = Detail::new(
                    self.folder.display().to_string(),
                    "to remove files",
                    "they stay",
                );
                Err(Error::Budget(detail))
            }
        }
    }

    /// Removes a file, and its folder if nothing else is there.
    fn remove(&self, path: &Path) -> io::Result<()> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if let Some(folder) = path.parent() {
            // Refused unless it is empty.
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }

    /// All files of rows, and all that were not finished.
    fn files(&self) -> Result<(Vec<Found>, Vec<PathBuf>)> {
        let (mut rows, mut temporary) = (Vec::new(), Vec::new());
        for folder in entries(&self.folder)? {
            let name = folder.file_name().unwrap_or_default();
            let is_hex = |name: &[u8]| name.len() == 64 && name.iter().all(u8::is_ascii_hexdigit);
            if !is_hex(name.as_encoded_bytes()) || !folder.is_dir() {
                continue;
            }
            for path in entries(&folder)? {
                let extension = path.extension().and_then(|it| it.to_str());
                if extension == Some(TEMPORARY) {
                    temporary.push(path);
                } else if extension == Some(ROWS) {
                    // What another process has just removed is not there.
                    if let Some(metadata) = path.metadata().ok().filter(fs::Metadata::is_file) {
                        let used = metadata.modified().ok();
                        // What a clock that was set back has said tells nothing, and must not keep it for ever.
                        let used = used.filter(|used| *used <= SystemTime::now());
                        rows.push(Found {
                            bytes: metadata.len(),
                            used: used.unwrap_or(SystemTime::UNIX_EPOCH),
                            path,
                        });
                    }
                }
            }
        }
        Ok((rows, temporary))
    }
}

/// What is in a folder; nothing if it is not there.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let at = |error: io::Error| Error::read(folder, &error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(at)?,
    };
    entries
        .map(|entry| entry.map(|entry| entry.path()).map_err(at))
        .collect()
}
