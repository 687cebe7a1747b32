//! Images of other sizes, and the gradient, which is the transpose.

use regraft_tensor::Detail;
use regraft_tensor::kernels::resize::{ResizeMethod, Taps, resize};

use crate::ops::convolution::{concrete, spatial, with_spatial};
use crate::{Forward, Gradient, Op, Output, Shape, Var, attributes};

/// `[batch, …spatial, channels]` with other spatial sizes: along each axis a cell is a weighted sum
/// of the cells near it, `y[i] = Σ w[i, j] x[j]`, with the weights of TensorFlow's
/// `tf.image.resize` without antialiasing, which Keras uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resize {
    /// The spatial sizes of the result, as many at the end as there are; 1 in front of them.
    pub size: [usize; 3],
    /// How values between the cells are found.
    pub method: ResizeMethod,
}

/// The gradient of a [`Resize`]: `dx[j] = Σ w[i, j] dy[i]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResizeGradient {
    /// The spatial sizes of what was resized.
    pub size: [usize; 3],
    /// The method.
    pub method: ResizeMethod,
}

/// The taps along each axis, from one size to the other.
fn taps(from: [usize; 3], to: [usize; 3], method: ResizeMethod) -> [Taps; 3] {
    [0, 1, 2].map(|axis| Taps::new(from[axis], to[axis], method))
}

/// `x` with spatial sizes `size`, none of them 0.
fn resized(x: &Shape, size: [usize; 3]) -> Result<Shape, Detail> {
    let (input, channels) = spatial(x)?;
    if size.contains(&0) || input.contains(&0) {
        let received = format!("{input:?} cells to become {size:?}");
        return Err(Detail::new(
            "",
            "at least one cell along each axis",
            received,
        ));
    }
    if size[..5 - x.rank()].iter().any(|&cells| cells != 1) {
        let expected = format!("{} spatial sizes", x.rank() - 2);
        return Err(Detail::new("", expected, format!("{size:?}")));
    }
    Ok(with_spatial(x, size, channels))
}

impl Op for Resize {
    fn name(&self) -> &str {
        "resize"
    }

    attributes!(size, method);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        resized(operands[0], self.size)
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let (samples, input, channels) = concrete(operands.shape(0));
        let taps = taps(input, self.size, self.method);
        resize(&taps, samples, channels, operands.f32(0), output.f32());
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let dy = at.cotangent();
        // The shape rule has found it fit.
        let size = spatial(&at.operand(0).shape()).map_or([0; 3], |(input, _)| input);
        let method = self.method;
        vec![Some(
            dy.graph().apply(ResizeGradient { size, method }, &[dy]),
        )]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

impl Op for ResizeGradient {
    fn name(&self) -> &str {
        "resize_gradient"
    }

    attributes!(size, method);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        resized(operands[0], self.size)
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let (samples, resized, channels) = concrete(operands.shape(0));
        let taps = taps(self.size, resized, self.method).map(|taps| taps.transposed());
        resize(&taps, samples, channels, operands.f32(0), output.f32());
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let v = at.cotangent();
        // The shape rule has found it fit.
        let size = spatial(&at.operand(0).shape()).map_or([0; 3], |(size, _)| size);
        let method = self.method;
        vec![Some(v.graph().apply(Resize { size, method }, &[v]))]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        operands[0].iter().product::<usize>() as u64
    }
}

impl<'g> Var<'g> {
    /// `[batch, …spatial, channels]` with spatial sizes `size` (as many as there are), as
    /// `keras.ops.image.resize` without antialiasing makes it.
    pub fn resize(self, size: &[usize], method: ResizeMethod) -> Var<'g> {
        let axes = self.shape().rank().saturating_sub(2);
        if size.len() != axes || axes > 3 {
            let expected = format!("as many sizes as spatial axes, not {}", size.len());
            return self.refuse("resize", expected);
        }
        let mut all = [1; 3];
        all[3 - axes..].copy_from_slice(size);
        self.graph().apply(Resize { size: all, method }, &[self])
    }

    /// Each cell of `[batch, …spatial, channels]` repeated `factors` times along the spatial axes
    /// (as many as there are): nearest-neighbour upsampling.
    pub fn upsample(self, factors: &[usize]) -> Var<'g> {
        match spatial(&self.shape()) {
            Ok((sizes, _)) if factors.len() + 2 == self.shape().rank() => {
                let sizes = &sizes[3 - factors.len()..];
                let size: Vec<usize> = sizes.iter().zip(factors).map(|(a, b)| a * b).collect();
                self.resize(&size, ResizeMethod::Nearest)
            }
            _ => {
                let expected = format!(
                    "(batch, …spatial, channels) with {} spatial axes",
                    factors.len()
                );
                self.refuse("upsample", expected)
            }
        }
    }
}
