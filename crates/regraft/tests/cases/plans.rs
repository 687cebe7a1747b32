//! What `plan` says of the frozen prefix is what is run.

use std::sync::{Arc, Mutex};

use regraft::extend::{Call, Configured, Detail, Forward, Layer, Op, Output, Shape, Var};
use regraft::ndarray::{Array1, Array4};
use regraft::prelude::*;
use regraft::{Because, Division};

/// A layer that passes on what it is given, and writes down how many samples it got each time.
#[derive(Clone, Debug, Default)]
struct Spy(Arc<Mutex<Vec<usize>>>);

impl Configured for Spy {}

impl Layer for Spy {
    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        call.graph().apply(self.clone(), inputs)
    }
}

impl Op for Spy {
    fn name(&self) -> &str {
        "spy"
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(operands[0].clone())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        self.0.lock().unwrap().push(operands.shape(0)[0]);
        output.f32().copy_from_slice(operands.f32(0));
        Ok(())
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

/// A frozen network of so many filters, and a head.
fn model(spy: &Spy, filters: usize) -> Model {
    let mut model = Sequential::new(layers![
        Input::new([48, 48, 3]),
        spy.clone(),
        Conv2D::new(filters, 3),
        Conv2D::new(filters, 3),
        GlobalAveragePooling2D::new(),
        Dense::new(2),
    ])
    .unwrap();
    model.freeze(..-1).unwrap();
    model.compile("adam", "mse", ()).unwrap();
    model
}

/// How the prefix is planned for so many samples, and the parts in which it was run.
fn planned_and_run(
    filters: usize,
    samples: usize,
    threads: usize,
) -> (regraft::TrainingPlan, Vec<usize>) {
    let spy = Spy::default();
    let mut model = model(&spy, filters);
    let x = Array4::from_shape_fn((samples, 48, 48, 3), |(n, ..)| n as f32);
    let y = Array1::<f32>::zeros(samples).insert_axis(regraft::ndarray::Axis(1));
    let y = regraft::ndarray::concatenate![regraft::ndarray::Axis(1), y, y];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    let plan = pool.build().unwrap().install(|| {
        let plan = model.plan(samples, 8).unwrap();
        let options = Fit::new().epochs(2).batch_size(8);
        model
            .fit(&x, &y, options.verbosity(Verbosity::Silent))
            .unwrap();
        plan
    });
    let mut parts = spy.0.lock().unwrap().clone();
    parts.sort_unstable();
    (plan, parts)
}

#[test]
fn what_is_planned_is_run() {
    // Much to do for each sample; little; too few samples for two threads.
    let (plan, parts) = planned_and_run(16, 30, 2);
    let Some(Division::DepthFirst {
        samples: 1,
        parts: 30,
        threads: 2,
        because: Because::Weights { weights, values },
    }) = plan.prefix
    else {
        panic!("{plan}");
    };
    assert_eq!(parts, [1; 30]);
    assert!(weights < values, "{plan}");
    let expected = "Frozen layers run depth first, 1 sample at a time on 2 threads: ";
    assert!(plan.to_string().contains(expected), "{plan}");

    let (plan, parts) = planned_and_run(1, 30, 2);
    let Some(Division::DepthFirst {
        samples,
        parts: count,
        because: Because::Work { .. },
        ..
    }) = plan.prefix
    else {
        panic!("{plan}");
    };
    assert_eq!((parts.len(), parts.iter().max()), (count, Some(&samples)));
    assert!(samples > 1 && parts.iter().sum::<usize>() == 30, "{plan}");

    let (plan, parts) = planned_and_run(16, 3, 2);
    let mixed = false;
    let (samples, threads) = (3, 2);
    let whole = Division::OpByOp {
        samples,
        threads,
        mixed,
    };
    assert_eq!((plan.prefix, parts), (Some(whole), vec![3]));
    assert!(
        plan.to_string().contains("op by op, 3 samples at once"),
        "{plan}"
    );
    // Nothing frozen, nothing said.
    let mut all = Sequential::new(layers![Input::new([4]), Dense::new(2)]).unwrap();
    all.compile("adam", "mse", ()).unwrap();
    let plan = all.plan(30, 8).unwrap();
    assert!(plan.prefix.is_none() && !plan.to_string().contains("Frozen"));
}
