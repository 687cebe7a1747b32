//! Dropout in a cell: what is dropped is drawn once for a batch and stays dropped at every step.

use regraft_autograd::{Dim, Shape, Var};

use crate::Call;
use crate::layers::dropout::drop;

/// The rates of a cell, and how many parts its kernels have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dropouts {
    pub dropout: f32,
    pub recurrent_dropout: f32,
    pub seed: Option<u64>,
    pub parts: usize,
    /// Whether the inputs of each part lose features of their own also where the state loses none.
    pub always_apart: bool,
}

impl Dropouts {
    /// As Keras has it, for which a rate of 1 is none.
    fn drops(call: &Call<'_, '_>, rate: f32) -> bool {
        call.training() && rate > 0.0 && rate < 1.0
    }

    /// Whether the state loses anything.
    pub fn of_state(&self, call: &Call<'_, '_>) -> bool {
        Self::drops(call, self.recurrent_dropout)
    }

    /// The product of all steps with the kernel, with features dropped. With dropout of the state, Keras draws for each part
    /// by itself.
    pub fn product<'g>(
        &self,
        call: &Call<'g, '_>,
        x: Var<'g>,
        product: impl Fn(Var<'g>) -> Var<'g>,
    ) -> Var<'g> {
        if !Self::drops(call, self.dropout) {
            return product(x);
        }
        let mut dims = x.shape().dims().to_vec();
        if dims.len() > 2 {
            dims[1] = Dim::Fixed(1);
        }
        let mask = Shape::from_iter(dims);
        let dropped = |part: u64| drop(call, x, mask.clone(), self.dropout, self.seed_of(part));
        let together = self.recurrent_dropout == 0.0 && !self.always_apart;
        if together || self.parts == 1 {
            return product(dropped(0));
        }
        let parts: Vec<Var<'g>> = (0..self.parts)
            .map(|part| {
                let all = product(dropped(part as u64));
                let last = all.shape().rank() - 1;
                let width = all.shape().dims()[last].size(1) / self.parts;
                all.slice(last, part * width..(part + 1) * width)
            })
            .collect();
        let last = x.shape().rank() - 1;
        call.graph().concatenate(&parts, last)
    }

    /// What the state, of this shape, is multiplied with for each part; none if nothing is dropped.
    pub fn state_masks<'g>(&self, call: &Call<'g, '_>, state: &Shape) -> Vec<Var<'g>> {
        if !self.of_state(call) {
            return Vec::new();
        }
        let ones = call.graph().full(state.clone(), 1.0);
        let mask = |part: usize| {
            let seed = self.seed_of((self.parts + part) as u64);
            drop(call, ones, state.clone(), self.recurrent_dropout, seed)
        };
        (0..self.parts).map(mask).collect()
    }

    /// As [`state_masks`](Self::state_masks), for a state of so many units beside `x`.
    pub fn masks_beside<'g>(&self, call: &Call<'g, '_>, x: Var<'g>, units: usize) -> Vec<Var<'g>> {
        let batch = x.shape().dims()[0];
        self.state_masks(call, &Shape::from([batch, Dim::Fixed(units)]))
    }

    /// A stream of its own for each mask.
    fn seed_of(&self, number: u64) -> Option<u64> {
        self.seed.map(|seed| seed ^ (number << 48))
    }
}

/// The products of the state with the parts of the kernel, each with what is dropped for it.
pub(super) fn products<'g>(
    h: Var<'g>,
    kernel: Var<'g>,
    masks: &[Var<'g>],
    parts: usize,
) -> Vec<Var<'g>> {
    let units = kernel.shape().dims()[1].size(1) / parts;
    let part = |of: Var<'g>, index: usize| of.slice(1, index * units..(index + 1) * units);
    match masks.is_empty() {
        true => {
            let all = h.matmul(kernel);
            (0..parts).map(|index| part(all, index)).collect()
        }
        false => (0..parts)
            .map(|index| (h * masks[index]).matmul(part(kernel, index)))
            .collect(),
    }
}
