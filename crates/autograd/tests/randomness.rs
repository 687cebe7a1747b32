//! Random ops: the same seed gives the same numbers, another step others.

use proptest::prelude::*;
use regraft_autograd::{Dim, Graph, Program, Run, Shape, Tensor};

fn draw(shape: Shape, stream: u64, batch: usize, run: Run) -> Vec<Vec<f32>> {
    let graph = Graph::new();
    let outputs = [
        graph.random_uniform(stream, &shape, 0.0, 1.0),
        graph.random_normal(stream, &shape, 0.0, 1.0),
        graph.bernoulli(stream, &shape, 0.5),
    ];
    let mut program = Program::compile(&graph, &outputs).unwrap().workspace();
    let none: &[Tensor] = &[];
    program.run(batch, &[], none, run).unwrap();
    (0..3).map(|index| program.output(index).to_vec()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn the_same_seed_gives_the_same_numbers(seed: u64, step in 0u64..1 << 32, stream: u64) {
        let (shape, run) = (Shape::batch_of(&[40]), Run { seed, step });
        let drawn = draw(shape.clone(), stream, 3, run);
        prop_assert_eq!(&draw(shape.clone(), stream, 3, run), &drawn);
        // A larger batch continues a smaller one.
        let larger = draw(shape.clone(), stream, 5, run);
        for (larger, drawn) in larger.iter().zip(&drawn) {
            prop_assert_eq!(&larger[..120], &drawn[..]);
        }
        for (other_stream, other) in [
            (stream, Run { seed: seed.wrapping_add(1), step }),
            (stream, Run { seed, step: (step + 1) % (1 << 32) }),
            (stream.wrapping_add(1), run),
        ] {
            for (other, drawn) in draw(shape.clone(), other_stream, 3, other).iter().zip(&drawn) {
                prop_assert_ne!(other, drawn);
            }
        }
    }
}

#[test]
fn numbers_have_the_distribution_that_was_asked_for() {
    let graph = Graph::new();
    let shape = [Dim::Batch, 100.into()];
    let outputs = [
        graph.random_uniform(0, shape, -2.0, 6.0),
        graph.random_normal(1, shape, 3.0, 0.5),
        graph.bernoulli(2, shape, 0.25),
        graph.bernoulli(3, shape, 0.0),
        graph.bernoulli(4, shape, 1.0),
    ];
    let mut program = Program::compile(&graph, &outputs).unwrap().workspace();
    let none: &[Tensor] = &[];
    program.run(1000, &[], none, Run::default()).unwrap();
    let moments = |index: usize| {
        let x = program.output(index);
        let n = x.len() as f64;
        let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let square = x
            .iter()
            .map(|&x| (f64::from(x) - mean).powi(2))
            .sum::<f64>();
        (mean, (square / n).sqrt())
    };
    let near = |index: usize, mean: f64, stddev: f64| {
        let found = moments(index);
        assert!((found.0 - mean).abs() < 0.03, "{index}: {found:?}");
        assert!((found.1 - stddev).abs() < 0.03, "{index}: {found:?}");
    };
    near(0, 2.0, 8.0 / 12f64.sqrt());
    assert!(program.output(0).iter().all(|x| (-2.0..6.0).contains(x)));
    near(1, 3.0, 0.5);
    near(2, 0.25, 0.1875f64.sqrt());
    assert!(program.output(2).iter().all(|&x| x == 0.0 || x == 1.0));
    assert!(program.output(3).iter().all(|&x| x == 0.0));
    assert!(program.output(4).iter().all(|&x| x == 1.0));
}

#[test]
fn one_op_used_twice_draws_once_and_two_ops_draw_twice() {
    let graph = Graph::new();
    let a = graph.random_uniform(0, [8], 0.0, 1.0);
    let b = graph.random_uniform(0, [8], 0.0, 1.0);
    let c = graph.random_uniform(1, [8], 0.0, 1.0);
    let mut program = Program::compile(&graph, &[a - a, a - b, a - c])
        .unwrap()
        .workspace();
    let none: &[Tensor] = &[];
    program.run(1, &[], none, Run::default()).unwrap();
    assert_eq!(program.output(0), [0.0; 8]);
    // The stream is the same, and so are the numbers: a model gives each op a stream of its own.
    assert_eq!(program.output(1), [0.0; 8]);
    assert_ne!(program.output(2), [0.0; 8]);
}
