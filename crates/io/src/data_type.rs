//! The element types that weight files hold, and which Rust types they are.

use std::fmt;

use half::{bf16, f16};

/// The type of a tensor's elements, in a file and in memory (little-endian, row-major).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataType {
    /// IEEE 754 binary16.
    F16,
    /// The upper half of an `f32`. Keras stores it in HDF5 as 2 opaque bytes marked `bfloat16`.
    BF16,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// 8-bit signed integer; also packed 4-bit weights.
    I8,
    /// 16-bit signed integer.
    I16,
    /// 32-bit signed integer.
    I32,
    /// 64-bit signed integer.
    I64,
    /// 8-bit unsigned integer.
    U8,
    /// 16-bit unsigned integer.
    U16,
    /// 32-bit unsigned integer.
    U32,
    /// 64-bit unsigned integer.
    U64,
    /// One byte, 0 or 1.
    Bool,
}

impl DataType {
    /// Every element type.
    pub const ALL: [DataType; 13] = [
        DataType::F16,
        DataType::BF16,
        DataType::F32,
        DataType::F64,
        DataType::I8,
        DataType::I16,
        DataType::I32,
        DataType::I64,
        DataType::U8,
        DataType::U16,
        DataType::U32,
        DataType::U64,
        DataType::Bool,
    ];

    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            DataType::I8 | DataType::U8 | DataType::Bool => 1,
            DataType::F16 | DataType::BF16 | DataType::I16 | DataType::U16 => 2,
            DataType::F32 | DataType::I32 | DataType::U32 => 4,
            DataType::F64 | DataType::I64 | DataType::U64 => 8,
        }
    }

    /// The name that Keras and NumPy use, as in `float32`.
    pub fn name(self) -> &'static str {
        match self {
            DataType::F16 => "float16",
            DataType::BF16 => "bfloat16",
            DataType::F32 => "float32",
            DataType::F64 => "float64",
            DataType::I8 => "int8",
            DataType::I16 => "int16",
            DataType::I32 => "int32",
            DataType::I64 => "int64",
            DataType::U8 => "uint8",
            DataType::U16 => "uint16",
            DataType::U32 => "uint32",
            DataType::U64 => "uint64",
            DataType::Bool => "bool",
        }
    }

    /// Whether every value of the type is also an `f32`, so that conversion never rounds.
    pub fn is_exact_in_f32(self) -> bool {
        !matches!(
            self,
            DataType::F64 | DataType::I32 | DataType::I64 | DataType::U32 | DataType::U64
        )
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A Rust type that is the element type of some tensors.
pub trait Element: bytemuck::Pod {
    /// The element type in files.
    const DATA_TYPE: DataType;
}

macro_rules! element {
    ($($rust:ty => $name:ident),*) => {
        $(impl Element for $rust {
            const DATA_TYPE: DataType = DataType::$name;
        })*
    };
}

element!(
    f16 => F16, bf16 => BF16, f32 => F32, f64 => F64,
    i8 => I8, i16 => I16, i32 => I32, i64 => I64,
    u8 => U8, u16 => U16, u32 => U32, u64 => U64
);
