//! TensorBoard's event files: records of a length, a message, and checksums of both. Scalars and histograms
//! as TensorFlow 2 writes them (`tf.summary`). See TensorFlow's `record_writer.h`, `event.proto` and
//! `summary.proto`.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Error, Result, crc32c};

/// How many buckets a histogram has.
const BUCKETS: usize = 30;

/// A file of events that TensorBoard shows. What was written is in the file when the call returns.
///
/// ```
/// use regraft_io::EventFile;
///
/// let folder = std::env::temp_dir().join(format!("events-{}", std::process::id()));
/// let mut events = EventFile::create(folder.join("train"))?;
/// for epoch in 0..3 {
///     events.scalar("epoch_loss", epoch, 1.0 / (epoch + 1) as f32)?;
/// }
/// events.histogram("dense/kernel/histogram", 2, &[0.1, 0.5, -0.2])?;
/// # std::fs::remove_dir_all(folder).unwrap();
/// # Ok::<(), regraft_io::Error>(())
/// ```
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
    length: u64,
}

impl EventFile {
    /// A new file in `folder`, which is made if it is missing. TensorBoard takes all files of a folder
    /// together.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be made.
    pub fn create(folder: impl AsRef<Path>) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let folder = folder.as_ref();
        fs::create_dir_all(folder)
            .map_err(|error| Error::io(folder, "a folder that can be made", &error))?;
        loop {
            let name = format!(
                "events.out.tfevents.{:010}.regraft.{}.{}.v2",
                now().floor() as u64,
                std::process::id(),
                COUNT.fetch_add(1, Ordering::Relaxed)
            );
            let path = folder.join(name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    let mut events = EventFile {
                        path,
                        file,
                        length: 0,
                    };
                    let mut event = Message::default();
                    event.double(1, now());
                    event.bytes(3, b"brain.Event:2");
                    events.record(&event.0)?;
                    return Ok(events);
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(cannot_write(&path, &error)),
            }
        }
    }

    /// Goes on with the file `path` after its first `length` bytes; what comes after them is cut off.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened, [`Error::Format`] if it has fewer bytes.
    pub fn resume(path: impl Into<PathBuf>, length: u64) -> Result<Self> {
        let path = path.into();
        let wrong = |error: &std::io::Error| cannot_write(&path, error);
        let mut file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(|e| wrong(&e))?;
        let there = file.metadata().map_err(|e| wrong(&e))?.len();
        if there < length {
            let at = path.display().to_string();
            return Err(Error::format(at, format!("{length} bytes or more"), there));
        }
        file.set_len(length)
            .and_then(|()| file.seek(SeekFrom::Start(length)))
            .map_err(|e| wrong(&e))?;
        Ok(EventFile { path, file, length })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes have been written: from where [`resume`](Self::resume) goes on.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether nothing has been written, which is never so.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds a number to the series `tag`.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f32) -> Result<()> {
        const FLOAT: u64 = 1;
        const SCALAR: u64 = 1;
        let tensor = tensor(FLOAT, &[], &value.to_le_bytes());
        self.value(tag, step, ("scalars", SCALAR), &tensor)
    }

    /// Adds the histogram of `values` to the series `tag`: 30 buckets of the same width, from the smallest to
    /// the largest of those that are finite.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn histogram(&mut self, tag: &str, step: u64, values: &[f32]) -> Result<()> {
        const DOUBLE: u64 = 2;
        const TENSOR: u64 = 2;
        let buckets = buckets(values);
        let bytes: Vec<u8> = buckets
            .iter()
            .flatten()
            .flat_map(|it| it.to_le_bytes())
            .collect();
        let tensor = tensor(DOUBLE, &[BUCKETS as u64, 3], &bytes);
        self.value(tag, step, ("histograms", TENSOR), &tensor)
    }

    /// An event with one value of a summary, for a plugin that shows data of a class.
    fn value(&mut self, tag: &str, step: u64, shown: (&str, u64), tensor: &Message) -> Result<()> {
        let (plugin, class) = shown;
        let mut plugin_data = Message::default();
        plugin_data.bytes(1, plugin.as_bytes());
        let mut metadata = Message::default();
        metadata.bytes(1, &plugin_data.0);
        metadata.integer(4, class);
        let mut value = Message::default();
        value.bytes(1, tag.as_bytes());
        value.bytes(8, &tensor.0);
        value.bytes(9, &metadata.0);
        let mut summary = Message::default();
        summary.bytes(1, &value.0);
        let mut event = Message::default();
        event.double(1, now());
        event.integer(2, step);
        event.bytes(5, &summary.0);
        self.record(&event.0)
    }

    fn record(&mut self, message: &[u8]) -> Result<()> {
        let length = (message.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(message.len() + 16);
        record.extend_from_slice(&length);
        record.extend_from_slice(&crc32c::masked(&length).to_le_bytes());
        record.extend_from_slice(message);
        record.extend_from_slice(&crc32c::masked(message).to_le_bytes());
        // At once, so that whoever reads meanwhile finds whole records.
        self.file
            .write_all(&record)
            .map_err(|error| cannot_write(&self.path, &error))?;
        self.length += record.len() as u64;
        Ok(())
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    Error::io(path, "a file that can be written", error)
}

/// Seconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// Left edge, right edge and count of each bucket. If all values are the same, the last one has them.
fn buckets(values: &[f32]) -> [[f64; 3]; BUCKETS] {
    let values = || {
        values
            .iter()
            .filter(|value| value.is_finite())
            .map(|value| f64::from(*value))
    };
    let (low, high) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if low > high {
        return [[0.0; 3]; BUCKETS];
    }
    let width = (high - low) / BUCKETS as f64;
    let mut buckets = [[high, high, 0.0]; BUCKETS];
    if width == 0.0 {
        buckets[BUCKETS - 1][2] = values().count() as f64;
        return buckets;
    }
    for (place, bucket) in buckets.iter_mut().enumerate() {
        bucket[0] = low + width * place as f64;
        if place + 1 < BUCKETS {
            bucket[1] = low + width * (place + 1) as f64;
        }
    }
    for value in values() {
        let place = ((value - low) / width).floor() as usize;
        buckets[place.min(BUCKETS - 1)][2] += 1.0;
    }
    buckets
}

/// A `TensorProto` of a type and a shape.
fn tensor(data_type: u64, shape: &[u64], bytes: &[u8]) -> Message {
    let mut dims = Message::default();
    for size in shape {
        let mut dim = Message::default();
        dim.integer(1, *size);
        dims.bytes(2, &dim.0);
    }
    let mut tensor = Message::default();
    tensor.integer(1, data_type);
    tensor.bytes(2, &dims.0);
    tensor.bytes(4, bytes);
    tensor
}

/// A message of Protocol Buffers that is being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn integer(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.varint(field << 3 | 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::{Fields, Value};

    /// The messages of a file, whose checksums are right.
    fn messages(path: &Path) -> Vec<Vec<u8>> {
        let bytes = fs::read(path).unwrap();
        let mut rest = &bytes[..];
        let mut messages = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let sum = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            assert_eq!(sum(8), crc32c::masked(&rest[..8]));
            assert_eq!(sum(12 + length), crc32c::masked(&rest[12..12 + length]));
            messages.push(rest[12..12 + length].to_vec());
            rest = &rest[16 + length..];
        }
        messages
    }

    fn steps(path: &Path) -> Vec<u64> {
        let step = |message: &Vec<u8>| {
            let mut fields = Fields::new(message).map(|field| field.unwrap());
            fields.find_map(|field| match field {
                (2, Value::Varint(step)) => Some(step),
                _ => None,
            })
        };
        messages(path).iter().filter_map(step).collect()
    }

    #[test]
    fn a_file_goes_on_where_it_was_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(folder.path().join("a/b")).unwrap();
        events.scalar("loss", 1, 0.5).unwrap();
        let (path, length) = (events.path().to_path_buf(), events.len());
        events.scalar("loss", 200, 0.25).unwrap();
        drop(events);
        assert_eq!(steps(&path), [1, 200]);
        let mut events = EventFile::resume(&path, length).unwrap();
        events.scalar("loss", 3, 0.125).unwrap();
        assert_eq!(events.len(), fs::metadata(&path).unwrap().len());
        assert_eq!(steps(&path), [1, 3]);
        let error = EventFile::resume(&path, 10_000).unwrap_err();
        assert!(error.to_string().contains("10000 bytes"), "{error}");
        let other = EventFile::create(folder.path().join("a/b")).unwrap();
        assert_ne!(other.path(), path);
    }

    #[test]
    fn buckets_hold_every_finite_value() {
        let values: Vec<f32> = (0..1000).map(|it| (it as f32 * 0.37).sin()).collect();
        let all = buckets(&values);
        assert_eq!(all.iter().map(|bucket| bucket[2]).sum::<f64>(), 1000.0);
        for pair in all.windows(2) {
            assert!(
                pair[0][1] == pair[1][0] && pair[0][0] < pair[0][1],
                "{pair:?}"
            );
        }
        let same = buckets(&[2.0, 2.0, f32::NAN, f32::INFINITY]);
        assert_eq!(same[BUCKETS - 1], [2.0, 2.0, 2.0]);
        assert_eq!(same[0], [2.0, 2.0, 0.0]);
        assert_eq!(buckets(&[])[3], [0.0; 3]);
    }
}
