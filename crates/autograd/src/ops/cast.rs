//! Integers as floats, and floats as integers.

use regraft_tensor::Detail;

use crate::{DataType, Forward, Op, Output, Shape, Var, attributes};

/// Integers as floats; exact up to 2²⁴. It has no gradient.
#[derive(Clone, Copy, Debug)]
pub struct Cast;

impl Op for Cast {
    fn name(&self) -> &str {
        "cast"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(operands[0].clone())
    }

    fn operand_type(&self, _index: usize) -> DataType {
        DataType::I32
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        for (y, &x) in output.f32().iter_mut().zip(operands.i32(0)) {
            *y = x as f32;
        }
        Ok(())
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

/// Floats as integers, without what is behind the point: 1.9 becomes 1, −1.9 becomes −1. What is
/// beyond 32 bits becomes the integer that is nearest, NaN becomes 0. It has no gradient.
#[derive(Clone, Copy, Debug)]
pub struct Truncate;

impl Op for Truncate {
    fn name(&self) -> &str {
        "truncate"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(operands[0].clone())
    }

    fn data_type(&self) -> DataType {
        DataType::I32
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        for (y, &x) in output.i32().iter_mut().zip(operands.f32(0)) {
            *y = x as i32;
        }
        Ok(())
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

impl<'g> Var<'g> {
    /// This value as integers: itself if it is, else without what is behind the point.
    pub fn to_i32(self) -> Var<'g> {
        match self.data_type() {
            DataType::I32 => self,
            DataType::F32 => self.graph().apply(Truncate, &[self]),
        }
    }

    /// This value as floats: itself if it is, else converted (exact up to 2²⁴).
    pub fn to_f32(self) -> Var<'g> {
        match self.data_type() {
            DataType::F32 => self,
            DataType::I32 => self.graph().apply(Cast, &[self]),
        }
    }
}
