//! Recurrent layers of PyTorch: their tensors with the parts in Keras' order, and two biases as one.
//!
//! | | PyTorch | Keras |
//! |---|---|---|
//! | `LSTM` | `weight_ih_l0`, `weight_hh_l0`, parts `i f g o` | `kernel`, `recurrent_kernel`, the same parts |
//! | | `bias_ih_l0` + `bias_hh_l0` | `bias` |
//! | `GRU` | parts `r z n` | `z r h` |
//! | | `bias_ih_l0`, `bias_hh_l0` | the two rows of `bias` (`reset_after`) |
//! | `RNN` | `bias_ih_l0` + `bias_hh_l0` | `bias` |
//!
//! The direction from the last step to the first ends with `_reverse` there. How many parts there are tells which layer it
//! is: the recurrent kernel is `[parts · units, units]`. Axes are turned as those of other layers are.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use regraft_io::{Checkpoint, SavedWeight};
use regraft_tensor::Tensor;

/// The checkpoint with tensors of recurrent layers as Keras has them, apart from the order of the axes; a bias is called
/// `bias_l0`.
pub(crate) fn as_keras(checkpoint: &Checkpoint) -> Cow<'_, Checkpoint> {
    let is_one = |weight: &SavedWeight| ending(weight, "weight_hh_l").is_some();
    let mut layers = checkpoint.layers.iter();
    if !layers.any(|layer| layer.weights.iter().any(is_one)) {
        return Cow::Borrowed(checkpoint);
    }
    let mut checkpoint = checkpoint.clone();
    for layer in &mut checkpoint.layers {
        let parts: HashMap<String, usize> = layer
            .weights
            .iter()
            .filter_map(|weight| Some((ending(weight, "weight_hh_l")?, parts(weight)?)))
            .collect();
        let weights = std::mem::take(&mut layer.weights);
        let mut biases: BTreeMap<String, Vec<SavedWeight>> = BTreeMap::new();
        for mut weight in weights {
            let of = |prefix: &str| ending(&weight, prefix).filter(|it| parts.contains_key(it));
            if let Some(at) = of("weight_ih_l").or(of("weight_hh_l")) {
                if let Some(ordered) = in_order(&weight, parts[&at]) {
                    weight.tensor = ordered.into();
                }
            } else if let Some(at) = of("bias_ih_l").or(of("bias_hh_l")) {
                biases.entry(at).or_default().push(weight);
                continue;
            }
            layer.weights.push(weight);
        }
        for (at, biases) in biases {
            let joined = joined(&biases, parts[&at]);
            match joined {
                Some(tensor) => {
                    let paths = biases.iter().map(|bias| bias.path.as_str());
                    layer.weights.push(SavedWeight {
                        path: paths.collect::<Vec<_>>().join(" + "),
                        name: renamed(&biases[0], &at),
                        tensor: tensor.into(),
                    });
                }
                None => layer.weights.extend(biases),
            }
        }
    }
    Cow::Owned(checkpoint)
}

/// What stands before the layer's number and direction in a name, if that is `prefix`: `encoder.0_reverse` for
/// `encoder.weight_hh_l0_reverse`, so that names of one direction are told apart from others.
fn ending(weight: &SavedWeight, prefix: &str) -> Option<String> {
    let name = weight.name.as_deref()?;
    let (module, last) = name.rsplit_once('.').unwrap_or(("", name));
    let number = last.strip_prefix(prefix)?;
    let digits = number.strip_suffix("_reverse").unwrap_or(number);
    let is_number = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    is_number.then(|| format!("{module}.{number}"))
}

/// The name of a joined bias.
fn renamed(weight: &SavedWeight, at: &str) -> Option<String> {
    let number = at.rsplit('.').next()?;
    let name = weight.name.as_deref()?;
    let last = format!("bias_l{number}");
    Some(match name.rsplit_once('.') {
        Some((module, _)) => format!("{module}.{last}"),
        None => last,
    })
}

/// How many parts a recurrent kernel has.
fn parts(weight: &SavedWeight) -> Option<usize> {
    match *weight.tensor.shape() {
        [rows, units] if units > 0 && rows.is_multiple_of(units) => Some(rows / units),
        _ => None,
    }
}

/// The rows of a tensor with the parts in Keras' order.
fn in_order(weight: &SavedWeight, parts: usize) -> Option<Tensor> {
    let tensor = weight.tensor.to_tensor().ok()?;
    if parts != 3 || !tensor.len().is_multiple_of(3) {
        return Some(tensor);
    }
    let part = tensor.len() / 3;
    let (first, rest) = tensor.as_slice().split_at(part);
    let (second, third) = rest.split_at(part);
    Tensor::new(tensor.shape(), [second, first, third].concat()).ok()
}

/// The two biases as one.
fn joined(biases: &[SavedWeight], parts: usize) -> Option<Tensor> {
    let own = |prefix: &str| biases.iter().find(|bias| ending(bias, prefix).is_some());
    let [input, state] = [own("bias_ih_l")?, own("bias_hh_l")?].map(|bias| in_order(bias, parts));
    let (input, state) = (input?, state?);
    if input.shape() != state.shape() {
        return None;
    }
    match parts {
        3 => {
            let both = [input.as_slice(), state.as_slice()].concat();
            Tensor::new([2, input.len()], both).ok()
        }
        _ => {
            let sums = input.as_slice().iter().zip(state.as_slice());
            Tensor::new(input.shape(), sums.map(|(a, b)| a + b).collect()).ok()
        }
    }
}
