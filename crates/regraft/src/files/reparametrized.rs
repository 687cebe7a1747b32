//! Weights that PyTorch keeps as several tensors, multiplied out: what `weight_norm`, `spectral_norm` and
//! `prune` make of a `weight`.
//!
//! | tensors | the weight |
//! |---|---|
//! | `weight_g`, `weight_v`; `parametrizations.weight.original0`, `original1` | g · v / ‖v‖, the norm along the axes in which g has size 1 |
//! | `weight_orig`, `weight_mask` | the product |
//! | `weight_orig`, `weight_u`, `weight_v`; `parametrizations.weight.original`, `….0._u`, `….0._v` | W / (uᵀ · W · v), W as a matrix of rows along one axis |
//!
//! Sources: `torch.nn.utils.weight_norm`, `torch.nn.utils.spectral_norm`, `torch.nn.utils.prune`, and
//! `torch.nn.utils.parametrizations`. What fits none of these is left as it is, and reported as not expected.

use std::borrow::Cow;
use std::collections::HashMap;

use regraft_io::{Checkpoint, SavedLayer, SavedWeight};
use regraft_tensor::Tensor;

/// The checkpoint with such weights multiplied out, under the names that they have in their layers.
pub(crate) fn multiplied_out(checkpoint: &Checkpoint) -> Cow<'_, Checkpoint> {
    let mut found: Vec<Found> = Vec::new();
    let names = Names::of(checkpoint);
    for name in names.tensors.keys() {
        found.extend(names.reparametrized(name));
    }
    if found.is_empty() {
        return Cow::Borrowed(checkpoint);
    }
    let mut checkpoint = checkpoint.clone();
    for found in found {
        let gone = |weight: &SavedWeight| found.parts.contains(&weight.path);
        for layer in &mut checkpoint.layers {
            layer.weights.retain(|weight| !gone(weight));
        }
        let place = checkpoint
            .layers
            .iter()
            .position(|layer| layer.path == found.layer);
        let place = place.unwrap_or_else(|| {
            let mut layer = SavedLayer::new(&found.layer, "");
            layer.name = None;
            checkpoint.layers.push(layer);
            checkpoint.layers.len() - 1
        });
        checkpoint.layers[place].weights.push(SavedWeight {
            path: found.parts.join(" × "),
            name: Some(found.weight),
            tensor: found.value.into(),
        });
    }
    checkpoint.layers.retain(|layer| !layer.weights.is_empty());
    Cow::Owned(checkpoint)
}

/// A weight that was multiplied out of `parts`.
struct Found {
    layer: String,
    weight: String,
    parts: Vec<String>,
    value: Tensor,
}

/// The tensors by layer and name, as in `features.0.weight_g`.
struct Names<'c> {
    tensors: HashMap<String, &'c SavedWeight>,
}

/// How a program calls the first part of each kind, and what its others are called.
const NORM: [(&str, &str); 2] = [("_g", "_v"), (".original0", ".original1")];
const SPECTRAL: [(&str, &str, &str); 2] = [("_orig", "_u", "_v"), (".original", ".0._u", ".0._v")];
const PARAMETRIZATIONS: &str = "parametrizations.";

impl<'c> Names<'c> {
    fn of(checkpoint: &'c Checkpoint) -> Self {
        let mut tensors = HashMap::new();
        for layer in &checkpoint.layers {
            for weight in &layer.weights {
                let name = weight.name.as_deref().unwrap_or_default();
                let name = match layer.path.is_empty() {
                    true => name.to_string(),
                    false => format!("{}.{name}", layer.path),
                };
                tensors.insert(name, weight);
            }
        }
        Names { tensors }
    }

    /// What the tensor of this name is the first part of.
    fn reparametrized(&self, name: &str) -> Option<Found> {
        for (first, second) in NORM {
            if let Some(base) = name.strip_suffix(first)
                && is_weight(base)
                && let Some(found) = self.product(base, &[first, second], |parts| {
                    normalized(&parts[0], &parts[1])
                })
            {
                return Some(found);
            }
        }
        let base = name.strip_suffix("_orig");
        if let Some(base) = base
            && let Some(found) = self.product(base, &["_orig", "_mask"], |parts| {
                let same = parts[0].shape() == parts[1].shape();
                let factors = parts[0].as_slice().iter().zip(parts[1].as_slice());
                let values = factors.map(|(value, mask)| value * mask).collect();
                same.then_some((parts[0].shape().to_vec(), values))
            })
        {
            return Some(found);
        }
        SPECTRAL.into_iter().find_map(|(first, u, v)| {
            let base = name.strip_suffix(first)?;
            self.product(base, &[first, u, v], |parts| {
                spectral(&parts[0], &parts[1], &parts[2])
            })
        })
    }

    fn product(
        &self,
        base: &str,
        endings: &[&str],
        formula: impl FnOnce(&[Tensor]) -> Option<(Vec<usize>, Vec<f32>)>,
    ) -> Option<Found> {
        let parts = endings.iter().map(|ending| {
            let name = format!("{base}{ending}");
            self.tensors.get(&name).copied()
        });
        let parts: Vec<&SavedWeight> = parts.collect::<Option<_>>()?;
        let values = parts.iter().map(|part| part.tensor.to_tensor().ok());
        let values: Vec<Tensor> = values.collect::<Option<_>>()?;
        let (shape, value) = formula(&values)?;
        // `fc.parametrizations.weight` → `fc.weight`
        let (layer, weight) = base.rsplit_once('.').unwrap_or(("", base));
        let layer = match format!("{layer}.").strip_suffix(PARAMETRIZATIONS) {
            Some(layer) => layer.strip_suffix('.').unwrap_or(layer).to_string(),
            None => layer.to_string(),
        };
        Some(Found {
            layer,
            weight: weight.to_string(),
            parts: parts.iter().map(|part| part.path.clone()).collect(),
            value: Tensor::new(shape, value).ok()?,
        })
    }
}

/// Whether a program would keep a weight of this name in parts: other names may end in `_g` and `_v`, too.
fn is_weight(base: &str) -> bool {
    let name = base.rsplit('.').next().unwrap_or(base);
    base.contains(PARAMETRIZATIONS) || name.starts_with("weight") || name.starts_with("bias")
}

/// g · v / ‖v‖.
fn normalized(g: &Tensor, v: &Tensor) -> Option<(Vec<usize>, Vec<f32>)> {
    let shape = v.shape();
    // Where g has one number, all of v has one norm.
    let of_all = g.len() == 1;
    let fits = g.ndim() == shape.len()
        && g.shape()
            .iter()
            .zip(shape)
            .all(|(&own, &axis)| own == 1 || own == axis);
    if !of_all && !fits {
        return None;
    }
    // For each element of v its place in g.
    let place = |mut element: usize| {
        let (mut place, mut stride) = (0, 1);
        for axis in (0..shape.len()).rev() {
            let index = element % shape[axis];
            element /= shape[axis];
            if !of_all && g.shape()[axis] > 1 {
                place += index * stride;
                stride *= g.shape()[axis];
            }
        }
        place
    };
    let mut squares = vec![0.0f64; g.len()];
    for (element, value) in v.as_slice().iter().enumerate() {
        squares[place(element)] += f64::from(*value).powi(2);
    }
    let scales = squares.iter().zip(g.as_slice());
    let scales: Vec<f64> = scales
        .map(|(square, &g)| f64::from(g) / square.sqrt())
        .collect();
    let values = v.as_slice().iter().enumerate();
    let values = values.map(|(element, &value)| (f64::from(value) * scales[place(element)]) as f32);
    Some((shape.to_vec(), values.collect()))
}

/// W / (uᵀ · W · v), with the rows of W along the one axis that `u` and `v` fit.
fn spectral(weight: &Tensor, u: &Tensor, v: &Tensor) -> Option<(Vec<usize>, Vec<f32>)> {
    let shape = weight.shape();
    let fits = |&axis: &usize| shape[axis] == u.len() && shape[axis] * v.len() == weight.len();
    let mut axes = (0..shape.len().min(2)).filter(fits);
    let axis = match (axes.next(), axes.next()) {
        (Some(axis), None) => axis,
        // Transposed convolutions, whose rows are along the second axis, have more than two.
        (Some(axis), Some(_)) if shape.len() == 2 => axis,
        // Nothing tells which of two axes was meant.
        _ => return None,
    };
    let inner: usize = shape[axis + 1..].iter().product();
    let mut sigma = 0.0f64;
    for (element, &value) in weight.as_slice().iter().enumerate() {
        let row = element / inner % shape[axis];
        let column = element / (inner * shape[axis]) * inner + element % inner;
        let factors = f64::from(u.as_slice()[row]) * f64::from(v.as_slice()[column]);
        sigma += f64::from(value) * factors;
    }
    let values = weight.as_slice().iter();
    let values = values.map(|&value| (f64::from(value) / sigma) as f32);
    Some((shape.to_vec(), values.collect()))
}
