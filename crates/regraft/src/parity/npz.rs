//! Reading NumPy's `.npz`: arrays of numbers by name. Pickled objects are refused.

use std::io::{Read, Seek};

use regraft_io::{DataType, TensorData};
use regraft_tensor::kernels::layout::permute;
use regraft_tensor::{Detail, Tensor};
use zip::ZipArchive;

use crate::{Error, Result};

/// The longest header that is read; NumPy's are 128 bytes or little more.
const LONGEST_HEADER: usize = 64 << 10;

/// All arrays of an archive, converted to 32-bit floats.
pub(super) fn read(file: impl Read + Seek) -> Result<Vec<(String, Tensor)>> {
    let wrong = |error: zip::result::ZipError| {
        Error::File(Detail::new("", "an .npz file (np.savez)", error))
    };
    let mut archive = ZipArchive::new(file).map_err(wrong)?;
    let mut arrays = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).map_err(wrong)?;
        let name = member.name().map_err(wrong)?.to_string();
        let name = name.strip_suffix(".npy").unwrap_or(&name).to_string();
        let array = read_array(&mut member);
        arrays.push((
            name.clone(),
            array.map_err(|detail| Error::File(detail.within(&name)))?,
        ));
    }
    Ok(arrays)
}

/// The content of a `.npy` file.
fn read_array(file: &mut impl Read) -> Result<Tensor, Detail> {
    let wrong = |received: String| Detail::new("", "an array as np.save writes it", received);
    let mut start = [0; 8];
    let unreadable = |error: std::io::Error| wrong(error.to_string());
    file.read_exact(&mut start).map_err(unreadable)?;
    if &start[..6] != b"\x93NUMPY" {
        return Err(wrong(start.escape_ascii().to_string()));
    }
    // The length of the header has 2 bytes in version 1, and 4 since.
    let mut length = [0; 4];
    let digits = if start[6] == 1 { 2 } else { 4 };
    file.read_exact(&mut length[..digits]).map_err(unreadable)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST_HEADER {
        return Err(wrong(format!("a header of {length} bytes")));
    }
    let mut header = vec![0; length];
    file.read_exact(&mut header).map_err(unreadable)?;
    let header = String::from_utf8_lossy(&header);
    let unknown = || wrong(format!("the header {header}"));
    let descr = value_of(&header, "descr").ok_or_else(unknown)?;
    let columns_first = value_of(&header, "fortran_order").ok_or_else(unknown)?;
    let shape = value_of(&header, "shape").ok_or_else(unknown)?;
    let shape: Vec<usize> = shape
        .trim_matches(['(', ')'])
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .map(|size| size.parse().map_err(|_| unknown()))
        .collect::<Result<_, _>>()?;
    let data_type = match descr.trim_matches(['\'', '"']) {
        "<f2" => DataType::F16,
        "<f4" => DataType::F32,
        "<f8" => DataType::F64,
        "|i1" => DataType::I8,
        "<i2" => DataType::I16,
        "<i4" => DataType::I32,
        "<i8" => DataType::I64,
        "|u1" => DataType::U8,
        "|b1" => DataType::Bool,
        other => {
            let expected = "an array of little-endian numbers";
            return Err(Detail::new("", expected, other).help("convert it with `.astype(\"<f4\")`"));
        }
    };
    let count = shape
        .iter()
        .try_fold(data_type.size(), |bytes, &size| bytes.checked_mul(size));
    let count = count.ok_or_else(unknown)?;
    // Memory grows with what the file has, not with what it says.
    let mut bytes = Vec::new();
    let limit = count as u64 + 1;
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let stored: Vec<usize> = match columns_first {
        "True" => shape.iter().rev().copied().collect(),
        _ => shape,
    };
    let data =
        TensorData::new(data_type, stored.clone(), bytes).map_err(|e| wrong(e.to_string()))?;
    let tensor = data.to_tensor().map_err(|e| wrong(e.to_string()))?;
    if columns_first != "True" {
        return Ok(tensor);
    }
    let axes: Vec<usize> = (0..stored.len()).rev().collect();
    let mut values = vec![0.0; tensor.len()];
    permute(tensor.as_slice(), &stored, &axes, &mut values);
    let shape: Vec<usize> = stored.into_iter().rev().collect();
    Ok(Tensor::new(shape, values)?)
}

/// The text of a value in a header `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
fn value_of<'h>(header: &'h str, key: &str) -> Option<&'h str> {
    let start = header.find(&format!("'{key}'"))?;
    let value = header[start..].split_once(':')?.1.trim_start();
    let end = match value.starts_with('(') {
        true => value.find(')')? + 1,
        false => value.find([',', '}'])?,
    };
    Some(value[..end].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An array as np.save writes it.
    fn npy(descr: &str, columns_first: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
        let header = format!(
            "{{'descr': '{descr}', 'fortran_order': {columns_first}, 'shape': {shape}, }}\n"
        );
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.bytes());
        file.extend(bytes);
        file
    }

    #[test]
    fn both_orders_are_read() {
        let values = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        let bytes: &[u8] = bytemuck::cast_slice(&values);
        let rows = read_array(&mut &npy("<f4", "False", "(2, 3)", bytes)[..]).unwrap();
        assert_eq!((rows.shape(), rows.as_slice()), (&[2, 3][..], &values[..]));
        let columns = read_array(&mut &npy("<f4", "True", "(2, 3)", bytes)[..]).unwrap();
        assert_eq!(columns.shape(), [2, 3]);
        assert_eq!(columns.as_slice(), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
        let one = read_array(&mut &npy("<i8", "False", "(1,)", &7_i64.to_le_bytes())[..]);
        assert_eq!(one.unwrap().as_slice(), [7.0]);
    }

    proptest::proptest! {
        #[test]
        fn changed_bytes_give_an_array_or_an_error(
            changes in proptest::collection::vec((proptest::prelude::any::<u16>(), proptest::prelude::any::<u8>()), 1..6),
            length in proptest::prelude::any::<u16>(),
        ) {
            let values = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
            let bytes: &[u8] = bytemuck::cast_slice(&values);
            let mut file = npy("<f4", "True", "(2, 3)", bytes);
            for (place, byte) in changes {
                let place = usize::from(place) % file.len();
                file[place] = byte;
            }
            let length = usize::from(length) % (2 * file.len());
            file.truncate(length);
            let _ = read_array(&mut &file[..]);
        }
    }

    #[test]
    fn what_is_no_array_of_numbers_is_refused() {
        for bytes in [
            npy("|O", "False", "(1,)", &[0; 8]),
            npy("<f4", "False", "(2,)", &[0; 4]),
            npy("<f4", "False", "(2,)", &[0; 12]),
            npy("<f4", "False", "(99999999999, 99999999999)", &[]),
            npy("<f4", "False", "(4000000000,)", &[]),
            npy("<f4", "False", "(x,)", &[]),
            b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(),
            b"PK".to_vec(),
        ] {
            assert!(read_array(&mut &bytes[..]).is_err());
        }
    }
}
