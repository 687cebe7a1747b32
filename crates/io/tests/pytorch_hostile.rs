//! PyTorch files that are broken or mean harm: always a precise error, never a call, a panic, a hang,
//! or memory that the file's size does not warrant. Real files for comparison: `pytorch_files.rs`.

use std::io::{Cursor, Write};
use std::path::Path;

use regraft_io::{Error, Result, pytorch};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

const MAGIC: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
/// {"little_endian": True}
const SYSTEM: &[u8] = b"\x80\x02}X\x0d\0\0\0little_endian\x88s.";
/// What comes before and after the arguments of a tensor in {"w": tensor}: storage, offset, shape,
/// strides.
const BEFORE: &[u8] = b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(";
const AFTER: &[u8] = b"\x89}tRs.";
/// A storage of 4 float32.
const STORAGE: &[u8] =
    b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ";

fn zip_with(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut archive = ZipWriter::new(&mut bytes);
    for (name, content) in members {
        let options = SimpleFileOptions::default().compression_method(method);
        archive.start_file(*name, options).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap();
    bytes.into_inner()
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    zip_with(members, CompressionMethod::Stored)
}

fn read_pickle(pickle: &[u8]) -> Result<regraft_io::Checkpoint> {
    let in_zip = regraft_io::read_bytes(zip(&[("any/data.pkl", pickle), ("any/data/0", &[0; 16])]));
    // The other layout gives the same kind of result.
    let mut legacy = [MAGIC, b"\x80\x02M\xe9\x03.", SYSTEM, pickle].concat();
    let uses_storage = pickle.windows(STORAGE.len()).any(|part| part == STORAGE);
    match uses_storage {
        true => legacy
            .extend(b"\x80\x02]X\x01\0\0\x000a.\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        false => legacy.extend(b"\x80\x02]."),
    }
    let in_row = regraft_io::read_bytes(legacy);
    match (&in_zip, &in_row) {
        (Ok(zip), Ok(row)) => assert_eq!(zip, row),
        (Err(zip), Err(row)) => {
            assert_eq!(
                std::mem::discriminant(zip),
                std::mem::discriminant(row),
                "{zip} {row}"
            );
            assert_eq!(zip.detail().received, row.detail().received);
            println!("{zip}\n");
        }
        _ => panic!("{in_zip:?} but {in_row:?}"),
    }
    in_zip
}

fn refuse(pickle: &[u8]) -> Error {
    read_pickle(pickle).unwrap_err()
}

/// {"w": a tensor} of these offset, shape and strides, in pickle's spelling.
fn tensor(place: &[u8]) -> Vec<u8> {
    [BEFORE, STORAGE, place, AFTER].concat()
}

#[test]
fn the_handmade_pickle_is_sound() {
    let checkpoint = read_pickle(&tensor(b"K\x00K\x02K\x02\x86K\x02K\x01\x86")).unwrap();
    assert_eq!(checkpoint.layers[0].weights[0].tensor.shape(), [2, 2]);
}

#[test]
fn other_classes_are_refused_by_name() {
    for (pickle, name) in [
        (
            &b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R."[..],
            "os.system",
        ),
        (
            b"\x80\x02cbuiltins\neval\nX\x01\0\0\x001\x85R.",
            "builtins.eval",
        ),
        (b"\x80\x02c__builtin__\ngetattr\n.", "__builtin__.getattr"),
        (b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", "posix.system"),
        (
            b"\x80\x02ctorch.nn.modules.linear\nLinear\n.",
            "torch.nn.modules.linear.Linear",
        ),
        (
            b"\x80\x02ctorch\nComplexFloatStorage\n.",
            "torch.ComplexFloatStorage",
        ),
        (
            b"\x80\x02ctorch._utils\n_rebuild_sparse_tensor\n.",
            "_rebuild_sparse_tensor",
        ),
        (b"\x80\x02ctorch.hub\nload\n.", "torch.hub.load"),
    ] {
        let error = refuse(pickle);
        assert!(matches!(error, Error::Unsupported(_)), "{error}");
        assert!(error.detail().received.ends_with(name), "{error}");
        assert!(error.to_string().contains("pickle"), "{error}");
    }
}

#[test]
fn other_opcodes_are_refused_by_name() {
    for (pickle, name) in [
        (&b"\x80\x02(ios\nsystem\n."[..], "opcode INST"),
        (b"\x80\x02(ccollections\nOrderedDict\no.", "opcode OBJ"),
        (b"\x80\x02\x82\x01.", "opcode EXT1"),
        (b"\x80\x02Pid\n.", "opcode PERSID"),
        (b"\x80\x05\x97.", "opcode NEXT_BUFFER"),
        (b"\x80\x02\xff.", "byte 0xff, which is no opcode"),
    ] {
        let error = refuse(pickle);
        assert!(matches!(error, Error::Unsupported(_)), "{error}");
        assert_eq!(error.detail().received, name);
    }
}

#[test]
fn objects_of_other_classes_beside_the_tensors_are_set_aside_within_limits() {
    // {"w": tensor, "a": somebody.Class(…) with attributes}
    let beside = |object: &[u8]| {
        let mut pickle = tensor(b"K\x00K\x02\x85K\x01\x85");
        pickle.truncate(pickle.len() - 2);
        [&pickle, &b"sX\x01\0\0\0a"[..], object, b"s."].concat()
    };
    for object in [
        &b"csomebody\nClass\n)R"[..],
        b"csomebody\nClass\n)\x81}X\x01\0\0\0bK\x01sb",
        b"csomebody\nClass\n)}\x92",
        b"ccopy_reg\n_reconstructor\ncsomebody\nClass\nc__builtin__\nobject\nN\x87R",
        b"csomebody\nList\n)\x81K\x01a",
        b"csomebody\nDict\n)\x81X\x01\0\0\0bK\x01s",
        b"csomebody\nClass\n)R)R",
    ] {
        let checkpoint = read_pickle(&beside(object)).unwrap();
        assert_eq!(checkpoint.layers[0].weights[0].tensor.shape(), [2]);
        assert_eq!(checkpoint.tensors().count(), 1);
    }
    // What runs programs is said, though nothing is run.
    let error = refuse(&beside(b"cos\nsystem\nX\x04\0\0\0true\x85R"));
    assert_eq!(error.detail().received, "os.system");
    // Many objects of a class with a long name, made of few bytes.
    let mut many = [
        b"\x80\x02c",
        &[b'a'; 900][..],
        b"\n",
        &[b'b'; 900],
        b"\nq\x00(",
    ]
    .concat();
    many.extend(b"h\x00)R".repeat(400_000));
    many.extend(b"t.");
    match read_pickle(&many) {
        Ok(_) => panic!("no tensors"),
        Err(error) => println!("{error}"),
    }
    let mut many = b"\x80\x04(".to_vec();
    for _ in 0..200 {
        many.extend(
            [
                &b"\x8c\xff"[..],
                &[b'a'; 255],
                b"\x8c\xff",
                &[b'b'; 255],
                b"\x93",
            ]
            .concat(),
        );
    }
    many.extend(b"t.");
    assert!(read_pickle(&many).is_err());
}

#[test]
fn views_beyond_the_storage_and_shape_bombs_are_refused() {
    let huge = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f";
    let bomb = [&b"K\x00"[..], huge, huge, b"\x86", b"K\x00K\x00\x86"].concat();
    let error = refuse(&tensor(&bomb));
    assert!(matches!(error, Error::Limit(_)), "{error}");
    // A gigabyte out of one element: no overflow, but far more than the file.
    let expanded = b"K\x00J\0\0\0\x10\x85K\x00\x85";
    let error = refuse(&tensor(expanded));
    assert!(matches!(error, Error::Limit(_)), "{error}");
    for place in [
        &b"K\x03K\x02\x85K\x01\x85"[..], // beyond the end
        b"K\x00K\x03\x85K\x02\x85",
        b"J\xff\xff\xff\xffK\x01\x85K\x01\x85", // a negative offset, shape, stride
        b"K\x00J\xff\xff\xff\xff\x85K\x01\x85",
        b"K\x00K\x02\x85J\xff\xff\xff\xff\x85",
        b"K\x00K\x02\x85)", // no strides
        b"K\x00NN",
    ] {
        let error = refuse(&tensor(place));
        assert!(matches!(error, Error::Format(_)), "{error}");
    }
    let axes = [b"K\x00(", &[b'N'; 70][..], b"t)"].concat();
    let error = refuse(&tensor(&axes));
    assert!(matches!(error, Error::Limit(_)), "{error}");
}

#[test]
fn cycles_and_nesting_cost_nothing_much() {
    // d = {}; d["a"] = d
    let error = refuse(b"\x80\x02}q\x00X\x01\0\0\0ah\x00s.");
    assert!(
        error.detail().received.contains("contains itself"),
        "{error}"
    );
    // Each list twice in the next: 2^60 paths through 60 lists.
    let mut laughs = b"\x80\x02]".to_vec();
    for number in 0..60 {
        laughs.extend([
            b'q', number, b'0', b']', b'h', number, b'a', b'h', number, b'a',
        ]);
    }
    laughs.push(b'.');
    let error = refuse(&laughs);
    assert!(matches!(error, Error::Limit(_)), "{error}");
    // Neither the machine nor what walks and drops its values recurses.
    let depth = 20_000;
    let deep = [
        &b"\x80\x02"[..],
        &b"]".repeat(depth),
        &b"a".repeat(depth - 1),
        b".",
    ]
    .concat();
    if let Err(error) = read_pickle(&deep) {
        assert!(matches!(error, Error::Limit(_)), "{error}");
    }
}

#[test]
fn stack_and_memo_are_checked() {
    for pickle in [
        &b"\x80\x02."[..],
        b"\x80\x02h\x05.",
        b"\x80\x02q\x00.",
        b"\x80\x02t.",
        b"\x80\x02K\x01R.",
        b"\x80\x02}K\x01a.",
        b"\x80\x02]K\x01K\x02s.",
        b"\x80\x02}(K\x01u.",
        b"\x80\x02K\x01Q.",
        b"\x80\x02X\xff\xff\xff\xffab.",
        b"\x80\x05\x8e\xff\xff\xff\xff\xff\xff\xff\xffab.",
        b"\x80\x02X\x01\0\0\0\xff.",
        b"\x80\x02ctorch\nFloatStorage\n)R.",
    ] {
        assert!(read_pickle(pickle).is_err(), "{}", pickle.escape_ascii());
    }
    assert!(matches!(refuse(b"\x80\x06N."), Error::Unsupported(_)));
    assert!(matches!(refuse(b"\x80\x02K\x05."), Error::Unsupported(_)));
}

#[test]
fn a_wrong_storage_is_refused() {
    let pickle = tensor(b"K\x00K\x02\x85K\x01\x85");
    let with = |members: &[(&str, &[u8])]| {
        let all = [&[("a/data.pkl", pickle.as_slice())], members].concat();
        pytorch::read_bytes(zip(&all))
    };
    assert!(with(&[("a/data/0", &[0; 16]), ("a/byteorder", b"little")]).is_ok());
    let error = with(&[("a/data/0", &[0; 15])]).unwrap_err();
    assert!(matches!(error, Error::Format(_)), "{error}");
    assert!(error.to_string().contains("a/data/0"), "{error}");
    let error = with(&[]).unwrap_err();
    assert!(matches!(error, Error::Missing(_)), "{error}");
    let error = with(&[("a/data/0", &[0; 16]), ("a/byteorder", b"big")]).unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error}");
    assert_eq!(error.detail().received, "big");
    let error = with(&[("a/data/0", &[0; 16]), ("a/constants.pkl", b"")]).unwrap_err();
    assert!(error.to_string().contains("TorchScript"), "{error}");
    let packed = zip_with(
        &[("a/data.pkl", &pickle), ("a/data/0", &[0; 16])],
        CompressionMethod::Deflated,
    );
    let error = pytorch::read_bytes(packed).unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error}");

    let big_endian = SYSTEM
        .iter()
        .map(|&byte| if byte == 0x88 { 0x89 } else { byte });
    let system: Vec<u8> = big_endian.collect();
    for (system, elements) in [(system.as_slice(), 4u64), (SYSTEM, 3), (SYSTEM, 1 << 62)] {
        let mut legacy = [MAGIC, b"\x80\x02M\xe9\x03.", system, &pickle].concat();
        legacy.extend(b"\x80\x02]X\x01\0\0\x000a.");
        legacy.extend(elements.to_le_bytes());
        legacy.extend([0; 16]);
        let error = regraft_io::read_bytes(legacy).unwrap_err();
        match elements {
            4 => assert!(error.to_string().contains("little_endian"), "{error}"),
            _ => assert!(matches!(error, Error::Format(_)), "{error}"),
        }
    }
}

#[test]
fn every_truncation_is_an_error_and_flipped_values_are_noticed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/pytorch-files");
    for name in ["views.pt", "views.pth", "protocol4.pth", "checkpoint.pth"] {
        let whole = std::fs::read(folder.join(name)).unwrap();
        for length in 0..whole.len() {
            assert!(
                regraft_io::read_bytes(&whole[..length]).is_err(),
                "{name} {length}"
            );
        }
    }
    let whole = std::fs::read(folder.join("types.pt")).unwrap();
    // Bits of the pickle and of the values; whatever is read, nothing panics.
    for bit in (0..whole.len() * 8).step_by(5) {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let _ = regraft_io::read_bytes(flipped);
    }
    let whole = std::fs::read(folder.join("checkpoint.pth")).unwrap();
    for bit in (0..whole.len() * 8).step_by(7) {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let _ = regraft_io::read_bytes(flipped);
    }
}
