//! What holds for every rule, whatever the numbers and the order of calls.

mod common;

use common::{Parameters, RULES};
use proptest::prelude::*;
use regraft_optimizers::{Adam, Builder, Optimizer, ParameterInfo, Step, UpdateRule};

/// Values of the parameters, away from zero.
fn values() -> impl Strategy<Value = Parameters> {
    let number = prop_oneof![0.1f32..2.0, -2.0f32..-0.1];
    prop::collection::vec(number, Parameters::COUNT).prop_map(|v| Parameters::new(&v))
}

/// Gradients of some steps, with zeros among them.
fn gradients() -> impl Strategy<Value = Vec<Parameters>> {
    let number = prop_oneof![3 => -3.0f32..3.0, 1 => Just(0.0)];
    let step = prop::collection::vec(number, Parameters::COUNT).prop_map(|v| Parameters::new(&v));
    prop::collection::vec(step, 1..6)
}

fn rule() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&RULES[..])
}

/// A list of some parameters, at least one, in any order.
fn some_parameters() -> impl Strategy<Value = Vec<usize>> {
    prop::sample::subsequence(vec![0, 1, 2, 3], 1..=4).prop_shuffle()
}

/// Adam with several options at once, so that everything there is to save is there.
fn everything() -> Optimizer {
    Adam::new(0.01)
        .amsgrad(true)
        .weight_decay(0.1)
        .clipvalue(1.0)
        .use_ema(true)
        .ema_momentum(0.7)
        .ema_overwrite_frequency(2)
        .gradient_accumulation_steps(2)
        .build()
        .expect("valid options")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_learning_rate_of_zero_changes_nothing(
        name in rule(), start in values(), gradients in gradients(),
    ) {
        let mut optimizer = Optimizer::from_name(name).unwrap();
        optimizer.set_learning_rate(0.0).unwrap();
        let mut moved = start.clone();
        for gradient in &gradients {
            moved.step_all(&mut optimizer, gradient);
        }
        prop_assert_eq!(moved, start);
    }

    #[test]
    fn a_parameter_left_out_never_changes_and_keeps_its_slots(
        name in rule(),
        start in values(),
        gradients in gradients(),
        chosen in prop::collection::vec(some_parameters(), 6),
    ) {
        let mut optimizer = Optimizer::from_name(name).unwrap();
        let mut moved = start.clone();
        moved.step_all(&mut optimizer, &gradients[0]);
        for (gradient, chosen) in gradients.iter().zip(&chosen) {
            let before = moved.clone();
            let remembered = optimizer.state(&start.infos);
            let plan = optimizer.prepare(&moved.chosen(chosen)).unwrap();
            moved.step(&mut optimizer, &plan, chosen, gradient);
            for frozen in (0..4).filter(|i| !chosen.contains(i)) {
                prop_assert_eq!(before.bits(frozen), moved.bits(frozen));
                let own = start.infos[frozen].path.replace('/', "_");
                let now = optimizer.state(&start.infos);
                for (old, new) in remembered.variables.iter().zip(&now.variables) {
                    prop_assert!(!old.0.contains(&own) || old == new, "{}", old.0);
                }
            }
        }
    }

    #[test]
    fn the_order_of_the_parameters_does_not_matter(
        name in rule(),
        start in values(),
        gradients in gradients(),
        order in Just(vec![0, 1, 2, 3]).prop_shuffle(),
    ) {
        let mut optimizer = Optimizer::from_name(name).unwrap();
        let mut shuffled = optimizer.clone();
        let (mut one, mut other) = (start.clone(), start.clone());
        let plan = shuffled.prepare(&start.chosen(&order)).unwrap();
        for gradient in &gradients {
            one.step_all(&mut optimizer, gradient);
            other.step(&mut shuffled, &plan, &order, gradient);
        }
        for index in 0..4 {
            prop_assert_eq!(one.bits(index), other.bits(index));
        }
    }

    #[test]
    fn an_elementwise_rule_gives_the_same_bits_piece_by_piece(
        name in rule(),
        numbers in prop::collection::vec((-2.0f32..2.0, -2.0f32..2.0), 1..200),
        cut in 0.0f64..1.0,
    ) {
        let optimizer = Optimizer::from_name(name).unwrap();
        let rule = optimizer.rule();
        let info = ParameterInfo::new("w", [numbers.len()]);
        if !rule.elementwise(&info) {
            return Ok(());
        }
        let (start, gradient): (Vec<f32>, Vec<f32>) = numbers.into_iter().unzip();
        let slots: Vec<Vec<f32>> = rule
            .slots(&info)
            .iter()
            .map(|slot| vec![slot.initial; start.len()])
            .collect();
        let cut = (cut * start.len() as f64) as usize;
        let (whole, whole_slots) = in_pieces(rule, &info, &start, &gradient, &slots, &[0]);
        let (parts, part_slots) = in_pieces(rule, &info, &start, &gradient, &slots, &[0, cut]);
        prop_assert_eq!(whole, parts);
        prop_assert_eq!(whole_slots, part_slots);
    }

    #[test]
    fn training_goes_on_from_a_saved_state_as_if_never_interrupted(
        start in values(),
        gradients in gradients(),
        rule in prop::option::of(rule()),
        unfrozen in some_parameters(),
    ) {
        let make = || rule.map_or_else(everything, |name| Optimizer::from_name(name).unwrap());
        let mut optimizer = make();
        let mut values = start;
        // Some parameters start later, so that their counts differ.
        let plan = optimizer.prepare(&values.chosen(&unfrozen)).unwrap();
        values.step(&mut optimizer, &plan, &unfrozen, &gradients[0]);
        for gradient in &gradients {
            values.step_all(&mut optimizer, gradient);
        }
        let known = optimizer.parameters();
        let mut resumed = make();
        resumed.restore(&known, &optimizer.state(&known)).unwrap();
        let mut again = values.clone();
        for gradient in &gradients {
            values.step_all(&mut optimizer, gradient);
            again.step_all(&mut resumed, gradient);
        }
        for index in 0..4 {
            prop_assert_eq!(values.bits(index), again.bits(index));
        }
    }

    #[test]
    fn handling_blocks_gives_the_same_bits_as_the_whole(
        start in prop::collection::vec(-2.0f32..2.0, 1000..3000),
    ) {
        // A weight decay of zero does nothing, but in blocks.
        let step = |builder: Builder<_>| {
            let mut optimizer = builder.build().unwrap();
            let plan = optimizer.prepare(&[ParameterInfo::new("w", [start.len()])]).unwrap();
            let mut value = start.clone();
            let gradient: Vec<f32> = start.iter().rev().copied().collect();
            for _ in 0..2 {
                let update = regraft_optimizers::ParameterUpdate {
                    value: &mut value,
                    gradient: &gradient,
                };
                optimizer.apply(&plan, &mut [update]).unwrap();
            }
            value
        };
        prop_assert_eq!(step(Adam::new(0.1)), step(Adam::new(0.1).weight_decay(0.0)));
    }
}

/// Bits of the value, and of each slot.
type Bits = (Vec<u32>, Vec<Vec<u32>>);

/// Two updates of the pieces that begin at `starts`, one piece after the other.
fn in_pieces(
    rule: &dyn UpdateRule,
    info: &ParameterInfo,
    value: &[f32],
    gradient: &[f32],
    slots: &[Vec<f32>],
    starts: &[usize],
) -> Bits {
    let (mut value, mut slots) = (value.to_vec(), slots.to_vec());
    for count in 1..=2 {
        for (index, &start) in starts.iter().enumerate() {
            let end = starts.get(index + 1).copied().unwrap_or(value.len());
            let mut parts: Vec<&mut [f32]> =
                slots.iter_mut().map(|slot| &mut slot[start..end]).collect();
            let step = Step::new(count, 0.01, info);
            let (value, gradient) = (&mut value[start..end], &gradient[start..end]);
            rule.update(&step, value, gradient, &mut parts);
        }
    }
    let bits = |numbers: &Vec<f32>| numbers.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    (bits(&value), slots.iter().map(bits).collect())
}
