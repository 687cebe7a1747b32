//! What a step's programs are fed and asked for, and at which positions.

use regraft_autograd::{Var, VariableId};

use crate::Result;

/// What a program is fed at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// An input of the model.
    Input(usize),
    /// The targets of an output.
    Target(usize),
    /// How much samples count: for all outputs, or for each.
    SampleWeight(usize),
    /// What a teacher answers.
    Taught,
    /// What a step of one's own is fed besides.
    Fed,
    /// An output of the frozen prefix, for the rest.
    Feature(usize),
}

/// What a program is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// An output of the model.
    Output(usize),
    Loss,
    /// The loss of an output, where several have one.
    Part(usize),
    /// The mask of an output.
    Mask(usize),
    /// The gradient of the loss for a trained parameter.
    Gradient(VariableId),
    /// The new value of a state.
    Update(VariableId),
    /// What a step of one's own reports.
    Report(usize),
}

/// A list of what is asked for, each with its value in the graph.
#[derive(Debug, Default)]
pub(crate) struct Questions<'g> {
    pub asked: Vec<Asked>,
    pub values: Vec<Var<'g>>,
    /// If no gradient reaches anything, the ops at which they stop.
    pub stopped_at: Vec<String>,
}

impl<'g> Questions<'g> {
    pub fn ask(&mut self, asked: Asked, value: Var<'g>) {
        self.asked.push(asked);
        self.values.push(value);
    }

    /// Asks for the gradients of `loss` by what is trained, and for the new values of states.
    pub fn ask_training(
        &mut self,
        loss: Var<'g>,
        trainable: &[(VariableId, Var<'g>)],
        updates: &[(VariableId, Var<'g>)],
    ) -> Result<()> {
        let wrt: Vec<Var<'g>> = trainable.iter().map(|(_, var)| *var).collect();
        let gradients = loss.graph().gradients(loss, &wrt)?;
        // What no gradient reaches is left alone, weight decay included, as Keras leaves it.
        for ((id, _), gradient) in trainable.iter().zip(gradients.values) {
            if let Some(gradient) = gradient {
                self.ask(Asked::Gradient(*id), gradient);
            }
        }
        self.stopped_at = gradients.stopped_at;
        for &(id, value) in updates {
            self.ask(Asked::Update(id), value);
        }
        Ok(())
    }
}

/// Where a program gives what it was asked for.
#[derive(Debug)]
pub(crate) struct Answers {
    /// Of each output of the model.
    pub outputs: Vec<usize>,
    pub loss: Option<usize>,
    /// Of the loss of each output, if there are several.
    pub parts: Vec<usize>,
    /// Of the mask of each output that has one.
    pub masks: Vec<Option<usize>>,
    pub gradients: Vec<(VariableId, usize)>,
    pub updates: Vec<(VariableId, usize)>,
    pub reports: Vec<usize>,
}

impl Answers {
    pub fn to(asked: &[Asked]) -> Self {
        let mut answers = Answers {
            outputs: Vec::new(),
            loss: None,
            parts: Vec::new(),
            masks: Vec::new(),
            gradients: Vec::new(),
            updates: Vec::new(),
            reports: Vec::new(),
        };
        for (position, asked) in asked.iter().enumerate() {
            match *asked {
                Asked::Output(_) => {
                    answers.outputs.push(position);
                    answers.masks.push(None);
                }
                Asked::Loss => answers.loss = Some(position),
                Asked::Part(_) => answers.parts.push(position),
                Asked::Mask(output) => answers.masks[output] = Some(position),
                Asked::Gradient(id) => answers.gradients.push((id, position)),
                Asked::Update(id) => answers.updates.push((id, position)),
                Asked::Report(_) => answers.reports.push(position),
            }
        }
        answers
    }
}
