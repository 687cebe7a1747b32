//! Numbers of categories as rows of zeros and ones.

use regraft_autograd::{DataType, Dim, Forward, Op, Output, Shape, Var};
use regraft_tensor::Detail;

use crate::settings::by_name;

/// What a layer makes of the numbers of categories: given by Keras' name (`"one_hot"`) or as a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputMode {
    /// The numbers.
    #[default]
    Int,
    /// For each number a row with a one in its place; a last axis of size 1 becomes the row.
    OneHot,
    /// For each sample a row with ones in the places of its numbers.
    MultiHot,
    /// For each sample a row that says how often each number occurs.
    Count,
    /// As `Count`, each multiplied by how much it tells (vocabularies only).
    TfIdf,
    /// A name that means none of these, which is reported when the model is built.
    Unknown(String),
}

by_name!(OutputMode: "a text");

impl From<&str> for OutputMode {
    /// By Keras' name; an unknown one is reported when the model is built.
    fn from(name: &str) -> Self {
        match name {
            "int" => OutputMode::Int,
            "one_hot" => OutputMode::OneHot,
            "multi_hot" | "binary" => OutputMode::MultiHot,
            "count" => OutputMode::Count,
            "tf_idf" | "tf-idf" => OutputMode::TfIdf,
            _ => OutputMode::Unknown(name.to_string()),
        }
    }
}

impl OutputMode {
    /// Keras' name.
    pub fn name(&self) -> &str {
        match self {
            OutputMode::Int => "int",
            OutputMode::OneHot => "one_hot",
            OutputMode::MultiHot => "multi_hot",
            OutputMode::Count => "count",
            OutputMode::TfIdf => "tf_idf",
            OutputMode::Unknown(name) => name,
        }
    }

    /// An error unless it is one of `allowed`.
    pub(super) fn check(&self, allowed: &[OutputMode]) -> Result<(), Detail> {
        match allowed.contains(self) {
            true => Ok(()),
            false => {
                let names: Vec<&str> = allowed.iter().map(OutputMode::name).collect();
                let received = format!("{:?}", self.name());
                Err(Detail::new(
                    "output_mode",
                    format!("one of {names:?}"),
                    received,
                ))
            }
        }
    }

    /// These numbers of `depth` categories in this form. Numbers outside leave no trace.
    pub(super) fn encode<'g>(&self, numbers: Var<'g>, depth: usize) -> Var<'g> {
        match self {
            OutputMode::Int => numbers,
            mode => {
                let mode = mode.clone();
                numbers.graph().apply(Encode { mode, depth }, &[numbers])
            }
        }
    }
}

/// `[batch, n, …]` numbers as `[batch, …, depth]` (counts and ones), or each as a row.
#[derive(Clone, Debug)]
struct Encode {
    mode: OutputMode,
    depth: usize,
}

impl Op for Encode {
    fn name(&self) -> &str {
        "encode_categories"
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let dims = operands[0].dims();
        let depth = Dim::Fixed(self.depth);
        match (&self.mode, dims) {
            (OutputMode::OneHot, [all @ .., Dim::Fixed(1)]) if !all.is_empty() => {
                Ok(all.iter().copied().chain([depth]).collect())
            }
            (OutputMode::OneHot, all) => Ok(all.iter().copied().chain([depth]).collect()),
            (_, [batch, _, rest @ ..]) => {
                let dims = [*batch].into_iter().chain(rest.iter().copied());
                Ok(dims.chain([depth]).collect())
            }
            _ => Err(Detail::new("", "numbers (batch, …)", operands[0])),
        }
    }

    fn operand_type(&self, _index: usize) -> DataType {
        DataType::I32
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let (numbers, shape) = (operands.i32(0), operands.shape(0));
        let out = output.f32();
        out.fill(0.0);
        let inside = |number: i32| usize::try_from(number).ok().filter(|n| *n < self.depth);
        if self.mode == OutputMode::OneHot {
            for (row, &number) in out.chunks_exact_mut(self.depth).zip(numbers) {
                if let Some(number) = inside(number) {
                    row[number] = 1.0;
                }
            }
            return Ok(());
        }
        let inner: usize = shape[2..].iter().product();
        let sample = shape[1] * inner;
        for (position, &number) in numbers.iter().enumerate() {
            let Some(number) = inside(number) else {
                continue;
            };
            let row = position / sample * inner + position % inner;
            let place = &mut out[row * self.depth + number];
            match self.mode {
                OutputMode::MultiHot => *place = 1.0,
                _ => *place += 1.0,
            }
        }
        Ok(())
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}
