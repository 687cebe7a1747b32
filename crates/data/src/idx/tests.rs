use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

use super::*;

fn idx(code: u8, shape: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, code, shape.len() as u8];
    for axis in shape {
        bytes.extend(axis.to_be_bytes());
    }
    bytes.extend(data);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn message(bytes: &[u8]) -> String {
    let error = parse_idx(bytes, "some.idx").unwrap_err();
    assert!(matches!(error, Error::Idx(_)), "{error:?}");
    error.to_string()
}

#[test]
fn every_type_is_read_as_it_was_written() {
    let two = |code, data: &[u8]| parse_idx(&idx(code, &[2], data), "t").unwrap();
    assert_eq!(
        two(0x08, &[1, 255]),
        IdxArray::U8(ndarray::arr1(&[1, 255]).into_dyn())
    );
    assert_eq!(
        two(0x09, &[1, 255]),
        IdxArray::I8(ndarray::arr1(&[1, -1]).into_dyn())
    );
    assert_eq!(
        two(0x0b, &[1, 0, 255, 255]),
        IdxArray::I16(ndarray::arr1(&[256, -1]).into_dyn())
    );
    let data = [7_i32.to_be_bytes(), (-9_i32).to_be_bytes()].concat();
    assert_eq!(
        two(0x0c, &data),
        IdxArray::I32(ndarray::arr1(&[7, -9]).into_dyn())
    );
    let data = [0.5_f32.to_be_bytes(), (-3.25_f32).to_be_bytes()].concat();
    assert_eq!(two(0x0d, &data).to_tensor().as_slice(), [0.5, -3.25]);
    let data = [0.5_f64.to_be_bytes(), (-3.25_f64).to_be_bytes()].concat();
    assert_eq!(two(0x0e, &data).to_tensor().as_slice(), [0.5, -3.25]);
}

#[test]
fn a_scalar_and_an_empty_array_are_arrays() {
    assert_eq!(
        parse_idx(&idx(0x08, &[], &[9]), "t").unwrap().shape(),
        [0_usize; 0]
    );
    let empty = parse_idx(&idx(0x0e, &[u32::MAX, 0, 3], &[]), "t").unwrap();
    assert!(empty.is_empty());
    assert_eq!(empty.shape(), [u32::MAX as usize, 0, 3]);
}

#[test]
fn a_truncated_file_names_the_file_and_the_offset() {
    let whole = idx(0x08, &[2, 3], &[1, 2, 3, 4, 5, 6]);
    let text = message(&whole[..15]);
    assert!(text.contains("some.idx, byte 15"), "{text}");
    assert!(
        text.contains("18 bytes in all") && text.contains("[2, 3]"),
        "{text}"
    );
    assert!(message(&whole[..7]).contains("byte 7"));
    assert!(message(&[]).contains("byte 0"));
    let packed = gzip(&whole);
    for end in 0..packed.len() {
        message(&packed[..end]);
    }
}

#[test]
fn trailing_bytes_are_an_error() {
    let mut whole = idx(0x08, &[2], &[1, 2]);
    whole.push(3);
    assert!(message(&whole).contains("received 11 bytes"));
    assert!(message(&gzip(&whole)).contains("more bytes after"));
}

#[test]
fn a_huge_header_allocates_nothing() {
    assert!(message(&idx(0x08, &[u32::MAX, 1], &[0; 10])).contains("4294967307 bytes in all"));
    assert!(message(&gzip(&idx(0x08, &[u32::MAX, 1], &[0; 10]))).contains("at most"));
    assert!(message(&idx(0x0e, &[u32::MAX; 4], &[])).contains("a shape that"));
    assert!(message(&idx(0x0e, &[u32::MAX, u32::MAX, u32::MAX, 0], &[])).contains("a shape that"));
}

#[test]
fn no_more_is_decompressed_than_the_header_declares() {
    // 64 MiB of zeros behind a header that declares four bytes.
    let mut bomb = idx(0x08, &[4], &[]);
    bomb.resize(64 << 20, 0);
    let packed = gzip(&bomb);
    struct Counted<'a>(&'a [u8], usize);
    impl Read for Counted<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let got = self.0.read(buffer)?;
            self.1 += got;
            Ok(got)
        }
    }
    let mut source = Counted(&packed, 0);
    let stored = packed.len() as u64;
    assert!(decode(&[0x1f, 0x8b], &mut source, stored, "bomb").is_err());
    assert!(
        source.1 <= 1 << 16,
        "read {} of {} bytes",
        source.1,
        packed.len()
    );
}

#[test]
fn a_damaged_checksum_is_noticed() {
    let mut packed = gzip(&idx(0x08, &[4], &[1, 2, 3, 4]));
    let last = packed.len() - 6;
    packed[last] ^= 1;
    assert!(message(&packed).contains("checksum"));
}

#[test]
fn other_files_are_refused() {
    assert!(message(b"\x89PNG\r\n\x1a\n").contains("two zero bytes"));
    assert!(message(&[0, 0, 0x0a, 1, 0, 0, 0, 0]).contains("0x0a"));
    assert!(message(&[0x1f, 0x8b, 0, 0, 0]).contains("byte 0"));
    let error = read_idx("no/such/file").unwrap_err();
    assert!(matches!(error, Error::File(_)), "{error:?}");
}

#[test]
fn labels_come_from_rank_one_integers_only() {
    let labels = parse_idx(&idx(0x08, &[3], &[1, 0, 2]), "t")
        .unwrap()
        .to_labels()
        .unwrap();
    assert_eq!(labels.as_slice(), [1, 0, 2]);
    let images = parse_idx(&idx(0x08, &[1, 3], &[1, 0, 2]), "t").unwrap();
    assert!(
        images
            .to_labels()
            .unwrap_err()
            .to_string()
            .contains("[1, 3]")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn plain_and_gzipped_round_trip(
        shape in prop::collection::vec(0_u32..5, 0..4),
        seed in any::<u8>(),
        as_file in any::<bool>(),
    ) {
        let count = shape.iter().product::<u32>() as usize;
        let values: Vec<i16> = (0..count).map(|i| (i as i16).wrapping_mul(i16::from(seed))).collect();
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
        let plain = idx(0x0b, &shape, &data);
        for bytes in [gzip(&plain), plain] {
            let array = if as_file {
                let mut file = tempfile::NamedTempFile::new().unwrap();
                file.write_all(&bytes).unwrap();
                read_idx(file.path()).unwrap()
            } else {
                parse_idx(&bytes, "t").unwrap()
            };
            let expected: Vec<usize> = shape.iter().map(|&axis| axis as usize).collect();
            prop_assert_eq!(array.shape(), &expected[..]);
            let IdxArray::I16(array) = array else { panic!("wrong type") };
            prop_assert_eq!(array.as_slice().unwrap(), &values[..]);
        }
    }

    #[test]
    fn any_bytes_give_an_array_or_a_typed_error(
        mut bytes in prop::collection::vec(any::<u8>(), 0..64),
        idx_like in any::<bool>(),
        packed in any::<bool>(),
    ) {
        if idx_like && bytes.len() > 4 {
            bytes[0] = 0;
            bytes[1] = 0;
            bytes[2] = 8 + bytes[2] % 7;
            bytes[3] %= 4;
        }
        let bytes = if packed { gzip(&bytes) } else { bytes };
        if let Err(error) = parse_idx(&bytes, "t") {
            prop_assert!(matches!(error, Error::Idx(_)));
        }
    }
}
