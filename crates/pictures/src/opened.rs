//! The pictures at a path that somebody names.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use regraft_images::Images;
use regraft_tensor::Detail;

use crate::error::io;
use crate::{Error, Result};

/// The pictures at a path: of a folder with a folder for each class, or of a CSV file with the columns `path` and
/// `label`. Nothing of them is read yet.
///
/// # Errors
/// [`Error::Pictures`] if there is nothing of that kind, and those of [`Images`].
pub fn opened(photos: &Path) -> Result<Images> {
    if photos.is_dir() {
        return Ok(Images::folder(photos)?);
    }
    if photos.is_file() {
        let images = Images::csv(photos)?;
        if images.classes().is_empty() {
            let detail = Detail::new(
                photos.display().to_string(),
                "the columns `path` and `label`",
                "no `label`",
            );
            return Err(Error::Pictures(detail));
        }
        return Ok(images);
    }
    Err(nothing_there(photos))
}

/// The pictures of a folder at any depth, or of a CSV file with the column `path`.
pub(crate) fn opened_unlabeled(photos: &Path) -> Result<Images> {
    if photos.is_dir() {
        return Ok(Images::unlabeled(below(photos)?)?);
    }
    match photos.is_file() {
        true => Ok(Images::csv(photos)?),
        false => Err(nothing_there(photos)),
    }
}

fn nothing_there(photos: &Path) -> Error {
    let expected = "a folder of pictures, or a CSV file";
    let detail = Detail::new(photos.display().to_string(), expected, "nothing there");
    Error::Pictures(detail.help("look at how the path is spelled"))
}

/// The files below a folder in the order of their paths; each folder once, whatever links lead to it. Names that begin
/// with a point are passed over.
fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut seen) = (Vec::new(), HashSet::new());
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        if !fs::canonicalize(&folder).is_ok_and(|real| seen.insert(real)) {
            continue;
        }
        let entries = fs::read_dir(&folder)
            .map_err(|error| io(&folder, "a folder that can be listed", &error))?;
        for entry in entries.flatten() {
            let path = entry.path();
            match path.is_dir() {
                _ if entry.file_name().as_encoded_bytes().starts_with(b".") => {}
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files.sort();
    Ok(files)
}
