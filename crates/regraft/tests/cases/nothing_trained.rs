//! Training that could change nothing says so: everything frozen, an op without a gradient in the way,
//! a loss that does not depend on what is trained, weights without elements.

use regraft::callbacks::{Callback, Context};
use regraft::layers::{BatchNormalization, Dense, Input, LayerExt};
use regraft::ndarray::Array2;
use regraft::optimizers::{Adam, AdamW};
use regraft::{Fit, Freezing, History, Model, Sequential, Verbosity};
use regraft_autograd::{Forward, Gradient, Op, Output, Shape, Var, attributes};
use regraft_layers::{Call, Configured, Initializer, Layer, Weights, layers};
use regraft_tensor::Detail;

/// y = sin(x), without a gradient: it was forgotten.
#[derive(Debug)]
struct Forgetful;

/// y = sin(x), which states that no gradient passes.
#[derive(Debug)]
struct Closed;

macro_rules! sine {
    ($op:ident, $($gradient:item)?) => {
        impl Op for $op {
            attributes!();

            fn name(&self) -> &str {
                stringify!($op)
            }

            fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
                Ok(operands[0].clone())
            }

            fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
                for (y, x) in output.f32().iter_mut().zip(operands.f32(0)) {
                    *y = x.sin();
                }
                Ok(())
            }

            $($gradient)?
        }
    };
}

sine!(Forgetful,);
sine!(
    Closed,
    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        at.none()
    }
);

/// A value made of another.
type Function = for<'g> fn(Var<'g>) -> Var<'g>;

/// A layer of one function of its input.
#[derive(Debug)]
struct Formula(Function);

impl Configured for Formula {}

impl Layer for Formula {
    fn build(&self, _inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        Ok(())
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        (self.0)(inputs[0])
    }
}

fn with(formula: Function) -> Model {
    let mut model = Sequential::new(layers![
        Input::new([2]),
        Dense::new(3).named("below"),
        Formula(formula),
    ])
    .unwrap();
    model.compile(Adam::new(1e-2), "mse", ()).unwrap();
    model
}

fn forgetful(x: Var<'_>) -> Var<'_> {
    x.graph().apply(Forgetful, &[x])
}

fn fit(model: &mut Model, options: Fit<'_>) -> Result<History, regraft::Error> {
    let x = Array2::from_shape_fn((8, 2), |(i, j)| (i as f32 * 0.7 + j as f32).sin());
    let width = model.output_shapes()[0].sample().unwrap()[0];
    let y = Array2::from_shape_fn((8, width), |(i, j)| (i + j) as f32 * 0.1);
    model.fit(&x, &y, options.verbosity(Verbosity::Silent))
}

/// What training says, with every one of these words in it.
#[track_caller]
fn refused(model: &mut Model, words: &[&str]) {
    let before = bytes(model);
    let error = fit(model, Fit::new()).unwrap_err().to_string();
    for word in words {
        assert!(error.contains(word), "{word} is not in: {error}");
    }
    assert_eq!(bytes(model), before);
}

fn bytes(model: &Model) -> Vec<Vec<u32>> {
    let weights = model.weights().iter();
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect();
    weights
        .map(|weight| bits(weight.value().as_slice()))
        .collect()
}

#[test]
fn an_op_that_declares_no_gradient_is_named() {
    refused(
        &mut with(forgetful),
        &["formula (Forgetful)", "declares none"],
    );
    // Beside a path that has one, too: the gradient would be wrong.
    refused(&mut with(|x| x + forgetful(x)), &["formula (Forgetful)"]);
    let mut model = with(forgetful);
    model.freeze("below").unwrap();
    model.add(Dense::new(2).named("above")).unwrap();
    // Nothing below is trained, so nobody asks.
    fit(&mut model, Fit::new()).unwrap();
    model.unfreeze("below").unwrap();
    refused(&mut model, &["formula (Forgetful)"]);
}

#[test]
fn what_no_gradient_reaches_is_named_with_the_op_at_which_it_stops() {
    let formulas: [(Function, &str); 6] = [
        (|x| x.round(), "formula (round)"),
        (|x| x.floor(), "formula (floor)"),
        (|x| x.greater(0.0), "formula (greater)"),
        (|x| x.argmax(1).one_hot(3), "formula (argmax)"),
        (|x| x.stop_gradient(), "formula (stop_gradient)"),
        (|x| x.graph().apply(Closed, &[x]), "formula (Closed)"),
    ];
    for (formula, place) in formulas {
        refused(&mut with(formula), &["below", "gradients stop at", place]);
        // With something above that can be trained, that is trained, and what is below stays as it
        // is, weight decay included: Keras leaves out what has no gradient.
        let mut model = with(formula);
        model.add(Dense::new(2).named("above")).unwrap();
        let optimizer = AdamW::new(1e-2).weight_decay(0.1);
        model.compile(optimizer, "mse", ()).unwrap();
        let before = bytes(&model);
        fit(&mut model, Fit::new().epochs(2)).unwrap();
        let after = bytes(&model);
        assert_eq!(after[..2], before[..2], "{place}");
        assert_ne!(after[2], before[2], "{place}");
    }
    refused(
        &mut with(|x| x.graph().full(x.shape(), 1.0)),
        &["below", "the loss does not depend on"],
    );
    // Beside a path that has a gradient it is a formula like any other.
    let mut model = with(|x| x + x.round() * 2.0);
    let before = bytes(&model);
    fit(&mut model, Fit::new()).unwrap();
    assert_ne!(bytes(&model), before);
}

#[test]
fn everything_frozen_names_the_layers_and_says_how_to_unfreeze() {
    let stack = layers![
        Input::new([2]),
        Dense::new(3).named("hidden"),
        BatchNormalization::new().named("norm"),
        Dense::new(2).named("head"),
    ];
    let mut model = Sequential::new(stack).unwrap();
    model.compile(Adam::new(1e-2), "mse", ()).unwrap();
    model.freeze(..).unwrap();
    refused(&mut model, &["hidden, norm, head", "unfreeze(\"head\")"]);
    // Statistics that move are something.
    model.set_freezing("norm", Freezing::FrozenParams).unwrap();
    let before = bytes(&model);
    fit(&mut model, Fit::new()).unwrap();
    let moved: Vec<bool> = bytes(&model)
        .iter()
        .zip(&before)
        .map(|(after, before)| after != before)
        .collect();
    let paths = model
        .weights()
        .iter()
        .map(|weight| weight.name().to_string());
    for (name, moved) in paths.zip(moved) {
        assert_eq!(moved, name.starts_with("moving_"), "{name}");
    }
    // Evaluating and predicting train nothing anyway.
    model.freeze(..).unwrap();
    let x = Array2::<f32>::ones((4, 2));
    model.evaluate(&x, &Array2::<f32>::ones((4, 2))).unwrap();
    model.predict(&x).unwrap();
    model.unfreeze("head").unwrap();
    fit(&mut model, Fit::new()).unwrap();

    let mut nothing = Sequential::new(layers![Input::new([2]), Formula(|x| x * 2.0)]).unwrap();
    nothing.compile(Adam::new(1e-2), "mse", ()).unwrap();
    refused(&mut nothing, &["without parameters"]);
}

/// Freezes everything after an epoch.
#[derive(Debug)]
struct FreezesAll(usize);

impl Callback for FreezesAll {
    fn on_epoch_end(
        &mut self,
        epoch: usize,
        context: &mut Context<'_>,
        _history: &History,
    ) -> Result<(), regraft::Error> {
        if epoch == self.0 {
            context.model.freeze(..)?;
        }
        Ok(())
    }
}

#[test]
fn freezing_everything_between_epochs_is_refused_but_not_after_the_last() {
    let mut model = with(|x| x.tanh());
    let error = fit(&mut model, Fit::new().epochs(3).callback(FreezesAll(0)));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("unfreeze(\"below\")"), "{error}");
    let mut model = with(|x| x.tanh());
    let history = fit(&mut model, Fit::new().epochs(3).callback(FreezesAll(2)));
    assert_eq!(history.unwrap().get("loss").unwrap().len(), 3);
}

/// A weight of this many rows.
#[derive(Debug)]
struct Rows(usize);

impl Configured for Rows {}

impl Layer for Rows {
    fn build(&self, _inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        weights.parameter("reduce", [2, self.0], &Initializer::ones());
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        inputs[0].matmul(call.weight("reduce"))
    }
}

#[test]
fn a_weight_without_elements_is_refused_when_it_is_made() {
    let model = |rows: usize| Sequential::new(layers![Input::new([2]), Rows(rows)]);
    model(1).unwrap();
    let error = model(0).unwrap_err().to_string();
    for word in ["rows/reduce", "[2, 0]"] {
        assert!(error.contains(word), "{word} is not in: {error}");
    }
}
