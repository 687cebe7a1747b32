//! The commands for pictures as a shell runs them: what they print and end with, and what is left when they are killed,
//! interrupted, or the disk is full.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use regraft::Sequential;
use regraft::extend::Value;
use regraft::layers::{Conv2D, Dense, GlobalAveragePooling2D, Input, Rescaling, layers};
use regraft_images::Picture;
use tempfile::TempDir;

const CLASSES: [&str; 2] = ["day", "night"];

/// A folder with pictures and a network.
struct Place(TempDir);

impl Place {
    fn new(per_class: usize) -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        for (class, name) in CLASSES.iter().enumerate() {
            fs::create_dir_all(place.path("photos").join(name)).unwrap();
            for number in 0..per_class {
                let path = place
                    .path("photos")
                    .join(name)
                    .join(format!("{number}.png"));
                fs::write(path, picture(class, number)).unwrap();
            }
        }
        let layers = layers![
            Input::new([32, 32, 3]),
            Rescaling::new(1.0 / 255.0),
            Conv2D::new(24, 3).activation("relu"),
            Conv2D::new(24, 3).activation("relu"),
            GlobalAveragePooling2D::new(),
            Dense::new(3),
        ];
        Sequential::with_seed(layers, 2)
            .unwrap()
            .save(place.path("network.keras"))
            .unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The command, run in the folder.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_regraft"));
        command
            .current_dir(self.0.path())
            .args(arguments)
            .env("REGRAFT_HOME", self.path("home"));
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        told(&self.command(arguments).output().unwrap())
    }

    /// What training has left, without the report, which tells times.
    fn left(&self) -> BTreeMap<String, Vec<u8>> {
        let mut left = BTreeMap::new();
        for entry in fs::read_dir(self.path("photos.regraft")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_string();
            if name != "report.html" {
                left.insert(name, fs::read(path).unwrap());
            }
        }
        left
    }

    /// Names in the folder, those that begin with a point included.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

const TRAIN: [&str; 6] = [
    "train",
    "photos",
    "--backbone",
    "network.keras",
    "--preprocessing",
    "none",
];

fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Light or dark noise as a PNG file.
fn picture(class: usize, number: usize) -> Vec<u8> {
    let mut state = (number as u64 + 1) * 0x9E37_79B9 + class as u64;
    let mut noise = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 57) as u8
    };
    let pixels =
        (0..48 * 40 * 3).map(|_| noise() / (1 + class as u8) + if class == 0 { 60 } else { 20 });
    Picture::new(48, 40, pixels.collect())
        .unwrap()
        .to_png()
        .unwrap()
}

#[test]
fn a_classifier_in_two_commands() {
    let place = Place::new(20);
    let (code, text, stages) = place.run(&TRAIN);
    assert_eq!(code, 0, "{stages}");
    assert!(
        text.contains("accuracy") && text.contains("photos.regraft/report.html"),
        "{text}"
    );
    for stage in ["scan:", "features:", "check:", "solve:", "write:"] {
        assert!(stages.contains(stage), "{stage} {stages}");
    }
    // Not twice, unless told; quietly, and as JSON.
    let (code, _, message) = place.run(&TRAIN);
    assert_eq!(code, 1);
    assert!(message.contains("--force"), "{message}");
    let (code, json, stages) = place.run(&[&TRAIN[..], &["--force", "--json", "--quiet"]].concat());
    assert_eq!((code, stages.as_str()), (0, ""));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["decoded"], 0);
    assert_eq!(json["pictures"].as_array().unwrap().len(), 40);

    fs::write(place.path("new.png"), picture(1, 900)).unwrap();
    fs::write(place.path("text.png"), "no picture").unwrap();
    let (code, table, _) = place.run(&["predict", "photos.regraft", "new.png", "--quiet"]);
    assert_eq!(code, 0);
    assert!(table.contains("night"), "{table}");
    let (code, csv, _) = place.run(&[
        "predict",
        "photos.regraft",
        "new.png",
        "text.png",
        "--csv",
        "--quiet",
    ]);
    assert_eq!(code, 3);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "path,class,day,night");
    assert!(
        lines[1].starts_with("new.png,night,0.") && lines[2] == "text.png,unreadable,,",
        "{csv}"
    );
    let (code, json, _) = place.run(&["evaluate", "photos.regraft", "photos", "--json", "--quiet"]);
    assert_eq!(code, 0);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json["accuracy"]["value"].as_f64().unwrap() > 0.9);
    let (code, again, _) = place.run(&[
        "train",
        "--from",
        "photos.regraft/run.toml",
        "--output",
        "again.regraft",
    ]);
    assert_eq!(code, 0, "{again}");
    for (name, bytes) in place.left() {
        assert_eq!(
            fs::read(place.path("again.regraft").join(&name)).unwrap(),
            bytes,
            "{name}"
        );
    }
    let (code, text, _) = place.run(&[
        "plan",
        "photos",
        "--backbone",
        "network.keras",
        "--preprocessing",
        "none",
    ]);
    assert_eq!(code, 0);
    assert!(text.contains("40 files"), "{text}");
    let (code, text, _) =
        place.run(&["pick", "photos", "network.keras", "--preprocessing", "none"]);
    assert_eq!(code, 0);
    assert!(text.contains("network.keras"), "{text}");
}

#[test]
fn check_names_what_is_wrong_and_says_so_with_its_exit_code() {
    let place = Place::new(30);
    let (code, _, _) = place.run(&["check", "photos"]);
    // The brightness tells day from night.
    assert_eq!(code, 3);
    fs::write(place.path("photos/day/copy.png"), picture(1, 4)).unwrap();
    fs::write(place.path("photos/day/text.jpg"), "text").unwrap();
    let (code, text, _) = place.run(&["check", "photos", "--every-picture"]);
    assert_eq!(code, 3);
    assert!(
        text.contains("day/text.jpg") && text.contains("day/copy.png = night/4.png"),
        "{text}"
    );
    let (_, json, _) = place.run(&["check", "photos", "--json", "--quiet"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["unreadable"][0]["path"], "day/text.jpg");
}

#[test]
fn killed_at_any_moment_the_same_command_gives_the_same_bytes() {
    let place = Place::new(60);
    assert_eq!(place.run(&TRAIN).0, 0);
    let undisturbed = place.left();
    let before = ["home", "network.keras", "photos", "photos.regraft"];
    for milliseconds in [1, 5, 15, 30, 60, 100, 150, 220, 300, 400, 600] {
        fs::remove_dir_all(place.path("photos.regraft")).unwrap();
        fs::remove_dir_all(place.path("home")).unwrap();
        // Twice, so that it also goes on from what a killed one has left.
        for _ in 0..2 {
            let mut command = place.command(&TRAIN);
            let mut child = command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            sleep(Duration::from_millis(milliseconds));
            child.kill().unwrap();
            child.wait().unwrap();
            if place.path("photos.regraft").exists() {
                assert_eq!(place.left(), undisturbed, "after {milliseconds} ms");
            }
        }
        let (code, _, message) = place.run(&[&TRAIN[..], &["--force"]].concat());
        assert_eq!(code, 0, "{message}");
        assert_eq!(place.left(), undisturbed, "after {milliseconds} ms");
        assert_eq!(place.names(), before, "after {milliseconds} ms");
    }
}

#[test]
#[cfg(unix)]
fn interrupted_it_ends_with_130_and_leaves_nothing() {
    let place = Place::new(150);
    let mut command = place.command(&TRAIN);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    sleep(Duration::from_millis(150));
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let (code, _, message) = told(&child.wait_with_output().unwrap());
    // On a fast machine it may have been done.
    if code != 0 {
        assert_eq!(code, 130, "{message}");
        assert!(!place.path("photos.regraft").exists());
        assert!(
            !place.names().iter().any(|name| name.starts_with('.')),
            "{:?}",
            place.names()
        );
    }
}

/// Runs the command where no file may become larger than so many kilobytes, which fails as a full disk does.
#[cfg(unix)]
fn with_little_room(place: &Place, kilobytes: usize, arguments: &[&str]) -> (i32, String, String) {
    let limited = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$@\"");
    let mut command = Command::new("bash");
    command
        .args(["-c", &limited, "bash", env!("CARGO_BIN_EXE_regraft")])
        .args(arguments);
    told(
        &command
            .current_dir(place.0.path())
            .env("REGRAFT_HOME", place.path("home"))
            .output()
            .unwrap(),
    )
}

#[test]
#[cfg(unix)]
fn without_room_it_says_so_and_loses_nothing() {
    let place = Place::new(40);
    assert_eq!(place.run(&TRAIN).0, 0);
    let whole = place.left();
    let force = [&TRAIN[..], &["--force"]].concat();
    for kilobytes in [0, 1, 8, 20, 40] {
        for fresh in [false, true] {
            if fresh {
                let _ = fs::remove_dir_all(place.path("home"));
            }
            let (code, _, message) = with_little_room(&place, kilobytes, &force);
            if code == 0 {
                assert_eq!(place.left(), whole);
                continue;
            }
            assert_eq!(code, 1, "{kilobytes}: {message}");
            assert!(
                message.contains("File too large") || message.contains("where"),
                "{kilobytes}: {message}"
            );
            assert_eq!(place.left(), whole, "{kilobytes}");
            assert_eq!(
                place.names(),
                ["home", "network.keras", "photos", "photos.regraft"],
                "{kilobytes}"
            );
        }
    }
    assert_eq!(place.run(&force).0, 0);
    assert_eq!(place.left(), whole);
}

#[test]
fn arguments_that_make_no_sense_end_with_2() {
    let place = Place::new(2);
    for arguments in [
        &["train"][..],
        &["train", "photos", "--from", "run.toml"],
        &["train", "photos", "--head", "magic"],
        &["predict", "photos.regraft"],
        &["train", "photos", "--improve", "-1"],
    ] {
        assert_eq!(place.run(arguments).0, 2, "{arguments:?}");
    }
    let (code, _, message) = place.run(&[
        "train",
        "photos",
        "--backbone",
        "network.keras",
        "--holdout",
        "3",
    ]);
    assert_eq!(code, 1);
    assert!(message.contains("holdout"), "{message}");
}

/// Gives the command lines on its standard input.
fn with_input(mut command: Command, input: &str) -> (i32, String, String) {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    told(&child.wait_with_output().unwrap())
}

/// A line of each.
fn lines(words: &[&str]) -> String {
    words.iter().map(|word| format!("{word}\n")).collect()
}

#[test]
fn answers_are_kept_one_by_one_and_the_same_command_goes_on() {
    let place = Place::new(16);
    assert_eq!(place.run(&TRAIN).0, 0);
    fs::create_dir_all(place.path("new/deeper")).unwrap();
    for number in 0..8 {
        let path = format!("new/{}{number}, \"x\".png", ["", "deeper/"][number % 2]);
        fs::write(place.path(&path), picture(number % 2, 400 + number)).unwrap();
    }
    fs::write(place.path("new/text.png"), "no picture").unwrap();
    let ranked = |more: &[&str]| {
        let arguments = [
            &["label", "photos.regraft", "new", "--json", "--quiet"],
            more,
        ]
        .concat();
        let (code, json, message) = place.run(&arguments);
        assert_eq!(code, 0, "{message}");
        serde_json::from_str::<Value>(&json)
            .unwrap()
            .as_array()
            .unwrap()
            .clone()
    };
    assert_eq!(ranked(&[]).len(), 8);
    assert_eq!(ranked(&["--count", "3"])[..], ranked(&[])[..3]);
    let ask =
        |file: &str| place.command(&["label", "photos.regraft", "new", "--ask", "--answers", file]);
    let asked = |message: &str| -> Vec<String> {
        let lines = message.lines().filter(|line| line.contains("? (0."));
        lines
            .map(|line| line.split("  ").next().unwrap().to_string())
            .collect()
    };
    let answers = ["day", "night", "day", "day", "night", "night", "day", "day"];
    let (code, table, message) = with_input(ask("whole.csv"), &lines(&answers));
    assert_eq!(code, 0, "{message}");
    let order = asked(&message);
    assert_eq!(order.len(), 8, "{message}");
    assert!(message.contains("new/text.png"), "{message}");
    let whole = fs::read_to_string(place.path("whole.csv")).unwrap();
    assert_eq!(whole.lines().count(), 9, "{whole}");
    assert_eq!(table.lines().count(), 9, "{table}");
    // The first that is asked teaches most, and an answer changes what comes.
    assert_eq!(ranked(&[])[0]["path"], order[0].as_str());

    // Stopped by whoever has had enough, by a wrong word, and by a signal: what was answered stands in the file.
    with_input(ask("parts.csv"), &lines(&answers[..2]));
    let (code, _, message) = with_input(ask("parts.csv"), "day\ndusk\n");
    assert_eq!(code, 2);
    assert!(
        message.contains("dusk") && message.contains("2 answers of parts.csv"),
        "{message}"
    );
    assert_eq!(asked(&message)[..2], order[2..4]);
    let mut child = ask("parts.csv")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"day\n").unwrap();
    let so_far = |lines: usize| {
        whole
            .lines()
            .take(lines)
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    let begun = std::time::Instant::now();
    while fs::read_to_string(place.path("parts.csv")).unwrap() != so_far(5) {
        assert!(begun.elapsed().as_secs() < 60, "it does not come");
        sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(
        ranked(&["--answers", "parts.csv"])[0]["path"],
        order[4].as_str()
    );
    let (code, again, message) = with_input(ask("parts.csv"), &lines(&answers[4..]));
    assert_eq!(code, 0, "{message}");
    assert_eq!(asked(&message), order[4..]);
    assert_eq!((again, so_far(9)), (table, whole.clone()));
    assert_eq!(fs::read_to_string(place.path("parts.csv")).unwrap(), whole);

    // A file elsewhere has paths that hold there, too; a table of another kind is left alone.
    fs::create_dir(place.path("elsewhere")).unwrap();
    with_input(ask("elsewhere/a.csv"), "day\n");
    assert_eq!(ranked(&["--answers", "elsewhere/a.csv"]).len(), 7);
    fs::write(place.path("other.csv"), "label,path\n").unwrap();
    let (code, _, message) = with_input(ask("other.csv"), "day\n");
    assert_eq!(code, 2);
    assert!(
        message.contains("other.csv") && message.contains("path,label"),
        "{message}"
    );
    assert_eq!(
        fs::read_to_string(place.path("other.csv")).unwrap(),
        "label,path\n"
    );
    // What was answered trains.
    let (code, _, message) = place.run(&["check", "whole.csv"]);
    assert!(code == 0 || code == 3, "{message}");
}

#[test]
fn of_a_class_with_one_picture_it_says_that_nothing_is_known() {
    let place = Place::new(12);
    fs::create_dir(place.path("photos/dusk")).unwrap();
    fs::write(place.path("photos/dusk/a.png"), picture(0, 700)).unwrap();
    let (code, text, message) = place.run(&TRAIN);
    assert_eq!(code, 0, "{message}");
    assert!(text.contains("nothing is known of dusk"), "{text}");
    let (_, json, _) = place.run(&[&TRAIN[..], &["--force", "--json", "--quiet"]].concat());
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        json["estimate"]["unknown_classes"],
        serde_json::json!(["dusk"])
    );
    let pictures = json["pictures"].as_array().unwrap();
    for picture in pictures {
        assert_eq!(
            picture["answer"].is_null(),
            picture["label"] == "dusk",
            "{picture}"
        );
    }
    let right = pictures
        .iter()
        .filter(|one| one["answer"] == one["label"])
        .count();
    assert_eq!(json["estimate"]["accuracy"]["value"], right as f64 / 24.0);
    let (_, csv, _) = place.run(&[&TRAIN[..], &["--force", "--csv", "--quiet"]].concat());
    assert!(csv.contains("dusk/a.png,dusk,,,,false"), "{csv}");
}
