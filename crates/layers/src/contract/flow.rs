//! What a layer does with the places of a sample's elements: what is needed to know which element of a
//! row is which after a flatten.

/// Where the elements of a layer's output come from, as [`Layer::flow`](crate::Layer::flow) declares it.
///
/// Nothing that the layer computes depends on it. It is used where weights of a program with the channels
/// first are loaded: that program flattens an image in the order channels, rows, columns, so that the rows of
/// a kernel behind it are in another order than here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flow {
    /// Nothing is known. Weights behind a flatten behind such a layer are refused, never guessed.
    Unknown,
    /// Each element stays at its place among its axis' elements: activations, normalizations, dropout, sums of
    /// several inputs; also padding and cropping, which keep the order.
    Keeps,
    /// Works over spatial axes beside channels, as convolutions and pooling do; what is left of a sample
    /// with one axis are its channels.
    Image {
        /// Whether the channels are the first axis of the sample here too.
        channels_first: bool,
    },
    /// Sums over the last axis and makes new features of it, as [`Dense`](crate::Dense) does.
    Features,
    /// Makes axes of its own, which mean the same in every program, as embeddings do.
    Makes,
    /// All elements in the same order, in another shape.
    Reshapes,
    /// All elements in one row; with the channels first, these are moved last before.
    Flattens {
        /// Whether the channels are the first axis of the sample.
        channels_first: bool,
    },
    /// Axis `i` of the output's sample is axis `axes[i]` of the input's, counted from 0.
    Permutes(Vec<usize>),
    /// Its inputs one after the other along an axis, 0 the batch; negative ones count from the end.
    Joins {
        /// The axis.
        axis: isize,
    },
}
