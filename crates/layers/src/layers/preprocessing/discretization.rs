//! Amounts as the numbers of the bins that they are in.

use std::sync::Arc;

use regraft_autograd::{DataType, Forward, Op, Output, Shape, Var};
use regraft_tensor::{Detail, Tensor};
use serde_json::{Value, json};

use super::encoding::OutputMode;
use crate::layers::object;
use crate::layers::support::single;
use crate::settings::{FromSettings, Map, Settings, number, require};
use crate::{Call, Class, Configured, Layer, Weights};

/// The number of the bin that each element is in: how many of the boundaries it is not below; then in one of
/// the forms of [`OutputMode`].
///
/// | | |
/// |---|---|
/// | input | `(batch, n)` |
/// | output | the same shape with integers, or rows of zeros and ones |
/// | weights | none; being frozen changes nothing |
/// | defaults | `int` |
///
/// ```
/// use regraft_layers::layers::Discretization;
/// use regraft_tensor::Tensor;
///
/// let data = Tensor::new([20, 1], (0..20).map(|x| x as f32).collect())?;
/// let layer = Discretization::bins(4).adapt(&data)?;
/// assert_eq!(layer.boundaries(), [4.0, 9.0, 14.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Keras: <https://keras.io/api/layers/preprocessing_layers/numerical/discretization/>.
#[derive(Clone, Debug)]
pub struct Discretization {
    boundaries: Option<Vec<f32>>,
    num_bins: Option<usize>,
    epsilon: f32,
    output_mode: OutputMode,
}

impl Discretization {
    /// A layer with these boundaries between bins.
    pub fn new(boundaries: impl Into<Vec<f32>>) -> Self {
        Discretization {
            boundaries: Some(boundaries.into()),
            num_bins: None,
            epsilon: 0.01,
            output_mode: OutputMode::Int,
        }
    }

    /// A layer that is to be [adapted](Self::adapt): to this many bins, as full as one another.
    pub fn bins(num_bins: usize) -> Self {
        Discretization {
            boundaries: None,
            num_bins: Some(num_bins),
            epsilon: 0.01,
            output_mode: OutputMode::Int,
        }
    }

    /// How coarsely [`adapt`](Self::adapt) looks at the data: 0.01 (a hundred steps) unless told
    /// otherwise.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f32) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// `"int"` unless told otherwise, `"one_hot"`, `"multi_hot"` or `"count"`.
    #[must_use]
    pub fn output_mode(mut self, mode: impl Into<OutputMode>) -> Self {
        self.output_mode = mode.into();
        self
    }

    /// The boundaries; none before it is adapted.
    pub fn boundaries(&self) -> &[f32] {
        self.boundaries.as_deref().unwrap_or_default()
    }

    /// Finds boundaries between which there are as many elements of `data` each.
    ///
    /// # Errors
    /// A layer that was given boundaries, and data that are empty or not finite.
    pub fn adapt(mut self, data: &Tensor) -> Result<Self, Detail> {
        let Some(bins) = self.num_bins else {
            let expected = "a layer that was made with `bins`";
            return Err(Detail::new("adapt", expected, "one with boundaries"));
        };
        let finite = data.as_slice().iter().all(|value| value.is_finite());
        require(
            finite && !data.is_empty(),
            "adapt",
            "finite numbers",
            data.shape(),
        )?;
        require(bins > 0, "num_bins", "at least 1", bins)?;
        let share = self.epsilon > 0.0 && self.epsilon <= 1.0;
        require(share, "epsilon", "a number above 0, up to 1", self.epsilon)?;
        let mut values = data.as_slice().to_vec();
        values.sort_by(f32::total_cmp);
        // The number that was meant, not the nearest one of 32 bits.
        let epsilon: f64 = self.epsilon.to_string().parse().unwrap_or(0.01);
        let step = (values.len() as f64 / (1.0 / epsilon)).max(1.0);
        let picked = values[(step - 1.0) as usize..]
            .iter()
            .step_by(step as usize);
        let summary: Vec<(f64, f64)> = picked.map(|&value| (f64::from(value), step)).collect();
        // As Keras has it, once for the data and once for the bins.
        let summary = compress(summary, epsilon);
        let mut bins = compress(summary, 1.0 / bins as f64);
        bins.pop();
        self.boundaries = Some(bins.into_iter().map(|(value, _)| value as f32).collect());
        Ok(self)
    }

    fn depth(&self) -> usize {
        self.boundaries().len() + 1
    }
}

/// The height at `x` of the line through points that ascend in x; outside, that of the first or last.
fn interpolate(x: f64, xs: &[f64], ys: &[f64]) -> f64 {
    let after = xs.partition_point(|&other| other <= x);
    match after {
        0 => ys[0],
        after if after == xs.len() => ys[after - 1],
        after => {
            let (x0, x1, y0, y1) = (xs[after - 1], xs[after], ys[after - 1], ys[after]);
            y0 + (y1 - y0) / (x1 - x0) * (x - x0)
        }
    }
}

/// Values and their weights, as `1 / epsilon` values with as much weight each.
fn compress(summary: Vec<(f64, f64)>, epsilon: f64) -> Vec<(f64, f64)> {
    if (summary.len() as f64) * epsilon < 1.0 {
        return summary;
    }
    let mut sum = 0.0;
    let sums: Vec<f64> = summary
        .iter()
        .map(|(_, weight)| {
            sum += weight;
            sum
        })
        .collect();
    let shares: Vec<f64> = sums.iter().map(|part| part / sum).collect();
    let values: Vec<f64> = summary.iter().map(|(value, _)| *value).collect();
    let steps = (1.0 / epsilon).ceil() as usize;
    let mut before = 0.0;
    (0..steps)
        .map(|step| {
            let share = epsilon + step as f64 * epsilon;
            let value = interpolate(share, &shares, &values);
            let weight = interpolate(share, &shares, &sums);
            let more = weight - before;
            before = weight;
            (f64::from(value as f32), f64::from(more as f32))
        })
        .collect()
}

/// How many boundaries each element is not below.
#[derive(Clone, Debug)]
struct Bucketize(Arc<[f32]>);

impl Op for Bucketize {
    fn name(&self) -> &str {
        "bucketize"
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(operands[0].clone())
    }

    fn data_type(&self) -> DataType {
        DataType::I32
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        for (out, &x) in output.i32().iter_mut().zip(operands.f32(0)) {
            // What is no number is above all.
            let not_below = |boundary: &f32| x.is_nan() || *boundary <= x;
            *out = self.0.partition_point(not_below) as i32;
        }
        Ok(())
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

impl Configured for Discretization {
    fn class(&self) -> Class<'_> {
        Class::new("keras.layers.Discretization").without("trainable")
    }

    fn config(&self) -> Map {
        let boundaries = self.boundaries.as_ref();
        object(json!({
            "bin_boundaries": boundaries.map(|b| b.iter().copied().map(number).collect::<Value>()),
            "num_bins": self.num_bins,
            "epsilon": number(self.epsilon),
            "output_mode": self.output_mode.name(),
            "sparse": false,
            "dtype": "float32",
        }))
    }
}

impl Layer for Discretization {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        single(inputs)?;
        let Some(boundaries) = &self.boundaries else {
            let detail = Detail::new("", "a layer that knows its boundaries", "one that does not");
            return Err(detail.help("call `adapt` with data first"));
        };
        let ascend = boundaries.windows(2).all(|pair| pair[0] <= pair[1]);
        require(ascend, "bin_boundaries", "numbers that ascend", boundaries)?;
        self.output_mode.check(&[
            OutputMode::Int,
            OutputMode::OneHot,
            OutputMode::MultiHot,
            OutputMode::Count,
        ])
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let bucketize = Bucketize(self.boundaries().into());
        let bins = call.graph().apply(bucketize, &[inputs[0]]);
        self.output_mode.encode(bins, self.depth())
    }
}

impl FromSettings for Discretization {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        settings.unsupported(&["sparse"])?;
        Ok(Discretization {
            boundaries: settings.get::<Vec<f32>>("bin_boundaries")?,
            num_bins: settings.get::<usize>("num_bins")?,
            epsilon: settings.or::<f32>("epsilon", 0.01)?,
            output_mode: settings.or("output_mode", OutputMode::Int)?,
        })
    }
}
