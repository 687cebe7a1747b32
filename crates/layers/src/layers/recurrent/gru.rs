//! The gated recurrent unit.

use regraft_autograd::ops::Cell;
use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::declaration::recurrent;
use super::dropped::products;
use super::op::{self, apply};
use super::walk::{states_of, step_by_step};
use crate::{
    Activation, Call, Constraint, Flow, Initializer, Layer, LayerSpec, OverTime, Regularizer,
    Sequence, WeightAxis, Weights,
};

recurrent! {
    /// A gated recurrent unit: at every step, with the state `h` before it and `x` times the kernel with its bias in three
    /// parts, `z = σ(x_z + h · U_z)`, `r = σ(x_r + h · U_r)` and `h = z h + (1 − z) tanh(x_h + …)`, where in the place of the
    /// dots stands `r · (h · U_h + b)` with `reset_after`, `(r · h) · U_h` without.
    ///
    /// | | |
    /// |---|---|
    /// | input | `(batch, steps, features)`; behind it, in a functional model, the state to begin with, `(batch, units)` |
    /// | output | `(batch, units)`, or `(batch, steps, units)` with `return_sequences`; with `return_state` also the state after the last step |
    /// | weights | of its cell: `gru_cell/kernel` `(features, 3 units)`, `gru_cell/recurrent_kernel` `(units, 3 units)`, in the order `z r h`, and `gru_cell/bias` `(2, 3 units)`, of the two products, or `(3 units,)` without `reset_after` |
    /// | defaults | `tanh` and `sigmoid`, Glorot uniform kernel, orthogonal recurrent kernel, zero bias, `reset_after` |
    /// | mask, frozen | as [`LSTM`](super::LSTM), and `stateful` and `unroll` too |
    ///
    /// Cho et al. 2014. Keras: <https://keras.io/api/layers/recurrent_layers/gru/>.
    GRU as "keras.layers.GRU",
    /// One step of a [`GRU`], for an [`RNN`](super::RNN): `(x, h) → (h, h)`.
    ///
    /// Input `(batch, features)` and a state `(batch, units)`; weights, defaults and settings are those of [`GRU`].
    ///
    /// Keras: <https://keras.io/api/layers/recurrent_layers/gru_cell/>.
    GRUCell as "keras.layers.GRUCell" called "gru_cell",
    of 3 parts,
    {
        /// What the candidate goes through.
        activation: Option<Activation> = "tanh",
        /// What the gates go through.
        recurrent_activation: Option<Activation> = "sigmoid",
        /// Whether there are biases (there are unless told otherwise).
        use_bias: bool = true,
        /// Where the kernel starts.
        kernel_initializer: Initializer = "glorot_uniform",
        /// Where the recurrent kernel starts.
        recurrent_initializer: Initializer = "orthogonal",
        /// Where the bias starts.
        bias_initializer: Initializer = "zeros",
        /// A penalty on the kernel.
        kernel_regularizer: Option<Regularizer> = None,
        /// A penalty on the recurrent kernel.
        recurrent_regularizer: Option<Regularizer> = None,
        /// A penalty on the bias.
        bias_regularizer: Option<Regularizer> = None,
        /// What holds for the kernel after each update.
        kernel_constraint: Option<Constraint> = None,
        /// What holds for the recurrent kernel after each update.
        recurrent_constraint: Option<Constraint> = None,
        /// What holds for the bias after each update.
        bias_constraint: Option<Constraint> = None,
        /// Whether the reset gate comes after the product with the state (it does unless told otherwise).
        reset_after: bool = true,
    }
}

impl GRUCell {
    /// The bias of the input's product and that of the state's.
    fn biases<'g>(&self, call: &Call<'g, '_>) -> [Option<Var<'g>>; 2] {
        if !self.use_bias {
            return [None; 2];
        }
        let bias = call.weight("bias");
        let row = |index: usize| bias.slice(0, index..index + 1).squeeze(0);
        match self.reset_after {
            true => [Some(row(0)), Some(row(1))],
            false => [Some(bias), None],
        }
    }

    /// The input's part, of one step or of all.
    fn input_part<'g>(&self, call: &Call<'g, '_>, x: Var<'g>, bias: Option<Var<'g>>) -> Var<'g> {
        let product = |x| call.product(x, "kernel", |x, kernel| x.matmul(kernel));
        let product = self.dropouts().product(call, x, product);
        match bias {
            Some(bias) => product + bias,
            None => product,
        }
    }

    /// The state after a step, from the input's part of it.
    fn step<'g>(
        &self,
        x: Var<'g>,
        kernel: Var<'g>,
        bias: Option<Var<'g>>,
        masks: &[Var<'g>],
        h: Var<'g>,
    ) -> Var<'g> {
        let units = self.units;
        let part = |of: Var<'g>, index: usize| {
            let last = of.shape().rank() - 1;
            of.slice(last, index * units..(index + 1) * units)
        };
        let mut recurrent = products(h, kernel, masks, 3);
        if let Some(bias) = bias {
            for (index, product) in recurrent.iter_mut().enumerate() {
                *product = *product + part(bias, index);
            }
        }
        let [z, r] = [0, 1].map(|index| {
            apply(
                &self.recurrent_activation,
                part(x, index) + recurrent[index],
            )
        });
        let state = match self.reset_after {
            true => r * recurrent[2],
            false => {
                let h = masks.last().map_or(h, |mask| h * *mask);
                (r * h).matmul(part(kernel, 2))
            }
        };
        let candidate = apply(&self.activation, part(x, 2) + state);
        z * h + (z * -1.0 + 1.0) * candidate
    }
}

impl Layer for GRUCell {
    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        self.build_kernels(inputs, weights)?;
        for activation in [&self.activation, &self.recurrent_activation]
            .into_iter()
            .flatten()
        {
            activation.get()?;
        }
        if self.use_bias {
            let shape = match self.reset_after {
                true => vec![2, 3 * self.units],
                false => vec![3 * self.units],
            };
            weights
                .parameter("bias", shape, &self.bias_initializer)
                .regularizer(&self.bias_regularizer)
                .constraint(&self.bias_constraint)
                // A row for each of the two products.
                .axes(match self.reset_after {
                    true => vec![WeightAxis::Entry, WeightAxis::Output],
                    false => vec![WeightAxis::Output],
                });
        }
        Ok(())
    }

    fn state_sizes(&self, _step: &Shape) -> Vec<Vec<usize>> {
        vec![vec![self.units]]
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        self.call_all(call, inputs)[0]
    }

    fn call_all<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Vec<Var<'g>> {
        let h = states_of(self, inputs)[0];
        let masks = self.dropouts().masks_beside(call, inputs[0], self.units);
        let [of_input, of_state] = self.biases(call);
        let x = self.input_part(call, inputs[0], of_input);
        let after = self.step(x, call.weight("recurrent_kernel"), of_state, &masks, h);
        vec![after, after]
    }

    fn over_time<'g>(&self, call: &Call<'g, '_>, sequence: &Sequence<'g>) -> Option<OverTime<'g>> {
        let [of_input, of_state] = self.biases(call);
        let x = self.input_part(call, sequence.x, of_input);
        let kernel = call.weight("recurrent_kernel");
        let usual =
            op::is(&self.activation, "tanh") && op::is(&self.recurrent_activation, "sigmoid");
        if usual && !self.dropouts().of_state(call) {
            let cell = Cell::Gru {
                reset_after: self.reset_after,
            };
            return Some(op::recurrence(cell, x, kernel, of_state, sequence));
        }
        let masks = self.dropouts().masks_beside(call, x, self.units);
        let sequence = Sequence {
            x,
            ..sequence.clone()
        };
        Some(step_by_step(call, self, &sequence, |x, states| {
            let after = self.step(x[0], kernel, of_state, &masks, states[0]);
            (after, vec![after])
        }))
    }
}
