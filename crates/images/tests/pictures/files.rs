//! Folders and lists as people have them.

use std::fs;
use std::path::Path;

use regraft_data::{Dataset, Part, Rows, Slice};
use regraft_images::{Error, Images, Resize};
use regraft_tensor::kernels::random::Key;
use tempfile::TempDir;

use crate::golden::file;

pub fn write(folder: &Path, name: &str, content: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn names(images: &Images) -> Vec<String> {
    (0..images.paths().len())
        .map(|picture| images.name(picture))
        .collect()
}

#[test]
fn a_folder_of_folders() {
    let root = TempDir::new().unwrap();
    let png = file("rgb.png");
    for name in [
        "zebra/1.png",
        "zebra/deep/er/2.png",
        "ant/b.png",
        "ant/a.png",
        ".cache/x.png",
        "ant/.hidden.png",
        "readme.txt",
    ] {
        write(root.path(), name, &png);
    }
    fs::create_dir(root.path().join("nothing")).unwrap();
    let images = Images::folder(root.path()).unwrap();
    assert_eq!(images.classes(), ["ant", "nothing", "zebra"]);
    assert_eq!(
        names(&images),
        [
            "ant/a.png",
            "ant/b.png",
            "zebra/1.png",
            "zebra/deep/er/2.png"
        ]
    );
    assert_eq!(images.labels(), [0, 0, 2, 2]);
    assert_eq!(images.outside(), [root.path().join("readme.txt")]);
    let some = images.keep(&[3, 0]);
    assert_eq!(names(&some), ["zebra/deep/er/2.png", "ant/a.png"]);
    assert_eq!((some.labels(), some.classes().len()), (&[2, 0][..], 3));
}

#[test]
fn a_folder_without_folders_says_what_to_do() {
    let root = TempDir::new().unwrap();
    let error = Images::folder(root.path()).unwrap_err().to_string();
    assert!(
        error.contains("an empty folder") && error.contains("a folder for each class"),
        "{error}"
    );
    write(root.path(), "a.png", b"");
    let error = Images::folder(root.path()).unwrap_err().to_string();
    assert!(
        error.contains("one file and no folder") && error.contains("Help: put the pictures"),
        "{error}"
    );
    let missing = root.path().join("missing");
    let error = Images::folder(&missing).unwrap_err();
    assert!(
        matches!(error, Error::File(_)) && error.to_string().contains("missing"),
        "{error}"
    );
}

#[test]
fn names_in_any_script() {
    let root = TempDir::new().unwrap();
    let png = file("rgb.png");
    for name in [
        "猫/写真 1.png",
        "собака/фото\nдва.png",
        "مع/\u{1f600}.PNG",
        "quote's \"/x'.png",
    ] {
        write(root.path(), name, &png);
    }
    let images = Images::folder(root.path()).unwrap();
    assert_eq!(images.classes(), ["quote's \"", "собака", "مع", "猫"]);
    assert_eq!(images.name(1), "собака/фото\\nдва.png");
    for picture in 0..4 {
        images.load(picture).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn names_that_are_no_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let root = TempDir::new().unwrap();
    let class = root.path().join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&class).unwrap();
    fs::write(
        class.join(OsStr::from_bytes(b"\xff\xfe.png")),
        file("rgb.png"),
    )
    .unwrap();
    let images = Images::folder(root.path()).unwrap();
    assert_eq!(images.classes(), ["caf\u{fffd}"]);
    images.load(0).unwrap();
    fs::create_dir(root.path().join(OsStr::from_bytes(b"caf\xe8"))).unwrap();
    assert!(
        Images::folder(root.path())
            .unwrap_err()
            .to_string()
            .contains("different names")
    );
}

#[cfg(unix)]
#[test]
fn links_pipes_and_what_must_not_be_read() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let root = TempDir::new().unwrap();
    let path = root.path();
    write(path, "a/1.png", &file("rgb.png"));
    write(path, "b/2.png", &file("rgb.png"));
    // Circles, within a class and over classes, and a link to nothing.
    symlink(path, path.join("a/up")).unwrap();
    symlink(path.join("b"), path.join("b/self")).unwrap();
    // Pictures of another class would have two.
    symlink(path.join("b"), path.join("a/other")).unwrap();
    symlink(path.join("gone"), path.join("b/gone.png")).unwrap();
    symlink(path.join("a/1.png"), path.join("b/1 again.png")).unwrap();
    std::process::Command::new("mkfifo")
        .arg(path.join("b/pipe.png"))
        .status()
        .unwrap();
    fs::create_dir(path.join("b/locked")).unwrap();
    fs::set_permissions(path.join("b/locked"), fs::Permissions::from_mode(0o000)).unwrap();
    let images = Images::folder(path).unwrap();
    let of_b: Vec<String> = names(&images)
        .into_iter()
        .filter(|name| name.starts_with("b/"))
        .collect();
    assert!(of_b.contains(&"b/1 again.png".to_string()), "{of_b:?}");
    assert!(of_b.len() <= 5, "{of_b:?}");
    // What is above a class is not of it.
    let of_a: Vec<String> = names(&images)
        .into_iter()
        .filter(|name| name.starts_with("a/"))
        .collect();
    assert_eq!(of_a, ["a/1.png", "a/other"]);
    let scan = images
        .scan(2, |_| std::ops::ControlFlow::Continue(()))
        .unwrap();
    let reasons: Vec<String> = scan
        .unreadable
        .iter()
        .map(|file| file.reason.to_string())
        .collect();
    assert!(
        reasons
            .iter()
            .any(|reason| reason.contains("a device or a pipe")),
        "{reasons:?}"
    );
    assert!(
        reasons.iter().any(|reason| reason.contains("b/gone.png")),
        "{reasons:?}"
    );
    fs::set_permissions(path.join("b/locked"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_table_of_paths_and_labels() {
    let root = TempDir::new().unwrap();
    write(root.path(), "x/1.png", &file("rgb.png"));
    write(root.path(), "x/2, b.png", &file("grey.png"));
    let table = "\u{feff}id,path,label\n7,x/1.png,dog\n8,\"x/2, b.png\",\"big\ncat\"\n";
    write(root.path(), "table.csv", table.as_bytes());
    let images = Images::csv(root.path().join("table.csv")).unwrap();
    assert_eq!(images.classes(), ["big\ncat", "dog"]);
    assert_eq!(images.labels(), [1, 0]);
    assert_eq!(names(&images), ["x/1.png", "x/2, b.png"]);
    images.load(1).unwrap();
    for (content, part) in [
        ("name,label\na,b\n", "a column `path`"),
        ("path,label\na,b\nc\n", "line: 3"),
        ("path,label\na,b\nc,\n", "line 3: expected a label"),
        ("path,label\n", "at least one picture"),
        ("", "a column `path`"),
    ] {
        write(root.path(), "wrong.csv", content.as_bytes());
        let error = Images::csv(root.path().join("wrong.csv"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(part) && error.contains("wrong.csv"),
            "{content:?}: {error}"
        );
    }
    write(root.path(), "plain.csv", b"path\nx/1.png\n");
    let images = Images::csv(root.path().join("plain.csv")).unwrap();
    assert!(images.labels().is_empty() && images.targets().is_empty());
}

#[test]
fn samples_are_the_pictures_in_the_size_asked_for() {
    let root = TempDir::new().unwrap();
    for (name, source) in [
        ("a/1.jpg", "rgb.png"),
        ("b/2.png", "rgb_420.jpg"),
        ("b/3.png", "orientation_6.jpg"),
    ] {
        write(root.path(), name, &file(source));
    }
    let size = Resize::new([10, 12]);
    let images = Images::folder(root.path()).unwrap().resize(size);
    let mut rows = Rows::new(&images.inputs(), &images.targets(), false);
    rows.begin(3);
    images.fill(&[2, 0, 1], Key::new(0, 0), &mut rows).unwrap();
    assert_eq!(rows.get(Part::Target(0)), Some(Slice::I32(&[1, 0, 1])));
    let Some(Slice::F32(inputs)) = rows.get(Part::Input(0)) else {
        panic!("floats")
    };
    for (row, picture) in inputs.chunks_exact(10 * 12 * 3).zip([2, 0, 1]) {
        let expected = images.load(picture).unwrap().resize(&size).unwrap();
        assert!(
            row.iter()
                .zip(expected.pixels())
                .all(|(value, level)| *value == f32::from(*level))
        );
    }
    // Targets alone read no file.
    fs::remove_file(&images.paths()[0]).unwrap();
    rows.want(Part::Input(0), false);
    rows.begin(1);
    images.fill(&[0], Key::new(0, 0), &mut rows).unwrap();
    rows.want(Part::Input(0), true);
    rows.begin(1);
    let error = images
        .fill(&[0], Key::new(0, 0), &mut rows)
        .unwrap_err()
        .to_string();
    assert!(error.contains("a/1.jpg"), "{error}");
}

#[test]
fn a_file_that_changes_is_noticed() {
    let root = TempDir::new().unwrap();
    write(root.path(), "a/1.png", &file("rgb.png"));
    let images = Images::folder(root.path()).unwrap();
    images.load(0).unwrap();
    write(root.path(), "a/1.png", &file("grey.png"));
    let error = images.load(0).unwrap_err();
    assert!(
        matches!(error, Error::Changed(_)) && error.to_string().contains("1.png"),
        "{error}"
    );
    Images::folder(root.path()).unwrap().load(0).unwrap();
}

#[test]
fn a_sample_is_known_by_its_bytes_and_how_numbers_are_made_of_them() {
    let root = TempDir::new().unwrap();
    for (name, source) in [
        ("a/1.png", "rgb.png"),
        ("b/2.jpg", "rgb.png"),
        ("b/3.png", "grey.png"),
    ] {
        write(root.path(), name, &file(source));
    }
    let images = Images::folder(root.path()).unwrap();
    let content = |images: &Images, sample| images.content(sample).unwrap().unwrap();
    assert_eq!(content(&images, 0), content(&images, 1));
    assert_ne!(content(&images, 0), content(&images, 2));
    let size = Resize::new([256, 256]);
    assert_eq!(
        content(&images, 0),
        content(&images.clone().resize(size), 0)
    );
    for other in [
        Resize::new([256, 255]),
        Resize::new([255, 256]),
        size.antialias(false),
        size.interpolation(regraft_images::Interpolation::Bicubic),
        size.fit(regraft_images::Fit::Crop),
        size.fit(regraft_images::Fit::Pad),
    ] {
        assert_ne!(
            content(&images, 0),
            content(&images.clone().resize(other), 0),
            "{other:?}"
        );
    }
}

#[test]
fn groups_by_what_an_expression_finds() {
    let images = Images::list(
        [
            "day1_a.png",
            "day1_b.png",
            "day2_a.png",
            "other.png",
            "another.png",
        ]
        .map(|name| (name, "x")),
    )
    .unwrap();
    assert_eq!(
        images.groups_by_name(r"(day\d+)_").unwrap(),
        [0, 0, 2, 3, 4]
    );
    assert_eq!(
        images.groups_by_name(r"_(.)\.png").unwrap(),
        [0, 1, 0, 3, 4]
    );
    assert!(
        images
            .groups_by_name("(")
            .unwrap_err()
            .to_string()
            .contains("a regular expression")
    );
}
