//! Element types in HDF5 terms, both ways.

use hdf5_pure::{Datatype, DatatypeByteOrder, FixedPointLayout, FloatingPointLayout};

use crate::DataType;

const BINARY16: FloatingPointLayout = FloatingPointLayout {
    bit_offset: 0,
    bit_precision: 16,
    exponent_location: 10,
    exponent_size: 5,
    mantissa_location: 0,
    mantissa_size: 10,
    exponent_bias: 15,
};

const BFLOAT16: FloatingPointLayout = FloatingPointLayout {
    bit_offset: 0,
    bit_precision: 16,
    exponent_location: 7,
    exponent_size: 8,
    mantissa_location: 0,
    mantissa_size: 7,
    exponent_bias: 127,
};

/// The element type of a dataset. `keras_type` is its attribute `dtype`, by which Keras marks
/// bfloat16. `None` if weights are never of that type.
pub(super) fn from_hdf5(datatype: &Datatype, keras_type: Option<&str>) -> Option<DataType> {
    let little = DatatypeByteOrder::LittleEndian;
    match datatype {
        Datatype::FloatingPoint {
            size,
            byte_order,
            layout,
        } if *byte_order == little => match (size, *layout) {
            (2, BINARY16) => Some(DataType::F16),
            (2, BFLOAT16) => Some(DataType::BF16),
            (4, FloatingPointLayout::IEEE754_BINARY32) => Some(DataType::F32),
            (8, FloatingPointLayout::IEEE754_BINARY64) => Some(DataType::F64),
            _ => None,
        },
        Datatype::FixedPoint {
            size,
            byte_order,
            layout,
        } if *byte_order == little || *size == 1 => {
            if layout.bit_offset != 0 || u32::from(layout.bit_precision) != size * 8 {
                return None;
            }
            match (size, layout.signed) {
                (1, true) => Some(DataType::I8),
                (2, true) => Some(DataType::I16),
                (4, true) => Some(DataType::I32),
                (8, true) => Some(DataType::I64),
                (1, false) => Some(DataType::U8),
                (2, false) => Some(DataType::U16),
                (4, false) => Some(DataType::U32),
                (8, false) => Some(DataType::U64),
                _ => None,
            }
        }
        Datatype::Opaque { size: 2, .. } if keras_type == Some("bfloat16") => Some(DataType::BF16),
        // What h5py makes of NumPy's bool.
        Datatype::Enumeration {
            size: 1, members, ..
        } if matches!(members.as_slice(), [no, yes]
                if no.name == "FALSE" && no.value == [0] && yes.name == "TRUE" && yes.value == [1]) =>
        {
            Some(DataType::Bool)
        }
        _ => None,
    }
}

/// How Keras' own files declare the type.
pub(super) fn to_hdf5(data_type: DataType) -> Datatype {
    let size = data_type.size() as u32;
    let float = |layout| Datatype::FloatingPoint {
        size,
        byte_order: DatatypeByteOrder::LittleEndian,
        layout,
    };
    let integer = |signed| Datatype::FixedPoint {
        size,
        byte_order: DatatypeByteOrder::LittleEndian,
        layout: FixedPointLayout {
            bit_offset: 0,
            bit_precision: size as u16 * 8,
            signed,
        },
    };
    match data_type {
        DataType::F16 => float(BINARY16),
        DataType::F32 => float(FloatingPointLayout::IEEE754_BINARY32),
        DataType::F64 => float(FloatingPointLayout::IEEE754_BINARY64),
        DataType::BF16 => Datatype::Opaque {
            size,
            tag: Vec::new(),
        },
        DataType::I8 | DataType::I16 | DataType::I32 | DataType::I64 => integer(true),
        DataType::U8 | DataType::U16 | DataType::U32 | DataType::U64 => integer(false),
        DataType::Bool => hdf5_pure::EnumTypeBuilder::with_base(hdf5_pure::make_i8_type())
            .value("FALSE", 0)
            .value("TRUE", 1)
            .build()
            .expect("0 and 1 fit an i8"),
    }
}
