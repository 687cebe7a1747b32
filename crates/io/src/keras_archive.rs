//! `.keras`: architecture and weights of a model in one zip archive, or unpacked in a folder.
//!
//! The members are `metadata.json`, `config.json`, `model.weights.h5` (see
//! [`keras_weights`](mod@crate::keras_weights)) and `assets/…`. Keras stores them uncompressed, so the
//! weights are read in place. Weights as `.npz`, which Keras can also write, are refused.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Cursor, Seek, SeekFrom, Write};
use std::path::Path;

use serde_json::{Map, Value};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::archive::Archive;
use crate::input::Input;
use crate::{Checkpoint, Error, Format, Metadata, Result, atomic, keras_weights};

const METADATA: &str = "metadata.json";
const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.weights.h5";
const NPZ_WEIGHTS: &str = "model.weights.npz";
const ASSETS: &str = "assets/";

/// Reads a `.keras` archive, or the folder of an unpacked one.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Io`]; [`Error::Format`] if the archive, a JSON member or the
/// weights are corrupt; [`Error::Missing`] without `config.json` or weights; [`Error::Unsupported`]
/// for `.npz` weights and encryption; [`Error::Limit`] for members that unpack to far more than
/// they take.
pub fn read(path: impl AsRef<Path>) -> Result<Checkpoint> {
    let path = path.as_ref();
    let checkpoint = if path.is_dir() {
        from_folder(path)
    } else {
        Input::open(path).and_then(|input| from_input(&input))
    };
    checkpoint.map_err(|error| error.in_file(&path.display().to_string()))
}

/// Reads the bytes of a `.keras` archive. A `Vec` is taken over, a slice is copied.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(bytes: impl Into<Vec<u8>>) -> Result<Checkpoint> {
    from_input(&Input::memory(bytes.into()))
}

/// Writes a `.keras` archive. Either all of it is written or what was there stays.
///
/// # Errors
/// [`Error::Missing`] if the checkpoint has no [`config`](Checkpoint::config); otherwise as
/// [`keras_weights::write`].
pub fn write(path: impl AsRef<Path>, checkpoint: &Checkpoint) -> Result<()> {
    atomic::write(path.as_ref(), |out| write_to(out, checkpoint))
}

/// The bytes of a `.keras` archive.
///
/// # Errors
/// As [`write()`], but for the file system's.
pub fn to_bytes(checkpoint: &Checkpoint) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    write_to(&mut bytes, checkpoint)?;
    Ok(bytes.into_inner())
}

fn write_to(out: &mut (impl Write + Seek), checkpoint: &Checkpoint) -> Result<()> {
    let Some(config) = &checkpoint.config else {
        return Err(Error::missing(CONFIG, "the model's config", "none")
            .help("set Checkpoint::config, or write weights only with keras_weights::write"));
    };
    let mut config = config.clone();
    if let (Value::Object(config), Some(compile)) = (&mut config, &checkpoint.compile_config) {
        config.insert("compile_config".to_string(), compile.clone());
    }
    let mut metadata = Map::new();
    let saved = &checkpoint.metadata;
    for (key, value) in [
        ("keras_version", &saved.keras_version),
        ("date_saved", &saved.date_saved),
    ] {
        if let Some(value) = value {
            metadata.insert(key.to_string(), value.as_str().into());
        }
    }
    let metadata = Value::Object(metadata);
    let weights = keras_weights::to_bytes(checkpoint)?;

    let mut archive = ZipWriter::new(Remembering { out, failed: None });
    let mut member = |name: &str, bytes: &[u8]| -> std::io::Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(bytes.len() as u64 >= u64::from(u32::MAX));
        archive.start_file(name, options)?;
        archive.write_all(bytes)
    };
    let mut members = || {
        member(METADATA, metadata.to_string().as_bytes())?;
        member(CONFIG, config.to_string().as_bytes())?;
        member(WEIGHTS, &weights)?;
        let mut assets = checkpoint.assets.iter();
        assets.try_for_each(|(name, bytes)| member(name, bytes))
    };
    let problem = |error: std::io::Error| Error::io(Path::new(""), "room to write", &error);
    members().map_err(problem)?;
    let Remembering { out, failed } = archive.finish().map_err(|error| problem(error.into()))?;
    match failed {
        Some(error) => Err(problem(error)),
        None => out.flush().map_err(problem),
    }
}

/// Goes on after an error as if there was none, and remembers it: an archive that fails would try to finish itself when
/// it is dropped, and complain on the standard error.
struct Remembering<W> {
    out: W,
    failed: Option<std::io::Error>,
}

impl<W: Write> Write for Remembering<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.failed.is_some() {
            return Ok(bytes.len());
        }
        match self.out.write(bytes) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                self.failed = Some(error);
                Ok(bytes.len())
            }
            written => written,
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self.failed {
            Some(_) => Ok(()),
            None => self.out.flush(),
        }
    }
}

impl<W: Seek> Seek for Remembering<W> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let place = self.out.seek(to);
        match self.failed {
            Some(_) => Ok(place.unwrap_or(0)),
            None => place,
        }
    }
}

pub(crate) fn from_input(input: &Input) -> Result<Checkpoint> {
    from_archive(Archive::open(input)?)
}

pub(crate) fn from_archive(mut archive: Archive) -> Result<Checkpoint> {
    // A zip archive that merely holds arrays is NumPy's `.npz`.
    let names = archive.names()?;
    let has = |name: &str| names.iter().any(|found| found == name);
    if has(NPZ_WEIGHTS) || (!has(WEIGHTS) && names.iter().any(|name| name.ends_with(".npy"))) {
        return Err(refuse_npz());
    }
    let config = archive.json(CONFIG)?;
    let metadata = match has(METADATA) {
        true => Some(archive.json(METADATA)?),
        false => None,
    };
    let weights = match archive.stored(WEIGHTS)? {
        Some(weights) => weights,
        None => Input::memory(archive.bytes(WEIGHTS)?),
    };
    let mut assets = BTreeMap::new();
    for name in names {
        if name.starts_with(ASSETS) && !name.ends_with('/') {
            let bytes = archive.bytes(&name)?;
            assets.insert(name, bytes);
        }
    }
    assemble(&weights, config, metadata, assets)
}

fn from_folder(folder: &Path) -> Result<Checkpoint> {
    let json = |name: &str| -> Result<Value> {
        let path = folder.join(name);
        let wrap = |error: std::io::Error| Error::io(&path, "a readable file", &error);
        let file = File::open(&path).map_err(wrap)?;
        serde_json::from_reader(BufReader::new(file))
            .map_err(|error| Error::format(name, "JSON", error))
    };
    if !folder.join(WEIGHTS).exists() && folder.join(NPZ_WEIGHTS).exists() {
        return Err(refuse_npz());
    }
    let weights = Input::open(&folder.join(WEIGHTS))?;
    let metadata = match folder.join(METADATA).exists() {
        true => Some(json(METADATA)?),
        false => None,
    };
    let mut assets = BTreeMap::new();
    collect_files(&folder.join(ASSETS), ASSETS, &mut assets)?;
    assemble(&weights, json(CONFIG)?, metadata, assets)
}

/// Reads all files below `folder`; links are not followed.
fn collect_files(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    let wrap = |error: std::io::Error| Error::io(folder, "a readable folder", &error);
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).map_err(wrap)? {
        let entry = entry.map_err(wrap)?;
        let kind = entry.file_type().map_err(wrap)?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if kind.is_dir() {
            collect_files(&entry.path(), &format!("{name}/"), files)?;
        } else if kind.is_file() {
            files.insert(name, std::fs::read(entry.path()).map_err(wrap)?);
        }
    }
    Ok(())
}

fn assemble(
    weights: &Input,
    mut config: Value,
    metadata: Option<Value>,
    assets: BTreeMap<String, Vec<u8>>,
) -> Result<Checkpoint> {
    let mut checkpoint =
        keras_weights::from_input(weights).map_err(|error| error.in_file(WEIGHTS))?;
    if let Format::KerasWeights(dialect) = checkpoint.format {
        checkpoint.format = Format::KerasArchive(dialect);
    }
    let Value::Object(entries) = &mut config else {
        return Err(Error::format(CONFIG, "a JSON object", "another value"));
    };
    // `shift_remove` keeps the order of the others.
    checkpoint.compile_config = entries.shift_remove("compile_config");
    checkpoint.config = Some(config);
    checkpoint.assets = assets;
    let entry = |key: &str| {
        let value = metadata.as_ref()?.get(key)?;
        value.as_str().map(str::to_string)
    };
    checkpoint.metadata = Metadata {
        keras_version: entry("keras_version"),
        date_saved: entry("date_saved"),
        // The weights bring the entries.
        ..checkpoint.metadata
    };
    Ok(checkpoint)
}

fn refuse_npz() -> Error {
    Error::unsupported(
        NPZ_WEIGHTS,
        WEIGHTS,
        "weights as .npz, which hold pickled objects",
    )
    .help("load the model in Keras and save it with weights_format=\"h5\", the default")
}
