//! What a head says of samples that it has not seen: the probabilities of each from the head without it.

use regraft_tensor::ndarray::{Array2, ArrayView2};

use crate::Result;
use crate::conformal::AnswerSet;
use crate::estimate::Estimate;
use crate::known::Known;
use crate::numbers::{argmax, exp, ln, softmax};
use crate::samples::Samples;
use crate::words::{Reader, Words};

/// The probabilities of each sample from the head without its group and without one group of every other class.
///
/// Leaving out one group alone would make its class rarer in what is left than it is, and estimates of few samples
/// too low. With a group of each class left out the shares stay as they are. All of it is in the order in which the
/// samples were given. Where something is a mean over samples, those of a group weigh one together, but for shares of
/// samples and counts of them.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftOut {
    probabilities: Array2<f64>,
    labels: Vec<usize>,
    groups: Vec<usize>,
    /// How much each sample counts: those of a group 1 together, and 0 where nothing of the class was left.
    shares: Vec<f64>,
    class_groups: Vec<usize>,
    temperature: f64,
    uncalibrated_log_loss: f64,
    /// The largest logit of each sample.
    largest: Vec<f64>,
}

/// What is known of one class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassEstimate {
    /// Its samples.
    pub samples: usize,
    /// Its groups. With a single one nothing can be said: without it there is no such class.
    pub groups: usize,
    /// The share of its samples that are recognised; not known of a class with a single group.
    pub recall: Option<Estimate>,
    /// The share of those called so that are; not known if none are.
    pub precision: Option<f64>,
}

/// How far probabilities can be believed.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// What scores were divided by.
    pub temperature: f64,
    /// Mean distance between confidence and accuracy (expected calibration error), over the bins by their weight.
    pub error: f64,
    /// Fifteen of equal width, by the largest probability.
    pub bins: Vec<Bin>,
    /// Mean −ln of the label's probability.
    pub log_loss: f64,
    /// The same with scores taken as they came, divided by nothing.
    pub uncalibrated_log_loss: f64,
}

/// Samples of about the same confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// How many.
    pub samples: usize,
    /// Mean largest probability.
    pub confidence: f64,
    /// The share that is right.
    pub accuracy: f64,
}

/// A label that may be wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suspect {
    /// The sample's number.
    pub sample: usize,
    /// Its label.
    pub label: usize,
    /// The class that the head without it finds most probable.
    pub suggested: usize,
    /// The probability of its label.
    pub probability: f64,
    /// Whether it is among as many of its class as confident learning estimates to be wrong (Northcutt et al. 2021).
    pub flagged: bool,
}

impl LeftOut {
    pub(crate) fn write(&self, words: &mut Words) {
        words.numbers(&self.labels);
        words.numbers(&self.groups);
        words.numbers(&self.class_groups);
        words.floats(self.probabilities.iter().copied());
        words.floats(self.shares.iter().copied());
        words.floats(self.largest.iter().copied());
        words.float(self.temperature);
        words.float(self.uncalibrated_log_loss);
    }

    /// `None` if it is not of one row of `classes` for each sample.
    pub(crate) fn read(words: &mut Reader<'_>, classes: usize) -> Option<Self> {
        let [labels, groups, class_groups] = [words.numbers()?, words.numbers()?, words.numbers()?];
        let [probabilities, shares, largest] = [words.floats()?, words.floats()?, words.floats()?];
        let samples = labels.len();
        let whole = groups.len() == samples
            && class_groups.len() == classes
            && shares.len() == samples
            && largest.len() == samples
            && labels.iter().all(|label| *label < classes);
        let probabilities = Array2::from_shape_vec((samples, classes), probabilities).ok()?;
        whole.then_some(())?;
        Some(LeftOut {
            probabilities,
            labels,
            groups,
            shares,
            class_groups,
            temperature: words.float()?,
            uncalibrated_log_loss: words.float()?,
            largest,
        })
    }

    /// From scores by position. The factor between scores and logits is looked for in `range`.
    pub(crate) fn new(
        samples: &Samples,
        known: &Known,
        scores: Vec<f64>,
        range: (f64, f64),
    ) -> Self {
        let classes = samples.classes();
        let scale = best_scale(samples, &scores, known, range);
        let loss = |scale: f64| mean_log_loss(samples, &scores, known, scale);
        let uncalibrated_log_loss = loss(1.0);
        let largest: Vec<f64> = scores
            .chunks_exact(classes)
            .map(|row| row.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b * scale)))
            .collect();
        let mut probabilities = scores;
        probabilities.chunks_exact_mut(classes).for_each(|row| {
            softmax(row, scale);
        });
        let probabilities = Array2::from_shape_vec(
            (samples.len(), classes),
            samples.as_given(&probabilities, classes),
        )
        .expect("a row of each sample");
        LeftOut {
            probabilities,
            labels: samples.as_given(&samples.labels, 1),
            groups: samples.as_given(&samples.groups, 1),
            shares: samples.as_given(known.shares(), 1),
            class_groups: samples.class_groups.clone(),
            temperature: 1.0 / scale,
            uncalibrated_log_loss,
            largest: samples.as_given(&largest, 1),
        }
    }

    /// The largest logit and the largest probability of each known sample, and the groups of these.
    pub(crate) fn known_maxima(&self) -> ([Vec<f64>; 2], Vec<usize>) {
        let rows = || self.known_rows();
        let logits = rows().map(|(i, _, _)| self.largest[i]).collect();
        let probabilities = rows().map(|(_, _, row)| row[argmax(row)]).collect();
        let groups = rows().map(|(i, _, _)| self.groups[i]).collect();
        ([logits, probabilities], groups)
    }

    /// Answers of several classes that hold the right one with probability 1 − `alpha`.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) if `alpha` does not lie between 0 and 1.
    pub fn answer_set(&self, alpha: f64) -> Result<AnswerSet> {
        let (of_labels, groups): (Vec<f64>, Vec<usize>) = self
            .known_rows()
            .map(|(i, label, row)| (row[label], self.groups[i]))
            .unzip();
        AnswerSet::new(&of_labels, &groups, alpha)
    }

    /// Calibrated probabilities, (samples, classes).
    pub fn probabilities(&self) -> ArrayView2<'_, f64> {
        self.probabilities.view()
    }

    /// The labels that the head was solved with.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Whether something can be said of a sample: not if what was left out with it was all of its class, as where its
    /// group is the only one.
    pub fn is_known(&self, sample: usize) -> bool {
        self.shares[sample] > 0.0
    }

    /// The most probable class of each sample.
    pub fn predictions(&self) -> Vec<usize> {
        self.rows().map(argmax).collect()
    }

    fn rows(&self) -> impl Iterator<Item = &[f64]> {
        let all = self.probabilities.as_slice().expect("made as one piece");
        all.chunks_exact(self.probabilities.ncols())
    }

    /// Known samples: number, label, probabilities.
    fn known_rows(&self) -> impl Iterator<Item = (usize, usize, &[f64])> {
        let rows = self.rows().enumerate();
        rows.filter(|(i, _)| self.is_known(*i))
            .map(|(i, row)| (i, self.labels[i], row))
    }

    /// Classes of which nothing is known, ascending: without their only group there is no such class. Estimates are
    /// silent about them.
    pub fn unknown_classes(&self) -> Vec<usize> {
        let mut known = vec![false; self.class_groups.len()];
        self.known_rows()
            .for_each(|(_, label, _)| known[label] = true);
        (0..known.len()).filter(|&class| !known[class]).collect()
    }

    /// The share of samples that the head will recognise, with its interval, of all classes but the
    /// [unknown ones](Self::unknown_classes). Not known if each class is a single group.
    pub fn accuracy(&self) -> Option<Estimate> {
        self.share(|_| true)
    }

    /// The share of right ones among known samples of these labels.
    fn share(&self, of: impl Fn(usize) -> bool) -> Option<Estimate> {
        let rows = self.known_rows().filter(|&(_, label, _)| of(label));
        Estimate::of(rows.map(|(i, label, row)| (argmax(row) == label, self.groups[i])))
    }

    /// Each class by itself.
    pub fn per_class(&self) -> Vec<ClassEstimate> {
        let confusion = self.confusion();
        (0..confusion.nrows())
            .map(|class| {
                let called: usize = confusion.column(class).sum();
                ClassEstimate {
                    samples: self.labels.iter().filter(|&&label| label == class).count(),
                    groups: self.class_groups[class],
                    recall: self.share(|label| label == class),
                    precision: (called > 0)
                        .then(|| confusion[[class, class]] as f64 / called as f64),
                }
            })
            .collect()
    }

    /// Counts of known samples: a row of each label, a column of each prediction.
    pub fn confusion(&self) -> Array2<usize> {
        let classes = self.probabilities.ncols();
        let mut counts = Array2::zeros((classes, classes));
        for (_, label, row) in self.known_rows() {
            counts[[label, argmax(row)]] += 1;
        }
        counts
    }

    /// The mean of −ln p of the labels, each group weighing the same. Not known if each class is a single group.
    pub fn log_loss(&self) -> Option<f64> {
        let (mut sum, mut total) = (0.0, 0.0);
        for (i, label, row) in self.known_rows() {
            sum -= self.shares[i] * ln(row[label].max(1e-300));
            total += self.shares[i];
        }
        (total > 0.0).then(|| sum / total)
    }

    /// What scores were divided by before softmax. It was found with these very samples, left out; since it is a
    /// single number, that flatters hardly.
    pub fn temperature(&self) -> f64 {
        self.temperature
    }

    /// Confidence beside accuracy, each group weighing the same. Not known if each class is a single group.
    pub fn calibration(&self) -> Option<Calibration> {
        let mut bins = vec![Bin::default(); 15];
        let mut weights = vec![0.0; 15];
        for (i, label, row) in self.known_rows() {
            let (best, share) = (argmax(row), self.shares[i]);
            let place = ((row[best] * 15.0) as usize).min(14);
            let bin = &mut bins[place];
            bin.samples += 1;
            bin.confidence += share * row[best];
            bin.accuracy += share * f64::from(u8::from(best == label));
            weights[place] += share;
        }
        let error = bins
            .iter()
            .map(|bin| (bin.confidence - bin.accuracy).abs())
            .sum::<f64>();
        let places = bins.iter_mut().zip(&weights);
        for (bin, weight) in places.filter(|(bin, _)| bin.samples > 0) {
            bin.confidence /= weight;
            bin.accuracy /= weight;
        }
        Some(Calibration {
            temperature: self.temperature,
            error: error / weights.iter().sum::<f64>(),
            bins,
            log_loss: self.log_loss()?,
            uncalibrated_log_loss: self.uncalibrated_log_loss,
        })
    }

    /// All known samples, the most doubtful label first.
    pub fn suspects(&self) -> Vec<Suspect> {
        let classes = self.probabilities.ncols();
        // How sure the head is of a class on average, among samples labelled so.
        let (mut thresholds, mut counts) = (vec![0.0; classes], vec![0; classes]);
        for (_, label, row) in self.known_rows() {
            thresholds[label] += row[label];
            counts[label] += 1;
        }
        for (threshold, &count) in thresholds.iter_mut().zip(&counts) {
            *threshold /= f64::from(count.max(1));
        }
        let (mut counted, mut wrong) = (vec![0_u32; classes], vec![0_u32; classes]);
        for (_, label, row) in self.known_rows() {
            let sure = (0..classes).filter(|&k| counts[k] > 0 && row[k] >= thresholds[k]);
            if let Some(k) = sure.reduce(|a, b| if row[b] > row[a] { b } else { a }) {
                counted[label] += 1;
                wrong[label] += u32::from(k != label);
            }
        }
        let mut suspects: Vec<Suspect> = self
            .known_rows()
            .map(|(sample, label, row)| Suspect {
                sample,
                label,
                suggested: argmax(row),
                probability: row[label],
                flagged: false,
            })
            .collect();
        suspects.sort_by(|a, b| a.probability.total_cmp(&b.probability));
        for class in 0..classes {
            let share = f64::from(wrong[class]) / f64::from(counted[class].max(1));
            let number = (share * f64::from(counts[class])).round() as usize;
            let of_class = suspects.iter_mut().filter(|suspect| suspect.label == class);
            of_class
                .take(number)
                .for_each(|suspect| suspect.flagged = true);
        }
        suspects
    }
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(accuracy) = self.accuracy() else {
            return f.write_str("nothing is known: each class is a single group");
        };
        write!(f, "accuracy {accuracy}")?;
        let silent = self.unknown_classes();
        let names: Vec<String> = silent.iter().map(ToString::to_string).collect();
        match names.len() {
            0 => Ok(()),
            1 => write!(f, ", but class {}, a single group", names[0]),
            _ => write!(f, ", but classes {}, single groups", names.join(", ")),
        }
    }
}

fn known_scores<'a>(
    samples: &'a Samples,
    scores: &'a [f64],
    known: &'a Known,
) -> impl Iterator<Item = (f64, usize, &'a [f64])> {
    let rows = scores
        .chunks_exact(samples.classes())
        .zip(known.shares())
        .enumerate();
    rows.filter(|(_, (_, share))| **share > 0.0)
        .map(|(i, (row, share))| (samples.weight(i) * share, samples.labels[i], row))
}

/// The share of doubt in each label: n groups that were all right leave 1 / (n + 2) for the next one to be wrong
/// (Laplace's rule of succession). Without it the best scale of scores that never fail is without end.
fn doubt(known: &Known) -> f64 {
    1.0 / (known.groups() + 2) as f64
}

/// The weighted mean of −Σ q ln p with scores times `scale`; q is 1 for the label, but for the doubt that all classes
/// share.
pub(crate) fn mean_log_loss(samples: &Samples, scores: &[f64], known: &Known, scale: f64) -> f64 {
    let doubt = doubt(known);
    let (mut sum, mut total) = (0.0, 0.0);
    for (weight, label, row) in known_scores(samples, scores, known) {
        let largest = row.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        let rest: f64 = row.iter().map(|score| exp((score - largest) * scale)).sum();
        let expected = (1.0 - doubt) * row[label] + doubt * mean(row);
        sum += weight * (ln(rest) - (expected - largest) * scale);
        total += weight;
    }
    sum / total
}

fn mean(row: &[f64]) -> f64 {
    row.iter().sum::<f64>() / row.len() as f64
}

/// The factor for which that is least: its slope, the mean of Σ pₖ sₖ − Σ qₖ sₖ, grows with the factor. Newton's steps,
/// halving where they leave what is possible.
pub(crate) fn best_scale(
    samples: &Samples,
    scores: &[f64],
    known: &Known,
    range: (f64, f64),
) -> f64 {
    let (mut low, mut high) = range;
    let mut scale = (low * high).sqrt();
    if !known.any() {
        return scale;
    }
    let doubt = doubt(known);
    let mut powers = vec![0.0; samples.classes()];
    for _ in 0..60 {
        let (mut slope, mut curvature) = (0.0, 0.0);
        for (weight, label, row) in known_scores(samples, scores, known) {
            powers.copy_from_slice(row);
            softmax(&mut powers, scale);
            let middle: f64 = powers.iter().zip(row).map(|(p, s)| p * s).sum();
            let square: f64 = powers
                .iter()
                .zip(row)
                .map(|(p, s)| p * (s - middle) * (s - middle))
                .sum();
            slope += weight * (middle - (1.0 - doubt) * row[label] - doubt * mean(row));
            curvature += weight * square;
        }
        if slope > 0.0 {
            high = scale
        } else {
            low = scale
        }
        let newton = scale - slope / curvature;
        let next = if newton > low && newton < high {
            newton
        } else {
            (low * high).sqrt()
        };
        let step = (next - scale).abs();
        scale = next;
        if step <= 1e-12 * scale {
            break;
        }
    }
    scale
}
