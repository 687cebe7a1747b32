//! The history as a CSV file that grows with each epoch.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use regraft_tensor::Detail;

use super::{Callback, CallbackState, Context};
use crate::{Error, History, Result};

/// Writes a line with the loss and the metrics of each epoch (counted from 0) to a CSV file, after a
/// line of names. Each line is in the file when its epoch has ended; a value that an epoch does not
/// have is `NA`. Numbers are the shortest that read back as the same `f64`.
///
/// Columns stand in the order of the [`History`] (Keras sorts them), and without validation there are none of it
/// (Keras has them, full of `NA`). Source: [Keras](https://keras.io/api/callbacks/csv_logger/).
#[derive(Debug)]
pub struct CSVLogger {
    path: PathBuf,
    separator: char,
    append: bool,
    columns: Vec<String>,
    file: Option<File>,
    /// The length of the file before anything of this `fit` is in it; a file that is replaced is
    /// emptied then.
    start: u64,
    /// Whether nothing has been written in this `fit`.
    untouched: bool,
    header: String,
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
            start: 0,
            untouched: true,
            header: String::new(),
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

    /// Empties a file that is replaced, and writes the line of names, once.
    fn begin(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.untouched) {
            return Ok(());
        }
        self.cut(self.start)?;
        let header = std::mem::take(&mut self.header);
        self.write(&header)
    }

    /// Leaves so many bytes of the file, and writes on after them.
    fn cut(&mut self, length: u64) -> Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.set_len(length)
            .and_then(|()| file.seek(SeekFrom::Start(length)))
            .map(|_| ())
            .map_err(|error| cannot_write(&self.path, &error))
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
        self.untouched = true;
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
        // What is there is not touched before it is known whether training goes on from a backup.
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&self.path)
            .map_err(|error| cannot_write(&self.path, &error))?;
        self.file = Some(file);
        self.start = there.len() as u64;
        self.header = match (there.is_empty(), there.ends_with('\n')) {
            (true, _) => format!("{header}\n"),
            (false, false) => "\n".to_string(),
            (false, true) => String::new(),
        };
        Ok(())
    }

    fn on_epoch_begin(&mut self, _epoch: usize, _context: &mut Context<'_>) -> Result<()> {
        self.begin()
    }

    fn state(&self) -> Option<CallbackState> {
        let file = self.file.as_ref()?;
        let length = file.metadata().ok()?.len();
        Some(CallbackState::new().value("length", length))
    }

    /// Goes on at the end of what was written before the backup.
    fn restore(&mut self, state: &CallbackState, _context: &mut Context<'_>) -> Result<()> {
        let length = state.count("length")? as u64;
        let there = fs::metadata(&self.path).map_or(0, |file| file.len());
        if there < length {
            let at = self.path.display().to_string();
            let expected = format!("the {length} bytes that there were at the backup");
            let detail = Detail::new(at, expected, there);
            return Err(Error::File(
                detail.help("put the file back, or delete the backup to begin anew"),
            ));
        }
        self.untouched = false;
        self.cut(length)
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
        self.begin()?;
        self.file = None;
        Ok(())
    }
}
