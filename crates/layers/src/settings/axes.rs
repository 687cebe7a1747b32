//! Axes as settings.

use regraft_tensor::Detail;
use serde_json::Value;

/// Axes as JSON: one as a number, several as a list.
pub(crate) fn axes(axes: &[isize]) -> Value {
    match axes {
        [axis] => (*axis).into(),
        axes => axes.into(),
    }
}

/// The axes of an array of `rank` axes that these numbers mean, ascending; negative ones count from
/// the end.
///
/// # Errors
/// A number outside the rank, or two that mean the same axis.
pub(crate) fn resolve(axes: &[isize], rank: usize) -> Result<Vec<usize>, Detail> {
    let mut resolved = Vec::with_capacity(axes.len());
    for &axis in axes {
        let index = if axis < 0 { axis + rank as isize } else { axis };
        if index < 0 || index >= rank as isize || resolved.contains(&(index as usize)) {
            let expected = format!("different axes of the {rank} that there are");
            return Err(Detail::new("axis", expected, format!("{axes:?}")));
        }
        resolved.push(index as usize);
    }
    resolved.sort_unstable();
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_count_from_both_ends() {
        assert_eq!(resolve(&[-1, 0], 3), Ok(vec![0, 2]));
        assert!(resolve(&[3], 3).is_err() && resolve(&[-4], 3).is_err());
        assert!(resolve(&[0, -3], 3).is_err());
    }
}
