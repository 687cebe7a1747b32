//! From folders that are written here to classifiers, and what becomes of folders that are not as they should be.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use regraft::layers::{Conv2D, Dense, GlobalAveragePooling2D, Input, LayerExt, Rescaling, layers};
use regraft::{Model, Sequential, Tensor};
use regraft_images::{Images, Picture};
use regraft_pictures::{
    Answer, Classifier, Config, Error, Labelling, Observer, Result, RunFile, Stage, Train, Trained,
    check, forecast, held_out, pick,
};
use tempfile::TempDir;

const CLASSES: [&str; 3] = ["blue", "green", "red"];

/// A folder with everything that a test needs.
struct Place(TempDir);

impl Place {
    /// With a network and so many pictures of each class.
    fn new(per_class: usize) -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        for (class, name) in CLASSES.iter().enumerate() {
            for number in 0..per_class {
                place.add(
                    name,
                    &format!("{number}.png"),
                    &picture(class, number).to_png().unwrap(),
                );
            }
        }
        network(3).save(place.path("network.keras")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn photos(&self) -> PathBuf {
        self.path("photos")
    }

    fn output(&self) -> PathBuf {
        self.path("photos.regraft")
    }

    fn add(&self, class: &str, name: &str, bytes: &[u8]) {
        let folder = self.photos().join(class);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    }

    fn train(&self) -> Train {
        let network = self.path("network.keras").display().to_string();
        let train = Train::new(self.photos())
            .backbone(network)
            .cache(self.path("cache"));
        train.configure(|config| config.preprocessing = Some("scaled".into()))
    }

    fn config(&self) -> Config {
        self.train().config().clone()
    }

    fn run(&self) -> Result<Trained> {
        self.train().replace(true).run(&mut ())
    }

    /// The names and bytes of what a run has left, without the report, which tells times.
    fn left(&self) -> BTreeMap<String, Vec<u8>> {
        left(&self.output())
    }
}

fn left(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let named = entries.map(|path| {
        (
            path.file_name().unwrap().to_str().unwrap().to_string(),
            fs::read(path).unwrap(),
        )
    });
    named.filter(|(name, _)| name != "report.html").collect()
}

/// A network with some weights.
fn network(seed: u64) -> Model {
    let layers = layers![
        Input::new([24, 24, 3]),
        Conv2D::new(16, 3).strides(2).activation("relu"),
        Conv2D::new(16, 3).activation("relu"),
        GlobalAveragePooling2D::new().named("pool"),
        Dense::new(10).activation("softmax"),
    ];
    Sequential::with_seed(layers, seed).unwrap()
}

/// A network of many features.
fn wide_network() -> Model {
    let layers = layers![
        Input::new([24, 24, 3]),
        Conv2D::new(256, 5).strides(3).activation("relu"),
        GlobalAveragePooling2D::new().named("pool"),
        Dense::new(10),
    ];
    Sequential::with_seed(layers, 1).unwrap()
}

/// Stripes and noise in the colour of its class, another picture for each number.
fn picture(class: usize, number: usize) -> Picture {
    let (width, height) = (40 + number % 7, 36);
    let noise = |at: usize| {
        let mixed = (at as u64 + 1)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ (number as u64 + 1) << 32 ^ (class as u64) << 50);
        (mixed >> 56) as u8
    };
    let mut pixels = Vec::new();
    for row in 0..height {
        for column in 0..width {
            for channel in 0..3 {
                let line = (row * (number % 5 + 1) + column * (number % 3)) / 6;
                let stripe = 70 * (1 - (line % 2) as u8);
                let level = noise((row * width + column) / 40 * 3 + channel) / 3 + stripe;
                let more = if channel == 2 - class { 90 } else { 0 };
                pixels.push(level.saturating_add(more));
            }
        }
    }
    Picture::new(width, height, pixels).unwrap()
}

#[test]
fn a_folder_becomes_a_classifier_that_says_what_the_file_says() {
    let place = Place::new(24);
    let trained = place.run().unwrap();
    assert_eq!(trained.folder, place.output());
    assert_eq!(trained.run.classes, CLASSES);
    assert_eq!(trained.run.pictures.per_class, [24; 3]);
    let accuracy = trained.run.estimate.accuracy;
    assert!(
        accuracy.value > 0.8 && accuracy.low < accuracy.value,
        "{accuracy:?}"
    );
    assert_eq!(trained.pictures.len(), 72);
    assert_eq!(trained.suspects.len(), 72);
    let labels = fs::read_to_string(place.output().join("labels.txt")).unwrap();
    assert_eq!(labels, "blue\ngreen\nred\n");
    let report = fs::read_to_string(place.output().join("report.html")).unwrap();
    assert!(report.contains("blue") && report.contains("data:image/jpeg"));

    // New pictures, by the library and by the file alone.
    let new: Vec<(usize, Picture)> = (0..9)
        .map(|number| (number % 3, picture(number % 3, 500 + number)))
        .collect();
    let paths: Vec<PathBuf> = (0..9)
        .map(|number| place.path(&format!("{number}.jpg.png")))
        .collect();
    for ((_, picture), path) in new.iter().zip(&paths) {
        fs::write(path, picture.to_png().unwrap()).unwrap();
    }
    let classifier = Classifier::open(place.output()).unwrap();
    let answers = classifier.predict(&paths, &mut ()).unwrap();
    let (file, _) = Model::open(place.output().join("model.keras")).unwrap();
    assert_eq!(file.class_names().unwrap(), CLASSES);
    let mut right = 0;
    for ((class, picture), answer) in new.iter().zip(&answers) {
        let pixels = picture.resize(classifier.resize()).unwrap().into_pixels();
        let pixels =
            Tensor::new([1, 24, 24, 3], pixels.into_iter().map(f32::from).collect()).unwrap();
        let expected: Vec<f64> = file
            .predict(&pixels)
            .unwrap()
            .as_slice()
            .iter()
            .map(|p| f64::from(*p))
            .collect();
        assert_eq!(answer.probabilities.as_ref().unwrap(), &expected);
        right += usize::from(answer.class == Some(*class));
        assert!(!classifier.answer_set(answer).is_empty());
    }
    assert!(right >= 7, "{right}");
}

#[test]
fn what_is_known_is_not_computed_again_and_gives_the_same_bytes() {
    let place = Place::new(12);
    assert_eq!(place.run().unwrap().decoded, 36);
    let first = place.left();
    assert_eq!(
        first.keys().collect::<Vec<_>>(),
        ["labels.txt", "model.keras", "model.safetensors", "run.toml"]
    );
    assert_eq!(place.run().unwrap().decoded, 0);
    assert_eq!(place.left(), first);
    // A picture that is there under another name is known too; one that is new is not.
    fs::rename(
        place.photos().join("red/3.png"),
        place.photos().join("red/moved.png"),
    )
    .unwrap();
    assert_eq!(place.run().unwrap().decoded, 0);
    place.add("red", "new.png", &picture(2, 700).to_png().unwrap());
    assert_eq!(place.run().unwrap().decoded, 1);
    // Nothing is known of other pictures of the same name, or with another network.
    place.add("red", "new.png", &picture(2, 701).to_png().unwrap());
    assert_eq!(place.run().unwrap().decoded, 1);
    network(4).save(place.path("network.keras")).unwrap();
    assert_eq!(place.run().unwrap().decoded, 37);
    // Without what was kept: the same bytes.
    let known = place.left();
    fs::remove_dir_all(place.path("cache")).unwrap();
    assert_eq!(place.run().unwrap().decoded, 37);
    assert_eq!(place.left(), known);
}

/// The pictures in a report, heat maps among them.
fn shown(report: &str) -> Vec<&str> {
    let parts = report.split("data:image/").skip(1);
    parts.map(|part| part.split('"').next().unwrap()).collect()
}

/// Changes a byte of every file below a folder.
fn damage(folder: &Path) -> usize {
    let mut damaged = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            damaged += damage(&path);
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
        damaged += 1;
    }
    damaged
}

#[test]
fn a_report_shows_the_same_whatever_was_kept() {
    let place = Place::new(12);
    let report = |head: &str| {
        let train = place.train().configure(|config| config.head = head.into());
        train.replace(true).run(&mut ()).unwrap();
        fs::read_to_string(place.output().join("report.html")).unwrap()
    };
    report("ridge");
    let kept = report("nearest-mean");
    let small = place.path("cache/small-pictures");
    assert!(damage(&small) >= 12);
    let damaged = report("nearest-mean");
    assert_eq!(shown(&damaged), shown(&kept));
    fs::remove_dir_all(place.path("cache")).unwrap();
    let anew = report("nearest-mean");
    assert_eq!(shown(&anew), shown(&kept));
    let heat = |url: &&str| url.starts_with("png");
    assert!(shown(&kept).into_iter().filter(heat).count() >= 3);
}

#[test]
fn nothing_is_overwritten_unless_told() {
    let place = Place::new(6);
    place.train().run(&mut ()).unwrap();
    let first = place.left();
    let error = place.train().run(&mut ()).unwrap_err();
    assert!(matches!(error, Error::Exists(_)), "{error}");
    assert_eq!(place.left(), first);
    place
        .train()
        .replace(true)
        .configure(|config| config.balance = 1.0)
        .run(&mut ())
        .unwrap();
    assert_ne!(place.left(), first);
}

#[test]
fn a_run_is_repeated_bit_for_bit_or_it_is_said_what_has_changed() {
    let place = Place::new(10);
    place
        .train()
        .configure(|config| config.holdout = 0.25)
        .run(&mut ())
        .unwrap();
    let first = place.left();
    let run = place.output().join("run.toml");
    let again = || {
        Train::again(&run)
            .unwrap()
            .output(place.path("again"))
            .replace(true)
            .cache(place.path("cache2"))
    };
    again().run(&mut ()).unwrap();
    assert_eq!(left(&place.path("again")), first);
    place.add("red", "new.png", &picture(2, 700).to_png().unwrap());
    let message = again().run(&mut ()).unwrap_err().to_string();
    assert!(
        message.contains("30 pictures of that run") && message.contains("--from"),
        "{message}"
    );
    fs::remove_file(place.photos().join("red/new.png")).unwrap();
    network(4).save(place.path("network.keras")).unwrap();
    let message = again().run(&mut ()).unwrap_err().to_string();
    assert!(message.contains("network.keras"), "{message}");
    assert_eq!(left(&place.path("again")), first);
}

/// Wants to stop when so much of a stage is done.
struct Stops(Stage, usize, bool);

impl Observer for Stops {
    fn progress(&mut self, stage: Stage, done: usize) {
        self.2 |= stage == self.0 && done >= self.1;
    }

    fn begin(&mut self, stage: Stage, _steps: usize) {
        self.2 |= stage == self.0 && self.1 == 0;
    }

    fn is_cancelled(&self) -> bool {
        self.2
    }
}

#[test]
fn what_is_stopped_leaves_nothing_and_goes_on() {
    let place = Place::new(40);
    place.run().unwrap();
    let undisturbed = place.left();
    fs::remove_dir_all(place.output()).unwrap();
    fs::remove_dir_all(place.path("cache")).unwrap();
    for (stage, done) in [
        (Stage::Scan, 0),
        (Stage::Features, 70),
        (Stage::Check, 0),
        (Stage::Solve, 0),
        (Stage::Write, 0),
    ] {
        let error = place
            .train()
            .run(&mut Stops(stage, done, false))
            .unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{stage}: {error}");
        let mut names: Vec<_> = fs::read_dir(place.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert!(
            !names
                .iter()
                .any(|name| name.to_string_lossy().contains("regraft")),
            "{stage}: {names:?}"
        );
    }
    let trained = place.train().run(&mut ()).unwrap();
    assert_eq!(trained.decoded, 0);
    assert_eq!(place.left(), undisturbed);
}

#[test]
fn duplicates_stay_on_one_side_and_the_careless_number_is_told() {
    let place = Place::new(12);
    // Each picture three times, under labels that have nothing to do with it.
    fs::remove_dir_all(place.photos()).unwrap();
    for number in 0..30 {
        for copy in 0..3 {
            let bytes = picture(number % 3, number * 7).to_png().unwrap();
            place.add(
                CLASSES[number * 5 / 7 % 3],
                &format!("{number}-{copy}.png"),
                &bytes,
            );
        }
    }
    // With more features than pictures, so that pictures can be learnt by heart.
    wide_network().save(place.path("network.keras")).unwrap();
    let settings = |config: &mut Config| {
        config.holdout = 0.3;
        config.head = "ridge".into();
    };
    let trained = place.train().configure(settings).run(&mut ()).unwrap();
    assert!(
        trained.run.pictures.groups <= 30,
        "{}",
        trained.run.pictures.groups
    );
    for seen in &trained.pictures {
        let number = |path: &str| path.split(['/', '-']).nth(1).unwrap().to_string();
        let same = trained
            .pictures
            .iter()
            .filter(|other| number(&other.path) == number(&seen.path));
        assert!(
            same.into_iter()
                .all(|other| other.held_out == seen.held_out),
            "{}",
            seen.path
        );
    }
    let estimate = &trained.run.estimate;
    assert!(
        estimate.careless > estimate.accuracy.value + 0.05,
        "{estimate:?}"
    );
    assert!(
        trained
            .findings
            .iter()
            .any(|finding| !finding.sets.is_empty())
    );
}

#[test]
fn groups_by_name_stay_on_one_side() {
    let place = Place::new(0);
    for (class, name) in CLASSES.iter().enumerate() {
        for scene in 0..8 {
            for shot in 0..3 {
                let bytes = picture(class, scene * 10 + shot).to_png().unwrap();
                place.add(name, &format!("scene{scene}_{shot}.png"), &bytes);
            }
        }
    }
    let settings = |config: &mut Config| {
        config.group = Some("^([^/]+)/(scene[0-9]+)_".into());
        config.holdout = 0.4;
    };
    let trained = place.train().configure(settings).run(&mut ()).unwrap();
    assert!(trained.run.pictures.groups <= 24);
    for seen in &trained.pictures {
        let scene = seen.path.split('_').next().unwrap();
        let same = trained
            .pictures
            .iter()
            .filter(|other| other.path.starts_with(&format!("{scene}_")));
        assert!(
            same.into_iter()
                .all(|other| other.held_out == seen.held_out),
            "{}",
            seen.path
        );
    }
    let wrong = place
        .train()
        .replace(true)
        .configure(|config| config.group = Some("(".into()))
        .run(&mut ());
    assert!(
        wrong
            .unwrap_err()
            .to_string()
            .contains("regular expression")
    );
}

#[test]
fn files_that_are_no_pictures_are_named_and_the_rest_is_learnt_from() {
    let place = Place::new(8);
    let png = picture(0, 300).to_png().unwrap();
    let jpeg = picture(0, 301).to_jpeg(90).unwrap();
    place.add("blue", "text.jpg", b"this is a text");
    place.add("blue", "empty.png", b"");
    place.add("blue", "cut.jpg", &jpeg[..jpeg.len() / 2]);
    place.add("green", "really a png.jpg", &png);
    place.add(
        "green",
        "名前\nいち.png",
        &picture(1, 302).to_png().unwrap(),
    );
    let mut huge = png;
    huge[16..24].copy_from_slice(&[0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50]);
    place.add("red", "huge.png", &huge);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(place.photos(), place.photos().join("red/circle")).unwrap();
        std::os::unix::fs::symlink("nowhere", place.photos().join("red/broken.png")).unwrap();
    }
    let trained = place.run().unwrap();
    let names: Vec<&str> = trained
        .unreadable
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    for name in ["blue/text.jpg", "blue/empty.png", "red/huge.png"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let reason = |name: &str| {
        trained
            .unreadable
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, reason)| reason.as_str())
    };
    assert!(
        reason("blue/text.jpg").unwrap().contains("not a picture"),
        "{:?}",
        reason("blue/text.jpg")
    );
    assert!(
        reason("red/huge.png").unwrap().contains("50000"),
        "{:?}",
        reason("red/huge.png")
    );
    assert!(
        trained
            .pictures
            .iter()
            .any(|seen| seen.path == "green/really a png.jpg")
    );
    assert!(
        trained
            .pictures
            .iter()
            .any(|seen| seen.path.contains("名前\\nいち"))
    );
    // They are known the next time, and the files of the same content.
    let again = place.run().unwrap();
    assert_eq!(again.unreadable, trained.unreadable);
    assert_eq!(again.decoded, 0);
    let checked = check(place.photos(), Some(&place.path("cache")), &mut ()).unwrap();
    assert_eq!(checked.unreadable, trained.unreadable);
    assert!(checked.is_serious());
}

#[test]
fn folders_from_which_nothing_can_be_learnt_say_what_to_do() {
    let message = |place: &Place| {
        let error = place.run().unwrap_err();
        assert!(!place.output().exists());
        let text = error.to_string();
        assert!(text.contains("photos") && text.contains("Help"), "{text}");
        text
    };
    let empty = Place::new(0);
    let missing = empty.run().unwrap_err().to_string();
    assert!(
        missing.contains("photos") && missing.contains("spelled"),
        "{missing}"
    );
    fs::create_dir(empty.photos()).unwrap();
    assert!(message(&empty).contains("a folder for each class"));
    fs::write(
        empty.photos().join("loose.png"),
        picture(0, 0).to_png().unwrap(),
    )
    .unwrap();
    assert!(message(&empty).contains("a folder for each class"));
    empty.add("only", "a.png", &picture(0, 0).to_png().unwrap());
    empty.add("only", "b.png", &picture(0, 1).to_png().unwrap());
    assert!(message(&empty).contains("2 classes"));
    // One of each class; and copies of it are no others.
    let single = Place::new(1);
    assert!(message(&single).contains("2 different pictures"));
    for (class, name) in CLASSES.iter().enumerate() {
        single.add(name, "copy.png", &picture(class, 0).to_png().unwrap());
    }
    assert!(message(&single).contains("2 different pictures"));
    // A class with nothing in it is none.
    let place = Place::new(6);
    place.add("black", "text.png", b"text");
    assert_eq!(place.run().unwrap().run.classes, CLASSES);
}

#[test]
fn of_a_class_with_one_picture_nothing_is_told_and_the_rest_is() {
    let place = Place::new(10);
    let without = place.run().unwrap().run.estimate;
    assert_eq!(without.leaves_out(), None);
    // Twice the same picture is one.
    for name in ["a.png", "b.png"] {
        let bytes = Picture::new(40, 36, vec![255; 40 * 36 * 3])
            .unwrap()
            .to_png();
        place.add("zebra", name, &bytes.unwrap());
    }
    let trained = place.run().unwrap();
    let estimate = &trained.run.estimate;
    assert_eq!(estimate.unknown_classes, ["zebra"]);
    assert!(estimate.leaves_out().unwrap().contains("zebra"));
    let seen = |known: bool| {
        trained
            .pictures
            .iter()
            .filter(move |seen| seen.is_known == known)
    };
    assert_eq!(seen(true).count(), 30);
    assert!(seen(false).all(|seen| trained.run.classes[seen.label] == "zebra"));
    let right = seen(true).filter(|seen| seen.label == seen.answer).count();
    assert_eq!(estimate.accuracy.value, right as f64 / 30.0);
    let report = fs::read_to_string(place.output().join("report.html")).unwrap();
    assert!(report.contains("Nothing is known of zebra"));
    assert!(
        !trained
            .suspects
            .iter()
            .any(|picture| !trained.pictures[*picture].is_known)
    );
}

#[test]
fn a_class_that_would_be_held_out_as_a_whole_is_named() {
    let place = Place::new(12);
    let is_held = |bytes: &[u8]| held_out(&[*blake3::hash(bytes).as_bytes()], &[0], 0.5)[0];
    let pictures = (0..90).map(|number| picture(1, 300 + number).to_png().unwrap());
    for (number, bytes) in pictures.filter(|bytes| is_held(bytes)).take(3).enumerate() {
        place.add("teal", &format!("{number}.png"), &bytes);
    }
    let half = |config: &mut Config| config.holdout = 0.5;
    let error = place.train().configure(half).run(&mut ()).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("all of teal held out") && message.contains("photos"),
        "{message}"
    );
    assert!(!place.output().exists());
    place.train().run(&mut ()).unwrap();
}

#[test]
fn a_table_of_paths_and_labels_will_do() {
    let place = Place::new(8);
    let mut table = "label,path\n".to_string();
    for class in CLASSES {
        for number in 0..8 {
            table += &format!("{class},photos/{class}/{number}.png\n");
        }
    }
    let csv = place.path("table.csv");
    fs::write(&csv, table).unwrap();
    let trained = place
        .train()
        .configure(|config| config.photos = csv)
        .run(&mut ())
        .unwrap();
    assert_eq!(trained.folder, place.path("table.csv.regraft"));
    assert_eq!(trained.run.pictures.per_class, [8; 3]);
}

#[test]
fn classifiers_of_other_versions_and_changed_ones_are_refused() {
    let place = Place::new(6);
    place.run().unwrap();
    let run = place.output().join("run.toml");
    let text = fs::read_to_string(&run).unwrap();
    fs::write(&run, text.replace("format = 1", "format = 2")).unwrap();
    let message = Classifier::open(place.output()).unwrap_err().to_string();
    assert!(
        message.contains("format 2") && message.contains("run.toml"),
        "{message}"
    );
    fs::write(&run, "anything").unwrap();
    assert!(matches!(
        Classifier::open(place.output()),
        Err(Error::Classifier(_))
    ));
    fs::write(&run, &text).unwrap();
    assert_eq!(RunFile::read(&run).unwrap().classes, CLASSES);
    Classifier::open(&run).unwrap();
    network(5).save(place.output().join("model.keras")).unwrap();
    let message = Classifier::open(place.output()).unwrap_err().to_string();
    assert!(message.contains("model.keras"), "{message}");
    assert!(
        Classifier::open(place.photos())
            .unwrap_err()
            .to_string()
            .contains("run.toml")
    );
}

#[test]
fn a_classifier_is_evaluated_on_folders_of_its_classes() {
    let place = Place::new(16);
    place.run().unwrap();
    let classifier = Classifier::open(place.output()).unwrap();
    let test = Place::new(0);
    for number in 0..24 {
        test.add(
            CLASSES[number % 3],
            &format!("{number}.png"),
            &picture(number % 3, 900 + number).to_png().unwrap(),
        );
    }
    test.add("red", "broken.png", b"no picture");
    let found = classifier.evaluate(test.photos(), &mut ()).unwrap();
    assert!(found.accuracy.value > 0.8, "{:?}", found.accuracy);
    assert_eq!(found.unreadable.len(), 1);
    assert_eq!(found.confusion.iter().flatten().sum::<usize>(), 24);
    let right: usize = (0..3).map(|class| found.confusion[class][class]).sum();
    assert_eq!(right as f64 / 24.0, found.accuracy.value);
    // An answer "unknown" is no mistake of the accuracy, which is what the estimate is of.
    let best = |answer: &Answer| {
        let probabilities = answer.probabilities.as_ref().unwrap();
        let largest = probabilities.iter().copied().fold(0.0, f64::max);
        probabilities.iter().position(|it| *it == largest).unwrap()
    };
    let of_best = found
        .answers
        .iter()
        .filter(|(_, label, answer)| best(answer) == *label);
    assert_eq!(of_best.count(), right);
    let answered: Vec<bool> = found
        .answers
        .iter()
        .filter_map(|(_, label, answer)| Some(answer.class? == *label))
        .collect();
    assert_eq!(found.unknown, 24 - answered.len());
    let share = answered.iter().filter(|right| **right).count() as f64 / answered.len() as f64;
    assert_eq!(found.answered.unwrap().value, share);
    // Some classes, in another order of folders, will do; strangers will not.
    fs::remove_dir_all(test.photos().join("blue")).unwrap();
    assert!(
        classifier
            .evaluate(test.photos(), &mut ())
            .unwrap()
            .accuracy
            .value
            > 0.8
    );
    test.add("zebra", "a.png", &picture(0, 1).to_png().unwrap());
    assert!(
        classifier
            .evaluate(test.photos(), &mut ())
            .unwrap_err()
            .to_string()
            .contains("zebra")
    );
}

#[test]
fn preprocessing_is_in_the_file_and_files_that_do_not_tell_it_are_asked_for() {
    let place = Place::new(6);
    let unknown = place
        .train()
        .configure(|config| config.preprocessing = None)
        .run(&mut ())
        .unwrap_err();
    assert!(unknown.to_string().contains("--preprocessing"), "{unknown}");
    // One that scales pixels itself needs nothing, and is the same network.
    let mut layers = layers![Input::new([24, 24, 3]), Rescaling::new(1.0 / 255.0)];
    layers.extend(layers![
        Conv2D::new(16, 3)
            .strides(2)
            .activation("relu")
            .named("first"),
        GlobalAveragePooling2D::new(),
        Dense::new(4),
    ]);
    Sequential::with_seed(layers, 1)
        .unwrap()
        .save(place.path("scaling.keras"))
        .unwrap();
    let scaling = place.path("scaling.keras").display().to_string();
    let none = |config: &mut Config| config.preprocessing = Some("none".into());
    place
        .train()
        .backbone(scaling)
        .configure(none)
        .run(&mut ())
        .unwrap();
}

#[test]
fn the_top_of_the_network_is_kept_only_if_it_is_better() {
    let place = Place::new(30);
    let trained = place
        .train()
        .configure(|config| config.improve_epochs = 2)
        .run(&mut ())
        .unwrap();
    assert_eq!(trained.run.config.holdout, 0.2);
    assert_eq!(trained.run.config.improve_epochs, 2);
    let held_out = trained.run.estimate.held_out.unwrap();
    match &trained.improved {
        Some(_) => assert_eq!(trained.run.estimate.accuracy, held_out),
        None => assert_ne!(trained.run.estimate.how, "pictures that were held out"),
    }
    let first = place.left();
    let run = place.output().join("run.toml");
    Train::again(run)
        .unwrap()
        .output(place.path("again"))
        .cache(place.path("cache"))
        .run(&mut ())
        .unwrap();
    assert_eq!(left(&place.path("again")), first);
}

#[test]
fn what_it_would_take_is_told_and_networks_are_ranked() {
    let place = Place::new(10);
    let forecast = forecast(&place.config()).unwrap();
    assert_eq!(forecast.files, 30);
    assert_eq!(forecast.features, 16);
    assert!(forecast.seconds > 0.0 && forecast.memory > 0);
    assert!(!place.path("cache").exists());
    // One that sees nothing of the picture is worse.
    let mut blind = network(3);
    let layers: Vec<String> = blind
        .weights()
        .iter()
        .map(|weight| weight.path().to_string())
        .collect();
    for path in layers {
        let value = blind.weight(&path).unwrap().value().clone();
        blind
            .set_weight(&path, Tensor::full(value.shape(), 1e-3))
            .unwrap();
    }
    blind.save(place.path("blind.keras")).unwrap();
    let names = ["blind.keras", "network.keras"].map(|name| place.path(name).display().to_string());
    let found = pick(&place.config(), &names, Some(&place.path("cache")), &mut ()).unwrap();
    assert_eq!(found[0].backbone, names[1]);
    assert!(found[0].is_on_front && found[0].log_loss < found[1].log_loss);
}

/// What was said when the files had been looked at.
struct Scanned(String);

impl Observer for Scanned {
    fn end(&mut self, stage: Stage, told: &str) {
        if stage == Stage::Scan {
            self.0 = told.to_string();
        }
    }
}

#[cfg(unix)]
#[test]
fn files_that_have_not_changed_are_not_read_again() {
    let place = Place::new(8);
    let scan = |train: Train| {
        let mut scanned = Scanned(String::new());
        let trained = train.replace(true).run(&mut scanned).unwrap();
        let read = scanned.0.split(", ").nth(1).unwrap().to_string();
        (read, trained.decoded)
    };
    // What was written only just now may change once more within the same tick of the clock.
    let settle = || std::thread::sleep(std::time::Duration::from_millis(3200));
    settle();
    assert_eq!(scan(place.train()), ("24 of them read".to_string(), 24));
    let first = place.left();
    assert_eq!(scan(place.train()), ("0 of them read".to_string(), 0));
    assert_eq!(place.left(), first);
    // A run that is repeated believes the bytes alone.
    let again = Train::again(place.output().join("run.toml")).unwrap();
    let again = again.cache(place.path("cache"));
    assert_eq!(scan(again.output(place.output())).0, "24 of them read");
    // Other bytes, as many, in the same file with the same time.
    let path = place.photos().join("red/3.png");
    let (time, mut bytes) = (
        fs::metadata(&path).unwrap().modified().unwrap(),
        fs::read(&path).unwrap(),
    );
    *bytes.last_mut().unwrap() ^= 1;
    let file = fs::File::options().write(true).open(&path).unwrap();
    std::io::Write::write_all(&mut &file, &bytes).unwrap();
    file.set_modified(time).unwrap();
    settle();
    assert_eq!(scan(place.train()).0, "1 of them read");
}

#[test]
fn what_a_run_takes_is_predicted_and_stands_beside_what_it_took() {
    let place = Place::new(30);
    for _ in 0..2 {
        let spent = place.run().unwrap().spent;
        let stages: Vec<Stage> = spent.stages.iter().map(|(stage, _)| *stage).collect();
        let all = [
            Stage::Scan,
            Stage::Features,
            Stage::Check,
            Stage::Solve,
            Stage::Write,
        ];
        assert_eq!(stages, all);
        assert!(all.iter().all(|stage| spent.predicted(*stage).is_some()));
        let (predicted, total) = (spent.predicted_total().unwrap(), spent.total());
        assert!(predicted.as_secs_f64() < 10.0 + 20.0 * total.as_secs_f64());
        if let Some(peak) = regraft_pictures::peak_memory() {
            let memory = spent.predicted_memory.unwrap();
            // The peak is that of all tests of the process.
            assert!(
                memory > 1 << 20 && memory < peak + (1 << 28),
                "{memory} {peak}"
            );
        }
        let report = fs::read_to_string(place.output().join("report.html")).unwrap();
        let from = report.find("<table class=\"costs\">").unwrap();
        let costs = &report[from..][..report[from..].find("</table>").unwrap()];
        assert!(
            costs.contains("predicted") && !costs.contains('–'),
            "{costs}"
        );
        assert_eq!(costs.matches("<tr>").count(), 8, "{costs}");
    }
}

/// The rows of a file of features, by the name of the picture.
fn features_of(classifier: &Classifier, pictures: &[PathBuf], file: &Path) -> Vec<Vec<f32>> {
    classifier.write_features(pictures, file, &mut ()).unwrap();
    let bytes = fs::read(file).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let width = header["features"]["shape"][1].as_u64().unwrap() as usize;
    let values = bytes[8 + length..].chunks(4);
    let values: Vec<f32> = values
        .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
        .collect();
    values.chunks(width).map(<[f32]>::to_vec).collect()
}

/// (Σ [x 1]ᵀ[x 1] + λ)⁻¹ beside the weights that it gives, λ for features only, by elimination.
fn solved_anew(rows: &[Vec<f32>], labels: &[usize], classes: usize, lambda: f64) -> Vec<Vec<f64>> {
    let size = rows[0].len() + 1;
    let mut system = vec![vec![0.0; 2 * size + classes]; size];
    for (row, label) in rows.iter().zip(labels) {
        let row: Vec<f64> = row.iter().map(|x| f64::from(*x)).chain([1.0]).collect();
        for a in 0..size {
            (0..size).for_each(|b| system[a][b] += row[a] * row[b]);
            system[a][2 * size + label] += row[a];
        }
    }
    for a in 0..size {
        system[a][a] += if a + 1 < size { lambda } else { 0.0 };
        system[a][size + a] = 1.0;
    }
    for a in 0..size {
        let largest = |i: &usize, j: &usize| system[*i][a].abs().total_cmp(&system[*j][a].abs());
        let pivot = (a..size).max_by(largest).unwrap();
        system.swap(a, pivot);
        let divisor = system[a][a];
        system[a].iter_mut().for_each(|x| *x /= divisor);
        let row = system[a].clone();
        for (_, other) in system.iter_mut().enumerate().filter(|(i, _)| *i != a) {
            let factor = other[a];
            other
                .iter_mut()
                .zip(&row)
                .for_each(|(x, y)| *x -= factor * y);
        }
    }
    system.into_iter().map(|row| row[size..].to_vec()).collect()
}

#[test]
fn what_answers_teach_is_what_solving_anew_with_them_gives() {
    let place = Place::new(14);
    place.run().unwrap();
    let mut paths = Vec::new();
    for number in 0..9 {
        // Every third is of a kind that is between the classes.
        let mut pixels = picture(number % 3, 600 + number).into_pixels();
        if number % 3 == 0 {
            pixels.iter_mut().step_by(3).for_each(|level| *level = 90);
        }
        let bytes = Picture::new(40 + (600 + number) % 7, 36, pixels)
            .unwrap()
            .to_png()
            .unwrap();
        fs::create_dir_all(place.path("new")).unwrap();
        fs::write(place.path(&format!("new/{number}.png")), bytes).unwrap();
        paths.push(place.path(&format!("new/{number}.png")));
    }
    let classifier = Classifier::open(place.output()).unwrap();
    let cache = place.path("cache");
    let mut labelling =
        Labelling::open(place.output(), place.path("new"), Some(&cache), &mut ()).unwrap();

    let images = Images::folder(place.photos()).unwrap();
    let known = images.paths().to_vec();
    let mut rows = features_of(&classifier, &known, &place.path("known.safetensors"));
    let mut labels: Vec<usize> = images
        .labels()
        .iter()
        .map(|label| *label as usize)
        .collect();
    let new = features_of(&classifier, &paths, &place.path("new.safetensors"));
    let all = Tensor::new([42, rows[0].len()], rows.concat()).unwrap();
    let scan = images.scan(0, |_| ControlFlow::Continue(())).unwrap();
    let groups = regraft_images::groups(&scan.inspections, None);
    let ridge = regraft_heads::Ridge::new().groups(groups);
    let solved = ridge.fit(&all, images.labels()).unwrap();
    let (lambda, temperature) = (solved.choice().value, solved.left_out().temperature());

    let mut left: Vec<usize> = (0..9).collect();
    for answered in 0..5 {
        let anew = solved_anew(&rows, &labels, 3, lambda);
        let size = anew.len();
        // What each picture would teach first, by the formulas.
        let told = |picture: usize| {
            let x: Vec<f64> = new[picture]
                .iter()
                .map(|x| f64::from(*x))
                .chain([1.0])
                .collect();
            let column = |k: usize| x.iter().zip(&anew).map(|(x, row)| x * row[k]).sum::<f64>();
            let powers: Vec<f64> = (0..3)
                .map(|k| (column(size + k) / temperature).exp())
                .collect();
            let all: f64 = powers.iter().sum();
            let mut sorted: Vec<f64> = powers.iter().map(|power| power / all).collect();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let h: f64 = (0..size).map(|k| x[k] * column(k)).sum();
            (sorted[0], (1.0 - sorted[0] + sorted[1]) * h / (1.0 + h))
        };
        let questions = labelling.questions(9).unwrap();
        assert_eq!(questions.len(), left.len());
        for question in &questions {
            let number = paths
                .iter()
                .position(|path| *path == question.path)
                .unwrap();
            let (confidence, _) = told(number);
            let distance = (question.confidence - confidence).abs();
            assert!(
                distance < 1e-6,
                "{answered}: {} {confidence}",
                question.confidence
            );
        }
        let first = paths
            .iter()
            .position(|path| *path == questions[0].path)
            .unwrap();
        let (_, worth) = told(first);
        assert!(
            (questions[0].worth - worth).abs() < 1e-6 * worth,
            "{answered}"
        );
        assert!(
            left.iter()
                .all(|other| told(*other).1 <= worth * (1.0 + 1e-9))
        );

        let class = (first + 1) % 3;
        labelling.answer(questions[0].picture, class).unwrap();
        assert!(labelling.answer(questions[0].picture, class).is_err());
        rows.push(new[first].clone());
        labels.push(class);
        left.retain(|other| *other != first);
    }
    assert_eq!(labelling.answers().len(), 5);
    assert!(labelling.answer(99, 0).is_err() && labelling.answer(left[0], 3).is_err());
}
