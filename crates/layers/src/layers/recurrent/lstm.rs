//! The long short-term memory.

use regraft_autograd::ops::Cell;
use regraft_autograd::{Shape, Var};
use regraft_tensor::kernels::random::Key;
use regraft_tensor::{Detail, Tensor};

use super::declaration::recurrent;
use super::dropped::products;
use super::op::{self, apply};
use super::walk::{states_of, step_by_step};
use crate::{
    Activation, Call, Class, Configured, Constraint, Flow, Initializer, InitializerFunction, Layer,
    LayerSpec, OverTime, Regularizer, Sequence, WeightAxis, Weights,
};

recurrent! {
    /// A long short-term memory: at every step, with the state `h` and the carry `c` before it,
    ///
    /// `i f g o = x · kernel + h · recurrent_kernel + bias`, `c = σ(f) · c + σ(i) · tanh(g)`, `h = σ(o) · tanh(c)`.
    ///
    /// ```
    /// use regraft_layers::layers::LSTM;
    /// use regraft_layers::{Dense, Input, LayerExt, Sequential, layers};
    ///
    /// // 100 steps of 8 features.
    /// let model = Sequential::new(layers![
    ///     Input::new([100, 8]),
    ///     LSTM::new(32).return_sequences(true),
    ///     LSTM::new(16).named("second"),
    ///     Dense::new(2),
    /// ])?;
    /// assert_eq!(model.output_shape()?.to_string(), "(None, 2)");
    /// assert!(model.weight("second/lstm_cell/recurrent_kernel").is_some());
    /// # Ok::<(), regraft_layers::Error>(())
    /// ```
    ///
    /// | | |
    /// |---|---|
    /// | input | `(batch, steps, features)`; behind it, in a functional model, the states to begin with, `h` and `c`, `(batch, units)` each |
    /// | output | `(batch, units)`, or `(batch, steps, units)` with `return_sequences`; with `return_state` also `h` and `c` after the last step |
    /// | weights | of its cell: `lstm_cell/kernel` `(features, 4 units)`, `lstm_cell/recurrent_kernel` `(units, 4 units)`, `lstm_cell/bias` `(4 units,)`, in the order `i f g o` |
    /// | defaults | `tanh` and `sigmoid`, Glorot uniform kernel, orthogonal recurrent kernel, zero bias with 1 for `f` |
    /// | mask | a step that is left out keeps the states, and gives the output before it; the mask goes on with the sequence. Where states are given, a mask counts that is given with the call, as in Keras 3 |
    /// | frozen | weights are constants, nothing is dropped, and no gradient is made but for what is trained below |
    ///
    /// `stateful` is refused: states are inputs and outputs here. `unroll` says how Keras computes it, and changes nothing.
    ///
    /// Hochreiter and Schmidhuber 1997. Keras: <https://keras.io/api/layers/recurrent_layers/lstm/>.
    LSTM as "keras.layers.LSTM",
    /// One step of an [`LSTM`], for an [`RNN`](super::RNN): `(x, h, c) → (h, h, c)`.
    ///
    /// Input `(batch, features)` and two states `(batch, units)`; weights, defaults and settings are those of [`LSTM`].
    ///
    /// Keras: <https://keras.io/api/layers/recurrent_layers/lstm_cell/>.
    LSTMCell as "keras.layers.LSTMCell" called "lstm_cell",
    of 4 parts,
    {
        /// What `g` and the carry go through.
        activation: Option<Activation> = "tanh",
        /// What the gates go through.
        recurrent_activation: Option<Activation> = "sigmoid",
        /// Whether there is a bias (there is unless told otherwise).
        use_bias: bool = true,
        /// Where the kernel starts.
        kernel_initializer: Initializer = "glorot_uniform",
        /// Where the recurrent kernel starts.
        recurrent_initializer: Initializer = "orthogonal",
        /// Where the bias starts.
        bias_initializer: Initializer = "zeros",
        /// Whether the bias of the gate `f` starts at 1 instead (it does unless told otherwise).
        unit_forget_bias: bool = true,
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

impl LSTMCell {
    /// The input's part, of one step or of all.
    fn input_part<'g>(&self, call: &Call<'g, '_>, x: Var<'g>) -> Var<'g> {
        let product = |x| call.product(x, "kernel", |x, kernel| x.matmul(kernel));
        let product = self.dropouts().product(call, x, product);
        match self.use_bias {
            true => product + call.weight("bias"),
            false => product,
        }
    }

    /// The states after a step, from the input's part of it.
    fn step<'g>(
        &self,
        x: Var<'g>,
        kernel: Var<'g>,
        masks: &[Var<'g>],
        states: &[Var<'g>],
    ) -> Vec<Var<'g>> {
        let recurrent = products(states[0], kernel, masks, 4);
        let part = |index: usize| {
            x.slice(1, index * self.units..(index + 1) * self.units) + recurrent[index]
        };
        let [i, f, o] = [0, 1, 3].map(|index| apply(&self.recurrent_activation, part(index)));
        let c = f * states[1] + i * apply(&self.activation, part(2));
        vec![o * apply(&self.activation, c), c]
    }
}

impl Layer for LSTMCell {
    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        self.build_kernels(inputs, weights)?;
        for activation in [&self.activation, &self.recurrent_activation]
            .into_iter()
            .flatten()
        {
            activation.get()?;
        }
        if self.use_bias {
            let initializer = match self.unit_forget_bias {
                true => RememberingBias(self.bias_initializer.clone()).into(),
                false => self.bias_initializer.clone(),
            };
            weights
                .parameter("bias", [4 * self.units], &initializer)
                .regularizer(&self.bias_regularizer)
                .constraint(&self.bias_constraint)
                .axes([WeightAxis::Output]);
        }
        Ok(())
    }

    fn state_sizes(&self, _step: &Shape) -> Vec<Vec<usize>> {
        vec![vec![self.units]; 2]
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        self.call_all(call, inputs)[0]
    }

    fn call_all<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Vec<Var<'g>> {
        let states = states_of(self, inputs);
        let masks = self.dropouts().masks_beside(call, inputs[0], self.units);
        let (x, kernel) = (
            self.input_part(call, inputs[0]),
            call.weight("recurrent_kernel"),
        );
        let after = self.step(x, kernel, &masks, &states);
        vec![after[0], after[0], after[1]]
    }

    fn over_time<'g>(&self, call: &Call<'g, '_>, sequence: &Sequence<'g>) -> Option<OverTime<'g>> {
        let (x, kernel) = (
            self.input_part(call, sequence.x),
            call.weight("recurrent_kernel"),
        );
        let usual =
            op::is(&self.activation, "tanh") && op::is(&self.recurrent_activation, "sigmoid");
        if usual && !self.dropouts().of_state(call) {
            return Some(op::recurrence(Cell::Lstm, x, kernel, None, sequence));
        }
        let masks = self.dropouts().masks_beside(call, x, self.units);
        let sequence = Sequence {
            x,
            ..sequence.clone()
        };
        Some(step_by_step(call, self, &sequence, |x, states| {
            let after = self.step(x[0], kernel, &masks, states);
            (after[0], after)
        }))
    }
}

/// The bias of an LSTM: 1 for the gate `f`, and what another initializer says for the others.
#[derive(Clone, Debug)]
pub(super) struct RememberingBias(pub(super) Initializer);

impl Configured for RememberingBias {
    fn class(&self) -> Class<'_> {
        Class::new("regraft.RememberingBias")
    }
}

impl InitializerFunction for RememberingBias {
    fn initialize(&self, shape: &[usize], key: Key) -> Result<Tensor, Detail> {
        let units = shape[0] / 4;
        let inner = self.0.get()?;
        let (before, behind) = (
            inner.initialize(&[units], key)?,
            inner.initialize(&[2 * units], key)?,
        );
        let forget = vec![1.0; units];
        let all = [before.as_slice(), &forget, behind.as_slice()].concat();
        Tensor::new(shape, all).map_err(Detail::from)
    }
}
