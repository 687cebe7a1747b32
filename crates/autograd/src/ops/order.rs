//! Elements of a row by size: in which order they stand, and taking them by number.

use regraft_tensor::Detail;

use crate::{DataType, Dim, Forward, Gradient, Op, Output, Shape, Var, attributes};

/// For each row along the last axis, the positions of its elements in ascending or descending order,
/// as integers. Of equal ones the first stands first, in either order; NaN counts as largest. It has
/// no gradient.
#[derive(Clone, Copy, Debug)]
pub struct Argsort {
    /// Whether the largest stands first.
    pub descending: bool,
}

/// The size of the last axis, which must be fixed.
fn row_of(x: &Shape) -> Result<usize, Detail> {
    match x.dims().last() {
        Some(Dim::Fixed(size)) => Ok(*size),
        _ => Err(Detail::new("", "a last axis of fixed size", x)),
    }
}

impl Op for Argsort {
    fn name(&self) -> &str {
        "argsort"
    }

    attributes!(descending);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        row_of(operands[0])?;
        Ok(operands[0].clone())
    }

    fn data_type(&self) -> DataType {
        DataType::I32
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let row = output.shape.last().copied().unwrap_or(0);
        if row == 0 {
            return Ok(());
        }
        let rows = operands.f32(0).chunks_exact(row);
        for (order, x) in output.i32().chunks_exact_mut(row).zip(rows) {
            for (position, index) in order.iter_mut().enumerate() {
                *index = position as i32;
            }
            // Zeros of both signs are equal, which a total order would not have.
            let compare = |a: &i32, b: &i32| {
                let (a, b) = (x[*a as usize], x[*b as usize]);
                let by_nan = || a.is_nan().cmp(&b.is_nan());
                a.partial_cmp(&b).unwrap_or_else(by_nan)
            };
            match self.descending {
                false => order.sort_by(compare),
                true => order.sort_by(|a, b| compare(b, a)),
            }
        }
        Ok(())
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

/// `y[…, i] = x[…, index[…, i]]`: elements of each row along the last axis, taken by number:
/// `([…, n], […, m]) → […, m]`. Negative numbers count from the end; one outside the row is an error
/// when the program runs.
#[derive(Clone, Copy, Debug)]
pub struct TakeAlong;

/// The gradient of [`TakeAlong`]: `y[…, index[…, i]] += x[…, i]`, starting at zero.
#[derive(Clone, Copy, Debug)]
pub struct AddAlong {
    /// The size of the last axis of the result.
    pub size: usize,
}

/// The position that an index means in a row of `size`.
fn position(index: i32, size: usize) -> Result<usize, Detail> {
    let from_end = if index < 0 { size as i64 } else { 0 };
    let position = i64::from(index) + from_end;
    match (0..size as i64).contains(&position) {
        true => Ok(position as usize),
        false => Err(Detail::new(
            "",
            format!("indices of {size} elements"),
            index,
        )),
    }
}

/// Operand 1 of both ops holds the indices.
fn index_type(operand: usize) -> DataType {
    match operand {
        1 => DataType::I32,
        _ => DataType::F32,
    }
}

/// The two operands' leading axes are the same.
fn check_leading(a: &Shape, b: &Shape) -> Result<(), Detail> {
    let leading = |shape: &Shape| shape.dims().split_last().map(|(_, rest)| rest.to_vec());
    match leading(a).is_some() && leading(a) == leading(b) {
        true => Ok(()),
        false => {
            let expected = format!("indices with the leading axes of {a}");
            Err(Detail::new("", expected, b))
        }
    }
}

impl Op for TakeAlong {
    fn name(&self) -> &str {
        "take_along"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [x, indices] = operands else {
            return Err(Detail::new("", "2 operands", operands.len()));
        };
        row_of(x)?;
        row_of(indices)?;
        check_leading(x, indices)?;
        Ok((*indices).clone())
    }

    fn operand_type(&self, index: usize) -> DataType {
        index_type(index)
    }

    fn moves(&self, index: usize) -> bool {
        index == 0
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let last = |shape: &[usize]| shape.last().copied().unwrap_or(0);
        let (size, row) = (last(operands.shape(0)), last(output.shape));
        let (x, indices) = (operands.f32(0), operands.i32(1));
        for (at, (y, &index)) in output.f32().iter_mut().zip(indices).enumerate() {
            *y = x[at / row * size + position(index, size)?];
        }
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (x, indices, dy) = (at.operand(0), at.operand(1), at.cotangent());
        let size = row_of(&x.shape()).unwrap_or(0);
        let add = || dy.graph().apply(AddAlong { size }, &[dy, indices]);
        vec![at.when(0, add), None]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, _operands: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

impl Op for AddAlong {
    fn name(&self) -> &str {
        "add_along"
    }

    attributes!(size);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [x, indices] = operands else {
            return Err(Detail::new("", "2 operands", operands.len()));
        };
        if x != indices {
            return Err(Detail::new(
                "",
                format!("an index for each element of {x}"),
                indices,
            ));
        }
        let mut dims = x.dims().to_vec();
        match dims.last_mut() {
            Some(last) => *last = Dim::Fixed(self.size),
            None => return Err(Detail::new("", "at least 1 axis", x)),
        }
        Ok(dims.into())
    }

    fn operand_type(&self, index: usize) -> DataType {
        index_type(index)
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let row = operands.shape(0).last().copied().unwrap_or(0);
        let (x, indices) = (operands.f32(0), operands.i32(1));
        let out = output.f32();
        out.fill(0.0);
        for (at, (x, &index)) in x.iter().zip(indices).enumerate() {
            out[at / row * self.size + position(index, self.size)?] += x;
        }
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (indices, dy) = (at.operand(1), at.cotangent());
        vec![at.when(0, || dy.take_along(indices)), None]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

impl<'g> Var<'g> {
    /// The positions of the elements of each row (along the last axis) in ascending order, or in
    /// descending order, as integers. Without gradient.
    pub fn argsort(self, descending: bool) -> Var<'g> {
        self.graph().apply(Argsort { descending }, &[self])
    }

    /// The elements of each row (along the last axis) that `indices`, integers with the same leading
    /// axes, name.
    pub fn take_along(self, indices: Var<'g>) -> Var<'g> {
        self.graph().apply(TakeAlong, &[self, indices])
    }
}
