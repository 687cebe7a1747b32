//! Evaluation: loss and metrics on data, nothing trained.

use regraft_autograd::Run;
use regraft_data::Dataset;
use regraft_features::FeatureStore;
use regraft_layers::{Mode, Model as Network};

use crate::training::batches::KeptFeatures;
use crate::training::compiled::{Training, not_compiled};
use crate::training::feature_cache::{FeatureCache, keep_features, most_at_once};
use crate::training::frozen_precision::Calibrated;
use crate::training::input::IntoInputs;
use crate::training::prepare;
use crate::training::read_ahead::{ReadAhead, Taken};
use crate::training::samples::{Samples, lasting_key};
use crate::training::scores::Scores;
use crate::training::steps::{Purpose, Steps};
use crate::training::totals::Totals;
use crate::{Model, Result};

/// Programs that evaluate a model again and again while its trained weights change.
#[derive(Debug)]
pub(crate) struct Evaluation<'s> {
    steps: Steps,
    features: Option<KeptFeatures<'s>>,
    batches: ReadAhead,
}

impl<'s> Evaluation<'s> {
    pub fn new(
        (model, precision): (&Network, Option<&Calibrated>),
        training: &Training,
        data: &Samples<'_>,
        cache: FeatureCache,
        times: usize,
        store: Option<&'s FeatureStore>,
    ) -> Result<Self> {
        let purpose = Purpose {
            objective: &training.objective,
            weights: &data.weight_shapes(),
            taught: None,
            mode: Mode::Inference,
            precision,
        };
        let mut steps = Steps::new(model, purpose, times > 1 || store.is_some())?;
        let features = keep_features(&mut steps, model, data, cache, times, store)?;
        Ok(Self::with(steps, features, data))
    }

    fn with(steps: Steps, features: Option<KeptFeatures<'s>>, data: &Samples<'_>) -> Self {
        Evaluation {
            batches: ReadAhead::new(steps.feed_plan(features.is_some()), data),
            steps,
            features,
        }
    }

    /// The loss and the metrics.
    pub fn run(
        &mut self,
        model: &Network,
        training: &mut Training,
        data: &Samples<'_>,
        batch_size: usize,
    ) -> Result<Scores> {
        let samples = data.len();
        let mut totals = Totals::begin(training);
        for from in (0..samples).step_by(batch_size) {
            let range = |from: usize| (from, (from + batch_size).min(samples));
            let (_, to) = range(from);
            let taken = Taken {
                order: None,
                range: (from, to),
                next: (to < samples).then(|| range(to)),
                key: lasting_key(),
            };
            let (steps, features) = (&mut self.steps, self.features.as_ref());
            self.batches.batch(data, features, taken, |batch, truth| {
                steps.run(batch, model.weights(), Run::default())?;
                totals.add(steps, truth, to - from)
            })?;
        }
        Ok(totals.scores(training))
    }
}

impl Model {
    /// The loss and the metrics on samples `x` with targets `y`: of a model of several inputs or
    /// outputs, a tuple or a list of arrays. With several outputs the scores have the loss of each.
    ///
    /// The first call compiles the model with its loss, later ones use what was compiled until something of it
    /// changes. As in [`predict`](Self::predict), all weights are constants then: batch normalizations are folded
    /// into the products before them, which rounds differently in the last bits from the validation in `fit`.
    ///
    /// The loss is the mean of those of batches, as in Keras, and where it depends on them (a sum, a mask, an
    /// ignored class, a loss of the whole batch or of one's own) they are Keras' of 32.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn evaluate<'a>(
        &mut self,
        x: impl IntoInputs<'a>,
        y: impl IntoInputs<'a>,
    ) -> Result<Scores> {
        let training = self.training.as_ref().ok_or_else(not_compiled)?;
        let (inputs, targets) = (x.into_inputs()?, y.into_inputs()?);
        let objective = &training.objective;
        let data = prepare::arrays("x", "y", &self.network, objective, inputs, targets)?;
        self.evaluate_samples(data)
    }

    /// As [`evaluate`](Self::evaluate), where samples, or their steps, count so much in the loss and in weighted
    /// metrics: what Keras' `evaluate` has as `sample_weight`. Weights are given as to
    /// [`Fit::sample_weight`](crate::Fit::sample_weight). The loss is divided by the number of samples all the same,
    /// weighted metrics by the sum of weights.
    ///
    /// ```
    /// use regraft::layers::{Dense, Input, layers};
    /// use regraft::Sequential;
    ///
    /// let x = regraft::ndarray::Array2::<f32>::ones((2, 1));
    /// let mut model = Sequential::new(layers![Input::new([1]), Dense::new(1).kernel_initializer("ones")])?;
    /// model.compile("sgd", "mse", ())?;
    /// // Errors of 1 and 2: (3 · 1 + 1 · 4) / 2.
    /// let scores = model.evaluate_weighted(&x, &[0.0, 3.0], &[3.0, 1.0])?;
    /// assert_eq!(scores.loss, 3.5);
    /// # Ok::<(), regraft::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate), and if the weights are not one for each sample or step.
    pub fn evaluate_weighted<'a>(
        &mut self,
        x: impl IntoInputs<'a>,
        y: impl IntoInputs<'a>,
        sample_weight: impl IntoInputs<'a>,
    ) -> Result<Scores> {
        let training = self.training.as_ref().ok_or_else(not_compiled)?;
        let (inputs, targets) = (x.into_inputs()?, y.into_inputs()?);
        let (network, objective) = (&self.network, &training.objective);
        let mut data = prepare::arrays("x", "y", network, objective, inputs, targets)?;
        let given = sample_weight.into_inputs()?;
        data.weights = prepare::sample_weights(("x", "sample_weight"), network, &data, &given)?;
        self.evaluate_samples(data)
    }

    /// As [`evaluate`](Self::evaluate), on a data set of which samples are made or read when they are asked
    /// for.
    ///
    /// # Errors
    /// As [`fit_dataset`](Self::fit_dataset).
    pub fn evaluate_dataset(&mut self, data: &dyn Dataset) -> Result<Scores> {
        let training = self.training.as_ref().ok_or_else(not_compiled)?;
        let data = prepare::stream("data", &self.network, &training.objective, data)?;
        self.evaluate_samples(data)
    }

    fn evaluate_samples(&mut self, data: Samples<'_>) -> Result<Scores> {
        /// Large, so that all cores are used, where the mean does not depend on it.
        const BATCH: usize = 256;
        /// Keras' own, which matters elsewhere.
        const KERAS: usize = 32;
        let training = self.training.as_mut().ok_or_else(not_compiled)?;
        training.fit_to(&self.network)?;
        let (network, weights) = (&self.network, data.weight_shapes());
        let made_of = (network.version(), training.number, weights.clone());
        let steps = match self.kept.evaluation.take() {
            Some((of, steps)) if of == made_of => steps,
            _ => {
                let purpose = Purpose {
                    objective: &training.objective,
                    weights: &weights,
                    taught: None,
                    mode: Mode::Constant,
                    precision: self.precision.as_deref(),
                };
                // What asks nothing of the targets goes depth first.
                Steps::new(network, purpose, true)?
            }
        };
        let mut evaluation = Evaluation::with(steps, None, &data);
        let batch_size = match evaluation.steps.depends_on_batches {
            true => KERAS,
            false => BATCH.min(most_at_once(&data)),
        };
        let scores = evaluation.run(network, training, &data, batch_size)?;
        self.kept.evaluation = Some((made_of, evaluation.steps));
        Ok(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Add, BatchNormalization, Conv2D, Dense, Flatten};
    use crate::{Functional, Tensor};
    use regraft_tensor::ndarray::{Array, Array1};

    /// A network with states that were learnt, a residual and a head.
    fn network() -> Model {
        let mut f = Functional::with_seed(4);
        let x = f.input([6, 6, 3]);
        let block = |f: &mut Functional, x| {
            let h = f.apply(Conv2D::new(8, 3).padding("same").use_bias(false), &[x])?;
            f.apply(BatchNormalization::new(), &[h])
        };
        let a = block(&mut f, x).unwrap();
        let b = block(&mut f, a).unwrap();
        let sum = f.apply(Add, &[a, b]).unwrap();
        let flat = f.apply(Flatten::new(), &[sum]).unwrap();
        let y = f.apply(Dense::new(3).activation("softmax"), &[flat]);
        let mut model = f.model(&[x], &[y.unwrap()]).unwrap();
        let states: Vec<(String, Vec<usize>)> = model
            .network
            .weights()
            .iter()
            .filter(|weight| weight.path().contains("batch_normalization"))
            .map(|weight| (weight.path().to_string(), weight.value().shape().to_vec()))
            .collect();
        for (number, (path, shape)) in states.into_iter().enumerate() {
            let values = (0..shape[0]).map(|i| 1.2 + ((i * 5 + number * 3) as f32).sin());
            let value = Tensor::new(shape, values.collect()).unwrap();
            model.network.set_weight(&path, value).unwrap();
        }
        let loss = "sparse_categorical_crossentropy";
        model.compile("adam", loss, ["accuracy"]).unwrap();
        model
    }

    fn data() -> (Array<f32, regraft_tensor::ndarray::Ix4>, Array1<i32>) {
        let x = Array::from_shape_fn((300, 6, 6, 3), |(n, i, j, c)| {
            ((n * 108 + i * 18 + j * 3 + c) as f32 * 0.23).sin()
        });
        (x, Array1::from_shape_fn(300, |n| (n % 3) as i32))
    }

    /// The scores of the program that validates within training, where weights are read at each run.
    fn unfolded(model: &mut Model) -> Scores {
        let (x, y) = data();
        let training = model.training.as_mut().unwrap();
        let (inputs, targets) = ((&x).into_inputs().unwrap(), (&y).into_inputs().unwrap());
        let (network, objective) = (&model.network, &training.objective);
        let data = prepare::arrays("x", "y", network, objective, inputs, targets).unwrap();
        let cache = FeatureCache::Off;
        let mut evaluation =
            Evaluation::new((network, None), training, &data, cache, 1, None).unwrap();
        evaluation.run(network, training, &data, 256).unwrap()
    }

    #[test]
    fn states_are_folded_as_in_prediction_and_the_loss_is_near() {
        let mut model = network();
        let (x, y) = data();
        let before = unfolded(&mut model);
        let folded = model.evaluate(&x, &y).unwrap();
        assert!(
            (folded.loss - before.loss).abs() < 1e-5 * before.loss,
            "{folded:?} {before:?}"
        );
        let (_, steps) = model.kept.evaluation.as_ref().unwrap();
        let ops = |nodes: &regraft_autograd::Nodes| -> Vec<String> {
            let ops = nodes.iter().filter_map(|(_, node)| node.op());
            ops.map(|op| op.name().to_string()).collect()
        };
        let prefix = steps.prefix().unwrap().program().nodes();
        let found = ops(prefix);
        let convolution = "fused_convolution_packed".to_string();
        assert_eq!(found[..2], [convolution.clone(), convolution], "{prefix}");
        assert!(
            !found.iter().any(|op| op == "multiply" || op == "add"),
            "{prefix}"
        );
        assert!(steps.rest().nodes().flops(1) * 100 < prefix.flops(1));
    }

    #[test]
    fn what_is_compiled_is_kept_until_something_changes() {
        let mut model = network();
        let (x, y) = data();
        let first = model.evaluate(&x, &y).unwrap().loss;
        let compiled = |model: &Model| {
            let (_, steps) = model.kept.evaluation.as_ref().unwrap();
            std::ptr::from_ref(steps.rest().nodes()) as usize
        };
        let program = compiled(&model);
        assert_eq!(model.evaluate(&x, &y).unwrap().loss, first);
        assert_eq!(compiled(&model), program);
        // Another value, another loss, another state, training.
        let head = Tensor::new([3], vec![0.5, -0.5, 0.0]).unwrap();
        model.network.set_weight("dense/bias", head).unwrap();
        let second = model.evaluate(&x, &y).unwrap().loss;
        assert_ne!(second, first);
        model
            .compile("adam", "sparse_categorical_crossentropy", ())
            .unwrap();
        assert_eq!(model.evaluate(&x, &y).unwrap().loss, second);
        let other = crate::losses::SparseCategoricalCrossentropy::default().ignore_class(0);
        model.compile("adam", other, ()).unwrap();
        assert_ne!(model.evaluate(&x, &y).unwrap().loss, second);
        model
            .compile("adam", "sparse_categorical_crossentropy", ())
            .unwrap();
        model
            .fit(
                &x,
                &y,
                crate::Fit::new()
                    .epochs(1)
                    .verbosity(crate::Verbosity::Silent),
            )
            .unwrap();
        assert!(model.kept.evaluation.is_none());
        let trained = model.evaluate(&x, &y).unwrap();
        assert_ne!(trained.loss, second);
        assert!((trained.loss - unfolded(&mut model).loss).abs() < 1e-5);
    }
}
