//! Random numbers, new ones at each step: the same seed, stream and step give the same numbers, on
//! any number of threads.

use regraft_tensor::Detail;
use regraft_tensor::kernels::{elementwise, random};

use crate::{Attribute, Attributes, Forward, Graph, Op, Output, Shape, Var, attributes};

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// Evenly from `low` to below `high`.
    Uniform {
        /// The smallest number.
        low: f32,
        /// Above the largest number.
        high: f32,
    },
    /// Normally distributed.
    Normal {
        /// The mean.
        mean: f32,
        /// The standard deviation.
        stddev: f32,
    },
    /// 1 with this probability, else 0.
    Bernoulli {
        /// The probability of 1.
        probability: f32,
    },
}

/// Random numbers of stream `stream`, without operands. Step `s` draws element `i` at position
/// `s · 2³² + i` of the stream, so that no step repeats numbers of another.
#[derive(Clone, Debug)]
pub struct Random {
    /// What is drawn.
    pub distribution: Distribution,
    /// Which of the seed's streams: each random op of a model has its own.
    pub stream: u64,
    /// The shape of the result, which may contain the batch.
    pub shape: Shape,
}

impl From<Distribution> for Attribute {
    fn from(distribution: Distribution) -> Self {
        let kind = |name: &'static str| Attributes::none().with("kind", name);
        Attribute::Group(match distribution {
            Distribution::Uniform { low, high } => {
                kind("uniform").with("low", low).with("high", high)
            }
            Distribution::Normal { mean, stddev } => {
                kind("normal").with("mean", mean).with("stddev", stddev)
            }
            Distribution::Bernoulli { probability } => {
                kind("bernoulli").with("probability", probability)
            }
        })
    }
}

impl Op for Random {
    fn name(&self) -> &str {
        match self.distribution {
            Distribution::Uniform { .. } => "random_uniform",
            Distribution::Normal { .. } => "random_normal",
            Distribution::Bernoulli { .. } => "bernoulli",
        }
    }

    attributes!(distribution, stream, shape);

    fn shape(&self, _operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(self.shape.clone())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let (key, offset) = (operands.key(self.stream), operands.step() << 32);
        let out = output.f32();
        match self.distribution {
            Distribution::Uniform { low, high } => {
                random::uniform(key, offset, out);
                if (low, high) != (0.0, 1.0) {
                    elementwise::map_in_place(out, move |u| low + u * (high - low));
                }
            }
            Distribution::Normal { mean, stddev } => {
                random::normal(key, offset, out);
                if (mean, stddev) != (0.0, 1.0) {
                    elementwise::map_in_place(out, move |z| mean + z * stddev);
                }
            }
            Distribution::Bernoulli { probability } => {
                random::uniform(key, offset, out);
                elementwise::map_in_place(out, move |u| (u < probability) as i32 as f32);
            }
        }
        Ok(())
    }

    fn is_random(&self) -> bool {
        true
    }
}

impl Graph {
    /// Numbers drawn evenly from `low` to below `high` at each step, from stream `stream` of the
    /// run's seed.
    pub fn random_uniform(
        &self,
        stream: u64,
        shape: impl Into<Shape>,
        low: f32,
        high: f32,
    ) -> Var<'_> {
        self.random(stream, shape, Distribution::Uniform { low, high })
    }

    /// Normally distributed numbers drawn at each step, from stream `stream` of the run's seed.
    pub fn random_normal(
        &self,
        stream: u64,
        shape: impl Into<Shape>,
        mean: f32,
        stddev: f32,
    ) -> Var<'_> {
        self.random(stream, shape, Distribution::Normal { mean, stddev })
    }

    /// Ones with `probability`, else zeros, drawn at each step from stream `stream` of the run's
    /// seed: the mask of dropout.
    pub fn bernoulli(&self, stream: u64, shape: impl Into<Shape>, probability: f32) -> Var<'_> {
        self.random(stream, shape, Distribution::Bernoulli { probability })
    }

    fn random(&self, stream: u64, shape: impl Into<Shape>, distribution: Distribution) -> Var<'_> {
        let shape = shape.into();
        let random = Random {
            distribution,
            stream,
            shape,
        };
        self.apply(random, &[])
    }
}
