//! Whether what is of no class can be told from what is, tried on the samples' own classes.

use crate::factor::{Factor, Shift};
use crate::known::shares;
use crate::left_out::LeftOut;
use crate::numbers::softmax;
use crate::words::{Reader, Words};

/// Groups of the other classes that each test takes.
const TESTED: usize = 200;

/// How to tell a sample of no known class, and how far to trust that.
///
/// Each class was left out in turn: its samples are unknown then, and samples of other classes, each left out as well,
/// are known; those of a group count one together. Of the scores that can be had from a head alone, the one that tells them apart best was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Unknown {
    /// Which score.
    pub score: UnknownScore,
    /// The probability that an unknown sample has a lower score than a known one, the mean over the classes. Half is
    /// guessing.
    pub auroc: f64,
    /// The same of each class left out; NaN where nothing could be tried.
    pub per_class: Vec<f64>,
    /// What lies below is called unknown: 5 of 100 known samples, each group weighing the same, when they were left out.
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
    pub(crate) fn write(&self, words: &mut Words) {
        words.number(usize::from(self.score == UnknownScore::Probability));
        words.float(self.auroc);
        words.floats(self.per_class.iter().copied());
        words.float(self.threshold);
        words.number(usize::from(self.can_tell));
    }

    pub(crate) fn read(words: &mut Reader<'_>) -> Option<Self> {
        Some(Unknown {
            score: match words.flag()? {
                true => UnknownScore::Probability,
                false => UnknownScore::Logit,
            },
            auroc: words.float()?,
            per_class: words.floats()?,
            threshold: words.float()?,
            can_tell: words.flag()?,
        })
    }

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
                    .filter(|group| !has_class(group) && group.iter().all(|&i| samples.known(i)))
                    .collect();
                if others.is_empty() || classes < 3 {
                    return [f64::NAN; 2];
                }
                let count = others.len().min(TESTED);
                let tested: Vec<Vec<usize>> = (0..count)
                    .map(|i| others[i * others.len() / count].clone())
                    .collect();
                let Some(scores) = factor.scores_without_class(shift, class, &tested) else {
                    return [f64::NAN; 2];
                };
                let [unknown, known] = scores.map(|scores| maxima(&scores, classes, class, scale));
                let of_class = (0..samples.len()).filter(|&i| samples.labels[i] == class);
                let groups = |of: Vec<usize>| of.iter().map(|&i| samples.groups[i]).collect();
                let unknown_groups: Vec<usize> = groups(of_class.collect());
                let known_groups: Vec<usize> = groups(tested.concat());
                [0, 1].map(|score| {
                    let of = |maxima: &[[f64; 2]], groups: &[usize]| -> Vec<(f64, f64)> {
                        let values = maxima.iter().map(|m| m[score]);
                        values.zip(shares(groups).0).collect()
                    };
                    auroc(&of(&unknown, &unknown_groups), &of(&known, &known_groups))
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
        let (maxima, groups) = left_out.known_maxima();
        let auroc = mean(place);
        Unknown {
            score,
            auroc,
            per_class: per_class.iter().map(|auroc| auroc[place]).collect(),
            threshold: Unknown::threshold_of(&maxima[place], &groups),
            can_tell: auroc >= 0.7,
        }
    }

    /// The largest number below which no more than 5 of 100 lie, those of a group counting one together: a threshold
    /// of one's own, from the largest logits or probabilities of samples that the head was not solved with. −∞ of none.
    pub fn threshold_of(maxima: &[f64], groups: &[usize]) -> f64 {
        let (shares, count) = shares(groups);
        let mut sorted: Vec<(f64, f64)> = maxima.iter().copied().zip(shares).collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let goal = 0.05 * count as f64 + 1e-9;
        let mut reached = 0.0;
        let first = sorted.iter().find(|(_, share)| {
            reached += share;
            reached > goal
        });
        first.map_or(f64::NEG_INFINITY, |(maximum, _)| *maximum)
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

/// The probability that a number of the first is below one of the second; half of those that are equal. Each comes
/// with how much it counts.
fn auroc(low: &[(f64, f64)], high: &[(f64, f64)]) -> f64 {
    let mut high = high.to_vec();
    high.sort_by(|a, b| a.0.total_cmp(&b.0));
    // How much all before each place count.
    let mut before = vec![0.0];
    for (_, share) in &high {
        before.push(before[before.len() - 1] + share);
    }
    let all = before[high.len()];
    let below: f64 = low
        .iter()
        .map(|(x, share)| {
            let up_to = before[high.partition_point(|h| h.0 <= *x)];
            let less = before[high.partition_point(|h| h.0 < *x)];
            share * (2.0 * all - up_to - less)
        })
        .sum();
    below / (2.0 * low.iter().map(|(_, share)| share).sum::<f64>() * all)
}
