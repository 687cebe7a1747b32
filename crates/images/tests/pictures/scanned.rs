//! One pass over folders with everything in them.

use std::ops::ControlFlow;

use regraft_images::{Error, Images, Resize};
use tempfile::TempDir;

use crate::files::write;
use crate::golden::file;

#[test]
fn what_cannot_be_read_is_named_and_passed_over() {
    let root = TempDir::new().unwrap();
    let jpeg = file("rgb_444.jpg");
    write(root.path(), "a/0 png.jpg", &file("rgb.png"));
    write(root.path(), "a/1 text.jpg", b"Thank you for your order.");
    write(root.path(), "a/2 empty.png", b"");
    write(root.path(), "a/3 half.jpg", &jpeg[..jpeg.len() / 2]);
    write(root.path(), "a/4 sound.jpg", &jpeg);
    let mut bomb = file("rgb.png");
    bomb[16..24].copy_from_slice(&[0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50]);
    write(root.path(), "b/5 bomb.png", &bomb);
    write(root.path(), "b/6 sound.gif", &file("palette.gif"));
    let images = Images::folder(root.path()).unwrap();
    let mut seen = Vec::new();
    let scan = images
        .scan(3, |done| {
            seen.push(done);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(scan.readable, [0, 4, 6]);
    assert_eq!(scan.inspections.len(), 3);
    let kinds: Vec<(usize, &Error)> = scan
        .unreadable
        .iter()
        .map(|file| (file.picture, &file.reason))
        .collect();
    assert!(
        matches!(
            kinds[..],
            [
                (1, Error::Format(_)),
                (2, Error::Format(_)),
                (3, Error::Truncated(_)),
                (5, Error::TooLarge(_))
            ]
        ),
        "{kinds:?}"
    );
    for file in &scan.unreadable {
        assert!(
            file.reason.to_string().contains(&images.name(file.picture)),
            "{}",
            file.reason
        );
    }
    // The same for any number of workers, and the pictures in the same pass.
    for workers in [1, 2, 5] {
        let mut pictures = Vec::new();
        let images = images.clone().resize(Resize::new([8, 8]));
        let again = images
            .scan_pictures(workers, |number, picture| {
                pictures.push((number, picture.map(|picture| picture.pixels().to_vec())));
                ControlFlow::Continue(())
            })
            .unwrap()
            .unwrap();
        assert_eq!(again.inspections, scan.inspections);
        assert_eq!(
            pictures
                .iter()
                .map(|(number, _)| *number)
                .collect::<Vec<_>>(),
            (0..7).collect::<Vec<_>>()
        );
        for (number, picture) in pictures {
            let alone = images
                .load(number)
                .ok()
                .map(|picture| picture.resize(images.size()).unwrap().into_pixels());
            assert_eq!(picture, alone);
        }
    }
    assert!(images.scan(2, |_| ControlFlow::Break(())).is_none());
}
