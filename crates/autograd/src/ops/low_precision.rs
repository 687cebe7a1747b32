//! A product or convolution with constant weights in low precision, with all that ends it.

use std::fmt;
use std::sync::Arc;

use regraft_tensor::Detail;
use regraft_tensor::kernels::convolution::{ConvolutionSizes, KernelShape};
use regraft_tensor::kernels::low_precision::{
    Ending, Quantization, Target, Values, Weights, convolution, words_of_bytes,
};
use regraft_tensor::kernels::matmul::EpilogueActivation;

use super::convolution::{concrete, output_sizes, spatial, with_spatial};
use crate::{Attributes, DataType, Dim, Forward, Op, Output, Shape, attributes};

/// y = activation(product + bias + residual) of 8-bit integers or bfloat16, where the product is a convolution or, over
/// the last axis, a matrix product. [`low_precision`](crate::passes::low_precision) makes it; it has no gradient.
///
/// An operand or the result may be of bytes: integers then, four bytes of neighbouring channels in each, the last of a
/// pixel filled up. Between two such ops values take a quarter of the memory.
#[derive(Clone)]
pub struct LowPrecision {
    pub(crate) weights: Arc<Weights>,
    pub(crate) ending: Ending,
    /// Whether it is a matrix product.
    pub(crate) is_matrix: bool,
    /// Whether operand 0 is of bytes.
    pub(crate) input_bytes: bool,
    /// Of operand 1, the residual, if there is one, how its bytes are to be read, if it is of bytes.
    pub(crate) residual: Option<Option<Quantization>>,
    /// How the result is rounded to bytes, if it is.
    pub(crate) output: Option<Quantization>,
    pub(crate) activation: EpilogueActivation,
}

impl LowPrecision {
    /// Whether it is of 8-bit integers; otherwise of bfloat16.
    pub fn is_int8(&self) -> bool {
        self.ending.input().is_some()
    }

    fn kernel(&self) -> &KernelShape {
        self.weights.shape()
    }

    /// How many elements a pixel of so many channels has in the graph.
    fn elements(channels: usize, bytes: bool) -> usize {
        match bytes {
            true => words_of_bytes(channels),
            false => channels,
        }
    }

    /// The elements of operand `index`.
    fn values<'a>(operands: &Forward<'a>, index: usize, bytes: Option<Quantization>) -> Values<'a> {
        match bytes {
            Some(quantization) => {
                Values::Bytes(bytemuck::cast_slice(operands.i32(index)), quantization)
            }
            None => Values::F32(operands.f32(index)),
        }
    }
}

impl fmt::Debug for LowPrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LowPrecision")
            // The weights themselves would be pages of numbers.
            .field("weights", &Arc::as_ptr(&self.weights))
            .field("is_matrix", &self.is_matrix)
            .field("input", &self.ending.input())
            .field("input_bytes", &self.input_bytes)
            .field("residual", &self.residual)
            .field("output", &self.output)
            .field("activation", &self.activation)
            .finish_non_exhaustive()
    }
}

impl Op for LowPrecision {
    fn name(&self) -> &str {
        match (self.is_int8(), self.is_matrix, self.kernel().groups) {
            (true, true, _) => "int8_matmul",
            (true, false, 1) => "int8_convolution",
            (true, false, _) => "int8_depthwise_convolution",
            (false, true, _) => "bfloat16_matmul",
            (false, false, _) => "bfloat16_convolution",
        }
    }

    fn identity(&self, held: &mut dyn FnMut(&[f32])) -> Option<Attributes> {
        let Self {
            weights,
            ending,
            is_matrix,
            input_bytes,
            residual,
            output,
            activation,
        } = self;
        let quantization = |it: &Option<Quantization>| match it {
            Some(it) => vec![it.step(), f32::from(it.zero())],
            None => Vec::new(),
        };
        let settings = Attributes::none()
            .with("window", self.kernel().window)
            .with("groups", self.kernel().groups)
            .with("matrix", *is_matrix)
            .with("input", quantization(&ending.input()))
            .with("input_bytes", *input_bytes)
            .with("residual", residual.is_some())
            .with("residual_bytes", quantization(&residual.unwrap_or(None)))
            .with("output_bytes", quantization(output))
            .with("activation", attributes::activation(*activation)?);
        weights.arrays(held);
        ending.arrays().into_iter().for_each(held);
        Some(settings)
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let KernelShape {
            channels,
            filters,
            window,
            ..
        } = *self.kernel();
        let count = 1 + usize::from(self.residual.is_some());
        if operands.len() != count {
            return Err(Detail::new("", format!("{count} operands"), operands.len()));
        }
        let elements = Self::elements(channels, self.input_bytes);
        if operands[0].dims().last() != Some(&Dim::Fixed(elements)) {
            let expected = format!("{elements} elements along the last axis");
            return Err(Detail::new("", expected, operands[0]));
        }
        let of_pixel = |bytes| Self::elements(filters, bytes);
        let shape = |bytes: bool| -> Result<Shape, Detail> {
            if self.is_matrix {
                let leading = &operands[0].dims()[..operands[0].rank() - 1];
                let last = Dim::Fixed(of_pixel(bytes));
                return Ok(leading.iter().copied().chain([last]).collect());
            }
            let (input, _) = spatial(operands[0])?;
            let output = output_sizes(&window, input)?;
            Ok(with_spatial(operands[0], output, of_pixel(bytes)))
        };
        if let Some(bytes) = self.residual {
            let expected = shape(bytes.is_some())?;
            if *operands[1] != expected {
                return Err(Detail::new("", expected, operands[1]));
            }
        }
        shape(self.output.is_some())
    }

    fn data_type(&self) -> DataType {
        match self.output {
            Some(_) => DataType::I32,
            None => DataType::F32,
        }
    }

    fn operand_type(&self, index: usize) -> DataType {
        let bytes = match index {
            0 => self.input_bytes,
            _ => self.residual.flatten().is_some(),
        };
        match bytes {
            true => DataType::I32,
            false => DataType::F32,
        }
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let kernel = *self.kernel();
        let (x, y) = (operands.shape(0), output.shape);
        let (samples, input, output_sizes) = match self.is_matrix {
            true => {
                let rows = [1, 1, x[..x.len() - 1].iter().product()];
                (1, rows, rows)
            }
            false => {
                let ((samples, input, _), (_, output, _)) = (concrete(x), concrete(y));
                (samples, input, output)
            }
        };
        let sizes = ConvolutionSizes {
            samples,
            input,
            output: output_sizes,
            kernel,
        };
        let bytes = self.ending.input().filter(|_| self.input_bytes);
        let x = Self::values(&operands, 0, bytes);
        let residual = self.residual.map(|bytes| Self::values(&operands, 1, bytes));
        let y = match self.output {
            Some(quantization) => {
                Target::Bytes(bytemuck::cast_slice_mut(output.i32()), quantization)
            }
            None => Target::F32(output.f32()),
        };
        let weights = (&*self.weights, &self.ending);
        convolution(&sizes, x, weights, residual, self.activation, y);
        Ok(())
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn constant_elements(&self) -> usize {
        self.weights.bytes() / 4
    }

    fn flops(&self, _operands: &[&[usize]], output: &[usize]) -> u64 {
        let kernel = self.kernel();
        let pixels: usize = output.iter().rev().skip(1).product();
        2 * (pixels * kernel.filters * kernel.window.cells() * kernel.group_channels()) as u64
    }
}
