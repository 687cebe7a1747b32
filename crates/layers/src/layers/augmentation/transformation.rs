//! What a layer of this folder is: settings, and what it makes of a batch of images with random numbers.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use regraft_autograd::{Dim, Forward, Op, Output, Shape, Var};
use regraft_tensor::Detail;
use regraft_tensor::kernels::random::{self, Key};

use crate::Call;
use crate::layers::spatial::{DataFormat, image, in_format, require_cells};

/// The sizes of a batch of images, channels last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Images {
    pub samples: usize,
    pub rows: usize,
    pub columns: usize,
    pub channels: usize,
}

impl Images {
    /// The elements of one image.
    pub fn row(&self) -> usize {
        self.rows * self.columns * self.channels
    }

    /// `[rows, columns, channels]`.
    pub fn size(&self) -> [usize; 3] {
        [self.rows, self.columns, self.channels]
    }
}

/// What all layers that change images are told.
pub(crate) trait Common {
    /// The stream of random numbers.
    fn seed(&self) -> Option<u64>;

    /// Where the channels are.
    fn data_format(&self) -> DataFormat;
}

/// The settings of a layer that changes images, and what it makes of them.
pub(crate) trait Transformation: Common + fmt::Debug + Send + Sync + 'static {
    /// What is wrong with the settings, or with images of `channels`.
    fn check(&self, channels: usize) -> Result<(), Detail>;

    /// Rows and columns of the result.
    fn output_size(&self, size: [usize; 2]) -> [usize; 2] {
        size
    }

    /// Whether nothing is drawn.
    fn is_deterministic(&self) -> bool {
        false
    }

    /// Whether a sample's result depends on that sample alone.
    fn keeps_samples_apart(&self) -> bool {
        false
    }

    /// Writes the result for the images `x` into `y`.
    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]);
}

/// Where the random numbers of one application come from: each call gives others, and number `i` of a
/// call depends on `i`, not on how many there are.
#[derive(Debug)]
pub(crate) struct Draws {
    key: Key,
    step: u64,
    next: Cell<u64>,
}

impl Draws {
    pub fn new(key: Key, step: u64) -> Self {
        Draws {
            key,
            step,
            next: Cell::new(0),
        }
    }

    /// For what draws nothing.
    pub fn none() -> Self {
        Draws::new(Key::new(0, 0), 0)
    }

    fn next_key(&self) -> Key {
        let number = self.next.get();
        self.next.set(number + 1);
        self.key.child(number)
    }

    /// A key and the step, for random numbers of something inside.
    pub fn fork(&self) -> (Key, u64) {
        (self.next_key(), self.step)
    }

    /// `count` numbers from `low` to below `high`.
    pub fn uniform(&self, count: usize, (low, high): (f32, f32)) -> Vec<f32> {
        let mut numbers = vec![0.0; count];
        random::uniform(self.next_key(), self.step << 32, &mut numbers);
        let place = |u: &mut f32| *u = low + *u * (high - low);
        numbers.iter_mut().for_each(place);
        numbers
    }

    /// One number from `low` to below `high`.
    pub fn one(&self, range: (f32, f32)) -> f32 {
        self.uniform(1, range)[0]
    }

    /// One of the whole numbers below `end`.
    pub fn below(&self, end: usize) -> usize {
        (self.one((0.0, end as f32)) as usize).min(end.saturating_sub(1))
    }

    /// Whether, for each of `count` samples: with a probability that is itself drawn for each.
    pub fn chances(&self, count: usize, probability: (f32, f32)) -> Vec<bool> {
        let probabilities = self.uniform(count, probability);
        let thresholds = self.uniform(count, (0.0, 1.0));
        let chance = |(threshold, probability)| threshold < probability;
        thresholds
            .into_iter()
            .zip(probabilities)
            .map(chance)
            .collect()
    }

    /// `count` numbers of the standard normal distribution.
    pub fn normal(&self, count: usize) -> Vec<f32> {
        let mut numbers = vec![0.0; count];
        random::normal(self.next_key(), self.step << 32, &mut numbers);
        numbers
    }

    /// The numbers below `count` in random order.
    pub fn permutation(&self, count: usize) -> Vec<u32> {
        random::permutation(self.next_key().child(self.step), count as u32)
    }

    /// `count` numbers of the gamma distribution of shape `alpha` and scale 1 (Marsaglia and Tsang, "A
    /// simple method for generating gamma variables", 2000).
    pub fn gamma(&self, count: usize, alpha: f64) -> Vec<f64> {
        let key = self.next_key().child(self.step);
        let number = |index: usize| {
            let key = key.child(index as u64);
            // Below 1, the number for `alpha + 1` is scaled down.
            let boosted = if alpha < 1.0 { alpha + 1.0 } else { alpha };
            let d = boosted - 1.0 / 3.0;
            let c = 1.0 / (9.0 * d).sqrt();
            let (mut uniform, mut normal) = ([0.0_f32; 2], [0.0_f32; 1]);
            let mut round = 0;
            loop {
                random::uniform(key.child(0), 2 * round, &mut uniform);
                random::normal(key.child(1), round, &mut normal);
                let z = f64::from(normal[0]);
                let v = (1.0 + c * z).powi(3);
                // From above 0 to 1.
                let u = 1.0 - f64::from(uniform[0]);
                if v > 0.0 && u.ln() < 0.5 * z * z + d - d * v + d * v.ln() {
                    let share = match alpha < 1.0 {
                        true => (1.0 - f64::from(uniform[1])).powf(1.0 / alpha),
                        false => 1.0,
                    };
                    return d * v * share;
                }
                round += 1;
            }
        };
        (0..count).map(number).collect()
    }

    /// `count` numbers of the beta distribution with both parameters `alpha`.
    pub fn beta(&self, count: usize, alpha: f64) -> Vec<f32> {
        let (a, b) = (self.gamma(count, alpha), self.gamma(count, alpha));
        let share = |(a, b): (f64, f64)| match a + b > 0.0 {
            true => (a / (a + b)) as f32,
            // Both are too small for a number.
            false => 0.5,
        };
        a.into_iter().zip(b).map(share).collect()
    }
}

/// An application of a [`Transformation`] in a graph.
#[derive(Debug)]
struct Augment {
    transformation: Arc<dyn Transformation>,
    stream: u64,
}

impl Op for Augment {
    fn name(&self) -> &str {
        "augment"
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        match *operands[0].dims() {
            [batch, Dim::Fixed(rows), Dim::Fixed(columns), channels] => {
                let size = self.transformation.output_size([rows, columns]);
                let [rows, columns] = size.map(Dim::Fixed);
                Ok([batch, rows, columns, channels].into())
            }
            _ => Err(Detail::new(
                "",
                "images (batch, rows, columns, channels)",
                operands[0],
            )),
        }
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let &[samples, rows, columns, channels] = operands.shape(0) else {
            return Err(Detail::new(
                "",
                "images",
                format!("{:?}", operands.shape(0)),
            ));
        };
        let images = Images {
            samples,
            rows,
            columns,
            channels,
        };
        let draws = Draws::new(operands.key(self.stream), operands.step());
        let transformation = &self.transformation;
        transformation.transform(operands.f32(0), images, &draws, output.f32());
        Ok(())
    }

    fn keeps_samples_apart(&self) -> bool {
        self.transformation.is_deterministic() && self.transformation.keeps_samples_apart()
    }

    fn is_random(&self) -> bool {
        !self.transformation.is_deterministic()
    }
}

/// Whether the settings are right, and the inputs images that they fit.
pub(crate) fn check(transformation: &impl Transformation, inputs: &[Shape]) -> Result<(), Detail> {
    let channels_first = transformation.data_format().is_channels_first();
    let (sizes, channels) = image::<2>(inputs, channels_first)?;
    require_cells(
        "rows, columns, channels",
        1,
        &[sizes[0], sizes[1], channels],
    )?;
    transformation.check(channels)
}

/// The images `x` changed.
pub(crate) fn apply<'g>(
    transformation: &(impl Transformation + Clone),
    call: &Call<'g, '_>,
    x: Var<'g>,
) -> Var<'g> {
    let stream = match transformation.is_deterministic() {
        true => 0,
        false => call.stream(transformation.seed()),
    };
    let augment = Augment {
        transformation: Arc::new(transformation.clone()),
        stream,
    };
    in_format(x, transformation.data_format().is_channels_first(), |x| {
        call.graph().apply(augment, &[x])
    })
}

/// What a layer is told, by its settings.
macro_rules! common {
    ($layer:ident) => {
        impl $crate::layers::augmentation::transformation::Common for $layer {
            fn seed(&self) -> Option<u64> {
                self.seed
            }

            fn data_format(&self) -> $crate::layers::spatial::DataFormat {
                self.data_format
            }
        }
    };
}
pub(crate) use common;

/// A [`Transformation`] that is a layer, under its name in Keras; in inference it changes nothing.
macro_rules! augmentation {
    ($layer:ident) => {
        augmentation!($layer, |call| call.training());
    };
    ($layer:ident, |$call:ident| $active:expr) => {
        impl $crate::Layer for $layer {
            fn build(
                &self,
                inputs: &[regraft_autograd::Shape],
                _weights: &mut $crate::Weights,
            ) -> Result<(), regraft_tensor::Detail> {
                $crate::layers::augmentation::transformation::check(self, inputs)
            }

            fn call<'g>(
                &self,
                $call: &$crate::Call<'g, '_>,
                inputs: &[regraft_autograd::Var<'g>],
            ) -> regraft_autograd::Var<'g> {
                match $active {
                    true => {
                        $crate::layers::augmentation::transformation::apply(self, $call, inputs[0])
                    }
                    false => inputs[0],
                }
            }
        }

        $crate::layers::augmentation::transformation::common!($layer);

        impl $layer {
            /// Takes and gives images with the channels first, as Keras does with
            /// `data_format="channels_first"`: they are turned before and after.
            #[must_use]
            pub fn channels_first(mut self) -> Self {
                self.data_format = $crate::layers::spatial::DataFormat::ChannelsFirst;
                self
            }
        }
    };
}
pub(crate) use augmentation;
