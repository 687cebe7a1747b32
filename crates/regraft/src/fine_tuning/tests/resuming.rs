//! A recipe that was interrupted ends as one that was not, in every bit.

use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::Array2;
use regraft_data::{Dataset, Part, RowSpec, Rows};
use regraft_tensor::Detail;

use super::{bytes, classifier, recipes, samples};
use crate::fine_tuning::{FineTune, FineTuned};
use crate::{FeatureCache, Model, Verbosity};

/// Samples that can be read so often, and then no more.
struct Failing {
    x: Array2<f32>,
    y: Vec<i32>,
    reads: AtomicUsize,
    most: usize,
}

impl Failing {
    fn after(most: usize) -> Self {
        let (x, y) = samples();
        let reads = AtomicUsize::new(0);
        Failing { x, y, reads, most }
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }
}

impl Dataset for Failing {
    fn len(&self) -> usize {
        self.y.len()
    }

    fn inputs(&self) -> Vec<RowSpec> {
        vec![RowSpec::floats([2])]
    }

    fn targets(&self) -> Vec<RowSpec> {
        vec![RowSpec::integers([])]
    }

    fn fill(
        &self,
        samples: &[usize],
        _key: crate::random::Key,
        rows: &mut Rows,
    ) -> Result<(), Detail> {
        let before = self.reads.fetch_add(samples.len(), Ordering::Relaxed);
        if before + samples.len() > self.most {
            return Err(Detail::new("the disk", "samples that can be read", "none"));
        }
        if let Some(x) = rows.floats(Part::Input(0)) {
            for (row, &sample) in x.chunks_exact_mut(2).zip(samples) {
                row.copy_from_slice(self.x.row(sample).as_slice().expect("a row"));
            }
        }
        if let Some(y) = rows.integers(Part::Target(0)) {
            let labels = samples.iter().map(|&sample| self.y[sample]);
            y.iter_mut().zip(labels).for_each(|(y, label)| *y = label);
        }
        Ok(())
    }
}

fn told(tuned: &FineTuned) -> String {
    let stages: Vec<_> = tuned.stages().collect();
    format!("{stages:?} {:?} {:?}", tuned.line(), tuned.suggestion())
}

fn uncached(recipe: FineTune<'static>) -> FineTune<'static> {
    recipe.feature_cache(FeatureCache::Off)
}

#[test]
fn interrupted_and_resumed_is_undisturbed() {
    for solves in [true, false] {
        for (name, recipe) in recipes() {
            let change =
                |recipe: FineTune<'static>| uncached(recipe).solve_head(solves).head_epochs(3);
            let undisturbed = Failing::after(usize::MAX);
            let mut expected = classifier(true);
            let tuned = expected.fine_tune(&undisturbed, change(recipe)).unwrap();
            let all = undisturbed.reads();
            let folder = tempfile::tempdir().unwrap();
            let backup = folder.path().join("backup");
            let again = || {
                let (_, recipe) = recipes().into_iter().find(|(it, _)| *it == name).unwrap();
                change(recipe).backup(&backup)
            };
            // Again and again, each time a little later than it came before.
            let mut model = classifier(true);
            let before = bytes(&model);
            let mut interruptions = 0;
            for tenth in [1, 3, 5, 7, 9] {
                let data = Failing::after(all * tenth / 10);
                match model.fine_tune(&data, again()) {
                    Ok(_) => break,
                    Err(error) => assert!(error.to_string().contains("the disk"), "{error}"),
                }
                interruptions += 1;
                assert_eq!(bytes(&model), before, "{name}");
                // As another process has it.
                model = classifier(true);
            }
            assert!(interruptions >= 2, "{name}: {interruptions}");
            let whole = Failing::after(usize::MAX);
            if backup.exists() {
                let resumed = model.fine_tune(&whole, again()).unwrap();
                assert_eq!(told(&resumed), told(&tuned), "{name}");
                assert!(whole.reads() < all, "{name}: {} of {all}", whole.reads());
            }
            assert_eq!(bytes(&model), bytes(&expected), "{name}, solved {solves}");
            assert!(!backup.exists(), "{name}");
        }
    }
}

#[test]
fn a_backup_of_another_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    let recipe = || {
        let recipe = FineTune::new().epochs(4).verbosity(Verbosity::Silent);
        uncached(recipe).backup(&backup)
    };
    let mut model = classifier(false);
    let whole = Failing::after(usize::MAX);
    let error = model.fine_tune(&Failing::after(400), recipe()).unwrap_err();
    assert!(error.to_string().contains("the disk"), "{error}");
    let refused = |model: &mut Model, recipe: FineTune<'_>, part: &str| {
        let before = bytes(model);
        let text = model.fine_tune(&whole, recipe).unwrap_err().to_string();
        assert!(
            text.contains(part) && text.contains("another run"),
            "{part}: {text}"
        );
        assert_eq!(bytes(model), before);
    };
    refused(&mut model, recipe().epochs(5), "5 epochs");
    refused(&mut model, recipe().learning_rate(0.5), "0.5");
    let mut other = classifier(false);
    other
        .set_weight("head/bias", regraft_tensor::Tensor::full([2], 0.5))
        .unwrap();
    refused(&mut other, recipe(), "weights at first");
    model.fine_tune(&whole, recipe()).unwrap();
    assert!(!backup.exists());
}
