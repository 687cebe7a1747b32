//! Bringing inputs to mean 0 and variance 1 with statistics of the data, found once.

use regraft_autograd::{Shape, Var};
use regraft_tensor::kernels::random::Key;
use regraft_tensor::{Detail, Tensor};
use serde_json::{Value, json};

use super::support::{along, axes_of, fixed_axes, object, row, single};
use crate::settings::{FromSettings, Map, Settings, number, require, resolve};
use crate::{Call, Class, Configured, Flow, Initializer, InitializerFunction, Layer, Weights};

/// The least standard deviation, so that a constant feature does not divide by zero.
const LEAST_DEVIATION: f32 = 1e-7;

/// `y = (x − mean) / max(√variance, 1e-7)`, or with `invert` the other way back.
///
/// | | |
/// |---|---|
/// | input, output | `(batch, …)`, the same |
/// | weights | `mean`, `variance` with the sizes of `axis`, `count` (state), unless mean and variance are given as settings |
/// | defaults | one mean and variance for each index of the last axis |
/// | frozen or not | computes the same: nothing but [`adapt`](Self::adapt) and loading changes the statistics, so they are constants |
///
/// ```
/// use regraft_layers::{Dense, Error, Input, Sequential, layers, layers::Normalization};
/// use regraft_tensor::Tensor;
///
/// let data = Tensor::new([4, 2], vec![0.0, 10.0, 2.0, 10.0, 0.0, 30.0, 2.0, 30.0])?;
/// let model = Sequential::new(layers![
///     Input::new([2]),
///     Normalization::new().adapt(&data).map_err(Error::Setting)?,
///     Dense::new(1),
/// ])?;
/// assert_eq!(model.weight("normalization/mean").unwrap().value().as_slice(), [1.0, 20.0]);
/// assert_eq!(model.weight("normalization/variance").unwrap().value().as_slice(), [1.0, 100.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Keras: <https://keras.io/api/layers/preprocessing_layers/numerical/normalization/>.
#[derive(Clone, Debug)]
pub struct Normalization {
    axis: Vec<isize>,
    given: Option<(Tensor, Tensor)>,
    adapted: Option<(Tensor, Tensor)>,
    invert: bool,
}

impl Default for Normalization {
    fn default() -> Self {
        Normalization {
            axis: vec![-1],
            given: None,
            adapted: None,
            invert: false,
        }
    }
}

impl Normalization {
    /// A layer that is to be [adapted](Self::adapt), or to get its statistics from a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// A layer with these statistics: one number each, or one for each index of the axis.
    pub fn with(mean: impl Into<Vec<f32>>, variance: impl Into<Vec<f32>>) -> Self {
        let statistic = |values: Vec<f32>| match values.as_slice() {
            [one] => Tensor::scalar(*one),
            values => row(values),
        };
        Self::with_statistics(statistic(mean.into()), statistic(variance.into()))
    }

    /// As [`with`](Self::with), for several axes: arrays whose last axes are those of
    /// [`axis`](Self::axis), as long as these or 1.
    pub fn with_statistics(mean: Tensor, variance: Tensor) -> Self {
        Normalization {
            given: Some((mean, variance)),
            ..Self::default()
        }
    }

    /// The axes that have statistics of their own; none for one mean and variance of everything.
    #[must_use]
    pub fn axis(mut self, axis: impl AsRef<[isize]>) -> Self {
        self.axis = axis.as_ref().to_vec();
        self
    }

    /// Whether it goes the other way: `y = mean + x · max(√variance, 1e-7)`.
    #[must_use]
    pub fn invert(mut self, invert: bool) -> Self {
        self.invert = invert;
        self
    }

    /// Takes mean and (population) variance from `data`, a batch of samples, of which there must be
    /// at least one.
    ///
    /// # Errors
    /// Data without samples, without the axis, or with values that are not finite.
    pub fn adapt(mut self, data: &Tensor) -> Result<Self, Detail> {
        let axes = resolve(&self.axis, data.ndim())?;
        require(
            !data.is_empty(),
            "adapt",
            "at least one sample",
            data.shape(),
        )?;
        let finite = data.as_slice().iter().all(|value| value.is_finite());
        require(finite, "adapt", "finite numbers", "some that are not")?;
        let sizes: Vec<usize> = axes.iter().map(|&axis| data.shape()[axis]).collect();
        let cells = sizes.iter().product::<usize>();
        let count = (data.len() / cells) as f64;
        let cell = |position: usize| cell(position, data.shape(), &axes);
        let mut mean = vec![0.0_f64; cells];
        for (position, &value) in data.as_slice().iter().enumerate() {
            mean[cell(position)] += f64::from(value) / count;
        }
        let mut variance = vec![0.0_f64; cells];
        for (position, &value) in data.as_slice().iter().enumerate() {
            let cell = cell(position);
            variance[cell] += (f64::from(value) - mean[cell]).powi(2) / count;
        }
        let tensor = |values: Vec<f64>| {
            let values = values.into_iter().map(|value| value as f32).collect();
            Tensor::new(&sizes, values).map_err(Detail::from)
        };
        self.adapted = Some((tensor(mean)?, tensor(variance)?));
        self.given = None;
        Ok(self)
    }

    /// Mean and variance, shaped so that they go with `x`.
    fn statistics<'g>(&self, call: &Call<'g, '_>, x: Var<'g>) -> (Var<'g>, Var<'g>) {
        let axes = axes_of(&self.axis, x);
        let statistic = |name: &str, given: Option<&Tensor>| match given {
            None => along(call.weight(name), &axes, x),
            Some(value) => {
                // Its last axes are the last of those that have statistics.
                let mut sizes = vec![1; x.shape().rank()];
                for (&axis, &size) in axes.iter().rev().zip(value.shape().iter().rev()) {
                    sizes[axis] = size;
                }
                let value = call.graph().constant(value.clone());
                value.reshape(&sizes)
            }
        };
        let mean = self.given.as_ref().map(|(mean, _)| mean);
        let variance = self.given.as_ref().map(|(_, variance)| variance);
        (statistic("mean", mean), statistic("variance", variance))
    }
}

/// Which of the statistics the element at `position` of an array of `shape` belongs to.
fn cell(mut position: usize, shape: &[usize], axes: &[usize]) -> usize {
    let (mut cell, mut stride) = (0, 1);
    for axis in (0..shape.len()).rev() {
        if axes.contains(&axis) {
            cell += position % shape[axis] * stride;
            stride *= shape[axis];
        }
        position /= shape[axis];
    }
    cell
}

impl Configured for Normalization {
    fn class(&self) -> Class<'_> {
        Class::new("keras.layers.Normalization")
    }

    fn config(&self) -> Map {
        let mean = self.given.as_ref().map(|(mean, _)| mean);
        let variance = self.given.as_ref().map(|(_, variance)| variance);
        object(json!({
            "axis": self.axis,
            "mean": mean.map(nested),
            "variance": variance.map(nested),
            "invert": self.invert,
        }))
    }
}

impl Layer for Normalization {
    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        let (axes, sizes) = fixed_axes(&self.axis, single(inputs)?)?;
        if let Some((mean, variance)) = &self.given {
            let aligned = mean.shape().iter().rev().zip(sizes.iter().rev());
            let fits = mean.shape() == variance.shape()
                && mean.ndim() <= sizes.len()
                && aligned
                    .into_iter()
                    .all(|(&given, &size)| given == size || given == 1);
            let expected = format!("one number each, or arrays that go with {sizes:?}");
            let received = format!("{:?}, {:?}", mean.shape(), variance.shape());
            return match fits {
                true => Ok(()),
                false => Err(Detail::new("mean, variance", expected, received)),
            };
        }
        let (mean, variance) = match &self.adapted {
            None => (Initializer::zeros(), Initializer::ones()),
            Some((mean, variance)) => {
                let expected = format!("data with {sizes:?}, as the inputs have");
                require(mean.shape() == sizes, "adapt", &expected, mean.shape())?;
                (Found(mean.clone()).into(), Found(variance.clone()).into())
            }
        };
        weights.state("mean", &sizes, &mean).fixed().along(&axes);
        weights
            .state("variance", &sizes, &variance)
            .fixed()
            .along(&axes);
        weights.state("count", [], &Initializer::zeros()).fixed();
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let x = inputs[0];
        let (mean, variance) = self.statistics(call, x);
        let deviation = variance.sqrt().maximum(LEAST_DEVIATION);
        match self.invert {
            true => mean + x * deviation,
            false => (x - mean) / deviation,
        }
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        // Keras 2 drops it here.
        call.mask(0).filter(|_| !call.as_keras2())
    }
}

impl FromSettings for Normalization {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let given = match (
            read_nested(settings, "mean")?,
            read_nested(settings, "variance")?,
        ) {
            (Some(mean), Some(variance)) => Some((mean, variance)),
            (None, None) => None,
            _ => {
                return Err(Detail::new(
                    "",
                    "mean and variance, or neither",
                    "one of them",
                ));
            }
        };
        Ok(Normalization {
            axis: settings
                .get::<Vec<isize>>("axis")?
                .unwrap_or_else(|| vec![-1]),
            given,
            adapted: None,
            invert: settings.or::<bool>("invert", false)?,
        })
    }
}

/// An array as Keras writes it: a number, or lists in lists.
fn nested(values: &Tensor) -> Value {
    fn part(shape: &[usize], values: &[f32]) -> Value {
        match shape.split_first() {
            None => number(values[0]),
            Some((_, rest)) => {
                let row = rest.iter().product::<usize>().max(1);
                values
                    .chunks(row)
                    .map(|part_of| part(rest, part_of))
                    .collect()
            }
        }
    }
    part(values.shape(), values.as_slice())
}

/// The sizes and elements of lists in lists, all of the same length at the same depth.
fn unnest(value: &Value, depth: usize, elements: &mut Vec<f32>) -> Option<Vec<usize>> {
    let Value::Array(items) = value else {
        elements.push(value.as_f64()? as f32);
        return Some(Vec::new());
    };
    // More axes than any input has.
    if depth > 16 {
        return None;
    }
    let mut sizes: Option<Vec<usize>> = None;
    for item in items {
        let of_item = unnest(item, depth + 1, elements)?;
        if *sizes.get_or_insert_with(|| of_item.clone()) != of_item {
            return None;
        }
    }
    let mut all = vec![items.len()];
    all.extend(sizes?);
    Some(all)
}

/// A number or lists in lists, also as Keras writes an array: `{"config": {"value": [...]}}`.
fn read_nested(settings: &Settings<'_>, key: &str) -> Result<Option<Tensor>, Detail> {
    let Some(value) = settings.value(key) else {
        return Ok(None);
    };
    let inner = value.get("config").and_then(|config| config.get("value"));
    let mut elements = Vec::new();
    let sizes = unnest(inner.unwrap_or(value), 0, &mut elements);
    let expected = "a number, or lists of numbers of the same lengths";
    let sizes = sizes.ok_or_else(|| settings.wrong(key, expected, value))?;
    Ok(Some(Tensor::new(&sizes, elements).map_err(Detail::from)?))
}

/// Statistics that `adapt` found, as the first values of a weight.
#[derive(Clone, Debug)]
struct Found(Tensor);

impl Configured for Found {
    fn class(&self) -> Class<'_> {
        Class::new("regraft.Found")
    }
}

impl InitializerFunction for Found {
    fn initialize(&self, _shape: &[usize], _key: Key) -> Result<Tensor, Detail> {
        Ok(self.0.clone())
    }
}
