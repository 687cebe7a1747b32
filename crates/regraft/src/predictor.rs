//! A model made ready to predict: owned, shared by threads, its weights folded and packed once.

use std::collections::BTreeMap;
use std::sync::Arc;

use regraft_autograd::{BatchWorkspace, Feed, Graph, Idle, Program, Run, Shape};
use regraft_data::Dataset;
use regraft_features::FeatureStore;
use regraft_layers::{Layer, Mode, Model as Network};
use regraft_tensor::{Detail, Tensor};

use crate::training::batches::{Batch, FeedPlan};
use crate::training::extracted::Extracted;
use crate::training::extraction::{Compute, Extraction};
use crate::training::feature_cache::{NOT_FIXED, most_at_once};
use crate::training::frozen_precision::Calibrated;
use crate::training::input::{Data, IntoInputs};
use crate::training::inputs::Inputs;
use crate::training::samples::{Checks, Samples, Source};
use crate::training::steps::{batch_size, tensor};
use crate::training::stored_rows::StoredRows;
use crate::{Error, Result};

/// What predicts as a model did when [`Model::predictor`](crate::Model::predictor) made it, whatever becomes
/// of the model.
///
/// A clone is the same predictor, and any number of threads predict with it at the same time: nothing is
/// shared but what never changes, and nobody waits for anybody. Predictions are the model's own, bit for bit.
///
/// ```
/// use regraft::prelude::*;
///
/// let model = Sequential::new(layers![Input::new([4]), Dense::new(3).activation("softmax")])?;
/// let predictor = model.predictor()?;
/// let x = Array2::<f32>::ones((2, 4));
/// let expected = model.predict(&x)?;
/// let server = std::thread::spawn(move || predictor.predict(&x));
/// assert_eq!(server.join().expect("it predicts")?, expected);
/// # Ok::<(), regraft::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Predictor {
    compiled: Arc<Compiled>,
    class_names: Option<Arc<[String]>>,
}

/// A model compiled for prediction: all its weights are constants.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// The model's.
    name: String,
    workspace: BatchWorkspace,
    inputs: Inputs,
    shapes: Vec<Shape>,
    output_names: Vec<String>,
    /// What spells the numbers of the first output, if something does.
    spelling: Option<Arc<dyn Layer>>,
    /// Workspaces that nobody uses just now.
    idle: Idle<BatchWorkspace>,
}

impl Compiled {
    pub fn of(model: &Network, precision: Option<&Calibrated>) -> Result<Self> {
        let inputs = Inputs::of(model)?;
        let graph = Graph::new();
        // What is frozen is told by its being constant.
        let mode = match precision {
            Some(_) => Mode::Inference,
            None => Mode::Constant,
        };
        let (outputs, _) = model.emit(&graph, &inputs.in_graph(&graph), mode)?;
        let program = match precision {
            None => Program::compile(&graph, &outputs)?,
            Some(precision) => {
                graph.check()?;
                let nodes = graph.nodes_for(&outputs);
                Program::from_nodes(precision.compile(&nodes, Some(model.weights()))?)
            }
        };
        Ok(Compiled {
            name: model.name().to_string(),
            workspace: BatchWorkspace::new(&program),
            inputs,
            shapes: model.output_shapes(),
            output_names: model.output_names(),
            spelling: model.spelling_layer(0).cloned(),
            idle: Idle::new(),
        })
    }
}

impl Predictor {
    pub(crate) fn new(compiled: Arc<Compiled>, class_names: Option<Vec<String>>) -> Self {
        Predictor {
            compiled,
            class_names: class_names.map(Into::into),
        }
    }

    /// The names of the classes, in the order of the outputs, if they are known.
    pub fn class_names(&self) -> Option<&[String]> {
        self.class_names.as_deref()
    }

    /// The model's output for samples `x`; see [`Model::predict`](crate::Model::predict).
    ///
    /// # Errors
    /// As that.
    pub fn predict<'a>(&self, x: impl IntoInputs<'a>) -> Result<Tensor> {
        let mut outputs = self.predict_all(x)?;
        match (outputs.pop(), outputs.is_empty()) {
            (Some(output), true) => Ok(output),
            _ => {
                let received = format!("{} outputs", outputs.len() + 1);
                let detail = Detail::new(&self.compiled.name, "1 output", received);
                Err(Error::Model(detail.help("call `predict_all`")))
            }
        }
    }

    /// As [`predict_all`](Self::predict_all), with each output under its name.
    ///
    /// # Errors
    /// As [`predict_all`](Self::predict_all).
    pub fn predict_named<'a>(&self, x: impl IntoInputs<'a>) -> Result<BTreeMap<String, Tensor>> {
        let outputs = self.predict_all(x)?;
        let names = self.compiled.output_names.iter().cloned();
        Ok(names.zip(outputs).collect())
    }

    /// As [`predict`](Self::predict), as strings; see
    /// [`Model::predict_strings`](crate::Model::predict_strings).
    ///
    /// # Errors
    /// As that.
    pub fn predict_strings<'a>(&self, x: impl IntoInputs<'a>) -> Result<Vec<String>> {
        let Some(layer) = &self.compiled.spelling else {
            let expected = "a last layer `StringLookup` with `invert`";
            let detail = Detail::new(&self.compiled.name, expected, "another one");
            return Err(Error::Model(detail.help("`predict` gives its numbers")));
        };
        let numbers = self.predict(x)?;
        let spell = |&number: &f32| layer.spell(number as i32).unwrap_or_default();
        Ok(numbers.as_slice().iter().map(spell).collect())
    }

    /// As [`predict`](Self::predict), all outputs of the model in order.
    ///
    /// # Errors
    /// Data that do not fit the model, NaN or infinity among them.
    pub fn predict_all<'a>(&self, x: impl IntoInputs<'a>) -> Result<Vec<Tensor>> {
        let inputs = self.compiled.inputs.check("x", x.into_inputs()?)?;
        let samples = inputs.first().map_or(0, Data::len);
        let mut buffers = vec![Vec::new(); inputs.len()];
        self.in_chunks(samples, |(from, to), workspace| {
            let inputs = inputs.iter().zip(&mut buffers);
            let feeds = inputs.map(|(input, buffer)| input.feed(from, to, buffer));
            let feeds: Vec<Feed<'_>> = feeds.collect();
            Ok(workspace.run(to - from, &feeds, &NO_VARIABLES, Run::default())?)
        })
    }

    /// As [`predict_all`](Self::predict_all), for the samples of a data set, which are made or read a few at a
    /// time: features of more pictures than fit into memory, say.
    ///
    /// # Errors
    /// As [`Model::fit_dataset`](crate::Model::fit_dataset).
    pub fn predict_dataset(&self, data: &dyn Dataset) -> Result<Vec<Tensor>> {
        Ok(self.extract(data, None)?.outputs)
    }

    /// As [`predict_dataset`](Self::predict_dataset), where what is in `store` is not computed, and what is not is
    /// put there; see [`Model::extract_features`](crate::Model::extract_features).
    ///
    /// # Errors
    /// As that.
    pub fn extract_features(&self, data: &dyn Dataset, store: &FeatureStore) -> Result<Extracted> {
        self.extract(data, Some(store))
    }

    fn extract(&self, data: &dyn Dataset, store: Option<&FeatureStore>) -> Result<Extracted> {
        let Compiled {
            workspace,
            shapes,
            idle,
            inputs,
            ..
        } = &*self.compiled;
        let checks = Checks {
            inputs: inputs.check_specs("data", data, false)?,
            targets: Vec::new(),
        };
        let plan = FeedPlan::of_inputs(checks.inputs.len());
        let is_fixed = data.is_fixed();
        let data = Samples::from(Source::Stream(data, Arc::new(checks)));
        let (mut stored, mut not_kept) = (None, None);
        match store {
            None => {}
            Some(store) if !is_fixed => {
                store.note(NOT_FIXED);
                not_kept = Some(NOT_FIXED.to_string());
            }
            Some(store) => match StoredRows::of_program(store, workspace.program(), &data)? {
                Ok(rows) => stored = Some(rows),
                Err(why) => not_kept = Some(why),
            },
        }
        let samples = data.len();
        let mut workspace = idle.take().unwrap_or_else(|| workspace.another());
        let extraction = Extraction {
            plan,
            chunk: batch_size(&workspace, samples).min(most_at_once(&data)),
            widths: shapes.iter().map(|shape| shape.len(1)).collect(),
            in_memory: true,
        };
        let (rows, computed) = extraction.run(&data, &mut workspace, stored.as_mut())?;
        idle.put_back(workspace);
        if let Some(problem) = stored.as_ref().and_then(StoredRows::problem) {
            not_kept = Some(problem.to_string());
        }
        let outputs = shapes.iter().zip(rows);
        let outputs = outputs.map(|(shape, rows)| tensor(shape, samples, rows));
        Ok(Extracted {
            outputs: outputs.collect::<Result<Vec<Tensor>>>()?,
            computed,
            not_kept: not_kept.filter(|_| store.is_some()),
        })
    }

    /// The outputs for so many samples: `run` is called with a range of them at a time.
    fn in_chunks(
        &self,
        samples: usize,
        mut run: impl FnMut((usize, usize), &mut BatchWorkspace) -> Result<()>,
    ) -> Result<Vec<Tensor>> {
        let Compiled {
            workspace,
            shapes,
            idle,
            ..
        } = &*self.compiled;
        let predictions = shapes
            .iter()
            .map(|shape| Vec::with_capacity(shape.len(samples)));
        let mut predictions: Vec<Vec<f32>> = predictions.collect();
        let mut workspace = idle.take().unwrap_or_else(|| workspace.another());
        let chunk = batch_size(&workspace, samples);
        for from in (0..samples).step_by(chunk) {
            run((from, (from + chunk).min(samples)), &mut workspace)?;
            for (output, rows) in predictions.iter_mut().enumerate() {
                rows.extend_from_slice(workspace.output(output));
            }
        }
        idle.put_back(workspace);
        let outputs = shapes.iter().zip(predictions);
        outputs
            .map(|(shape, rows)| tensor(shape, samples, rows))
            .collect()
    }
}

impl Compute for BatchWorkspace {
    fn run(&mut self, batch: &Batch<'_>) -> Result<()> {
        let feeds = batch.feeds.as_slice();
        Ok(self.run(batch.samples, feeds, &NO_VARIABLES, Run::default())?)
    }

    fn words(&self, output: usize) -> &[f32] {
        self.output(output)
    }
}

/// All weights are constants.
const NO_VARIABLES: [Tensor; 0] = [];
