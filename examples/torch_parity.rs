//! Compares torchvision's and timm's networks with what PyTorch computes: the numbers that
//! `fixtures/golden_torchvision.py` has written, from weights and pictures that are numbers of a formula. Each network
//! loads its weights from a state dict, predicts, and takes a step of training. Of networks without such numbers only
//! names and shapes of all tensors are compared.
//!
//! ```sh
//! cargo run --release --example torch_parity              # all but the very large
//! cargo run --release --example torch_parity -- timm/     # those whose names begin so, however large
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use regraft::applications::{Application, PyTorchNetwork, timm, torchvision};
use regraft::losses::SparseCategoricalCrossentropy;
use regraft::ndarray::{Array1, Array4};
use regraft::{Fit, Model, Selector, Tensor, Verbosity};
use serde_json::{Value, json};

/// How far numbers may differ, relative to the largest or the norm.
const TOLERANCE: f64 = 1e-4;

/// How far what a step changes may differ in networks with ReLU, but for statistics and the classifier, while batch
/// normalizations use statistics of the batch. A number that is within a rounding error of the kink has one gradient or
/// another, there are a few of such among millions, and PyTorch's own gradients with 32 bits are as far from those with
/// 64 (0.034 in a ShuffleNetV2, 0.1 in a ResNet50). It is the statistics of the batch, here of as few as eight numbers,
/// that make what is rounded a hundredfold, also where nothing has a kink: steps of deep EfficientNets came to 3.3e-4
/// here, and come to 4.2e-4 in PyTorch with 32 bits, whatever layers are computed with 64
/// (`fixtures/golden_torchvision.py` has the numbers). So a step with statistics that stand still is compared besides, of
/// networks of each family, to which the tolerance above applies; it is within 1e-5.
const AT_KINKS: f64 = 0.1;

/// Without being named, networks with more parameters are left out.
const LARGE: usize = 60_000_000;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let root = root
        .filter(|folder| folder.join("fixtures").is_dir())
        .last()
        .ok_or("no fixtures")?;
    let golden = std::fs::read(root.join("fixtures/golden/torchvision.json"))?;
    let golden: BTreeMap<String, Value> = serde_json::from_slice(&golden)?;
    let tables = root.join("crates/regraft/src/applications/pytorch/networks.txt");
    let tables = std::fs::read_to_string(tables)?;
    let folder = std::env::temp_dir().join(format!("regraft-torch-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let named: Vec<String> = std::env::args().skip(1).collect();
    let (mut failed, mut compared) = (Vec::new(), 0);
    for line in tables.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let name = format!("{}/{}", columns[0], columns[1]);
        let is_named = named.iter().any(|it| name.starts_with(it));
        let parameters: usize = columns[3].parse()?;
        if !is_named && (!named.is_empty() || parameters > LARGE) {
            continue;
        }
        let start = Instant::now();
        compared += 1;
        let network = Case {
            name: &name,
            case: golden.get(&name).unwrap_or(&Value::Null),
            digest: columns[2],
            parameters,
        };
        match network.compare(&folder) {
            Ok(differences) => {
                let seconds = start.elapsed().as_secs_f64();
                println!("{name:<36} {differences}  {seconds:.1} s");
                if !differences.fit() {
                    failed.push(format!("{name}: {differences}"));
                }
            }
            Err(error) => {
                println!("{name:<36} {error}");
                failed.push(format!("{name}: {error}"));
            }
        }
    }
    std::fs::remove_dir_all(&folder)?;
    println!("{compared} networks compared");
    match failed.is_empty() && compared > 0 {
        true => Ok(()),
        false => Err(format!("differ:\n{}", failed.join("\n")).into()),
    }
}

/// How far a network is away from the original.
struct Differences {
    /// Of the logits, relative to the largest and to the norm; `None` if only names and shapes were compared.
    forward: Option<f64>,
    /// Of the loss in training, relative.
    loss: f64,
    /// Of what a step with frozen statistics changes in tensors, relative to its norm or the median of all; `None` if
    /// there are no numbers.
    frozen: Option<f64>,
    /// Of what the step changes in statistics and the classifier, relative to its norm or the median of all.
    statistics: f64,
    /// Of what it changes in other tensors, and in which most.
    step: f64,
    tensor: String,
    /// How far the step may be away.
    allowed: f64,
}

impl Differences {
    fn fit(&self) -> bool {
        // A comparison with NaN is false.
        let [forward, frozen] = [self.forward, self.frozen].map(Option::unwrap_or_default);
        [forward, frozen, self.loss, self.statistics]
            .iter()
            .all(|&difference| difference <= TOLERANCE)
            && self.step <= self.allowed
    }
}

impl std::fmt::Display for Differences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (forward, loss, step) = (self.forward, self.loss, self.step);
        let statistics = self.statistics;
        match forward {
            Some(forward) => write!(f, "forward {forward:.1e}")?,
            None => write!(f, "names and shapes")?,
        }
        if self.frozen.is_some() || !self.tensor.is_empty() {
            write!(f, "  loss {loss:.1e}")?;
        }
        if let Some(frozen) = self.frozen {
            write!(f, "  step with frozen statistics {frozen:.1e}")?;
        }
        match self.tensor.as_str() {
            "" => Ok(()),
            tensor => write!(
                f,
                "  statistics {statistics:.1e}  step {step:.1e} ({tensor})"
            ),
        }
    }
}

/// A network and what PyTorch says of it.
struct Case<'c> {
    name: &'c str,
    case: &'c Value,
    digest: &'c str,
    parameters: usize,
}

impl Case<'_> {
    fn application(&self) -> Result<Application<PyTorchNetwork>> {
        let (library, network) = self.name.split_once('/').ok_or("a name")?;
        Ok(match library {
            "timm" => timm::by_name(network)?,
            _ => torchvision::by_name(network)?,
        })
    }

    fn compare(&self, folder: &Path) -> Result<Differences> {
        let computes = !self.case.is_null();
        let size = if computes {
            self.number("size")? as usize
        } else {
            128
        };
        let application = self.application()?.input_shape([size, size, 3]);
        let application = application.drop_rate(0.0).drop_path_rate(0.0);
        let model = application.build()?.model;
        let tensors = tensors(&model)?;
        self.check_names(&application, &model, &tensors)?;
        let path = folder.join("model.safetensors");
        let mut differences = Differences {
            forward: None,
            loss: 0.0,
            frozen: None,
            statistics: 0.0,
            step: 0.0,
            tensor: String::new(),
            allowed: TOLERANCE,
        };
        if !computes {
            return Ok(differences);
        }
        let spread = self.number("spread")?;
        let ends: Vec<String> = serde_json::from_value(self.case["ends"].clone())?;
        write_state_dict(&path, &tensors, spread, &ends)?;
        drop(model);
        let model = application.weights(&path).build()?.model;
        std::fs::remove_file(&path)?;
        let x = pictures(size);
        differences.forward = Some(self.compare_logits(&model.predict(&x)?)?);
        // With statistics that stand still nothing grows rounding errors, and the tolerance is that of the logits.
        for (step, frozen) in [(&self.case["frozen"], true), (self.case, false)] {
            if !step["loss"].is_null() {
                compare_step(
                    &mut model.clone(),
                    &tensors,
                    &x,
                    step,
                    frozen,
                    &mut differences,
                )?;
            }
        }
        Ok(differences)
    }

    /// Names and shapes are those that the tables have.
    fn check_names(
        &self,
        application: &Application<PyTorchNetwork>,
        model: &Model,
        tensors: &[Named],
    ) -> Result<()> {
        let network = application.architecture();
        let parameters = model.count_parameters().trainable;
        if parameters != self.parameters {
            return Err(format!("{parameters} parameters").into());
        }
        let heads = ["fc", "classifier", "head.fc"];
        let digests = tensors
            .iter()
            .filter_map(|it| it.name.strip_suffix(".bias"));
        let digests = digests.filter(|layer| {
            heads.contains(layer) || layer.starts_with("classifier.") || layer.starts_with("head.")
        });
        let digests: Vec<String> = digests.map(|head| digest_without(tensors, head)).collect();
        match digests.iter().any(|digest| digest == self.digest) {
            true => Ok(()),
            false => {
                let lines: Vec<String> = tensors.iter().map(Named::line).collect();
                let file = std::env::temp_dir().join(format!("{}.txt", network.network()));
                std::fs::write(&file, lines.join("\n"))?;
                Err(format!("other tensors: see {}", file.display()).into())
            }
        }
    }

    fn compare_logits(&self, y: &Tensor) -> Result<f64> {
        let [_, classes] = *y.shape() else {
            return Err(format!("logits of shape {:?}", y.shape()).into());
        };
        let expected: Vec<f64> = serde_json::from_value(self.case["logits"].clone())?;
        let rows = y.as_slice().chunks_exact(classes);
        let ours: Vec<f64> = rows
            .flat_map(|row| row[..8].iter().map(|&x| f64::from(x)))
            .collect();
        let largest = expected.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
        let difference = expected
            .iter()
            .zip(&ours)
            .map(|(a, b)| (a - b).abs())
            .sum::<f64>();
        let norm = norm(y.as_slice());
        let expected = self.number("norm")?;
        Ok((difference / largest).max((norm - expected).abs() / expected))
    }

    fn number(&self, key: &str) -> Result<f64> {
        Ok(self.case[key].as_f64().ok_or_else(|| format!("no {key}"))?)
    }
}

/// Takes a step and compares what it changes with `step`: where batch normalizations use statistics of the batch, or,
/// frozen, their own.
fn compare_step(
    model: &mut Model,
    tensors: &[Named],
    x: &Array4<f32>,
    step: &Value,
    frozen: bool,
    differences: &mut Differences,
) -> Result<()> {
    let normalizations = || Selector::kind("BatchNormalization");
    let is_there = |it: &&Named| !(frozen && it.name.contains(".running_"));
    let tensors: Vec<&Named> = tensors.iter().filter(is_there).collect();
    if frozen {
        // Statistics stand still, factors and offsets are trained.
        model.freeze(normalizations())?;
        let parameters = Selector::weights("gamma") | Selector::weights("beta");
        model.unfreeze(normalizations() & parameters)?;
    }
    let golden: Vec<f64> = serde_json::from_value(step["tensors"].clone())?;
    if golden.len() != 2 * tensors.len() {
        return Err(format!("{} tensors, not {}", tensors.len(), golden.len() / 2).into());
    }
    // What a normalization takes away again, as biases in front of one, does not move but for rounding errors of
    // what cancels out: that is seen beside what a tensor moves usually.
    let mut lengths: Vec<f64> = golden.chunks_exact(2).map(|it| it[1]).collect();
    lengths.sort_by(f64::total_cmp);
    let least = lengths[lengths.len() / 2];
    // A power of two loses nothing. Where changes are small beside weights it makes them large, since the sum is stored
    // with 32 bits.
    let rate = match frozen {
        true => (64.0 / least).log2().ceil().exp2(),
        false => 1.0,
    };
    model.compile(
        regraft::optimizers::SGD::new(rate),
        SparseCategoricalCrossentropy::from_logits(),
        (),
    )?;
    let before: Vec<Tensor> = values(model, &tensors);
    let y = Array1::from(vec![1, 7]);
    let fit = Fit::new().batch_size(2).verbosity(Verbosity::Silent);
    let history = model.fit(x, &y, fit)?;
    let loss = history.get("loss").and_then(<[f64]>::first).copied();
    let expected = step["loss"].as_f64().ok_or("no loss")?;
    let difference = (loss.ok_or("no loss")? - expected).abs() / expected;
    differences.loss = worse(differences.loss, difference);
    let after = values(model, &tensors);
    let config = model.to_config().to_string();
    if ["\"relu\"", "\"relu6\""]
        .iter()
        .any(|it| config.contains(it))
        && !frozen
    {
        differences.allowed = AT_KINKS;
    }
    let last = model.weights().iter().last().ok_or("no weights")?.path();
    let classifier = last.rsplit_once('/').map_or(last, |(layer, _)| layer);
    let classifier = format!("{classifier}/");
    for (index, tensor) in tensors.iter().enumerate() {
        let change: Vec<f32> = after[index]
            .as_slice()
            .iter()
            .zip(before[index].as_slice())
            .map(|(after, before)| (after - before) / rate as f32)
            .collect();
        let change = tensor.as_theirs(&change);
        let sum: f64 = bits(&format!("signs of {}", tensor.name), change.len())
            .zip(&change)
            .map(|(bits, &x)| {
                if bits >> 63 == 1 {
                    f64::from(x)
                } else {
                    -f64::from(x)
                }
            })
            .sum();
        let [expected, length] = [golden[2 * index], golden[2 * index + 1]];
        // What storing the new value with 32 bits takes away.
        let rounding = norm(before[index].as_slice()) * f64::from(f32::EPSILON) / rate;
        let difference = (sum - expected).abs().max((norm(&change) - length).abs());
        let difference = (difference - rounding).max(0.0) / length.max(least);
        let (layer, name) = tensor.name.rsplit_once('.').unwrap_or_default();
        if frozen {
            differences.frozen = Some(worse(differences.frozen.unwrap_or(0.0), difference));
        } else if name.starts_with("running_") || tensor.path.starts_with(&classifier) {
            differences.statistics = worse(differences.statistics, difference);
        } else if difference >= differences.step || difference.is_nan() {
            differences.step = difference;
            differences.tensor = format!("{layer}.{name}");
        }
    }
    Ok(())
}

/// A weight of a model under its name and in its shape in a state dict.
struct Named {
    name: String,
    path: String,
    class: String,
    /// Here.
    shape: Vec<usize>,
}

impl Named {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The shape there.
    fn their_shape(&self) -> Vec<usize> {
        match (self.class.as_str(), self.shape.as_slice()) {
            ("DepthwiseConv2D", &[rows, columns, channels, each]) => {
                vec![channels * each, 1, rows, columns]
            }
            (_, &[rows, columns, inputs, outputs]) => vec![outputs, inputs, rows, columns],
            (_, &[inputs, outputs]) => vec![outputs, inputs],
            ("LayerScale", &[channels]) if self.name.ends_with("layer_scale") => {
                vec![channels, 1, 1]
            }
            (_, shape) => shape.to_vec(),
        }
    }

    /// For each element there, in order, its place here.
    fn places(&self) -> Vec<usize> {
        match (self.class.as_str(), self.shape.as_slice()) {
            ("DepthwiseConv2D", &[rows, columns, channels, each]) => {
                let outputs = channels * each;
                let cells = rows * columns;
                let place = |at: usize| at % cells * outputs + at / cells;
                (0..self.len()).map(place).collect()
            }
            (_, &[rows, columns, inputs, outputs]) => {
                let cells = rows * columns;
                let place = |at: usize| {
                    let [cell, input, output] =
                        [at % cells, at / cells % inputs, at / cells / inputs];
                    (cell * inputs + input) * outputs + output
                };
                (0..self.len()).map(place).collect()
            }
            (_, &[inputs, outputs]) => {
                let place = |at: usize| at % inputs * outputs + at / inputs;
                (0..self.len()).map(place).collect()
            }
            _ => (0..self.len()).collect(),
        }
    }

    fn as_theirs(&self, values: &[f32]) -> Vec<f32> {
        // What stands behind a flatten has its features in another order there.
        let rows = match (self.name.as_str(), self.shape.as_slice()) {
            ("classifier.0.weight", &[25088, _]) => Some(49),
            ("classifier.1.weight", &[9216, _]) => Some(36),
            _ => None,
        };
        let places = self.places().into_iter();
        match rows {
            None => places.map(|place| values[place]).collect(),
            Some(pixels) => {
                let [inputs, outputs] = [self.shape[0], self.shape[1]];
                let channels = inputs / pixels;
                let there = places.map(|place| {
                    let [input, output] = [place / outputs, place % outputs];
                    let [channel, pixel] = [input / pixels, input % pixels];
                    values[(pixel * channels + channel) * outputs + output]
                });
                there.collect()
            }
        }
    }

    fn line(&self) -> String {
        let sizes: Vec<String> = self.their_shape().iter().map(usize::to_string).collect();
        format!("{} {}", self.name, sizes.join("x"))
    }
}

/// The weights of a model in the order of their names there.
fn tensors(model: &Model) -> Result<Vec<Named>> {
    let mut tensors = Vec::new();
    for weight in model.weights().iter() {
        let (layer, name) = weight.path().rsplit_once('/').ok_or("a path")?;
        let class = model.get_layer(layer)?.class_name().to_string();
        let theirs = match name {
            _ if class == "LayerScale" => layer.to_string(),
            "kernel" | "gamma" => format!("{layer}.weight"),
            "bias" | "beta" => format!("{layer}.bias"),
            "moving_mean" => format!("{layer}.running_mean"),
            "moving_variance" => format!("{layer}.running_var"),
            other => return Err(format!("a weight named {other}").into()),
        };
        tensors.push(Named {
            name: theirs,
            path: weight.path().to_string(),
            class,
            shape: weight.value().shape().to_vec(),
        });
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tensors)
}

fn values(model: &Model, tensors: &[&Named]) -> Vec<Tensor> {
    let value = |it: &&Named| model.weight(&it.path).expect("its path").value().clone();
    tensors.iter().map(value).collect()
}

fn digest_without(tensors: &[Named], head: &str) -> String {
    let of_head = |it: &&Named| it.name.rsplit_once('.').map(|(layer, _)| layer) != Some(head);
    let lines: Vec<String> = tensors.iter().filter(of_head).map(Named::line).collect();
    format!("{:016x}", fnv(&lines.join("\n")))
}

fn fnv(text: &str) -> u64 {
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    state
}

/// Numbers of 64 bits that belong to a name.
fn bits(name: &str, count: usize) -> impl Iterator<Item = u64> {
    let start = fnv(name);
    (1..=count as u64).map(move |number| {
        let mut x = start.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    })
}

/// Numbers from 0 to below 1.
fn uniform(name: &str, count: usize) -> impl Iterator<Item = f64> {
    bits(name, count).map(|bits| (bits >> 40) as f64 / f64::from(1 << 24))
}

/// A tensor of a state dict, as the script has it.
fn formula(name: &str, shape: &[usize], spread: f64, ends: bool) -> Vec<f32> {
    let last = name.rsplit('.').next().unwrap_or(name);
    let inputs: usize = shape.iter().skip(1).product();
    let bound = (6.0 / inputs as f64).sqrt();
    let value = |u: f64| match last {
        "running_var" => spread * (0.75 + 0.5 * u),
        "running_mean" | "bias" => 0.2 * (u - 0.5),
        "layer_scale" | "gamma" => 0.3 + 0.4 * u,
        _ if shape.len() == 1 && ends => 0.1 + 0.1 * u,
        _ if shape.len() == 1 => 0.7 + 0.3 * u,
        _ => (2.0 * u - 1.0) * bound,
    };
    let count = shape.iter().product();
    uniform(name, count).map(|u| value(u) as f32).collect()
}

/// Writes what `state_dict` would give as `.safetensors`.
fn write_state_dict(path: &PathBuf, tensors: &[Named], spread: f64, ends: &[String]) -> Result<()> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for tensor in tensors {
        let shape = tensor.their_shape();
        let begin = data.len();
        let ends = ends.contains(&tensor.name);
        for value in formula(&tensor.name, &shape, spread, ends) {
            data.extend(value.to_le_bytes());
        }
        let offsets = [begin, data.len()];
        let entry = json!({ "dtype": "F32", "shape": shape, "data_offsets": offsets });
        header.insert(tensor.name.clone(), entry);
    }
    let header = serde_json::to_vec(&header)?;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(data);
    Ok(std::fs::write(path, bytes)?)
}

/// The script's two pictures.
fn pictures(size: usize) -> Array4<f32> {
    let cells = size.div_ceil(8);
    let patches: Vec<f64> = uniform("patches", 2 * cells * cells * 3).collect();
    let noise: Vec<f64> = uniform("noise", 2 * size * size * 3).collect();
    Array4::from_shape_fn((2, size, size, 3), |(n, row, column, c)| {
        let patch = patches[((n * cells + row / 8) * cells + column / 8) * 3 + c];
        let noise = noise[((n * size + row) * size + column) * 3 + c];
        (3.0 * patch + noise - 2.0) as f32
    })
}

/// The larger, or the one that is no number.
fn worse(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}

fn norm(values: &[f32]) -> f64 {
    let squares = values.iter().map(|&x| f64::from(x) * f64::from(x));
    squares.sum::<f64>().sqrt()
}
