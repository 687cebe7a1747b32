//! Functions of two integers, element by element with broadcasting, in all 32 bits.

use regraft_tensor::Detail;
use regraft_tensor::kernels::broadcast;

use crate::{Attributes, DataType, Forward, Op, Output, Shape, Var};

/// A function of two integers. Sums and products wrap. None has a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integers {
    /// a + b.
    Add,
    /// a − b.
    Subtract,
    /// a · b.
    Multiply,
    /// The largest integer that is not above a / b; b = 0 is an error when the program runs.
    FloorDivide,
    /// a − b · ⌊a / b⌋; b = 0 is an error when the program runs.
    FloorModulo,
    /// The largest number that divides both, not below 0; that of 0 and 0 is 0.
    GreatestCommonDivisor,
    /// The larger one.
    Maximum,
    /// The smaller one.
    Minimum,
    /// The bits that both have.
    And,
    /// The bits that one has.
    Or,
    /// The bits that just one has.
    Xor,
    /// a · 2ᵇ.
    ShiftLeft,
    /// ⌊a / 2ᵇ⌋.
    ShiftRight,
    /// 1 where a = b, else 0, as floats.
    Equal,
    /// 1 where a < b, else 0, as floats.
    Less,
}

impl Integers {
    fn value(self, a: i32, b: i32) -> i32 {
        match self {
            Integers::Add => a.wrapping_add(b),
            Integers::Subtract => a.wrapping_sub(b),
            Integers::Multiply => a.wrapping_mul(b),
            Integers::FloorDivide if b == 0 => 0,
            Integers::FloorDivide => {
                let quotient = a.wrapping_div(b);
                let inexact = a.wrapping_rem(b) != 0;
                quotient - i32::from(inexact && (a < 0) != (b < 0))
            }
            Integers::FloorModulo if b == 0 => 0,
            Integers::FloorModulo => {
                let rest = a.wrapping_rem(b);
                match rest != 0 && (rest < 0) != (b < 0) {
                    true => rest + b,
                    false => rest,
                }
            }
            Integers::GreatestCommonDivisor => {
                let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
                while b != 0 {
                    (a, b) = (b, a % b);
                }
                a as i32
            }
            Integers::Maximum => a.max(b),
            Integers::Minimum => a.min(b),
            Integers::And => a & b,
            Integers::Or => a | b,
            Integers::Xor => a ^ b,
            Integers::ShiftLeft => a.checked_shl(b as u32).unwrap_or(0),
            Integers::ShiftRight => a >> b.clamp(0, 31),
            Integers::Equal => f32::from(a == b).to_bits() as i32,
            Integers::Less => f32::from(a < b).to_bits() as i32,
        }
    }
}

impl Op for Integers {
    fn name(&self) -> &str {
        match self {
            Integers::Add => "add_integers",
            Integers::Subtract => "subtract_integers",
            Integers::Multiply => "multiply_integers",
            Integers::FloorDivide => "floor_divide_integers",
            Integers::FloorModulo => "floor_modulo_integers",
            Integers::GreatestCommonDivisor => "greatest_common_divisor_integers",
            Integers::Maximum => "maximum_integers",
            Integers::Minimum => "minimum_integers",
            Integers::And => "and_integers",
            Integers::Or => "or_integers",
            Integers::Xor => "xor_integers",
            Integers::ShiftLeft => "shift_left_integers",
            Integers::ShiftRight => "shift_right_integers",
            Integers::Equal => "equal_integers",
            Integers::Less => "less_integers",
        }
    }

    fn attributes(&self) -> Option<Attributes> {
        let kind = self.name().to_string();
        Some(Attributes::none().with("kind", kind))
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [a, b] = operands else {
            return Err(Detail::new("", "2 operands", operands.len()));
        };
        a.broadcast(b).ok_or_else(|| {
            Detail::new("", format!("a shape that broadcasts with {a}"), b)
                .help("sizes must be equal or 1, counted from the last axis")
        })
    }

    fn data_type(&self) -> DataType {
        match self {
            Integers::Equal | Integers::Less => DataType::F32,
            _ => DataType::I32,
        }
    }

    fn operand_type(&self, _index: usize) -> DataType {
        DataType::I32
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let function = *self;
        let divides = matches!(self, Integers::FloorDivide | Integers::FloorModulo);
        if divides && operands.i32(1).contains(&0) {
            return Err(Detail::new("", "a divisor other than 0", 0));
        }
        // The kernel moves 32-bit words.
        let words = |index: usize| -> &[f32] { bytemuck::cast_slice(operands.i32(index)) };
        let value = move |a: f32, b: f32| {
            let (a, b) = (a.to_bits() as i32, b.to_bits() as i32);
            f32::from_bits(function.value(a, b) as u32)
        };
        let (a, b, shape) = (operands.shape(0), operands.shape(1), output.shape);
        broadcast::binary(words(0), a, words(1), b, output.data, shape, value);
        Ok(())
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

impl<'g> Var<'g> {
    /// A function of these integers and others, element by element with broadcasting, without
    /// gradient.
    pub fn integers(self, function: Integers, other: Var<'g>) -> Var<'g> {
        self.graph().apply(function, &[self, other])
    }
}
