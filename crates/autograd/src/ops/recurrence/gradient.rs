//! The gradient of a recurrence, from the last step back to the first.

use regraft_tensor::Detail;
use regraft_tensor::kernels::recurrence::Keep;

use super::{Recurrence, Sizes};
use crate::grad::pull_back;
use crate::{Attributes, Dim, Forward, Gradient, Op, Output, Shape, Var};

/// From the gradient of a [`Recurrence`]'s result that of `x`: `(operands of the recurrence…, trace, d) → [batch, steps,
/// parts · units]`, where the trace is the same recurrence with [`Keep::Trace`]. Where there are initial states, there is
/// one step more, whose row begins with their gradient.
///
/// Its own gradient is that of the formula written out, as a function of the recurrence's operands and `d`; what comes
/// through the trace is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecurrenceGradient(pub Recurrence);

impl RecurrenceGradient {
    fn whole(&self) -> Recurrence {
        Recurrence {
            keep: Keep::Trace,
            ..self.0
        }
    }

    /// The same written out.
    fn written_out<'g>(&self, operands: &[Var<'g>], sizes: Sizes) -> Var<'g> {
        let (own, d) = (&operands[..self.0.count()], operands[self.0.count() + 1]);
        let graph = d.graph();
        let [_, initial, _] = self.0.places();
        let y = self.0.written_out(own);
        let mut wrt = vec![own[0]];
        wrt.extend(initial.map(|place| own[place]));
        let found = pull_back(graph, y, d, &wrt).values;
        let zero = |of: Var<'g>| graph.full(of.shape(), 0.0);
        let mut found = found
            .iter()
            .zip(&wrt)
            .map(|(it, of)| it.unwrap_or_else(|| zero(*of)));
        let dx = found.next().unwrap_or(d);
        let Some(dinitial) = found.next() else {
            return dx;
        };
        let (states, row) = (
            self.0.cell.states() * sizes.units,
            self.0.cell.parts() * sizes.units,
        );
        let row = dinitial
            .pad(&[(0, 0), (0, row - states)], 0.0)
            .expand_dims(1);
        graph.concatenate(&[dx, row], 1)
    }
}

impl Op for RecurrenceGradient {
    fn name(&self) -> &str {
        "recurrence_gradient"
    }

    fn attributes(&self) -> Option<Attributes> {
        Some(self.0.settings())
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let count = self.0.count();
        if operands.len() != count + 2 {
            let expected = format!("{} operands", count + 2);
            return Err(Detail::new("", expected, operands.len()));
        }
        let own = &operands[..count];
        let sizes = self.0.sizes(own)?;
        for (given, expected) in [
            (count, self.whole().shape(own)?),
            (count + 1, self.0.shape(own)?),
        ] {
            if *operands[given] != expected {
                return Err(Detail::new("", expected, operands[given]));
            }
        }
        let rows = sizes.steps + usize::from(self.0.initial);
        let row = self.0.cell.parts() * sizes.units;
        Ok(Shape::from([
            sizes.batch,
            Dim::Fixed(rows),
            Dim::Fixed(row),
        ]))
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let count = self.0.count();
        let (trace, d) = (operands.f32(count), operands.f32(count + 1));
        let kernel = self.0.kernel(&operands);
        kernel.gradient(trace, d, self.0.keep, output.f32());
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let shapes: Vec<Shape> = at.operands().iter().map(|it| it.shape()).collect();
        let own: Vec<&Shape> = shapes[..self.0.count()].iter().collect();
        match self.0.sizes(&own) {
            Ok(sizes) => at.through(|operands| self.written_out(operands, sizes)),
            Err(_) => at.none(),
        }
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn elements_read_again(&self, operands: &[&Shape]) -> usize {
        self.0.read_again(&operands[..self.0.count()])
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        2 * self.0.multiply_adds(operands)
    }
}
