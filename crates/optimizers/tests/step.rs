//! Single steps: what is refused, what is passed on, and what a late or replaced parameter gets.

mod common;

use common::{Parameters, RULES};
use regraft_optimizers::{
    Adam, Error, Optimizer, ParameterInfo, ParameterUpdate, SGD, schedules::PolynomialDecay,
};

fn step(optimizer: &mut Optimizer, info: &ParameterInfo, value: &mut [f32], gradient: &[f32]) {
    let plan = optimizer.prepare(std::slice::from_ref(info)).unwrap();
    let update = ParameterUpdate { value, gradient };
    optimizer.apply(&plan, &mut [update]).unwrap();
}

#[test]
fn a_wrong_length_is_refused_before_anything_moves() {
    let mut optimizer = Adam::new(0.1).build().unwrap();
    let infos = [ParameterInfo::new("a", [2]), ParameterInfo::new("b", [3])];
    let plan = optimizer.prepare(&infos).unwrap();
    let (mut a, mut b) = ([1.0, 2.0], [1.0, 2.0, 3.0]);
    let mut updates = [
        ParameterUpdate {
            value: &mut a,
            gradient: &[1.0, 1.0],
        },
        ParameterUpdate {
            value: &mut b,
            gradient: &[1.0, 1.0],
        },
    ];
    let error = optimizer.apply(&plan, &mut updates).unwrap_err();
    assert!(matches!(error, Error::Parameters(_)));
    assert!(error.to_string().contains("b: expected 3"), "{error}");
    let error = optimizer.apply(&plan, &mut updates[..1]).unwrap_err();
    assert!(error.to_string().contains("2 parameters"), "{error}");
    assert_eq!((a, optimizer.iterations()), ([1.0, 2.0], 0));
}

#[test]
fn a_plan_serves_only_the_optimizer_that_made_it() {
    let info = ParameterInfo::new("w", [1]);
    let mut first = SGD::new(0.1).build().unwrap();
    let plan = first.prepare(std::slice::from_ref(&info)).unwrap();
    let mut second = first.clone();
    let mut value = [1.0];
    let mut update = [ParameterUpdate {
        value: &mut value,
        gradient: &[1.0],
    }];
    assert!(second.apply(&plan, &mut update).is_err());
    first.apply(&plan, &mut update).unwrap();
    assert!(first.forget("w"));
    let error = first.apply(&plan, &mut update).unwrap_err();
    assert!(
        error.to_string().contains("call `prepare` again"),
        "{error}"
    );
}

#[test]
fn a_path_that_occurs_twice_is_refused() {
    let info = ParameterInfo::new("dense/kernel", [1]);
    let mut optimizer = SGD::new(0.1).build().unwrap();
    let error = optimizer
        .prepare(&[info.clone(), info.clone()])
        .unwrap_err();
    assert!(error.to_string().contains("dense/kernel"), "{error}");
    let scaled = info.learning_rate_scale(f32::NAN);
    assert!(optimizer.prepare(&[scaled]).is_err());
}

#[test]
fn an_empty_list_is_no_step() {
    let mut optimizer = SGD::new(0.1).build().unwrap();
    let plan = optimizer.prepare(&[]).unwrap();
    optimizer.apply(&plan, &mut []).unwrap();
    assert_eq!(optimizer.iterations(), 0);
}

#[test]
fn a_parameter_without_elements_is_stepped_over() {
    for name in RULES {
        let mut optimizer = Optimizer::from_name(name).unwrap();
        for shape in [vec![0], vec![0, 3], vec![3, 0]] {
            step(
                &mut optimizer,
                &ParameterInfo::new("w", shape),
                &mut [],
                &[],
            );
        }
    }
}

#[test]
fn a_gradient_that_is_not_a_number_reaches_the_parameter() {
    for name in RULES {
        let mut optimizer = Optimizer::from_name(name).unwrap();
        let (mut value, info) = ([1.0, 2.0], ParameterInfo::new("w", [2]));
        step(&mut optimizer, &info, &mut value, &[f32::NAN, 1.0]);
        assert!(value[0].is_nan(), "{name}: {value:?}");
    }
    for builder in [
        SGD::new(0.1).clipnorm(1.0),
        SGD::new(0.1).global_clipnorm(1.0),
        SGD::new(0.1).clipvalue(1.0),
    ] {
        let mut optimizer = builder.build().unwrap();
        let (mut value, info) = ([1.0, 2.0], ParameterInfo::new("w", [2]));
        step(&mut optimizer, &info, &mut value, &[f32::NAN, 1.0]);
        assert!(value[0].is_nan(), "{value:?}");
    }
}

#[test]
fn a_parameter_unfrozen_late_makes_a_first_step_as_any_other() {
    let mut optimizer = Adam::new(0.1).build().unwrap();
    let (early, late) = (ParameterInfo::new("a", [1]), ParameterInfo::new("b", [1]));
    let (mut a, mut b) = ([1.0], [1.0]);
    for _ in 0..50 {
        step(&mut optimizer, &early, &mut a, &[0.5]);
    }
    // With the bias correction of step 51, this one would be 0.7 times as long; with that of step
    // 1,001, 2.5 times.
    step(&mut optimizer, &late, &mut b, &[0.5]);
    assert!((b[0] - 0.9).abs() < 1e-5, "{b:?}");
    assert_eq!(
        (optimizer.updates("a"), optimizer.updates("b")),
        (Some(50), Some(1))
    );
}

#[test]
fn a_replaced_parameter_of_the_same_name_starts_afresh() {
    let mut optimizer = Adam::new(0.1).build().unwrap();
    let old = ParameterInfo::new("head/kernel", [2]);
    step(&mut optimizer, &old, &mut [1.0, 2.0], &[1.0, 1.0]);
    for new in [old.clone().id(1), ParameterInfo::new("head/kernel", [3])] {
        optimizer.prepare(std::slice::from_ref(&new)).unwrap();
        let momentum = optimizer.slot("head/kernel", "momentum").unwrap();
        assert_eq!(momentum, vec![0.0; new.len()]);
    }
}

#[test]
fn a_learning_rate_scale_scales_step_and_decay() {
    let mut optimizer = SGD::new(0.1).weight_decay(0.5).build().unwrap();
    let info = ParameterInfo::new("w", [1]).learning_rate_scale(0.1);
    let mut value = [2.0];
    step(&mut optimizer, &info, &mut value, &[1.0]);
    assert!((value[0] - (2.0 - 2.0 * 0.5 * 0.01 - 0.01)).abs() < 1e-6);
}

#[test]
fn a_parameter_decays_as_it_says_itself() {
    let mut optimizer = SGD::new(0.1)
        .weight_decay(0.5)
        .exclude_from_weight_decay(["b"])
        .build()
        .unwrap();
    for (info, decay) in [
        (ParameterInfo::new("a", [1]), 0.5),
        (ParameterInfo::new("a", [1]).weight_decay(0.2), 0.2),
        (ParameterInfo::new("a", [1]).weight_decay(0.0), 0.0),
        (ParameterInfo::new("b", [1]), 0.0),
        (ParameterInfo::new("b", [1]).weight_decay(0.3), 0.3),
        (ParameterInfo::new("b", [1]), 0.0),
    ] {
        let mut value = [2.0];
        step(&mut optimizer, &info, &mut value, &[1.0]);
        let expected: f32 = 2.0 - 2.0 * decay * 0.1 - 0.1;
        assert!((value[0] - expected).abs() < 1e-6, "{info:?}: {value:?}");
    }
    let wrong = ParameterInfo::new("a", [1]).weight_decay(f32::NAN);
    assert!(optimizer.prepare(&[wrong]).is_err());
}

#[test]
fn a_schedule_counts_steps_from_zero_and_cannot_be_lost() {
    let schedule = PolynomialDecay::new(1.0, 2).end_learning_rate(0.0);
    let mut optimizer = SGD::new(schedule.clone()).build().unwrap();
    let mut value = [0.0];
    for expected in [1.0, 0.5, 0.0] {
        assert_eq!(optimizer.learning_rate(), expected);
        step(
            &mut optimizer,
            &ParameterInfo::new("w", [1]),
            &mut value,
            &[-1.0],
        );
    }
    assert_eq!(value, [1.5]);
    assert!(optimizer.set_learning_rate(0.1).is_err());
    optimizer.set_learning_rate(schedule).unwrap();
    let mut constant = SGD::new(0.1).build().unwrap();
    constant.set_learning_rate(0.2f32).unwrap();
    assert_eq!(constant.learning_rate(), 0.2);
    assert!(constant.set_learning_rate(f64::NAN).is_err());
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    // Longer than what is left to one thread, and no multiple of any block.
    let length = (1 << 20) + 12_345;
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let mut optimizer = Adam::new(0.01)
                .clipnorm(1.0)
                .weight_decay(0.1)
                .use_ema(true)
                .build()
                .unwrap();
            let mut value: Vec<f32> = (0..length).map(|i| (i % 101) as f32 / 50.0).collect();
            let gradient: Vec<f32> = (0..length).map(|i| (i % 17) as f32 - 8.0).collect();
            for _ in 0..2 {
                let info = ParameterInfo::new("w", [length]);
                step(&mut optimizer, &info, &mut value, &gradient);
            }
            value.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        })
    };
    let alone = run(1);
    assert!(alone == run(2) && alone == run(7));
}

#[test]
fn averages_take_the_parameters_places_at_the_end() {
    let mut optimizer = SGD::new(1.0)
        .use_ema(true)
        .ema_momentum(0.5)
        .build()
        .unwrap();
    let mut values = Parameters::new(&[0.0; Parameters::COUNT]);
    let ones = Parameters::new(&[1.0; Parameters::COUNT]);
    for _ in 0..2 {
        values.step_all(&mut optimizer, &ones);
    }
    // The values were -1 and -2, the average therefore -1 and then -1.5.
    assert_eq!(values.values[1], [-2.0; 3]);
    let plan = optimizer.prepare(&values.infos).unwrap();
    let gradients = ones.values.iter();
    let mut source: Vec<_> = values
        .values
        .iter_mut()
        .zip(gradients)
        .map(|(value, gradient)| ParameterUpdate { value, gradient })
        .collect();
    optimizer.finalize(&plan, &mut source).unwrap();
    assert_eq!(values.values[1], [-1.5; 3]);
}
