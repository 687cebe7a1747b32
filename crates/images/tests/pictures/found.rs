//! What is found in sets of pictures: each kind planted, and nothing where nothing is.

use std::ops::ControlFlow;
use std::path::Path;

use regraft_images::{
    Finding, FindingKind, Images, Inspection, Limits, Picture, decode, findings, groups,
};
use regraft_tensor::kernels::random::{Key, uniform};
use tempfile::TempDir;

use crate::files::write;
use crate::golden::picture;

/// Seven by six coloured fields with soft changes in each, other ones for every number.
fn scene(number: u32, width: usize, height: usize) -> Vec<u8> {
    let mut drawn = vec![0.0; 7 * 6 * 3];
    uniform(Key::new(7, u64::from(number)), 0, &mut drawn);
    let mut pixels = Vec::with_capacity(width * height * 3);
    for row in 0..height {
        for column in 0..width {
            let field = (row * 6 / height) * 7 + column * 7 / width;
            let soft = ((row * 40 / height + column * 40 / width) % 20) as f32;
            pixels.extend(
                (0..3).map(|channel| (20.0 + 190.0 * drawn[field * 3 + channel] + soft) as u8),
            );
        }
    }
    pixels
}

fn png(pixels: Vec<u8>, width: usize, height: usize) -> Vec<u8> {
    Picture::new(width, height, pixels)
        .unwrap()
        .to_png()
        .unwrap()
}

fn jpeg(pixels: Vec<u8>, width: usize, height: usize) -> Vec<u8> {
    Picture::new(width, height, pixels)
        .unwrap()
        .to_jpeg(80)
        .unwrap()
}

/// 60 pictures in two classes with nothing strange about them.
fn sound(root: &Path) {
    for number in 0..60 {
        let (width, height) = (
            [48, 50, 52][number / 2 % 3],
            [40, 41, 44, 46][number / 2 % 4],
        );
        let name = format!("{}/{number:02}.png", ["ant", "bee"][number % 2]);
        write(
            root,
            &name,
            &png(scene(number as u32, width, height), width, height),
        );
    }
}

struct Set {
    images: Images,
    inspections: Vec<Inspection>,
    findings: Vec<Finding>,
}

fn look(root: &Path) -> Set {
    let images = Images::folder(root).unwrap();
    let scan = images.scan(2, |_| ControlFlow::Continue(())).unwrap();
    assert!(scan.unreadable.is_empty(), "{:?}", scan.unreadable);
    let findings = findings(&scan.inspections, images.labels(), images.classes());
    Set {
        images,
        inspections: scan.inspections,
        findings,
    }
}

impl Set {
    fn finding(&self, kind: FindingKind) -> &Finding {
        let found: Vec<&Finding> = self
            .findings
            .iter()
            .filter(|finding| finding.kind == kind)
            .collect();
        assert_eq!(found.len(), 1, "{kind:?} among {:?}", self.findings);
        found[0]
    }

    fn names(&self, kind: FindingKind) -> Vec<String> {
        self.finding(kind)
            .pictures
            .iter()
            .map(|&picture| self.images.name(picture))
            .collect()
    }

    fn kinds(&self) -> Vec<FindingKind> {
        self.findings.iter().map(|finding| finding.kind).collect()
    }
}

#[test]
fn nothing_is_found_where_nothing_is_strange() {
    let root = TempDir::new().unwrap();
    sound(root.path());
    let set = look(root.path());
    assert!(set.findings.is_empty(), "{:?}", set.findings);
    assert_eq!(groups(&set.inspections, None), (0..60).collect::<Vec<_>>());
}

#[test]
fn duplicates_within_classes_and_across() {
    let root = TempDir::new().unwrap();
    sound(root.path());
    let picture = scene(3, 52, 44);
    // The same pixels in another file; resaved, smaller, brighter; and in the other class.
    write(root.path(), "bee/x png.png", &png(picture.clone(), 52, 44));
    write(root.path(), "bee/x same.bmp", &bmp(&picture, 52, 44));
    write(
        root.path(),
        "ant/y jpeg.jpg",
        &jpeg(scene(4, 52, 44), 52, 44),
    );
    write(
        root.path(),
        "ant/y small.png",
        &png(scene(4, 40, 34), 40, 34),
    );
    write(
        root.path(),
        "ant/z across.png",
        &png(scene(5, 48, 41), 48, 41),
    );
    write(
        root.path(),
        "bee/z across.png",
        &png(scene(5, 48, 41), 48, 41),
    );
    write(
        root.path(),
        "ant/v near.jpg",
        &jpeg(scene(6, 50, 44), 50, 44),
    );
    write(
        root.path(),
        "bee/v near.png",
        &png(scene(6, 50, 44), 50, 44),
    );
    let set = look(root.path());
    assert_eq!(
        set.names(FindingKind::SamePixels),
        ["bee/x png.png", "bee/x same.bmp"]
    );
    let across = set.finding(FindingKind::SamePixelsAcrossClasses);
    assert_eq!(across.sets.len(), 1);
    assert_eq!(
        across.sentence,
        "2 pictures have the same pixels as others of another class (1 set)"
    );
    let near = set.names(FindingKind::NearDuplicatesAcrossClasses);
    assert!(
        near.contains(&"ant/v near.jpg".to_string())
            && near.contains(&"bee/v near.png".to_string()),
        "{near:?}"
    );
    let near = set.names(FindingKind::NearDuplicates);
    assert!(
        near.contains(&"ant/y jpeg.jpg".to_string())
            && near.contains(&"ant/y small.png".to_string()),
        "{near:?}"
    );
    // Each of the four lots is one group, with the picture of the sound set of which it was made.
    let groups = groups(&set.inspections, None);
    let group = |name: &str| {
        let number = (0..groups.len()).find(|&picture| set.images.name(picture) == name);
        groups[number.unwrap_or_else(|| panic!("{name}"))]
    };
    assert_eq!(group("bee/x png.png"), group("bee/x same.bmp"));
    assert_eq!(group("ant/y jpeg.jpg"), group("ant/y small.png"));
    assert_eq!(group("ant/z across.png"), group("bee/z across.png"));
    assert_eq!(group("ant/v near.jpg"), group("bee/v near.png"));
    assert_ne!(group("ant/z across.png"), group("bee/v near.png"));
}

/// A Windows bitmap, by hand: no other kind of file has the same pixels in other bytes so simply.
fn bmp(pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
    let row = (width * 3).div_ceil(4) * 4;
    let number = |number: usize| (number as u32).to_le_bytes();
    let mut file = [
        &b"BM"[..],
        &number(54 + row * height),
        &number(0),
        &number(54),
        &number(40),
    ]
    .concat();
    file.extend([number(width), number(height)].concat());
    file.extend([1, 0, 24, 0]);
    file.extend([0; 24]);
    for from in pixels.chunks_exact(width * 3).rev() {
        let mut line: Vec<u8> = from
            .as_chunks::<3>()
            .0
            .iter()
            .flat_map(|&[r, g, b]| [b, g, r])
            .collect();
        line.resize(row, 0);
        file.extend(line);
    }
    file
}

#[test]
fn pictures_that_are_strange_by_themselves() {
    let root = TempDir::new().unwrap();
    sound(root.path());
    let dark = scene(70, 48, 41).iter().map(|level| level / 6).collect();
    let light = scene(71, 48, 41)
        .iter()
        .map(|level| 243 + level / 21)
        .collect();
    write(
        root.path(),
        "ant/blank.png",
        &png(vec![90; 48 * 41 * 3], 48, 41),
    );
    write(root.path(), "ant/dark.png", &png(dark, 48, 41));
    write(root.path(), "bee/light.png", &png(light, 48, 41));
    write(
        root.path(),
        "bee/grey.png",
        &png(
            picture("inspected_noise.jpg").luma()[..48 * 41]
                .iter()
                .flat_map(|&l| [l; 3])
                .collect(),
            48,
            41,
        ),
    );
    write(
        root.path(),
        "bee/large.png",
        &png(scene(72, 240, 200), 240, 200),
    );
    write(
        root.path(),
        "bee/long.png",
        &png(scene(73, 120, 20), 120, 20),
    );
    let two: Vec<u8> = (0..48 * 41)
        .flat_map(|at| {
            if at % 2 < 1 && at / 480 == 1 {
                [9; 3]
            } else {
                [200; 3]
            }
        })
        .collect();
    write(root.path(), "ant/simple.png", &png(two, 48, 41));
    let jpeg = jpeg(scene(74, 48, 41), 48, 41);
    write(
        root.path(),
        "ant/damaged.jpg",
        &[&jpeg[..jpeg.len() - 2]].concat(),
    );
    let set = look(root.path());
    for (kind, name) in [
        (FindingKind::Blank, "ant/blank.png"),
        (FindingKind::Dark, "ant/dark.png"),
        (FindingKind::Light, "bee/light.png"),
        (FindingKind::OddSize, "bee/large.png"),
        (FindingKind::OddShape, "bee/long.png"),
        (FindingKind::Damaged, "ant/damaged.jpg"),
    ] {
        assert_eq!(set.names(kind), [name], "{kind:?}");
    }
    assert!(
        set.names(FindingKind::LowInformation)
            .contains(&"ant/simple.png".to_string())
    );
    assert!(
        set.names(FindingKind::OddColor)
            .contains(&"bee/grey.png".to_string())
    );
    assert_eq!(
        set.finding(FindingKind::Dark).sentence,
        "1 picture is dark: 99 % of the pixels are below .32 of full brightness"
    );
    // A soft change from dark to light.
    let soft = (0..160 * 120)
        .flat_map(|at| [((at % 160 + at / 160) / 2) as u8; 3])
        .collect();
    let soft = decode(&png(soft, 160, 120), &Limits::default()).unwrap();
    let found = findings(&[Inspection::of(&soft, [0; 32]).unwrap()], &[], &[]);
    assert!(
        found
            .iter()
            .any(|finding| finding.kind == FindingKind::Blurred),
        "{found:?}"
    );
}

#[test]
fn classes_of_few_pictures_or_one_or_rare() {
    let root = TempDir::new().unwrap();
    for number in 0..300_u32 {
        write(
            root.path(),
            &format!("many/{number}.png"),
            &png(scene(number, 20, 18), 20, 18),
        );
    }
    for number in 0..3_u32 {
        write(
            root.path(),
            &format!("few/{number}.png"),
            &png(scene(500 + number, 20, 18), 20, 18),
        );
    }
    std::fs::create_dir(root.path().join("none")).unwrap();
    let set = look(root.path());
    let few = set.finding(FindingKind::FewPictures);
    assert_eq!(few.classes, [0, 2]);
    assert_eq!(
        few.sentence,
        "2 classes have fewer than 20 pictures: few (3), none (0)"
    );
    assert_eq!(set.finding(FindingKind::Imbalance).classes, [2]);
    std::fs::remove_dir_all(root.path().join("few")).unwrap();
    std::fs::remove_dir_all(root.path().join("none")).unwrap();
    let set = look(root.path());
    assert_eq!(set.kinds(), [FindingKind::OneClass]);
    // One picture in each class is few, and no more is said of it.
    let root = TempDir::new().unwrap();
    for (number, class) in ["a", "b", "c"].iter().enumerate() {
        write(
            root.path(),
            &format!("{class}/1.png"),
            &png(scene(number as u32, 20, 18), 20, 18),
        );
    }
    assert_eq!(look(root.path()).kinds(), [FindingKind::FewPictures]);
}

#[test]
fn properties_that_give_a_class_away() {
    // One class of three is JPEG; all ants are bright; every second bee is larger, as is every second cow.
    let root = TempDir::new().unwrap();
    for number in 0..150_usize {
        let (width, height) = if number % 2 == 0 { (30, 26) } else { (36, 30) };
        let pixels = scene(number as u32, width, height);
        let (name, file) = match number % 3 {
            0 => (
                "ant",
                png(
                    pixels.iter().map(|level| 128 + level / 2).collect(),
                    width,
                    height,
                ),
            ),
            1 => ("bee", jpeg(pixels, width, height)),
            _ => ("cow", png(pixels, width, height)),
        };
        write(root.path(), &format!("{name}/{number}"), &file);
    }
    let set = look(root.path());
    let told: Vec<&Finding> = set
        .findings
        .iter()
        .filter(|finding| finding.kind == FindingKind::GivesAway)
        .collect();
    let of = |what: &str| {
        told.iter()
            .find(|finding| finding.sentence.starts_with(what))
    };
    let format = of("the format").unwrap_or_else(|| panic!("{told:?}"));
    assert_eq!(format.classes, [1]);
    assert_eq!(
        format.sentence,
        "the format gives the class away: JPEG ↔ bee (100 % of them, 0 % of the others)"
    );
    assert_eq!(format.pictures.len(), 50);
    let brightness = of("the brightness").unwrap_or_else(|| panic!("{told:?}"));
    assert!(
        brightness.classes.contains(&0) && brightness.sentence.contains("↔ ant"),
        "{brightness}"
    );
    assert!(
        of("the size").is_none() && of("the shape").is_none(),
        "{told:?}"
    );
}

/// By chance nothing is given away: many classes of a few pictures, with properties drawn at random.
#[test]
fn chance_gives_nothing_away() {
    let root = TempDir::new().unwrap();
    for number in 0..240_usize {
        let draw = |of: usize| (number * 7919 + of * 104_729) % 9973;
        let (width, height) = (20 + draw(1) % 17, 18 + draw(2) % 13);
        let pixels = scene(number as u32, width, height);
        let file = if draw(3) % 2 == 0 {
            png(pixels, width, height)
        } else {
            jpeg(pixels, width, height)
        };
        write(root.path(), &format!("{:02}/{number}", draw(4) % 24), &file);
    }
    let set = look(root.path());
    assert!(
        !set.kinds().contains(&FindingKind::GivesAway),
        "{:?}",
        set.findings
    );
}

/// Twenty files of one picture are one witness: the class is not told by what its only picture is like.
#[test]
fn copies_are_no_witnesses() {
    let root = TempDir::new().unwrap();
    for number in 0..60_u32 {
        let name = format!("{}/{number}.png", ["ant", "bee"][number as usize % 2]);
        write(root.path(), &name, &png(scene(number, 30, 26), 30, 26));
    }
    for copy in 0..20 {
        write(
            root.path(),
            &format!("cow/{copy}.jpg"),
            &jpeg(scene(99, 60, 52), 60, 52),
        );
    }
    let set = look(root.path());
    assert_eq!(set.kinds(), [FindingKind::SamePixels]);
}
