//! Downloading a file of weights: goes on where it was cut, takes its name when it is whole and right.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use regraft_tensor::Detail;
use ureq::Agent;

use super::file::WeightsFile;
use super::hash::Hash;
use super::lookup::Lookup;
use crate::{Error, Result};

/// No published file is half as large.
const LIMIT: u64 = 4 << 30;

/// How often the same place is tried in vain before it is given up.
const TRIES: u32 = 4;

/// Why a download has stopped.
enum Stop {
    /// The connection; it may be better the next time.
    Cut(String),
    /// The server has something else than what was begun.
    Anew,
    /// Nothing that trying again would change.
    Final(Detail),
}

impl Lookup {
    /// Downloads the file into this library's folder, unless another process has done so meanwhile.
    pub(super) fn downloaded(
        &self,
        file: &WeightsFile,
        check: &mut impl FnMut(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let home = self.home.as_ref().ok_or_else(|| self.nowhere(file))?;
        let folder = home.join("models");
        let unwritable = |error: io::Error| {
            let at = folder.display().to_string();
            let detail = Detail::new(at, "a folder that can be written", error);
            Error::File(detail.help("set $REGRAFT_HOME to a folder that you may write to"))
        };
        fs::create_dir_all(&folder).map_err(unwritable)?;
        // Goes with the file, also when the process is killed.
        let _lock = self.locked(&folder, file).map_err(unwritable)?;
        let path = folder.join(&file.name);
        let is_refused = match self.verified(&path, file, check) {
            Ok(true) => return Ok(path),
            Ok(false) => false,
            Err(_) => true,
        };
        let part = Part::of(&folder, &file.name);
        let mut resumed = part.length() > 0;
        loop {
            self.fetch(file, &part)?;
            match self.right(&part.path, file, check) {
                Ok(hash) => {
                    if file.hash.is_none() {
                        self.write_down(file, &hash)?;
                    }
                    if is_refused {
                        // It may be somebody's own.
                        let aside = folder.join(format!("{}.refused", file.name));
                        fs::rename(&path, aside).map_err(unwritable)?;
                    }
                    fs::rename(&part.path, &path).map_err(unwritable)?;
                    part.forget();
                    return Ok(path);
                }
                // What was there before may have been another file's beginning.
                Err(_) if resumed => part.forget(),
                Err(error) => {
                    part.forget();
                    return Err(error);
                }
            }
            resumed = false;
        }
    }

    /// Waits until no other process downloads the file, and writes down in the lock which one does.
    fn locked(&self, folder: &Path, file: &WeightsFile) -> io::Result<File> {
        let path = folder.join(format!(".{}.lock", file.name));
        let mut options = OpenOptions::new();
        let options = options.create(true).read(true).write(true).truncate(false);
        let mut lock = options.open(&path)?;
        let (since, mut told) = (Instant::now(), self.on_wait.as_ref());
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(20)),
            }
            if let Some(told) = told.take_if(|_| since.elapsed() > Duration::from_secs(1)) {
                let number = fs::read_to_string(&path).unwrap_or_default();
                let who = match number.parse::<u32>() {
                    Ok(number) => format!("process {number}"),
                    Err(_) => "another process".to_string(),
                };
                let (name, path) = (&file.name, path.display());
                told(&format!(
                    "waiting for {who}, which gets {name} and holds {path}"
                ));
            }
        }
        lock.set_len(0)?;
        write!(lock, "{}", std::process::id())?;
        Ok(lock)
    }

    /// The SHA-256 of a file that is the right one by its published hash or, without one, by its content.
    fn right(
        &self,
        part: &Path,
        file: &WeightsFile,
        check: &mut impl FnMut(&Path) -> Result<()>,
    ) -> Result<Hash> {
        let unread = |error| {
            let at = part.display().to_string();
            Error::File(Detail::new(at, "a file that can be read", error))
        };
        let open = || File::open(part).map_err(unread);
        let written_down = self.written_down(file);
        let Some(known) = file.hash.as_ref().or(written_down.as_ref()) else {
            check(part)?;
            return Hash::sha256(open()?).map_err(unread);
        };
        let found = known.same_of(open()?).map_err(unread)?;
        if found == *known {
            return Ok(found);
        }
        let detail = Detail::new(self.url(file), known, found);
        let help = match (&file.hash, self.note(file)) {
            (None, Some(note)) => {
                format!(
                    "another file was checked first; remove {} if this one is meant",
                    note.display()
                )
            }
            _ => "it was changed on the way, or there is another file now; nothing was kept".into(),
        };
        Err(Error::File(detail.help(help)))
    }

    /// Completes what is there of the file.
    fn fetch(&self, file: &WeightsFile, part: &Part) -> Result<()> {
        let url = self.url(file);
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .https_only(url.starts_with("https://"))
            .timeout_connect(Some(self.patience))
            .timeout_recv_response(Some(self.patience))
            .timeout_per_read(Some(self.patience))
            .user_agent(concat!("regraft/", env!("CARGO_PKG_VERSION")))
            .proxy(ureq::Proxy::try_from_env().filter(|_| !is_local(&url)))
            .build()
            .into();
        let mut in_vain = 0;
        loop {
            let before = part.length();
            let stop = match self.fetch_once(&agent, &url, file, part) {
                Ok(()) => return Ok(()),
                Err(stop) => stop,
            };
            let why = match stop {
                Stop::Final(detail) => return Err(Error::File(detail)),
                Stop::Anew => {
                    part.forget();
                    "the server has another file than the one that was begun".to_string()
                }
                Stop::Cut(why) => why,
            };
            in_vain = match part.length() > before {
                true => 1,
                false => in_vain + 1,
            };
            if in_vain >= TRIES {
                let detail = Detail::new(&url, "the file", why);
                let help = format!(
                    "try again, which goes on from here; without a network {}",
                    self.by_hand(file)
                );
                return Err(Error::File(detail.help(help)));
            }
            thread::sleep(self.patience.min(Duration::from_secs(1)) / 4 * 2u32.pow(in_vain));
        }
    }

    fn fetch_once(
        &self,
        agent: &Agent,
        url: &str,
        file: &WeightsFile,
        part: &Part,
    ) -> std::result::Result<(), Stop> {
        let tag = part.tag();
        let mut here = part.length();
        // Without a hash to tell it afterwards, only the server can say that it is still the same file.
        if here > 0 && tag.is_none() && file.hash.is_none() {
            part.forget();
            here = 0;
        }
        let mut request = agent.get(url);
        if here > 0 {
            request = request.header("Range", format!("bytes={here}-"));
            if let Some(tag) = &tag {
                request = request.header("If-Range", tag);
            }
        }
        let answer = request.call().map_err(|error| stop(url, error))?;
        let header = |name: &str| answer.headers().get(name).and_then(|it| it.to_str().ok());
        match answer.status().as_u16() {
            200 => here = 0,
            206 if begins_at(header("content-range"), here) => {}
            // All of it was here.
            416 if header("content-range") == Some(format!("bytes */{here}").as_str()) => {
                return Ok(());
            }
            206 | 416 => return Err(Stop::Anew),
            408 | 429 | 500..=599 => {
                return Err(Stop::Cut(format!("the answer {}", answer.status())));
            }
            _ => {
                let detail =
                    Detail::new(url, "the file", format!("the answer {}", answer.status()));
                return Err(Stop::Final(detail.help(self.by_hand(file))));
            }
        }
        let tag = header("etag").filter(|tag| !tag.starts_with("W/"));
        let tag = tag.or(header("last-modified")).map(str::to_string);
        let length: Option<u64> = answer.body().content_length();
        let total = length.map(|length| here.saturating_add(length));
        let unwritable = |error: io::Error| {
            if error.kind() == io::ErrorKind::StorageFull {
                // What is there would keep the disk full.
                part.forget();
            }
            let at = part.path.display().to_string();
            Stop::Final(Detail::new(at, "a file that can be written", error))
        };
        let too_large = || {
            part.forget();
            let expected = format!("a file of at most {} GiB", LIMIT >> 30);
            let received = total.map_or("more".to_string(), |total| format!("{total} bytes"));
            Stop::Final(Detail::new(url, expected, received))
        };
        if total.is_some_and(|total| total > LIMIT) {
            return Err(too_large());
        }
        // In this order: what was there of another file must never stand beside this one's tag.
        let mut out = part.open(here).map_err(unwritable)?;
        part.set_tag(tag.as_deref()).map_err(unwritable)?;
        let mut body = answer
            .into_body()
            .into_with_config()
            .limit(u64::MAX)
            .reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            if let Some(told) = &self.on_progress {
                told(here, total);
            }
            let read = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Stop::Cut(error.to_string())),
            };
            here += read as u64;
            if here > LIMIT {
                return Err(too_large());
            }
            out.write_all(&buffer[..read]).map_err(unwritable)?;
        }
        out.sync_all().map_err(unwritable)?;
        match total {
            Some(total) if here < total => Err(Stop::Cut(format!("{here} of {total} bytes"))),
            _ => Ok(()),
        }
    }
}

/// Whether a server is on this machine, which no proxy reaches.
fn is_local(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|local| {
        let rest = host.strip_prefix(local);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    })
}

/// Whether an answer begins where it was asked to: `bytes 100-199/200`.
fn begins_at(range: Option<&str>, here: u64) -> bool {
    let begin = range
        .and_then(|range| range.trim().strip_prefix("bytes "))
        .and_then(|range| range.split_once('-'));
    begin.is_some_and(|(begin, _)| begin.trim().parse() == Ok(here))
}

fn stop(url: &str, error: ureq::Error) -> Stop {
    use ureq::Error::{ConnectionFailed, HostNotFound, Io, Timeout};
    match error {
        Io(_) | Timeout(_) | HostNotFound | ConnectionFailed => Stop::Cut(error.to_string()),
        error => Stop::Final(Detail::new(url, "an answer that can be read", error)),
    }
}

/// A file that is not whole yet, and what the server said of it when it was begun.
struct Part {
    path: PathBuf,
    tag: PathBuf,
}

impl Part {
    fn of(folder: &Path, name: &str) -> Self {
        Part {
            path: folder.join(format!(".{name}.part")),
            tag: folder.join(format!(".{name}.part.tag")),
        }
    }

    fn length(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    fn tag(&self) -> Option<String> {
        let tag = fs::read_to_string(&self.tag).ok()?;
        // It becomes a header.
        let plain = tag.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        (plain && !tag.is_empty()).then_some(tag)
    }

    fn set_tag(&self, tag: Option<&str>) -> io::Result<()> {
        match tag {
            Some(tag) => fs::write(&self.tag, tag),
            None => match fs::remove_file(&self.tag) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }

    /// Opens it to be written from byte `at`, where it ends.
    fn open(&self, at: u64) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let mut file = options
            .create(true)
            .write(true)
            .truncate(false)
            .open(&self.path)?;
        file.set_len(at)?;
        file.seek(io::SeekFrom::Start(at))?;
        Ok(file)
    }

    /// Removes it. What cannot be removed is overwritten the next time.
    fn forget(&self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(&self.tag);
    }
}
