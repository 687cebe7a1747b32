//! Where does a model begin to compute something else than its original? Comparing it layer by layer
//! with activations that another framework gave.
//!
//! `fixtures/activations.py` in the repository writes such a file from a Keras model file, or from a
//! PyTorch module; any `.npz` with the input as `x` (or as `input…`, one per input) and the outputs
//! of layers under their names or paths will do:
//!
//! ```no_run
//! # fn main() -> regraft::Result<()> {
//! use regraft::parity::Reference;
//!
//! let (model, _) = regraft::Model::open("mobilenetv2.keras")?;
//! let report = model.parity(&Reference::read("activations.npz")?, 1e-4)?;
//! println!("{report}");
//! if let Some(layer) = report.first_difference() {
//!     println!("look at {} first", layer.path);
//! }
//! # Ok(())
//! # }
//! ```

mod npz;

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use regraft_autograd::Shape;
use regraft_layers::{Model as Network, near};
use regraft_tensor::kernels::random::{Key, uniform};
use regraft_tensor::{Detail, Tensor};

use crate::applications::Preprocessing;
use crate::{Error, Model, Result};

/// Inputs, and what layers gave for them elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    arrays: Vec<(String, Tensor)>,
}

impl Reference {
    /// A reference without arrays, for [`with`](Self::with).
    pub fn new() -> Self {
        Self::default()
    }

    /// The arrays of an `.npz` file.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read, or holds something else than arrays of numbers.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let at = path.display().to_string();
        let file = File::open(path).map_err(|error| {
            Error::File(Detail::new(&at, "an .npz file that can be read", error))
        })?;
        let arrays = npz::read(BufReader::new(file)).map_err(|error| match error {
            Error::File(detail) => Error::File(detail.within(&at)),
            error => error,
        });
        Ok(Reference { arrays: arrays? })
    }

    /// Adds an array: `x` or `input…` is the input, anything else the output of the layer of that name
    /// or path.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, array: Tensor) -> Self {
        self.arrays.push((name.into(), array));
        self
    }
}

impl Reference {
    /// What `model` gives for `inputs` (in its order): the output of every layer that `layers` names by its
    /// path.
    ///
    /// # Errors
    /// A layer that is not there, and what the model refuses of the inputs.
    pub fn of(model: &Model, inputs: &[Tensor], layers: &[String]) -> Result<Self> {
        let features = Model::from(model.network.features(layers.iter().map(String::as_str))?);
        let outputs = features.predict_all(inputs.iter().collect::<Vec<_>>())?;
        let mut reference = Reference::new();
        for (position, input) in inputs.iter().enumerate() {
            // In the order of the alphabet, by which inputs without the model's names are taken.
            reference = reference.with(format!("input{position:06}"), input.clone());
        }
        let outputs = layers.iter().zip(outputs);
        Ok(outputs.fold(reference, |reference, (path, output)| {
            reference.with(path, output)
        }))
    }
}

/// How a model's activations differ from a reference, layer by layer in the order of the graph. It
/// prints as a table.
#[derive(Clone, Debug)]
pub struct ParityReport {
    /// The layers that the reference has.
    pub layers: Vec<LayerDifference>,
    /// The relative difference up to which a layer counts as the same.
    pub tolerance: f32,
}

/// How the output of a layer differs.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerDifference {
    /// The layer's path.
    pub path: String,
    /// Its class.
    pub class_name: String,
    /// The shape of its output, samples first.
    pub shape: Vec<usize>,
    /// The largest difference of two numbers; infinite where one of them is NaN.
    pub absolute: f32,
    /// The same divided by the largest number of the reference.
    pub relative: f32,
    /// Where the difference is the largest.
    pub at: Vec<usize>,
}

impl ParityReport {
    /// The first layer in the order of the graph that differs beyond the tolerance.
    pub fn first_difference(&self) -> Option<&LayerDifference> {
        let differs = |layer: &&LayerDifference| layer.relative > self.tolerance;
        self.layers.iter().find(differs)
    }
}

impl Model {
    /// Runs the model on the input of a reference and compares every layer that the reference has,
    /// all in one pass, in inference. A layer is the same if the largest difference is at most
    /// `tolerance` of the reference's largest number; 1e-5 to 1e-4 is what float32 leaves room for.
    ///
    /// # Errors
    /// A name that is neither an input nor a layer, with the nearest names; a shape that differs from
    /// the layer's; no input, or no layer; and what the model refuses of the input.
    pub fn parity(&self, reference: &Reference, tolerance: f32) -> Result<ParityReport> {
        let model = &self.network;
        let order = graph_order(model);
        let mut inputs: Vec<(&str, &Tensor)> = Vec::new();
        let mut layers: Vec<(usize, &str, &Tensor)> = Vec::new();
        for (name, array) in &reference.arrays {
            match order.get(name.as_str()) {
                Some(&position) => layers.push((position, name, array)),
                None if name == "x" || name.starts_with("input") => inputs.push((name, array)),
                None => {
                    let expected = "`x`, `input…` or the path of a layer";
                    let detail = Detail::new("parity", expected, format!("{name:?}"));
                    let help = near(name, order.keys().map(String::as_str));
                    return Err(Error::Data(detail.help(help)));
                }
            }
        }
        if layers.is_empty() || inputs.is_empty() {
            let names: Vec<&str> = reference
                .arrays
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            let expected = "an input (`x`) and the outputs of at least 1 layer";
            let detail = Detail::new("parity", expected, format!("{names:?}"));
            return Err(Error::Data(detail));
        }
        layers.sort_by_key(|(position, ..)| *position);
        for (_, path, array) in &layers {
            let layer = model.get_layer(*path)?;
            let samples = array.shape().first().copied().unwrap_or(0);
            let shapes = layer.output_shapes();
            let fits = matches!(shapes, [shape] if shape.concrete(samples) == array.shape());
            if !fits {
                let shapes: Vec<String> = shapes.iter().map(ToString::to_string).collect();
                let expected = format!("a reference of shape {}", shapes.join(", "));
                let received = format!("{:?}", array.shape());
                return Err(Error::Data(Detail::new(*path, expected, received)));
            }
        }
        let inputs = in_order(model, inputs);
        let features = Model::from(model.features(layers.iter().map(|(_, path, _)| *path))?);
        let outputs = features.predict_all(inputs)?;
        let compare = |((_, path, reference), output): (&(usize, &str, &Tensor), &Tensor)| {
            if output.shape() != reference.shape() {
                let expected = format!("a reference of shape {:?}", output.shape());
                let received = format!("{:?}", reference.shape());
                return Err(Error::Data(Detail::new(*path, expected, received)));
            }
            let class_name = model.get_layer(*path)?.class_name().to_string();
            Ok(difference(path, class_name, output, reference))
        };
        let compared = layers.iter().zip(&outputs).map(compare);
        Ok(ParityReport {
            layers: compared.collect::<Result<_>>()?,
            tolerance,
        })
    }
}

impl Model {
    /// Runs this model and another on the same inputs and compares the outputs of all layers that both have,
    /// by path: two formats of one model, or a model before and after training. `samples` random ones are made
    /// of `seed`, from 0 to 1, or from 0 to 255 where scaling stands in front of the model.
    ///
    /// Where the paths are not the same because Keras counted its automatic names on, layers are compared in
    /// their order, if both models have the same classes in the same order.
    ///
    /// # Errors
    /// Models with other inputs, or without a layer in common; inputs of strings.
    pub fn parity_with(
        &self,
        other: &Model,
        samples: usize,
        seed: u64,
        tolerance: f32,
    ) -> Result<ParityReport> {
        let (ours, theirs) = (comparable(&self.network), comparable(&other.network));
        let classes = |layers: &[(String, String)]| -> Vec<String> {
            layers.iter().map(|(_, class)| class.clone()).collect()
        };
        let in_order = classes(&ours) == classes(&theirs);
        let pairs: Vec<(String, String)> = match in_order {
            true => ours
                .into_iter()
                .zip(theirs)
                .map(|((ours, _), (theirs, _))| (ours, theirs))
                .collect(),
            false => ours
                .into_iter()
                .filter(|(path, _)| theirs.iter().any(|(known, _)| known == path))
                .map(|(path, _)| (path.clone(), path))
                .collect(),
        };
        if pairs.is_empty() || self.input_shapes() != other.input_shapes() {
            let told = |model: &Model| -> String {
                let shapes = model.input_shapes();
                let shapes: Vec<String> = shapes.iter().map(ToString::to_string).collect();
                format!("{:?} of {}", model.name(), shapes.join(", "))
            };
            let expected = "two models with the same inputs and layers of the same paths";
            let received = format!("{} and {}", told(self), told(other));
            return Err(Error::Data(Detail::new("parity", expected, received)));
        }
        let scale = match self.preprocessing() {
            Some(Preprocessing::BuiltIn) => 255.0,
            _ => 1.0,
        };
        let input = |(stream, shape): (usize, Shape)| {
            let shape = shape.concrete(samples);
            let mut values = vec![0.0; shape.iter().product()];
            uniform(Key::new(seed, stream as u64), 0, &mut values);
            values.iter_mut().for_each(|value| *value *= scale);
            Ok(Tensor::new(shape, values).map_err(regraft_autograd::Error::from)?)
        };
        let inputs = self.input_shapes().into_iter().enumerate();
        let inputs: Vec<Tensor> = inputs.map(input).collect::<Result<_>>()?;
        let (ours, theirs): (Vec<String>, Vec<String>) = pairs.into_iter().unzip();
        let mut reference = Reference::of(other, &inputs, &theirs)?;
        // Under the names that they have here.
        for ((name, _), path) in reference.arrays[inputs.len()..].iter_mut().zip(ours) {
            *name = path;
        }
        self.parity(&reference, tolerance)
    }
}

/// Paths and classes of the layers with one output, in the order of the graph.
fn comparable(model: &Network) -> Vec<(String, String)> {
    let mut order: Vec<(String, usize)> = graph_order(model).into_iter().collect();
    order.sort_by_key(|(_, position)| *position);
    let layer = |(path, _): (String, usize)| {
        let layer = model.get_layer(path.as_str()).ok()?;
        let class_name = layer.class_name().to_string();
        (layer.output_shapes().len() == 1).then_some((path, class_name))
    };
    order.into_iter().filter_map(layer).collect()
}

/// The position in the graph of every layer but inputs, by path; a nested model's output comes after
/// its layers.
fn graph_order(model: &Network) -> HashMap<String, usize> {
    let mut order = HashMap::new();
    let mut open: Vec<String> = Vec::new();
    let close = |open: &mut Vec<String>, order: &mut HashMap<String, usize>, path: &str| {
        while let Some(last) = open.pop_if(|last| !path.starts_with(&format!("{last}/"))) {
            order.insert(last, order.len());
        }
    };
    for place in model.places() {
        close(&mut open, &mut order, &place.path);
        match place.class_name {
            _ if place.is_model => open.push(place.path),
            "InputLayer" => {}
            _ => {
                order.insert(place.path, order.len());
            }
        }
    }
    close(&mut open, &mut order, "");
    order
}

/// The inputs in the model's order: by their names if these are the model's, else by the alphabet.
fn in_order<'a>(model: &Network, mut inputs: Vec<(&str, &'a Tensor)>) -> Vec<&'a Tensor> {
    let names = model.input_names();
    let named: Option<Vec<&Tensor>> = names
        .iter()
        .map(|name| {
            let found = inputs.iter().find(|(known, _)| known == name);
            found.map(|(_, array)| *array)
        })
        .collect();
    named
        .filter(|named| named.len() == inputs.len())
        .unwrap_or_else(|| {
            inputs.sort_by_key(|(name, _)| *name);
            inputs.into_iter().map(|(_, array)| array).collect()
        })
}

fn difference(
    path: &str,
    class_name: String,
    output: &Tensor,
    reference: &Tensor,
) -> LayerDifference {
    let (mut absolute, mut largest, mut position) = (0.0_f32, 0.0_f32, 0);
    let pairs = output.as_slice().iter().zip(reference.as_slice());
    for (index, (&ours, &theirs)) in pairs.enumerate() {
        let apart = match (ours - theirs).abs() {
            apart if apart.is_nan() && ours.to_bits() == theirs.to_bits() => 0.0,
            apart if apart.is_nan() => f32::INFINITY,
            apart => apart,
        };
        if apart > absolute {
            (absolute, position) = (apart, index);
        }
        if theirs.is_finite() {
            largest = largest.max(theirs.abs());
        }
    }
    let mut at = Vec::with_capacity(output.ndim());
    for &size in output.shape().iter().rev() {
        at.push(position % size.max(1));
        position /= size.max(1);
    }
    at.reverse();
    LayerDifference {
        path: path.to_string(),
        class_name,
        shape: output.shape().to_vec(),
        absolute,
        relative: match absolute {
            0.0 => 0.0,
            absolute => absolute / largest,
        },
        at,
    }
}

impl fmt::Display for ParityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.first_difference();
        let name = |layer: &LayerDifference| format!("{} ({})", layer.path, layer.class_name);
        let width = self.layers.iter().map(|layer| name(layer).chars().count());
        let width = width.max().unwrap_or(0);
        writeln!(
            f,
            "  {:<width$}  {:>9}  {:>9}",
            "layer", "absolute", "relative"
        )?;
        for layer in &self.layers {
            let (name, absolute, relative) = (name(layer), layer.absolute, layer.relative);
            write!(f, "  {name:<width$}  {absolute:>9.2e}  {relative:>9.2e}")?;
            match first {
                Some(first) if std::ptr::eq(first, layer) => writeln!(f, "  ← first")?,
                _ if relative > self.tolerance => writeln!(f, "  differs")?,
                _ => writeln!(f)?,
            }
        }
        match first {
            None => {
                let count = self.layers.len();
                write!(f, "all {count} layers agree to {:e}", self.tolerance)
            }
            Some(layer) => write!(
                f,
                "{} is the first that differs: by {:.2e} at {:?}, {:.2e} of the largest number, more than {:e}",
                layer.path, layer.absolute, layer.at, layer.relative, self.tolerance
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use regraft_layers::layers::{Dense, Input};
    use regraft_layers::{LayerExt, layers};

    use super::*;
    use crate::{Model, Sequential};

    fn model() -> Model {
        let base = layers![
            Input::new([4]),
            Dense::new(5).activation("relu").named("a"),
            Dense::new(5).activation("tanh").named("b"),
        ];
        let base = regraft_layers::Sequential::with_seed(base, 1).unwrap();
        let whole = layers![
            Input::new([4]),
            base.named("base"),
            Dense::new(3).named("c")
        ];
        let whole = regraft_layers::Sequential::with_seed(whole, 2).unwrap();
        whole.into()
    }

    fn input() -> Tensor {
        Tensor::new([3, 4], (0..12).map(|i| (i as f32).sin()).collect()).unwrap()
    }

    /// What the model itself gives.
    fn reference(model: &Model) -> Reference {
        let mut reference = Reference::new();
        // In an order that is not the graph's.
        for path in ["c", "base/b", "base", "base/a"] {
            let cut: Model = model.cut_at(path).unwrap();
            reference = reference.with(path, cut.predict(&input()).unwrap());
        }
        reference.with("x", input())
    }

    #[test]
    fn the_layer_where_a_fault_was_planted_is_named() {
        let mut model = model();
        let reference = reference(&model);
        let report = model.parity(&reference, 0.0).unwrap();
        let order: Vec<&str> = report
            .layers
            .iter()
            .map(|layer| layer.path.as_str())
            .collect();
        assert_eq!(order, ["base/a", "base/b", "base", "c"]);
        assert!(report.first_difference().is_none(), "{report}");
        let bias = Tensor::new([5], vec![0.0, 0.0, 0.01, 0.0, 0.0]).unwrap();
        model.set_weight("base/b/bias", bias).unwrap();
        let report = model.parity(&reference, 1e-4).unwrap();
        let first = report.first_difference().unwrap();
        assert_eq!((first.path.as_str(), first.at[1]), ("base/b", 2));
        assert!(first.absolute > 1e-4 && first.absolute < 0.011, "{report}");
        let text = report.to_string();
        assert!(text.contains("base/b is the first that differs"), "{text}");
        assert_eq!(text.matches("differs\n").count(), 2, "{text}");
    }

    #[test]
    fn two_models_are_compared_by_paths_or_in_their_order() {
        let ours = model();
        let mut theirs = ours.clone();
        assert!(
            ours.parity_with(&theirs, 2, 0, 0.0)
                .unwrap()
                .first_difference()
                .is_none()
        );
        let bias = Tensor::new([5], vec![0.0, 0.0, 0.01, 0.0, 0.0]).unwrap();
        theirs.set_weight("base/b/bias", bias).unwrap();
        let report = ours.parity_with(&theirs, 2, 0, 1e-4).unwrap();
        assert_eq!(report.first_difference().unwrap().path, "base/b");
        let stack = |names: [&str; 2], units| -> Model {
            let [a, b] = names;
            let layers = layers![
                Input::new([4]),
                Dense::new(units).named(a),
                Dense::new(2).named(b)
            ];
            Sequential::with_seed(layers, 3).unwrap()
        };
        let report = stack(["dense", "dense_1"], 5)
            .parity_with(&stack(["dense_4", "dense_5"], 5), 2, 0, 0.0)
            .unwrap();
        assert!(report.first_difference().is_none(), "{report}");
        assert_eq!(report.layers[1].path, "dense_1");
        let error = |other: &Model| ours.parity_with(other, 2, 0, 0.0).unwrap_err().to_string();
        assert!(error(&stack(["x", "y"], 5)).contains("layers of the same paths"));
        let other_sizes = stack(["dense", "dense_1"], 6);
        let error = stack(["dense", "dense_1"], 5).parity_with(&other_sizes, 2, 0, 0.0);
        assert!(error.unwrap_err().to_string().contains("(None, 5)"));
    }

    #[test]
    fn a_number_that_is_none_differs_infinitely() {
        let model = model();
        let reference = Reference::new().with("x", input());
        let broken = reference.with("c", Tensor::full([3, 3], f32::NAN));
        let report = model.parity(&broken, 1e30).unwrap();
        assert_eq!(report.first_difference().unwrap().absolute, f32::INFINITY);
    }

    #[test]
    fn names_and_shapes_that_do_not_fit_are_told() {
        let model = model();
        let with = |name: &str, array| {
            let reference = Reference::new().with("x", input()).with(name, array);
            model.parity(&reference, 0.0).unwrap_err().to_string()
        };
        let error = with("base/bb", input());
        assert!(error.contains("\"base/b\""), "{error}");
        let error = with("base/b", input());
        assert!(
            error.contains("base/b") && error.contains("[3, 4]"),
            "{error}"
        );
        assert!(with("input_2", input()).contains("1 layer"));
        let fewer = with("c", Tensor::zeros([2, 3]));
        assert!(fewer.contains("[3, 3]"), "{fewer}");
        let unbuilt = Sequential::new(layers![Dense::new(1)]).unwrap();
        assert!(unbuilt.parity(&reference(&model), 0.0).is_err());
    }
}
