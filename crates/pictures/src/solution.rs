//! The head, and all that is told from the factorisation that it was solved with.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::path::Path;

use regraft_heads::{
    AnswerSet, BestHead, ClassWeight, Factorised, HeadKind, Lda, Logistic, NearestMean, Ridge,
    Solved, Suspect, Unknown, UnknownScore,
};
use regraft_tensor::Detail;

use crate::checked::Folder;
use crate::config::Config;
use crate::factorisations::{factorised, key};
use crate::features::Part;
use crate::told::Told;
use crate::{Error, Result};

/// A head with what is known about it.
#[derive(Clone, Debug)]
pub(crate) struct Solution {
    pub solved: Solved,
    /// What is said of each picture by a head without its group.
    pub told: Told,
    /// The accuracy that one would have found had each picture been left out alone, its duplicates not.
    pub careless: f64,
    /// All pictures, the most doubtful label first.
    pub suspects: Vec<Suspect>,
    pub unknown: Unknown,
    pub answer_set: AnswerSet,
    /// The number of classes in a set, on average.
    pub mean_set: f64,
}

/// Changes when the same head is solved to other bits.
const VERSION: &str = "head-2";

/// So many pictures are told of at a time.
const TOGETHER: usize = 8192;

/// Solves the head, from what is kept in a folder: of the same pictures and groups it is not solved again.
pub(crate) fn solve(
    features: &Part<'_>,
    labels: &[usize],
    groups: &[usize],
    config: &Config,
    cache: &Path,
) -> Result<Solution> {
    let given = numbers(labels);
    let weight = class_weight(config);
    let solver = Solver {
        features,
        labels: &given,
        weight,
        folder: Folder::new(cache.join("factorisations")),
        factorised: OnceCell::new(),
    };
    let mut heads = solver.heads(&config.head, groups)?.into_iter();
    let solved = heads.next().expect("the best of them");
    let told = Told::of(solved.left_out(), groups.to_vec());
    let unknown = match solved.unknown() {
        Some(unknown) => unknown,
        // Classes are left out of a ridge solution, and the threshold is of the head that is taken.
        None => {
            let ridge = match heads.find(|head| head.kind() == HeadKind::Ridge) {
                Some(compared) => compared,
                None => solver.head(HeadKind::Ridge, Some(groups))?,
            };
            let tested = ridge.unknown().expect("of a ridge solution");
            Unknown {
                score: UnknownScore::Probability,
                threshold: told.least_confidence(),
                ..tested
            }
        }
    };
    let different: HashSet<&usize> = groups.iter().collect();
    let careless = match different.len() == groups.len() {
        true => told.accuracy().value,
        false => {
            let alone = solver.head(solved.kind(), None)?;
            Told::of(alone.left_out(), groups.to_vec()).accuracy().value
        }
    };
    let answer_set = solved.left_out().answer_set(config.alpha)?;
    Ok(Solution {
        careless,
        suspects: solved.left_out().suspects(),
        unknown,
        answer_set,
        mean_set: told.mean_set(answer_set.threshold),
        told,
        solved,
    })
}

pub(crate) fn numbers(labels: &[usize]) -> Vec<i32> {
    labels.iter().map(|label| *label as i32).collect()
}

fn class_weight(config: &Config) -> ClassWeight {
    match config.balance {
        0.0 => ClassWeight::Equal,
        power => ClassWeight::Balanced(power),
    }
}

/// A ridge solution of all pictures, which learns further ones.
pub(crate) fn ridge(
    features: &Part<'_>,
    labels: &[usize],
    groups: &[usize],
    config: &Config,
) -> Result<Solved> {
    Ok(Ridge::new()
        .groups(groups)
        .class_weight(class_weight(config))
        .fit(features, &numbers(labels))?)
}

/// What heads are solved from.
struct Solver<'a> {
    features: &'a Part<'a>,
    labels: &'a [i32],
    weight: ClassWeight,
    folder: Folder,
    /// Made when it is needed first.
    factorised: OnceCell<Factorised>,
}

impl Solver<'_> {
    /// The head that is asked for, or all that were compared, the best first.
    fn heads(&self, name: &str, groups: &[usize]) -> Result<Vec<Solved>> {
        let kind = match name {
            "auto" => {
                // Those of one factorisation: steps to the minimum of logistic regression take a minute.
                let best = BestHead::new().quick();
                let largest = self.labels.iter().max().map_or(0, |label| *label as usize);
                let mut counts = vec![0; largest + 1];
                self.labels
                    .iter()
                    .for_each(|label| counts[*label as usize] += 1);
                let kinds = best.kinds(&counts).into_iter();
                let heads = kinds.map(|kind| self.head(kind, Some(groups)));
                return Ok(BestHead::compare(heads)?);
            }
            "ridge" => HeadKind::Ridge,
            "lda" => HeadKind::Lda,
            "logistic" => HeadKind::Logistic,
            "nearest-mean" => HeadKind::NearestMean,
            other => {
                let expected = "auto, ridge, logistic, lda or nearest-mean";
                return Err(Error::Setting(Detail::new(
                    "head",
                    expected,
                    format!("{other:?}"),
                )));
            }
        };
        Ok(vec![self.head(kind, Some(groups))?])
    }

    /// A head: as it is kept, or solved.
    fn head(&self, kind: HeadKind, groups: Option<&[usize]>) -> regraft_heads::Result<Solved> {
        let mut hasher = key(self.features, self.labels, self.weight);
        hasher.update(format!("{kind:?} {}", groups.is_some()).as_bytes());
        for group in groups.unwrap_or_default() {
            hasher.update(&(*group as u64).to_le_bytes());
        }
        let key = hasher.finalize().into();
        let kept = self.folder.read(&key, VERSION);
        let kept = kept.and_then(|bytes| Solved::from_bytes(&bytes));
        if let Some(kept) = kept {
            return Ok(kept);
        }
        let solved = self.solved(kind, groups)?;
        if groups.is_some() {
            // Kept with it.
            let _ = solved.unknown();
        }
        // That it cannot be kept costs the next run time, and nothing else.
        let _ = self
            .folder
            .keep(&key, VERSION, |to| to.write_all(&solved.to_bytes()));
        Ok(solved)
    }

    fn solved(&self, kind: HeadKind, groups: Option<&[usize]>) -> regraft_heads::Result<Solved> {
        macro_rules! fit {
            ($head:expr) => {{
                let head = $head.class_weight(self.weight);
                match groups {
                    Some(groups) => head.groups(groups).fit(self.features, self.labels),
                    None => head.fit(self.features, self.labels),
                }
            }};
        }
        match kind {
            HeadKind::Lda => fit!(Lda::new().factorised(self.factorised()?)),
            HeadKind::Logistic => fit!(Logistic::new().factorised(self.factorised()?)),
            HeadKind::NearestMean => fit!(NearestMean::new()),
            _ => fit!(Ridge::new().factorised(self.factorised()?)),
        }
    }

    fn factorised(&self) -> regraft_heads::Result<&Factorised> {
        if self.factorised.get().is_none() {
            let made = factorised(self.features, self.labels, self.weight, &self.folder)?;
            let _ = self.factorised.set(made);
        }
        Ok(self.factorised.get().expect("made above"))
    }
}

impl Solution {
    /// Which head, and its setting.
    pub fn chosen(&self) -> String {
        let choice = self.solved.choice();
        match choice.name {
            "nothing" => self.solved.kind().to_string(),
            name => format!(
                "{}, {name} = {:.3}",
                self.solved.kind(),
                Significant(choice.value)
            ),
        }
    }

    /// Why this head.
    pub fn why(&self) -> String {
        let compared = self.solved.compared();
        let all: Vec<String> = compared
            .iter()
            .map(|(kind, loss)| format!("{kind} {loss:.4}"))
            .collect();
        match all.is_empty() {
            true => "it was asked for".to_string(),
            false => format!(
                "the least log-loss on what was left out: {}",
                all.join(", ")
            ),
        }
    }

    /// How "unknown" was tested, and what is answered now.
    pub fn about_unknown(&self) -> String {
        let Unknown {
            auroc,
            threshold,
            can_tell,
            ..
        } = self.unknown;
        match can_tell {
            true => format!(
                "Each class was left out in turn, and its pictures were told from the others with an area of {auroc:.2}. \
                 A picture is answered with \"unknown\" if the {} is below {threshold:.2}, which is so for 5 % of the \
                 pictures of known classes.",
                score_name(self.unknown.score)
            ),
            false => format!(
                "Each class was left out in turn, and its pictures could not be told from the others: an area of \
                 {auroc:.2}, where .7 is asked for. So nothing is answered with \"unknown\"."
            ),
        }
    }

    /// Takes thresholds from what is said of pictures that were held out: the backbone has seen the others.
    pub fn judge_by(&mut self, held_out: &Told, alpha: f64) -> Result<()> {
        self.answer_set = held_out.answer_set(alpha)?;
        self.mean_set = held_out.mean_set(self.answer_set.threshold);
        self.unknown.score = UnknownScore::Probability;
        self.unknown.threshold = held_out.least_confidence();
        Ok(())
    }

    /// What it says of pictures that it was not solved with.
    pub fn told_of(
        &self,
        features: &Part<'_>,
        labels: Vec<usize>,
        groups: Vec<usize>,
    ) -> Result<Told> {
        let mut probabilities = Vec::with_capacity(labels.len() * self.solved.classes());
        for from in (0..labels.len()).step_by(TOGETHER) {
            let some = self.solved.predict(&features.tensor(from, TOGETHER)?)?;
            probabilities.extend(some.as_slice().iter().map(|p| f64::from(*p)));
        }
        Ok(Told {
            classes: self.solved.classes(),
            probabilities,
            known: vec![true; labels.len()],
            labels,
            groups,
        })
    }
}

/// What is compared with the threshold, in words.
pub(crate) fn score_name(score: UnknownScore) -> &'static str {
    match score {
        UnknownScore::Probability => PROBABILITY,
        UnknownScore::Logit => LOGIT,
    }
}

pub(crate) const PROBABILITY: &str = "largest probability";
pub(crate) const LOGIT: &str = "largest logit";

/// A number of any size with so many digits as the precision says.
struct Significant(f64);

impl std::fmt::Display for Significant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = f.precision().unwrap_or(3);
        match self.0.abs() {
            0.01..10_000.0 => {
                let before = self.0.abs().log10().floor() as i32 + 1;
                let after = (digits as i32 - before).max(0) as usize;
                write!(f, "{:.after$}", self.0)
            }
            _ => write!(f, "{:.1$e}", self.0, digits - 1),
        }
    }
}
