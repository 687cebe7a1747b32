//! Files that are no pictures, or a part of one, or say that they are larger than any.

use regraft_images::{Error, Limits, Picture, decode};

use crate::golden::{file, picture};

fn refused(bytes: &[u8]) -> Error {
    decode(bytes, &Limits::default()).expect_err("no picture")
}

#[test]
fn no_picture_says_what_it_is() {
    let empty = refused(b"");
    assert!(
        matches!(empty, Error::Format(_)) && empty.to_string().contains("an empty file"),
        "{empty}"
    );
    let text = refused(b"This is no picture.\n");
    assert!(text.to_string().contains("received a text"), "{text}");
}

#[test]
fn a_bomb_is_refused_by_what_it_declares() {
    // 50,000 × 50,000 in a few bytes: of PNG the header is enough, it need not even be sound.
    let mut png = file("rgb.png");
    png[16..24].copy_from_slice(&[0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50]);
    let error = refused(&png);
    assert!(matches!(error, Error::TooLarge(_)), "{error}");
    assert!(error.to_string().contains("50000 × 50000"), "{error}");
    // The frame header of a JPEG.
    let mut jpeg = file("rgb_444.jpg");
    let frame = jpeg
        .windows(2)
        .position(|marker| marker == [0xff, 0xc0])
        .unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    assert!(matches!(refused(&jpeg), Error::TooLarge(_)));
    let mut gif = file("palette.gif");
    gif[6..10].copy_from_slice(&[0xff; 4]);
    assert!(matches!(refused(&gif), Error::TooLarge(_)));
    let mut bmp = file("rgb.bmp");
    bmp[18..26].copy_from_slice(&[0x60, 0xea, 0, 0, 0x60, 0xea, 0, 0]);
    assert!(matches!(refused(&bmp), Error::TooLarge(_)));
    // One's own limits.
    let limits = Limits {
        pixels: 27 * 18 - 1,
        ..Limits::default()
    };
    assert!(matches!(
        decode(&file("rgb_444.jpg"), &limits),
        Err(Error::TooLarge(_))
    ));
    let limits = Limits {
        bytes: 100,
        ..Limits::default()
    };
    assert!(matches!(
        decode(&file("rgb_444.jpg"), &limits),
        Err(Error::TooLarge(_))
    ));
    // A progressive one needs its coefficients, too.
    let limits = Limits {
        bytes: 27 * 18 * 4,
        ..Limits::default()
    };
    assert!(matches!(
        decode(&file("progressive.jpg"), &limits),
        Err(Error::TooLarge(_))
    ));
}

/// Wherever a file is cut, it is refused, or known as damaged, or no pixel is missing.
#[test]
fn what_is_cut_is_never_taken_for_whole() {
    for name in [
        "rgb_420.jpg",
        "rgb_444.jpg",
        "grey.jpg",
        "progressive.jpg",
        "restarts.jpg",
        "cmyk.jpg",
        "rgb.png",
        "palette.png",
        "rgb_16_bit.png",
        "palette.gif",
        "rgb.bmp",
        "lossless.webp",
        "lossy.webp",
        "rgb_lzw.tif",
        "rgb.tif",
    ] {
        let (bytes, whole) = (file(name), picture(name));
        let mut truncated = 0;
        for length in 0..bytes.len() {
            match decode(&bytes[..length], &Limits::default()) {
                Ok(cut) if cut.source().unwrap().damaged => {}
                Ok(cut) => assert!(
                    cut.pixels() == whole.pixels(),
                    "{name} cut at {length} of {}",
                    bytes.len()
                ),
                Err(error) => {
                    truncated += usize::from(matches!(error, Error::Truncated(_)));
                }
            }
        }
        assert!(
            truncated * 10 > bytes.len(),
            "{name}: {truncated} of {} are called truncated",
            bytes.len()
        );
    }
}

/// Whatever bytes are changed: an answer.
#[test]
fn noise_in_a_file_gives_an_error_or_a_picture() {
    let limits = Limits {
        pixels: 1 << 20,
        bytes: 1 << 24,
    };
    for name in [
        "rgb_420.jpg",
        "progressive.jpg",
        "rgb.png",
        "palette.gif",
        "palette.bmp",
        "lossy.webp",
        "rgb_lzw.tif",
    ] {
        let sound = file(name);
        for seed in 0..400_usize {
            let mut bytes = sound.clone();
            for change in 0..1 + seed % 3 {
                let at = (seed * 7919 + change * 104_729) % bytes.len();
                bytes[at] ^= (1 + seed * 31 + change) as u8 | 1;
            }
            let _: Result<Picture, Error> = decode(&bytes, &limits);
        }
    }
}

/// A part of the code is missing in the middle: the decoder goes on with zeros at the end.
#[test]
fn a_jpeg_of_which_a_part_is_missing_is_damaged() {
    let bytes = file("inspected_noise.jpg");
    let scan = bytes
        .windows(2)
        .position(|marker| marker == [0xff, 0xda])
        .unwrap()
        + 14;
    let missing = (bytes.len() - scan) / 20;
    let mut damaged = 0;
    for at in (scan..bytes.len() - missing - 2).step_by(97) {
        let cut = [&bytes[..at], &bytes[at + missing..]].concat();
        match decode(&cut, &Limits::default()) {
            Ok(picture) => {
                assert!(
                    picture.source().unwrap().damaged,
                    "without {missing} bytes at {at}"
                );
                damaged += 1;
            }
            Err(error) => assert!(matches!(error, Error::Broken(_)), "{error}"),
        }
    }
    assert!(damaged > 20);
}

/// A field of a TIFF that says it has more numbers than the file has bytes, or than memory may hold.
#[test]
fn a_field_is_not_believed_before_it_is_there() {
    let sound = file("rgb.tif");
    assert!(decode(&sound, &Limits::default()).is_ok());
    let directory = u32::from_le_bytes(sound[4..8].try_into().unwrap()) as usize;
    let entries = usize::from(u16::from_le_bytes(
        sound[directory..directory + 2].try_into().unwrap(),
    ));
    assert!(entries >= 8);
    for entry in (0..entries).map(|entry| directory + 2 + 12 * entry) {
        let mut changed = sound.clone();
        changed[entry + 4..entry + 8].copy_from_slice(&[0x81, 0x67, 0x5a, 0]);
        let error = refused(&changed);
        assert!(matches!(error, Error::Truncated(_)), "{error}");
        assert!(error.to_string().contains("5924737 numbers"), "{error}");
    }
    // As many numbers as there are bytes take more memory than the file.
    let mut changed = sound.clone();
    let count = sound.len() as u32;
    changed[directory + 2 + 2..directory + 2 + 4].copy_from_slice(&[1, 0]);
    changed[directory + 2 + 4..directory + 2 + 8].copy_from_slice(&count.to_le_bytes());
    let limits = Limits {
        bytes: sound.len() as u64 * 31,
        ..Limits::default()
    };
    let error = decode(&changed, &limits).expect_err("too large");
    assert!(matches!(error, Error::TooLarge(_)), "{error}");
}
