//! What a report says: plain data, all of which may be left out.

/// What a report says. What is left empty has no section.
///
/// ```
/// use regraft_report::{Answer, Estimate, Report, Sample};
///
/// let sample = |name: &str, label, class, confidence| Sample {
///     name: name.into(),
///     label: Some(label),
///     answer: Some(Answer { class, confidence }),
/// };
/// let report = Report {
///     title: "Cats and dogs".into(),
///     classes: vec!["cat".into(), "dog".into()],
///     samples: vec![
///         sample("cat/1.jpg", 0, 0, 0.99),
///         sample("dog/1.jpg", 1, 0, 0.71),
///     ],
///     estimates: vec![Estimate {
///         name: "Accuracy".into(),
///         value: 0.5,
///         low: 0.09,
///         high: 0.91,
///         how: "by leaving one picture out at a time".into(),
///     }],
///     ..Report::default()
/// };
/// let html = report.html(&Default::default());
/// assert!(html.contains("Cats and dogs"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What stands at the top, and in the browser's tab.
    pub title: String,
    /// A sentence or two beneath it: what was made, of what.
    pub summary: String,
    /// The names of the classes, in any script.
    pub classes: Vec<String>,
    /// Every picture that was looked at. All else speaks of a picture by its place here.
    pub samples: Vec<Sample>,
    /// How good the model is: the first is shown large, the others beside it for comparison.
    pub estimates: Vec<Estimate>,
    /// How far its probabilities can be believed.
    pub calibration: Option<Calibration>,
    /// Labels that are probably wrong, the likeliest first.
    pub suspects: Vec<Suspect>,
    /// What is wrong with the data.
    pub findings: Vec<Finding>,
    /// Files that could not be read, each with the reason.
    pub unreadable: Vec<(String, String)>,
    /// Whether the model can tell what it does not know.
    pub unknown: Option<Unknown>,
    /// Anything else to be told, as name and value: the network, the head, its setting.
    pub facts: Vec<(String, String)>,
    /// Time and memory.
    pub costs: Vec<Cost>,
    /// Whether the frozen weights have stayed what they were.
    pub frozen: Option<Frozen>,
    /// The command that makes all of this once more.
    pub command: String,
    /// The settings with which it does: `run.toml`.
    pub settings: String,
}

/// A picture, and what became of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// What the reader knows it by, such as its path within the folder.
    pub name: String,
    /// The class that it is said to be.
    pub label: Option<usize>,
    /// What the model said, not having learnt from this picture.
    pub answer: Option<Answer>,
}

/// What a model said of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Answer {
    /// The class.
    pub class: usize,
    /// How probable it is, from 0 to 1.
    pub confidence: f64,
}

/// A share from 0 to 1, and between which it probably lies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    /// What is measured.
    pub name: String,
    /// The share.
    pub value: f64,
    /// The lower end of its interval.
    pub low: f64,
    /// The upper end of its interval.
    pub high: f64,
    /// How it was measured, and what kind of interval it is.
    pub how: String,
}

/// How far probabilities can be believed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    /// The expected calibration error, from 0 to 1.
    pub error: f64,
    /// By what the scores were divided, if they were.
    pub temperature: Option<f64>,
    /// The answers, by how sure they were.
    pub bins: Vec<Bin>,
}

/// Answers that were about as sure as each other.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// How probable they were said to be, on the average.
    pub confidence: f64,
    /// The share of them that was right.
    pub accuracy: f64,
    /// How many there were.
    pub count: usize,
}

/// A label that is probably wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Suspect {
    /// Of which picture.
    pub sample: usize,
    /// What it probably is instead.
    pub class: usize,
    /// How probable the label is that it has, from 0 to 1.
    pub label_probability: f64,
}

/// Something about the data that one should know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What it is, in a few words.
    pub title: String,
    /// What it means, and what to do.
    pub text: String,
    /// The pictures, those together that belong together, as duplicates do.
    pub groups: Vec<Vec<usize>>,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Good to know.
    #[default]
    Note,
    /// Makes the model worse, or the estimate less certain.
    Warning,
    /// Makes the estimate wrong.
    Problem,
}

/// Whether a model can tell pictures of classes that it has never seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unknown {
    /// Whether it can.
    pub can_tell: bool,
    /// How well, from 0.5 (by chance) to 1: the area under the curve when each class in turn was left out.
    pub area: f64,
    /// The same for each class that was left out, as far as it was measured.
    pub classes: Vec<(usize, f64)>,
    /// How it was tested, and what is answered now.
    pub text: String,
}

/// What something took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cost {
    /// What.
    pub name: String,
    /// What was predicted before.
    pub predicted: Option<Amount>,
    /// What it was.
    pub spent: Option<Amount>,
}

/// How much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// Of time.
    Seconds(f64),
    /// Of memory, or of a file.
    Bytes(u64),
}

/// Whether the frozen weights have stayed what they were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frozen {
    /// How many numbers they are.
    pub parameters: u64,
    /// The hash of their bytes before training.
    pub before: String,
    /// The same afterwards.
    pub after: String,
}

/// A picture that a report would show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its place among the samples.
    pub sample: usize,
    /// Whether what the model looked at would be drawn over it.
    pub heat: bool,
}

impl Report {
    pub(crate) fn is_wrong(&self, sample: usize) -> bool {
        self.seen(sample)
            .is_some_and(|(label, answer)| label != answer.class)
    }

    /// Label and answer of a picture that has both, of classes that there are.
    pub(crate) fn seen(&self, sample: usize) -> Option<(usize, Answer)> {
        let sample = self.samples.get(sample)?;
        let (label, answer) = (sample.label?, sample.answer?);
        let known = label < self.classes.len() && answer.class < self.classes.len();
        known.then_some((label, answer))
    }

    /// The places of the pictures that have a label and an answer.
    pub(crate) fn answered(&self) -> impl Iterator<Item = usize> {
        (0..self.samples.len()).filter(|&sample| self.seen(sample).is_some())
    }
}
