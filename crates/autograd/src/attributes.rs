//! What an op is apart from its operands: its settings by name, which passes compare, drawings print
//! and other programs read.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};
use std::ops::Range;

use regraft_tensor::kernels::matmul::EpilogueActivation;
use regraft_tensor::kernels::resize::{ResizeMethod, SamplingKernel};
use regraft_tensor::kernels::window::Window;

use crate::{DataType, Dim, Shape};

/// The settings of an op by name, in the order in which they were declared.
///
/// Two ops of one Rust type whose attributes are equal must compute the same from the same operands:
/// that is what [`Op::attributes`](crate::Op::attributes) promises.
///
/// ```
/// use regraft_autograd::Attributes;
///
/// let sum = Attributes::none().with("axes", vec![0_usize, 2]).with("keep", false);
/// assert_eq!(sum.to_string(), "{axes=[0, 2], keep=false}");
/// assert_eq!(sum.get("keep"), Some(&false.into()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(Vec<(Cow<'static, str>, Attribute)>);

/// The value of an [`Attributes`]' entry. Numbers are compared by their bits, so that `0` and `-0`
/// differ and a NaN equals itself.
#[derive(Clone, Debug)]
pub enum Attribute {
    /// A setting that is on or off.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f32),
    /// A word: the name of a choice.
    Text(Cow<'static, str>),
    /// Several values.
    List(Vec<Attribute>),
    /// Settings that belong together, such as those of a window.
    Group(Attributes),
}

impl Attributes {
    /// No settings: all ops of the type compute the same.
    pub fn none() -> Self {
        Self::default()
    }

    /// These and one more.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Attribute>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    /// The value of the setting `name`.
    pub fn get(&self, name: &str) -> Option<&Attribute> {
        let mut entries = self.iter();
        entries.find(|(known, _)| *known == name).map(|(_, it)| it)
    }

    /// Every name with its value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Attribute)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// Whether there are no settings.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Attribute {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Attribute::Bool(a), Attribute::Bool(b)) => a == b,
            (Attribute::Integer(a), Attribute::Integer(b)) => a == b,
            (Attribute::Number(a), Attribute::Number(b)) => a.to_bits() == b.to_bits(),
            (Attribute::Text(a), Attribute::Text(b)) => a == b,
            (Attribute::List(a), Attribute::List(b)) => a == b,
            (Attribute::Group(a), Attribute::Group(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Attribute {}

impl Hash for Attribute {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Attribute::Bool(value) => value.hash(state),
            Attribute::Integer(value) => value.hash(state),
            Attribute::Number(value) => value.to_bits().hash(state),
            Attribute::Text(value) => value.hash(state),
            Attribute::List(values) => values.hash(state),
            Attribute::Group(values) => values.hash(state),
        }
    }
}

impl fmt::Display for Attributes {
    /// `{axes=[0, 2], keep=false}`; nothing if there are no settings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (name, value)) in self.iter().enumerate() {
            write!(
                f,
                "{}{name}={value}",
                if position == 0 { "{" } else { ", " }
            )?;
        }
        if self.is_empty() {
            return Ok(());
        }
        f.write_char('}')
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attribute::Bool(value) => value.fmt(f),
            Attribute::Integer(value) => value.fmt(f),
            Attribute::Number(value) => value.fmt(f),
            Attribute::Text(value) => value.fmt(f),
            Attribute::List(values) => {
                f.write_char('[')?;
                for (position, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if position == 0 { "" } else { ", " })?;
                }
                f.write_char(']')
            }
            Attribute::Group(values) => values.fmt(f),
        }
    }
}

/// Conversions of types with a variant of their own.
macro_rules! variants {
    ($($variant:ident: $type:ty),* $(,)?) => {
        $(impl From<$type> for Attribute {
            fn from(value: $type) -> Self {
                Attribute::$variant(value)
            }
        })*
    };
}

variants! {
    Bool: bool,
    Integer: i64,
    Number: f32,
    Group: Attributes,
}

/// Conversions of integers; 64 bits keep their pattern, so that different ones stay different.
macro_rules! integers {
    ($($type:ty),*) => {
        $(impl From<$type> for Attribute {
            fn from(value: $type) -> Self {
                Attribute::Integer(value as i64)
            }
        })*
    };
}

integers!(i32, u32, u64, usize, isize);

impl From<&'static str> for Attribute {
    fn from(value: &'static str) -> Self {
        Attribute::Text(value.into())
    }
}

impl From<String> for Attribute {
    fn from(value: String) -> Self {
        Attribute::Text(value.into())
    }
}

impl<T: Into<Attribute>> From<Vec<T>> for Attribute {
    fn from(values: Vec<T>) -> Self {
        Attribute::List(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Attribute>, const N: usize> From<[T; N]> for Attribute {
    fn from(values: [T; N]) -> Self {
        Attribute::List(values.into_iter().map(Into::into).collect())
    }
}

impl<A: Into<Attribute>, B: Into<Attribute>> From<(A, B)> for Attribute {
    fn from((a, b): (A, B)) -> Self {
        Attribute::List(vec![a.into(), b.into()])
    }
}

/// A setting that may be left out: a list of none or one.
impl<T: Into<Attribute>> From<Option<T>> for Attribute {
    fn from(value: Option<T>) -> Self {
        Attribute::List(value.into_iter().map(Into::into).collect())
    }
}

impl From<Range<usize>> for Attribute {
    fn from(range: Range<usize>) -> Self {
        Attribute::from([range.start, range.end])
    }
}

impl From<DataType> for Attribute {
    fn from(data_type: DataType) -> Self {
        Attribute::from(data_type.to_string())
    }
}

/// The sizes; −1 for the batch, as ONNX and TensorFlow write it, and −n for n rows of each sample.
impl From<Shape> for Attribute {
    fn from(shape: Shape) -> Self {
        let size = |dim: &Dim| match *dim {
            Dim::Batch => Attribute::Integer(-1),
            Dim::PerSample(rows) => Attribute::Integer(-(rows as i64)),
            Dim::Fixed(size) => Attribute::from(size),
        };
        Attribute::List(shape.dims().iter().map(size).collect())
    }
}

impl From<Window> for Attribute {
    fn from(window: Window) -> Self {
        let Window {
            size,
            strides,
            dilation,
            padding,
        } = window;
        Attribute::Group(
            Attributes::none()
                .with("size", size)
                .with("strides", strides)
                .with("dilation", dilation)
                .with("padding", padding),
        )
    }
}

impl From<ResizeMethod> for Attribute {
    fn from(method: ResizeMethod) -> Self {
        Attribute::from(match method {
            ResizeMethod::Nearest => "nearest",
            ResizeMethod::Bilinear => "bilinear",
            ResizeMethod::Bicubic => "bicubic",
            ResizeMethod::Area => "area",
            ResizeMethod::Sampled { kernel, antialias } => {
                let kernel = match kernel {
                    SamplingKernel::Triangle => "triangle",
                    SamplingKernel::KeysCubic => "keys_cubic",
                    SamplingKernel::MitchellCubic => "mitchell_cubic",
                    SamplingKernel::Lanczos3 => "lanczos3",
                    SamplingKernel::Lanczos5 => "lanczos5",
                    SamplingKernel::Gaussian => "gaussian",
                };
                return Attribute::from((kernel, antialias));
            }
        })
    }
}

/// An activation that a product applies: its name, or a group of the name and the slope. `None` for one
/// that has no name here, and so nothing to be compared by.
pub(crate) fn activation(activation: EpilogueActivation) -> Option<Attribute> {
    Some(Attribute::from(match activation {
        EpilogueActivation::None => "none",
        EpilogueActivation::Relu => "relu",
        EpilogueActivation::Relu6 => "relu6",
        EpilogueActivation::Sigmoid => "sigmoid",
        EpilogueActivation::Tanh => "tanh",
        EpilogueActivation::Silu => "silu",
        EpilogueActivation::Gelu => "gelu",
        EpilogueActivation::GeluTanh => "gelu_tanh",
        EpilogueActivation::LeakyRelu(slope) => {
            let named = Attributes::none().with("name", "leaky_relu");
            return Some(named.with("slope", slope).into());
        }
        _ => return None,
    }))
}

/// Declares an op's [`attributes`](crate::Op::attributes) within its `impl`: all fields of the type by
/// their names, none if it has none. A field that is left out does not compile.
///
/// ```
/// # use regraft_autograd::{Attributes, Forward, Op, Output, Shape, attributes};
/// # use regraft_tensor::Detail;
/// /// y = x + amount
/// #[derive(Debug)]
/// struct Shift {
///     amount: f32,
/// }
///
/// impl Op for Shift {
///     attributes!(amount);
/// #   fn name(&self) -> &str {
/// #       "shift"
/// #   }
/// #   fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
/// #       Ok(operands[0].clone())
/// #   }
/// #   fn forward(&self, _: Forward<'_>, _: Output<'_>) -> Result<(), Detail> {
/// #       Ok(())
/// #   }
///     // …
/// }
///
/// let attributes = Shift { amount: 0.5 }.attributes();
/// assert_eq!(attributes, Some(Attributes::none().with("amount", 0.5)));
/// ```
#[macro_export]
macro_rules! attributes {
    ($($field:ident),* $(,)?) => {
        fn attributes(&self) -> ::std::option::Option<$crate::Attributes> {
            let Self { $($field),* } = self;
            ::std::option::Option::Some($crate::Attributes::none()$(.with(
                ::std::stringify!($field),
                ::std::borrow::ToOwned::to_owned($field),
            ))*)
        }
    };
}
