//! What several layers need: checks of inputs and settings, axes, and pieces of configurations.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value};

use crate::settings::{Settings, resolve};
use crate::{Activation, Constraint, Initializer, Regularizer};

/// The only input.
pub(crate) fn single(inputs: &[Shape]) -> Result<&Shape, Detail> {
    match inputs {
        [input] => Ok(input),
        _ => Err(Detail::new(
            "",
            "1 input",
            format!("{} of them", inputs.len()),
        )),
    }
}

/// The only input, which must have `rank` axes.
pub(crate) fn of_rank(inputs: &[Shape], rank: usize) -> Result<&Shape, Detail> {
    let input = single(inputs)?;
    match input.rank() == rank {
        true => Ok(input),
        false => Err(Detail::new("", format!("an input of {rank} axes"), input)),
    }
}

/// The size of the last axis of the only input.
pub(crate) fn features(inputs: &[Shape]) -> Result<usize, Detail> {
    let input = single(inputs)?;
    match input.dims() {
        [_, .., Dim::Fixed(features)] => Ok(*features),
        _ => Err(Detail::new("", "an input (batch, …, features)", input)),
    }
}

/// The axes of `input` that these numbers mean, and their sizes. The batch is not among them.
pub(crate) fn fixed_axes(
    axes: &[isize],
    input: &Shape,
) -> Result<(Vec<usize>, Vec<usize>), Detail> {
    let resolved = resolve(axes, input.rank())?;
    let size = |&axis: &usize| match input.dims()[axis] {
        Dim::Fixed(size) => Ok(size),
        Dim::Batch => Err(Detail::new("axis", "axes other than the batch", input)),
    };
    let sizes = resolved.iter().map(size).collect::<Result<_, _>>()?;
    Ok((resolved, sizes))
}

/// The axes of `x` that these numbers mean; what does not fit was found when the layer was built.
pub(crate) fn axes_of(axes: &[isize], x: Var<'_>) -> Vec<usize> {
    resolve(axes, x.shape().rank()).unwrap_or_default()
}

/// The axes of `x` that are not among `axes`.
pub(crate) fn other_axes(axes: &[usize], x: Var<'_>) -> Vec<usize> {
    let all = 0..x.shape().rank();
    all.filter(|axis| !axes.contains(axis)).collect()
}

/// A weight with one axis for each of `axes` of `x`, shaped so that it goes with `x`.
pub(crate) fn along<'g>(weight: Var<'g>, axes: &[usize], x: Var<'g>) -> Var<'g> {
    let shape = x.shape();
    let last = (shape.rank() - axes.len())..shape.rank();
    if last.eq(axes.iter().copied()) {
        return weight;
    }
    let at = |axis: usize| match axes.contains(&axis) {
        true => shape.dims()[axis],
        false => Dim::Fixed(1),
    };
    weight.reshape((0..shape.rank()).map(at).collect::<Shape>())
}

/// A row of numbers.
pub(crate) fn row(values: &[f32]) -> Tensor {
    let mut row = Tensor::zeros([values.len()]);
    row.as_mut_slice().copy_from_slice(values);
    row
}

/// A configuration written with `json!`.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// A regularizer as Keras serializes it, or null.
pub(crate) fn regularizer(regularizer: &Option<Regularizer>) -> Value {
    let serialize = |regularizer: &Regularizer| regularizer.serialize();
    regularizer.as_ref().map_or(Value::Null, serialize)
}

/// A constraint as Keras serializes it, or null.
pub(crate) fn constraint(constraint: &Option<Constraint>) -> Value {
    let serialize = |constraint: &Constraint| constraint.serialize();
    constraint.as_ref().map_or(Value::Null, serialize)
}

impl Settings<'_> {
    /// A size that must be there.
    pub(crate) fn size(&self, key: &'static str) -> Result<usize, Detail> {
        match self.value(key) {
            None => Err(self.wrong(key, "a size", &Value::Null)),
            Some(value) => as_size(value).ok_or_else(|| self.wrong(key, "a size", value)),
        }
    }

    /// A size, or none.
    pub(crate) fn optional_size(&self, key: &'static str) -> Result<Option<usize>, Detail> {
        let read = |value: &Value| as_size(value).ok_or_else(|| self.wrong(key, "a size", value));
        self.value(key).map(read).transpose()
    }

    /// An activation, or none.
    pub(crate) fn activation(&self, key: &'static str) -> Result<Option<Activation>, Detail> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        // Keras takes a layer for an activation too; what all layers have is of no use there.
        let mut value = value.clone();
        if let Some(config) = value.get_mut("config").and_then(Value::as_object_mut) {
            for of_layers in ["name", "trainable", "dtype"] {
                config.remove(of_layers);
            }
        }
        let activation = match self.registry() {
            Some(registry) => registry.activation(&value),
            None => Activation::deserialize(&value),
        };
        activation.map(Some).map_err(|detail| detail.within(key))
    }

    /// An initializer.
    pub(crate) fn initializer(
        &self,
        key: &'static str,
        default: &str,
    ) -> Result<Initializer, Detail> {
        match self.value(key) {
            None => Ok(default.into()),
            Some(value) => {
                let made = match self.registry() {
                    Some(registry) => registry.initializer(value),
                    None => Initializer::deserialize(value),
                };
                made.map_err(|detail| detail.within(key))
            }
        }
    }

    /// A regularizer, or none.
    pub(crate) fn regularizer(&self, key: &'static str) -> Result<Option<Regularizer>, Detail> {
        let read = |value| {
            let made = match self.registry() {
                Some(registry) => registry.regularizer(value),
                None => Regularizer::deserialize(value),
            };
            made.map_err(|detail| detail.within(key))
        };
        self.value(key).map(read).transpose()
    }

    /// A constraint, or none.
    pub(crate) fn constraint(&self, key: &'static str) -> Result<Option<Constraint>, Detail> {
        let read = |value| {
            let made = match self.registry() {
                Some(registry) => registry.constraint(value),
                None => Constraint::deserialize(value),
            };
            made.map_err(|detail| detail.within(key))
        };
        self.value(key).map(read).transpose()
    }

    /// A whole number that is not negative, or none: a seed.
    pub(crate) fn seed(&self) -> Result<Option<u64>, Detail> {
        let key = "seed";
        let read = |value: &Value| {
            let seed = value.as_u64();
            seed.ok_or_else(|| self.wrong(key, "a whole number that is not negative", value))
        };
        self.value(key).map(read).transpose()
    }

    /// Whether the channels are the last axis, which Keras' `data_format` says.
    pub(crate) fn channels_last(&self) -> Result<bool, Detail> {
        match self.text("data_format", "channels_last")? {
            "channels_last" => Ok(true),
            "channels_first" => Ok(false),
            other => {
                let expected = "\"channels_last\" or \"channels_first\"";
                Err(self.wrong("data_format", expected, &other.into()))
            }
        }
    }

    /// Refuses a setting that would change what the layer computes in a way that is not supported:
    /// it must be absent, null or false.
    pub(crate) fn unsupported(&self, keys: &[&'static str]) -> Result<(), Detail> {
        for &key in keys {
            match self.value(key) {
                None | Some(Value::Bool(false)) => {}
                Some(value) => return Err(self.wrong(key, "it to be off (not supported)", value)),
            }
        }
        Ok(())
    }
}

/// A whole number that is not negative.
pub(crate) fn as_size(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|size| size.try_into().ok())
}
