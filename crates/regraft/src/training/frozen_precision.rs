//! What is frozen, computed in a faster way than exactly, with narrower numbers or fewer multiplications: asked for,
//! calibrated on samples, and compared with the exact features.

use std::fmt;
use std::sync::Arc;

use regraft_autograd::passes::{
    NumberFormat, fuse, low_precision, optimize, optimize_unfused, split_at, winograd,
};
use regraft_autograd::{BatchWorkspace, Calibration, Feed, Graph, Nodes, Program, Run, ops};
use regraft_layers::{Mode, Model as Network, Summary, WeightStore};
use regraft_tensor::{Detail, Tensor};

use crate::training::input::{Data, IntoInputs};
use crate::training::inputs::Inputs;
use crate::training::number::next_number;
use crate::{Error, Model, Result};

/// The most samples that are calibrated on.
const SAMPLES: usize = 32;

/// How frozen layers are computed, if not exactly: see [`Model::set_frozen_precision`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrozenPrecision {
    way: Way,
    least: f32,
}

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// The numbers.
    Narrow(NumberFormat),
    /// The sums.
    Winograd,
}

impl FrozenPrecision {
    /// 8-bit integers: weights with a step for each filter, values between layers with a range for each layer's, which
    /// is that of the samples without the outermost ten-thousandth at each end; sums are exact, and each filter's bias
    /// makes up for what rounding does to its mean.
    pub fn int8() -> Self {
        FrozenPrecision {
            way: Way::Narrow(NumberFormat::Int8),
            least: 0.9,
        }
    }

    /// bfloat16, the first 16 bits of a float: weights and the values that they are multiplied with are rounded to
    /// it, sums and all else are 32-bit floats.
    pub fn bfloat16() -> Self {
        FrozenPrecision {
            way: Way::Narrow(NumberFormat::Bfloat16),
            least: 0.99,
        }
    }

    /// 32-bit floats with fewer multiplications: convolutions of 3×3 taps that move by one, of 32 channels and filters
    /// or more, by Winograd's minimal filtering of 2×2 pixels at a time, 16 multiplications where the sum has 36. It
    /// rounds about as much as the sum itself, but elsewhere, so features are near and not the same in every bit; they
    /// are the same bytes on every machine with fused multiply-add. Nothing is calibrated.
    pub fn winograd() -> Self {
        FrozenPrecision {
            way: Way::Winograd,
            least: 0.9999,
        }
    }

    /// The least mean cosine similarity between features in this precision and exact ones that is accepted;
    /// 0.9 for integers, 0.99 for bfloat16 and 0.9999 for Winograd's filtering unless told otherwise.
    #[must_use]
    pub fn least_similarity(mut self, least: f32) -> Self {
        self.least = least;
        self
    }
}

impl fmt::Display for FrozenPrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.way {
            Way::Narrow(NumberFormat::Int8) => "int8",
            Way::Narrow(NumberFormat::Bfloat16) => "bfloat16",
            Way::Winograd => "float32 by Winograd's F(2x2, 3x3)",
        })
    }
}

/// How near what frozen layers give in low precision is to what they give in 32-bit floats. It prints as a sentence.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Similarity {
    /// What numbers.
    pub precision: FrozenPrecision,
    /// The number of samples that were compared.
    pub samples: usize,
    /// The mean over samples of the cosine of the angle between both features.
    pub cosine: f32,
    /// The least of these.
    pub least_cosine: f32,
    /// The length of the difference, over all samples, as a share of the features' length.
    pub relative_error: f32,
    /// How many products and convolutions are computed in that way.
    pub products: usize,
    /// How many of the frozen ones are not: in low precision the first layers, and what there is no kernel for.
    pub left: usize,
}

impl fmt::Display for Similarity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} frozen products in {}; features of {} samples beside float32: cosine similarity {:.4} \
             (least {:.4}), relative error {}",
            self.products,
            self.products + self.left,
            self.precision,
            self.samples,
            self.cosine,
            self.least_cosine,
            share(self.relative_error)
        )
    }
}

/// A share in words: a small one is no number of hundredths.
fn share(share: f32) -> String {
    match share < 1e-4 {
        true => format!("{share:.1e}"),
        false => format!("{:.2} %", 100.0 * share),
    }
}

/// What a model keeps of it.
#[derive(Debug)]
pub(crate) struct Calibrated {
    /// Another one each time: programs that were made before do not hold any more.
    pub number: u64,
    pub similarity: Similarity,
    samples: usize,
    /// The samples' rows, by input.
    rows: Vec<Rows>,
}

/// Samples of one input.
#[derive(Debug)]
enum Rows {
    F32(Vec<f32>),
    I32(Vec<i32>),
}

impl Rows {
    fn feed(&self) -> Feed<'_> {
        match self {
            Rows::F32(rows) => Feed::F32(rows),
            Rows::I32(rows) => Feed::I32(rows),
        }
    }
}

impl Calibrated {
    /// Nodes that are ready to be compiled, of those of a graph whose first inputs are the model's. With `constants`,
    /// what is not frozen is constant, too, and stays in 32-bit floats.
    ///
    /// # Errors
    /// Samples that are not what the model takes any more.
    pub fn compile(&self, nodes: &Nodes, constants: Option<&WeightStore>) -> Result<Nodes> {
        let nodes = self.narrowed(&optimize_unfused(nodes))?;
        Ok(match constants {
            Some(weights) => optimize(&nodes.with_constants(weights)),
            None => fuse(&nodes),
        })
    }

    fn narrowed(&self, nodes: &Nodes) -> Result<Nodes> {
        let feeds = self.feeds();
        let calibration = Calibration {
            samples: self.samples,
            feeds: &feeds,
        };
        match self.similarity.precision.way {
            Way::Narrow(format) => Ok(low_precision(nodes, format, feeds.len(), calibration)?),
            Way::Winograd => Ok(winograd(nodes, feeds.len())),
        }
    }

    fn feeds(&self) -> Vec<Feed<'_>> {
        self.rows.iter().map(Rows::feed).collect()
    }

    /// Measures how near the features of a network are.
    fn measure(&mut self, model: &Network) -> Result<()> {
        let graph = Graph::new();
        let inputs = Inputs::of(model)?.in_graph(&graph);
        let (outputs, _) = model.emit(&graph, &inputs, Mode::Inference)?;
        graph.check()?;
        let exact = optimize_unfused(&graph.nodes_for(&outputs));
        let rounded = self.narrowed(&exact)?;
        let prefix = |nodes: &Nodes| split_at(&fuse(nodes), inputs.len(), inputs.len());
        let (Some(exact), Some(rounded)) = (prefix(&exact), prefix(&rounded)) else {
            return Err(nothing_frozen(model));
        };
        let (exact, rounded) = (exact.prefix, rounded.prefix);
        let ops = || rounded.iter().filter_map(|(_, node)| node.op());
        let is_product = |name: &str| name.starts_with("fused_");
        let similarity = &mut self.similarity;
        similarity.left = ops().filter(|op| is_product(op.name())).count();
        similarity.products = rounded
            .iter()
            .filter(|(_, node)| {
                node.op_as::<ops::LowPrecision>().is_some()
                    || node.op_as::<ops::WinogradConvolution>().is_some()
            })
            .count();
        if similarity.products == 0 {
            return Err(match similarity.precision.way {
                Way::Narrow(_) => nothing_frozen(model),
                Way::Winograd => no_convolution(model),
            });
        }
        let (exact, rounded) = (self.features(exact)?, self.features(rounded)?);
        self.similarity.compare(&exact, &rounded);
        Ok(())
    }

    /// What a program gives for each sample.
    fn features(&self, nodes: Nodes) -> Result<Vec<Vec<f32>>> {
        const NONE: [Tensor; 0] = [];
        let program = Program::from_nodes(nodes);
        let mut workspace = BatchWorkspace::new(&program);
        workspace.run(self.samples, &self.feeds(), &NONE, Run::default())?;
        let mut features = vec![Vec::new(); self.samples];
        for output in 0..program.output_count() {
            let id = program.nodes().outputs()[output];
            if program.nodes().node(id).data_type != regraft_autograd::DataType::F32 {
                continue;
            }
            let values = workspace.output(output);
            let row = (values.len() / self.samples).max(1);
            for (features, values) in features.iter_mut().zip(values.chunks(row)) {
                features.extend_from_slice(values);
            }
        }
        Ok(features)
    }
}

impl Similarity {
    fn compare(&mut self, exact: &[Vec<f32>], rounded: &[Vec<f32>]) {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            let products = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b));
            products.sum()
        };
        let (mut cosines, mut least) = (0.0, f64::INFINITY);
        let (mut apart, mut length) = (0.0, 0.0);
        for (a, b) in exact.iter().zip(rounded) {
            let lengths = (dot(a, a) * dot(b, b)).sqrt();
            let cosine = match lengths > 0.0 {
                true => dot(a, b) / lengths,
                // Two of nothing are alike.
                false => f64::from(u8::from(a == b)),
            };
            cosines += cosine;
            least = least.min(cosine);
            length += dot(a, a);
            let differences = a.iter().zip(b).map(|(&a, &b)| f64::from(a) - f64::from(b));
            apart += differences.map(|it| it * it).sum::<f64>();
        }
        self.cosine = (cosines / exact.len().max(1) as f64) as f32;
        self.least_cosine = least as f32;
        self.relative_error = (apart / length.max(f64::MIN_POSITIVE)).sqrt() as f32;
    }
}

fn nothing_frozen(model: &Network) -> Error {
    let expected = "frozen layers with products behind others, below all that is trained";
    let detail = Detail::new(model.name(), expected, "none");
    Error::Model(detail.help("freeze first: `freeze(..)` for a model that only predicts"))
}

fn no_convolution(model: &Network) -> Error {
    let expected =
        "frozen convolutions of 3×3 taps that move by one, with 32 channels and filters at least";
    let detail = Detail::new(model.name(), expected, "none");
    Error::Model(
        detail.help("freeze first, `freeze(..)` for a model that only predicts; or use int8"),
    )
}

impl Model {
    /// Lets what is frozen be computed with narrower numbers, which is faster where the processor has instructions for
    /// them (AVX512-VNNI, AVX-VNNI, AVX512-BF16), or with fewer multiplications ([`FrozenPrecision::winograd`]): the
    /// frozen layers below all that is trained, in `fit`, `evaluate`, `predict`, predictors, features and loops of one's
    /// own. All that is trained stays in 32-bit floats, and no bit
    /// of a weight is changed. A head that is trained or solved afterwards learns from the features as they are then.
    ///
    /// Ranges of values are found on `samples`: the first 32 of the user's own data, say, prepared as for `predict`.
    /// On these the features are compared with those of 32-bit floats, too; what comes of it is returned, and prints.
    /// The samples are kept with the model, so that each program of it is calibrated in the same way. Models that are
    /// made of this one (`with_head`, …) go on with it if their inputs are the same; files do not have it.
    ///
    /// ```
    /// use regraft::prelude::*;
    /// use regraft::FrozenPrecision;
    ///
    /// let mut model = Sequential::new(layers![
    ///     Input::new([16]),
    ///     Dense::new(32).activation("relu"),
    ///     Dense::new(32).activation("relu"),
    ///     Dense::new(3),
    /// ])?;
    /// model.freeze(..-1)?;
    /// let x = Array2::from_shape_fn((20, 16), |(i, j)| ((i * 16 + j) as f32).sin());
    /// let similarity = model.set_frozen_precision(FrozenPrecision::int8(), &x)?;
    /// println!("{similarity}"); // 1 of 2 frozen products in int8; features of 20 samples beside …
    /// assert!(similarity.cosine > 0.99);
    /// # Ok::<(), regraft::Error>(())
    /// ```
    ///
    /// # Errors
    /// Samples that do not fit the model; a model without a frozen product behind others; and features that are less
    /// similar than [`FrozenPrecision::least_similarity`] asks for. The model is as before then.
    pub fn set_frozen_precision<'a>(
        &mut self,
        precision: FrozenPrecision,
        samples: impl IntoInputs<'a>,
    ) -> Result<Similarity> {
        let inputs = Inputs::of(&self.network)?.check("samples", samples.into_inputs()?)?;
        let samples = inputs.first().map_or(0, Data::len).min(SAMPLES);
        let rows = |input: &Data<'_>| match input.feed(0, samples, &mut Vec::new()) {
            Feed::F32(rows) => Rows::F32(rows.to_vec()),
            Feed::I32(rows) => Rows::I32(rows.to_vec()),
        };
        let mut calibrated = Calibrated {
            number: next_number(),
            similarity: Similarity {
                precision,
                samples,
                cosine: 0.0,
                least_cosine: 0.0,
                relative_error: 0.0,
                products: 0,
                left: 0,
            },
            samples,
            rows: inputs.iter().map(rows).collect(),
        };
        calibrated.measure(&self.network)?;
        let similarity = calibrated.similarity;
        // It is not, either, if one of them is no number.
        let is_similar = similarity.cosine >= precision.least;
        if !is_similar {
            let expected = format!("features with a cosine similarity of {}", precision.least);
            let detail = Detail::new(self.name(), expected, similarity);
            let help = "calibrate on samples prepared as for `predict`, use bfloat16, or accept less: \
                        `least_similarity`";
            return Err(Error::Model(detail.help(help)));
        }
        self.kept.forget();
        self.precision = Some(Arc::new(calibrated));
        Ok(similarity)
    }

    /// Lets everything be computed in 32-bit floats again.
    pub fn reset_frozen_precision(&mut self) {
        self.kept.forget();
        self.precision = None;
    }

    /// With what numbers frozen layers are computed, if not with 32-bit floats, and how near their features are.
    pub fn frozen_precision(&self) -> Option<Similarity> {
        self.precision.as_ref().map(|it| it.similarity)
    }

    /// A table of the layers as Keras prints it. Below it stands with what numbers frozen layers are computed, if not
    /// with 32-bit floats. See [`regraft_layers::Model::summary`].
    pub fn summary(&self) -> Summary {
        let summary = self.network.summary();
        match self.frozen_precision() {
            Some(similarity) => summary.note(similarity.to_string()),
            None => summary,
        }
    }

    /// It, made of `other`: its frozen layers are computed as those of that, if it takes the same.
    pub(crate) fn made_of(mut self, other: &Model) -> Self {
        let same = self.network.input_shapes() == other.network.input_shapes()
            && self.network.input_types() == other.network.input_types();
        if same && self.network.is_built() {
            self.precision.clone_from(&other.precision);
        }
        self
    }
}
