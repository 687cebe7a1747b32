//! Low-rank updates in legacy `.h5` files: Keras stores `kernel`, `lora_kernel_a` and `lora_kernel_b` there
//! side by side, and what the layer computes with is `kernel + alpha / rank · a · b`. In `.keras` and
//! `.weights.h5` files it stores the sum; here the sum is made on reading.

use regraft_tensor::Tensor;
use serde_json::Value;

use crate::{Checkpoint, Error, Result, SavedWeight, TensorData};

/// Adds every update to the weight that it belongs to and leaves the pairs out.
///
/// # Errors
/// [`Error::Missing`] if half of a pair, the weight, or the strength of the update is not in the file:
/// without it there is no telling what the network computed with. [`Error::Format`] for shapes that do
/// not go together.
pub(crate) fn merge(checkpoint: &mut Checkpoint) -> Result<()> {
    let config = checkpoint.config.clone().unwrap_or(Value::Null);
    for layer in &mut checkpoint.layers {
        while let Some(position) = layer.weights.iter().position(|w| part(w, "_a").is_some()) {
            let a = layer.weights.remove(position);
            let updated = part(&a, "_a").unwrap_or_default().to_string();
            let scope = a.scope().unwrap_or_default().to_string();
            let of_layer = |weight: &SavedWeight| weight.scope() == Some(&scope);
            let mut weights = layer.weights.iter();
            let b = weights.position(|w| of_layer(w) && part(w, "_b") == Some(&updated));
            let Some(b) = b else {
                return Err(Error::missing(&a.path, "the other half of the update", ""));
            };
            let b = layer.weights.remove(b);
            let mut weights = layer.weights.iter_mut();
            let weight = weights.find(|w| of_layer(w) && w.variable() == Some(&updated));
            let Some(weight) = weight else {
                let expected = format!("the weight {updated:?} beside its update");
                return Err(Error::missing(&a.path, expected, ""));
            };
            let name = scope.rsplit('/').next().unwrap_or_default();
            let name = if name.is_empty() { &layer.path } else { name };
            let alpha = find(&config, name).and_then(|config| config["lora_alpha"].as_f64());
            let Some(alpha) = alpha else {
                let missing = Error::missing(&a.path, "`lora_alpha` of the layer", "weights alone");
                return Err(missing.help("save the whole model, or save after merging in Keras"));
            };
            *weight = SavedWeight {
                path: format!("{} + {alpha} / rank · a · b", weight.path),
                name: weight.name.clone(),
                tensor: sum(weight, &a, &b, alpha as f32)?,
            };
        }
    }
    Ok(())
}

/// `kernel` of `lora_kernel_a`, given `_a`.
fn part<'w>(weight: &'w SavedWeight, half: &str) -> Option<&'w str> {
    weight.variable()?.strip_prefix("lora_")?.strip_suffix(half)
}

/// `weight + alpha / rank · a · b`; the product is over the last axis of `a`.
fn sum(weight: &SavedWeight, a: &SavedWeight, b: &SavedWeight, alpha: f32) -> Result<TensorData> {
    let (x, a_values, b_values) = (
        weight.tensor.to_tensor()?,
        a.tensor.to_tensor()?,
        b.tensor.to_tensor()?,
    );
    let (rank, columns) = match *b_values.shape() {
        [rank, columns] if rank > 0 && columns > 0 => (rank, columns),
        _ => {
            return Err(Error::format(
                &b.path,
                "a matrix",
                format!("{:?}", b.tensor.shape()),
            ));
        }
    };
    let rows = x
        .shape()
        .split_last()
        .map(|(_, rows)| rows)
        .unwrap_or_default();
    let fits =
        x.shape().last() == Some(&columns) && a_values.shape().split_last() == Some((&rank, rows));
    if !fits {
        let expected = format!("shape {rows:?} and the rank {rank}");
        let received = format!("{:?} for a weight of {:?}", a_values.shape(), x.shape());
        return Err(Error::format(&a.path, expected, received));
    }
    let scale = alpha / rank as f32;
    let mut merged = x.as_slice().to_vec();
    let lines = merged.chunks_exact_mut(columns);
    for (line, a) in lines.zip(a_values.as_slice().chunks_exact(rank)) {
        for (column, value) in line.iter_mut().enumerate() {
            let products = a
                .iter()
                .zip(b_values.as_slice()[column..].iter().step_by(columns));
            *value += scale * products.map(|(a, b)| a * b).sum::<f32>();
        }
    }
    let merged = Tensor::new(x.shape(), merged).expect("as many elements as before");
    Ok(merged.into())
}

/// The settings of the layer called `name`, at any depth.
fn find<'c>(config: &'c Value, name: &str) -> Option<&'c Value> {
    match config {
        Value::Object(object) => {
            let settings = object
                .get("config")
                .filter(|settings| settings["name"] == name && settings.get("lora_rank").is_some());
            settings.or_else(|| object.values().find_map(|value| find(value, name)))
        }
        Value::Array(values) => values.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, SavedLayer};
    use serde_json::json;

    /// A layer with `kernel` (2, 3) and an update of rank 1.
    fn checkpoint(alpha: Option<f64>) -> Checkpoint {
        let tensor = |shape: &[usize], values: &[f32]| Tensor::new(shape, values.to_vec()).unwrap();
        let mut checkpoint = Checkpoint::new(Format::LegacyModel);
        checkpoint.config = alpha.map(|alpha| {
            json!({"config": {"layers": [
                {"class_name": "Dense", "config": {"name": "d", "lora_rank": 1, "lora_alpha": alpha}},
            ]}})
        });
        checkpoint.layers = vec![
            SavedLayer::new("d", "d")
                .with(
                    "m/d/kernel",
                    tensor(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
                )
                .with("m/d/bias", tensor(&[3], &[0.5; 3]))
                .with("m/d/lora_kernel_a", tensor(&[2, 1], &[1.0, -1.0]))
                .with("m/d/lora_kernel_b", tensor(&[1, 3], &[10.0, 20.0, 30.0])),
        ];
        checkpoint
    }

    #[test]
    fn the_update_is_added_with_its_strength() {
        let mut checkpoint = checkpoint(Some(0.5));
        merge(&mut checkpoint).unwrap();
        let weights = &checkpoint.layers[0].weights;
        assert_eq!(weights.len(), 2);
        let kernel = weights[0].tensor.to_tensor().unwrap();
        assert_eq!(kernel.as_slice(), [6.0, 12.0, 18.0, -1.0, -5.0, -9.0]);
    }

    #[test]
    fn what_is_missing_is_said_and_never_guessed() {
        let error = merge(&mut checkpoint(None)).unwrap_err().to_string();
        assert!(error.contains("lora_alpha"), "{error}");
        let mut half = checkpoint(Some(1.0));
        half.layers[0].weights.pop();
        assert!(matches!(merge(&mut half), Err(Error::Missing(_))));
        let mut bare = checkpoint(Some(1.0));
        bare.layers[0].weights.remove(0);
        assert!(matches!(merge(&mut bare), Err(Error::Missing(_))));
        let mut wrong = checkpoint(Some(1.0));
        wrong.layers[0].weights[3].tensor = Tensor::zeros([1, 4]).into();
        assert!(matches!(merge(&mut wrong), Err(Error::Format(_))));
    }
}
