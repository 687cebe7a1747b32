//! Sums of products of two values along an axis.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Value, json};

use crate::formulas::l2_normalize;
use crate::settings::{Given, IntoSetting, Setting, resolve};
use crate::{Call, Layer, Weights};

/// An axis of each of two inputs; in files, and for setters, one may stand for both.
#[derive(Clone, Copy, Debug)]
pub struct AxisPair([isize; 2]);

impl Setting for AxisPair {
    fn read(given: Given<'_>) -> Result<Self, Detail> {
        match Vec::<isize>::read(given)?[..] {
            [axis] => Ok(AxisPair([axis; 2])),
            [a, b] => Ok(AxisPair([a, b])),
            _ => Err(given.wrong("one axis or two")),
        }
    }

    fn write(&self) -> Value {
        match self.0 {
            [a, b] if a == b => json!(a),
            axes => json!(axes),
        }
    }
}

impl IntoSetting<AxisPair> for [isize; 2] {
    fn into_setting(self) -> AxisPair {
        AxisPair(self)
    }
}

settings! {
    /// For each sample, the sums of products of two inputs along one axis of each: with `(batch, …a, k)`
    /// and `(batch, …b, k)`, the output is `(batch, …a, …b)`, or `(batch, 1)` if nothing else is left.
    ///
    /// There are no weights; being frozen changes nothing.
    /// Keras: <https://keras.io/api/layers/merging_layers/dot/>.
    #[derive(Clone, Copy, Debug)]
    pub struct Dot as "keras.layers.Dot" {
        /// A layer that sums along this axis of the first and of the second input, neither of which is
        /// the batch; negative ones count from the end.
        new(axes: AxisPair)
        axes: AxisPair = axes,
        /// Whether inputs are brought to length 1 along their axes first, which makes the result the
        /// cosine of their angle.
        normalize: bool = false,
    }
}

/// `x` as rows along `axis`: `(batch, rows, size)`.
fn rows(x: Var<'_>, axis: usize) -> Var<'_> {
    let rank = x.shape().rank();
    let mut axes: Vec<usize> = (0..rank).filter(|&other| other != axis).collect();
    axes.push(axis);
    let moved = if axis + 1 == rank {
        x
    } else {
        x.permute(&axes)
    };
    let dims = moved.shape().dims().to_vec();
    let rows = dims[1..rank - 1].iter().map(|dim| dim.size(0)).product();
    moved.reshape([dims[0], Dim::Fixed(rows), dims[rank - 1]])
}

/// The sizes of a sample without `axis`.
fn others(x: Var<'_>, axis: usize) -> Vec<Dim> {
    let mut dims = x.shape().dims().to_vec();
    dims.remove(axis);
    dims.remove(0);
    dims
}

impl Layer for Dot {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        let [a, b] = inputs else {
            return Err(Detail::new("", "2 inputs", inputs.len()));
        };
        let size = |shape: &Shape, axis: isize| -> Result<usize, Detail> {
            let axis = resolve(&[axis], shape.rank()).map_err(|detail| detail.within("axes"))?;
            match shape.dims()[axis[0]] {
                Dim::Fixed(size) if shape.is_batch_first() => Ok(size),
                _ => Err(Detail::new("axes", "an axis other than the batch", shape)),
            }
        };
        match size(a, self.axes.0[0])? == size(b, self.axes.0[1])? {
            true => Ok(()),
            false => {
                let expected = "axes of the same size";
                let received = format!("{:?} of {a} and {b}", self.axes.0);
                Err(Detail::new("axes", expected, received))
            }
        }
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let (a, b) = (inputs[0], inputs[1]);
        let axis = |x: Var<'_>, axis: isize| resolve(&[axis], x.shape().rank());
        let (Ok(of_a), Ok(of_b)) = (axis(a, self.axes.0[0]), axis(b, self.axes.0[1])) else {
            return a;
        };
        let (of_a, of_b) = (of_a[0], of_b[0]);
        let mut dims = vec![a.shape().dims()[0]];
        dims.extend(others(a, of_a));
        dims.extend(others(b, of_b));
        if dims.len() == 1 {
            dims.push(Dim::Fixed(1));
        }
        let unit = |x, axis| match self.normalize {
            true => l2_normalize(x, &[axis]),
            false => x,
        };
        let (a, b) = (rows(unit(a, of_a), of_a), rows(unit(b, of_b), of_b));
        a.batch_matmul(b, false, true).reshape(dims)
    }
}
