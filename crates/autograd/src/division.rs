//! How a program goes through a batch: the cost rule that decides it, and the reason in words.

use std::fmt;

use crate::node::Source;
use crate::passes::keeps_samples_apart;
use crate::{Nodes, Program};

/// How a [`BatchWorkspace`](crate::BatchWorkspace) takes a batch through its program, and why: it prints as a
/// sentence.
///
/// The rule. Samples can go different ways if no op mixes them. A thread then reads all weights for every part
/// of the batch, and reads and writes what the ops compute for each of its samples. So it takes as many samples at
/// a time as it needs for the weights not to be more than what is computed (`weights ≤ samples · values`), and for
/// four million operations at least, below which a part is not worth a thread's while; 256 at most. The batch is
/// cut into equal parts of no more samples, as many for each thread, if that keeps the threads busy for four
/// fifths of the time; otherwise all threads work at one op after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Division {
    /// Each thread takes a part of the samples through the whole program, then the next part.
    DepthFirst {
        /// How many parts there are.
        parts: usize,
        /// How many samples the largest part has.
        samples: usize,
        /// How many threads take parts.
        threads: usize,
        /// What decides how many samples go together.
        because: Because,
    },
    /// All samples at once, all threads in one op after the other.
    OpByOp {
        /// How many samples are in the batch.
        samples: usize,
        /// How many threads there are.
        threads: usize,
        /// Whether that is because samples depend on each other; there are too few of them otherwise.
        mixed: bool,
    },
}

/// What decides how many samples a thread takes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// How many numbers are read as weights, and how many are computed for a sample.
    Weights {
        /// Numbers of all weights.
        weights: usize,
        /// Numbers that the ops write for a sample.
        values: usize,
    },
    /// How much there is to do for a sample.
    Work {
        /// Multiplications and additions for a sample.
        operations: u64,
    },
    /// It was told.
    Told,
}

/// How many samples a thread takes at a time at most, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Together {
    pub samples: usize,
    pub because: Because,
}

/// A part of a batch is worth a thread's while from so many multiplications and additions on.
const WORTHWHILE: u64 = 1 << 22;

/// The most samples that a thread takes at a time.
const MOST: usize = 256;

/// The least share of all threads' time that may be used by dividing samples, in tenths; one op after the other
/// on all threads is better below.
const TENTHS_BUSY: usize = 8;

impl Together {
    /// What the rule says of a program; `None` if samples depend on each other.
    pub fn in_program(program: &Program) -> Option<Self> {
        let nodes = program.nodes();
        if !keeps_samples_apart(nodes) {
            return None;
        }
        let (weights, values) = read_and_written(nodes);
        let operations = program.flops(1);
        let for_weights = weights.div_ceil(values.max(1));
        let for_work = WORTHWHILE.div_ceil(operations.max(1)) as usize;
        Some(Together {
            samples: for_weights.max(for_work).clamp(1, MOST),
            because: match for_work > for_weights {
                true => Because::Work { operations },
                false => Because::Weights { weights, values },
            },
        })
    }
}

/// The numbers of all weights, and those that ops write for a sample.
fn read_and_written(nodes: &Nodes) -> (usize, usize) {
    let (mut weights, mut values) = (0, 0);
    for (_, node) in nodes.iter() {
        match &node.source {
            Source::Constant(_) | Source::Variable(_) => weights += node.shape.len(1),
            Source::Op { op, operands } => {
                let operands = operands.iter().map(|&id| &nodes.node(id).shape);
                let again = op.elements_read_again(&operands.collect::<Vec<_>>());
                weights += op.constant_elements() + again;
                values += node.shape.len(1);
            }
            Source::Input { .. } => {}
        }
    }
    (weights, values)
}

impl Division {
    pub(crate) fn of(batch: usize, together: Option<Together>, threads: usize) -> Self {
        let parts = together.and_then(|together| {
            let parts = parts(batch, together.samples, threads)?;
            Some((parts, together.because))
        });
        match parts {
            Some((parts, because)) => Division::DepthFirst {
                parts,
                samples: batch.div_ceil(parts),
                threads: threads.min(parts),
                because,
            },
            None => Division::OpByOp {
                samples: batch,
                threads,
                mixed: together.is_none(),
            },
        }
    }
}

/// Into how many parts of at most `most` samples a batch is cut, about equal ones; `None` if some of the threads
/// would wait for long.
fn parts(batch: usize, most: usize, threads: usize) -> Option<usize> {
    let rounds = batch.div_ceil(most * threads);
    let parts = (rounds * threads).min(batch);
    let longest = batch.div_ceil(parts.max(1));
    // One thread gains as well: by the cache.
    let busy = 10 * batch >= TENTHS_BUSY * rounds * threads * longest;
    (parts > 1 && busy).then_some(parts)
}

/// The samples of a part: parts differ by one sample at most.
pub(crate) fn bounds(batch: usize, parts: usize, part: usize) -> (usize, usize) {
    (batch * part / parts, batch * (part + 1) / parts)
}

impl fmt::Display for Division {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize, one: &str| match count {
            1 => format!("1 {one}"),
            _ => format!("{count} {one}s"),
        };
        match *self {
            Division::DepthFirst {
                samples,
                threads,
                because,
                ..
            } => {
                let (samples, threads) = (plural(samples, "sample"), plural(threads, "thread"));
                write!(
                    f,
                    "depth first, {samples} at a time on {threads}: {because}"
                )
            }
            Division::OpByOp {
                samples,
                threads,
                mixed,
            } => {
                let (samples, threads) = (plural(samples, "sample"), plural(threads, "thread"));
                write!(f, "op by op, {samples} at once on {threads}: ")?;
                f.write_str(match mixed {
                    true => "samples depend on each other",
                    false => "too few to divide them",
                })
            }
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Because::Weights { weights, values } => write!(
                f,
                "{weights} numbers of weights are read for each part, {values} are computed for a sample"
            ),
            Because::Work { operations } => {
                write!(f, "{operations} operations for a sample, few for a thread")
            }
            Because::Told => f.write_str("as told"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Graph, Tensor};

    #[test]
    fn a_batch_is_divided_if_that_keeps_all_threads_busy() {
        // One picture at a time, two threads.
        assert_eq!(parts(32, 1, 2), Some(32));
        assert_eq!(parts(1, 1, 2), None);
        assert_eq!(parts(2, 1, 2), Some(2));
        // One thread would wait for half the time.
        assert_eq!(parts(3, 1, 2), None);
        assert_eq!(parts(9, 1, 2), Some(9));
        // Equal parts for both, rather than 256, 256 and 8.
        assert_eq!(parts(520, 256, 2), Some(4));
        assert_eq!(parts(8, 1, 16), None);
        assert_eq!(parts(0, 1, 2), None);
        for (batch, parts) in [(520, 4), (9, 9), (33, 2)] {
            let bounds = (0..parts).map(|part| bounds(batch, parts, part));
            let ends: Vec<_> = bounds.collect();
            assert_eq!((ends[0].0, ends[parts - 1].1), (0, batch));
            assert!(ends.windows(2).all(|pair| pair[0].1 == pair[1].0));
        }
    }

    #[test]
    fn as_many_samples_go_together_as_share_the_weights() {
        let together = |inputs: usize, units: usize, pixels: usize| {
            let graph = Graph::new();
            let weights = graph.constant(Tensor::zeros([inputs, units]));
            let x = graph.samples("x", &[pixels, inputs]);
            let program = Program::compile(&graph, &[x.matmul(weights)]).unwrap();
            Together::in_program(&program).unwrap()
        };
        // Many pixels, few weights: as a convolution.
        let convolution = together(64, 64, 56 * 56);
        let (weights, values) = (64 * 64, 56 * 56 * 64);
        assert_eq!(convolution.samples, 1);
        assert_eq!(convolution.because, Because::Weights { weights, values });
        // A wide dense layer: 16 million weights for 4,096 values.
        assert_eq!(together(4096, 4096, 1).samples, MOST);
        // A narrow one: many samples are worth a thread's while.
        let narrow = together(16, 16, 1);
        assert_eq!(narrow.samples, MOST);
        assert!(matches!(narrow.because, Because::Work { .. }));

        // A recurrent kernel of 65,536 weights, read at each of 100 steps.
        let graph = Graph::new();
        let kernel = graph.constant(Tensor::zeros([128, 512]));
        let x = graph.samples("x", &[100, 512]);
        let op = crate::ops::Recurrence {
            cell: crate::ops::Cell::Lstm,
            keep: crate::ops::Keep::Last,
            bias: false,
            initial: false,
            masked: false,
        };
        let program = Program::compile(&graph, &[graph.apply(op, &[x * 2.0, kernel])]).unwrap();
        let recurrence = Together::in_program(&program).unwrap();
        let (weights, values) = (100 * 65_536 + 1, 100 * 512 + 256);
        assert_eq!(recurrence.because, Because::Weights { weights, values });

        let graph = Graph::new();
        let mixed = graph.samples("x", &[2]).sum_all();
        let program = Program::compile(&graph, &[mixed]).unwrap();
        assert_eq!(Together::in_program(&program), None);
    }
}
