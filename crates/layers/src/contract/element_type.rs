//! What the elements of a value are to Keras: truth values, integers of some width, floats. The
//! data-flow graph knows floats and 32-bit integers alone.

use std::fmt;

use regraft_autograd::{DataType, Var};

/// The element type of a value between layers, as Keras names it.
///
/// Floats of every width are computed with 32 bits. Truth values are floats there, 0 and 1; integers of
/// every width are 32-bit integers, and results of narrower types wrap as they do in Keras.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// True or false.
    Bool,
    /// Integers from 0 to 2⁸ − 1.
    Uint8,
    /// Integers from 0 to 2¹⁶ − 1.
    Uint16,
    /// Integers from 0 to 2³² − 1, of which those below 2³¹ are computed.
    Uint32,
    /// Integers from 0 to 2⁶⁴ − 1, of which those below 2³¹ are computed.
    Uint64,
    /// Integers of 8 bits.
    Int8,
    /// Integers of 16 bits.
    Int16,
    /// Integers of 32 bits.
    Int32,
    /// Integers of 64 bits, of which those of 32 bits are computed.
    Int64,
    /// Floats of 16 bits, 8 of them for the exponent.
    Bfloat16,
    /// Floats of 16 bits.
    Float16,
    /// Floats of 32 bits.
    #[default]
    Float32,
    /// Floats of 64 bits.
    Float64,
}

/// A number of Python among arguments, which has no width: it takes that of what it goes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weak {
    Integer,
    Float,
}

/// Every type with Keras' name.
const NAMES: [(ElementType, &str); 13] = [
    (ElementType::Bool, "bool"),
    (ElementType::Uint8, "uint8"),
    (ElementType::Uint16, "uint16"),
    (ElementType::Uint32, "uint32"),
    (ElementType::Uint64, "uint64"),
    (ElementType::Int8, "int8"),
    (ElementType::Int16, "int16"),
    (ElementType::Int32, "int32"),
    (ElementType::Int64, "int64"),
    (ElementType::Bfloat16, "bfloat16"),
    (ElementType::Float16, "float16"),
    (ElementType::Float32, "float32"),
    (ElementType::Float64, "float64"),
];

impl ElementType {
    /// The type of this name in Keras: `"uint8"`.
    pub fn from_name(name: &str) -> Option<Self> {
        let found = NAMES.iter().find(|(_, known)| *known == name);
        found.map(|(element_type, _)| *element_type)
    }

    /// Keras' name.
    pub fn name(self) -> &'static str {
        let found = NAMES.iter().find(|(known, _)| *known == self);
        found.map_or("float32", |(_, name)| name)
    }

    /// Every name that [`from_name`](Self::from_name) knows.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(_, name)| *name)
    }

    /// The type of the elements in the data-flow graph.
    pub fn data_type(self) -> DataType {
        match self.is_integer() {
            true => DataType::I32,
            false => DataType::F32,
        }
    }

    /// Whether these are integers (truth values are not).
    pub fn is_integer(self) -> bool {
        !self.is_float() && self != ElementType::Bool
    }

    /// Whether these are floats.
    pub fn is_float(self) -> bool {
        use ElementType::*;
        matches!(self, Bfloat16 | Float16 | Float32 | Float64)
    }

    /// Bits, and whether the sign takes one of them.
    pub(crate) fn width(self) -> (u32, bool) {
        use ElementType::*;
        match self {
            Bool => (1, false),
            Uint8 => (8, false),
            Uint16 => (16, false),
            Uint32 => (32, false),
            Uint64 => (64, false),
            Int8 => (8, true),
            Int16 | Bfloat16 | Float16 => (16, true),
            Int32 | Float32 => (32, true),
            Int64 | Float64 => (64, true),
        }
    }

    /// The numbers that elements may be: those of the type, as far as 32 bits hold them. Floats have
    /// none.
    pub fn range(self) -> std::ops::RangeInclusive<i64> {
        let (bits, signed) = self.width();
        match (self.is_float(), signed) {
            (true, _) => std::ops::RangeInclusive::new(0, -1),
            (false, true) => {
                let half = 1_i64 << (bits.min(32) - 1);
                -half..=half - 1
            }
            (false, false) => 0..=(1_i64 << bits.min(31)) - 1,
        }
    }

    /// The type of a result of both, as Keras promotes types: the narrowest that has room for both, and
    /// floats where one is of floats.
    pub(crate) fn with(self, other: Self) -> Self {
        use ElementType::*;
        if self == other {
            return self;
        }
        let (a, b) = match (self.is_float(), other.is_float()) {
            (true, false) => return self,
            (false, true) => return other,
            _ => (self.width(), other.width()),
        };
        match (self, other) {
            (Bool, other) => other,
            (this, Bool) => this,
            (Bfloat16, Float16) | (Float16, Bfloat16) => Float32,
            _ if a.1 == b.1 || self.is_float() => match a.0 >= b.0 {
                true => self,
                false => other,
            },
            // One has a sign and the other has not: the next wider type with a sign.
            _ => {
                let (signed, unsigned) = if a.1 { (a.0, b.0) } else { (b.0, a.0) };
                match signed.max(2 * unsigned) {
                    16 => Int16,
                    32 => Int32,
                    64 => Int64,
                    _ => Float32,
                }
            }
        }
    }

    /// The type of a result with a number of Python.
    pub(crate) fn with_weak(self, weak: Weak) -> Self {
        match weak {
            Weak::Integer if self == ElementType::Bool => ElementType::Int32,
            Weak::Float if !self.is_float() => ElementType::Float32,
            _ => self,
        }
    }

    /// The type of what takes floats alone: itself if it is of floats.
    pub(crate) fn as_float(self) -> Self {
        match self.is_float() {
            true => self,
            false => ElementType::Float32,
        }
    }
}

impl From<DataType> for ElementType {
    fn from(data_type: DataType) -> Self {
        match data_type {
            DataType::F32 => ElementType::Float32,
            DataType::I32 => ElementType::Int32,
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `x` in the elements of `data_type`: integers as floats, floats without what is behind the point.
pub(crate) fn in_elements_of(x: Var<'_>, data_type: DataType) -> Var<'_> {
    match data_type {
        DataType::F32 => x.to_f32(),
        DataType::I32 => x.to_i32(),
    }
}

#[cfg(test)]
mod tests {
    use super::ElementType::*;
    use super::*;

    #[test]
    fn types_are_promoted_as_in_keras() {
        let pairs = [
            (Bool, Uint8, Uint8),
            (Uint8, Int8, Int16),
            (Uint16, Int8, Int32),
            (Uint8, Int32, Int32),
            (Uint32, Int32, Int64),
            (Uint64, Int64, Float32),
            (Int64, Float16, Float16),
            (Bfloat16, Float16, Float32),
            (Float32, Float64, Float64),
        ];
        for (a, b, both) in pairs {
            assert_eq!((a.with(b), b.with(a)), (both, both), "{a} and {b}");
        }
        assert_eq!(Uint8.with_weak(Weak::Integer), Uint8);
        assert_eq!(Uint8.with_weak(Weak::Float), Float32);
        assert_eq!(Bool.with_weak(Weak::Integer), Int32);
    }

    #[test]
    fn every_name_is_read_again() {
        for name in ElementType::names() {
            assert_eq!(ElementType::from_name(name).unwrap().name(), name);
        }
    }
}
