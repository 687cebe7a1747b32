//! What a model takes, and whether data are that.

use std::sync::Arc;

use regraft_autograd::{DataType, Graph, Shape, Var};
use regraft_data::{Dataset, RowSpec, RowType};
use regraft_layers::{ElementType, Layer, Model as Network};
use regraft_tensor::Detail;

use crate::training::input::{Data, Values};
use crate::training::named;
use crate::{Error, Result};

/// The inputs of a model, in their order.
#[derive(Debug)]
pub(crate) struct Inputs {
    names: Vec<String>,
    takes: Vec<Takes>,
}

/// What one input takes.
#[derive(Debug)]
struct Takes {
    shape: Shape,
    element_type: ElementType,
    /// The layer that looks strings up, if it takes strings.
    strings: Option<Arc<dyn Layer>>,
}

impl Inputs {
    /// Those of `model`.
    pub fn of(model: &Network) -> Result<Self> {
        if !model.is_built() {
            let expected = "a model whose input shape is known";
            let detail = Detail::new(model.name(), expected, "one without");
            return Err(Error::Model(detail.help("begin it with `Input::new([…])`")));
        }
        let takes = model.input_shapes().into_iter().enumerate();
        let takes = takes.zip(model.input_element_types());
        Ok(Inputs {
            names: model.input_names(),
            takes: takes
                .map(|((index, shape), element_type)| Takes {
                    shape,
                    element_type,
                    strings: model.string_layer(index).cloned(),
                })
                .collect(),
        })
    }

    /// Their names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The inputs as values of a graph.
    pub fn in_graph<'g>(&self, graph: &'g Graph) -> Vec<Var<'g>> {
        let input =
            |takes: &Takes| graph.input("input", &takes.shape, takes.element_type.data_type());
        self.takes.iter().map(input).collect()
    }

    /// Arrays called `name` in errors, of the inputs' shapes and types, without NaN or infinity.
    pub fn check<'a>(&self, name: &str, inputs: Vec<Data<'a>>) -> Result<Vec<Data<'a>>> {
        let inputs = named::data_in_order(name, &self.names, inputs)?;
        if inputs.len() != self.takes.len() {
            let expected = format!("{} arrays, one per input of the model", self.takes.len());
            let detail = Detail::new(name, expected, inputs.len());
            let names = &self.names;
            let help = format!("the inputs are {names:?}; pass a tuple or a list of arrays");
            return Err(Error::Data(detail.help(help)));
        }
        let samples = inputs.first().map_or(0, Data::len);
        let several = inputs.len() > 1;
        let expected = self.takes.iter().zip(&self.names);
        let checked = inputs
            .into_iter()
            .zip(expected)
            .map(|(input, (takes, layer))| {
                let at = match several {
                    true => format!("{name} of input {layer:?}"),
                    false => name.to_string(),
                };
                takes.check(&at, samples, input, layer)
            });
        checked.collect()
    }
}

impl Inputs {
    /// Checks that a data set called `name` in errors has samples of the inputs' shapes and types, and
    /// returns what its rows must hold, with the inputs' names. Its strings may have been looked up.
    pub fn check_specs(
        &self,
        name: &str,
        data: &dyn Dataset,
        looked_up: bool,
    ) -> Result<Vec<(String, ElementType)>> {
        let wrong = |what: &str, expected: String, received: String, help: String| {
            let detail = Detail::new(format!("{name}: {what}"), expected, received);
            Err(Error::Data(detail.help(help)))
        };
        if data.is_empty() || u32::try_from(data.len()).is_err() {
            let expected = "at least 1, and fewer than 2³²".to_string();
            let help = "see `len` of the data set".to_string();
            return wrong("samples", expected, data.len().to_string(), help);
        }
        let specs = data.inputs();
        if specs.len() != self.takes.len() {
            let expected = format!("{} inputs, {:?}", self.takes.len(), self.names);
            let help = "see `inputs` of the data set: what a sample has for each, in their order";
            return wrong("inputs", expected, specs.len().to_string(), help.into());
        }
        for ((takes, layer), spec) in self.takes.iter().zip(&self.names).zip(&specs) {
            let what = format!("input {layer:?}");
            if takes.strings.is_some() && !looked_up {
                let received = "strings, which only arrays in memory can be".to_string();
                let help = "pass arrays, or look the strings up first and feed a model of integers";
                let expected = "a model that takes numbers".to_string();
                return wrong(&what, expected, received, help.into());
            }
            let data_type = takes.element_type.data_type();
            if spec.shape != takes.shape.sample().unwrap_or_default() || type_of(spec) != data_type
            {
                let expected = format!("rows of {data_type} of shape {}", takes.shape);
                let received = format!("{} of shape {:?} each", type_of(spec), spec.shape);
                return wrong(&what, expected, received, spec_help(spec, data_type));
            }
        }
        let types = self.takes.iter().map(|takes| takes.element_type);
        Ok(self.names.iter().cloned().zip(types).collect())
    }
}

/// The type of a data set's rows in the graph.
pub(crate) fn type_of(spec: &RowSpec) -> DataType {
    data_type(spec.row_type)
}

pub(crate) fn data_type(row_type: RowType) -> DataType {
    match row_type {
        RowType::F32 => DataType::F32,
        RowType::I32 => DataType::I32,
    }
}

/// What is to be done about rows of another shape or type than `data_type` asks for.
pub(crate) fn spec_help(spec: &RowSpec, data_type: DataType) -> String {
    match (type_of(spec), data_type) {
        (DataType::I32, DataType::F32) => {
            "a data set gives floats here: `RowSpec::floats`, or `.mapv(|value| value as f32)` of an \
             array"
        }
        (DataType::F32, DataType::I32) => {
            "a data set gives integers here: `RowSpec::integers`, or `.mapv(|value| value as i32)` of \
             an array"
        }
        _ => "the shape is that of one sample, without the axis of the samples",
    }
    .to_string()
}

impl Takes {
    fn check<'a>(
        &self,
        name: &str,
        samples: usize,
        input: Data<'a>,
        layer: &str,
    ) -> Result<Data<'a>> {
        regraft_data::check_not_empty(name, input.shape())?;
        regraft_data::check_same_samples(("x", samples), (name, input.len()))?;
        let expected = self.shape.sample().unwrap_or_default();
        if input.shape().get(1..) != Some(&expected[..]) {
            let help = shape_help(&expected, input.shape());
            let expected = format!("shape {} for the input layer {layer:?}", self.shape);
            let received = format!("shape {:?}", input.shape());
            let detail = Detail::new(name, expected, received);
            return Err(Error::Data(detail.help(help)));
        }
        let input = match (&self.strings, &input.values) {
            (Some(layer), _) => input.looked_up(name, &**layer)?,
            (None, Values::Strings(_)) => {
                let expected = format!("{} numbers", self.element_type.name());
                let detail = Detail::new(name, expected, "strings");
                let help = "strings go into `Input::strings`, and from there into a `StringLookup`";
                return Err(Error::Data(detail.help(help)));
            }
            (None, _) => input,
        };
        check_finite(name, &input)?;
        of_type(name, input, self.element_type)
    }
}

/// The same numbers as elements of the type that an input layer takes.
fn of_type<'a>(name: &str, data: Data<'a>, element_type: ElementType) -> Result<Data<'a>> {
    let row = data.row().max(1);
    let refuse = |index: usize, received: &dyn std::fmt::Display| {
        let at = format!("{name}, sample {}, element {}", index / row, index % row);
        let expected = format!("numbers of {element_type}, which the model takes");
        Err(Error::Data(Detail::new(at, expected, received)))
    };
    if element_type == ElementType::Bool {
        return Ok(data.into_truths());
    }
    if element_type.is_float() {
        return Ok(match data.values {
            Values::Bytes(_) => data,
            _ => data.into_floats(),
        });
    }
    let data = data.widened();
    let fits = |value: i64| element_type.range().contains(&value);
    match &data.values {
        Values::I32(values) => match values.iter().position(|&value| !fits(value.into())) {
            Some(index) => refuse(index, &values[index]),
            None => Ok(data),
        },
        Values::F32(values) => {
            let fits = |value: f32| value.fract() == 0.0 && fits(value as i64);
            match values.iter().position(|&value| !fits(value)) {
                Some(index) => refuse(index, &values[index]),
                None => Ok(data.into_integers()),
            }
        }
        Values::Bytes(_) | Values::Strings(_) => {
            unreachable!("strings have been looked up, and bytes widened")
        }
    }
}

/// What is probably wrong with an array of this shape where samples of shape `expected` belong.
fn shape_help(expected: &[usize], received: &[usize]) -> String {
    let sample = received.get(1..).unwrap_or_default();
    match (expected, sample) {
        (expected, _) if received == expected => {
            "the first axis counts the samples; a single one needs an axis of size 1".to_string()
        }
        ([height, width, channels], [c, h, w]) if (h, w, c) == (height, width, channels) => {
            "channels come last: permute the axes of (samples, channels, height, width)".to_string()
        }
        ([height, width, channels], [h, w, c]) if (h, w) == (height, width) => {
            format!("the images have {c} channels where the model takes {channels}")
        }
        ([height, width, channels], [h, w, c]) if c == channels => {
            format!("the images are {h}×{w} where the model takes {height}×{width}; resize them")
        }
        _ => "the first axis counts the samples".to_string(),
    }
}

/// Refuses NaN and infinity.
pub(crate) fn check_finite(name: &str, data: &Data<'_>) -> Result<()> {
    let Values::F32(values) = &data.values else {
        return Ok(());
    };
    if regraft_data::all_finite(values) {
        return Ok(());
    }
    let row = data.row().max(1);
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::Data(
            Detail::new(
                format!("{name}, sample {}, element {}", index / row, index % row),
                "a finite number",
                values[index],
            )
            .help("remove or replace the sample"),
        )),
    }
}
