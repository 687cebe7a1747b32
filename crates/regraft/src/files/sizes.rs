//! Files of models whose inputs may differ in size from sample to sample (`Input((None, None, 3))`), opened
//! for one size.

use std::path::Path;

use regraft_tensor::Detail;
use serde_json::Value;

use crate::registry::Registry;
use crate::{Error, LoadReport, Model, Result};

impl Model {
    /// As [`open_with`](Self::open_with), for samples of this shape, where the file leaves sizes open:
    /// `Model::open_sized("net.keras", [224, 224, 3], &Registry::new())`. Inputs of nested models that leave
    /// them open get the same sizes; where what reaches one has others, that is an error. Saved again, the
    /// model has these sizes.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Error::Setting`] if the file leaves no size open that goes with `sample`.
    pub fn open_sized(
        path: impl AsRef<Path>,
        sample: impl AsRef<[usize]>,
        registry: &Registry,
    ) -> Result<(Self, LoadReport)> {
        let (path, sample) = (path.as_ref(), sample.as_ref());
        let source = path.display().to_string();
        let mut checkpoint = regraft_io::read(path)?;
        let filled = checkpoint
            .config
            .as_mut()
            .map(|config| fill(config, sample));
        if filled == Some(0) {
            let expected = "the shape of samples where the file leaves sizes open";
            let detail = Detail::new(source, expected, format!("{sample:?}"));
            let help = "open it with `open` if its sizes are fixed";
            return Err(Error::Setting(detail.help(help)));
        }
        Self::from_checkpoint(&checkpoint, &source, registry)
    }
}

/// Where a configuration has the shapes of inputs, with the batch in front.
const SHAPES: [&str; 3] = ["batch_shape", "batch_input_shape", "build_input_shape"];

/// Writes the sizes of `sample` into shapes that leave some open and agree with it in the others, and
/// counts these shapes.
fn fill(config: &mut Value, sample: &[usize]) -> usize {
    match config {
        Value::Object(object) => object
            .iter_mut()
            .map(|(key, value)| match value.as_array_mut() {
                Some(shape) if SHAPES.contains(&key.as_str()) => fill_shape(shape, sample),
                _ => fill(value, sample),
            })
            .sum(),
        Value::Array(values) => values.iter_mut().map(|value| fill(value, sample)).sum(),
        _ => 0,
    }
}

fn fill_shape(shape: &mut [Value], sample: &[usize]) -> usize {
    let Some((_batch, sizes)) = shape.split_first_mut() else {
        return 0;
    };
    let agrees = |(size, given): (&Value, &usize)| size.is_null() || *size == *given;
    let fits = sizes.len() == sample.len()
        && sizes.iter().any(Value::is_null)
        && sizes.iter().zip(sample).all(agrees);
    if !fits {
        return 0;
    }
    for (size, given) in sizes.iter_mut().zip(sample) {
        *size = (*given).into();
    }
    1
}
