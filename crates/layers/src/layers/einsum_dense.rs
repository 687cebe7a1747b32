//! The fully connected layer over any axes.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::kernels::random::Key;
use regraft_tensor::{Detail, Tensor};
use serde_json::{Value, json};

use super::support::{as_size, single};
use crate::settings::{Given, IntoSetting, Setting};
use crate::{
    Activation, Call, Class, Configured, Constraint, Initializer, InitializerFunction, Layer,
    Regularizer, Weights,
};

/// The sizes of a result, `None` where they are those of the input.
#[derive(Clone, Debug)]
pub struct OutputShape(Vec<Option<usize>>);

impl Setting for OutputShape {
    fn read(given: Given<'_>) -> Result<Self, Detail> {
        let size = |value: &Value| match value {
            Value::Null => Some(None),
            value => as_size(value).map(Some),
        };
        let sizes = match given.value {
            Value::Array(sizes) => sizes.iter().map(size).collect(),
            one => as_size(one).map(|size| vec![Some(size)]),
        };
        sizes.map(OutputShape).ok_or_else(|| given.wrong("sizes"))
    }

    fn write(&self) -> Value {
        json!(self.0)
    }
}

impl<S: Into<Vec<usize>>> IntoSetting<OutputShape> for S {
    fn into_setting(self) -> OutputShape {
        OutputShape(self.into().into_iter().map(Some).collect())
    }
}

settings! {
    /// `y = activation(einsum(equation, x, kernel) + bias)`: each letter of the equation is an axis; the products
    /// of elements whose axes agree are summed over the letters that the result does not have.
    ///
    /// | | |
    /// |---|---|
    /// | input | as the first part of the equation says |
    /// | output | `(batch, …)` with the sizes `output_shape` |
    /// | weights | `kernel` with the sizes of the second part's letters, `bias` with those of `bias_axes` |
    /// | defaults | no activation, no bias, Glorot uniform kernel |
    /// | frozen | kernel and bias are constants, without gradient |
    ///
    /// ```
    /// use regraft_layers::{Input, Sequential, layers, layers::EinsumDense};
    ///
    /// // Each of 8 steps of 6 features to 2 heads of 3 features.
    /// let heads = EinsumDense::new("abc,cde->abde", [8, 2, 3]).bias_axes("de");
    /// let model = Sequential::new(layers![Input::new([8, 6]), heads])?;
    /// assert_eq!(model.weight("einsum_dense/kernel").unwrap().value().shape(), [6, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Equations have the forms `ab,bc->ac`, `...b,bc->...c` and `ab...,bc->ac...`. Keras:
    /// <https://keras.io/api/layers/core_layers/einsum_dense/>.
    #[derive(Clone, Debug)]
    pub struct EinsumDense as "keras.layers.EinsumDense" {
        /// A layer for this equation; `output_shape` has the sizes of the result without the batch and without
        /// the axes that `...` stands for.
        new(equation: String = "", output_shape: OutputShape)
        output_shape: OutputShape = output_shape,
        equation: String = equation,
        /// What is applied to the sum.
        activation: Option<Activation> = None,
        /// The letters of the result along which there is a bias; there is none unless told otherwise.
        bias_axes: Option<String> = None,
        /// Where the kernel starts.
        kernel_initializer: Initializer = "glorot_uniform",
        /// Where the bias starts.
        bias_initializer: Initializer = "zeros",
        /// A penalty on the kernel.
        kernel_regularizer: Option<Regularizer> = None,
        /// A penalty on the bias.
        bias_regularizer: Option<Regularizer> = None,
        /// A penalty on the output, divided by the batch size as Keras does.
        activity_regularizer: Option<Regularizer> = None,
        /// What holds for the kernel after each update.
        kernel_constraint: Option<Constraint> = None,
        /// What holds for the bias after each update.
        bias_constraint: Option<Constraint> = None,
    }
    reading |settings, it| {
        it.bias_axes = it.bias_axes.take().filter(|axes| !axes.is_empty());
        // Merged into the kernel where it is stored.
        settings.ignore(&["lora_rank", "lora_alpha"]);
        settings.unsupported(&["quantization_config", "gptq_unpacked_column_size"])?;
    }
}

impl EinsumDense {
    /// The equation for inputs of `rank` axes, with a letter (a number beyond the letters' ones) for each
    /// axis that `...` stands for.
    fn parts(&self, rank: usize) -> Result<Parts, Detail> {
        let wrong = || {
            let expected =
                "an equation like \"ab,bc->ac\", \"...b,bc->...c\" or \"ab...,bc->ac...\"";
            Detail::new("equation", expected, format!("{:?}", self.equation))
        };
        let (operands, output) = self.equation.split_once("->").ok_or_else(wrong)?;
        let (input, kernel) = operands.split_once(',').ok_or_else(wrong)?;
        let [left, right] = [
            input.starts_with("...") && output.starts_with("..."),
            input.ends_with("...") && output.ends_with("..."),
        ];
        let letters = |part: &str| -> Result<Vec<u32>, Detail> {
            let letters = match (left, right) {
                (true, _) => part.strip_prefix("...").unwrap_or(part),
                (_, true) => part.strip_suffix("...").unwrap_or(part),
                _ => part,
            };
            let mut seen = Vec::with_capacity(letters.len());
            for letter in letters.chars() {
                if !letter.is_ascii_alphabetic() || seen.contains(&u32::from(letter)) {
                    return Err(wrong());
                }
                seen.push(u32::from(letter));
            }
            Ok(seen)
        };
        let (mut input, kernel, mut output) = (letters(input)?, letters(kernel)?, letters(output)?);
        let elided = rank.checked_sub(input.len()).ok_or_else(wrong)?;
        if elided > 0 && !left && !right {
            return Err(wrong());
        }
        // Beyond all letters.
        let hidden: Vec<u32> = (0..elided as u32).map(|axis| 1 << 24 | axis).collect();
        for part in [&mut input, &mut output] {
            match left {
                true => part.splice(0..0, hidden.iter().copied()).for_each(drop),
                false => part.extend(&hidden),
            }
        }
        let known = |letter: &u32| input.contains(letter) || kernel.contains(letter);
        let used = |letter: &u32| input.contains(letter) || output.contains(letter);
        let fits = output.iter().all(known) && kernel.iter().all(used);
        match fits && input.first() == output.first() && !kernel.contains(&input[0]) {
            true => Ok(Parts {
                input,
                kernel,
                output,
                elided,
                left,
            }),
            false => Err(wrong()),
        }
    }

    /// The sizes of the result's axes after the batch.
    fn output_sizes(&self, parts: &Parts, input: &Shape) -> Result<Vec<usize>, Detail> {
        let sample = input.sample().unwrap_or_default();
        let mut sizes: Vec<Option<usize>> = self.output_shape.0.clone();
        let first = match parts.left {
            // The batch is one of the axes that the dots stand for.
            true => 0,
            false => sizes.len(),
        };
        let elided = match (parts.left, parts.elided) {
            (_, 0) => &[][..],
            (true, elided) => &sample[..elided - 1],
            (false, elided) => &sample[sample.len() - elided..],
        };
        let _ = sizes.splice(first..first, elided.iter().copied().map(Some));
        let wrong = || {
            let expected = format!("{} sizes for {:?}", parts.output.len() - 1, self.equation);
            Detail::new(
                "output_shape",
                expected,
                format!("{:?}", self.output_shape.0),
            )
        };
        if sizes.len() + 1 != parts.output.len() {
            return Err(wrong());
        }
        let size = |(letter, given): (&u32, Option<usize>)| {
            let of_input = parts.input.iter().position(|other| other == letter);
            let of_input = of_input.map(|axis| sample[axis - 1]);
            match (given, of_input) {
                (Some(given), Some(size)) if given != size => Err(wrong()),
                (Some(size), _) | (None, Some(size)) => Ok(size),
                (None, None) => Err(wrong()),
            }
        };
        parts.output[1..].iter().zip(sizes).map(size).collect()
    }
}

/// An equation's letters as numbers.
struct Parts {
    input: Vec<u32>,
    kernel: Vec<u32>,
    output: Vec<u32>,
    /// How many axes the dots stand for, and whether they are the first.
    elided: usize,
    left: bool,
}

/// Where each of `letters` is in `part`.
fn positions(letters: &[u32], part: &[u32]) -> Vec<usize> {
    let position = |letter: &u32| part.iter().position(|other| other == letter);
    letters.iter().filter_map(position).collect()
}

/// `x` with its axes in this order of letters.
fn ordered<'g>(x: Var<'g>, from: &[u32], to: &[u32]) -> Var<'g> {
    match from == to {
        true => x,
        false => x.permute(&positions(to, from)),
    }
}

impl Parts {
    /// Whether the last axis of the result is the kernel's last, and not the input's: another kernel may have
    /// another number of features there.
    fn ends_with_features(&self) -> bool {
        let last = self.kernel.last();
        last == self.output.last() && last.is_some_and(|letter| !self.input.contains(letter))
    }

    /// The product of `x` and `kernel`, as batches of matrix products.
    fn product<'g>(&self, x: Var<'g>, kernel: Var<'g>) -> Var<'g> {
        let of = |part: &[u32], test: &dyn Fn(&u32) -> bool| -> Vec<u32> {
            part.iter().copied().filter(|letter| test(letter)).collect()
        };
        let in_kernel = |letter: &u32| self.kernel.contains(letter);
        let in_output = |letter: &u32| self.output.contains(letter);
        let in_input = |letter: &u32| self.input.contains(letter);
        // What neither the kernel nor the result has is summed over first.
        let lost = of(&self.input, &|l| !in_kernel(l) && !in_output(l));
        let input = of(&self.input, &|l| !lost.contains(l));
        let x = match lost.is_empty() {
            true => x,
            false => x.sum(&positions(&lost, &self.input)),
        };
        let shared = of(&input, &|l| in_kernel(l) && in_output(l));
        let summed = of(&input, &|l| in_kernel(l) && !in_output(l));
        let own = of(&input, &|l| !in_kernel(l));
        let new = of(&self.kernel, &|l| !in_input(l));
        let size = |letters: &[u32], part: &[u32], shape: &Shape| -> usize {
            let sizes = positions(letters, part);
            sizes
                .iter()
                .map(|&axis| shape.dims()[axis].size(1))
                .product()
        };
        let (x_shape, kernel_shape) = (x.shape(), kernel.shape());
        let depth = Dim::Fixed(size(&summed, &self.kernel, &kernel_shape));
        let width = Dim::Fixed(size(&new, &self.kernel, &kernel_shape));
        let dims_of = |letters: &[u32]| -> Vec<Dim> {
            let axes = positions(letters, &input);
            axes.into_iter().map(|axis| x_shape.dims()[axis]).collect()
        };
        let new_dims = positions(&new, &self.kernel)
            .into_iter()
            .map(|axis| kernel_shape.dims()[axis]);
        let join = |parts: &[&[u32]]| parts.concat();
        let (product, letters) = if shared.is_empty() {
            let x = ordered(x, &input, &join(&[&own, &summed]));
            let rows: Shape = dims_of(&own).into_iter().chain([depth]).collect();
            let kernel = ordered(kernel, &self.kernel, &join(&[&summed, &new]));
            let product = x.reshape(rows).matmul(kernel.reshape([depth, width]));
            (product, own.clone())
        } else {
            // One matrix for each index of all axes but the batch and what is summed over; the kernel's
            // are the same for axes that it does not have.
            let (batch, rest) = (&own[..1], &own[1..]);
            let many = size(rest, &input, &x_shape);
            let same = size(&shared, &self.kernel, &kernel_shape);
            let x = ordered(x, &input, &join(&[rest, &shared, batch, &summed]));
            let rows = dims_of(batch)[0];
            let x = x.reshape([Dim::Fixed(many * same), rows, depth]);
            let kernel = ordered(kernel, &self.kernel, &join(&[&shared, &summed, &new]));
            let kernel = kernel.reshape([Dim::Fixed(1), Dim::Fixed(same), depth, width]);
            let kernel = kernel.broadcast_to([Dim::Fixed(many), Dim::Fixed(same), depth, width]);
            let kernel = kernel.reshape([Dim::Fixed(many * same), depth, width]);
            let product = x.batch_matmul(kernel, false, false);
            (product, join(&[rest, &shared, batch]))
        };
        let dims: Shape = dims_of(&letters).into_iter().chain(new_dims).collect();
        ordered(
            product.reshape(dims),
            &join(&[&letters, &new]),
            &self.output,
        )
    }
}

impl Layer for EinsumDense {
    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        let input = single(inputs)?;
        if !input.is_batch_first() {
            return Err(Detail::new("", "an input (batch, …)", input));
        }
        if let Some(activation) = &self.activation {
            activation.get()?;
        }
        let parts = self.parts(input.rank())?;
        let (sample, output) = (
            input.sample().unwrap_or_default(),
            self.output_sizes(&parts, input)?,
        );
        let size = |letter: &u32| match parts.output.iter().position(|other| other == letter) {
            Some(axis) => output[axis - 1],
            None => sample[positions(&[*letter], &parts.input)[0] - 1],
        };
        let sizes: Vec<usize> = parts.kernel.iter().map(size).collect();
        let to_output = |letter: &&u32| parts.output.contains(letter);
        let outputs: usize = parts.kernel.iter().filter(to_output).map(size).product();
        let inputs = sizes.iter().product::<usize>() / outputs.max(1);
        let initializer = Flattened::of(&self.kernel_initializer, [inputs, outputs]);
        weights
            .parameter("kernel", &sizes, &initializer)
            .regularizer(&self.kernel_regularizer)
            .constraint(&self.kernel_constraint);
        if let Some(axes) = &self.bias_axes {
            let letters: Vec<u32> = axes.chars().map(u32::from).collect();
            let known = |letter: &u32| parts.output[1..].contains(letter);
            if letters.is_empty() || !letters.iter().all(known) {
                let expected = format!("letters of the result of {:?}", self.equation);
                return Err(Detail::new("bias_axes", expected, format!("{axes:?}")));
            }
            let first = parts
                .output
                .iter()
                .position(|letter| letters.contains(letter));
            let after = &parts.output[first.unwrap_or(1)..];
            let size = |letter: &u32| {
                if letters.contains(letter) {
                    size(letter)
                } else {
                    1
                }
            };
            let sizes: Vec<usize> = after.iter().map(size).collect();
            weights
                .parameter("bias", &sizes, &self.bias_initializer)
                .regularizer(&self.bias_regularizer)
                .constraint(&self.bias_constraint);
        }
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let x = inputs[0];
        let mut output = match self.parts(x.shape().rank()) {
            Ok(parts) if parts.ends_with_features() => {
                call.product(x, "kernel", |x, kernel| parts.product(x, kernel))
            }
            Ok(parts) => parts.product(x, call.weight("kernel")),
            // Found when the layer was built.
            Err(_) => x,
        };
        if self.bias_axes.is_some() {
            output = output + call.weight("bias");
        }
        if let Some(activation) = &self.activation {
            output = activation.apply(output);
        }
        call.activity_penalty(&self.activity_regularizer, output);
        output
    }
}

/// An initializer that sees a kernel of any axes as one of inputs and outputs.
#[derive(Clone, Debug)]
struct Flattened {
    inner: Initializer,
    sizes: [usize; 2],
}

impl Flattened {
    /// `inner`, told how many inputs and outputs there are if it scales its numbers by them.
    fn of(inner: &Initializer, sizes: [usize; 2]) -> Initializer {
        const SCALING: [&str; 7] = [
            "VarianceScaling",
            "GlorotUniform",
            "GlorotNormal",
            "HeUniform",
            "HeNormal",
            "LecunUniform",
            "LecunNormal",
        ];
        let scales = |function: &dyn InitializerFunction| SCALING.contains(&function.class_name());
        match inner.get() {
            Ok(function) if scales(function) => Flattened {
                inner: inner.clone(),
                sizes,
            }
            .into(),
            _ => inner.clone(),
        }
    }
}

impl Configured for Flattened {
    fn class(&self) -> Class<'_> {
        Class::new("regraft.Flattened")
    }
}

impl InitializerFunction for Flattened {
    fn initialize(&self, shape: &[usize], key: Key) -> Result<Tensor, Detail> {
        let numbers = self.inner.get()?.initialize(&self.sizes, key)?;
        Tensor::new(shape, numbers.as_slice().to_vec()).map_err(Detail::from)
    }
}
