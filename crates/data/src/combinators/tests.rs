//! What each combinator gives is what a table of the same rows gives, whatever is asked for and in whatever
//! order.

use std::ops::Range;
use std::sync::Mutex;

use proptest::prelude::*;
use regraft_tensor::Detail;
use regraft_tensor::kernels::random::{Key, uniform};

use crate::{Content, Dataset, Hasher, Part, RowSpec, RowType, Rows, Slice, Split, split_by_group};

/// Rows that say which sample they are of.
#[derive(Debug)]
struct Table {
    samples: usize,
    noisy: bool,
    weighted: bool,
    lends: bool,
    features: Vec<f32>,
    /// How often the input of each sample was written.
    written: Mutex<Vec<usize>>,
}

fn table(samples: usize) -> Table {
    Table {
        samples,
        noisy: false,
        weighted: false,
        lends: false,
        features: (0..samples * 2).map(|i| i as f32).collect(),
        written: Mutex::new(vec![0; samples]),
    }
}

impl Dataset for Table {
    fn len(&self) -> usize {
        self.samples
    }

    fn inputs(&self) -> Vec<RowSpec> {
        vec![RowSpec::floats([2]), RowSpec::integers([1])]
    }

    fn targets(&self) -> Vec<RowSpec> {
        vec![RowSpec::integers([])]
    }

    fn is_fixed(&self) -> bool {
        !self.noisy
    }

    fn has_weights(&self) -> bool {
        self.weighted
    }

    fn fill(&self, samples: &[usize], key: Key, rows: &mut Rows) -> Result<(), Detail> {
        for (row, &sample) in samples.iter().enumerate() {
            let mut noise = [0.0];
            if self.noisy {
                uniform(key.child(sample as u64), 0, &mut noise);
            }
            if let Some(x) = rows.floats(Part::Input(0)) {
                self.written.lock().unwrap()[sample] += 1;
                x[2 * row] = self.features[2 * sample] + noise[0];
                x[2 * row + 1] = self.features[2 * sample + 1];
            }
            if let Some(x) = rows.integers(Part::Input(1)) {
                x[row] = sample as i32;
            }
            if let Some(y) = rows.integers(Part::Target(0)) {
                y[row] = class(sample);
            }
            if let (true, Some(weights)) = (self.weighted, rows.weights()) {
                weights[row] = 1.0 + sample as f32;
            }
        }
        Ok(())
    }

    fn lend(&self, part: Part, samples: Range<usize>) -> Option<Slice<'_>> {
        let lent = self.lends && part == Part::Input(0);
        lent.then(|| Slice::F32(&self.features[2 * samples.start..2 * samples.end]))
    }

    fn content(&self, sample: usize) -> Result<Option<Content>, Detail> {
        let content = Hasher::new("table").number(sample as u64);
        Ok(Some(content.finish()))
    }
}

/// One of three is of class 0.
fn class(sample: usize) -> i32 {
    i32::from(!sample.is_multiple_of(3))
}

/// What a data set gives: all parts and weights that it has, by their bits.
fn given(data: &dyn Dataset, samples: &[usize], key: Key) -> Vec<Vec<u32>> {
    let (inputs, targets) = (data.inputs(), data.targets());
    let mut rows = Rows::new(&inputs, &targets, data.has_weights());
    rows.begin(samples.len());
    data.fill(samples, key, &mut rows).unwrap();
    let parts = (0..inputs.len()).map(Part::Input);
    let parts = parts.chain((0..targets.len()).map(Part::Target));
    let parts = parts.map(|part| match rows.get(part).unwrap() {
        Slice::F32(values) => values.iter().map(|value| value.to_bits()).collect(),
        Slice::I32(values) => values.iter().map(|&value| value as u32).collect(),
    });
    let weights = rows.get_weights().unwrap_or_default().iter();
    let weights = weights.map(|weight| weight.to_bits()).collect();
    parts.chain([weights]).collect()
}

/// Checks that a data set has these samples of the table.
fn check(data: &dyn Dataset, of: &Table, expected: &[usize], asked: &[usize]) {
    assert_eq!(data.len(), expected.len());
    assert_eq!((data.inputs(), data.targets()), (of.inputs(), of.targets()));
    assert_eq!(data.is_fixed(), of.is_fixed());
    let asked: Vec<usize> = match expected.len() {
        0 => Vec::new(),
        length => asked.iter().map(|&it| it % length).collect(),
    };
    let whole: Vec<usize> = asked.iter().map(|&it| expected[it]).collect();
    let key = Key::new(3, 9);
    assert_eq!(given(data, &asked, key), given(of, &whole, key));
    for &position in &asked {
        let content = of.content(expected[position]).unwrap();
        assert_eq!(data.content(position).unwrap(), content);
    }
    if let Some(Slice::F32(lent)) = data.lend(Part::Input(0), 0..data.len()) {
        let rows = expected.iter().map(|&it| &of.features[2 * it..][..2]);
        assert_eq!(lent, rows.collect::<Vec<_>>().concat());
    }
}

proptest! {
    #[test]
    fn what_was_selected_is_what_the_whole_has_there(
        samples in 1_usize..20,
        (from, count) in (0_usize..25, 0_usize..25),
        picked in proptest::collection::vec(0_usize..1000, 0..30),
        asked in proptest::collection::vec(0_usize..1000, 0..30),
        (noisy, weighted, lends) in any::<(bool, bool, bool)>(),
    ) {
        let data = Table { noisy, weighted, lends, ..table(samples) };
        let all: Vec<usize> = (0..samples).collect();
        let picked: Vec<usize> = picked.into_iter().map(|it| it % samples).collect();
        check(&(&data).select(picked.as_slice()).unwrap(), &data, &picked, &asked);
        let (first, rest) = all.split_at(count.min(samples));
        check(&(&data).take(count), &data, first, &asked);
        check(&(&data).skip(count), &data, rest, &asked);
        let part: Vec<usize> = all.iter().copied().skip(from).take(count).collect();
        let cut = (&data).skip(from).take(count);
        check(&cut, &data, &part, &asked);
        prop_assert_eq!(cut.lend(Part::Input(0), 0..cut.len()).is_some(), lends);
        let shuffled = (&data).shuffle(7).unwrap();
        let order: Vec<usize> = (0..samples).map(|position| shuffled.sample(position)).collect();
        check(&shuffled, &data, &order, &asked);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        prop_assert_eq!(&sorted, &all);
        let cached = (&data).cache();
        for _ in 0..2 {
            check(&cached, &data, &all, &asked);
        }
        let split = Split { train: picked.clone(), validation: part.clone() };
        let (train, validation) = data.split(&split).unwrap();
        check(&train, &data, &picked, &asked);
        check(&validation, &data, &part, &asked);
    }

    #[test]
    fn a_split_by_group_moves_nothing_when_samples_come_and_go(
        groups in proptest::collection::vec(0_usize..12, 1..60),
        kept in proptest::collection::vec(any::<bool>(), 60),
        seed in 0_u64..50,
    ) {
        // A group's first sample has its smallest content, and stays.
        let content = |sample: usize| {
            let mut content = Hasher::new("c").number(sample as u64).finish();
            content[0] = sample as u8;
            content
        };
        let first = |sample: usize| groups[..sample].iter().all(|group| *group != groups[sample]);
        let all: Vec<usize> = (0..groups.len()).collect();
        let some: Vec<usize> = all.iter().rev().copied().filter(|&it| first(it) || kept[it]).collect();
        let split = |samples: &[usize]| {
            let contents: Vec<Content> = samples.iter().map(|&sample| content(sample)).collect();
            // Their numbers are others.
            let numbers: Vec<usize> = samples.iter().map(|&sample| 100 - groups[sample]).collect();
            split_by_group(&contents, &numbers, 0.4, seed).map(|split| {
                let validation = split.validation.iter().map(|&position| samples[position]);
                validation.collect::<Vec<usize>>()
            })
        };
        let (Ok(of_all), Ok(of_some)) = (split(&all), split(&some)) else {
            return Ok(());
        };
        for &sample in &all {
            let same = |&it: &usize| groups[it] == groups[sample];
            let (in_all, validated) = (of_all.contains(&sample), of_all.iter().any(same));
            prop_assert_eq!(in_all, validated);
            if some.contains(&sample) {
                prop_assert_eq!(of_some.contains(&sample), in_all);
            }
        }
    }
}

#[test]
fn shares_of_groups_are_met_on_average() {
    let contents: Vec<Content> = (0..4000)
        .map(|i| Hasher::new("c").number(i).finish())
        .collect();
    let groups: Vec<usize> = (0..4000).collect();
    let split = split_by_group(&contents, &groups, 0.2, 1).unwrap();
    // Four standard deviations of a binomial.
    assert!(
        split.validation.len().abs_diff(800) < 102,
        "{}",
        split.validation.len()
    );
    assert_ne!(split, split_by_group(&contents, &groups, 0.2, 2).unwrap());
    assert!(split_by_group(&contents, &groups[1..], 0.2, 1).is_err());
}

#[test]
fn what_was_read_once_is_not_read_again() {
    let data = table(6);
    let cached = (&data).cache();
    given(&cached, &[2, 4, 2], Key::new(0, 0));
    given(&cached, &[4, 5, 2], Key::new(0, 0));
    // A sample that is asked for twice at once may be read twice.
    assert_eq!(*data.written.lock().unwrap(), [0, 0, 2, 0, 1, 1]);
}

#[test]
fn functions_change_samples_in_place_and_random_ones_go_by_the_key() {
    let data = table(5);
    let doubled = (&data).map(|row, _| {
        row.floats(Part::Input(0)).unwrap()[1] *= 2.0;
        row.integers(Part::Target(0)).unwrap()[0] += 10;
        Ok(())
    });
    let rows = given(&doubled, &[3, 1], Key::new(0, 0));
    assert_eq!(rows[0], [6.0_f32, 14.0, 2.0, 6.0].map(f32::to_bits));
    assert_eq!(rows[2], [10, 11]);
    assert!(doubled.is_fixed() && doubled.content(0).unwrap().is_none());
    assert_eq!(doubled.lend(Part::Input(0), 0..5), None);
    let named = doubled.named("doubled");
    let content = named.content(0).unwrap();
    assert!(content.is_some() && content != data.content(0).unwrap());

    let noisy = (&data).augment(noise);
    assert!(!noisy.is_fixed());
    let of = |sample: usize, key: u64| given(&noisy, &[sample], Key::new(key, 0))[0].clone();
    assert_ne!(of(1, 1), of(1, 2));
    assert_eq!(of(1, 1), of(1, 1));
    // Whatever else is asked for.
    assert_eq!(given(&noisy, &[4, 1], Key::new(1, 0))[0][2..], of(1, 1));
}

/// Adds noise to the first number.
fn noise(row: &mut crate::Row<'_>, key: Key) -> Result<(), Detail> {
    let mut noise = [0.0];
    uniform(key, 0, &mut noise);
    row.floats(Part::Input(0)).unwrap()[0] += noise[0];
    Ok(())
}

#[test]
fn views_are_fixed_and_go_by_content() {
    let data = table(5);
    let views = (&data).augment(noise).named("noise").views(3);
    assert!(views.is_fixed());
    assert_eq!(views.len(), 15);
    let view =
        |data: &dyn Dataset, at: usize, key: u64| given(data, &[at], Key::new(key, 0))[0].clone();
    assert_eq!(view(&views, 6, 1), view(&data, 2, 1));
    assert_eq!(view(&views, 7, 1), view(&views, 7, 2));
    let all = [6, 7, 8].map(|at| view(&views, at, 1));
    assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
    // The same sample at another place has the same views under the same contents.
    let turned = (&data)
        .select([2, 0])
        .unwrap()
        .augment(noise)
        .named("noise")
        .views(3);
    for of_sample in 0..3 {
        assert_eq!(view(&turned, of_sample, 5), view(&views, 6 + of_sample, 1));
        let content = turned.content(of_sample).unwrap();
        assert!(content.is_some());
        assert_eq!(content, views.content(6 + of_sample).unwrap());
    }
    let contents: Vec<_> = (0..15)
        .map(|at| views.content(at).unwrap().unwrap())
        .collect();
    let distinct: std::collections::HashSet<_> = contents.iter().collect();
    assert_eq!(distinct.len(), 15);
    assert_eq!(contents[6], data.content(2).unwrap().unwrap());
    // Without a name the plain ones alone can be kept on disk.
    let unnamed = (&data).augment(noise).views(2);
    assert!(unnamed.content(2).unwrap().is_some() && unnamed.content(3).unwrap().is_none());
}

#[test]
fn balanced_classes_count_the_same() {
    for weighted in [false, true] {
        let data = Table {
            weighted,
            ..table(9)
        };
        let balanced = (&data).balanced().unwrap();
        let all: Vec<usize> = (0..9).collect();
        let weights = given(&balanced, &all, Key::new(0, 0)).pop().unwrap();
        for (sample, weight) in weights.into_iter().enumerate() {
            let of_class = if class(sample) == 0 { 3.0 } else { 6.0 };
            let own = if weighted { 1.0 + sample as f32 } else { 1.0 };
            assert_eq!(f32::from_bits(weight), own * (9.0 / (2.0 * of_class)));
        }
    }
    struct Floats;
    impl Dataset for Floats {
        fn len(&self) -> usize {
            2
        }
        fn inputs(&self) -> Vec<RowSpec> {
            vec![RowSpec {
                shape: vec![],
                row_type: RowType::F32,
            }]
        }
        fn fill(&self, _: &[usize], _: Key, _: &mut Rows) -> Result<(), Detail> {
            Ok(())
        }
    }
    assert!(Floats.balanced().is_err());
}

#[test]
fn numbers_of_no_sample_are_refused() {
    let error = table(3).select([0, 3]).unwrap_err().to_string();
    assert!(error.contains("below") && error.contains('3'), "{error}");
}
