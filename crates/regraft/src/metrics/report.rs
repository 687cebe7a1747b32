//! Precision, recall and F1 of every class, read off a confusion matrix.

use std::fmt;

use ndarray::Array2;

use super::counts::share;

/// How well each class is recognised; prints as a table.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassReport {
    /// One entry per class, in the order of their numbers.
    pub classes: Vec<ClassScore>,
    /// The share of all samples that were predicted right.
    pub accuracy: f64,
    /// The mean over the classes; its support is that of all classes.
    pub macro_average: ClassScore,
    /// The mean over the classes, weighted by support.
    pub weighted_average: ClassScore,
}

/// How well one class is recognised.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassScore {
    /// The class.
    pub name: String,
    /// The share of samples predicted as this class that are of this class.
    pub precision: f64,
    /// The share of samples of this class that were predicted as it.
    pub recall: f64,
    /// `2 · precision · recall / (precision + recall)`.
    pub f1: f64,
    /// The (weighted) number of samples of this class.
    pub support: f64,
}

impl ClassReport {
    /// Of `counts`, whose rows are targets and columns predictions. Shares of nothing are 0.
    pub(super) fn new(names: &[String], counts: &Array2<f64>) -> Self {
        let mut classes = Vec::with_capacity(names.len());
        for (class, name) in names.iter().enumerate() {
            let right = counts[(class, class)];
            let support = counts.row(class).sum();
            let precision = share(right, counts.column(class).sum() - right);
            let recall = share(right, support - right);
            let sum = precision + recall;
            let f1 = if sum == 0.0 {
                0.0
            } else {
                2.0 * precision * recall / sum
            };
            classes.push(ClassScore {
                name: name.clone(),
                precision,
                recall,
                f1,
                support,
            });
        }
        let right = counts.diag().sum();
        ClassReport {
            accuracy: share(right, counts.sum() - right),
            macro_average: average("macro average", &classes, |_| 1.0),
            weighted_average: average("weighted average", &classes, |score| score.support),
            classes,
        }
    }
}

fn average(name: &str, classes: &[ClassScore], weight: impl Fn(&ClassScore) -> f64) -> ClassScore {
    let weights: f64 = classes.iter().map(&weight).sum();
    let mean = |number: fn(&ClassScore) -> f64| {
        let sum: f64 = classes
            .iter()
            .map(|score| number(score) * weight(score))
            .sum();
        if weights == 0.0 { 0.0 } else { sum / weights }
    };
    ClassScore {
        name: name.to_string(),
        precision: mean(|score| score.precision),
        recall: mean(|score| score.recall),
        f1: mean(|score| score.f1),
        support: classes.iter().map(|score| score.support).sum(),
    }
}

impl fmt::Display for ClassReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let averages = [&self.macro_average, &self.weighted_average];
        let scores = || self.classes.iter().chain(averages);
        let first = scores()
            .map(|score| score.name.chars().count())
            .max()
            .unwrap_or(0);
        writeln!(f, "{:first$}  precision  recall     f1  support", "class")?;
        for score in scores() {
            let ClassScore {
                name,
                precision,
                recall,
                f1,
                support,
            } = score;
            let decimals = if support.fract() == 0.0 { 0 } else { 2 };
            writeln!(
                f,
                "{name:first$}  {precision:9.4}  {recall:6.4}  {f1:5.3}  {support:7.decimals$}"
            )?;
        }
        write!(f, "{:first$}  {:9.4}", "accuracy", self.accuracy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn shares_follow_rows_and_columns() {
        let names = ["cat", "dog", "cow"].map(String::from);
        let counts = array![[3.0, 1.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 0.0]];
        let report = ClassReport::new(&names, &counts);
        assert_eq!(report.classes[0].precision, 3.0 / 5.0);
        assert_eq!(report.classes[0].recall, 3.0 / 4.0);
        assert!((report.classes[0].f1 - 2.0 * 0.6 * 0.75 / 1.35).abs() < 1e-12);
        assert_eq!(
            report.classes[2],
            ClassScore {
                name: "cow".into(),
                ..Default::default()
            }
        );
        assert_eq!(report.accuracy, 5.0 / 8.0);
        assert_eq!(report.weighted_average.recall, 5.0 / 8.0);
        assert_eq!(report.to_string().lines().count(), 7);
    }
}
