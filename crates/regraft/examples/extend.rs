//! One of each kind of one's own, with no other crate than `regraft`: a layer with an op inside, an
//! activation, a loss, a metric, a callback, an update rule and a schedule.
//!
//! `cargo run --release -p regraft --example extend`

use regraft::extend::*;
use regraft::prelude::*;
use regraft::settings::{require_positive, require_share};

/// y = x³, element by element.
#[derive(Debug)]
struct Cube;

impl Op for Cube {
    fn name(&self) -> &str {
        "cube"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(operands[0].clone())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        for (y, x) in output.f32().iter_mut().zip(operands.f32(0)) {
            *y = x * x * x;
        }
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let x = at.operand(0);
        vec![Some(at.cotangent() * x * x * 3.0)]
    }

    // A row of the result depends on that row alone, so frozen ones can be kept.
    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

settings! {
    /// y = (x · scale)³, with one scale per feature.
    #[derive(Clone, Debug)]
    pub struct ScaledCube as "ScaledCube" {
        /// With scales of 1 at first.
        new()
        /// Where the scales start.
        scale_initializer: Initializer = "ones",
    }
}

impl Layer for ScaledCube {
    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        let features = inputs[0].sample().unwrap_or_default();
        weights.parameter("scale", features, &self.scale_initializer);
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let scaled = inputs[0] * call.weight("scale");
        call.graph().apply(Cube, &[scaled])
    }
}

settings! {
    /// max(x, slope · x).
    #[derive(Clone, Debug)]
    pub struct Leaky as "Leaky" {
        /// With this slope below 0.
        new(slope: f32 = 0.1)
        slope: f32 = slope => require_share,
    }
}

impl ActivationFunction for Leaky {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        x.maximum(x * self.slope)
    }
}

settings! {
    /// The mean of δ² (√(1 + (error / δ)²) − 1).
    #[derive(Clone, Debug)]
    pub struct PseudoHuber as "PseudoHuber" {
        /// That bends at errors of `delta`.
        new(delta: f32 = 1.0)
        delta: f32 = delta => require_positive,
    }
}

impl Loss for PseudoHuber {
    fn targets(&self, predictions: &Shape) -> Result<(Shape, DataType), Detail> {
        Ok((predictions.clone(), DataType::F32))
    }

    fn call<'g>(&self, targets: Var<'g>, predictions: Var<'g>) -> Var<'g> {
        let error = (predictions - targets) / self.delta;
        let last = predictions.shape().rank() - 1;
        ((error * error + 1.0).sqrt() - 1.0).mean(&[last]) * (self.delta * self.delta)
    }
}

settings! {
    /// The largest error seen.
    #[derive(Clone, Debug)]
    pub struct LargestError as "LargestError" {
        /// In the unit of the targets.
        new()
        /// In another unit, of which there are so many to one of the targets.
        per_target: f64 = 1.0,
    }
    state { largest: f64 = 0.0 }
}

impl Metric for LargestError {
    fn name(&self) -> &str {
        "largest_error"
    }

    fn reset(&mut self) {
        self.largest = 0.0;
    }

    fn update(&mut self, batch: &Batch<'_>) -> metrics::Result<()> {
        for (target, predicted) in batch.values(self.name())?.iter().zip(batch.predictions) {
            self.largest = self.largest.max(f64::from((target - predicted).abs()));
        }
        Ok(())
    }

    fn result(&self) -> f64 {
        self.largest * self.per_target
    }
}

/// Stops when the loss is small enough.
#[derive(Debug)]
struct GoodEnough(f64);

impl Callback for GoodEnough {
    fn on_epoch_end(
        &mut self,
        epoch: usize,
        context: &mut Context<'_>,
        history: &History,
    ) -> regraft::Result<()> {
        if history.last("loss").is_some_and(|loss| loss < self.0) {
            println!("good enough after {} epochs", epoch + 1);
            context.stop();
        }
        Ok(())
    }
}

/// w ← w − η · m, where m ← 0.9 · m + g.
#[derive(Debug)]
struct Momentum;

impl Configured for Momentum {}

impl UpdateRule for Momentum {
    fn slots(&self, parameter: &ParameterInfo) -> Vec<Slot> {
        vec![Slot::like(parameter, "velocity")]
    }

    fn update(&self, step: &Step<'_>, w: &mut [f32], g: &[f32], slots: &mut [&mut [f32]]) {
        optimizers::elementwise::one_slot(w, g, slots, |w, g, m| {
            let m = 0.9 * m + g;
            (w - step.learning_rate * m, m)
        });
    }
}

/// A learning rate that falls to half every `0` steps.
#[derive(Debug)]
struct HalfEvery(u64);

impl Schedule for HalfEvery {
    fn learning_rate(&self, step: u64) -> f32 {
        0.02 * 0.5_f32.powi((step / self.0) as i32)
    }
}

impl Configured for HalfEvery {}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let point = Tensor::new([3], vec![-1.0, 0.5, 2.0])?;
    gradcheck(|graph, x| graph.apply(Cube, x), &[point])?;

    let x = Array2::from_shape_fn((64, 2), |(row, column)| {
        ((row * 3 + column * 5) % 8) as f32 / 8.0
    });
    let y = Array2::from_shape_fn((64, 1), |(row, _)| x[[row, 0]].powi(3) - x[[row, 1]]);
    let mut model = Sequential::new(layers![
        Input::new([2]),
        ScaledCube::new().scale_initializer("ones"),
        Dense::new(1).activation(Leaky::new(0.5)),
    ])?;
    let optimizer = Optimizer::builder(Momentum)
        .learning_rate(HalfEvery(400))
        .build()?;
    model.compile(
        optimizer,
        LossFunction::new(PseudoHuber::new(1.0)),
        (LargestError::new().per_target(100.0), "mae"),
    )?;
    let options = Fit::new()
        .epochs(100)
        .batch_size(16)
        .callback(GoodEnough(0.05))
        .verbosity(Verbosity::Silent);
    let history = model.fit(&x, &y, options)?;
    println!("{}", model.evaluate(&x, &y)?);
    assert!(history.last("loss") < history.get("loss").and_then(|all| all.first().copied()));

    // Frozen like any other layer: its weight is a constant of the graph.
    model.freeze("scaled_cube")?;
    println!("{}", model.summary());
    Ok(())
}
