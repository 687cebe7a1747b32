//! The plain recurrent layer.

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
    /// A plain recurrence: at every step `h = activation(x · kernel + bias + h · recurrent_kernel)`.
    ///
    /// | | |
    /// |---|---|
    /// | input | `(batch, steps, features)`; behind it, in a functional model, the state to begin with, `(batch, units)` |
    /// | output | `(batch, units)`, or `(batch, steps, units)` with `return_sequences`; with `return_state` also the state after the last step |
    /// | weights | of its cell: `simple_rnn_cell/kernel` `(features, units)`, `simple_rnn_cell/recurrent_kernel` `(units, units)`, `simple_rnn_cell/bias` `(units,)` |
    /// | defaults | `tanh`, Glorot uniform kernel, orthogonal recurrent kernel, zero bias |
    /// | mask, frozen | as [`LSTM`](super::LSTM), and `stateful` and `unroll` too |
    ///
    /// Keras: <https://keras.io/api/layers/recurrent_layers/simple_rnn/>.
    SimpleRNN as "keras.layers.SimpleRNN",
    /// One step of a [`SimpleRNN`], for an [`RNN`](super::RNN): `(x, h) → (h, h)`.
    ///
    /// Input `(batch, features)` and a state `(batch, units)`; weights, defaults and settings are those of [`SimpleRNN`].
    ///
    /// Keras: <https://keras.io/api/layers/recurrent_layers/simple_rnn_cell/>.
    SimpleRNNCell as "keras.layers.SimpleRNNCell" called "simple_rnn_cell",
    of 1 parts,
    {
        /// What the sum goes through.
        activation: Option<Activation> = "tanh",
        /// Whether there is a bias (there is unless told otherwise).
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
    }
}

impl SimpleRNNCell {
    /// The input's part, of one step or of all.
    fn input_part<'g>(&self, call: &Call<'g, '_>, x: Var<'g>) -> Var<'g> {
        let product = |x| call.product(x, "kernel", |x, kernel| x.matmul(kernel));
        let product = self.dropouts().product(call, x, product);
        match self.use_bias {
            true => product + call.weight("bias"),
            false => product,
        }
    }

    /// The state after a step, from the input's part of it.
    fn step<'g>(&self, x: Var<'g>, kernel: Var<'g>, masks: &[Var<'g>], h: Var<'g>) -> Var<'g> {
        apply(&self.activation, x + products(h, kernel, masks, 1)[0])
    }

    /// What there is a kernel for.
    fn usual(&self) -> Option<Cell> {
        match () {
            () if op::is(&self.activation, "tanh") => Some(Cell::Tanh),
            () if op::is(&self.activation, "relu") => Some(Cell::Relu),
            () => None,
        }
    }
}

impl Layer for SimpleRNNCell {
    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        self.build_kernels(inputs, weights)?;
        if let Some(activation) = &self.activation {
            activation.get()?;
        }
        if self.use_bias {
            weights
                .parameter("bias", [self.units], &self.bias_initializer)
                .regularizer(&self.bias_regularizer)
                .constraint(&self.bias_constraint)
                .axes([WeightAxis::Output]);
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
        let x = self.input_part(call, inputs[0]);
        let after = self.step(x, call.weight("recurrent_kernel"), &masks, h);
        vec![after, after]
    }

    fn over_time<'g>(&self, call: &Call<'g, '_>, sequence: &Sequence<'g>) -> Option<OverTime<'g>> {
        let (x, kernel) = (
            self.input_part(call, sequence.x),
            call.weight("recurrent_kernel"),
        );
        if let (Some(cell), false) = (self.usual(), self.dropouts().of_state(call)) {
            return Some(op::recurrence(cell, x, kernel, None, sequence));
        }
        let masks = self.dropouts().masks_beside(call, x, self.units);
        let sequence = Sequence {
            x,
            ..sequence.clone()
        };
        Some(step_by_step(call, self, &sequence, |x, states| {
            let after = self.step(x[0], kernel, &masks, states[0]);
            (after, vec![after])
        }))
    }
}
