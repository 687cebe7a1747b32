//! What a run leaves behind: the model, its labels, the report, and how to make it again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use regraft::Model;
use regraft_features::FeatureStore;
use regraft_report::{self as report, Report};
use regraft_tensor::one_line;

use crate::Result;
use crate::config::Config;
use crate::destination::{Destination, RUN_FILE};
use crate::error::io;
use crate::extractor::Extractor;
use crate::findings::finding;
use crate::observer::{Observer, Stage};
use crate::page::Page;
use crate::run_file::{
    AnswerSetRecord, BackboneRecord, EstimateRecord, FORMAT, HeadRecord, Pictures, RunFile, Share,
    UnknownRecord,
};
use crate::set::Set;
use crate::solution::{Solution, score_name};
use crate::spent::{Spent, peak_memory};
use crate::text::sentence;
use crate::told::Told;

/// The whole model, for Keras and for Regraft.
pub(crate) const MODEL: &str = "model.keras";
/// Its weights by name.
const WEIGHTS: &str = "model.safetensors";
/// The names of the classes, one a line.
const LABELS: &str = "labels.txt";
/// The page to look at.
pub(crate) const REPORT: &str = "report.html";

/// All that is told of a run.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    pub config: Config,
    pub extractor: &'a Extractor,
    /// BLAKE3 of the file that its weights are from.
    pub backbone: String,
    pub set: &'a Set,
    pub solution: &'a Solution,
    /// The whole classifier.
    pub model: &'a Model,
    /// The numbers of the pictures that it was solved with.
    pub trained: &'a [usize],
    /// What is said of each picture of the set by a head that has not seen its group.
    pub told: &'a Told,
    /// What it says of the pictures that were held out, if some were.
    pub of_held_out: &'a Told,
    /// Whether the backbone was trained, so that what is known is known of what was held out.
    pub improved: Option<String>,
    pub cache: &'a Path,
    /// Where what is known of pictures is kept.
    pub store: &'a FeatureStore,
}

impl Work<'_> {
    /// Writes everything, and gives the folder its name.
    pub fn write(
        &self,
        destination: Destination,
        spent: &Spent,
        observer: &mut dyn Observer,
    ) -> Result<RunFile> {
        let began = Instant::now();
        let mut run = self.run_file(BTreeMap::new());
        let mut report = self.report(&run);
        let unchanged = self.improved.is_none();
        let page = Page {
            report: &report,
            set: self.set,
            extractor: self.extractor,
            model: self.model,
            kernel: unchanged.then(|| self.solution.solved.kernel()),
            stretched: self.config.fit == "stretch",
            store: self.store,
            cache: self.cache,
        };
        // One writes and hashes, the others decode and compute.
        let (files, pictures) = std::thread::scope(|scope| {
            let files = scope.spawn(|| self.write_model(&destination));
            let pictures = page.pictures();
            let files = files.join();
            (
                files.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                pictures,
            )
        });
        run.files = files?;
        destination.write(RUN_FILE, run.to_text().as_bytes())?;
        report.settings = run.to_text();
        report.costs = costs(spent, began);
        destination.write(REPORT, report.html(&pictures).as_bytes())?;
        if observer.is_cancelled() {
            return Err(crate::Error::Cancelled);
        }
        destination.commit()?;
        Ok(run)
    }

    /// Writes the model, its weights and its labels, and tells their hashes.
    fn write_model(&self, destination: &Destination) -> Result<BTreeMap<String, String>> {
        self.model.save(destination.path(MODEL))?;
        self.model.save_weights(destination.path(WEIGHTS))?;
        let classes = self.set.classes.iter();
        let labels: String = classes.map(|class| one_line(class) + "\n").collect();
        destination.write(LABELS, labels.as_bytes())?;
        let hash = |name: &str| Ok((name.to_string(), hash_of(&destination.path(name))?));
        [MODEL, WEIGHTS, LABELS].into_iter().map(hash).collect()
    }

    /// The numbers that the estimate is from: of the pictures that were held out if the backbone has seen the others.
    fn judged(&self) -> &Told {
        match self.improved {
            Some(_) => self.of_held_out,
            None => &self.solution.told,
        }
    }

    fn run_file(&self, files: BTreeMap<String, String>) -> RunFile {
        let Work {
            set,
            extractor,
            solution,
            ..
        } = self;
        let judged = self.judged();
        let held_out = self.of_held_out.len();
        let how = match &self.improved {
            Some(_) => "pictures that were held out",
            None => {
                "each picture by a head that was solved without its group and one of each other class"
            }
        };
        RunFile {
            format: FORMAT,
            regraft: env!("CARGO_PKG_VERSION").to_string(),
            classes: set.classes.clone(),
            config: self.config.clone(),
            pictures: Pictures {
                count: set.len(),
                unreadable: set.unreadable.len(),
                per_class: set.counts(),
                groups: set.group_count(),
                held_out,
                blake3: set.hash(),
            },
            backbone: BackboneRecord {
                name: extractor.name.clone(),
                told: extractor.told.clone(),
                size: extractor.size,
                features: extractor.width(),
                blake3: self.backbone.clone(),
                frozen: format!("{:016x}", extractor.model.frozen_digest()),
            },
            head: HeadRecord {
                chosen: solution.chosen(),
                why: solution.why(),
                temperature: solution.solved.left_out().temperature(),
            },
            estimate: EstimateRecord {
                how: how.to_string(),
                accuracy: judged.accuracy(),
                balanced_accuracy: judged.balanced_accuracy(),
                careless: solution.careless,
                log_loss: judged.log_loss(),
                calibration_error: judged.calibration_error(),
                unknown_classes: judged
                    .unknown_classes()
                    .into_iter()
                    .map(|class| set.classes[class].clone())
                    .collect(),
                held_out: (held_out > 0).then(|| self.of_held_out.accuracy()),
            },
            unknown: UnknownRecord {
                can_tell: solution.unknown.can_tell,
                score: score_name(solution.unknown.score).to_string(),
                auroc: solution.unknown.auroc,
                threshold: solution.unknown.threshold,
            },
            answer_set: AnswerSetRecord {
                alpha: self.config.alpha,
                threshold: solution.answer_set.threshold,
                mean_size: solution.mean_set,
            },
            files,
        }
    }

    /// But for what it took, and the settings.
    fn report(&self, run: &RunFile) -> Report {
        let Work {
            set,
            solution,
            told,
            ..
        } = self;
        let samples = (0..set.len()).map(|picture| {
            let (class, confidence) = told.answer(picture);
            report::Sample {
                name: set.images.name(picture),
                label: Some(set.labels[picture]),
                answer: told.known[picture].then_some(report::Answer { class, confidence }),
            }
        });
        let estimate = |name: &str, share: Share, how: &str| report::Estimate {
            name: name.to_string(),
            value: share.value,
            low: share.low,
            high: share.high,
            how: how.to_string(),
        };
        let accuracy = &run.estimate.accuracy;
        let interval = "the interval holds the truth in 19 of 20 such cases (Wilson)";
        let mut estimates = vec![estimate(
            "Accuracy",
            *accuracy,
            &format!("{}; {interval}", sentence(&run.estimate.how)),
        )];
        if let Some(held_out) = run.estimate.held_out {
            estimates.push(estimate(
                "On what was held out",
                held_out,
                "Pictures that nothing was learnt from",
            ));
        }
        if run.pictures.groups < run.pictures.count {
            let count = solution.told.known_count();
            let careless = Share::of((solution.careless * count as f64).round() as usize, count);
            let how = "What one would have found with duplicates and groups on both sides. It is not what to expect";
            estimates.push(estimate("A careless split", careless, how));
        }
        let judged = self.judged();
        let bins = judged.bins().into_iter().map(|bin| report::Bin {
            confidence: bin.confidence,
            accuracy: bin.accuracy,
            count: bin.count,
        });
        let before = run.backbone.frozen.clone();
        let parameters = self.extractor.model.count_parameters().total() as u64;
        let mut facts = vec![
            ("Network".to_string(), run.backbone.name.clone()),
            ("Head".to_string(), run.head.chosen.clone()),
        ];
        facts.extend(
            run.backbone
                .told
                .iter()
                .map(|told| ("Backbone".to_string(), told.clone())),
        );
        facts.push(("Why this head".to_string(), run.head.why.clone()));
        facts.push((
            "Sets of answers".to_string(),
            format!(
                "{:.1} classes on average hold the right one in {:.0} % of cases",
                run.answer_set.mean_size,
                100.0 * (1.0 - run.answer_set.alpha)
            ),
        ));
        facts.extend(
            run.estimate
                .leaves_out()
                .map(|told| ("Not in the numbers".to_string(), sentence(&told))),
        );
        facts.extend(
            self.improved
                .iter()
                .map(|told| ("Top of the backbone".to_string(), told.clone())),
        );
        let of_classes = solution
            .unknown
            .per_class
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, area)| !area.is_nan());
        let name = self
            .config
            .photos
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Report {
            title: name,
            summary: format!(
                "A classifier of {} classes, made of {} pictures in {} groups with {}.",
                set.classes.len(),
                set.len(),
                run.pictures.groups,
                run.backbone.name
            ),
            classes: set.classes.clone(),
            samples: samples.collect(),
            estimates,
            calibration: Some(report::Calibration {
                error: run.estimate.calibration_error,
                temperature: Some(run.head.temperature),
                bins: bins.collect(),
            }),
            suspects: self.suspects(),
            findings: set.findings.iter().map(finding).collect(),
            unreadable: set.unreadable.clone(),
            unknown: Some(report::Unknown {
                can_tell: run.unknown.can_tell,
                area: run.unknown.auroc,
                classes: of_classes.collect(),
                text: solution.about_unknown(),
            }),
            facts,
            costs: Vec::new(),
            frozen: Some(report::Frozen {
                parameters,
                after: format!("{:016x}", self.model.frozen_digest()),
                before,
            }),
            command: format!("regraft train --from {RUN_FILE}"),
            settings: String::new(),
        }
    }
}

impl Work<'_> {
    /// Labels that are doubtful, the most doubtful first.
    fn suspects(&self) -> Vec<report::Suspect> {
        let of = |suspect: &regraft_heads::Suspect| report::Suspect {
            sample: self.trained[suspect.sample],
            class: suspect.suggested,
            label_probability: suspect.probability,
        };
        let suspects = self
            .solution
            .suspects
            .iter()
            .filter(|suspect| suspect.suggested != suspect.label);
        suspects.take(SUSPECTS).map(of).collect()
    }
}

/// What each stage was predicted to take, and took; the last one until now.
fn costs(spent: &Spent, began: Instant) -> Vec<report::Cost> {
    let seconds = |time: Duration| report::Amount::Seconds(time.as_secs_f64());
    let stages = spent.stages.iter().map(|(stage, time)| report::Cost {
        name: stage.to_string(),
        predicted: spent.predicted(*stage).map(seconds),
        spent: Some(seconds(*time)),
    });
    let mut costs: Vec<report::Cost> = stages.collect();
    costs.push(report::Cost {
        name: Stage::Write.to_string(),
        predicted: spent.predicted(Stage::Write).map(seconds),
        spent: Some(seconds(began.elapsed())),
    });
    costs.push(report::Cost {
        name: "in all, until this was written".to_string(),
        predicted: spent.predicted_total().map(seconds),
        spent: Some(seconds(spent.total())),
    });
    if let Some(bytes) = peak_memory() {
        costs.push(report::Cost {
            name: "memory at most".to_string(),
            predicted: spent.predicted_memory.map(report::Amount::Bytes),
            spent: Some(report::Amount::Bytes(bytes)),
        });
    }
    costs
}

/// So many doubtful labels are shown.
const SUSPECTS: usize = 50;

/// BLAKE3 of a file, or of the files of a folder.
pub(crate) fn hash_of(path: &Path) -> Result<String> {
    let failed = |error: std::io::Error| io(path, "a file that can be read", &error);
    let mut hasher = blake3::Hasher::new();
    match path.is_dir() {
        true => {
            let mut entries: Vec<PathBuf> = fs::read_dir(path)
                .map_err(failed)?
                .flatten()
                .map(|entry| entry.path())
                .collect();
            entries.sort();
            for entry in entries {
                hasher.update(hash_of(&entry)?.as_bytes());
            }
        }
        false => {
            let mut file = fs::File::open(path).map_err(failed)?;
            std::io::copy(&mut file, &mut hasher).map_err(failed)?;
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}
