//! Whether what is of no class can be told from what is, tried on the samples' own classes.

use crate::factor::{Factor, Shift};
use crate::left_out::LeftOut;
use crate::numbers::softmax;

/// Groups of the other classes that each test takes.
const TESTED: usize = 200;

/// How to tell a sample of no known class, and how far to trust that.
///
/// Each class was left out in turn: its samples are unknown then, and samples of other classes, each left out as well,
/// are known. Of the scores that can be had from a head alone, the one that tells them apart best was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Unknown {
    /// Which score.
    pub score: UnknownScore,
    /// The probability that an unknown sample has a lower score than a known one, the mean over the classes. Half is
    /// guessing.
    pub auroc: f64,
    /// The same of each class left out; NaN where nothing could be tried.
    pub per_class: Vec<f64>,
    /// What lies below is called unknown: 5 of 100 known samples, when they were left out.
    pub threshold: f64,
    /// Whether the probability is .7 or more. Say otherwise that unknown samples cannot be told.
    pub can_tell: bool,
}

/// What is compared with the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownScore {
    /// The largest logit.
    Logit,
    /// The largest probability.
    Probability,
}

impl Unknown {
    pub(crate) fn test(factor: &Factor, shift: &Shift, left_out: &LeftOut) -> Self {
        let samples = &factor.samples;
        let classes = samples.classes();
        let scale = 1.0 / left_out.temperature();
        let per_class: Vec<[f64; 2]> = (0..classes)
            .map(|class| {
                let has_class = |group: &[usize]| group.iter().any(|&i| samples.labels[i] == class);
                let others: Vec<&Vec<usize>> = samples
                    .members
                    .iter()
                    .filter(|group| !has_class(group) && samples.known(group[0]))
                    .collect();
                if others.is_empty() || classes < 3 {
                    return [f64::NAN; 2];
                }
                let count = others.len().min(TESTED);
                let tested: Vec<Vec<usize>> = (0..count)
                    .map(|i| others[i * others.len() / count].clone())
                    .collect();
                let [unknown, known] = factor
                    .scores_without_class(shift, class, &tested)
                    .map(|scores| maxima(&scores, classes, class, scale));
                [0, 1].map(|score| {
                    let of =
                        |maxima: &[[f64; 2]]| maxima.iter().map(|m| m[score]).collect::<Vec<f64>>();
                    auroc(&of(&unknown), &of(&known))
                })
            })
            .collect();
        let mean = |score: usize| {
            let tried = per_class
                .iter()
                .map(|auroc| auroc[score])
                .filter(|auroc| !auroc.is_nan());
            let (sum, count) = tried.fold((0.0, 0), |(sum, count), auroc| (sum + auroc, count + 1));
            if count == 0 {
                0.5
            } else {
                sum / f64::from(count)
            }
        };
        let (score, place) = match mean(1) >= mean(0) {
            true => (UnknownScore::Probability, 1),
            false => (UnknownScore::Logit, 0),
        };
        let mut known: Vec<f64> = left_out
            .known_maxima()
            .iter()
            .map(|maxima| maxima[place])
            .collect();
        known.sort_by(f64::total_cmp);
        let auroc = mean(place);
        Unknown {
            score,
            auroc,
            per_class: per_class.iter().map(|auroc| auroc[place]).collect(),
            threshold: known
                .get(known.len() / 20)
                .copied()
                .unwrap_or(f64::NEG_INFINITY),
            can_tell: auroc >= 0.7,
        }
    }

    /// Whether a sample with these logits is called unknown.
    pub fn is_unknown(&self, logits: &[f32]) -> bool {
        let mut logits: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        if self.score == UnknownScore::Probability {
            softmax(&mut logits, 1.0);
        }
        logits.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b)) < self.threshold
    }
}

/// The largest logit and the largest probability of each row, without `class`.
fn maxima(scores: &[f64], classes: usize, class: usize, scale: f64) -> Vec<[f64; 2]> {
    scores
        .chunks_exact(classes)
        .map(|row| {
            let mut rest: Vec<f64> = row.to_vec();
            rest.remove(class);
            let logit = rest
                .iter()
                .fold(f64::NEG_INFINITY, |a, &b| a.max(b * scale));
            softmax(&mut rest, scale);
            [logit, rest.iter().fold(0.0, |a: f64, &b| a.max(b))]
        })
        .collect()
}

/// The probability that a number of the first is below one of the second; half of those that are equal.
fn auroc(low: &[f64], high: &[f64]) -> f64 {
    let mut high = high.to_vec();
    high.sort_by(f64::total_cmp);
    let below: usize = low
        .iter()
        .map(|x| {
            let (up_to, less) = (
                high.partition_point(|h| h <= x),
                high.partition_point(|h| h < x),
            );
            2 * high.len() - up_to - less
        })
        .sum();
    below as f64 / (2 * low.len() * high.len()) as f64
}
