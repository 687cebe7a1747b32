//! Which tensor of a file each weight is, and how it lies there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regraft_layers::{Model as Network, Weight};
use regraft_tensor::{Detail, Tensor, one_line};

use super::config::{BertConfig, BertFamily};
use crate::{Error, Result};

/// The files in which weights are, in the order in which they are looked for.
const FILES: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// What stands in front of names where a file has more than the encoder.
const PREFIXES: [&str; 5] = ["bert.", "distilbert.", "roberta.", "model.", "encoder."];

/// The name in a file of a weight of ours, without a prefix.
fn name_of(family: BertFamily, path: &str) -> Option<String> {
    let distilled = family == BertFamily::DistilBert;
    let parts: Vec<&str> = path.split('/').collect();
    let kind = |last: &str| match last {
        "kernel" | "gamma" | "embeddings" => Some("weight"),
        "bias" | "beta" => Some("bias"),
        _ => None,
    };
    let name = match parts[..] {
        ["embeddings", "norm", last] => format!("embeddings.LayerNorm.{}", kind(last)?),
        ["embeddings", table, last] => format!("embeddings.{table}.{}", kind(last)?),
        ["pooler", last] => format!("pooler.dense.{}", kind(last)?),
        ["encoder", layer, ref rest @ ..] => {
            let number = layer.strip_prefix("layer_")?;
            let (module, last) = match *rest {
                ["attention", part, last] => (of_attention(distilled, part)?, last),
                [part, last] => (of_block(distilled, part)?, last),
                _ => return None,
            };
            let blocks = if distilled { "transformer" } else { "encoder" };
            format!("{blocks}.layer.{number}.{module}.{}", kind(last)?)
        }
        _ => return None,
    };
    Some(name)
}

fn of_attention(distilled: bool, part: &str) -> Option<&'static str> {
    Some(match (distilled, part) {
        (false, "query") => "attention.self.query",
        (false, "key") => "attention.self.key",
        (false, "value") => "attention.self.value",
        (false, "attention_output") => "attention.output.dense",
        (true, "query") => "attention.q_lin",
        (true, "key") => "attention.k_lin",
        (true, "value") => "attention.v_lin",
        (true, "attention_output") => "attention.out_lin",
        _ => return None,
    })
}

fn of_block(distilled: bool, part: &str) -> Option<&'static str> {
    Some(match (distilled, part) {
        (false, "attention_norm") => "attention.output.LayerNorm",
        (false, "intermediate") => "intermediate.dense",
        (false, "output") => "output.dense",
        (false, "output_norm") => "output.LayerNorm",
        (true, "attention_norm") => "sa_layer_norm",
        (true, "intermediate") => "ffn.lin1",
        (true, "output") => "ffn.lin2",
        (true, "output_norm") => "output_layer_norm",
        _ => return None,
    })
}

/// The file with the weights.
fn file_in(folder: &Path) -> Result<PathBuf> {
    let file = FILES
        .iter()
        .map(|name| folder.join(name))
        .find(|file| file.exists());
    file.ok_or_else(|| {
        let expected = format!("a folder with `{}`", FILES.join("` or `"));
        Error::File(Detail::new(
            one_line(&folder.to_string_lossy()),
            expected,
            "neither",
        ))
    })
}

/// A tensor as a weight: kernels have inputs first here, and heads are axes of their own.
fn turned(weight: &Weight, tensor: &Tensor) -> Result<Tensor, Detail> {
    let (ours, theirs) = (weight.value().shape(), tensor.shape());
    let is_kernel = weight.name() == "kernel";
    // Of the output's projection, two axes are summed over; of the others one.
    let inputs = match (
        is_kernel,
        weight.path().ends_with("attention_output/kernel"),
    ) {
        (true, true) => 2,
        (true, false) => 1,
        (false, _) => 0,
    };
    let product = |sizes: &[usize]| sizes.iter().product::<usize>();
    let expected = match is_kernel {
        true => vec![product(&ours[inputs..]), product(&ours[..inputs])],
        false if weight.name() == "bias" => vec![product(ours)],
        false => ours.to_vec(),
    };
    if theirs != expected {
        return Err(Detail::new(
            "",
            format!("shape {expected:?}"),
            format!("{theirs:?}"),
        ));
    }
    let values = tensor.as_slice();
    let values = match is_kernel {
        true => {
            let (rows, columns) = (expected[0], expected[1]);
            (0..columns)
                .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
                .collect()
        }
        false => values.to_vec(),
    };
    Tensor::new(ours, values).map_err(Detail::from)
}

/// Loads the weights of a folder: all, or nothing is changed. Returns the tensors that the model has no place for.
pub(super) fn load(model: &mut Network, config: &BertConfig, folder: &Path) -> Result<Vec<String>> {
    let file = file_in(folder)?;
    let shown = one_line(&file.to_string_lossy());
    let checkpoint = regraft_io::read(&file)?;
    let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
    for (layer, weight) in checkpoint.tensors() {
        let own = weight.name.as_deref().unwrap_or(&weight.path);
        let scope = layer.map_or("", |layer| layer.path.as_str());
        let name = if scope.is_empty() || own.starts_with(scope) {
            own.to_string()
        } else {
            format!("{scope}.{own}")
        };
        let name = name
            .replace('/', ".")
            .replace(".gamma", ".weight")
            .replace(".beta", ".bias");
        if let Ok(tensor) = weight.tensor.to_tensor() {
            tensors.insert(name, tensor);
        }
    }
    let words = "embeddings.word_embeddings.weight";
    let prefixes = [""].iter().chain(&PREFIXES);
    let prefix = prefixes
        .copied()
        .find(|prefix| tensors.contains_key(&format!("{prefix}{words}")));
    let Some(prefix) = prefix else {
        let received = format!("{} tensors without one", tensors.len());
        let detail = Detail::new(&shown, format!("a tensor `{words}`"), received);
        return Err(Error::File(detail.help(
            "the file is of another kind of network than `config.json` says",
        )));
    };
    let mut values = Vec::new();
    for weight in model.weights().iter() {
        let name = name_of(config.family, weight.path()).map(|name| format!("{prefix}{name}"));
        let Some(name) = name else {
            continue;
        };
        let Some(tensor) = tensors.remove(&name) else {
            let detail = Detail::new(&shown, format!("a tensor `{name}`"), "none");
            let help = format!(
                "it is `{}` here; another pooling needs no pooler",
                weight.path()
            );
            return Err(Error::File(detail.help(help)));
        };
        let value = turned(weight, &tensor);
        let value = value.map_err(|detail| Error::File(detail.within(&name).within(&shown)))?;
        values.push((weight.id(), value));
    }
    model.set_weights(values)?;
    Ok(tensors.into_keys().collect())
}
