//! Test-time augmentation: the mean of what a model says of several views of a picture, kept where it helps.

use std::fmt;

use regraft_data::Dataset;
use regraft_layers::layers::{
    ActivationLayer, Average, Cropping2D, Input, Operation, Resizing, Subtract,
};
use regraft_layers::losses::Link;
use regraft_layers::{LayerExt, LayerOutput, Mode, Model as Network};
use regraft_tensor::Detail;
use serde_json::{Map, json};

use crate::fine_tuning::line::best;
use crate::optimizers::SGD;
use crate::training::compiled::not_compiled;
use crate::training::inputs::Inputs;
use crate::{Error, Functional, Model, Result, Scores};

/// How a picture is looked at: as it is, mirrored, upside down, a part of it enlarged, or several of these.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct View {
    part: Option<(f32, [f32; 2])>,
    mirrored: bool,
    upside_down: bool,
}

impl View {
    /// As it is.
    pub fn whole() -> Self {
        Self::default()
    }

    /// The part of this share of rows and of columns, enlarged to the size of the whole (bilinear). Where it is, rows and
    /// then columns, goes from 0, at the upper and left border, to 1: `View::part(0.875, [0.5, 0.5])` is the middle.
    pub fn part(share: f32, at: [f32; 2]) -> Self {
        View {
            part: Some((share, at)),
            ..Self::default()
        }
    }

    /// With left and right exchanged.
    #[must_use]
    pub fn mirrored(mut self) -> Self {
        self.mirrored = !self.mirrored;
        self
    }

    /// With above and below exchanged.
    #[must_use]
    pub fn upside_down(mut self) -> Self {
        self.upside_down = !self.upside_down;
        self
    }

    /// The view of `x`, pictures of so many rows and columns.
    fn of(self, f: &mut Functional, mut x: LayerOutput, sizes: [usize; 2]) -> Result<LayerOutput> {
        if let Some((share, at)) = self.part {
            let fractions = [share, at[0], at[1]];
            let fits = fractions.iter().all(|it| (0.0..=1.0).contains(it)) && share > 0.0;
            if !fits {
                let expected = "a share above 0 and a place from 0 to 1";
                let detail = Detail::new("View::part", expected, format!("{fractions:?}"));
                return Err(Error::Setting(detail));
            }
            let border = |axis: usize| {
                let kept = ((sizes[axis] as f32 * share).round() as usize).clamp(1, sizes[axis]);
                let before = ((sizes[axis] - kept) as f32 * at[axis]).round() as usize;
                [before, sizes[axis] - kept - before]
            };
            let borders = [border(0), border(1)];
            if borders != [[0; 2]; 2] {
                x = f.apply(Cropping2D::new(borders), &[x])?;
                x = f.apply(Resizing::new(sizes[0], sizes[1]), &[x])?;
            }
        }
        for (exchanged, axis) in [(self.mirrored, 2), (self.upside_down, 1)] {
            if exchanged {
                let settings = Map::from_iter([("axis".to_string(), json!(axis))]);
                x = f.apply(Operation::with_settings("Flip", &settings), &[x])?;
            }
        }
        Ok(x)
    }
}

/// The views that [`Model::test_time_augmentation`] takes.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "pass it to `test_time_augmentation`"]
pub struct TestTimeAugmentation {
    pub(super) views: Vec<View>,
}

impl TestTimeAugmentation {
    /// These views.
    pub fn of(views: impl IntoIterator<Item = View>) -> Self {
        TestTimeAugmentation {
            views: views.into_iter().collect(),
        }
    }

    /// A picture as it is, and mirrored.
    pub fn mirrored() -> Self {
        Self::of([View::whole(), View::whole().mirrored()])
    }

    /// The middle and the four corners, each of this share of rows and columns (torchvision's `five_crop`).
    pub fn five_parts(share: f32) -> Self {
        let places = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.5, 0.5]];
        Self::of(places.map(|at| View::part(share, at)))
    }

    /// These, and the same mirrored: `five_parts(0.875).and_mirrored()` are the ten of Krizhevsky et al. 2012.
    pub fn and_mirrored(mut self) -> Self {
        let mirrored: Vec<View> = self.views.iter().map(|view| view.mirrored()).collect();
        self.views.extend(mirrored);
        self
    }
}

/// What [`Model::test_time_augmentation`] found. It prints in two lines.
#[derive(Clone, Debug)]
pub struct TestTimeAugmented {
    plain: Scores,
    augmented: Scores,
    helps: bool,
    views: usize,
    model: Model,
}

impl TestTimeAugmented {
    /// Whether the views help: the loss is less, and no metric is worse.
    pub fn helps(&self) -> bool {
        self.helps
    }

    /// What the model is worth without them.
    pub fn plain(&self) -> &Scores {
        &self.plain
    }

    /// What it is worth with them.
    pub fn augmented(&self) -> &Scores {
        &self.augmented
    }

    /// The model that predicts with the views if they help, and otherwise the model as it is. It can be saved and opened
    /// as any other.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// As [`model`](Self::model).
    pub fn into_model(self) -> Model {
        self.model
    }
}

impl fmt::Display for TestTimeAugmented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "as it is: {}", self.plain)?;
        let verdict = match self.helps {
            true => "kept",
            false => "not kept",
        };
        write!(f, "{} views, {verdict}: {}", self.views, self.augmented)
    }
}

impl Model {
    /// Tries whether the mean over several views of each picture says more than the picture as it is, on data that were
    /// not trained on, and gives the model that is better: the loss less, and no metric worse.
    ///
    /// Probabilities are averaged. A model that gives logits, by its loss, gives the logits of the mean; one that gives
    /// neither, the mean of what it gives. Each view costs as much as a prediction.
    ///
    /// ```
    /// use regraft::data::Arrays;
    /// use regraft::fine_tuning::TestTimeAugmentation;
    /// use regraft::prelude::*;
    ///
    /// let mut model = Sequential::new(layers![
    ///     Input::new([8, 8, 3]),
    ///     Conv2D::new(4, 3).activation("relu"),
    ///     Flatten::new(),
    ///     Dense::new(2),
    /// ])?;
    /// model.compile("adam", SparseCategoricalCrossentropy::from_logits(), ["accuracy"])?;
    /// let x = Array4::from_shape_fn((6, 8, 8, 3), |(n, i, j, c)| ((n * 192 + i * 24 + j * 3 + c) as f32 * 0.7).sin());
    /// let validation = Arrays::new(&x, &[0, 1, 0, 1, 0, 1])?;
    /// let tried = model.test_time_augmentation(&validation, TestTimeAugmentation::mirrored())?;
    /// println!("{tried}");
    /// let probabilities = tried.model().predict(&x)?;
    /// # Ok::<(), regraft::Error>(())
    /// ```
    ///
    /// # Errors
    /// A model that is not compiled, that has several inputs or outputs, or whose input is no picture; no view, or one of
    /// nothing; and as [`evaluate_dataset`](Self::evaluate_dataset).
    pub fn test_time_augmentation(
        &mut self,
        data: &dyn Dataset,
        views: TestTimeAugmentation,
    ) -> Result<TestTimeAugmented> {
        let mut seen = self.of_views(&views)?;
        let plain = self.evaluate_dataset(data)?;
        let augmented = seen.evaluate_dataset(data)?;
        let points = [(0.0, plain), (1.0, augmented)];
        let helps = best(self, &points) == 1;
        let [(_, plain), (_, augmented)] = points;
        Ok(TestTimeAugmented {
            plain,
            augmented,
            helps,
            views: views.views.len(),
            model: match helps {
                true => seen,
                false => self.clone(),
            },
        })
    }

    /// A model that applies this one to each view and takes the mean.
    pub(super) fn of_views(&self, views: &TestTimeAugmentation) -> Result<Model> {
        let training = self.training.as_ref().ok_or_else(not_compiled)?;
        let name = self.name();
        let wrong = |expected: &str, received: String| {
            Err(Error::Model(Detail::new(name, expected, received)))
        };
        let (shapes, outputs) = (self.input_shapes(), self.output_shapes().len());
        let (shape, 1) = (&shapes[0], outputs * shapes.len()) else {
            let received = format!("{} and {outputs}", shapes.len());
            return wrong("a model of 1 input and 1 output", received);
        };
        let Some(&[rows, columns, channels]) = shape.sample().as_deref() else {
            let expected = "a model of pictures (rows, columns, channels)";
            return wrong(expected, shape.to_string());
        };
        if views.views.is_empty() {
            return wrong("a view at least", "none".to_string());
        }
        let mut f = Functional::new();
        let input = Input::new([rows, columns, channels]);
        let input = input.of_type(self.network.input_element_types()[0]);
        let x = f.apply(input.named("pictures"), &[])?;
        let inner = match name {
            "pictures" => "network",
            name => name,
        };
        let link = link(&self.network, self)?;
        let mut outputs = Vec::new();
        for (number, view) in views.views.iter().enumerate() {
            let seen = view.of(&mut f, x, [rows, columns])?;
            let output = match number {
                0 => f.apply(self.clone().named(inner), &[seen])?,
                _ => f.apply_again(inner, &[seen])?,
            };
            outputs.push(match link {
                Some(Link::Softmax) => f.apply(ActivationLayer::new("softmax"), &[output])?,
                Some(Link::Sigmoid) => f.apply(ActivationLayer::new("sigmoid"), &[output])?,
                None => output,
            });
        }
        let mean = match outputs.as_slice() {
            [one] => *one,
            several => f.apply(Average, several)?,
        };
        // What a probability that is 0 counts as.
        const LEAST: f32 = 1e-30;
        let mut logarithm = |x: LayerOutput| {
            let positive = f.apply(Operation::new("Maximum").constant(1, LEAST), &[x])?;
            f.apply(Operation::new("Log"), &[positive])
        };
        let output = match link {
            None => mean,
            Some(Link::Softmax) => logarithm(mean)?,
            Some(Link::Sigmoid) => {
                let yes = logarithm(mean)?;
                let no = f.apply(Operation::new("Subtract").constant(0, 1.0), &[mean])?;
                let no = f.apply(Operation::new("Maximum").constant(1, LEAST), &[no])?;
                let no = f.apply(Operation::new("Log"), &[no])?;
                f.apply(Subtract, &[yes, no])?
            }
        };
        f.set_name(format!("{name}_of_views"));
        let mut model: Model = f.model(&[x], &[output])?;
        let mut training = training.clone();
        training.unknown_optimizer = None;
        model.training = Some(training);
        model.set_optimizer(SGD::new(0.01))?;
        model.class_names.clone_from(&self.class_names);
        Ok(model)
    }
}

/// What makes probabilities of the model's output, if its loss takes it for logits.
fn link(network: &Network, model: &Model) -> Result<Option<Link>> {
    let training = model.training.as_ref().ok_or_else(not_compiled)?;
    let graph = regraft_autograd::Graph::new();
    let inputs = Inputs::of(network)?.in_graph(&graph);
    let (outputs, _) = network.emit(&graph, &inputs, Mode::Inference)?;
    let losses = training.objective.losses(network)?;
    let loss = losses.first().copied().flatten();
    let loss = loss.and_then(|loss| loss.get().ok());
    Ok(loss
        .zip(outputs.first())
        .and_then(|(loss, output)| loss.link(*output)))
}
