//! Numbers as bytes, to be kept.

use std::io::{self, Read, Write};

/// Numbers that are written at a time.
const CHUNK: usize = 1 << 16;

/// Writes numbers.
pub(crate) fn pour(to: &mut dyn Write, numbers: &[f64]) -> io::Result<()> {
    let mut bytes = Vec::new();
    for part in numbers.chunks(CHUNK) {
        bytes.clear();
        bytes.extend(part.iter().flat_map(|number| number.to_le_bytes()));
        to.write_all(&bytes)?;
    }
    Ok(())
}

/// Reads so many numbers.
pub(crate) fn fill(from: &mut dyn Read, count: usize) -> io::Result<Vec<f64>> {
    let mut numbers = Vec::with_capacity(count);
    let mut bytes = vec![0; 8 * CHUNK.min(count)];
    while numbers.len() < count {
        let bytes = &mut bytes[..8 * CHUNK.min(count - numbers.len())];
        from.read_exact(bytes)?;
        let (eights, _) = bytes.as_chunks::<8>();
        numbers.extend(eights.iter().map(|eight| f64::from_le_bytes(*eight)));
    }
    Ok(numbers)
}
