//! A function of one's own over the steps of sequences.

use crate::{Graph, Var};

/// What [`Graph::scan`] gives.
#[derive(Clone, Debug)]
pub struct Scanned<'g> {
    /// The output of each step.
    pub outputs: Vec<Var<'g>>,
    /// The states after the last step.
    pub states: Vec<Var<'g>>,
}

impl<'g> Scanned<'g> {
    /// The outputs as one sequence, `[batch, steps, …]`.
    pub fn sequence(&self) -> Option<Var<'g>> {
        let graph = self.outputs.first()?.graph();
        let rows: Vec<Var<'g>> = self.outputs.iter().map(|it| it.expand_dims(1)).collect();
        Some(graph.concatenate(&rows, 1))
    }
}

impl Graph {
    /// Applies `step` to one step of the sequences after the other, `[batch, …]` of each `[batch, steps, …]`, together with
    /// the states that the step before has returned behind its output. It is written out: the graph has the formula once
    /// for each step, so that gradients of any order exist.
    ///
    /// A step that the mask `[batch, steps]` (or with further axes of the states) leaves out, where it is 0, keeps the states bit by bit and gives the output
    /// before it, zeros if there is none.
    ///
    /// ```
    /// use regraft_autograd::{DataType, Graph};
    ///
    /// // A running sum that forgets: s = 0.9 s + x.
    /// let graph = Graph::new();
    /// let x = graph.samples("x", &[5, 3]);
    /// let zero = graph.full([x.shape().dims()[0], 3.into()], 0.0);
    /// let scanned = graph.scan(&[x], vec![zero], None, |x, states| {
    ///     let sum = states[0] * 0.9 + x[0];
    ///     (sum, vec![sum])
    /// });
    /// assert_eq!(scanned.sequence().unwrap().shape().to_string(), "(None, 5, 3)");
    /// graph.check()?;
    /// # Ok::<(), regraft_autograd::Error>(())
    /// ```
    pub fn scan<'g>(
        &'g self,
        sequences: &[Var<'g>],
        states: Vec<Var<'g>>,
        mask: Option<Var<'g>>,
        mut step: impl FnMut(&[Var<'g>], &[Var<'g>]) -> (Var<'g>, Vec<Var<'g>>),
    ) -> Scanned<'g> {
        let first = sequences.first().map(|it| it.shape());
        let steps = first.and_then(|shape| shape.dims().get(1)?.fixed());
        let mut scanned = Scanned {
            outputs: Vec::new(),
            states,
        };
        for at in 0..steps.unwrap_or(0) {
            let of_step = |it: Var<'g>| it.slice(1, at..at + 1).squeeze(1);
            let values: Vec<Var<'g>> = sequences.iter().map(|&it| of_step(it)).collect();
            let (mut output, mut after) = step(&values, &scanned.states);
            if let Some(mask) = mask {
                let counts = of_step(mask);
                let chosen = |new: Var<'g>, old: Option<&Var<'g>>| {
                    // The mask goes along all axes behind its own.
                    let mut counts = counts;
                    for axis in counts.shape().rank()..new.shape().rank() {
                        counts = counts.expand_dims(axis);
                    }
                    match old {
                        Some(&old) => counts.select(new, old),
                        None => counts.select(new, 0.0),
                    }
                };
                output = chosen(output, scanned.outputs.last());
                let kept = after.into_iter().zip(&scanned.states);
                after = kept.map(|(new, old)| chosen(new, Some(old))).collect();
            }
            scanned.outputs.push(output);
            scanned.states = after;
        }
        scanned
    }
}
