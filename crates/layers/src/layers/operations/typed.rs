//! A value in a formula with the element type that it has in Keras.

use regraft_autograd::ops::Integers;
use regraft_autograd::{Graph, IntTensor, Shape, Tensor, Var};
use regraft_tensor::Detail;

use crate::ElementType;
use crate::contract::element_type::Weak;

/// A value of the graph and its element type. Truth values are floats there, 0 and 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Typed<'g> {
    pub var: Var<'g>,
    pub of: ElementType,
    /// A number of Python, which has no width of its own.
    number: Option<(f64, Weak)>,
}

impl<'g> Typed<'g> {
    /// A value of this type, of which `var` already has the elements.
    pub fn new(var: Var<'g>, of: ElementType) -> Self {
        Typed {
            var,
            of,
            number: None,
        }
    }

    /// Truth values, which are 0 and 1 already.
    pub fn truths(var: Var<'g>) -> Self {
        Typed::new(var, ElementType::Bool)
    }

    /// A whole number of Python.
    pub fn integer(graph: &'g Graph, value: i64) -> Self {
        let of = ElementType::Int32;
        match i32::try_from(value) {
            Ok(small) => Typed {
                var: integer(graph, small),
                of,
                number: Some((value as f64, Weak::Integer)),
            },
            Err(_) => Typed::float(graph, value as f64),
        }
    }

    /// A number of Python with a point.
    pub fn float(graph: &'g Graph, value: f64) -> Self {
        Typed {
            var: graph.number(value as f32),
            of: ElementType::Float32,
            number: Some((value, Weak::Float)),
        }
    }

    /// The number, if it is one of Python's.
    pub fn as_number(self) -> Option<f64> {
        self.number.map(|(value, _)| value)
    }

    pub fn graph(self) -> &'g Graph {
        self.var.graph()
    }

    pub fn shape(self) -> Shape {
        self.var.shape()
    }

    pub fn rank(self) -> usize {
        self.shape().rank()
    }

    /// The same numbers as elements of another type, as Keras casts them: floats without what is
    /// behind the point, wrapped where the type is narrower.
    pub fn to(self, of: ElementType) -> Typed<'g> {
        use ElementType::Bool;
        if let Some((value, _)) = self.number {
            let var = match of {
                Bool => self.graph().number(f32::from(value != 0.0)),
                _ if of.is_integer() => integer(self.graph(), value as i32),
                _ => self.graph().number(value as f32),
            };
            return Typed::new(var, of).wrapped();
        }
        let var = match (self.of, of) {
            (from, to) if from == to => self.var,
            (Bool, to) if to.is_float() => self.var,
            (from, Bool) if from.is_integer() => self.var.to_f32().not_equal(0.0),
            (_, Bool) => self.var.not_equal(0.0),
            (_, to) if to.is_integer() => self.var.to_i32(),
            _ => self.var.to_f32(),
        };
        let typed = Typed::new(var, of);
        match self.of.is_float() || self.of.is_integer() {
            true => typed.wrapped(),
            false => typed,
        }
    }

    /// The same as floats: of its own type if that is one of floats.
    pub fn to_float(self) -> Typed<'g> {
        self.to(self.of.as_float())
    }

    /// The elements as floats, whatever their type.
    pub fn floats(self) -> Var<'g> {
        self.to_float().var
    }

    /// 1 where an element is not 0, else 0.
    pub fn truth(self) -> Var<'g> {
        self.to(ElementType::Bool).var
    }

    /// The same with elements that an arithmetic result of a narrow type has: wrapped.
    pub fn wrapped(self) -> Typed<'g> {
        let (bits, signed) = self.of.width();
        if !self.of.is_integer() || bits >= 32 {
            return self;
        }
        let number = |value: i32| integer(self.graph(), value);
        let low = self.var.integers(Integers::And, number((1 << bits) - 1));
        let var = match signed {
            false => low,
            true => {
                // The highest bit counts as negative.
                let half = number(1 << (bits - 1));
                low.integers(Integers::Xor, half)
                    .integers(Integers::Subtract, half)
            }
        };
        Typed { var, ..self }
    }

    /// The same with another value of its type.
    pub fn with(self, var: Var<'g>) -> Typed<'g> {
        Typed::new(var, self.of)
    }

    /// The axis that a number means, which is not the batch.
    pub fn axis(self, axis: isize) -> Result<usize, Detail> {
        let shape = self.shape();
        let axis = crate::settings::resolve(&[axis], shape.rank())?[0];
        not_the_batch(&shape, &[axis])?;
        Ok(axis)
    }

    /// The axes that numbers mean, ascending; the batch is not among them. `None` means all.
    pub fn axes(self, axes: Option<&[isize]>) -> Result<Vec<usize>, Detail> {
        let shape = self.shape();
        let axes = match axes {
            Some(axes) => crate::settings::resolve(axes, shape.rank())?,
            None => (0..shape.rank()).collect(),
        };
        not_the_batch(&shape, &axes)?;
        Ok(axes)
    }

    /// The size of an axis that is not the batch.
    pub fn size(self, axis: usize) -> usize {
        self.shape().dims()[axis].size(0)
    }
}

/// An error if the batch is among the axes: an operation over it would make one sample's result
/// depend on the others.
pub(super) fn not_the_batch(shape: &Shape, axes: &[usize]) -> Result<(), Detail> {
    match axes
        .iter()
        .any(|&axis| shape.dims()[axis].fixed().is_none())
    {
        false => Ok(()),
        true => {
            let expected = "axes other than the batch";
            let detail = Detail::new("axis", expected, format!("{axes:?} of {shape}"));
            Err(detail.help("an operation over the batch would mix samples"))
        }
    }
}

/// An integer of the graph.
pub(super) fn integer(graph: &Graph, value: i32) -> Var<'_> {
    graph.int_constant(IntTensor::scalar(value))
}

/// A row of integers of the graph.
pub(super) fn integers(graph: &Graph, shape: Vec<usize>, values: Vec<i32>) -> Var<'_> {
    match IntTensor::new(shape, values) {
        Ok(values) => graph.int_constant(values),
        Err(_) => integer(graph, 0),
    }
}

/// Floats of the graph, of which there are as many as the shape says.
pub(super) fn floats(graph: &Graph, shape: Vec<usize>, values: Vec<f32>) -> Var<'_> {
    match Tensor::new(shape, values) {
        Ok(values) => graph.constant(values),
        Err(_) => graph.number(f32::NAN),
    }
}

/// The type of a result of all of them, as Keras promotes types.
pub(super) fn common(values: &[Typed<'_>]) -> ElementType {
    let strong = values.iter().filter(|value| value.number.is_none());
    let weak = values.iter().filter_map(|value| value.number);
    let of_strong = strong.map(|value| value.of).reduce(ElementType::with);
    let weak = weak.map(|(_, weak)| weak);
    match of_strong {
        Some(of) => weak.fold(of, ElementType::with_weak),
        None => match weak.into_iter().any(|weak| weak == Weak::Float) {
            true => ElementType::Float32,
            false => ElementType::Int32,
        },
    }
}

/// All of them in the type that goes for all.
pub(super) fn promoted<'g>(values: &[Typed<'g>]) -> Vec<Typed<'g>> {
    let of = common(values);
    values.iter().map(|value| value.to(of)).collect()
}
