//! Where files of weights are looked for, and which one counts.

use std::env;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use regraft_tensor::Detail;

use super::file::WeightsFile;
use super::hash::Hash;
use crate::{Error, Result};

/// Told while a file is downloaded: how many bytes are here, and how many there are if that is known.
pub type OnProgress = dyn Fn(u64, Option<u64>) + Send + Sync;

/// Is told what is waited for.
type OnWait = dyn Fn(&str) + Send + Sync;

/// Where weights are looked for, and how.
#[derive(Clone)]
#[must_use = "it looks for nothing before `find`"]
pub struct Lookup {
    pub(super) home: Option<PathBuf>,
    pub(super) keras_home: Option<PathBuf>,
    pub(super) torch_home: Option<PathBuf>,
    pub(super) hugging_face: Option<PathBuf>,
    pub(super) base_url: Option<String>,
    pub(super) download: bool,
    pub(super) patience: Duration,
    pub(super) on_progress: Option<Arc<OnProgress>>,
    pub(super) on_wait: Option<Arc<OnWait>>,
}

/// The folder in which this library keeps weights and what else may be of use again: `$REGRAFT_HOME`, or `.regraft` in
/// the user's folder; `None` where there is neither.
pub fn home() -> Option<PathBuf> {
    folder("REGRAFT_HOME", ".regraft")
}

fn folder(variable: &str, otherwise: &str) -> Option<PathBuf> {
    let in_home = || Some(env::home_dir()?.join(otherwise));
    set(variable).or_else(in_home)
}

/// The folder that a variable names.
fn set(variable: &str) -> Option<PathBuf> {
    let set = env::var_os(variable).filter(|value| !value.is_empty());
    set.map(PathBuf::from)
}

/// The folder that a variable names, or one in the user's cache.
fn cache(variable: &str, otherwise: &str) -> Option<PathBuf> {
    let in_cache = || Some(folder("XDG_CACHE_HOME", ".cache")?.join(otherwise));
    set(variable).or_else(in_cache)
}

impl Default for Lookup {
    fn default() -> Self {
        Lookup::new()
    }
}

impl Lookup {
    /// As the environment says, and with downloads if the feature `download` is on.
    pub fn new() -> Self {
        Lookup {
            home: home(),
            keras_home: folder("KERAS_HOME", ".keras"),
            torch_home: cache("TORCH_HOME", "torch"),
            hugging_face: set("HF_HUB_CACHE")
                .or_else(|| Some(cache("HF_HOME", "huggingface")?.join("hub"))),
            base_url: env::var("REGRAFT_WEIGHTS_URL")
                .ok()
                .filter(|url| !url.is_empty()),
            download: true,
            patience: Duration::from_secs(30),
            on_progress: None,
            on_wait: None,
        }
    }

    /// The folder of this library, instead of `$REGRAFT_HOME`. Files are in `models/` of it.
    pub fn home(mut self, folder: impl Into<PathBuf>) -> Self {
        self.home = Some(folder.into());
        self
    }

    /// Keras' folder, instead of `$KERAS_HOME`.
    pub fn keras_home(mut self, folder: impl Into<PathBuf>) -> Self {
        self.keras_home = Some(folder.into());
        self
    }

    /// PyTorch's folder, instead of `$TORCH_HOME`. Files are in `hub/checkpoints/` of it.
    pub fn torch_home(mut self, folder: impl Into<PathBuf>) -> Self {
        self.torch_home = Some(folder.into());
        self
    }

    /// The folder of Hugging Face's hub, instead of `$HF_HUB_CACHE`.
    pub fn hugging_face(mut self, folder: impl Into<PathBuf>) -> Self {
        self.hugging_face = Some(folder.into());
        self
    }

    /// A mirror: what stands in place of `https://storage.googleapis.com`.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Whether a file that is not here is downloaded. It is, unless told otherwise or without the feature
    /// `download`.
    pub fn download(mut self, download: bool) -> Self {
        self.download = download;
        self
    }

    /// How long a server may be silent before a download counts as cut; 30 seconds unless told otherwise. A
    /// download as a whole may take as long as it takes.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What is told how far a download is.
    pub fn on_progress(mut self, told: impl Fn(u64, Option<u64>) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Arc::new(told));
        self
    }

    /// What is told, in a sentence, if another process holds a download up for more than a second.
    pub fn on_wait(mut self, told: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_wait = Some(Arc::new(told));
        self
    }

    /// The folder of this library, if there is one.
    pub fn home_folder(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// The file on this machine, downloaded if that is what it takes. `check` says whether a file without a
    /// published hash is the right one.
    ///
    /// # Errors
    /// [`Error::File`] if it is nowhere, with the folder that it can be put in; if it cannot be downloaded,
    /// verified or written.
    pub fn find(
        &self,
        file: &WeightsFile,
        mut check: impl FnMut(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let mut refused = Vec::new();
        for path in self.places(file) {
            match self.verified(&path, file, &mut check) {
                Ok(true) => return Ok(path),
                Ok(false) => {}
                Err(error) => refused.push(error),
            }
        }
        #[cfg(feature = "download")]
        if self.download {
            let downloaded = self.downloaded(file, &mut check);
            return downloaded.map_err(|error| besides(error, &refused));
        }
        // A file that is there and is not the right one says more than that none is.
        Err(refused
            .into_iter()
            .next()
            .unwrap_or_else(|| self.nowhere(file)))
    }

    /// Where the file can be on this machine, in the order in which it is looked for.
    pub fn places(&self, file: &WeightsFile) -> Vec<PathBuf> {
        let models = |home: &PathBuf| home.join("models").join(&file.name);
        let mut places: Vec<PathBuf> = self.home.iter().map(models).collect();
        match (&file.repository, file.is_of_pytorch()) {
            (Some(repository), _) => places.extend(self.in_hub(repository)),
            (None, true) => {
                let home = self.torch_home.iter();
                places.extend(home.map(|it| it.join("hub/checkpoints").join(&file.name)));
            }
            (None, false) => places.extend(self.keras_home.iter().map(models)),
        }
        places
    }

    /// Where Hugging Face's hub has the weights of a repository: in each of its snapshots, the newest first.
    fn in_hub(&self, repository: &str) -> Vec<PathBuf> {
        let Some(hub) = &self.hugging_face else {
            return Vec::new();
        };
        let folder = format!("models--{}", repository.replace('/', "--"));
        let snapshots = hub.join(folder).join("snapshots");
        let entries = std::fs::read_dir(&snapshots)
            .into_iter()
            .flatten()
            .flatten();
        let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        let changed = |path: &PathBuf| path.metadata().and_then(|it| it.modified()).ok();
        found.sort_by_key(|path| std::cmp::Reverse(changed(path)));
        if found.is_empty() {
            found.push(snapshots.join("*"));
        }
        found
            .iter()
            .map(|path| path.join("model.safetensors"))
            .collect()
    }

    /// Whether the file at `path` is the one that is meant; an error if it is there and is not.
    pub(super) fn verified(
        &self,
        path: &Path,
        file: &WeightsFile,
        check: &mut impl FnMut(&Path) -> Result<()>,
    ) -> Result<bool> {
        if !path.is_file() {
            return Ok(false);
        }
        let unread = |error| {
            let at = path.display().to_string();
            Error::File(Detail::new(at, "a file that can be read", error))
        };
        let written_down = self.written_down(file);
        let Some(hash) = file.hash.as_ref().or(written_down.as_ref()) else {
            check(path)?;
            // A help for the next time; where it cannot be written, the next time checks as this one did.
            let _ = self.write_down(
                file,
                &Hash::sha256(File::open(path).map_err(unread)?).map_err(unread)?,
            );
            return Ok(true);
        };
        let found = File::open(path)
            .and_then(|file| hash.same_of(file))
            .map_err(unread)?;
        if found == *hash {
            return Ok(true);
        }
        let detail = Detail::new(path.display().to_string(), hash, found);
        let help = match file.hash {
            Some(_) => "it is damaged or another file; remove it".to_string(),
            None => format!(
                "it is not the file that was checked first; remove it, or {} if it is meant",
                self.note(file).unwrap_or_default().display()
            ),
        };
        Err(Error::File(detail.help(help)))
    }

    /// The file in which the hash of a file is written down for which none is published.
    pub(super) fn note(&self, file: &WeightsFile) -> Option<PathBuf> {
        let home = self.home.as_ref()?;
        Some(home.join("models").join(format!("{}.sha256", file.name)))
    }

    pub(super) fn written_down(&self, file: &WeightsFile) -> Option<Hash> {
        let text = std::fs::read_to_string(self.note(file)?).ok()?;
        Hash::parse(text.split_whitespace().next()?)
    }

    /// Writes a hash down, as `sha256sum` does.
    pub(super) fn write_down(&self, file: &WeightsFile, hash: &Hash) -> Result<()> {
        let Some(note) = self.note(file) else {
            return Ok(());
        };
        if let Some(folder) = note.parent() {
            let _ = std::fs::create_dir_all(folder);
        }
        let line = format!("{}  {}\n", hash.digits(), file.name);
        Ok(regraft_io::write_file(note, line.as_bytes())?)
    }

    pub(super) fn nowhere(&self, file: &WeightsFile) -> Error {
        let places: Vec<String> = self
            .places(file)
            .iter()
            .map(|it| it.display().to_string())
            .collect();
        let expected = match places.is_empty() {
            true => "a folder for weights: set $REGRAFT_HOME".to_string(),
            false => format!("the file {}", places.join(" or ")),
        };
        let detail = Detail::new(&file.name, expected, "none");
        Error::File(detail.help(self.by_hand(file)))
    }

    /// How to get the file without this library.
    pub(super) fn by_hand(&self, file: &WeightsFile) -> String {
        let url = self.url(file);
        let here = self
            .home
            .as_ref()
            .map(|home| home.join("models").join(&file.name));
        let put = match here {
            Some(path) => format!("download {url} elsewhere and put it at {}", path.display()),
            None => format!("download {url} elsewhere and name it with `weights`"),
        };
        match &file.hash {
            Some(hash) => format!("{put}; it has the {hash}"),
            None => put,
        }
    }

    /// Where the file can be had.
    pub(super) fn url(&self, file: &WeightsFile) -> String {
        let Some(base) = &self.base_url else {
            return file.url.clone();
        };
        let after_scheme = file
            .url
            .split_once("://")
            .map_or(file.url.as_str(), |(_, rest)| rest);
        let path = after_scheme.split_once('/').map_or("", |(_, path)| path);
        format!("{}/{path}", base.trim_end_matches('/'))
    }
}

/// The error of a download, with the files on this machine that are not the right one.
#[cfg(feature = "download")]
fn besides(error: Error, refused: &[Error]) -> Error {
    let Error::File(mut detail) = error else {
        return error;
    };
    for wrong in refused.iter().filter_map(Error::detail) {
        if !detail.help.is_empty() {
            detail.help += "; ";
        }
        detail.help += &format!("{} is here and is not the right one: ", wrong.at);
        detail.help += &format!("expected {}, received {}", wrong.expected, wrong.received);
    }
    Error::File(detail)
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup")
            .field("home", &self.home)
            .field("keras_home", &self.keras_home)
            .field("torch_home", &self.torch_home)
            .field("hugging_face", &self.hugging_face)
            .field("base_url", &self.base_url)
            .field("download", &self.download)
            .finish_non_exhaustive()
    }
}
