//! How well each class is recognised.

use std::mem;

use regraft_tensor::Detail;

use crate::metrics::{self, ClassReport, ConfusionMatrix, Metric};
use crate::training::compiled::not_compiled;
use crate::training::compiled_metrics::CompiledMetrics;
use crate::training::input::IntoInputs;
use crate::{Error, Model, Result};

impl Model {
    /// Precision, recall, F1 and support of each class on samples `x` with targets `y`, under the
    /// [class names](Self::set_class_names) if they are known; it prints as a table.
    ///
    /// ```no_run
    /// # fn main() -> regraft::Result<()> {
    /// # let (mut model, _) = regraft::Model::open("model.keras")?;
    /// # let (x, y) = (regraft::Tensor::zeros([1, 2]), regraft::Tensor::zeros([1, 2]));
    /// println!("{}", model.classification_report(&x, &y)?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`confusion_matrix`](Self::confusion_matrix).
    pub fn classification_report<'a>(
        &mut self,
        x: impl IntoInputs<'a>,
        y: impl IntoInputs<'a>,
    ) -> Result<ClassReport> {
        Ok(self.confusion_matrix(x, y)?.report())
    }

    /// Which class was taken for which on samples `x` with targets `y`. Of one output the class is 1
    /// where the probability is above 0.5, of several the largest; where the loss takes outputs for
    /// logits, so does this.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate), and for a model of several outputs.
    pub fn confusion_matrix<'a>(
        &mut self,
        x: impl IntoInputs<'a>,
        y: impl IntoInputs<'a>,
    ) -> Result<ConfusionMatrix> {
        let shapes = self.network.output_shapes();
        let [shape] = shapes.as_slice() else {
            let expected = "a model with one output";
            let detail = Detail::new("confusion_matrix", expected, shapes.len());
            return Err(Error::Model(detail.help(
                "give `metrics::ConfusionMatrix` to `compile` for each output",
            )));
        };
        let width = shape.dims().last().map_or(1, |dim| dim.size(1)).max(2);
        let names = match &self.class_names {
            Some(names) if names.len() == width => names.clone(),
            _ => (0..width).map(|class| class.to_string()).collect(),
        };
        let matrix = metrics::following_confusion_matrix(&names)?;
        let training = self.training.as_mut().ok_or_else(not_compiled)?;
        let kept = mem::replace(&mut training.metrics, CompiledMetrics::from(vec![matrix]));
        let weighted = mem::take(&mut training.weighted_metrics);
        let scores = self.evaluate(x, y);
        let training = self.training.as_mut().ok_or_else(not_compiled)?;
        let made = mem::replace(&mut training.metrics, kept);
        training.weighted_metrics = weighted;
        scores?;
        let matrix = made
            .iter()
            .next()
            .and_then(|metric| metric.get::<ConfusionMatrix>());
        Ok(matrix.expect("the metric that was put there").clone())
    }

    /// The metrics that [`compile`](Self::compile) and
    /// [`weighted_metrics`](Self::weighted_metrics) were given, as they are after the last epoch or
    /// [`evaluate`](Self::evaluate): of a `fit` that validates, after the validation.
    pub fn metrics(&self) -> impl Iterator<Item = &dyn Metric> {
        let training = self.training.iter();
        training.flat_map(|training| {
            training
                .metrics
                .iter()
                .chain(training.weighted_metrics.iter())
        })
    }

    /// The first of the [`metrics`](Self::metrics) that is an `M`.
    ///
    /// ```no_run
    /// # fn main() -> regraft::Result<()> {
    /// # let (mut model, _) = regraft::Model::open("model.keras")?;
    /// # let (x, y) = (regraft::Tensor::zeros([1, 2]), regraft::Tensor::zeros([1, 2]));
    /// use regraft::metrics::ConfusionMatrix;
    ///
    /// model.compile("adam", "mse", [ConfusionMatrix::new(2)])?;
    /// model.evaluate(&x, &y)?;
    /// if let Some(matrix) = model.metric::<ConfusionMatrix>() {
    ///     println!("{matrix}\n{}", matrix.report());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn metric<M: Metric>(&self) -> Option<&M> {
        self.metrics().find_map(|metric| metric.get())
    }
}
