//! A model written into a graph to be asked about one class of each sample.

use regraft_autograd::ops::Softmax;
use regraft_autograd::{DataType, Dim, Feed, Graph, Program, Run, Shape, Var};
use regraft_layers::{Emission, Mode, Model as Network};
use regraft_tensor::{Detail, Tensor};

use crate::training::input::{Data, IntoInputs};
use crate::training::inputs::Inputs;
use crate::training::steps::{chunk_size, tensor};
use crate::{Error, Result};

/// The class that is asked about: one for all samples, or one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classes<'c> {
    /// The same for all samples.
    One(usize),
    /// One for each sample.
    Each(&'c [usize]),
}

impl From<usize> for Classes<'_> {
    fn from(class: usize) -> Self {
        Classes::One(class)
    }
}

impl<'c> From<&'c [usize]> for Classes<'c> {
    fn from(classes: &'c [usize]) -> Self {
        Classes::Each(classes)
    }
}

impl<'c> From<&'c Vec<usize>> for Classes<'c> {
    fn from(classes: &'c Vec<usize>) -> Self {
        Classes::Each(classes)
    }
}

impl<'c, const N: usize> From<&'c [usize; N]> for Classes<'c> {
    fn from(classes: &'c [usize; N]) -> Self {
        Classes::Each(classes)
    }
}

impl Classes<'_> {
    fn of(self, sample: usize) -> usize {
        match self {
            Classes::One(class) => class,
            Classes::Each(classes) => classes[sample],
        }
    }

    /// Whether there is one for each of `samples`, of those that the model has.
    fn check(self, samples: usize, classes: usize) -> Result<()> {
        let asked = match &self {
            Classes::One(class) => std::slice::from_ref(class),
            Classes::Each(asked) if asked.len() == samples => asked,
            Classes::Each(asked) => {
                let expected = format!("{samples}, one for each sample");
                return Err(Error::Setting(Detail::new(
                    "classes",
                    expected,
                    asked.len(),
                )));
            }
        };
        if let Some(class) = asked.iter().find(|class| **class >= classes) {
            let expected = format!("a class in 0..{classes}");
            let detail = Detail::new("class", expected, class);
            return Err(Error::Setting(detail.help("classes count from 0")));
        }
        Ok(())
    }
}

/// A model in inference, as a formula, with the score of a class of each sample.
pub(super) struct Answer<'g> {
    pub graph: &'g Graph,
    /// What goes into the model.
    pub input: Var<'g>,
    /// The scores of the classes that are asked about, summed over the samples.
    pub score: Var<'g>,
    /// What the layers give.
    pub emission: Emission<'g>,
    classes: usize,
}

impl<'g> Answer<'g> {
    /// Writes the model into `graph`. A score is the model's output at the class, of the last axis, summed over
    /// the others; where the output is a softmax, what goes into it.
    pub fn of(network: &Network, graph: &'g Graph) -> Result<Self> {
        let vars = Inputs::of(network)?.in_graph(graph);
        let (outputs, emission) = network.emit(graph, &vars, Mode::Constant)?;
        let ([input], [output]) = (vars.as_slice(), outputs.as_slice()) else {
            let received = format!("{} and {}", vars.len(), outputs.len());
            let detail = Detail::new(network.name(), "1 input and 1 output", received);
            return Err(Error::Model(
                detail.help("cut the model, or use `train_step`'s `gradient`"),
            ));
        };
        let scores = match output.operands_of::<Softmax>().as_deref() {
            Some(&[logits]) => logits,
            _ => *output,
        };
        let shape = scores.shape();
        let classes = shape.dims().last().map_or(0, |dim| dim.size(1));
        // 1 at the class of the sample: a program serves all classes.
        let mut chosen = vec![Dim::Fixed(1); shape.rank().max(2)];
        chosen[0] = Dim::Batch;
        *chosen.last_mut().expect("two axes at least") = Dim::Fixed(classes);
        let chosen = graph.input("class", Shape::from(chosen), DataType::F32);
        Ok(Answer {
            graph,
            input: *input,
            score: (scores * chosen).sum_all(),
            emission,
            classes,
        })
    }

    /// Computes `wanted`, which depends on the sample alone, for each of `x`.
    pub fn compute<'a>(
        &self,
        network: &Network,
        wanted: Var<'g>,
        x: impl IntoInputs<'a>,
        classes: Classes<'_>,
    ) -> Result<Tensor> {
        let inputs = Inputs::of(network)?.check("x", x.into_inputs()?)?;
        let [input] = inputs.as_slice() else {
            unreachable!("the model has one input, and the data fit it");
        };
        let samples = input.len();
        classes.check(samples, self.classes)?;
        let mut program = Program::compile(self.graph, &[wanted])?.workspace();
        let chunk = chunk_size(program.program(), samples);
        let shape = wanted.shape();
        let mut rows = Vec::with_capacity(shape.len(samples));
        let mut buffer = Vec::new();
        for from in (0..samples).step_by(chunk) {
            let to = (from + chunk).min(samples);
            let mut chosen = vec![0.0; (to - from) * self.classes];
            for sample in from..to {
                chosen[(sample - from) * self.classes + classes.of(sample)] = 1.0;
            }
            let feeds = [Data::feed(input, from, to, &mut buffer), Feed::F32(&chosen)];
            program.run(to - from, &feeds, network.weights(), Run::default())?;
            rows.extend_from_slice(program.output(0));
        }
        tensor(&shape, samples, rows)
    }
}
