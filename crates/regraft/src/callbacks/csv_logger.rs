//! The history as a CSV file that grows with each epoch.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use regraft_tensor::Detail;

use super::{Callback, Context};
use crate::{Error, History, Result};

/// Writes a line with the loss and the metrics of each epoch (counted from 0) to a CSV file, after a
/// line of names. Each line is in the file when its epoch has ended; a value that an epoch does not
/// have is `NA`. Numbers are the shortest that read back as the same `f64`.
///
/// Columns stand in the order of the [`History`] (Keras sorts them). Source:
/// [Keras](https://keras.io/api/callbacks/csv_logger/).
#[derive(Debug)]
pub struct CSVLogger {
    path: PathBuf,
    separator: char,
    append: bool,
    columns: Vec<String>,
    file: Option<File>,
}

impl CSVLogger {
    /// Writes to `path`; a file that is there is replaced.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        CSVLogger {
            path: path.into(),
            separator: ',',
            append: false,
            columns: Vec::new(),
            file: None,
        }
    }

    /// What stands between values; `,` by default.
    #[must_use]
    pub fn separator(mut self, separator: char) -> Self {
        self.separator = separator;
        self
    }

    /// Whether lines are added to a file that is there, as for training that goes on.
    #[must_use]
    pub fn append(mut self, append: bool) -> Self {
        self.append = append;
        self
    }

    fn write(&mut self, line: &str) -> Result<()> {
        let path = &self.path;
        let file = self.file.as_mut().ok_or_else(|| {
            let expected = "a file that training has opened";
            Error::File(Detail::new(path.display().to_string(), expected, "none"))
        })?;
        file.write_all(line.as_bytes())
            .and_then(|()| file.flush())
            .map_err(|error| cannot_write(path, &error))
    }

    fn quoted(&self, name: &str) -> String {
        match name.contains([self.separator, '"', '\n', '\r']) {
            true => format!("\"{}\"", name.replace('"', "\"\"")),
            false => name.to_string(),
        }
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    let expected = "a file that can be written";
    Error::File(Detail::new(path.display().to_string(), expected, error))
}

impl Callback for CSVLogger {
    /// # Errors
    /// A file that cannot be written, or one to be appended to that has other columns.
    fn on_train_begin(&mut self, context: &mut Context<'_>, _history: &mut History) -> Result<()> {
        self.columns = context.quantities();
        let names: Vec<String> = std::iter::once("epoch".to_string())
            .chain(self.columns.iter().map(|name| self.quoted(name)))
            .collect();
        let header = names.join(&self.separator.to_string());
        let there = match self.append && self.path.exists() {
            true => {
                let text = fs::read_to_string(&self.path);
                text.map_err(|error| cannot_write(&self.path, &error))?
            }
            false => String::new(),
        };
        if let Some(first) = there.lines().next()
            && first != header
        {
            let at = self.path.display().to_string();
            let detail = Detail::new(at, format!("the columns {header}"), first);
            return Err(Error::File(
                detail.help("write to another file, or do not append"),
            ));
        }
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .append(self.append)
            .truncate(!self.append)
            .open(&self.path)
            .map_err(|error| cannot_write(&self.path, &error))?;
        self.file = Some(file);
        if there.is_empty() {
            self.write(&format!("{header}\n"))?;
        } else if !there.ends_with('\n') {
            self.write("\n")?;
        }
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        _context: &mut Context<'_>,
        history: &History,
    ) -> Result<()> {
        let mut line = epoch.to_string();
        for name in &self.columns {
            line.push(self.separator);
            match history.points(name).last() {
                Some((at, value)) if at == epoch => line.push_str(&value.to_string()),
                _ => line.push_str("NA"),
            }
        }
        line.push('\n');
        self.write(&line)
    }

    fn on_train_end(&mut self, _context: &mut Context<'_>, _history: &mut History) -> Result<()> {
        self.file = None;
        Ok(())
    }
}
