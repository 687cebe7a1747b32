//! Checked arithmetic on [`Tensor`](crate::Tensor): each method checks the shapes, calls a
//! [kernel](crate::kernels) and returns a new tensor or a typed error.

mod arithmetic;
mod products;
mod reductions;
mod selection;

use crate::{Detail, Error, Result};

/// Axis numbers counted from the front. Negative ones count from the end: −1 is the last.
fn axes(operation: &str, axes: &[isize], shape: &[usize]) -> Result<Vec<usize>> {
    let rank = shape.len();
    let mut found = Vec::with_capacity(axes.len());
    for &axis in axes {
        let place = if axis < 0 {
            axis.checked_add_unsigned(rank)
        } else {
            Some(axis)
        };
        match place.and_then(|place| usize::try_from(place).ok()) {
            Some(place) if place < rank && !found.contains(&place) => found.push(place),
            Some(place) if place < rank => {
                return Err(Error::Shape(
                    Detail::new(operation, "every axis at most once", format!("{axes:?}"))
                        .help("a negative axis counts from the end"),
                ));
            }
            _ => {
                return Err(Error::Shape(Detail::new(
                    operation,
                    format!(
                        "axes from {} to below {rank}, for shape {shape:?}",
                        -(rank as isize)
                    ),
                    axis,
                )));
            }
        }
    }
    Ok(found)
}
