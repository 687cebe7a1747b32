//! Every operation against real Keras, in several forms of its arguments: opened from the
//! configuration of a small model, its results, their types, its gradient, and the configuration
//! written again.

use regraft_autograd::{DataType, Feed, Graph, Program, Run, Tensor, Var};
use regraft_tensor::IntTensor;
use serde_json::Value;

use crate::golden::{self, name, tensor};
use crate::{ElementType, Mode, Model, Registry};

/// An input of a model.
enum Input {
    Floats(Tensor),
    Integers(IntTensor),
}

impl Input {
    fn read(value: &Value, data_type: DataType) -> Self {
        let floats = tensor(value);
        match data_type {
            DataType::F32 => Input::Floats(floats),
            DataType::I32 => {
                let numbers = floats.as_slice().iter().map(|&number| number as i32);
                let shape = floats.shape().to_vec();
                Input::Integers(IntTensor::new(shape, numbers.collect()).unwrap())
            }
        }
    }

    fn feed(&self) -> Feed<'_> {
        match self {
            Input::Floats(floats) => floats.into(),
            Input::Integers(integers) => Feed::I32(integers.as_slice()),
        }
    }
}

/// What is wrong with our numbers, if anything.
fn difference(what: &str, ours: &[f32], expected: &Value) -> Option<String> {
    let expected = tensor(expected);
    let expected = expected.as_slice();
    if ours.len() != expected.len() {
        return Some(format!(
            "{what}: {} elements, expected {}",
            ours.len(),
            expected.len()
        ));
    }
    let finite = expected.iter().filter(|number| number.is_finite());
    let largest = finite.fold(1.0_f32, |most, number| most.max(number.abs()));
    let differs = |(ours, expected): &(&f32, &f32)| {
        let same = ours == expected || (ours.is_nan() && expected.is_nan());
        let off = (**ours - **expected).abs();
        // Not a number is far off, too.
        !same && (off > 1e-5 * largest || off.is_nan())
    };
    let wrong = ours.iter().zip(expected).position(|pair| differs(&pair))?;
    Some(format!(
        "{what}, element {wrong}: {}, expected {}",
        ours[wrong], expected[wrong]
    ))
}

/// Opens a case's model and compares all that is known of it.
fn check(case: &Value, model: &Model) -> Result<(), String> {
    let graph = Graph::new();
    let types = model.input_types();
    let vars: Vec<Var<'_>> = model
        .input_shapes()
        .iter()
        .zip(&types)
        .map(|(shape, data_type)| graph.input("", shape, *data_type))
        .collect();
    let emitted = model.emit(&graph, &vars, Mode::Inference);
    let (outputs, _) = emitted.map_err(|error| error.to_string())?;
    let known = model.output_element_types();
    let mut asked = outputs.clone();
    let given = case["inputs"]["x"].as_array().unwrap();
    let inputs: Vec<Input> = given
        .iter()
        .zip(&types)
        .map(|(x, data_type)| Input::read(x, *data_type))
        .collect();
    // Weighted as in the script: the weights are fed after the inputs.
    let mut total = graph.number(0.0);
    for (index, (&output, of)) in outputs.iter().zip(&known).enumerate() {
        let expected = &case["outputs"]["types"][index];
        if ElementType::from_name(expected.as_str().unwrap()) != Some(*of) && *expected != "int64" {
            return Err(format!("type {of}, expected {expected}"));
        }
        if of.is_float() {
            let weights = graph.input("", output.shape(), DataType::F32);
            total = total + (output * weights).sum_all();
        }
    }
    let floats: Vec<usize> = (0..types.len())
        .filter(|&index| !case["outputs"]["gradients"][index].is_null())
        .collect();
    let wrt: Vec<Var<'_>> = floats.iter().map(|&index| vars[index]).collect();
    asked.extend(graph.grad(total, &wrt).map_err(|error| error.to_string())?);
    let program = Program::compile(&graph, &asked);
    let mut program = program.map_err(|error| error.to_string())?.workspace();
    let batch = given[0]["shape"][0].as_u64().unwrap() as usize;
    let mut feeds: Vec<Feed<'_>> = inputs.iter().map(Input::feed).collect();
    let weights: Vec<Tensor> = (0..outputs.len())
        .filter(|&index| known[index].is_float())
        .map(|index| {
            let shape = tensor(&case["outputs"]["y"][index]).shape().to_vec();
            let count: usize = shape.iter().product();
            Tensor::new(shape, (0..count).map(|at| (at as f32).cos()).collect()).unwrap()
        })
        .collect();
    feeds.extend(weights.iter().map(Feed::from));
    let ran = program.run(batch, &feeds, model.weights(), Run::default());
    ran.map_err(|error| error.to_string())?;
    for index in 0..outputs.len() {
        let expected = &case["outputs"]["y"][index];
        if let Some(wrong) = difference("result", program.output(index), expected) {
            return Err(wrong);
        }
    }
    for (position, &index) in floats.iter().enumerate() {
        let expected = &case["outputs"]["gradients"][index];
        let ours = program.output(outputs.len() + position);
        if let Some(wrong) = difference("gradient", ours, expected) {
            return Err(wrong);
        }
    }
    Ok(())
}

/// Operations of Keras that are not here, by the reason.
const LEFT_OUT: &[(&str, &str)] = &[
    (
        "mixes samples, or gives something without the batch in front",
        "AllClose Bincount Corrcoef Correlate Diag Diagflat Flipud Histogram Kron Lstsq Meshgrid Outer PSNR \
         MapCoordinates Ravel SegmentMax SegmentMin SegmentProd SegmentReduction SegmentSum Vdot Vsplit",
    ),
    (
        "has no value for an input",
        "Arange Array Full Geomspace Linspace Logspace",
    ),
    ("is about shapes and memory", "Ndim Size View"),
    (
        "the shape of the result depends on the data",
        "CTCDecode Nonzero Unique",
    ),
    (
        "calls functions of Python",
        "AssociativeScan Cond ForiLoop JVP Map Scan Switch VectorizedMap WhileLoop",
    ),
    (
        "gives or takes complex numbers",
        "Angle Eig Imag Polar ViewAsComplex ViewAsReal",
    ),
    (
        "an iteration, whose result is right with other signs, orders or ranks, too",
        "Eigh LuFactor MatrixRank Pinv Qr SVD",
    ),
    ("draws random numbers in inference, too", "ElasticTransform"),
    ("Keras 3.15 cannot run its own", "ConvTranspose"),
    (
        "puts samples in places that are given by number",
        "Scatter ScatterUpdate",
    ),
    (
        "Keras' backends give different numbers",
        "Argpartition UnravelIndex",
    ),
    ("not written yet", "I0 Nextafter ScaleAndTranslate Vander"),
];

#[test]
fn every_operation_of_keras_is_here_or_left_out_for_a_reason() {
    let ours = crate::layers::Operation::known();
    let left_out = LEFT_OUT.iter().flat_map(|(_, names)| names.split(' '));
    let left_out: Vec<&str> = left_out.collect();
    let file = golden::file("operations");
    let classes = file["classes"].as_array().unwrap();
    for class in classes.iter().map(|class| class.as_str().unwrap()) {
        let times = ours.iter().chain(&left_out).filter(|name| **name == class);
        assert_eq!(times.count(), 1, "{class}");
    }
    let is_known = |name: &&str| classes.iter().any(|class| class == name);
    let unknown: Vec<&&str> = left_out.iter().filter(|name| !is_known(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Where we differ from Keras, and why.
const DIFFERENT: &[(&str, &str)] = &[
    ("sparsemax", "Keras' own does not add up to 1"),
    (
        "categorical_crossentropy, logits, axis",
        "TensorFlow's gradient is that for targets that add up to 1",
    ),
    (
        "hypot of two",
        "Keras' formula has twice the slope where both are as large",
    ),
    (
        "hypot by name",
        "Keras' formula has twice the slope where both are as large",
    ),
    (
        "saturate_cast to int32",
        "Keras bounds by the float above the largest integer, of which TensorFlow makes the smallest",
    ),
    (
        "affine_transform, gradient",
        "TensorFlow moves the gradient back as an image, which is no slope",
    ),
];

/// Every case of a file: how many hold, and what is wrong with the others.
fn all(file: &str) {
    let cases = golden::cases(file);
    let mut wrong = Vec::new();
    for case in &cases {
        let open = |config: &Value| {
            Model::from_config(config, &Registry::new()).map_err(|error| error.to_string())
        };
        let checked = open(&case["config"]["model"]).and_then(|model| {
            check(case, &model)?;
            let again = open(&model.to_config()).map_err(|error| format!("again: {error}"))?;
            check(case, &again).map_err(|error| format!("again: {error}"))
        });
        if DIFFERENT
            .iter()
            .any(|(different, _)| *different == name(case))
        {
            assert!(checked.is_err(), "{} does not differ any more", name(case));
            continue;
        }
        if let Err(error) = checked {
            wrong.push(format!("{}: {error}", name(case)));
        }
    }
    let right = cases.len() - wrong.len();
    println!("{file}: {right} of {} hold", cases.len());
    assert!(
        wrong.is_empty(),
        "{} of {} are wrong:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
fn operations_of_keras_3_compute_what_keras_does() {
    all("operations");
}

#[test]
fn functions_of_tensorflow_compute_what_keras_2_does() {
    all("operations_keras2");
}
