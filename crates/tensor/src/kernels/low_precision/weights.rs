//! Weights in low precision, in the order in which the tile kernels read them, and what ends their sums.

use super::Quantization;
use super::tile::COLUMNS;
use crate::kernels::convolution::KernelShape;

/// Taps of a depthwise kernel whose products are added at once.
pub(super) const TOGETHER: usize = 4;

/// Weights of a convolution or a matrix product, rounded and packed. The order is the same on all machines.
#[derive(Clone, Debug)]
pub struct Weights {
    shape: KernelShape,
    kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Panels of [`COLUMNS`] filters: a row of each for every tap and word of channels.
    Int8 { panels: Vec<u32>, steps: Vec<f32> },
    /// Likewise.
    Bfloat16 { panels: Vec<u32> },
    /// Blocks of [`COLUMNS`] channels: for each four taps a word for each channel, in the order of
    /// [`place`].
    Depthwise { blocks: Vec<u32>, steps: Vec<f32> },
}

/// The two bfloat16 or four bytes of a word, the first in the lowest bits.
fn words<const COUNT: usize>(
    shape: &KernelShape,
    number: impl Fn(usize, usize, usize) -> u32,
) -> Vec<u32> {
    let (taps, per_pixel) = (shape.window.cells(), shape.channels.div_ceil(COUNT));
    let mut panels = Vec::with_capacity(shape.filters.next_multiple_of(COLUMNS) * taps * per_pixel);
    for panel in (0..shape.filters).step_by(COLUMNS) {
        for tap in 0..taps {
            for word in 0..per_pixel {
                panels.extend((panel..panel + COLUMNS).map(|filter| {
                    let bits = (0..COUNT).map(|at| {
                        let channel = word * COUNT + at;
                        let exists = filter < shape.filters && channel < shape.channels;
                        match exists {
                            true => number(tap, channel, filter) << (32 / COUNT * at),
                            false => 0,
                        }
                    });
                    bits.fold(0, |word, bits| word | bits)
                }));
            }
        }
    }
    panels
}

/// Where channel `channel` of a depthwise block stands among its words: in the order in which four taps of 32 channels, each in
/// a vector, are interleaved byte by byte and pair by pair within each half of the vector.
pub(super) fn place(channel: usize) -> usize {
    let (half, quarter, rest) = (channel / 16, channel / 4 % 4, channel % 4);
    quarter * 8 + half * 4 + rest
}

/// The blocks of a depthwise kernel.
fn depthwise_blocks(shape: &KernelShape, weights: &[f32], steps: &[f32]) -> Vec<u32> {
    let (taps, channels) = (shape.window.cells(), shape.channels);
    let of_block = taps.div_ceil(TOGETHER) * COLUMNS;
    let mut blocks = vec![0; channels.div_ceil(COLUMNS) * of_block];
    for (at, &weight) in weights.iter().enumerate() {
        let (tap, channel) = (at / channels, at % channels);
        let word =
            channel / COLUMNS * of_block + tap / TOGETHER * COLUMNS + place(channel % COLUMNS);
        let byte = u32::from(byte(weight, steps[channel]) as u8);
        blocks[word] |= byte << (8 * (tap % TOGETHER));
    }
    blocks
}

/// For each filter the step of its weights: the largest is 127 steps.
fn steps(weights: &[f32], filters: usize) -> Vec<f32> {
    let mut largest = vec![0.0_f32; filters];
    for row in weights.chunks_exact(filters.max(1)) {
        for (largest, weight) in largest.iter_mut().zip(row) {
            *largest = largest.max(weight.abs());
        }
    }
    let step = |largest: f32| match largest > 1e-30 && largest.is_finite() {
        true => largest / 127.0,
        false => 1.0,
    };
    largest.into_iter().map(step).collect()
}

fn byte(weight: f32, step: f32) -> i8 {
    // A step that is a float may be a little too small.
    (weight / step).round_ties_even().clamp(-127.0, 127.0) as i8
}

/// The nearest bfloat16, the even one of two; its bits.
#[inline(always)]
pub(super) fn bfloat16(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    // NaN would be rounded to something else.
    (if x.is_nan() { 0x7fc0 } else { rounded }) as u16
}

impl Weights {
    /// Whether there are kernels for this shape: windows over one or two axes, of one group, or of as many groups as
    /// channels with one filter each (in [`int8`](Self::int8) alone).
    pub fn supports(shape: &KernelShape) -> bool {
        let window = &shape.window;
        let flat = window.size[0] == 1 && window.strides[0] == 1 && window.padding[0] == (0, 0);
        flat && !shape.is_empty() && (shape.groups == 1 || is_depthwise(shape))
    }

    /// 8-bit integers with a step for each filter, rounded to the nearest.
    ///
    /// # Panics
    /// If the shape is not [supported](Self::supports), or the weights' length contradicts it.
    pub fn int8(shape: KernelShape, weights: &[f32]) -> Self {
        assert!(Self::supports(&shape), "low precision: shape");
        assert_eq!(weights.len(), shape.len(), "low precision: weights");
        let filters = shape.filters;
        let steps = steps(weights, filters);
        let kind = match is_depthwise(&shape) {
            true => Kind::Depthwise {
                blocks: depthwise_blocks(&shape, weights, &steps),
                steps,
            },
            false => Kind::Int8 {
                panels: words::<4>(&shape, |tap, channel, filter| {
                    let weight = weights[(tap * shape.channels + channel) * filters + filter];
                    u32::from(byte(weight, steps[filter]) as u8)
                }),
                steps,
            },
        };
        Weights { shape, kind }
    }

    /// The nearest bfloat16; of one group.
    ///
    /// # Panics
    /// As [`int8`](Self::int8).
    pub fn bfloat16(shape: KernelShape, weights: &[f32]) -> Self {
        assert!(
            Self::supports(&shape) && shape.groups == 1,
            "low precision: shape"
        );
        assert_eq!(weights.len(), shape.len(), "low precision: weights");
        let panels = words::<2>(&shape, |tap, channel, filter| {
            let weight = weights[(tap * shape.channels + channel) * shape.filters + filter];
            u32::from(bfloat16(weight))
        });
        let kind = Kind::Bfloat16 { panels };
        Weights { shape, kind }
    }

    /// The shape of the kernel.
    pub fn shape(&self) -> &KernelShape {
        &self.shape
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        match &self.kind {
            Kind::Int8 { panels, .. }
            | Kind::Bfloat16 { panels }
            | Kind::Depthwise { blocks: panels, .. } => 4 * panels.len(),
        }
    }

    /// The weights and steps as they are packed, as bits.
    pub fn arrays(&self, held: &mut dyn FnMut(&[f32])) {
        match &self.kind {
            Kind::Int8 { panels, steps }
            | Kind::Depthwise {
                blocks: panels,
                steps,
            } => {
                held(bytemuck::cast_slice(panels));
                held(steps);
            }
            Kind::Bfloat16 { panels } => held(bytemuck::cast_slice(panels)),
        }
    }
}

/// Whether each channel has a filter of its own.
pub(super) fn is_depthwise(shape: &KernelShape) -> bool {
    shape.groups > 1 && shape.groups == shape.channels && shape.filters == shape.channels
}

/// What ends the sums of some [`Weights`] over values that are rounded in one way: `sum · scale + offset` for each
/// filter.
#[derive(Clone, Debug)]
pub struct Ending {
    /// How the input is rounded, if it is to bytes.
    pub(super) input: Option<Quantization>,
    /// Filled up to whole panels, likewise the next.
    pub(super) scale: Vec<f32>,
    pub(super) offset: Vec<f32>,
}

impl Ending {
    /// Of sums of bfloat16: the bias.
    pub fn bfloat16(weights: &Weights, bias: Option<&[f32]>) -> Self {
        let filters = weights.shape.filters;
        let mut offset = bias.map_or_else(|| vec![0.0; filters], <[f32]>::to_vec);
        offset.resize(filters.next_multiple_of(COLUMNS), 0.0);
        Ending {
            input: None,
            scale: vec![1.0; offset.len()],
            offset,
        }
    }

    /// Of sums of bytes: from steps to numbers, the input's zero taken away, the bias added.
    ///
    /// `means` are those of each channel of the input, before it was rounded and after. If they are told, the
    /// offset makes up for what rounding does to the mean of each filter's results: `E[W·x] − E[Ŵ·x̂]`, where every
    /// tap of a window sees the same mean. `exact` are the weights before they were rounded.
    ///
    /// # Panics
    /// If lengths contradict the weights' shape, or the weights are bfloat16.
    pub fn int8(
        weights: &Weights,
        exact: &[f32],
        input: Quantization,
        bias: Option<&[f32]>,
        means: Option<(&[f32], &[f32])>,
    ) -> Self {
        let shape = &weights.shape;
        let (filters, channels) = (shape.filters, shape.group_channels());
        assert_eq!(exact.len(), shape.len(), "low precision: weights");
        let (Kind::Int8 { steps, .. } | Kind::Depthwise { steps, .. }) = &weights.kind else {
            panic!("low precision: weights of bytes");
        };
        let depthwise = is_depthwise(shape);
        // Of each filter, in 64 bits: the sum of its weights, and what rounding takes from its mean.
        let (mut sums, mut lost) = (vec![0_i64; filters], vec![0.0_f64; filters]);
        for (row, weights) in exact.chunks_exact(filters).enumerate() {
            for (filter, &weight) in weights.iter().enumerate() {
                let rounded = byte(weight, steps[filter]);
                sums[filter] += i64::from(rounded);
                if let Some((before, after)) = means {
                    let channel = if depthwise { filter } else { row % channels };
                    let rounded = f64::from(rounded) * f64::from(steps[filter]);
                    lost[filter] += f64::from(weight) * f64::from(before[channel])
                        - rounded * f64::from(after[channel]);
                }
            }
        }
        let padded = filters.next_multiple_of(COLUMNS);
        let (mut scale, mut offset) = (vec![0.0; padded], vec![0.0; padded]);
        for filter in 0..filters {
            let step = input.step() * steps[filter];
            let zeros = f64::from(step) * f64::from(input.zero()) * sums[filter] as f64;
            let bias = bias.map_or(0.0, |bias| f64::from(bias[filter]));
            scale[filter] = step;
            offset[filter] = (bias + lost[filter] - zeros) as f32;
        }
        Ending {
            input: Some(input),
            scale,
            offset,
        }
    }

    /// How the input is rounded, if it is to bytes.
    pub fn input(&self) -> Option<Quantization> {
        self.input
    }

    /// The scales and offsets.
    pub fn arrays(&self) -> [&[f32]; 2] {
        [&self.scale, &self.offset]
    }
}
