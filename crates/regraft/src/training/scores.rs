//! The loss and the metrics on some data.

/// The loss and the metrics on some data.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// The loss, penalties included.
    pub loss: f64,
    /// Name and value of each metric.
    pub metrics: Vec<(String, f64)>,
}

impl Scores {
    /// The metric called `name`, or the loss for `"loss"`.
    pub fn get(&self, name: &str) -> Option<f64> {
        if name == "loss" {
            return Some(self.loss);
        }
        let found = self.metrics.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| *value)
    }
}

impl std::fmt::Display for Scores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "loss: {:.4}", self.loss)?;
        for (name, value) in &self.metrics {
            write!(f, " - {name}: {value:.4}")?;
        }
        Ok(())
    }
}
