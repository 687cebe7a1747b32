//! How often each class occurs, as a table for the eye and as numbers.

use std::collections::BTreeMap;
use std::fmt;

use regraft_tensor::Detail;

use crate::{Error, Result};

/// The number of samples of each class, ascending by class.
///
/// ```
/// use regraft_data::Labels;
///
/// let histogram = Labels::new(&[0, 1, 1, 1])?.histogram();
/// assert_eq!(histogram.count(1), 3);
/// println!("{}", histogram.with_names(&["shirt", "coat"])?);
/// # Ok::<(), regraft_data::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: BTreeMap<i32, usize>,
    names: Vec<String>,
}

impl Histogram {
    /// Counts `labels`.
    pub fn new(labels: &[i32]) -> Self {
        let mut counts = BTreeMap::new();
        for &label in labels {
            *counts.entry(label).or_insert(0) += 1;
        }
        let names = Vec::new();
        Histogram { counts, names }
    }

    /// Names the classes from 0 up, for printing.
    ///
    /// # Errors
    /// [`Error::Label`] if a class occurs that has no name.
    pub fn with_names(mut self, names: &[impl AsRef<str>]) -> Result<Self> {
        let named = |class: i32| usize::try_from(class).is_ok_and(|class| class < names.len());
        if let Some(class) = self.classes().find(|&class| !named(class)) {
            return Err(Error::Label(Detail::new(
                "Histogram::with_names",
                "a name for every class that occurs",
                format!("{} names, and class {class}", names.len()),
            )));
        }
        self.names = names.iter().map(|name| name.as_ref().to_string()).collect();
        Ok(self)
    }

    /// The classes that occur, ascending.
    pub fn classes(&self) -> impl Iterator<Item = i32> + '_ {
        self.counts.keys().copied()
    }

    /// The number of samples of `class`.
    pub fn count(&self, class: i32) -> usize {
        self.counts.get(&class).copied().unwrap_or(0)
    }

    /// Each class that occurs and its number of samples, ascending by class.
    pub fn iter(&self) -> impl Iterator<Item = (i32, usize)> + '_ {
        self.counts.iter().map(|(&class, &count)| (class, count))
    }

    /// The number of samples of all classes.
    pub fn total(&self) -> usize {
        self.counts.values().sum()
    }
}

impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BAR: usize = 30;
        let total = self.total();
        let most = self.counts.values().copied().max().unwrap_or(0);
        let title = |class: i32| {
            let name = usize::try_from(class)
                .ok()
                .and_then(|class| self.names.get(class));
            name.map_or_else(|| class.to_string(), |name| format!("{class} {name}"))
        };
        let wide = self
            .classes()
            .map(|class| title(class).chars().count())
            .max();
        let wide = wide.unwrap_or(0).max("class".len());
        writeln!(f, "{:wide$}  samples   share", "class")?;
        for (class, count) in self.iter() {
            let share = 100.0 * count as f64 / total as f64;
            // At least one mark, so that a rare class does not look like an absent one.
            let bar = "█".repeat((count * BAR).div_ceil(most));
            writeln!(f, "{:wide$}  {count:7}  {share:5.1}%  {bar}", title(class))?;
        }
        write!(f, "{:wide$}  {total:7}", "all")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_a_row_per_class_and_the_total() {
        let table = Histogram::new(&[0, 1, 1, 1])
            .with_names(&["shirt", "coat"])
            .unwrap();
        let text = table.to_string();
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows.len(), 4, "{text}");
        assert!(
            rows[1].starts_with("0 shirt") && rows[1].contains(" 25.0%"),
            "{text}"
        );
        assert!(rows[2].ends_with(&"█".repeat(30)), "{text}");
        assert!(rows[3].ends_with(" 4"), "{text}");
    }

    #[test]
    fn nothing_prints_as_a_table_without_rows() {
        assert_eq!(Histogram::new(&[]).to_string().lines().count(), 2);
    }

    #[test]
    fn a_class_without_a_name_is_an_error() {
        assert!(Histogram::new(&[2]).with_names(&["a", "b"]).is_err());
        assert!(Histogram::new(&[-1]).with_names(&["a", "b"]).is_err());
    }
}
