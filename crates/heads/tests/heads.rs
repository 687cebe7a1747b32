//! Heads against scikit-learn's numbers, and what is said of samples that no head can be solved on.

use regraft_heads::{
    BestHead, ClassWeight, Error, HeadKind, Lda, Logistic, NearestMean, Ridge, Solved,
    Transferability,
};
use regraft_tensor::Tensor;
use serde_json::Value;

/// What ridge regression, discriminant analysis, logistic regression and the nearest mean make of samples, told the
/// settings that follow.
macro_rules! each_head {
    ($features:expr, $labels:expr $(, $setting:ident($value:expr))*) => {
        vec![
            Ridge::new()$(.$setting($value))*.fit($features, $labels).unwrap(),
            Lda::new()$(.$setting($value))*.fit($features, $labels).unwrap(),
            Logistic::new()$(.$setting($value))*.fit($features, $labels).unwrap(),
            NearestMean::new()$(.$setting($value))*.fit($features, $labels).unwrap(),
        ]
    };
}

struct Case {
    golden: Value,
    features: Tensor,
    labels: Vec<i32>,
    weight: ClassWeight,
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect()
}

fn cases() -> Vec<Case> {
    let golden: Vec<Value> = serde_json::from_str(include_str!("golden.json")).unwrap();
    golden
        .into_iter()
        .map(|golden| {
            let samples = golden["samples"].as_u64().unwrap() as usize;
            let features: Vec<f32> = numbers(&golden["features"])
                .iter()
                .map(|&x| x as f32)
                .collect();
            Case {
                features: Tensor::new([samples, features.len() / samples], features).unwrap(),
                labels: numbers(&golden["labels"])
                    .iter()
                    .map(|&label| label as i32)
                    .collect(),
                weight: match golden["balanced"].as_f64().unwrap() {
                    0.0 => ClassWeight::Equal,
                    power => ClassWeight::Balanced(power),
                },
                golden,
            }
        })
        .collect()
}

/// All within `tolerance` of the largest.
fn assert_close(ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len());
    let largest = theirs.iter().fold(0.0_f64, |a, &b| a.max(b.abs()));
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert!(
            (ours - theirs).abs() <= tolerance * largest,
            "{ours} {theirs}"
        );
    }
}

/// The head's numbers as they were before the temperature.
fn scaled(solved: &Solved, values: &[f32]) -> Vec<f64> {
    values
        .iter()
        .map(|&value| f64::from(value) * solved.left_out().temperature())
        .collect()
}

#[test]
fn ridge_is_that_of_scikit_learn() {
    for case in cases() {
        let golden = &case.golden["ridge"];
        let ridge = Ridge::new()
            .class_weight(case.weight)
            .lambdas([golden["ratio"].as_f64().unwrap()]);
        let solved = ridge.fit(&case.features, &case.labels).unwrap();
        assert_close(
            &[solved.choice().value],
            &[golden["lambda"].as_f64().unwrap()],
            1e-12,
        );
        assert_close(
            &scaled(&solved, solved.kernel().as_slice()),
            &numbers(&golden["kernel"]),
            2e-7,
        );
        assert_close(
            &scaled(&solved, solved.bias().as_slice()),
            &numbers(&golden["bias"]),
            2e-7,
        );
    }
}

#[test]
fn transferability_is_that_of_numpy_and_scikit_learn() {
    for case in cases() {
        let ours = Transferability::of(&case.features, &case.labels).unwrap();
        for (ours, name) in [(ours.log_me, "log_me"), (ours.h_score, "h_score")] {
            let theirs = case.golden[name].as_f64().unwrap();
            assert!(
                (ours - theirs).abs() <= 1e-9 * theirs.abs(),
                "{name} {ours} {theirs}"
            );
        }
    }
}

#[test]
fn features_that_say_nothing_are_worth_nothing() {
    let labels = [0, 1, 0, 1];
    let constant = Tensor::new([4, 2], vec![3.0; 8]).unwrap();
    let of = Transferability::of(&constant, &labels).unwrap();
    assert!(of.h_score == 0.0 && of.log_me.is_finite());
    let zeros = Transferability::of(&Tensor::zeros([4, 5]), &labels).unwrap();
    assert!(zeros.h_score == 0.0 && zeros.log_me.is_finite());
    let huge = Tensor::new([4, 1], vec![1e38, -3e38, 2e38, 1e38]).unwrap();
    let _ = Transferability::of(&huge, &labels).unwrap();
    let none = Tensor::new([4, 1], vec![1.0, f32::NAN, 2.0, 0.0]).unwrap();
    assert!(matches!(
        Transferability::of(&none, &labels),
        Err(Error::Features(_))
    ));
}

#[test]
fn logistic_regression_is_that_of_scikit_learn() {
    for case in cases() {
        let golden = &case.golden["logistic"];
        let logistic = Logistic::new()
            .class_weight(case.weight)
            .cs([golden["c"].as_f64().unwrap()]);
        let solved = logistic.fit(&case.features, &case.labels).unwrap();
        let logits = scaled(&solved, solved.logits(&case.features).unwrap().as_slice());
        let ours: Vec<f64> = logits
            .chunks_exact(solved.classes())
            .flat_map(|row| {
                let sum: f64 = row.iter().map(|score| score.exp()).sum();
                row.iter().map(move |score| score.exp() / sum)
            })
            .collect();
        assert_close(&ours, &numbers(&golden["probabilities"]), 1e-6);
    }
}

#[test]
fn discriminant_analysis_and_its_shrinkage_are_those_of_scikit_learn() {
    for case in cases() {
        let golden = &case.golden["lda"];
        if golden.is_null() {
            continue;
        }
        let solved = Lda::new()
            .shrinkages([golden["gamma"].as_f64().unwrap()])
            .fit(&case.features, &case.labels)
            .unwrap();
        let scores = scaled(&solved, solved.logits(&case.features).unwrap().as_slice());
        let ours: Vec<f64> = scores
            .chunks_exact(solved.classes())
            .flat_map(|row| {
                let mean = row.iter().sum::<f64>() / row.len() as f64;
                row.iter().map(move |score| score - mean)
            })
            .collect();
        assert_close(&ours, &numbers(&golden["scores"]), 1e-5);
        let solved = Lda::new()
            .ledoit_wolf()
            .fit(&case.features, &case.labels)
            .unwrap();
        assert_close(
            &[solved.choice().value],
            &[golden["ledoit_wolf"].as_f64().unwrap()],
            1e-9,
        );
    }
}

/// Where the log-loss is least, the mean of −ln p under p is that under the labels, each with a doubt of 1 / (n + 2).
#[test]
fn the_temperature_is_the_best() {
    for case in cases() {
        for solved in each_head!(&case.features, &case.labels) {
            let left_out = solved.left_out();
            let n = left_out.labels().len() as f64;
            let mut slope = 0.0;
            for (row, &label) in left_out
                .probabilities()
                .rows()
                .into_iter()
                .zip(left_out.labels())
            {
                let mean = row.iter().map(|p| p.ln()).sum::<f64>() / row.len() as f64;
                slope += row.iter().map(|p| p * p.ln()).sum::<f64>();
                slope -= (1.0 - 1.0 / (n + 2.0)) * row[label].ln() + mean / (n + 2.0);
            }
            assert!(
                slope.abs() < 1e-8 * n,
                "{:?}: {slope} {}",
                solved.kind(),
                left_out.temperature()
            );
        }
    }
}

/// 90 samples of three classes far apart, in groups of two; sample 7 has the label of another class.
fn blobs() -> (Tensor, Vec<i32>, Vec<usize>) {
    let wobble = |i: usize| ((i * 2_654_435_761) >> 7) % 1000;
    let features = (0..90).flat_map(|i| {
        let class = i / 30;
        (0..4).map(move |j| if j == class { 6.0 } else { 0.0 } + wobble(i / 2 * 4 + j) as f32 / 300.0 + (i % 2) as f32 * 0.01)
    });
    let mut labels: Vec<i32> = (0..90).map(|i| i / 30).collect();
    labels[7] = 2;
    (
        Tensor::new([90, 4], features.collect()).unwrap(),
        labels,
        (0..90).map(|i| i / 2).collect(),
    )
}

#[test]
fn a_wrong_label_is_the_first_suspect_of_every_head() {
    let (features, labels, groups) = blobs();
    let best = BestHead::new()
        .groups(groups.clone())
        .fit(&features, &labels)
        .unwrap();
    let mut heads = each_head!(&features, &labels, groups(groups.clone()));
    heads.push(best.clone());
    for solved in heads {
        let left_out = solved.left_out();
        let suspect = left_out.suspects()[0];
        assert_eq!(
            (suspect.sample, suspect.label, suspect.suggested),
            (7, 2, 0),
            "{:?}",
            solved.kind()
        );
        assert!(suspect.flagged);
        assert_eq!(left_out.confusion()[[2, 0]], 1);
        let accuracy = left_out.accuracy().unwrap();
        assert_eq!(accuracy.count, 45);
        assert!((accuracy.value - 89.0 / 90.0).abs() < 1e-12, "{accuracy}");
        assert!(accuracy.low < accuracy.value && accuracy.high < 1.0);
        let probabilities = solved.predict(&features).unwrap();
        assert_eq!(probabilities.argmax(-1).unwrap().as_slice()[..3], [0, 0, 0]);
    }
    assert_eq!(best.compared().len(), 3);
    assert!(best.compared().is_sorted_by(|a, b| a.1 <= b.1));
    assert_eq!(best.compared()[0].0, best.kind());
}

#[test]
fn an_answer_set_holds_the_label_as_often_as_was_asked() {
    let case = &cases()[0];
    let solved = Ridge::new().fit(&case.features, &case.labels).unwrap();
    for alpha in [0.05, 0.1, 0.3] {
        let set = solved.left_out().answer_set(alpha).unwrap();
        let rows = solved.left_out().probabilities();
        let held = rows
            .rows()
            .into_iter()
            .zip(&case.labels)
            .filter(|(row, label)| {
                let row: Vec<f32> = row.iter().map(|&p| p as f32).collect();
                set.answer(&row).contains(&(**label as usize))
            });
        let share = held.count() as f64 / 60.0;
        assert!(share >= 1.0 - alpha - 0.02, "{alpha}: {share}");
    }
    assert!(matches!(
        solved.left_out().answer_set(1.0),
        Err(Error::Setting(_))
    ));
    let everything = solved.left_out().answer_set(0.001).unwrap();
    assert_eq!(everything.answer(&[0.2, 0.0, 0.8]), [2, 0, 1]);
}

fn message(result: regraft_heads::Result<Solved>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn what_cannot_be_solved_is_said() {
    let features = |shape: [usize; 2]| {
        let values = (0..shape[0] * shape[1])
            .map(|i| ((i * 37) % 11) as f32)
            .collect();
        Tensor::new(shape, values).unwrap()
    };
    let good = features([6, 3]);
    let labels = [0, 0, 1, 1, 2, 2];
    let ridge = Ridge::new();
    let cases = [
        (
            ridge.fit(&features([0, 3]), &[]),
            "unusable features: features: expected shape [samples, features]",
        ),
        (ridge.fit(&features([6, 0]), &labels), "received [6, 0]"),
        (
            ridge.fit(&Tensor::new([6], vec![0.0; 6]).unwrap(), &labels),
            "received [6]. Help: pool or flatten",
        ),
        (
            ridge.fit(&features([1, 3]), &[0]),
            "samples of two classes or more, received 1 samples of one",
        ),
        (ridge.fit(&good, &[0; 6]), "samples of two classes or more"),
        (
            ridge.fit(&good, &labels[..5]),
            "expected 6, one of each sample, received 5",
        ),
        (
            ridge.fit(&good, &[0, 0, 1, 1, 2, -1]),
            "labels, sample 5: expected 0 to 2, received -1",
        ),
        (
            ridge.fit(&good, &[0, 0, 1, 1, 3, 3]),
            "labels, class 2: expected a sample or more",
        ),
        (
            ridge.fit(&good, &[0, 0, 1, 1, 2, i32::MAX]),
            "number the classes 0, 1, 2",
        ),
        (
            ridge.clone().classes(2).fit(&good, &labels),
            "labels, sample 4: expected 0 to 1, received 2",
        ),
        (
            ridge.clone().classes(usize::MAX).fit(&good, &labels),
            "samples of every class",
        ),
        (
            ridge.clone().groups([0; 6]).fit(&good, &labels),
            "two groups or more, received all samples in one",
        ),
        (
            ridge.clone().groups([0, 1]).fit(&good, &labels),
            "expected 6, one of each sample, received 2",
        ),
        (
            ridge.clone().lambdas([]).fit(&good, &labels),
            "Ridge::lambdas: expected a number or more",
        ),
        (
            ridge.clone().lambdas([1.0, 0.0]).fit(&good, &labels),
            "expected positive numbers, received 0",
        ),
        (
            ridge.clone().lambdas([f64::NAN]).fit(&good, &labels),
            "expected positive numbers, received NaN",
        ),
        (
            ridge
                .clone()
                .class_weight(ClassWeight::Balanced(2.0))
                .fit(&good, &labels),
            "a power from 0 to 1, received 2",
        ),
        (
            ridge.fit(&Tensor::new([6, 3], vec![0.1; 18]).unwrap(), &labels),
            "6 samples that are all alike",
        ),
        (
            Lda::new().shrinkages([1.0]).fit(&good, &labels),
            "numbers between 0 and 1",
        ),
        (
            Lda::new().fit(&features([3, 3]), &[0, 1, 2]),
            "features that differ within a class",
        ),
        (
            ridge
                .clone()
                .lambdas([1e-323])
                .groups([0, 0, 1, 1, 2, 3])
                .fit(&good, &labels),
            "no solution in finite numbers: solution: expected weights and left-out scores that are finite",
        ),
        (
            Logistic::new().folds(1).fit(&good, &labels),
            "Logistic::folds: expected 2 or more, received 1",
        ),
    ];
    for (result, expected) in cases {
        let message = message(result);
        assert!(message.contains(expected), "{message}\n{expected}");
    }
    let mut holes = good.as_slice().to_vec();
    holes[7] = f32::NAN;
    let holes = Tensor::new([6, 3], holes).unwrap();
    let expected = "features, sample 2, feature 1: expected a finite number, received NaN";
    assert!(message(ridge.fit(&holes, &labels)).contains(expected));
    assert!(message(NearestMean::new().fit(&holes, &labels)).contains(expected));
    let solved = ridge.fit(&good, &labels).unwrap();
    assert!(matches!(solved.predict(&holes), Err(Error::Features(_))));
    assert!(matches!(
        solved.predict(&features([6, 4])),
        Err(Error::Features(_))
    ));
}

/// Shapes and contents at which formulas have their corners.
#[test]
fn corners_have_answers() {
    let wobble = |i: usize| ((i * 2_654_435_761) >> 9) % 997;
    for (samples, width, classes) in [
        (2, 1, 2),
        (2, 9, 2),
        (3, 2, 2),
        (9, 8, 3),
        (9, 9, 3),
        (9, 10, 3),
        (40, 1, 4),
        (33, 70, 2),
    ] {
        let mut values: Vec<f32> = (0..samples * width)
            .map(|i| wobble(i) as f32 * 1e-3)
            .collect();
        let labels: Vec<i32> = (0..samples).map(|i| (i % classes) as i32).collect();
        if width > 2 {
            // A constant feature and a copy of one.
            for row in values.chunks_exact_mut(width) {
                row[0] = 0.1;
                row[2] = row[1];
            }
        }
        for scale in [1.0, 1e-30, 1e30] {
            let values = values.iter().map(|value| value * scale).collect();
            let features = Tensor::new([samples, width], values).unwrap();
            let mut heads = vec![
                Ridge::new().fit(&features, &labels).unwrap(),
                Logistic::new().fit(&features, &labels).unwrap(),
                NearestMean::new().fit(&features, &labels).unwrap(),
                BestHead::new().fit(&features, &labels).unwrap(),
            ];
            heads.extend(Lda::new().fit(&features, &labels));
            for solved in heads {
                assert!(
                    solved.kernel().as_slice().iter().all(|x| x.is_finite()),
                    "{solved:?}"
                );
                let probabilities = solved.predict(&features).unwrap();
                assert!(
                    probabilities.as_slice().iter().all(|x| x.is_finite()),
                    "{solved:?}"
                );
                assert!(
                    solved
                        .left_out()
                        .probabilities()
                        .iter()
                        .all(|x| x.is_finite()),
                    "{solved:?}"
                );
            }
        }
    }
}

#[test]
fn of_a_class_with_one_group_nothing_is_claimed() {
    let (features, mut labels, _) = blobs();
    labels[7] = 0;
    labels[89] = 3;
    for solved in each_head!(&features, &labels) {
        let left_out = solved.left_out();
        assert!(!left_out.is_known(89) && left_out.is_known(88));
        let classes = left_out.per_class();
        assert_eq!(
            (classes[3].samples, classes[3].groups, classes[3].recall),
            (1, 1, None)
        );
        assert!(classes[0].recall.is_some());
        assert_eq!(left_out.accuracy().unwrap().count, 89);
        assert_eq!(left_out.unknown_classes(), [3]);
        let said = left_out.to_string();
        assert!(
            said.starts_with("accuracy ") && said.ends_with(", but class 3, a single group"),
            "{said}"
        );
        assert_eq!(left_out.suspects().len(), 89);
    }
    // Each class a single sample: weights, but no estimate.
    let three = Tensor::new([3, 2], vec![0.0, 1.0, 2.0, 0.0, 5.0, 5.0]).unwrap();
    for solved in [
        Ridge::new().fit(&three, &[0, 1, 2]).unwrap(),
        Logistic::new().fit(&three, &[0, 1, 2]).unwrap(),
        NearestMean::new().fit(&three, &[0, 1, 2]).unwrap(),
    ] {
        let left_out = solved.left_out();
        assert_eq!(
            (
                left_out.accuracy(),
                left_out.log_loss(),
                left_out.calibration()
            ),
            (None, None, None)
        );
        assert_eq!(left_out.unknown_classes(), [0, 1, 2]);
        assert!(left_out.to_string().starts_with("nothing is known"));
        assert_eq!(
            solved
                .predict(&three)
                .unwrap()
                .argmax(-1)
                .unwrap()
                .as_slice(),
            [0, 1, 2]
        );
    }
}

#[test]
fn unknown_classes_are_told_where_they_can_be() {
    let (features, mut labels, _) = blobs();
    labels[7] = 0;
    let solved = Ridge::new().fit(&features, &labels).unwrap();
    let unknown = solved.unknown().unwrap();
    assert!(unknown.can_tell && unknown.auroc > 0.9, "{unknown:?}");
    let logits = solved.logits(&features).unwrap();
    let called = logits
        .as_slice()
        .chunks_exact(3)
        .filter(|row| unknown.is_unknown(row))
        .count();
    assert!(called <= 9, "{called}");
    // With a class away nothing is left to compare.
    let two: Vec<i32> = labels.iter().map(|label| label / 2).collect();
    let unknown = Ridge::new()
        .fit(&features, &two)
        .unwrap()
        .unknown()
        .unwrap();
    assert!(!unknown.can_tell);
    assert_eq!(
        Logistic::new().fit(&features, &labels).unwrap().unknown(),
        None
    );
    assert_eq!(solved.kind(), HeadKind::Ridge);
}

/// The second group has both classes: left out with the third, all of the second class would be gone.
#[test]
fn a_group_of_two_classes_does_not_hide_one() {
    let (mut features, mut labels, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    for (class, group) in [(0, 0), (0, 1), (1, 1), (1, 2)] {
        for i in 0..5 {
            features.extend([
                class as f32 * 5.0 + (i * 7 % 5) as f32 * 0.1,
                i as f32 * 0.1,
            ]);
            labels.push(class);
            groups.push(group);
        }
    }
    let features = Tensor::new([20, 2], features).unwrap();
    for solved in each_head!(&features, &labels, groups(groups.clone())) {
        let left_out = solved.left_out();
        assert!((0..20).all(|i| left_out.is_known(i)));
        assert_eq!(
            left_out.accuracy().unwrap().value,
            1.0,
            "{:?}",
            solved.kind()
        );
    }
}

#[test]
fn more_folds_than_groups_are_one_of_each() {
    let (features, labels, groups) = blobs();
    let fit = |folds| {
        Logistic::new()
            .groups(groups.clone())
            .cs([1.0])
            .folds(folds)
            .fit(&features, &labels)
            .unwrap()
    };
    assert_eq!(fit(usize::MAX).left_out(), fit(45).left_out());
}

#[test]
fn much_takes_little_memory_or_is_said() {
    // 20,000 samples of one class left out together: a matrix of them all would be 3 GB.
    let wobble = |i: usize| ((i * 2_654_435_761) >> 9) % 997;
    let labels: Vec<i32> = (0..20_100)
        .map(|i| (i / 50 % 402 - 399).max(0))
        .map(|k: i32| k.min(2))
        .collect();
    let values = labels.iter().enumerate().flat_map(|(i, &label)| {
        (0..3).map(
            move |j| if j == label { 5.0 } else { 0.0 } + wobble(3 * i + j as usize) as f32 * 1e-3,
        )
    });
    let features = Tensor::new([20_100, 3], values.collect()).unwrap();
    let unknown = Ridge::new()
        .lambdas([1e-2])
        .fit(&features, &labels)
        .unwrap()
        .unknown()
        .unwrap();
    assert!(
        unknown
            .per_class
            .iter()
            .all(|auroc| (0.0..=1.0).contains(auroc)),
        "{unknown:?}"
    );

    let wide = (0..4 * 12_000).map(|i| wobble(i) as f32).collect();
    let wide = Tensor::new([4, 12_000], wide).unwrap();
    let solved = Ridge::new().fit(&wide, &[0, 0, 1, 1]).unwrap();
    let error = solved.learner().unwrap_err();
    assert!(matches!(error, Error::Memory(_)));
    let expected = "Solved::learner: expected a matrix of 1024 MiB at most, received 1098 MiB for 12000 features. Help: pool";
    assert!(error.to_string().contains(expected), "{error}");
    let error = Logistic::new()
        .fit(&wide, &[0, 0, 1, 1])
        .unwrap()
        .learner()
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("expected a ridge solution, received logistic regression"),
        "{error}"
    );
}

#[test]
fn a_head_comes_back_from_its_bytes_and_other_bytes_are_none() {
    let case = &cases()[0];
    let (features, labels) = (&case.features, &case.labels);
    for solved in each_head!(features, labels) {
        let unknown = solved.unknown();
        let bytes = solved.to_bytes();
        let kept = Solved::from_bytes(&bytes).unwrap();
        assert_eq!(kept.kind(), solved.kind());
        assert_eq!(kept.choice(), solved.choice());
        assert_eq!(kept.kernel(), solved.kernel());
        assert_eq!(kept.bias(), solved.bias());
        assert_eq!(kept.left_out(), solved.left_out());
        assert_eq!(kept.converged(), solved.converged());
        assert_eq!(kept.unknown().is_some(), unknown.is_some());
        assert_eq!(kept.to_bytes(), bytes);
        for length in 0..bytes.len() {
            assert!(Solved::from_bytes(&bytes[..length]).is_none(), "{length}");
        }
        assert!(Solved::from_bytes(&[&bytes[..], &[0; 8]].concat()).is_none());
        // Sizes that promise anything.
        for word in 0..bytes.len() / 8 {
            for value in [0, 1, 1 << 40, u64::MAX / 2, u64::MAX] {
                let mut changed = bytes.clone();
                changed[8 * word..][..8].copy_from_slice(&u64::to_le_bytes(value));
                let _ = Solved::from_bytes(&changed);
            }
        }
    }
}
