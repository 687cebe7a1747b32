//! A weight is known by an identity of its own, not by its name or its place: several models in one
//! graph, copies, new heads under old names, and the optimizer's memory.

use std::collections::HashSet;

use regraft::layers::{BatchNormalization, Dense, Dropout, Input, LayerExt, LayerSpec};
use regraft::ndarray::{Array2, array};
use regraft::optimizers::Adam;
use regraft::random::{Key, normal};
use regraft::{Fit, Model, Sequential, Verbosity};
use regraft_autograd::{Feed, Graph, Program, Run, Tensor, Var, VariableId};
use regraft_layers::{Functional, Mode, layers};

const MODES: [Mode; 3] = [Mode::Training, Mode::Inference, Mode::Constant];

/// Dense layers of these widths on two inputs.
fn stack(seed: u64, widths: &[usize]) -> Model {
    let dense = widths
        .iter()
        .map(|&units| Dense::new(units).activation("tanh").into());
    let layers: Vec<LayerSpec> = [Input::new([2]).into()].into_iter().chain(dense).collect();
    regraft_layers::Sequential::with_seed(layers, seed)
        .unwrap()
        .into()
}

fn ids(model: &Model) -> Vec<VariableId> {
    model.weights().iter().map(|weight| weight.id()).collect()
}

const X: [f32; 6] = [0.5, -1.0, 2.0, 0.25, -0.75, 1.5];

/// What each of these models gives, all written into one graph.
fn together(models: &[&Model], mode: Mode) -> Vec<Vec<f32>> {
    let graph = Graph::new();
    let x = graph.samples("x", &[2]);
    let emit = |model: &&Model| model.emit(&graph, &[x], mode).unwrap().0[0];
    let outputs: Vec<Var<'_>> = models.iter().map(emit).collect();
    let mut program = Program::compile(&graph, &outputs).unwrap().workspace();
    let stores: Vec<_> = models.iter().map(|model| model.weights()).collect();
    let run = Run::default();
    program
        .run(3, &[Feed::F32(&X)], stores.as_slice(), run)
        .unwrap();
    (0..models.len())
        .map(|index| program.output(index).to_vec())
        .collect()
}

#[test]
fn models_in_one_graph_use_their_own_weights() {
    let teacher = stack(1, &[4, 2]);
    let mut student = teacher.clone();
    let kernel = student.weight("dense/kernel").unwrap().value().clone();
    let values = kernel.as_slice().iter().map(|value| value * 2.0).collect();
    let doubled = Tensor::new(kernel.shape(), values).unwrap();
    student.set_weight("dense/kernel", doubled).unwrap();
    let mut frozen = stack(7, &[4, 2]);
    frozen.freeze(..).unwrap();
    let cut = teacher.cut_at("dense_1").unwrap();
    let others = [stack(2, &[4, 2]), stack(3, &[16, 1]), stack(4, &[5, 3, 1])];
    let models: Vec<&Model> = [&teacher, &student, &frozen, &cut]
        .into_iter()
        .chain(&others)
        .collect();
    let alone: Vec<Vec<f32>> = models
        .iter()
        .map(|model| together(&[model], Mode::Constant).remove(0))
        .collect();
    assert_ne!(alone[0], alone[1]);
    for mode in MODES {
        assert_eq!(together(&models, mode), alone, "{mode:?}");
    }
}

/// The loss falls as fast along the gradient as the gradient is long, for the weights of each model.
fn check_gradients<'g>(
    graph: &'g Graph,
    loss: Var<'g>,
    parts: &mut [(&mut Model, Vec<VariableId>)],
) {
    let variable = |model: &Model, id: &VariableId| {
        let weight = model.weights().get(*id).unwrap();
        graph.variable(*id, "", weight.value().shape())
    };
    let wrt: Vec<Var<'_>> = parts
        .iter()
        .flat_map(|(model, ids)| ids.iter().map(|id| variable(model, id)))
        .collect();
    let mut asked = vec![loss];
    asked.extend(graph.grad(loss, &wrt).unwrap());
    let mut program = Program::compile(graph, &asked).unwrap().workspace();
    let mut run = |parts: &[(&mut Model, Vec<VariableId>)]| -> Vec<Vec<f32>> {
        let stores: Vec<_> = parts.iter().map(|(model, _)| model.weights()).collect();
        let none: &[Feed<'_>] = &[];
        program
            .run(1, none, stores.as_slice(), Run::default())
            .unwrap();
        (0..asked.len())
            .map(|index| program.output(index).to_vec())
            .collect()
    };
    let before = run(parts);
    let mut first = 1;
    for part in 0..parts.len() {
        let ids = parts[part].1.clone();
        let gradients = &before[first..first + ids.len()];
        first += ids.len();
        let length: f32 = gradients.iter().flatten().map(|g| g * g).sum();
        assert!(length > 1e-4, "a gradient of model {part}");
        const STEP: f32 = 1e-2;
        let mut at = |steps: f32| {
            let model = &mut *parts[part].0;
            let was: Vec<(VariableId, Tensor)> = ids
                .iter()
                .map(|id| (*id, model.weights().get(*id).unwrap().value().clone()))
                .collect();
            let moved = was.iter().zip(gradients).map(|((id, value), gradient)| {
                let values = value.as_slice().iter().zip(gradient);
                let scale = steps * STEP / length.sqrt();
                let values = values.map(|(value, g)| value + g * scale).collect();
                (*id, Tensor::new(value.shape(), values).unwrap())
            });
            model.set_weights(moved.collect::<Vec<_>>()).unwrap();
            let loss = run(parts)[0][0];
            parts[part].0.set_weights(was).unwrap();
            loss
        };
        let slope = (at(1.0) - at(-1.0)) / (2.0 * STEP);
        let expected = length.sqrt();
        assert!(
            (slope - expected).abs() < 0.02 * expected,
            "model {part}: {slope}, expected {expected}"
        );
    }
}

fn trained(model: &Model, graph: &Graph, x: Var<'_>) -> Vec<VariableId> {
    let (_, emission) = model.emit(graph, &[x], Mode::Training).unwrap();
    emission.trainable.iter().map(|(id, _)| *id).collect()
}

fn fixed(graph: &Graph, values: [f32; 4]) -> Var<'_> {
    graph.constant(Tensor::new([2, 2], values.to_vec()).unwrap())
}

#[test]
fn generator_and_discriminator_get_gradients_of_their_own() {
    let (mut generator, mut discriminator) = (stack(1, &[16, 2]), stack(2, &[16, 1]));
    let graph = Graph::new();
    let noise = fixed(&graph, [0.3, -0.6, 1.2, 0.4]);
    let real = fixed(&graph, [1.0, 1.5, -0.5, 0.7]);
    let (made, _) = generator.emit(&graph, &[noise], Mode::Training).unwrap();
    let (on_made, _) = discriminator.emit(&graph, &made, Mode::Training).unwrap();
    // The second writing uses the same variables, so that its gradients count too.
    let (on_real, _) = discriminator.emit(&graph, &[real], Mode::Training).unwrap();
    let loss = (on_made[0].square() - on_real[0] * 0.5).mean_all();
    let (g, d) = (ids(&generator), ids(&discriminator));
    let mut parts = [(&mut generator, g), (&mut discriminator, d)];
    check_gradients(&graph, loss, &mut parts);
}

#[test]
fn a_model_applied_twice_gets_the_gradients_of_both() {
    let mut model = stack(5, &[8, 3]);
    let graph = Graph::new();
    let (left, right) = (
        fixed(&graph, [0.3, -0.6, 1.2, 0.4]),
        fixed(&graph, [1.0, 1.5, -0.5, 0.7]),
    );
    let a = model.emit(&graph, &[left], Mode::Training).unwrap().0[0];
    let b = model.emit(&graph, &[right], Mode::Training).unwrap().0[0];
    let loss = (a - b).square().mean_all() + (a * b).mean_all();
    let ids = trained(&model, &graph, left);
    check_gradients(&graph, loss, &mut [(&mut model, ids)]);
}

#[test]
fn a_teacher_and_the_student_copied_from_it_are_two_models() {
    let mut teacher = stack(6, &[8, 3]);
    let mut student = teacher.clone();
    let graph = Graph::new();
    let x = fixed(&graph, [0.3, -0.6, 1.2, 0.4]);
    let t = teacher.emit(&graph, &[x], Mode::Training).unwrap().0[0];
    let s = student.emit(&graph, &[x], Mode::Training).unwrap().0[0];
    let loss = (t * 0.5 - s).square().mean_all();
    let (of_teacher, of_student) = (ids(&teacher), ids(&student));
    let mut parts = [(&mut teacher, of_teacher), (&mut student, of_student)];
    check_gradients(&graph, loss, &mut parts);
}

#[test]
fn models_in_one_graph_draw_random_numbers_of_their_own() {
    let layers = layers![Input::new([2]), Dropout::new(0.5)];
    let model: Model = regraft_layers::Sequential::new(layers).unwrap().into();
    let graph = Graph::new();
    let x = graph.constant(Tensor::new([64, 2], vec![1.0; 128]).unwrap());
    let twice = [&model, &model.clone()].map(|model| {
        let (outputs, _) = model.emit(&graph, &[x], Mode::Training).unwrap();
        outputs[0]
    });
    let mut program = Program::compile(&graph, &twice).unwrap().workspace();
    program
        .run(1, &[], model.weights(), Run::default())
        .unwrap();
    assert_ne!(program.output(0), program.output(1));
}

#[test]
fn one_id_for_variables_of_two_shapes_is_an_error() {
    let graph = Graph::new();
    let first = graph.variable(VariableId(3), "generator/kernel", [2, 16]);
    let again = graph.variable(VariableId(3), "generator/kernel", [2, 16]);
    assert_eq!(first.id(), again.id());
    graph.check().unwrap();
    graph.variable(VariableId(3), "discriminator/kernel", [1, 16]);
    let error = graph.check().unwrap_err().to_string();
    for word in ["discriminator/kernel", "(2, 16)", "(1, 16)", "unique"] {
        assert!(error.contains(word), "{word} is not in: {error}");
    }
}

#[test]
fn a_move_keeps_the_identity_and_a_copy_has_its_own() {
    let model = stack(1, &[4, 2]);
    let before = ids(&model);
    for copy in [
        model.clone(),
        model.cut_at("dense").unwrap(),
        model.features(["dense", "dense_1"]).unwrap(),
        model
            .replace_head("dense", layers![Dense::new(2).named("dense_1")])
            .unwrap(),
    ] {
        assert!(ids(&copy).iter().all(|id| !before.contains(id)));
        assert_ne!(copy.revision(), model.revision());
    }
    // A graph of layers gives copies, so that two models made of it are two models.
    let mut f = Functional::new();
    let x = f.input([2]);
    let y = f.apply(model.clone().named("base"), &[x]).unwrap();
    let z = f.apply(Dense::new(2), &[y]).unwrap();
    let made = |output| Model::from(f.model(&[x], &[output]).unwrap());
    let (shorter, longer) = (made(y), made(z));
    assert!(ids(&shorter).iter().all(|id| !ids(&longer).contains(id)));
    assert_eq!(
        together(&[&shorter], Mode::Training),
        together(&[&model], Mode::Training)
    );
    // Moved into another model, and that into a third.
    let mut outer = Sequential::new(layers![Input::new([2])]).unwrap();
    outer.add(model.named("base")).unwrap();
    assert_eq!(ids(&outer), before);
    let mut outermost = Sequential::new(layers![Input::new([2])]).unwrap();
    outermost.add(outer.named("outer")).unwrap();
    assert_eq!(ids(&outermost), before);
    // Changed in place; a refused layer changes nothing.
    outermost.add(BatchNormalization::new()).unwrap();
    assert!(outermost.add(Dense::new(3).named("outer")).is_err());
    assert_eq!(ids(&outermost)[..before.len()], before);
    outermost.pop().unwrap();
    outermost.freeze(..).unwrap();
    assert_eq!(ids(&outermost), before);
    let ids: HashSet<VariableId> = before.iter().copied().collect();
    assert_eq!(ids.len(), before.len());
}

fn data() -> (Array2<f32>, Array2<f32>) {
    let mut numbers = vec![0.0; 32];
    normal(Key::new(4, 0), 0, &mut numbers);
    let x = Array2::from_shape_vec((16, 2), numbers).unwrap();
    let y = x.dot(&array![[0.5_f32, -1.0], [0.25, 2.0]]);
    (x, y)
}

fn classifier(seed: u64) -> Model {
    let layers = layers![
        Input::new([2]),
        Dense::new(4).activation("tanh").named("body"),
        Dense::new(2).named("head"),
    ];
    let mut model = Sequential::with_seed(layers, seed).unwrap();
    model.compile(Adam::new(1e-2), "mse", ()).unwrap();
    model
}

/// As many updates as epochs.
fn fit(model: &mut Model, epochs: usize) {
    let (x, y) = data();
    let options = Fit::new()
        .epochs(epochs)
        .batch_size(16)
        .shuffle(false)
        .verbosity(Verbosity::Silent);
    model.fit(&x, &y, options).unwrap();
}

fn updates(model: &Model, path: &str) -> Option<u64> {
    model.optimizer().unwrap().updates(path)
}

#[test]
fn a_new_head_under_the_old_name_starts_without_memory() {
    let mut model = classifier(1);
    fit(&mut model, 5);
    assert_eq!(updates(&model, "head/kernel"), Some(5));
    model.pop().unwrap();
    model.add(Dense::new(2).named("head")).unwrap();
    fit(&mut model, 1);
    assert_eq!(updates(&model, "head/kernel"), Some(1));
    assert_eq!(updates(&model, "body/kernel"), Some(6));
    // Its first step is Adam's first: as long as the learning rate wherever there is a gradient.
    let slot = |path, name: &str| {
        model
            .optimizer()
            .unwrap()
            .slot(path, name)
            .unwrap()
            .to_vec()
    };
    let (m, v) = (slot("head/bias", "momentum"), slot("head/bias", "velocity"));
    for (m, v) in m.iter().zip(v) {
        let gradient = m / 0.1;
        assert!(
            (v - 0.001 * gradient * gradient).abs() <= 1e-4 * v,
            "{m} {v}"
        );
    }
    // The memory of what is gone does not stay either.
    model.pop().unwrap();
    model.add(Dense::new(2).named("other")).unwrap();
    fit(&mut model, 1);
    assert_eq!(updates(&model, "head/kernel"), None);
}

#[test]
fn an_optimizer_has_no_memory_of_a_copy() {
    let mut model = classifier(1);
    fit(&mut model, 3);
    let head = layers![Dense::new(2).named("head")];
    let mut grafted = model.replace_head("body", head).unwrap();
    let optimizer = model.optimizer().unwrap().clone();
    grafted.compile(optimizer, "mse", ()).unwrap();
    fit(&mut grafted, 1);
    for path in ["head/kernel", "body/kernel"] {
        assert_eq!(updates(&grafted, path), Some(1), "{path}");
    }
}

#[test]
fn freezing_and_unfreezing_keeps_the_memory() {
    let mut model = classifier(1);
    fit(&mut model, 2);
    model.freeze("body").unwrap();
    fit(&mut model, 1);
    model.unfreeze("body").unwrap();
    fit(&mut model, 1);
    assert_eq!(updates(&model, "body/kernel"), Some(3));
    assert_eq!(updates(&model, "head/kernel"), Some(4));
}

#[test]
fn the_memory_goes_through_a_file_to_a_model_of_the_same_layers() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = classifier(1);
    fit(&mut model, 3);
    for file in ["m.weights.h5", "m.keras"] {
        let path = folder.path().join(file);
        let mut loaded = classifier(9);
        if file.ends_with(".keras") {
            model.save(&path).unwrap();
            loaded = Model::open(&path).unwrap().0;
        } else {
            model.save_weights(&path).unwrap();
            let _ = loaded.load_weights(&path).unwrap();
        }
        let mut undisturbed = classifier(1);
        fit(&mut undisturbed, 3);
        fit(&mut undisturbed, 2);
        fit(&mut loaded, 2);
        assert_eq!(updates(&loaded, "head/kernel"), Some(5), "{file}");
        for weight in undisturbed.weights().iter() {
            let value = loaded.weight(weight.path()).unwrap().value();
            assert_eq!(weight.value().as_slice(), value.as_slice(), "{file}");
        }
    }
}
