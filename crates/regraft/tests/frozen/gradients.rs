//! Gradients of a model's loss, asked for on the graph itself.

use std::collections::HashMap;

use regraft::Model;
use regraft::losses::LossFunction;
use regraft::random::{Key, normal};
use regraft_autograd::{
    DataType, Feed, Graph, Program, Run, Shape, Source, Var, VariableId, Variables, Workspace,
};
use regraft_layers::{Emission, Mode, WeightKind, WeightStore};

use crate::masks::{self, Mask, layer_of};
use crate::models::{Samples, Values};

/// Training draws the same random numbers each time.
const RUN: Run = Run { seed: 3, step: 5 };

/// Writes the model with its losses into `graph`: the weighted loss of the data, the same with
/// penalties, and what goes with them.
fn write<'g>(
    graph: &'g Graph,
    model: &Model,
    losses: &[LossFunction],
    samples: &Samples,
) -> (Var<'g>, Var<'g>, Emission<'g>) {
    let input = |name: &str, values: &Values| match values {
        Values::Floats(x) => graph.input(name, Shape::batch_of(&x.shape()[1..]), DataType::F32),
        Values::Integers(x) => graph.input(name, Shape::batch_of(&x.shape()[1..]), DataType::I32),
    };
    let x: Vec<Var<'g>> = samples.inputs.iter().map(|x| input("x", x)).collect();
    let y: Vec<Var<'g>> = samples.targets.iter().map(|y| input("y", y)).collect();
    let weights = graph.input("weights", Shape::batch_of(&[]), DataType::F32);
    let (outputs, emission) = model.emit(graph, &x, Mode::Training).unwrap();
    let parts = losses
        .iter()
        .zip(&y)
        .zip(outputs.iter().zip(&emission.masks));
    let loss = parts
        .map(|((loss, y), (output, mask))| loss.apply_masked(*y, *output, Some(weights), *mask));
    let loss = loss.reduce(|a, b| a + b).unwrap();
    let penalties = emission.penalties.iter().copied();
    let penalized = penalties.fold(loss, |sum, penalty| sum + penalty);
    (loss, penalized, emission)
}

/// The values of some nodes for these samples.
fn values<V: Variables + ?Sized>(
    workspace: &mut Workspace,
    samples: &Samples,
    variables: &V,
) -> Vec<Vec<f32>> {
    let arrays = samples.inputs.iter().chain(&samples.targets);
    let mut feeds: Vec<Feed<'_>> = arrays
        .map(|values| match values {
            Values::Floats(x) => Feed::F32(x.as_slice().unwrap()),
            Values::Integers(x) => Feed::I32(x.as_slice().unwrap()),
        })
        .collect();
    feeds.push(Feed::F32(&samples.weights));
    let batch = samples.weights.len();
    workspace.run(batch, &feeds, variables, RUN).unwrap();
    (0..workspace.program().output_count())
        .map(|index| workspace.output(index).to_vec())
        .collect()
}

/// Asks for the gradient with respect to every frozen weight: all zeros, without a node that is computed
/// from anything.
pub fn assert_zero(model: &Model, mask: &Mask, losses: &[LossFunction], samples: &Samples) {
    let graph = Graph::new();
    let (_, loss, emission) = write(&graph, model, losses, samples);
    let mut frozen: Vec<(String, Var<'_>)> = Vec::new();
    let mut still = Vec::new();
    for weight in model.weights().iter() {
        let Some(var) = emission.weight(weight.id()) else {
            let kind = weight.kind();
            assert_eq!(
                kind,
                WeightKind::State,
                "{} is in no formula",
                weight.path()
            );
            continue;
        };
        if masks::is_normalized(model, weight.path()) {
            // The value of this step stands for it.
            still.extend(Some(weight.path()).filter(|_| mask.is_frozen(weight)));
        } else if mask.is_frozen(weight) {
            // Whatever stands for it is a constant of these very bytes.
            let nodes = graph.nodes();
            let constant = nodes.node(var.id()).constant().and_then(|it| it.f32());
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            let constant = constant.map(|value| bits(value.as_slice()));
            let own = bits(weight.value().as_slice());
            assert_eq!(constant, Some(own), "{} is no constant", weight.path());
            frozen.push((weight.path().to_string(), var));
        } else if weight.kind() == WeightKind::Parameter {
            let nodes = graph.nodes();
            let is_variable = matches!(nodes.node(var.id()).source, Source::Variable(_));
            assert!(is_variable, "{} is no variable", weight.path());
        }
    }
    let listed: Vec<&str> = emission
        .trainable
        .iter()
        .filter_map(|(id, _)| model.weights().get(*id))
        .map(|weight| weight.path())
        .collect();
    still.extend(frozen.iter().map(|(path, _)| path.as_str()));
    for path in still {
        assert!(!listed.contains(&path), "{path} is to be trained");
    }
    let before = graph.nodes().len();
    let vars: Vec<Var<'_>> = frozen.iter().map(|(_, var)| *var).collect();
    let gradients = graph.grad(loss, &vars).unwrap();
    {
        let nodes = graph.nodes();
        for (_, node) in nodes.iter().skip(before) {
            let inner = node.operands().iter().all(|operand| operand.0 >= before);
            let made = node.constant().is_some() || node.op().is_some();
            assert!(
                inner && made,
                "a gradient was computed for something frozen"
            );
        }
    }
    // Asked for alone, and together with what is trained.
    let trained = emission.trainable.iter().map(|(_, var)| *var);
    let together: Vec<Var<'_>> = vars.iter().copied().chain(trained).collect();
    let together = graph.grad(loss, &together).unwrap();
    let gradients: Vec<Var<'_>> = gradients.into_iter().chain(together).collect();
    let mut program = Program::compile(&graph, &gradients).unwrap().workspace();
    let mut gradients = values(&mut program, samples, model.weights());
    gradients.truncate(2 * frozen.len());
    for ((path, var), gradient) in frozen.iter().chain(&frozen).zip(gradients) {
        let elements: usize = var.shape().concrete(0).iter().product();
        assert_eq!(gradient.len(), elements, "{path}");
        assert!(
            gradient.iter().all(|value| *value == 0.0),
            "gradient of {path}"
        );
    }
}

/// With frozen parameters trained, which changes nothing else, the loss is the same; the number of layers
/// that have such parameters, and of those in which the gradients of all of them are zero even so.
pub fn trained(
    model: &Model,
    mask: &Mask,
    losses: &[LossFunction],
    samples: &Samples,
) -> (usize, usize) {
    let loss_of = |model: &Model| {
        let graph = Graph::new();
        let (loss, _, _) = write(&graph, model, losses, samples);
        let mut program = Program::compile(&graph, &[loss]).unwrap().workspace();
        values(&mut program, samples, model.weights())[0][0]
    };
    let mut all = model.clone();
    let mut own = mask.clone();
    let mut frozen = Vec::new();
    let mut of_frozen = Vec::new();
    for (path, state) in &mask.layers {
        let parameter = |weight: &&regraft_layers::Weight| {
            layer_of(weight.path()) == path && weight.kind() == WeightKind::Parameter
        };
        let parameters = model.weights().iter().filter(parameter);
        let still: Vec<&str> = parameters
            .clone()
            .filter(|weight| mask.is_frozen(weight))
            .map(|weight| weight.path())
            .collect();
        // The layer as a whole, or each weight alone.
        if !still.is_empty() && still.len() == parameters.count() {
            own.set(&mut all, path, masks::trained(*state));
        } else {
            for weight in &still {
                own.unfreeze(&mut all, weight);
            }
        }
        if !still.is_empty() {
            frozen.push(path.clone());
            of_frozen.extend(still.into_iter().map(str::to_string));
        }
    }
    let (before, after) = (loss_of(model), loss_of(&all));
    // Frozen normalizations are folded into the weights before them, which rounds differently.
    let close = (before - after).abs() <= 1e-4 * before.abs().max(1e-2);
    assert!(close, "loss {before} when frozen, {after} when trained");
    let graph = Graph::new();
    let (loss, _, emission) = write(&graph, &all, losses, samples);
    let weights = all.weights().iter();
    let of_frozen = weights.filter(|weight| of_frozen.iter().any(|path| path == weight.path()));
    let (layers, vars): (Vec<&str>, Vec<Var<'_>>) = of_frozen
        .map(|weight| {
            let var = emission
                .weight(weight.id())
                .expect("asked for by the layer");
            (layer_of(weight.path()), var)
        })
        .unzip();
    let gradients = graph.grad(loss, &vars).unwrap();
    let mut program = Program::compile(&graph, &gradients).unwrap().workspace();
    let gradients = values(&mut program, samples, all.weights());
    let alive = |path: &&String| {
        let mut of_layer = layers
            .iter()
            .zip(&gradients)
            .filter(|(layer, _)| *layer == *path);
        of_layer.any(|(_, gradient)| gradient.iter().any(|value| *value != 0.0))
    };
    let without = frozen.iter().filter(|path| !alive(path)).count();
    (frozen.len(), without)
}

/// A store in which some weights have other values.
struct Moved<'a> {
    store: &'a WeightStore,
    moved: HashMap<VariableId, Vec<f32>>,
}

impl Variables for Moved<'_> {
    fn value(&self, id: VariableId) -> Option<&[f32]> {
        match self.moved.get(&id) {
            Some(values) => Some(values),
            None => self.store.value(id),
        }
    }
}

/// Compares gradients with differences of the loss, each weight by itself, and returns the number of
/// weights, and of those where differences cannot tell.
///
/// The slope is taken along a direction in one weight, half its gradient and half random. The difference
/// over a step h has an error of h² from the curvature, and one from the rounding of the loss, 2⁻²⁴ of it
/// some times over, divided by h. So a difference is believed only where that of a step a third as long
/// agrees to 1 % of the gradient and rounding cannot exceed that; and two such pairs must be there, since
/// one may agree by chance. The gradient has then to agree with one of them to 2 %: 1 % for each of the
/// two errors. All the rest (weak gradients, normalizations of almost equal numbers) is counted.
pub fn assert_slopes(
    model: &Model,
    mask: &Mask,
    losses: &[LossFunction],
    samples: &Samples,
    seed: u64,
) -> (usize, usize) {
    let graph = Graph::new();
    let (_, loss, emission) = write(&graph, model, losses, samples);
    let weights = model.weights().iter();
    let ids: Vec<VariableId> = weights
        .filter(|weight| weight.kind() == WeightKind::Parameter && !mask.is_frozen(weight))
        .map(|weight| weight.id())
        .collect();
    let vars: Vec<Var<'_>> = ids
        .iter()
        .map(|&id| emission.weight(id).expect("in a formula"))
        .collect();
    let mut outputs = graph.grad(loss, &vars).unwrap();
    outputs.push(loss);
    let mut program = Program::compile(&graph, &outputs).unwrap().workspace();
    let mut gradients = values(&mut program, samples, model.weights());
    let at = f64::from(gradients.pop().expect("the loss")[0]);
    let mut program = Program::compile(&graph, &[loss]).unwrap().workspace();
    let mut unknown = 0;
    for (index, (&id, gradient)) in ids.iter().zip(&gradients).enumerate() {
        let norm = length(gradient).max(1e-9);
        let mut direction = vec![0.0; gradient.len()];
        normal(Key::new(seed, 5000 + index as u64), 0, &mut direction);
        let random = length(&direction).max(1e-6);
        for (direction, gradient) in direction.iter_mut().zip(gradient) {
            *direction = 0.5 * (*direction / random as f32 + *gradient / norm as f32);
        }
        let products = gradient.iter().zip(&direction);
        let expected: f64 = products.map(|(g, d)| f64::from(*g) * f64::from(*d)).sum();
        let weight = model.weights().get(id).unwrap();
        let mut loss_at = |step: f32| {
            let own = weight.value().as_slice().iter().zip(&direction);
            let moved = own
                .map(|(value, direction)| value + step * direction)
                .collect();
            let variables = Moved {
                store: model.weights(),
                moved: HashMap::from([(id, moved)]),
            };
            f64::from(values(&mut program, samples, &variables)[0][0])
        };
        let slopes = [1e-1_f32, 3e-2, 1e-2, 3e-3].map(|step| {
            let slope = (loss_at(step) - loss_at(-step)) / (2.0 * f64::from(step));
            let rounding = 8.0 * 2.0_f64.powi(-24) * at.abs().max(1.0) / f64::from(step);
            (slope, rounding)
        });
        let believed = slopes.windows(2).filter(|pair| {
            let [(long, _), (short, rounding)] = pair else {
                return false;
            };
            (long - short).abs() <= 0.01 * norm && *rounding <= 0.01 * norm
        });
        let differences = believed.map(|pair| (pair[1].0 - expected).abs() / norm);
        let differences: Vec<f64> = differences.collect();
        if differences.len() < 2 {
            unknown += 1;
            continue;
        }
        let closest = differences.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(
            closest <= 0.02,
            "{}: slope and gradient differ by {closest} of the gradient",
            weight.path()
        );
    }
    (ids.len(), unknown)
}

fn length(values: &[f32]) -> f64 {
    let squares = values.iter().map(|value| f64::from(*value).powi(2));
    squares.sum::<f64>().sqrt()
}
