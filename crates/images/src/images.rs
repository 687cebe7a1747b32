//! Files of pictures with their classes: a folder of folders, a list, a table.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use regex::Regex;
use regraft_tensor::Detail;

use crate::error::shown;
use crate::{Error, Limits, Picture, Resize, Result, decode};

/// Files of pictures with the class of each, as a [`Dataset`](regraft_data::Dataset): torchvision's `ImageFolder`,
/// Keras' `image_dataset_from_directory`.
///
/// A sample's input is a picture of `[rows, columns, 3]` floats in 0..=255, its target the number of its class.
/// Files are read when they are asked for, in parallel. Nothing is guessed from names: what a file is, its bytes say.
///
/// What is here is a state of the files: a file that has other bytes than when it was first read is an error.
#[doc(alias = "ImageFolder")]
#[derive(Clone, Debug)]
pub struct Images {
    root: PathBuf,
    paths: Vec<PathBuf>,
    labels: Vec<i32>,
    classes: Vec<String>,
    outside: Vec<PathBuf>,
    resize: Resize,
    limits: Limits,
    /// The hash of each file's bytes, once it was read.
    contents: Vec<OnceLock<[u8; 32]>>,
}

impl Images {
    /// A folder with one sub-folder for each class, which has the pictures of the class at any depth.
    ///
    /// Classes are in the order of their names, as in Keras. Names that begin with a point are passed over. A link
    /// to a folder is followed, but not to one around it, and within a class no folder is listed twice, so that links in
    /// a circle end; a link into another class is named as what cannot be read.
    /// Whatever else is there is listed, and is an error when it is read: [`scan`](Self::scan) names what is no picture.
    ///
    /// # Errors
    /// [`Error::File`] if the folder cannot be listed, [`Error::Set`] if it has no folders.
    pub fn folder(path: impl AsRef<Path>) -> Result<Self> {
        let root = path.as_ref();
        let mut classes = Vec::new();
        let mut outside = Vec::new();
        for entry in
            sorted_entries(root).map_err(|error| cannot("list the folder", root, &error))?
        {
            match entry.is_dir() {
                true => classes.push(entry),
                false => outside.push(entry),
            }
        }
        if classes.is_empty() {
            let received = match outside.len() {
                0 => "an empty folder".to_string(),
                1 => "one file and no folder".to_string(),
                files => format!("{files} files and no folder"),
            };
            return Err(Error::Set(
                Detail::new(
                    shown(root),
                    "a folder for each class, with its pictures",
                    received,
                )
                .help(
                    "put the pictures of each class into a folder that has the name of the class",
                ),
            ));
        }
        let mut images = Images::of(root.to_path_buf());
        images.outside = outside;
        for (label, folder) in classes.iter().enumerate() {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            if images.classes.iter().any(|class| *class == name) {
                let received = "two that differ only in bytes that are no text";
                return Err(Error::Set(Detail::new(
                    shown(folder),
                    "folders with different names",
                    received,
                )));
            }
            images.classes.push(name.into_owned());
            let files = files_below(folder, root);
            images
                .labels
                .resize(images.labels.len() + files.len(), label as i32);
            images.paths.extend(files);
        }
        Ok(images.listed())
    }

    /// Files with the name of the class of each; classes are in the order of their names.
    ///
    /// # Errors
    /// [`Error::Set`] if there are none.
    pub fn list(
        pictures: impl IntoIterator<Item = (impl Into<PathBuf>, impl Into<String>)>,
    ) -> Result<Self> {
        let (paths, names): (Vec<PathBuf>, Vec<String>) = pictures
            .into_iter()
            .map(|(path, name)| (path.into(), name.into()))
            .unzip();
        let mut classes = names.clone();
        classes.sort();
        classes.dedup();
        let number = |name| {
            classes
                .binary_search(name)
                .expect("every name is among them") as i32
        };
        let mut images = Images::of(PathBuf::new());
        images.labels = names.iter().map(number).collect();
        images.classes = classes;
        images.paths = paths;
        images.listed().not_empty("a list of pictures")
    }

    /// Files of which no class is known, for prediction.
    ///
    /// # Errors
    /// [`Error::Set`] if there are none.
    pub fn unlabeled(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Result<Self> {
        let mut images = Images::of(PathBuf::new());
        images.paths = paths.into_iter().map(Into::into).collect();
        images.listed().not_empty("a list of pictures")
    }

    /// A table of comma-separated values with a column `path` and a column `label`, the name of the class; other
    /// columns are passed over. Paths are relative to the table's folder. Without `label` no class is known.
    ///
    /// # Errors
    /// [`Error::File`] if the table cannot be read, [`Error::Set`] with the line if it is no such table.
    pub fn csv(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let place = shown(path);
        let wrong = |error: csv::Error| {
            let help = "quote what has commas or line breaks in it, and write it as UTF-8";
            match error.kind() {
                csv::ErrorKind::Io(error) => cannot("read the table", path, error),
                _ => Error::Set(
                    Detail::new(
                        place.clone(),
                        "comma-separated values with a header",
                        &error,
                    )
                    .help(help),
                ),
            }
        };
        let mut reader = csv::Reader::from_path(path).map_err(wrong)?;
        let header = reader.headers().map_err(wrong)?.clone();
        let column = |name: &str| {
            // Excel writes a byte order mark in front of the first name.
            header
                .iter()
                .position(|column| column.trim_start_matches('\u{feff}').trim() == name)
        };
        let Some(path_column) = column("path") else {
            let received = format!("{:?}", header.iter().collect::<Vec<_>>());
            return Err(Error::Set(Detail::new(
                place,
                "a column `path`, and `label` for the classes",
                received,
            )));
        };
        let label_column = column("label");
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut paths = Vec::new();
        let mut names = Vec::new();
        for record in reader.records() {
            let record = record.map_err(wrong)?;
            let empty = |what: &str| {
                let line = record.position().map_or(0, csv::Position::line);
                Error::Set(Detail::new(
                    format!("{place}, line {line}"),
                    what,
                    "nothing",
                ))
            };
            let cell = |column: usize| record.get(column).filter(|cell| !cell.is_empty());
            paths.push(folder.join(cell(path_column).ok_or_else(|| empty("a path"))?));
            if let Some(column) = label_column {
                names.push(cell(column).ok_or_else(|| empty("a label"))?.to_string());
            }
        }
        let mut images = match label_column {
            Some(_) if !paths.is_empty() => Images::list(paths.into_iter().zip(names))?,
            _ => {
                let mut images = Images::of(PathBuf::new());
                images.paths = paths;
                images.listed().not_empty(&place)?
            }
        };
        images.root = folder.to_path_buf();
        Ok(images)
    }

    fn of(root: PathBuf) -> Self {
        Images {
            root,
            paths: Vec::new(),
            labels: Vec::new(),
            classes: Vec::new(),
            outside: Vec::new(),
            // Keras' image_size.
            resize: Resize::new([256, 256]),
            limits: Limits::default(),
            contents: Vec::new(),
        }
    }

    fn listed(mut self) -> Self {
        self.contents = vec![OnceLock::new(); self.paths.len()];
        self
    }

    fn not_empty(self, place: &str) -> Result<Self> {
        match self.paths.is_empty() {
            true => Err(Error::Set(Detail::new(
                place,
                "at least one picture",
                "none",
            ))),
            false => Ok(self),
        }
    }

    /// The size that pictures have as samples, and how they get it; by default 256 × 256, as in Keras.
    #[must_use]
    pub fn resize(mut self, resize: Resize) -> Self {
        self.resize = resize;
        self
    }

    /// How large a picture may be.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The size that pictures have as samples.
    pub fn size(&self) -> &Resize {
        &self.resize
    }

    /// The names of the classes, each at the place of its number; none if no class is known.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The files.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// The number of each file's class; none if no class is known.
    pub fn labels(&self) -> &[i32] {
        &self.labels
    }

    /// Files that lie beside the folders of the classes and so belong to none. They are not among the pictures.
    pub fn outside(&self) -> &[PathBuf] {
        &self.outside
    }

    /// A picture's path below the folder that was opened, on one line, for messages and tables.
    pub fn name(&self, picture: usize) -> String {
        let path = &self.paths[picture];
        shown(path.strip_prefix(&self.root).unwrap_or(path))
    }

    /// These pictures, in this order. Classes keep their numbers, also those of which no picture is left.
    ///
    /// # Panics
    /// If there is no picture of a number.
    #[must_use]
    pub fn keep(&self, pictures: &[usize]) -> Self {
        let mut images = Images {
            paths: pictures
                .iter()
                .map(|&picture| self.paths[picture].clone())
                .collect(),
            contents: pictures
                .iter()
                .map(|&picture| self.contents[picture].clone())
                .collect(),
            root: self.root.clone(),
            labels: Vec::new(),
            classes: self.classes.clone(),
            outside: self.outside.clone(),
            ..*self
        };
        if !self.labels.is_empty() {
            images.labels = pictures
                .iter()
                .map(|&picture| self.labels[picture])
                .collect();
        }
        images
    }

    /// Pictures that belong together by their names, such as those of one object or one day: two have the same
    /// number if what the expression finds in their paths (below the folder that was opened, with `/` between names)
    /// is the same. That is what its groups find, or all of it if it has none. A picture in whose path it finds
    /// nothing is alone.
    ///
    /// # Errors
    /// [`Error::Set`] if it is no regular expression.
    pub fn groups_by_name(&self, pattern: &str) -> Result<Vec<usize>> {
        let expression = Regex::new(pattern).map_err(|error| {
            Error::Set(Detail::new(
                "the expression of groups",
                "a regular expression",
                error,
            ))
        })?;
        let mut numbers = std::collections::HashMap::new();
        let groups = self.paths.iter().enumerate().map(|(picture, path)| {
            let below = path.strip_prefix(&self.root).unwrap_or(path);
            let names: Vec<_> = below.iter().map(|name| name.to_string_lossy()).collect();
            let text = names.join("/");
            let key = expression.captures(&text).map(|found| {
                let from = if found.len() > 1 { 1 } else { 0 };
                let parts = found.iter().skip(from);
                parts
                    .map(|part| part.map_or(String::new(), |part| part.as_str().to_string()))
                    .collect::<Vec<_>>()
            });
            match key {
                Some(key) => *numbers.entry(key).or_insert(picture),
                None => picture,
            }
        });
        Ok(groups.collect())
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::TooLarge`], and [`Error::Changed`] if they are not those that were first read.
    pub fn read(&self, picture: usize) -> Result<Vec<u8>> {
        self.read_hashed(picture).map(|(bytes, _)| bytes)
    }

    /// As [`read`](Self::read), with the BLAKE3 hash of the bytes.
    ///
    /// # Errors
    /// As that.
    pub fn read_hashed(&self, picture: usize) -> Result<(Vec<u8>, [u8; 32])> {
        let path = &self.paths[picture];
        let bytes = read_file(path, &self.limits)?;
        let hash = *blake3::hash(&bytes).as_bytes();
        if *self.contents[picture].get_or_init(|| hash) != hash {
            return Err(Error::Changed(
                Detail::new(
                    shown(path),
                    "the bytes that were there when it was first read",
                    "others",
                )
                .help("start anew when nothing writes to the files any more"),
            ));
        }
        Ok((bytes, hash))
    }

    /// Says what the BLAKE3 hash of a file's bytes is, for a file that was read before and has not changed, so that it
    /// is not read to know that. One that has other bytes is an error when it is read, and what is known already stays.
    ///
    /// # Panics
    /// If there is no picture of that number.
    pub fn is_known(&self, picture: usize, content: [u8; 32]) {
        self.contents[picture].get_or_init(|| content);
    }

    /// The BLAKE3 hash of a file's bytes, when it was first read.
    pub(crate) fn content_of(&self, picture: usize) -> Result<[u8; 32]> {
        match self.contents[picture].get() {
            Some(hash) => Ok(*hash),
            None => self.read_hashed(picture).map(|(_, hash)| hash),
        }
    }

    /// A picture in its own size.
    ///
    /// # Errors
    /// Those of [`read`](Self::read) and [`decode`], with the path.
    pub fn load(&self, picture: usize) -> Result<Picture> {
        self.load_hashed(picture).map(|(picture, _)| picture)
    }

    pub(crate) fn load_hashed(&self, picture: usize) -> Result<(Picture, [u8; 32])> {
        let (bytes, hash) = self.read_hashed(picture)?;
        let decoded =
            decode(&bytes, &self.limits).map_err(|error| error.at(&shown(&self.paths[picture])))?;
        Ok((decoded, hash))
    }
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::File(Detail::new(shown(path), format!("to {what}"), error))
}

/// The bytes of a file, if it is one and not too large.
fn read_file(path: &Path, limits: &Limits) -> Result<Vec<u8>> {
    let refused = |error: std::io::Error| cannot("read the file", path, &error);
    // A pipe would wait for someone who writes.
    let about = fs::metadata(path).map_err(refused)?;
    if !about.is_file() {
        let received = if about.is_dir() {
            // It is among the files because it cannot be listed, or belongs to another class.
            fs::read_dir(path).map_err(|error| cannot("list the folder", path, &error))?;
            "a folder"
        } else {
            "a device or a pipe"
        };
        return Err(Error::File(Detail::new(shown(path), "a file", received)));
    }
    limits
        .check_file(about.len())
        .map_err(|error| error.at(&shown(path)))?;
    let mut bytes = Vec::with_capacity(about.len() as usize + 1);
    // It may have grown since.
    let allowed = limits.bytes.saturating_add(1);
    File::open(path)
        .and_then(|file| file.take(allowed).read_to_end(&mut bytes))
        .map_err(refused)?;
    limits
        .check_file(bytes.len() as u64)
        .map_err(|error| error.at(&shown(path)))?;
    Ok(bytes)
}

/// What is in a folder in the order of names, without what is hidden.
fn sorted_entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            entries.push(entry.path());
        }
    }
    entries.sort();
    Ok(entries)
}

/// The files below the folder of a class in the order of their paths. Each folder is listed once, by whatever links it
/// is reached. A link to a folder around it is passed over; what cannot be listed, and a link into another class, whose
/// pictures would have two, is among the files, so that reading it says so.
fn files_below(class: &Path, root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![class.to_path_buf()];
    let mut seen = HashSet::new();
    let [Ok(class), Ok(root)] = [class, root].map(fs::canonicalize) else {
        return folders;
    };
    while let Some(folder) = folders.pop() {
        let Ok(real) = fs::canonicalize(&folder) else {
            files.push(folder);
            continue;
        };
        if (class != real && class.starts_with(&real)) || !seen.insert(real.clone()) {
            continue;
        }
        let of_another = real.starts_with(&root) && !real.starts_with(&class);
        let Some(entries) = fs::read_dir(&folder).ok().filter(|_| !of_another) else {
            files.push(folder);
            continue;
        };
        for entry in entries {
            let Ok(entry) = entry else {
                // The list breaks off.
                files.push(folder.clone());
                break;
            };
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            // Without asking about each file: only a link has to be followed.
            let is_folder = match entry.file_type() {
                Ok(kind) if kind.is_symlink() => path.is_dir(),
                Ok(kind) => kind.is_dir(),
                Err(_) => false,
            };
            match is_folder {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files.sort();
    files
}
