//! Adapters as loralib's `lora_state_dict` has them: `MODULE.lora_A` and `MODULE.lora_B` in a state dict, without
//! settings. They become what PEFT would have of them, which is what is read.
//!
//! Its factors of a convolution over two axes, k by k, are of a matrix that has nothing to do with the convolution's
//! axes: A is (r·k, inputs·k), B is (outputs/groups·k, r·k), and what is added to the kernel is the numbers of B·A in
//! their order, whatever rows they stand in. So a row of B goes with a part of an output's numbers, and a column of A
//! with a part of the inputs'. Here each part is a rank of its own, 0 elsewhere: r·k² in all, where there are no groups.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use regraft_io::peft::PeftFolder;
use regraft_io::{Checkpoint, TensorData};
use regraft_layers::{Model as Network, Place, WeightAxis, near};
use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, json};

use super::config;
use crate::{Error, Result};

/// More ranks than factors may have here.
const MOST_RANKS: usize = 1 << 16;

fn file(at: &str, expected: &str, received: impl std::fmt::Display) -> Error {
    Error::File(Detail::new(at, expected, received))
}

/// What a state dict has of one module.
#[derive(Default)]
struct Module<'c> {
    a: Option<&'c TensorData>,
    b: Option<&'c TensorData>,
    bias: Option<&'c TensorData>,
}

/// What PEFT would have in a folder, of a state dict with this alpha, for this model.
pub(super) fn folder_of(
    model: &Network,
    checkpoint: &Checkpoint,
    alpha: Option<f32>,
) -> Result<PeftFolder> {
    let modules = modules(checkpoint)?;
    let Some(alpha) = alpha else {
        let expected = "`LoadAdapter::alpha`: `lora_alpha` as the layers were made with it";
        let detail = Detail::new("lora_alpha", expected, "none");
        let help = "loralib's files do not tell it; its own default is 1";
        return Err(Error::File(detail.help(help)));
    };
    let places = model.places();
    let mut folder = PeftFolder {
        config: config::defaults("LORA"),
        tensors: Vec::new(),
        metadata: BTreeMap::new(),
    };
    let mut alphas = Map::new();
    let (mut adapted, mut biased) = (0, Vec::new());
    for (name, module) in modules {
        let place = place_of(&places, name)?;
        let tensor = |part: &str| format!("base_model.model.{}.{part}", place.module);
        let is_adapted = module.a.is_some() || module.b.is_some();
        if let Some(bias) = module.bias {
            biased.push(is_adapted);
            let part = if is_adapted {
                "base_layer.bias"
            } else {
                "bias"
            };
            folder.tensors.push((tensor(part), bias.clone()));
        }
        let (a, b) = match (module.a, module.b) {
            (Some(a), Some(b)) => (a, b),
            (None, None) => continue,
            (a, _) => {
                let missing = if a.is_some() { "lora_B" } else { "lora_A" };
                return Err(file(name, &format!("both factors, {missing} too"), "one"));
            }
        };
        let factors = Factors::of(model, place, name, (a, b))?;
        let [a, b] = match factors.looked_up {
            true => ["lora_embedding_A", "lora_embedding_B"],
            false => ["lora_A.weight", "lora_B.weight"],
        };
        folder.tensors.push((tensor(a), factors.a.into()));
        folder.tensors.push((tensor(b), factors.b.into()));
        let key = format!("^{}", place.module.replace('.', "\\."));
        let strength = f64::from(alpha) * factors.rank as f64 / factors.theirs as f64;
        alphas.insert(key, json!(strength));
        adapted += 1;
    }
    if adapted == 0 {
        return Err(file("state dict", "names that end with `.lora_A`", "none"));
    }
    let bias = match biased.as_slice() {
        [] => "none",
        of if of.iter().all(|is_adapted| *is_adapted) => "lora_only",
        _ => "all",
    };
    folder.config.insert("bias".to_string(), bias.into());
    folder
        .config
        .insert("alpha_pattern".to_string(), alphas.into());
    Ok(folder)
}

/// The tensors by module.
fn modules(checkpoint: &Checkpoint) -> Result<BTreeMap<&str, Module<'_>>> {
    let mut modules: BTreeMap<&str, Module<'_>> = BTreeMap::new();
    for layer in &checkpoint.layers {
        for weight in &layer.weights {
            let part = weight.name.as_deref().unwrap_or_default();
            let name = format!("{}.{part}", layer.path);
            if name.starts_with("base_model.model.") {
                let detail = Detail::new(name, "loralib's names", "PEFT's");
                let help = "give the folder, which has `adapter_config.json`, too";
                return Err(Error::File(detail.help(help)));
            }
            let module = modules.entry(layer.path.as_str()).or_default();
            let place = match part {
                "lora_A" => &mut module.a,
                "lora_B" => &mut module.b,
                "bias" => &mut module.bias,
                "lora_E" => {
                    let expected = "`lora_A` and `lora_B`";
                    let detail = Detail::new(name, expected, "an AdaLoRA, which loralib has not");
                    return Err(Error::File(
                        detail.help("PEFT's folders of AdaLoRA are read"),
                    ));
                }
                _ => {
                    let expected = "names that end with `.lora_A`, `.lora_B` or `.bias`";
                    let detail = Detail::new(name, expected, "another");
                    let help = "save what `loralib.lora_state_dict` gives; whole networks go to `load_weights`";
                    return Err(Error::File(detail.help(help)));
                }
            };
            *place = Some(&weight.tensor);
        }
    }
    Ok(modules)
}

/// The layer that a module is. loralib's convolutions have the one that computes within them, as `conv`.
fn place_of<'p, 'm>(places: &'p [Place<'m>], name: &str) -> Result<&'p Place<'m>> {
    let inner = format!("{name}.conv");
    let candidates = [Some(name), Some(inner.as_str()), name.strip_suffix(".conv")];
    for candidate in candidates.into_iter().flatten() {
        let mut named = places.iter().filter(|place| place.module == candidate);
        let found = named.find(|place| !place.weights.is_empty() && !place.is_repeated);
        if let Some(place) = found {
            return Ok(place);
        }
    }
    let with_weights = places.iter().filter(|place| !place.weights.is_empty());
    let help = near(name, with_weights.map(|place| place.module.as_str()));
    let detail = Detail::new(name, "a module that a layer of the model is", "none");
    let help = format!("{help}; `set_module_names` says what layers are called there");
    Err(Error::File(detail.help(help)))
}

/// Factors as PEFT has them.
struct Factors {
    a: Tensor,
    b: Tensor,
    /// Of these factors, and that which loralib divides alpha by.
    rank: usize,
    theirs: usize,
    looked_up: bool,
}

impl Factors {
    fn of(
        model: &Network,
        place: &Place<'_>,
        name: &str,
        (a, b): (&TensorData, &TensorData),
    ) -> Result<Self> {
        let (a, b) = (a.to_tensor()?, b.to_tensor()?);
        let refused = |expected: &str| {
            let received = format!("{:?} and {:?}", a.shape(), b.shape());
            file(name, expected, received)
        };
        let (&[rows, columns], &[lines, inner]) = (a.shape(), b.shape()) else {
            return Err(refused("factors that are matrices"));
        };
        if a.is_empty() || b.is_empty() {
            return Err(refused("factors of a rank of at least 1"));
        }
        let mut own = place.weights_in(model);
        let kernel = own.find(|it| matches!(it.name(), "kernel" | "embeddings"));
        let Some(kernel) = kernel else {
            return Err(file(name, "a layer with a kernel", place.class_name));
        };
        let axes = kernel.spec().axes.as_deref().unwrap_or_default();
        let shape = kernel.value().shape();
        let looked_up = axes.first() == Some(&WeightAxis::Entry);
        let spaces = axes.iter().filter(|axis| **axis == WeightAxis::Space);
        if spaces.count() > 0 {
            let [.., of_group, outputs] = *shape else {
                return Err(file(name, "a convolution", place.class_name));
            };
            let mixes = [WeightAxis::Input, WeightAxis::Output];
            if !axes.ends_with(&mixes) {
                let expected = "a convolution that mixes channels, and is none of the transposed";
                return Err(file(name, expected, place.class_name));
            }
            let space = &shape[..shape.len() - 2];
            return Convolution {
                of_group,
                outputs,
                space,
                a: &a,
                b: &b,
            }
            .factors()
            .map_err(|expected| refused(&expected));
        }
        if rows != inner && !looked_up {
            let outputs = shape.last().copied().unwrap_or(0);
            return match merged(&b, (rows, outputs)) {
                Some(b) => Ok(Factors {
                    a,
                    b,
                    rank: rows,
                    theirs: inner,
                    looked_up,
                }),
                None => {
                    let detail = Detail::new(
                        name,
                        "factors of all parts of a `MergedLinear`, or of one rank",
                        format!("[{rows}, {columns}] and [{lines}, {inner}]"),
                    );
                    let help = "which parts have factors loralib's files do not tell";
                    Err(Error::File(detail.help(help)))
                }
            };
        }
        Ok(Factors {
            a,
            b,
            rank: rows,
            theirs: rows,
            looked_up,
        })
    }
}

/// B of a `MergedLinear` all of whose parts have factors: each part of the outputs has ranks of its own.
fn merged(b: &Tensor, (rank, outputs): (usize, usize)) -> Option<Tensor> {
    let (lines, inner) = (b.shape()[0], b.shape()[1]);
    let parts = rank / inner;
    if lines != outputs || parts * inner != rank || !outputs.is_multiple_of(parts) {
        return None;
    }
    let mut values = vec![0.0; outputs.checked_mul(rank)?];
    for (at, value) in b.as_slice().iter().enumerate() {
        let (output, index) = (at / inner, at % inner);
        let part = output / (outputs / parts);
        values[output * rank + part * inner + index] = *value;
    }
    Tensor::new([outputs, rank], values).ok()
}

/// A convolution whose factors are loralib's.
struct Convolution<'a> {
    of_group: usize,
    outputs: usize,
    space: &'a [usize],
    a: &'a Tensor,
    b: &'a Tensor,
}

impl Convolution<'_> {
    /// What was expected, if they do not fit.
    fn factors(&self) -> Result<Factors, String> {
        let (rows, columns) = (self.a.shape()[0], self.a.shape()[1]);
        let (lines, inner) = (self.b.shape()[0], self.b.shape()[1]);
        let size = *self.space.first().unwrap_or(&1);
        let of_output = self.of_group * self.space.iter().product::<usize>();
        let square = self.space.iter().all(|it| *it == size);
        let all = self.outputs.checked_mul(of_output);
        let fits = square
            && inner == rows
            && rows.is_multiple_of(size)
            && lines.checked_mul(columns) == all
            && columns.is_multiple_of(size * self.of_group);
        if !fits {
            let kernel = [&[self.outputs, self.of_group], self.space].concat();
            return Err(format!(
                "factors (r·{size}, inputs·{size}) and (outputs·{size}/groups, r·{size}) of a kernel {kernel:?} of \
                 equal sides, whose product has as many numbers"
            ));
        }
        let groups = columns / size / self.of_group;
        // Where in A an output's numbers begin, and in which line of B.
        let begin = |output: usize| {
            let first = output * of_output;
            (first % columns, first / columns)
        };
        let mut parts: BTreeSet<(usize, usize)> = BTreeSet::new();
        for output in 0..self.outputs {
            let (column, _) = begin(output);
            let last = (column + of_output - 1) / columns;
            parts.extend((0..=last).map(|line| (column, line)));
        }
        let of_part: HashMap<(usize, usize), usize> = parts.iter().copied().zip(0..).collect();
        let per_group = parts.len() * rows;
        let rank = per_group.saturating_mul(groups);
        if rank > MOST_RANKS {
            return Err(format!(
                "a rank of at most {MOST_RANKS} in parts, instead of {rank}"
            ));
        }
        let mut a = vec![0.0; rank * of_output];
        for (&(column, line), &part) in &of_part {
            for at in 0..of_output {
                let within = (column + at).checked_sub(line * columns);
                let Some(within) = within.filter(|within| *within < columns) else {
                    continue;
                };
                for index in 0..rows {
                    let value = self.a.as_slice()[index * columns + within];
                    for group in 0..groups {
                        let row = group * per_group + part * rows + index;
                        a[row * of_output + at] = value;
                    }
                }
            }
        }
        let mut b = vec![0.0; self.outputs * per_group];
        for output in 0..self.outputs {
            let (column, line) = begin(output);
            for behind in 0..=(column + of_output - 1) / columns {
                let part = of_part[&(column, behind)];
                let theirs = &self.b.as_slice()[(line + behind) * inner..][..inner];
                b[output * per_group + part * rows..][..rows].copy_from_slice(theirs);
            }
        }
        let shape = |first: &[usize]| [first, self.space].concat();
        let ones = vec![1; self.space.len()];
        let tensor = |shape: Vec<usize>, values| {
            Tensor::new(shape, values).map_err(|error| error.to_string())
        };
        Ok(Factors {
            a: tensor(shape(&[rank, self.of_group]), a)?,
            b: tensor([&[self.outputs, per_group], ones.as_slice()].concat(), b)?,
            rank,
            theirs: rows / size,
            looked_up: false,
        })
    }
}
