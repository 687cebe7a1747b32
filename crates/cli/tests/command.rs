//! The binary as it is run: what it prints where, and what it exits with.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use regraft::extend::Value;
use regraft::prelude::*;

/// `regraft` with these arguments, in `folder`.
fn regraft(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regraft"));
    command
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::null());
    for name in ["NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR"] {
        command.env_remove(name);
    }
    // Nothing of this machine's, and no network.
    command
        .env("REGRAFT_HOME", "home")
        .env("KERAS_HOME", "keras");
    command.env("REGRAFT_WEIGHTS_URL", "http://127.0.0.1:9");
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    regraft(folder, arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What it prints when all goes well.
#[track_caller]
fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{arguments:?}: {}",
        stderr(&output)
    );
    stdout(&output)
}

#[track_caller]
fn json(folder: &Path, arguments: &[&str]) -> Value {
    let text = done(folder, arguments);
    // All of it is one document.
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What it says when it cannot be done: nothing where the answer would be.
#[track_caller]
fn failed(folder: &Path, arguments: &[&str], code: i32) -> String {
    let output = run(folder, arguments);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {}",
        stderr(&output)
    );
    assert_eq!(stdout(&output), "");
    let text = stderr(&output);
    assert!(!text.contains("panicked"), "{text}");
    text
}

fn stack(units: usize) -> Model {
    let mut model = Sequential::with_seed(
        layers![
            Input::new([4]),
            Dense::new(units).activation("relu"),
            Dense::new(2)
        ],
        1,
    )
    .unwrap();
    model.freeze("dense").unwrap();
    model
}

/// A folder with `model.keras`, whose first layer is frozen.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    stack(3).save(folder.path().join("model.keras")).unwrap();
    let path = folder.path().to_path_buf();
    (folder, path)
}

#[test]
fn inspect_tells_layers_tensors_and_what_is_frozen() {
    let (_kept, folder) = folder();
    let text = done(&folder, &["inspect", "model.keras"]);
    assert!(text.starts_with("model.keras: Keras .keras"), "{text}");
    assert!(text.contains("dense (Dense)"), "{text}");
    assert!(
        text.contains("4 tensors, 23 numbers: 8 trained, 15 frozen, 0 state"),
        "{text}"
    );
    let value = json(&folder, &["inspect", "model.keras", "--json"]);
    assert_eq!(value["tensors"][0]["shape"], serde_json::json!([4, 3]));
    assert_eq!(value["tensors"][0]["role"], "frozen");
    assert_eq!(value["elements"], 23);
    let csv = done(&folder, &["--csv", "inspect", "model.keras"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 5);
    assert!(
        lines[1].starts_with("dense,Dense,kernel,float32,4×3,frozen,"),
        "{csv}"
    );
}

#[test]
fn convert_writes_what_the_ending_asks_for_and_replaces_nothing_unasked() {
    let (_kept, folder) = folder();
    done(&folder, &["convert", "model.keras", "model.h5"]);
    done(&folder, &["convert", "model.h5", "weights.safetensors"]);
    let (model, _) = Model::open(folder.join("model.h5")).unwrap();
    let expected = stack(3);
    for (ours, theirs) in model.weights().iter().zip(expected.weights().iter()) {
        assert_eq!(ours.value(), theirs.value());
    }
    let before = fs::read(folder.join("model.h5")).unwrap();
    let text = failed(&folder, &["convert", "model.keras", "model.h5"], 1);
    assert!(text.contains("--force"), "{text}");
    assert_eq!(fs::read(folder.join("model.h5")).unwrap(), before);
    stack(5).save(folder.join("model.keras")).unwrap();
    let value = json(
        &folder,
        &["convert", "model.keras", "model.h5", "--force", "--json"],
    );
    assert_eq!(value["to_format"], "legacy Keras .h5 model");
    assert_ne!(fs::read(folder.join("model.h5")).unwrap(), before);
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["model.h5", "model.keras", "weights.safetensors"]);
}

#[test]
fn summary_and_plan_tell_what_the_library_tells() {
    let (_kept, folder) = folder();
    let (mut model, _) = Model::open(folder.join("model.keras")).unwrap();
    let summary = model.summary().to_string();
    assert_eq!(
        done(&folder, &["summary", "model.keras"]).trim_end(),
        summary.trim_end()
    );
    let value = json(&folder, &["summary", "model.keras", "--json"]);
    assert_eq!(value["parameters"]["frozen"], 15);
    assert_eq!(value["layers"][0]["output_shape"], "(None, 3)");

    model.compile("adam", "mse", ()).unwrap();
    let plan = model.plan(50, 10).unwrap().to_string();
    let arguments = ["plan", "model.keras", "--samples", "50", "--batch-size=10"];
    let output = run(&folder, &arguments);
    assert_eq!(stdout(&output).trim_end(), plan);
    assert!(
        stderr(&output).contains("not compiled"),
        "{}",
        stderr(&output)
    );
    let quiet = run(&folder, &[&arguments[..], &["--quiet"]].concat());
    assert_eq!(stderr(&quiet), "");
    let value = json(
        &folder,
        &["plan", "model.keras", "--unfreeze", "..", "--json"],
    );
    assert_eq!(value["features_per_sample"], 0);
    let value = json(&folder, &["plan", "model.keras", "--json"]);
    assert_eq!(value["features_per_sample"], 3);
}

#[test]
fn graph_prints_and_draws() {
    let (_kept, folder) = folder();
    let text = done(&folder, &["graph", "model.keras"]);
    assert!(
        text.contains("constant dense/kernel") && text.contains("variable dense_1/kernel"),
        "{text}"
    );
    done(
        &folder,
        &[
            "graph",
            "model.keras",
            "--svg",
            "graph.svg",
            "--dot",
            "graph.dot",
        ],
    );
    assert!(
        fs::read_to_string(folder.join("graph.svg"))
            .unwrap()
            .starts_with("<svg")
    );
    assert!(
        fs::read_to_string(folder.join("graph.dot"))
            .unwrap()
            .starts_with("digraph")
    );
    failed(&folder, &["graph", "model.keras", "--svg", "graph.svg"], 1);
    let whole = json(&folder, &["graph", "model.keras", "--json"]);
    let optimized = json(&folder, &["graph", "model.keras", "--json", "--optimized"]);
    let count = |value: &Value| value["nodes"].as_array().unwrap().len();
    assert!(count(&optimized) < count(&whole));
}

#[test]
fn parity_exits_with_3_where_models_differ() {
    let (_kept, folder) = folder();
    done(&folder, &["convert", "model.keras", "model.h5"]);
    let text = done(&folder, &["parity", "model.keras", "model.h5"]);
    assert!(text.contains("all 2 layers agree"), "{text}");
    let mut other = stack(3);
    let bias = Tensor::new([2], vec![0.0, 0.5]).unwrap();
    other.set_weight("dense_1/bias", bias).unwrap();
    other.save(folder.join("other.keras")).unwrap();
    let output = run(&folder, &["parity", "model.keras", "other.keras", "--json"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let value: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(value["first_difference"], "dense_1");
    failed(&folder, &["parity", "model.keras"], 2);
}

#[test]
fn bad_input_is_told_with_its_place_and_no_panic() {
    let (_kept, folder) = folder();
    fs::write(folder.join("notes.txt"), "no weights here").unwrap();
    fs::write(folder.join("empty.keras"), "").unwrap();
    let whole = fs::read(folder.join("model.keras")).unwrap();
    fs::write(folder.join("cut.keras"), &whole[..whole.len() / 2]).unwrap();
    fs::create_dir(folder.join("folder")).unwrap();
    done(&folder, &["convert", "model.keras", "weights.safetensors"]);
    done(&folder, &["convert", "model.keras", "model.weights.h5"]);
    let files = [
        "none.keras",
        "notes.txt",
        "empty.keras",
        "cut.keras",
        "folder",
    ];
    for file in files {
        for command in [
            &["inspect", file][..],
            &["summary", file],
            &["graph", file],
            &["plan", file],
            &["parity", file, "model.keras"],
            &["parity", "model.keras", "--reference", file],
            &["convert", file, "new.keras"],
        ] {
            let text = failed(&folder, command, 1);
            assert!(text.starts_with("error: "), "{command:?}: {text}");
            assert!(text.contains(file), "{command:?}: {text}");
        }
    }
    let text = failed(&folder, &["summary", "model.weights.h5"], 1);
    assert!(
        text.contains("weights only") && text.contains("  help "),
        "{text}"
    );
    for to in ["none/new.keras", "folder", "new.txt"] {
        let text = failed(&folder, &["convert", "model.keras", to, "--force"], 1);
        assert!(text.contains(to), "{to}: {text}");
    }
    assert!(!folder.join("new.keras").exists());
    let text = failed(&folder, &["plan", "model.keras", "--freeze", "dens"], 1);
    assert!(text.contains("\"dense\""), "{text}");
    let text = failed(&folder, &["inspec", "model.keras"], 2);
    assert!(text.contains("inspect"), "{text}");
    let text = failed(
        &folder,
        &["convert", "model.keras", "new.keras", "--csv"],
        2,
    );
    assert!(
        text.contains("--json") && !folder.join("new.keras").exists(),
        "{text}"
    );
}

#[test]
fn an_error_is_json_where_json_was_asked_for() {
    let (_kept, folder) = folder();
    let text = failed(&folder, &["--json", "inspect", "none.keras"], 1);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["error"]["where"], "none.keras");
    assert_ne!(value["error"]["help"], "");
    fs::write(folder.join("regraft.toml"), "jsn = 1").unwrap();
    let text = failed(&folder, &["inspect", "model.keras", "--json"], 2);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert!(
        value["error"]["help"]
            .as_str()
            .unwrap()
            .contains("\"json\""),
        "{text}"
    );
}

/// Whatever the arguments are wrong by, and wherever JSON was asked for.
#[test]
fn arguments_that_make_no_sense_are_json_where_json_was_asked_for() {
    let (_guard, folder) = folder();
    for (arguments, at, within) in [
        (&["--json", "train"][..], "<PHOTOS>", "help"),
        (
            &["train", "photos", "--head", "rigde", "--json"],
            "--head <HEAD>",
            "expected",
        ),
        (
            &["train", "photos", "--json", "--hed", "ridge"],
            "--hed",
            "help",
        ),
        (&["--json", "trian", "photos"], "trian", "help"),
        (&["predict", "m", "--json"], "<FILES>...", "help"),
        (
            &["train", "--json", "--seed", "x", "photos"],
            "--seed <SEED>",
            "received",
        ),
        (
            &["train", "--json", "photos", "--seed", "1", "--seed", "2"],
            "--seed <SEED>",
            "help",
        ),
        (
            &["train", "photos", "--from", "x", "--json"],
            "[PHOTOS]",
            "received",
        ),
        (&["summary", "a", "b", "--json"], "b", "help"),
    ] {
        let text = failed(&folder, arguments, 2);
        let value: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let error = value["error"].as_object().unwrap();
        let mut keys: Vec<&str> = error.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            ["expected", "help", "message", "received", "where"],
            "{text}"
        );
        assert!(!error["message"].as_str().unwrap().is_empty(), "{text}");
        let place = error["where"].as_str().unwrap();
        assert!(place.contains(at), "{place:?} {at} {text}");
        assert!(
            !error[within].as_str().unwrap().is_empty(),
            "{within}: {text}"
        );
    }
    std::fs::write(folder.join("regraft.toml"), "json = true\n").unwrap();
    let text = failed(&folder, &["train", "--head", "magic", "photos"], 2);
    assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
    let text = failed(
        &folder,
        &["train", "--head", "magic", "photos", "--no-json"],
        2,
    );
    assert!(text.starts_with("error: invalid value 'magic'"), "{text}");
}

#[test]
fn names_in_a_file_give_the_terminal_no_orders() {
    let (_kept, folder) = folder();
    let (mut model, _) = Model::open(folder.join("model.keras")).unwrap();
    let names = ["cat\u{1b}]0;title\u{7}", "dog\u{9b}2J\nnote: all is well"];
    model.set_class_names(names);
    model.save(folder.join("model.keras")).unwrap();
    let is_plain = |text: &str| text.chars().all(|it| it == '\n' || !it.is_control());
    let text = done(&folder, &["inspect", "model.keras"]);
    assert!(
        is_plain(&text) && text.contains("cat\\u{1b}]0;title"),
        "{text:?}"
    );
    assert!(!text.contains("\nnote: all"), "{text:?}");
    let text = done(&folder, &["inspect", "model.keras", "--json"]);
    assert!(is_plain(&text), "{text:?}");
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["class_names"][1], names[1]);
    let text = failed(&folder, &["inspect", "none\u{1b}[31m.keras"], 1);
    assert!(
        is_plain(&text) && text.contains("none\\u{1b}[31m.keras"),
        "{text:?}"
    );
}

#[test]
fn whoever_stops_reading_ends_it_quietly() {
    let (_kept, folder) = folder();
    // More than a pipe holds, so that the end is met while writing.
    let layers = (0..800).map(|_| Dense::new(1)).map(Into::into);
    let layers = [Input::new([1]).into()].into_iter().chain(layers);
    let model = Sequential::with_seed(layers.collect::<Vec<_>>(), 1).unwrap();
    model.save(folder.join("deep.keras")).unwrap();
    for command in ["summary", "inspect"] {
        let mut child = regraft(&folder, &[command, "deep.keras"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        reader.read_line(&mut line).unwrap();
        drop(reader);
        let mut told = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut told)
            .unwrap();
        assert_eq!(told, "");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_told() {
    let (_kept, folder) = folder();
    let full = || {
        Stdio::from(
            fs::OpenOptions::new()
                .write(true)
                .open("/dev/full")
                .unwrap(),
        )
    };
    let mut command = regraft(&folder, &["inspect", "model.keras"]);
    let output = command.stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("the standard output"),
        "{}",
        stderr(&output)
    );
    // Nor is it a panic if the error cannot be told.
    let mut command = regraft(&folder, &["inspect", "none.keras"]);
    let output = command.stderr(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn colours_are_for_terminals_and_for_whoever_forces_them() {
    let (_kept, folder) = folder();
    let escapes = |command: &mut Command| command.output().unwrap().stderr.contains(&0x1b);
    let arguments = ["inspect", "none.keras"];
    assert!(!escapes(&mut regraft(&folder, &arguments)));
    assert!(escapes(
        regraft(&folder, &arguments).env("CLICOLOR_FORCE", "1")
    ));
    let mut command = regraft(&folder, &arguments);
    assert!(!escapes(
        command.env("NO_COLOR", "1").env("CLICOLOR_FORCE", "0")
    ));
}

#[test]
fn defaults_come_from_a_file_and_arguments_win() {
    let (_kept, folder) = folder();
    let config = |text: &str| fs::write(folder.join("regraft.toml"), text).unwrap();
    config("json = true\n\n[plan]\nsamples = 77\nfreeze = [\"..-1\"]\n");
    let value = json(&folder, &["plan", "model.keras"]);
    assert_eq!(value["samples"], 77);
    let value = json(&folder, &["plan", "model.keras", "--samples", "5"]);
    assert_eq!(value["samples"], 5);
    let value = json(&folder, &["--no-config", "--json", "plan", "model.keras"]);
    assert_eq!(value["samples"], 1000);
    for undone in [&["--no-json"][..], &["--csv"]] {
        let text = done(&folder, &[&["inspect", "model.keras"], undone].concat());
        assert!(!text.starts_with('{'), "{undone:?}: {text}");
    }
    config("[summary]\nexpand-nested = true\n");
    done(&folder, &["summary", "model.keras"]);
    done(&folder, &["summary", "model.keras", "--no-expand-nested"]);

    fs::rename(folder.join("regraft.toml"), folder.join("mine.toml")).unwrap();
    done(
        &folder,
        &["--config", "mine.toml", "summary", "model.keras"],
    );
    failed(
        &folder,
        &["--config", "none.toml", "summary", "model.keras"],
        1,
    );

    for (text, told) in [
        ("[plan]\nsample = 7\n", "samples"),
        ("[paln]\nsamples = 7\n", "plan"),
        ("jsn = true\n", "json"),
        ("json = 1\n", "true or false"),
        ("[plan]\nsamples = \"many\"\n", "invalid value 'many'"),
        ("[plan]\nsamples = [1, 2]\n", "a single value"),
        ("[plan\n", "line 1"),
        ("config = \"other.toml\"\n", "config"),
        ("[convert]\nforce = true\n", "--force on the command line"),
        ("[graph]\nforce = false\n", "--force on the command line"),
    ] {
        config(text);
        let error = failed(&folder, &["plan", "model.keras"], 2);
        assert!(
            error.contains("regraft.toml") && error.contains(told),
            "{text}: {error}"
        );
    }
    // A fault in another command's table is told as well.
    config("[plan]\nsamples = \"many\"\n");
    failed(&folder, &["summary", "model.keras"], 2);
}

#[test]
fn help_has_examples_and_versions_are_told() {
    let (_kept, folder) = folder();
    let help = done(&folder, &["--help"]);
    assert!(
        help.contains("Exit codes") && help.contains("inspect"),
        "{help}"
    );
    assert!(!help.contains("no-json"), "{help}");
    let help = done(&folder, &["plan", "--help"]);
    assert!(help.contains("Examples:\n  regraft plan"), "{help}");
    let version = format!("regraft {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(done(&folder, &["--version"]), version);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = done(&folder, &["completions", shell]);
        assert!(script.contains("expand-nested"), "{shell}");
    }
    assert!(done(&folder, &["man"]).contains(".TH"));
    fs::create_dir(folder.join("man1")).unwrap();
    done(&folder, &["man", "--folder", "man1"]);
    let page = fs::read_to_string(folder.join("man1/regraft-plan.1")).unwrap();
    assert!(page.contains("batch\\-size"), "{page}");
}

#[test]
fn weights_are_listed_and_found_and_it_is_said_where_they_belong() {
    let (_kept, folder) = folder();
    let list = json(&folder, &["weights", "--json"]);
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 40);
    assert!(list.iter().all(|network| network["path"].is_null()));
    let network = list
        .iter()
        .find(|network| network["network"] == "EfficientNetB0")
        .unwrap();
    assert_eq!(network["name"], "efficientnetb0_notop.h5");
    assert!(network["hash"].as_str().unwrap().starts_with("MD5 "));
    let table = done(&folder, &["weights", "--include-top", "--csv"]);
    assert!(
        table.contains("\nVGG16,vgg16_weights_tf_dim_ordering_tf_kernels.h5,"),
        "{table}"
    );
    let error = failed(&folder, &["weights", "efficientnet_b0", "--offline"], 1);
    for told in [
        "home/models/efficientnetb0_notop.h5",
        "keras/models",
        "127.0.0.1:9",
        "MD5",
    ] {
        assert!(error.contains(told), "{told}: {error}");
    }
    let error = failed(&folder, &["weights", "efficientnetb0"], 1);
    assert!(error.contains("efficientnet_b0"), "{error}");
    // What is there and is another file is told as such.
    fs::create_dir_all(folder.join("keras/models")).unwrap();
    fs::write(folder.join("keras/models/efficientnetb0_notop.h5"), "half").unwrap();
    let error = failed(&folder, &["weights", "efficientnet_b0", "--offline"], 1);
    assert!(error.contains("remove it"), "{error}");
}

/// A server that begins to send a file and does not go on.
fn stuck() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // It ends with the process.
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
            connection.write_all(head.as_bytes()).unwrap();
            connection.write_all(&[7; 5000]).unwrap();
            open.push(connection);
        }
    });
    url
}

#[test]
#[cfg(unix)]
fn ctrl_c_ends_it_and_what_was_fetched_stays_to_be_continued() {
    let (_kept, folder) = folder();
    let mut command = regraft(&folder, &["weights", "vgg16"]);
    command.env("REGRAFT_WEIGHTS_URL", stuck());
    let mut child = command
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let name = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5";
    let part = folder.join(format!("home/models/.{name}.part"));
    while fs::metadata(&part).map_or(0, |file| file.len()) < 5000 {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it goes on until it is told"
        );
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(part.exists() && !folder.join("home/models").join(name).exists());
}
