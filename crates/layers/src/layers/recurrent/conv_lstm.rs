//! The long short-term memory over images.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::{Detail, kernels::window::Window};

use super::dropped::Dropouts;
use super::lstm::RememberingBias;
use super::op::apply;
use super::walk::{Walk, states_of, step_by_step, step_of};
use crate::layers::convolution_options::window_axes;
use crate::layers::leading_axes;
use crate::layers::padding::Padding;
use crate::layers::sliding::Sliding;
use crate::layers::spatial::{DataFormat, Sizes};
use crate::settings::{require, require_share};
use crate::{
    Activation, Call, Class, Configured, Constraint, Flow, Initializer, Layer, LayerSpec, OverTime,
    Regularizer, Sequence, WeightAxis, Weights,
};

/// A [`ConvLSTM`] over `(batch, steps, positions, channels)`.
pub type ConvLSTM1D = ConvLSTM<1>;
/// A [`ConvLSTM`] over `(batch, steps, rows, columns, channels)`.
pub type ConvLSTM2D = ConvLSTM<2>;
/// A [`ConvLSTM`] over `(batch, steps, depth, rows, columns, channels)`.
pub type ConvLSTM3D = ConvLSTM<3>;

settings! {
    /// A long short-term memory whose products are convolutions: at every step, with the state `h` and the carry `c` before
    /// it, `i f g o = x ∗ kernel + h ∗ recurrent_kernel + bias`, `c = σ(f) · c + σ(i) · tanh(g)`, `h = σ(o) · tanh(c)`.
    ///
    /// | | |
    /// |---|---|
    /// | input | `(batch, steps, …spatial, channels)`; behind it, in a functional model, the states to begin with, as large as a step's output |
    /// | output | `(batch, …spatial, filters)`, the sizes as [`Padding`] says, or `(batch, steps, …)` with `return_sequences`; with `return_state` also `h` and `c` after the last step |
    /// | weights | of its cell: `conv_lstm_cell/kernel` `(…size, channels, 4 filters)`, `conv_lstm_cell/recurrent_kernel` `(…size, filters, 4 filters)`, `conv_lstm_cell/bias` `(4 filters,)`, in the order `i f g o` |
    /// | defaults | strides and dilation 1, no padding, `tanh` and `sigmoid`, Glorot uniform kernel, orthogonal recurrent kernel, zero bias with 1 for `f` |
    /// | mask, frozen | as [`LSTM`](super::LSTM), and `stateful` and `unroll` too |
    ///
    /// The convolution of the state has no borders, strides or dilation. It is written out step by step. Channels are the last
    /// axis.
    ///
    /// Shi et al. 2015: <https://arxiv.org/abs/1506.04214>. Keras: <https://keras.io/api/layers/recurrent_layers/conv_lstm2d/>.
    #[derive(Clone, Debug)]
    pub struct ConvLSTM<const RANK: usize> as
        "keras.layers.ConvLSTM1D", "keras.layers.ConvLSTM2D", "keras.layers.ConvLSTM3D"
    {
        /// A layer of `filters` outputs that each see a window of `kernel_size`, with Keras' defaults.
        new(filters: usize, kernel_size: Sizes<RANK>)
        /// Whether the output of every step is given, or that of the last alone (it is unless told otherwise).
        return_sequences: bool = false,
        /// Whether the states after the last step are given as further outputs (they are not unless told otherwise).
        return_state: bool = false,
        /// Whether the steps are taken from the last to the first.
        go_backwards: bool = false,
        stateful: bool = false,
        unroll: bool = false,
        /// Whether the output of a step that the mask leaves out is 0, instead of the output before it.
        zero_output_for_mask: bool = false,
        filters: usize = filters,
        kernel_size: Sizes<RANK> = kernel_size,
        /// How far the window moves over the input along each axis; 1 unless told otherwise.
        strides: Sizes<RANK> = 1,
        /// What happens at the borders of the input: `"valid"` unless told otherwise, or `"same"`.
        padding: Padding = Padding::Valid,
        data_format: DataFormat = DataFormat::ChannelsLast,
        /// How far the cells that the window sees of the input lie apart; 1 unless told otherwise.
        dilation_rate: Sizes<RANK> = 1,
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
        /// A penalty on the outputs, divided by the batch size as Keras does.
        activity_regularizer: Option<Regularizer> = None,
        /// What holds for the kernel after each update.
        kernel_constraint: Option<Constraint> = None,
        /// What holds for the recurrent kernel after each update.
        recurrent_constraint: Option<Constraint> = None,
        /// What holds for the bias after each update.
        bias_constraint: Option<Constraint> = None,
        /// While it trains, the share of the inputs' elements that is dropped, the same at every step.
        dropout: f32 = 0.0 => require_share,
        /// While it trains, the share of the state that is dropped before its convolution, the same at every step.
        recurrent_dropout: f32 = 0.0 => require_share,
        /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's position.
        seed: Option<u64> = None,
    }
    reading |settings, _it| {
        settings.ignore(&["implementation", "use_cudnn"]);
        settings.unsupported(&["time_major"])?;
    }
}

/// One step of a layer, with the layer's settings.
#[derive(Clone, Debug)]
struct ConvLSTMCell<const RANK: usize>(ConvLSTM<RANK>);

impl<const RANK: usize> ConvLSTM<RANK> {
    fn walk(&self) -> Walk {
        Walk {
            return_sequences: self.return_sequences,
            return_state: self.return_state,
            go_backwards: self.go_backwards,
            stateful: self.stateful,
            zero_output_for_mask: self.zero_output_for_mask,
        }
    }

    fn cell(&self) -> ConvLSTMCell<RANK> {
        ConvLSTMCell(self.clone())
    }
}

impl<const RANK: usize> Layer for ConvLSTM<RANK> {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        let last = !self.data_format.is_channels_first();
        require(last, "data_format", "\"channels_last\"", "channels_first")?;
        let cell = self.cell();
        if let Some(step) = step_of(inputs).first() {
            let rank = RANK + 3;
            let expected = format!("an input of {rank} axes, (batch, steps, …, channels)");
            require(step.rank() + 1 == rank, "", &expected, &inputs[0])?;
            self.sliding().refuse_strided_dilation()?;
            let steps = [step.clone()];
            self.sliding().check("kernel_size", false, &steps)?;
        }
        self.walk().check(&cell, inputs)
    }

    fn wrapped(&self) -> Vec<(&'static str, LayerSpec)> {
        let cell = LayerSpec::from(self.cell());
        vec![("cell", cell.named("conv_lstm_cell"))]
    }

    fn wrapped_inputs(&self, _index: usize, inputs: &[Shape]) -> Vec<Shape> {
        step_of(inputs)
    }

    fn writes_wrapped(&self) -> bool {
        false
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        self.call_all(call, inputs)[0]
    }

    fn call_all<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Vec<Var<'g>> {
        let results = self.walk().call(call, &self.cell(), inputs);
        for &result in &results {
            call.activity_penalty(&self.activity_regularizer, result);
        }
        results
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0).filter(|_| self.return_sequences)
    }
}

impl<const RANK: usize> ConvLSTM<RANK> {
    /// The window over the input.
    fn sliding(&self) -> Sliding<RANK> {
        Sliding {
            size: self.kernel_size.0,
            strides: self.strides.0,
            padding: self.padding.clone(),
            dilation_rate: self.dilation_rate.0,
            channels_first: false,
        }
    }

    /// The window over the state.
    fn over_state(&self, state: Var<'_>) -> Window {
        let sliding: Sliding<RANK> = Sliding {
            strides: [1; RANK],
            dilation_rate: [1; RANK],
            padding: Padding::Same,
            ..self.sliding()
        };
        sliding.window_over(state)
    }

    fn dropouts(&self) -> Dropouts {
        Dropouts {
            dropout: self.dropout,
            recurrent_dropout: self.recurrent_dropout,
            seed: self.seed,
            parts: 4,
            always_apart: true,
        }
    }

    /// The input's part, of one step or of all.
    fn input_part<'g>(&self, call: &Call<'g, '_>, x: Var<'g>) -> Var<'g> {
        let more = x.shape().rank().saturating_sub(RANK + 2);
        let convolved = |x: Var<'g>| {
            let rows = leading_axes::joined(x, more);
            let window = self.sliding().window_over(rows);
            let y = call.product(rows, "kernel", |x, kernel| x.convolution(kernel, window, 1));
            leading_axes::apart(y, x, more)
        };
        let product = self.dropouts().product(call, x, convolved);
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
        let h = states[0];
        let window = self.over_state(h);
        let part = |of: Var<'g>, index: usize| {
            let last = of.shape().rank() - 1;
            of.slice(last, index * self.filters..(index + 1) * self.filters)
        };
        let recurrent = masks.is_empty().then(|| h.convolution(kernel, window, 1));
        let sum = |index: usize| {
            let of_state = match recurrent {
                Some(all) => part(all, index),
                None => (h * masks[index]).convolution(part(kernel, index), window, 1),
            };
            part(x, index) + of_state
        };
        let [i, f, o] = [0, 1, 3].map(|index| apply(&self.recurrent_activation, sum(index)));
        let c = f * states[1] + i * apply(&self.activation, sum(2));
        vec![o * apply(&self.activation, c), c]
    }
}

impl<const RANK: usize> Configured for ConvLSTMCell<RANK> {
    fn class(&self) -> Class<'_> {
        Class::new("keras.src.layers.rnn.conv_lstm.ConvLSTMCell")
    }
}

impl<const RANK: usize> Layer for ConvLSTMCell<RANK> {
    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        let it = &self.0;
        require(it.filters > 0, "filters", "at least 1", it.filters)?;
        let channels = it.sliding().check("kernel_size", false, &inputs[..1])?;
        for activation in [&it.activation, &it.recurrent_activation]
            .into_iter()
            .flatten()
        {
            activation.get()?;
        }
        let shape = |channels: usize| {
            let mut shape = it.kernel_size.0.to_vec();
            shape.extend([channels, 4 * it.filters]);
            shape
        };
        let axes = window_axes(RANK, [WeightAxis::Input, WeightAxis::Output]);
        weights
            .parameter("kernel", shape(channels), &it.kernel_initializer)
            .regularizer(&it.kernel_regularizer)
            .constraint(&it.kernel_constraint)
            .axes(axes.clone());
        weights
            .parameter(
                "recurrent_kernel",
                shape(it.filters),
                &it.recurrent_initializer,
            )
            .regularizer(&it.recurrent_regularizer)
            .constraint(&it.recurrent_constraint)
            .axes(axes);
        if it.use_bias {
            let initializer = match it.unit_forget_bias {
                true => RememberingBias(it.bias_initializer.clone()).into(),
                false => it.bias_initializer.clone(),
            };
            weights
                .parameter("bias", [4 * it.filters], &initializer)
                .regularizer(&it.bias_regularizer)
                .constraint(&it.bias_constraint)
                .axes([WeightAxis::Output]);
        }
        Ok(())
    }

    fn flow(&self) -> Flow {
        Flow::Unknown
    }

    fn state_sizes(&self, step: &Shape) -> Vec<Vec<usize>> {
        let sizes: Vec<usize> = step.dims().iter().skip(1).map(|dim| dim.size(1)).collect();
        let Ok(spatial) = <[usize; RANK]>::try_from(&sizes[..sizes.len().saturating_sub(1)]) else {
            return Vec::new();
        };
        let window = self.0.sliding().window(&spatial);
        let output = |(axis, &size): (usize, &usize)| {
            let output = window.output_size(axis + 3 - RANK, size);
            output.unwrap_or(0)
        };
        let mut state: Vec<usize> = spatial.iter().enumerate().map(output).collect();
        state.push(self.0.filters);
        vec![state; 2]
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        self.call_all(call, inputs)[0]
    }

    fn call_all<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Vec<Var<'g>> {
        let states = states_of(self, inputs);
        let masks = self.0.dropouts().state_masks(call, &states[0].shape());
        let x = self.0.input_part(call, inputs[0]);
        let kernel = call.weight("recurrent_kernel");
        let after = self.0.step(x, kernel, &masks, &states);
        vec![after[0], after[0], after[1]]
    }

    fn over_time<'g>(&self, call: &Call<'g, '_>, sequence: &Sequence<'g>) -> Option<OverTime<'g>> {
        let x = self.0.input_part(call, sequence.x);
        let kernel = call.weight("recurrent_kernel");
        let step = step_of(&[sequence.x.shape()]).swap_remove(0);
        let sizes = self.state_sizes(&step).swap_remove(0);
        let state: Shape = [step.dims()[0]]
            .into_iter()
            .chain(sizes.into_iter().map(Dim::Fixed))
            .collect();
        let masks = self.0.dropouts().state_masks(call, &state);
        let zeros = || vec![call.graph().full(state.clone(), 0.0); 2];
        let sequence = Sequence {
            x,
            initial: Some(sequence.initial.clone().unwrap_or_else(zeros)),
            ..sequence.clone()
        };
        Some(step_by_step(call, self, &sequence, |x, states| {
            let after = self.0.step(x[0], kernel, &masks, states);
            (after[0], after)
        }))
    }
}
