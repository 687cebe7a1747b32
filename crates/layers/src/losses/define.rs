//! What the definitions of losses share.

use regraft_autograd::{DataType, Dim, Error, Shape, Var};
use regraft_tensor::Detail;

use crate::settings;

/// Defines a loss without settings, between targets and predictions of the same shape: its
/// documentation, its type, its class in Keras, its formula.
macro_rules! loss {
    ($(#[$documentation:meta])* $name:ident, $class:literal, |$targets:ident, $predictions:ident| $formula:expr) => {
        settings! {
            $(#[$documentation])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            pub struct $name as $class;
        }

        impl $crate::Loss for $name {
            fn targets(
                &self,
                predictions: &regraft_autograd::Shape,
            ) -> Result<(regraft_autograd::Shape, regraft_autograd::DataType), regraft_tensor::Detail> {
                $crate::losses::define::like(predictions)
            }

            fn call<'g>(
                &self,
                $targets: regraft_autograd::Var<'g>,
                $predictions: regraft_autograd::Var<'g>,
            ) -> regraft_autograd::Var<'g> {
                $formula
            }
        }
    };
}
pub(super) use loss;

/// Targets of the shape of the predictions.
pub(super) fn like(predictions: &Shape) -> Result<(Shape, DataType), Detail> {
    match predictions.rank() {
        0 | 1 => {
            let expected = "predictions (batch, …, outputs)";
            Err(Detail::new("", expected, predictions).help("end the model with a `Dense` layer"))
        }
        _ => Ok((predictions.clone(), DataType::F32)),
    }
}

/// Targets that are class numbers: of the shape of the predictions without the last axis.
pub(super) fn class_numbers(predictions: &Shape) -> Result<(Shape, DataType), Detail> {
    match predictions.dims() {
        [leading @ .., Dim::Fixed(classes)] if !leading.is_empty() && *classes > 0 => {
            Ok((leading.iter().copied().collect(), DataType::I32))
        }
        _ => {
            let expected = "predictions (batch, …, classes)";
            Err(Detail::new("", expected, predictions))
        }
    }
}

/// The last axis.
pub(super) fn last(x: Var<'_>) -> usize {
    x.shape().rank().saturating_sub(1)
}

/// The mean over the last axis.
pub(super) fn mean_of_last(x: Var<'_>) -> Var<'_> {
    x.mean(&[last(x)])
}

/// `smoothing` of each target given to all classes alike, of which it gets `share`.
pub(super) fn smooth(targets: Var<'_>, smoothing: f32, share: f32) -> Var<'_> {
    match smoothing == 0.0 {
        true => targets,
        false => targets * (1.0 - smoothing) + smoothing * share,
    }
}

/// One-hot targets smoothed over the classes along `axis`.
pub(super) fn smooth_classes(targets: Var<'_>, smoothing: f32, axis: usize) -> Var<'_> {
    match targets.shape().dims()[axis] {
        Dim::Fixed(classes) => smooth(targets, smoothing, 1.0 / classes as f32),
        Dim::Batch | Dim::PerSample(_) => targets,
    }
}

/// The axes of `x` that a loss of overlaps sums over: all unless told which. The graph is told of
/// one that `x` does not have.
pub(super) fn overlap_axes(
    name: &str,
    x: Var<'_>,
    axes: &Option<Vec<isize>>,
) -> Option<Vec<usize>> {
    let rank = x.shape().rank();
    let resolved = match axes {
        None => Ok((0..rank).collect()),
        Some(axes) => settings::resolve(axes, rank),
    };
    resolved
        .map_err(|detail| x.graph().fail(Error::Shape(detail.within(name))))
        .ok()
}
