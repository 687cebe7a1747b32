//! Properties that have nothing to do with what a picture shows and still tell its class: then a model may learn the
//! camera instead.

use std::collections::{BTreeMap, HashSet};

use crate::finding::listed;
use crate::{Finding, FindingKind, Inspection, groups};

/// As many bins at most.
const BINS: usize = 16;

/// What each picture has of a property: the number of a bin, and what the bins are called.
struct Property {
    name: &'static str,
    bins: Vec<usize>,
    names: Vec<Name>,
}

enum Name {
    Value(String),
    /// From the least to the most in it.
    Range(f64, f64),
}

pub(crate) fn gives_away(
    inspections: &[Inspection],
    labels: &[i32],
    classes: &[String],
) -> Vec<Finding> {
    // Ten copies of a picture are no ten witnesses: of what nearly looks the same, the first of each class counts.
    let mut seen = HashSet::new();
    let witnesses: Vec<usize> = groups(inspections, None)
        .into_iter()
        .zip(labels)
        .enumerate()
        .filter_map(|(picture, of)| seen.insert(of).then_some(picture))
        .collect();
    let numbers = |name, value: &dyn Fn(&Inspection) -> f64| {
        Property::of_numbers(name, inspections.iter().map(value).collect())
    };
    let values = |name, value: &dyn Fn(&Inspection) -> String| {
        Property::of_values(name, inspections.iter().map(value).collect())
    };
    let properties = [
        values("the format", &|picture| {
            picture.source.format.name().to_string()
        }),
        values("the kind of colours", &|picture| {
            picture.source.color.name().to_string()
        }),
        numbers("the size (√ of the pixels)", &|picture| {
            (picture.width as f64 * picture.height as f64).sqrt()
        }),
        numbers("the shape (width by height)", &|picture| {
            picture.width as f64 / picture.height as f64
        }),
        numbers("the brightness (median)", &|picture| {
            f64::from(picture.brightness.p50)
        }),
        numbers("the sharpness", &|picture| f64::from(picture.sharpness)),
        numbers("the compression (bytes a pixel)", &|picture| {
            picture.source.bytes as f64 / (picture.width as f64 * picture.height as f64)
        }),
    ];
    let mut found = Vec::new();
    for property in properties {
        let told: Vec<Told> = (0..classes.len())
            .filter_map(|class| property.tells(labels, &witnesses, class as i32))
            .collect();
        if told.is_empty() {
            continue;
        }
        let clauses: Vec<String> = told
            .iter()
            .map(|told| told.clause(&property, &classes[told.class]))
            .collect();
        let mut pictures: Vec<usize> = told.iter().flat_map(|told| told.pictures.clone()).collect();
        pictures.sort_unstable();
        found.push(Finding {
            kind: FindingKind::GivesAway,
            pictures,
            sets: Vec::new(),
            classes: told.iter().map(|told| told.class).collect(),
            sentence: format!(
                "{} gives the class away: {}",
                property.name,
                listed(&clauses)
            ),
        });
    }
    found
}

/// A class that a property tells.
struct Told {
    class: usize,
    /// The bins that speak for it.
    bins: Vec<usize>,
    /// Its pictures in them.
    pictures: Vec<usize>,
    /// The share of its pictures in them, and of the others'.
    of_class: f64,
    of_others: f64,
}

impl Told {
    fn clause(&self, property: &Property, class: &str) -> String {
        let percent = |share: f64| format!("{:.0} %", 100.0 * share);
        format!(
            "{} ↔ {class} ({} of them, {} of the others)",
            property.spelled(&self.bins),
            percent(self.of_class),
            percent(self.of_others)
        )
    }
}

impl Property {
    fn of_values(name: &'static str, values: Vec<String>) -> Self {
        let mut known: BTreeMap<&String, usize> = values.iter().map(|value| (value, 0)).collect();
        for (number, (_, bin)) in known.iter_mut().enumerate() {
            *bin = number;
        }
        Property {
            name,
            bins: values.iter().map(|value| known[value]).collect(),
            names: known
                .keys()
                .map(|value| Name::Value((*value).clone()))
                .collect(),
        }
    }

    /// Bins with equally many pictures, as far as the same value is in one bin.
    fn of_numbers(name: &'static str, values: Vec<f64>) -> Self {
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let mut starts: Vec<f64> = (0..BINS)
            .filter_map(|bin| sorted.get(bin * sorted.len() / BINS))
            .copied()
            .collect();
        starts.dedup();
        let bin_of = |value: f64| starts.partition_point(|&start| start <= value) - 1;
        let mut names: Vec<(f64, f64)> = vec![(f64::INFINITY, f64::NEG_INFINITY); starts.len()];
        let bins: Vec<usize> = values.iter().map(|&value| bin_of(value)).collect();
        for (&bin, &value) in bins.iter().zip(&values) {
            names[bin] = (names[bin].0.min(value), names[bin].1.max(value));
        }
        Property {
            name,
            bins,
            names: names
                .into_iter()
                .map(|(least, most)| Name::Range(least, most))
                .collect(),
        }
    }

    /// What the property says about a class, if it tells it.
    fn tells(&self, labels: &[i32], witnesses: &[usize], class: i32) -> Option<Told> {
        let mut counts = vec![[0_usize; 2]; self.names.len()];
        let mut all = [0_usize; 2];
        for &picture in witnesses {
            let own = usize::from(labels[picture] == class);
            counts[self.bins[picture]][own] += 1;
            all[own] += 1;
        }
        let [others, own] = all;
        if own < 2 || others < 2 {
            return None;
        }
        let share = |count: usize, of: usize| count as f64 / of as f64;
        let (mut right_own, mut right_others) = (0, 0);
        for &[in_others, in_own] in &counts {
            // A picture that is left out is in neither share.
            if in_own > 0 && share(in_own - 1, own - 1) > share(in_others, others) {
                right_own += in_own;
            }
            if in_others > 0 && share(in_own, own) <= share(in_others - 1, others - 1) {
                right_others += in_others;
            }
        }
        let score = (share(right_own, own) + share(right_others, others)) / 2.0;
        // With one success and one failure more, so that no error is none.
        let variance = |right: usize, of: usize| {
            let p = share(right + 1, of + 2);
            p * (1.0 - p) / of as f64
        };
        let error = (variance(right_own, own) + variance(right_others, others)).sqrt() / 2.0;
        if score < 0.85 || score - 4.0 * error <= 0.5 {
            return None;
        }
        let speaks = |bin: &usize| share(counts[*bin][1], own) > share(counts[*bin][0], others);
        let bins: Vec<usize> = (0..counts.len()).filter(speaks).collect();
        let sum = |which: usize| bins.iter().map(|&bin| counts[bin][which]).sum::<usize>();
        let mine =
            |picture: &usize| labels[*picture] == class && bins.contains(&self.bins[*picture]);
        Some(Told {
            class: class as usize,
            pictures: (0..labels.len()).filter(mine).collect(),
            of_class: share(sum(1), own),
            of_others: share(sum(0), others),
            bins,
        })
    }

    /// The values of some bins, neighbours as one range.
    fn spelled(&self, bins: &[usize]) -> String {
        let mut spelled = Vec::new();
        for run in bins.chunk_by(|left, right| left + 1 == *right) {
            match (&self.names[run[0]], &self.names[run[run.len() - 1]]) {
                (Name::Range(least, _), Name::Range(_, most))
                    if number(*least) == number(*most) =>
                {
                    spelled.push(number(*least));
                }
                (Name::Range(least, _), Name::Range(_, most)) => {
                    spelled.push(format!("{} to {}", number(*least), number(*most)));
                }
                _ => spelled.extend(run.iter().filter_map(|&bin| match &self.names[bin] {
                    Name::Value(value) => Some(value.clone()),
                    Name::Range(..) => None,
                })),
            }
        }
        spelled.join(" or ")
    }
}

/// Three digits of a number.
fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}
