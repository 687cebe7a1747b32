//! What a TIFF file declares, before its decoder believes it.

use regraft_tensor::Detail;

use crate::raw::truncated;
use crate::{Error, Limits, Result};

/// What the decoder keeps of one number of a field, at most.
const BYTES_PER_NUMBER: u64 = 32;

/// Checks the fields of the first page: their numbers must be in the file, and must fit in memory as the decoder
/// keeps them. The decoder itself allocates for as many numbers as a field says before it knows any limits.
///
/// ```text
/// 0       4        offset
/// II*\0   offset   entries(2)   tag(2) type(2) count(4) value or its offset(4)   …
/// ```
pub(crate) fn check_fields(bytes: &[u8], limits: &Limits) -> Result<()> {
    let little = bytes.starts_with(b"II");
    // What is not there ends the check: the decoder says that the file is truncated.
    let number = |at: usize, length: usize| {
        let bytes = bytes.get(at..at.checked_add(length)?)?;
        let appended = |high: u64, &low: &u8| high << 8 | u64::from(low);
        Some(match little {
            true => bytes.iter().rev().fold(0, appended),
            false => bytes.iter().fold(0, appended),
        })
    };
    let Some(directory) = number(4, 4).and_then(|offset| usize::try_from(offset).ok()) else {
        return Ok(());
    };
    let entries = number(directory, 2).unwrap_or(0) as usize;
    for entry in (0..entries).map(|entry| directory + 2 + 12 * entry) {
        let (Some(tag), Some(kind), Some(count)) =
            (number(entry, 2), number(entry + 2, 2), number(entry + 4, 4))
        else {
            return Ok(());
        };
        let size = match kind {
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16..=18 => 8,
            _ => 1,
        };
        if count * size > bytes.len() as u64 {
            let expected =
                format!("a whole TIFF file: field {tag} has {count} numbers of {size} bytes");
            return Err(truncated(expected, format!("{} bytes", bytes.len())));
        }
        if count * BYTES_PER_NUMBER > limits.bytes {
            let expected = format!("fields that need at most {} bytes", limits.bytes);
            let received = format!("{count} numbers in field {tag}");
            return Err(Error::TooLarge(Detail::new("", expected, received)));
        }
    }
    Ok(())
}
