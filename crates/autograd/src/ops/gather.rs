//! Rows of a table chosen by number, as an embedding does, and the gradient, which adds rows back.

use regraft_tensor::Detail;
use regraft_tensor::kernels::gather;

use crate::{DataType, Dim, Forward, Gradient, Op, Output, Shape, Var, attributes};

/// `y[…] = table[index[…]]`: `([v, …rest], […]) → […, …rest]`. An index outside the table is an
/// error when the program runs.
#[derive(Clone, Copy, Debug)]
pub struct Gather;

/// Operand 1 of both ops holds the indices.
fn index_type(operand: usize) -> DataType {
    if operand == 1 {
        DataType::I32
    } else {
        DataType::F32
    }
}

impl Op for Gather {
    fn name(&self) -> &str {
        "gather"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [table, indices] = operands else {
            return Err(Detail::new("", "2 operands", operands.len()));
        };
        // A table of samples would let one row of the batch see another.
        match (table.fixed(), table.dims().split_first()) {
            (Some(_), Some((_, row))) => Ok(indices.dims().iter().chain(row).copied().collect()),
            _ => Err(Detail::new("", "a table of fixed sizes, rank ≥ 1", table)),
        }
    }

    fn operand_type(&self, index: usize) -> DataType {
        index_type(index)
    }

    fn moves(&self, index: usize) -> bool {
        index == 0
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let columns = operands.shape(0)[1..].iter().product();
        gather::take_rows(operands.f32(0), columns, operands.i32(1), output.f32())?;
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (table, indices, dy) = (at.operand(0), at.operand(1), at.cotangent());
        // The table has fixed sizes.
        let rows = table.shape().dims()[0].size(0);
        let scatter = || dy.graph().apply(ScatterAdd { rows }, &[dy, indices]);
        vec![at.when(0, scatter), None]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, _operands: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

/// `y[index[i]] += x[i]`, starting at zero: `([…, …rest], […]) → [rows, …rest]`. Rows with the same
/// index are added in order.
#[derive(Clone, Copy, Debug)]
pub struct ScatterAdd {
    /// The rows of the result.
    pub rows: usize,
}

impl Op for ScatterAdd {
    fn name(&self) -> &str {
        "scatter_add"
    }

    attributes!(rows);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [x, indices] = operands else {
            return Err(Detail::new("", "2 operands", operands.len()));
        };
        match x.dims().strip_prefix(indices.dims()) {
            Some(row) if row.iter().all(|dim| dim.fixed().is_some()) => {
                let rows = Dim::Fixed(self.rows);
                Ok(std::iter::once(rows).chain(row.iter().copied()).collect())
            }
            _ => {
                let expected = format!("a row for each index of {indices}");
                Err(Detail::new("", expected, x))
            }
        }
    }

    fn operand_type(&self, index: usize) -> DataType {
        index_type(index)
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let columns = operands.shape(0)[operands.shape(1).len()..]
            .iter()
            .product();
        let out = output.f32();
        out.fill(0.0);
        gather::scatter_add_rows(operands.f32(0), columns, operands.i32(1), out)?;
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (indices, dy) = (at.operand(1), at.cotangent());
        vec![at.when(0, || dy.gather(indices)), None]
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        operands[0].iter().product::<usize>() as u64
    }
}

impl<'g> Var<'g> {
    /// The rows of this table (axis 0) that `indices` (integers) name:
    /// `[v, …rest]` by `[…]` gives `[…, …rest]`. An index outside the table is an error when the
    /// program runs.
    pub fn gather(self, indices: Var<'g>) -> Var<'g> {
        self.graph().apply(Gather, &[self, indices])
    }
}
