//! What values a program has for given samples: the ranges and means that rounding to bytes asks for.

use rayon::prelude::*;
use regraft_tensor::Tensor;
use regraft_tensor::kernels::low_precision::Quantization;

use crate::passes::{fuse, prune};
use crate::{Feed, NodeId, Nodes, Program, Result, Run, Source};

/// The share of values that is cut off at each end of a range: outliers would take most of 256 steps.
const CUT_OFF: f64 = 1e-4;

/// Samples that are computed at a time.
const TOGETHER: usize = 4;

/// Samples to calibrate on: as many rows in each feed.
#[derive(Clone, Copy, Debug)]
pub struct Calibration<'a> {
    /// How many.
    pub samples: usize,
    /// The program's first inputs, by position.
    pub feeds: &'a [Feed<'a>],
}

/// What is known of a value.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    pub quantization: Quantization,
    /// Of each channel the mean, before the values are rounded and after.
    pub before: Vec<f32>,
    pub after: Vec<f32>,
}

/// What `values`, which depend on samples and constants alone, are for these samples.
///
/// # Errors
/// Feeds that do not fit the nodes' inputs.
pub(crate) fn observe(
    nodes: &Nodes,
    values: &[NodeId],
    calibration: Calibration<'_>,
) -> Result<Vec<Observed>> {
    let asked = nodes.clone().with_outputs(values.to_vec());
    let program = Program::from_nodes(fuse(&prune(&asked)));
    let channels = |&value: &NodeId| nodes.node(value).shape.concrete(1);
    let channels: Vec<usize> = values
        .iter()
        .map(|value| channels(value).last().copied().unwrap_or(1).max(1))
        .collect();
    let mut histograms: Vec<Histogram> = channels.iter().map(|&it| Histogram::of(it)).collect();
    run(&program, calibration, &mut histograms, Histogram::add)?;
    let mut rounded: Vec<Rounded> = histograms.iter().map(Rounded::of).collect();
    run(&program, calibration, &mut rounded, Rounded::add)?;
    let observed = histograms.iter().zip(rounded);
    Ok(observed
        .map(|(histogram, rounded)| Observed {
            quantization: rounded.quantization,
            before: means(&histogram.sums, histogram.count),
            after: means(&rounded.sums, histogram.count),
        })
        .collect())
}

/// Gives each output of a program to what belongs to it.
fn run<T: Send>(
    program: &Program,
    Calibration { samples, feeds }: Calibration<'_>,
    each: &mut [T],
    add: impl Fn(&mut T, &[f32]) + Sync,
) -> Result<()> {
    const NONE: [Tensor; 0] = [];
    let mut workspace = program.workspace();
    let inputs = program
        .nodes()
        .iter()
        .filter_map(|(_, node)| match node.source {
            Source::Input { index } => Some((index, node.shape.len(1))),
            _ => None,
        });
    let inputs: Vec<(usize, usize)> = inputs.collect();
    for from in (0..samples).step_by(TOGETHER) {
        let to = samples.min(from + TOGETHER);
        let mut these = feeds.to_vec();
        for &(index, row) in &inputs {
            if let Some(feed) = these
                .get_mut(index)
                .filter(|it| it.words().1.len() >= to * row)
            {
                *feed = feed.slice(from * row..to * row);
            }
        }
        workspace.run(to - from, &these, &NONE, Run::default())?;
        let workspace = &workspace;
        let outputs = each.par_iter_mut().enumerate();
        outputs.for_each(|(output, it)| add(it, workspace.output(output)));
    }
    Ok(())
}

fn means(sums: &[f64], count: u64) -> Vec<f32> {
    let pixels = (count / sums.len() as u64).max(1) as f64;
    sums.iter().map(|sum| (sum / pixels) as f32).collect()
}

/// How often values occur: counted by sign, exponent and seven further bits, so to 1 in 128.
struct Histogram {
    counts: Vec<u32>,
    count: u64,
    /// Of each channel.
    sums: Vec<f64>,
}

impl Histogram {
    fn of(channels: usize) -> Self {
        Histogram {
            counts: vec![0; 1 << 16],
            count: 0,
            sums: vec![0.0; channels],
        }
    }

    fn add(&mut self, values: &[f32]) {
        for pixel in values.chunks_exact(self.sums.len()) {
            for (sum, &value) in self.sums.iter_mut().zip(pixel) {
                *sum += f64::from(value);
                self.counts[place(value)] += 1;
            }
        }
        self.count += values.len() as u64;
    }

    /// The end of the values beyond which there are few, `places` being from that end on.
    fn end(&self, places: impl Iterator<Item = usize>) -> f32 {
        let few = (self.count as f64 * CUT_OFF) as u64;
        let mut beyond = 0;
        for at in places {
            beyond += u64::from(self.counts[at]);
            if beyond > few {
                return outermost(at);
            }
        }
        0.0
    }
}

/// Where a value is counted: in the order of the values.
fn place(value: f32) -> usize {
    let high = (value.to_bits() >> 16) as u16;
    usize::from(if high & 0x8000 == 0 {
        high | 0x8000
    } else {
        !high
    })
}

/// The value farthest from 0 that is counted there.
fn outermost(place: usize) -> f32 {
    let place = place as u16;
    let high = if place & 0x8000 == 0 {
        !place
    } else {
        place & 0x7fff
    };
    f32::from_bits(u32::from(high) << 16 | 0xffff)
}

/// Sums of rounded values.
struct Rounded {
    quantization: Quantization,
    sums: Vec<f64>,
}

impl Rounded {
    fn of(histogram: &Histogram) -> Self {
        let all = 0..histogram.counts.len();
        let (low, high) = (histogram.end(all.clone()), histogram.end(all.rev()));
        Rounded {
            quantization: Quantization::of_range(low, high),
            sums: vec![0.0; histogram.sums.len()],
        }
    }

    fn add(&mut self, values: &[f32]) {
        let quantization = self.quantization;
        for pixel in values.chunks_exact(self.sums.len()) {
            for (sum, &value) in self.sums.iter_mut().zip(pixel) {
                *sum += f64::from(quantization.value(quantization.byte(value)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_in_the_order_of_the_values() {
        let values = [
            -1e30_f32, -2.0, -1.5, -1e-40, -0.0, 0.0, 1e-40, 0.5, 0.51, 7.0, 1e30,
        ];
        let places: Vec<usize> = values.iter().map(|&value| place(value)).collect();
        assert!(places.is_sorted(), "{places:?}");
        for (value, place) in values.into_iter().zip(places) {
            let outermost = outermost(place);
            assert!(outermost.abs() >= value.abs() && outermost.signum() == value.signum());
            assert!((outermost - value).abs() <= value.abs() / 127.0 + 1e-38);
        }
    }

    #[test]
    fn a_range_leaves_out_one_in_ten_thousand() {
        let mut histogram = Histogram::of(1);
        let mut values: Vec<f32> = (0..100_000).map(|at| at as f32 / 100_000.0).collect();
        // Nine outliers of a hundred thousand.
        values[..9].fill(1e6);
        histogram.add(&values);
        let quantization = Rounded::of(&histogram).quantization;
        let high = quantization.value(255);
        assert!((0.99..1.02).contains(&high), "{high}");
        assert_eq!(quantization.zero(), 0);
    }
}
