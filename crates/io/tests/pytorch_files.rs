//! Files that PyTorch wrote in both of its layouts (`fixtures/pytorch_files.py`), read and compared
//! with what PyTorch reads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regraft_io::{Checkpoint, Format, pytorch};
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn read(name: &str) -> Checkpoint {
    regraft_io::read(fixtures().join("pytorch-files").join(name)).unwrap()
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn paths(checkpoint: &Checkpoint) -> Vec<&str> {
    checkpoint
        .layers
        .iter()
        .map(|layer| layer.path.as_str())
        .collect()
}

#[test]
fn every_file_reads_byte_equal_to_pytorch() {
    let manifest = std::fs::read_to_string(fixtures().join("pytorch-files.json")).unwrap();
    let manifest: serde_json::Map<String, Value> = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest.len(), 19);
    for (name, expected) in manifest {
        let checkpoint = read(&name);
        assert_eq!(checkpoint.format, Format::PyTorch);
        let expected: BTreeMap<String, String> = expected
            .as_object()
            .unwrap()
            .iter()
            .map(|(path, tensor)| {
                let dtype = tensor["dtype"].as_str().unwrap();
                let fact = format!("{dtype} {} {}", tensor["shape"], tensor["crc32"]);
                (path.clone(), fact)
            })
            .collect();
        let received: BTreeMap<String, String> = checkpoint
            .tensors()
            .map(|(_, weight)| {
                let tensor = &weight.tensor;
                let shape = serde_json::to_string(tensor.shape()).unwrap();
                let fact = format!("{} {shape} {}", tensor.data_type(), crc32(tensor.bytes()));
                (weight.path.clone(), fact)
            })
            .collect();
        assert_eq!(received, expected, "{name}");
        assert_eq!(checkpoint.tensors().count(), expected.len(), "{name}");
        let bytes = std::fs::read(fixtures().join("pytorch-files").join(&name)).unwrap();
        assert_eq!(pytorch::read_bytes(bytes).unwrap(), checkpoint, "{name}");
    }
}

#[test]
fn both_layouts_give_the_same_checkpoint() {
    for name in [
        "types",
        "views",
        "checkpoint",
        "nested",
        "tensor",
        "protocol5",
    ] {
        let zip = read(&format!("{name}.pt"));
        assert_eq!(zip, read(&format!("{name}.pth")), "{name}");
    }
    assert_eq!(read("memory.pt"), read("protocol2.pth"));
}

#[test]
fn a_training_loops_file_is_split_into_model_optimizer_and_notes() {
    let checkpoint = read("checkpoint.pt");
    // The wrapper `state_dict` is left out, the prefix `module` is not.
    let expected = ["module.0", "module.1", "module.3"];
    assert_eq!(paths(&checkpoint), expected);
    let norm = checkpoint.layer("module.1").unwrap();
    let names: Vec<_> = norm
        .weights
        .iter()
        .filter_map(|weight| weight.variable())
        .collect();
    assert_eq!(
        names,
        [
            "weight",
            "bias",
            "running_mean",
            "running_var",
            "num_batches_tracked"
        ]
    );
    assert_eq!(
        norm.weights[4].path,
        "state_dict.module.1.num_batches_tracked"
    );
    assert_eq!(norm.weights[4].tensor.as_integer(), Some(1));
    assert!(checkpoint.optimizer.is_none());
    // Step and two moments for each of five parameters.
    assert_eq!(checkpoint.extra.len(), 15);
    assert_eq!(checkpoint.extra[1].path, "optimizer.state.0.exp_avg");
    let entries = &checkpoint.metadata.entries;
    for (key, value) in [
        ("epoch", "12"),
        ("best", "0.75"),
        ("architecture", "small"),
        ("optimizer.param_groups.0.lr", "0.5"),
    ] {
        assert_eq!(entries.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert!(!entries.contains_key("size") && !entries.contains_key("bytes"));
}

#[test]
fn what_stands_beside_a_wrapped_state_dict_is_left_aside() {
    let checkpoint = read("nested.pt");
    assert_eq!(
        paths(&checkpoint),
        ["fc"],
        "the average is no model where there is another"
    );
    let extra: Vec<&str> = checkpoint.extra.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(extra[0], "model_ema.fc.weight");
    assert_eq!(
        extra[1..],
        ["list.0", "list.1.deep", "numbered.0", "numbered.1"]
    );
    assert_eq!(paths(&read("tensor.pt")), [""]);
}

#[test]
fn tied_weights_share_their_values() {
    let checkpoint = read("views.pth");
    let weight = |path: &str| {
        checkpoint.layer(path).unwrap().weights[0]
            .tensor
            .to_tensor()
            .unwrap()
    };
    assert!(weight("tied").shares_memory_with(&weight("tied_to")));
}

/// Fetched by `fixtures/pretrained.py`; too large to commit.
#[test]
fn a_trained_network_reads_byte_equal_to_pytorch() {
    let manifest = std::fs::read_to_string(fixtures().join("pytorch-files-large.json")).unwrap();
    let manifest: serde_json::Map<String, Value> = serde_json::from_str(&manifest).unwrap();
    for (name, expected) in manifest {
        let folder = fixtures().join("../out/pretrained/efficientnet-lite0");
        let path = folder.join(&name);
        if !path.is_file() {
            println!("SKIPPED: no {name}; run fixtures/pretrained.py");
            continue;
        }
        let checkpoint = regraft_io::read(path).unwrap();
        let mut lines: Vec<String> = checkpoint
            .tensors()
            .map(|(_, weight)| {
                let tensor = &weight.tensor;
                let sizes: Vec<String> = tensor.shape().iter().map(usize::to_string).collect();
                let (path, dtype) = (&weight.path, tensor.data_type());
                let crc = crc32(tensor.bytes());
                // Sizes as Python writes a list.
                format!("{path} {dtype} [{}] {crc}\n", sizes.join(", "))
            })
            .collect();
        lines.sort_unstable();
        assert_eq!(expected["tensors"], lines.len(), "{name}");
        assert_eq!(
            expected["crc32"],
            crc32(lines.concat().as_bytes()),
            "{name}"
        );
    }
}
