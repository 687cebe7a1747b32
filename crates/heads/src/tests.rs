//! The formulas against solving anew without what is left out, by elimination.

use proptest::prelude::*;
use regraft_tensor::Tensor;

use crate::factor::{Blocks, Factor};
use crate::known::Known;
use crate::left_out::LeftOut;
use crate::samples::{Samples, Told};
use crate::{ClassWeight, Error, Estimate, Logistic, Ridge, Unknown};

/// A problem by its sizes, with numbers that follow from a seed.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub features: Tensor,
    pub labels: Vec<i32>,
    pub groups: Vec<usize>,
    pub weight: ClassWeight,
}

pub(crate) fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let key = regraft_tensor::kernels::random::Key::new(seed, 0);
    let mut out = vec![0.0; count];
    regraft_tensor::kernels::random::normal(key, 0, &mut out);
    out
}

pub(crate) fn problem(
    n: usize,
    width: usize,
    classes: usize,
    grouped: usize,
    balanced: bool,
    seed: u64,
) -> Problem {
    let mut features = numbers(seed, n * width);
    // Unequal classes, all of them there.
    let labels: Vec<i32> = (0..n)
        .map(|i| (i % (classes + 2)).min(classes - 1) as i32)
        .collect();
    for (row, label) in features.chunks_exact_mut(width).zip(&labels) {
        row[*label as usize % width] += 2.0;
        row[0] += 5.0;
        row[width - 1] *= 3.0;
    }
    let groups = (0..n)
        .map(|i| {
            if i % 3 == 0 {
                1000 + i
            } else {
                i / (grouped * (classes + 2))
            }
        })
        .collect();
    Problem {
        features: Tensor::new([n, width], features).unwrap(),
        labels,
        groups,
        weight: if balanced {
            ClassWeight::Balanced(0.7)
        } else {
            ClassWeight::Equal
        },
    }
}

impl Problem {
    pub fn samples(&self) -> Samples {
        let told = Told {
            groups: Some(self.groups.clone()),
            class_weight: self.weight,
            ..Told::default()
        };
        Samples::new(&self.features, &self.labels, &told).unwrap()
    }

    fn row(&self, samples: &Samples, i: usize) -> Vec<f64> {
        let width = samples.width;
        let row = &self.features.as_slice()[samples.order[i] * width..][..width];
        row.iter().map(|&x| f64::from(x)).chain([1.0]).collect()
    }

    /// The weights and the bias without some samples: [Xᵀ W X + λ] β = Xᵀ W Y, the bias without λ.
    pub fn solve(&self, samples: &Samples, lambda: f64, without: &[usize]) -> Vec<f64> {
        let (size, classes) = (samples.width + 1, samples.classes());
        let mut system = vec![vec![0.0; size + classes]; size];
        for i in (0..samples.len()).filter(|i| !without.contains(i)) {
            let (row, weight) = (self.row(samples, i), samples.weight(i));
            for a in 0..size {
                for b in 0..size {
                    system[a][b] += weight * row[a] * row[b];
                }
                system[a][size + samples.labels[i]] += weight * row[a];
            }
        }
        (0..size - 1).for_each(|a| system[a][a] += lambda);
        for a in 0..size {
            let pivot = (a..size)
                .max_by(|&i, &j| system[i][a].abs().total_cmp(&system[j][a].abs()))
                .unwrap();
            system.swap(a, pivot);
            let row = system[a].clone();
            for (_, other) in system.iter_mut().enumerate().filter(|(i, _)| *i != a) {
                let factor = other[a] / row[a];
                for k in a..size + classes {
                    other[k] -= factor * row[k];
                }
            }
        }
        (0..size)
            .flat_map(|a| {
                (0..classes)
                    .map(|k| system[a][size + k] / system[a][a])
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    pub fn scores(&self, samples: &Samples, weights: &[f64], i: usize) -> Vec<f64> {
        let (row, classes) = (self.row(samples, i), samples.classes());
        let score = |k: usize| {
            row.iter()
                .enumerate()
                .map(|(a, x)| x * weights[a * classes + k])
                .sum()
        };
        (0..classes).map(score).collect()
    }
}

pub(crate) fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(1.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn leaving_out_is_solving_without(
        n in 8_usize..70, width in 1_usize..60, classes in 2_usize..5, grouped in 1_usize..4,
        balanced: bool, seed: u64, thirds in -9_i32..9,
    ) {
        let problem = problem(n.max(classes + 2), width, classes, grouped, balanced, seed);
        let factor = Factor::new(&problem.features, problem.samples()).unwrap();
        let samples = &factor.samples;
        let shift = factor.shift(crate::search::power_of_ten(thirds));
        let lambda = factor.lambda(&shift);
        let (kernel, bias) = factor.weights(&shift);
        let all = problem.solve(samples, lambda, &[]);
        for (ours, theirs) in kernel.iter().chain(&bias).zip(&all) {
            prop_assert!(close(*ours, *theirs, 1e-9), "weights: {ours} {theirs}");
        }
        for blocks in [Blocks::groups(samples), Blocks::of_each_class(samples)] {
            let errors = factor.errors_without(&shift, &blocks);
            let both = (factor.all_residuals(&shift), errors.clone());
            prop_assert_eq!(factor.residuals_and_errors(&shift, &blocks), both);
            let scores = factor.scores(errors);
            for members in blocks.all.clone() {
                let weights = problem.solve(samples, lambda, &members);
                for &i in &members {
                    let theirs = problem.scores(samples, &weights, i);
                    for (ours, theirs) in scores[i * classes..].iter().zip(theirs) {
                        prop_assert!(close(*ours, theirs, 1e-10), "{members:?}: {ours} {theirs}");
                    }
                }
            }
        }
    }

    #[test]
    fn lambda_is_that_of_the_least_error_on_left_out_groups(
        n in 8_usize..30, width in 1_usize..25, classes in 2_usize..4, grouped in 1_usize..5,
        balanced: bool, seed: u64,
    ) {
        let problem = problem(n.max(2 * (classes + 2)), width, classes, grouped, balanced, seed);
        let samples = problem.samples();
        let ratios: Vec<f64> = [-9, -3, 0, 4, 9].map(crate::search::power_of_ten).to_vec();
        let ridge = Ridge::new().groups(problem.groups.clone()).class_weight(problem.weight);
        let solved = ridge.lambdas(ratios).fit(&problem.features, &problem.labels).unwrap();
        let tried = &solved.choice().tried;
        for (lambda, ours) in tried {
            // The mean over groups, each left out, of the mean over its members.
            let (mut sum, mut all) = (0.0, 0.0);
            for members in &samples.members {
                let weights = problem.solve(&samples, *lambda, members);
                let known: Vec<usize> = members.iter().copied().filter(|&i| samples.known(i)).collect();
                for &i in &known {
                    let scores = problem.scores(&samples, &weights, i);
                    let squares = scores.iter().enumerate().map(|(k, s)| (samples.target(i, k) - s).powi(2));
                    let weight = samples.weight(i) / known.len() as f64;
                    sum += weight * squares.sum::<f64>();
                    all += weight;
                }
            }
            prop_assert!(close(*ours, sum / all, 1e-7), "{lambda}: {ours} {}", sum / all);
        }
        let least = tried.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        prop_assert_eq!(solved.choice().value, least.0);
    }

    #[test]
    fn the_order_of_samples_changes_no_bit(
        n in 10_usize..50, width in 1_usize..40, classes in 2_usize..5, seed: u64,
    ) {
        let given = problem(n, width, classes, 1, false, seed);
        let order = regraft_tensor::kernels::random::permutation(regraft_tensor::kernels::random::Key::new(seed, 1), n as u32);
        let order: Vec<usize> = order.into_iter().map(|i| i as usize).collect();
        let rows = given.features.as_slice();
        let features: Vec<f32> = order.iter().flat_map(|&i| rows[i * width..][..width].to_vec()).collect();
        let features = Tensor::new([n, width], features).unwrap();
        let labels: Vec<i32> = order.iter().map(|&i| given.labels[i]).collect();
        let groups: Vec<usize> = order.iter().map(|&i| 7 + 3 * given.groups[i]).collect();
        let one = Ridge::new().groups(given.groups.clone()).fit(&given.features, &given.labels).unwrap();
        let other = Ridge::new().groups(groups).fit(&features, &labels).unwrap();
        prop_assert_eq!(one.kernel(), other.kernel());
        prop_assert_eq!(one.bias(), other.bias());
        for (position, &i) in order.iter().enumerate() {
            let (one, other) = (one.left_out().probabilities(), other.left_out().probabilities());
            prop_assert_eq!(one.row(i), other.row(position));
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for (n, width) in [(700, 300), (300, 500)] {
        let problem = problem(n, width, 7, 2, true, 5);
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let ridge = Ridge::new()
                    .groups(problem.groups.clone())
                    .class_weight(problem.weight);
                ridge.fit(&problem.features, &problem.labels).unwrap()
            })
        };
        let one = on(1);
        for threads in [2, 5] {
            let other = on(threads);
            assert_eq!(one.kernel(), other.kernel());
            assert_eq!(one.bias(), other.bias());
            assert_eq!(one.left_out(), other.left_out());
        }
    }
}

/// Discriminants without some samples: Σ = (S + λ) (1 − γ) / Σw with S about the means that are left.
fn discriminants(
    problem: &Problem,
    samples: &Samples,
    lambda: f64,
    gamma: f64,
    without: &[usize],
    i: usize,
) -> Vec<f64> {
    let (width, classes) = (samples.width, samples.classes());
    let rows: Vec<Vec<f64>> = (0..samples.len())
        .map(|i| problem.row(samples, i)[..width].to_vec())
        .collect();
    let inside: Vec<usize> = (0..samples.len())
        .filter(|i| !without.contains(i))
        .collect();
    let mut weights = vec![0.0; classes];
    let mut means = vec![vec![0.0; width]; classes];
    for &i in &inside {
        weights[samples.labels[i]] += samples.weight(i);
        for j in 0..width {
            means[samples.labels[i]][j] += samples.weight(i) * rows[i][j];
        }
    }
    means
        .iter_mut()
        .zip(&weights)
        .for_each(|(mean, weight)| mean.iter_mut().for_each(|x| *x /= weight));
    let total: f64 = weights.iter().sum();
    let mut s = vec![0.0; width * width];
    for &i in &inside {
        let mean = &means[samples.labels[i]];
        for a in 0..width {
            for b in 0..width {
                s[a * width + b] +=
                    samples.weight(i) * (rows[i][a] - mean[a]) * (rows[i][b] - mean[b]);
            }
        }
    }
    (0..width).for_each(|a| s[a * width + a] += lambda);
    assert!(crate::cholesky::factorise(&mut s, width));
    (0..classes)
        .map(|k| {
            let mut solved = means[k].clone();
            crate::cholesky::solve(&s, width, &mut solved, 1);
            let scale = total / (1.0 - gamma);
            let dot = |a: &[f64]| a.iter().zip(&solved).map(|(a, b)| a * b).sum::<f64>() * scale;
            dot(&rows[i]) - 0.5 * dot(&means[k]) + (weights[k] / total).ln()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn discriminants_without_a_block_are_those_of_solving_without(
        n in 12_usize..50, width in 1_usize..40, classes in 2_usize..5, balanced: bool, seed: u64, gamma in 0.05_f64..0.9,
    ) {
        let mut problem = problem(n.max(3 * (classes + 2)), width, classes, 1, balanced, seed);
        problem.groups = (0..problem.labels.len()).collect();
        let factor = Factor::new(&problem.features, problem.samples()).unwrap();
        let samples = &factor.samples;
        let (lambda, scores) = crate::lda::left_out_scores(&factor, gamma).unwrap();
        for members in Blocks::of_each_class(samples).all {
            for &i in &members {
                let theirs = discriminants(&problem, samples, lambda, gamma, &members, i);
                let ours = &scores[i * classes..][..classes];
                for k in 1..classes {
                    // But for a number of each sample.
                    let (ours, theirs) = (ours[k] - ours[0], theirs[k] - theirs[0]);
                    prop_assert!(close(ours, theirs, 1e-7), "{ours} {theirs}");
                }
            }
        }
    }

    #[test]
    fn a_class_left_out_is_solving_without_it(
        n in 12_usize..50, width in 1_usize..40, classes in 3_usize..5, balanced: bool, seed: u64, thirds in -6_i32..6,
    ) {
        let problem = problem(n.max(3 * (classes + 2)), width, classes, 2, balanced, seed);
        let factor = Factor::new(&problem.features, problem.samples()).unwrap();
        let samples = &factor.samples;
        let shift = factor.shift(crate::search::power_of_ten(thirds));
        let lambda = factor.lambda(&shift);
        for class in 0..classes {
            let of_class: Vec<usize> = (0..samples.len()).filter(|&i| samples.labels[i] == class).collect();
            let others = samples.members.iter().filter(|group| group.iter().all(|&i| samples.labels[i] != class));
            let tested: Vec<Vec<usize>> = others.cloned().collect();
            let [unknown, known] = factor.scores_without_class(&shift, class, &tested).unwrap();
            let weights = problem.solve(samples, lambda, &of_class);
            let mut ours = unknown.chunks_exact(classes).chain(known.chunks_exact(classes));
            let mut compare = |weights: &[f64], i: usize| {
                let theirs = problem.scores(samples, weights, i);
                let ours = ours.next().unwrap();
                (0..classes).filter(|&k| k != class).all(|k| close(ours[k], theirs[k], 1e-9))
            };
            for &i in &of_class {
                prop_assert!(compare(&weights, i));
            }
            for group in &tested {
                let without: Vec<usize> = of_class.iter().chain(group).copied().collect();
                let weights = problem.solve(samples, lambda, &without);
                for &i in group {
                    prop_assert!(compare(&weights, i));
                }
            }
        }
    }

    #[test]
    fn learning_one_by_one_is_solving_anew(
        n in 10_usize..40, width in 1_usize..30, classes in 2_usize..4, seed: u64, thirds in -6_i32..6,
    ) {
        // All samples but the last five, and those one by one.
        let problem = problem(n.max(3 * (classes + 2)), width, classes, 1, false, seed);
        let count = problem.labels.len();
        let first = count - 5;
        let rows = problem.features.as_slice();
        let some = Tensor::new([first, width], rows[..first * width].to_vec()).unwrap();
        let ridge = Ridge::new().lambdas([crate::search::power_of_ten(thirds)]);
        let solved = ridge.fit(&some, &problem.labels[..first]).unwrap();
        let mut learner = solved.learner().unwrap();
        prop_assert_eq!(learner.kernel(), solved.kernel().clone());
        for i in first..count {
            learner.learn(&rows[i * width..][..width], problem.labels[i] as usize).unwrap();
        }
        let everything = Problem { groups: (0..count).collect(), ..problem };
        let theirs = everything.solve(&everything.samples(), solved.choice().value, &[]);
        for (ours, theirs) in learner.exact().iter().zip(&theirs) {
            prop_assert!(close(*ours, *theirs, 1e-9), "{ours} {theirs}");
        }
    }
}

#[test]
fn lessons_are_unlike_each_other() {
    // Two classes along one axis; the rows to choose from lie between them, three nearly the same and one apart.
    let rows: Vec<f32> = (0..20)
        .flat_map(|i| {
            [
                (i % 2) as f32 * 4.0 + (i % 5) as f32 * 0.1,
                (i % 3) as f32 * 0.1,
                0.0,
            ]
        })
        .collect();
    let labels: Vec<i32> = (0..20).map(|i| i % 2).collect();
    let solved = Ridge::new()
        .lambdas([1e-3])
        .fit(&Tensor::new([20, 3], rows).unwrap(), &labels)
        .unwrap();
    let pool = vec![
        2.2, 3.0, 0.0, 2.2, 3.01, 0.0, 2.2, 2.99, 0.0, 2.2, 0.0, 3.0, 0.0, 0.0, 0.0,
    ];
    let lessons = solved
        .learner()
        .unwrap()
        .rank(&Tensor::new([5, 3], pool).unwrap(), 5)
        .unwrap();
    let order: Vec<usize> = lessons.iter().map(|lesson| lesson.row).collect();
    assert!(order[..2].contains(&3), "{order:?}");
    assert_eq!(order.len(), 5);
    assert!(lessons[4].worth <= lessons[0].worth);
}

/// Groups of one size or of several: how many of which size.
const SIZES: [&[(usize, usize)]; 3] = [&[(1, 200), (100, 1)], &[(4, 50), (100, 1)], &[(100, 1)]];

/// The group of each sample.
fn groups_of(sizes: &[(usize, usize)]) -> Vec<usize> {
    let each = sizes.iter().flat_map(|&(count, size)| vec![size; count]);
    each.enumerate()
        .flat_map(|(group, size)| vec![group; size])
        .collect()
}

/// Samples of a group are all right or all wrong.
#[test]
fn an_interval_holds_the_share_19_times_of_20() {
    const TIMES: u64 = 500;
    for sizes in SIZES {
        let groups = groups_of(sizes);
        // Of a normal number below the second the first is the probability.
        for (share, below) in [(0.6, 0.253_35), (0.8, 0.841_62), (0.87, 1.126_39)] {
            let held = (0..TIMES).filter(|&seed| {
                let luck = numbers(seed, groups[groups.len() - 1] + 1);
                let right = groups.iter().map(|&group| (luck[group] < below, group));
                let estimate = Estimate::of(right).unwrap();
                estimate.low <= share && share <= estimate.high
            });
            let held = held.count() as f64 / TIMES as f64;
            assert!(held >= 0.93, "{sizes:?}, {share}: {held}");
        }
    }
}

#[test]
fn a_share_has_as_many_trials_as_its_groups_are_worth() {
    let count = |sizes: &[(usize, usize)]| {
        let groups = groups_of(sizes);
        Estimate::of(groups.into_iter().map(|group| (true, group))).map(|of| of.count)
    };
    // 300² / (200² + 100), 300² / (4 · 50² + 100)
    assert_eq!(SIZES.map(count), [Some(2), Some(8), Some(100)]);
    assert_eq!(count(&[(45, 2)]), Some(45));
    assert_eq!(count(&[]), None);
    for value in [f64::NAN, 1.5, -0.1, f64::INFINITY] {
        assert_eq!(Estimate::new(value, 3), None);
    }
}

/// What was left out of two classes: of each group a margin between the two, the same for all its samples, and whether
/// the label is the first class.
fn left_out(groups: &[usize], margins: &[f32], seed: u64) -> LeftOut {
    let n = groups.len();
    let labels: Vec<i32> = groups.iter().map(|group| (group % 2) as i32).collect();
    let told = Told {
        groups: Some(groups.to_vec()),
        ..Told::default()
    };
    let features = Tensor::new([n, 1], numbers(seed, n)).unwrap();
    let samples = Samples::new(&features, &labels, &told).unwrap();
    let mut scores = vec![0.0; 2 * n];
    for position in 0..n {
        let group = groups[samples.order[position]];
        scores[2 * position + group % 2] = f64::from(margins[group]);
    }
    LeftOut::new(&samples, &Known::by_groups(&samples), scores, (1e-3, 1e3))
}

#[test]
fn a_burst_does_not_decide_what_is_promised_of_new_groups() {
    const TIMES: u64 = 150;
    for sizes in SIZES {
        let groups = groups_of(sizes);
        let count = groups[groups.len() - 1] + 1;
        let (mut covered, mut refused) = (0.0, 0.0);
        for seed in 0..TIMES {
            let of = |seed: u64, count: usize| -> Vec<f32> {
                let normal = numbers(seed, count).into_iter();
                normal.map(|x| x + 1.5).collect()
            };
            let left_out = left_out(&groups, &of(seed, count), seed + 1000);
            let set = left_out.answer_set(0.1).unwrap();
            let ([_, maxima], known) = left_out.known_maxima();
            let threshold = Unknown::threshold_of(&maxima, &known);
            // New groups, of one sample each.
            let fresh = of(seed + 5000, 300);
            let p = |margin: f32| 1.0 / (1.0 + (-f64::from(margin) / left_out.temperature()).exp());
            let share = |of: &dyn Fn(f32) -> bool| {
                fresh.iter().filter(|&&margin| of(margin)).count() as f64 / fresh.len() as f64
            };
            covered += share(&|margin| p(margin) >= set.threshold);
            refused += share(&|margin| p(margin).max(1.0 - p(margin)) < threshold);
        }
        let (covered, refused) = (covered / TIMES as f64, refused / TIMES as f64);
        assert!((0.89..0.93).contains(&covered), "{sizes:?}: {covered}");
        assert!((0.035..0.07).contains(&refused), "{sizes:?}: {refused}");
    }
}

#[test]
fn a_burst_says_what_one_sample_of_it_says() {
    let margins: Vec<f32> = numbers(3, 31).into_iter().map(|x| x + 1.0).collect();
    let one = left_out(&groups_of(&[(31, 1)]), &margins, 1);
    let burst = left_out(&groups_of(&[(1, 90), (30, 1)]), &margins, 1);
    let numbers = |of: &LeftOut| {
        let calibration = of.calibration().unwrap();
        [
            of.temperature(),
            of.log_loss().unwrap(),
            calibration.log_loss,
            calibration.uncalibrated_log_loss,
            calibration.error,
            of.answer_set(0.2).unwrap().threshold,
        ]
    };
    for (one, burst) in numbers(&one).into_iter().zip(numbers(&burst)) {
        assert!(close(one, burst, 1e-9), "{one} {burst}");
    }
    assert_eq!(burst.accuracy().unwrap().count, 1);
    let bins = burst.calibration().unwrap().bins;
    assert_eq!(bins.iter().map(|bin| bin.samples).sum::<usize>(), 120);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Groups of any classes.
    #[test]
    fn a_class_that_is_known_is_left(
        n in 6_usize..40, classes in 2_usize..5, groups in 2_usize..12, folds in 2_usize..7, seed: u64,
    ) {
        let luck = numbers(seed, 2 * n);
        let part = |x: f32, of: usize| (x.abs() * 1e4) as usize % of;
        let mut labels: Vec<i32> = luck[..n].iter().map(|&x| part(x, classes) as i32).collect();
        (0..classes).for_each(|k| labels[k] = k as i32);
        let mut group: Vec<usize> = luck[n..].iter().map(|&x| part(x, groups)).collect();
        (group[0], group[1]) = (0, 1);
        let features = Tensor::new([n, 2], numbers(seed ^ 1, 2 * n)).unwrap();
        let told = Told { groups: Some(group.clone()), ..Told::default() };
        let samples = Samples::new(&features, &labels, &told).unwrap();
        let rest = |block: &[usize], i: usize| {
            (0..n).any(|j| !block.contains(&j) && samples.labels[j] == samples.labels[i])
        };
        for block in Blocks::of_each_class(&samples).all {
            for &i in block.iter().filter(|&&i| samples.known(i)) {
                prop_assert!(rest(&block, i), "{:?}", samples.members);
            }
        }
        // Folds may have to leave out a class as a whole, but then they say so.
        let count = folds.min(samples.members.len());
        let fold = crate::logistic::folds(&samples, count);
        let known = Known::by_folds(&samples, &fold);
        for (i, &share) in known.shares().iter().enumerate() {
            let block: Vec<usize> = (0..n).filter(|&j| fold[j] == fold[i]).collect();
            prop_assert_eq!(share > 0.0, rest(&block, i));
            prop_assert!(samples.groups.iter().zip(&fold).all(|(g, f)| *g != samples.groups[i] || *f == fold[i]));
        }
        let left_out = Logistic::new().groups(group).folds(folds).fit(&features, &labels);
        prop_assert!(left_out.is_ok());
    }
}

#[test]
fn what_took_more_steps_than_it_may_says_so() {
    let problem = problem(40, 6, 3, 1, false, 1);
    let logistic = Logistic::new().cs([10.0]);
    let solved = |steps: usize| {
        let mut logistic = logistic.clone();
        logistic.steps = steps;
        logistic.fit(&problem.features, &problem.labels).unwrap()
    };
    assert!(!solved(2).converged());
    assert!(solved(500).converged());
}

#[test]
fn an_error_that_is_no_number_is_never_the_least() {
    let problem = problem(40, 6, 3, 1, false, 1);
    let factor = Factor::new(&problem.features, problem.samples()).unwrap();
    let ratios = || crate::search::Candidates::These(vec![1.0, 2.0, 3.0]);
    let search = |errors: [f64; 3]| {
        crate::search::search(&factor, ratios(), |shift| {
            let ratio = shift.ratio;
            (ratio, errors[ratio as usize - 1])
        })
    };
    assert_eq!(search([f64::NAN, 5.0, 4.0]).unwrap().0, 3.0);
    assert_eq!(search([f64::INFINITY, 5.0, f64::NAN]).unwrap().0, 2.0);
    assert!(matches!(search([f64::NAN; 3]), Err(Error::Rounding(_))));
}
