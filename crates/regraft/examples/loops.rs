//! Training loops of one's own: distillation, a GAN, SAM, mixup, adversarial training, a gradient penalty.
//!
//! Each is a function of a few lines around `train_step`; the tests compare their numbers with the same loops
//! in Keras. `cargo run --release -p regraft --example loops`

use regraft::data::batches;
use regraft::explain;
use regraft::ndarray::Axis;
use regraft::optimizers::IntoOptimizer;
use regraft::prelude::*;
use regraft::random::{Key, uniform};

/// Samples with class numbers, batch by batch.
pub type Labelled = (Array2<f32>, Array1<i32>);

/// Distillation (Hinton et al. 2015): the student learns the softened answers of a teacher beside the labels.
pub fn distillation(
    teacher: &Model,
    student: &mut Model,
    optimizer: impl IntoOptimizer,
    data: &[Labelled],
) -> regraft::Result<Vec<f64>> {
    const TEMPERATURE: f32 = 4.0;
    let mut step = student.train_step(optimizer, |step| {
        let (x, y, own) = (step.input(0), step.feed_classes("y", &[]), step.output(0));
        let taught = (step.frozen(teacher, &[x])?[0] / TEMPERATURE).softmax();
        let hard = step.loss(SparseCategoricalCrossentropy::from_logits(), y, own);
        let soft = step.loss("kl_divergence", taught, (own / TEMPERATURE).softmax());
        Ok(hard * 0.1 + soft * (0.9 * TEMPERATURE * TEMPERATURE))
    })?;
    let run = |(x, y): &Labelled| Ok(step.run(student, (x, y))?.loss);
    data.iter().map(run).collect()
}

/// A GAN (Goodfellow et al. 2014): the critic tells real from made, the generator learns to fool it.
pub fn gan(
    (generator, critic): (&mut Model, &mut Model),
    (slow, fast): (impl IntoOptimizer, impl IntoOptimizer),
    data: &[(Array2<f32>, Array2<f32>)],
) -> regraft::Result<Vec<(f64, f64)>> {
    let latent = generator.input_shapes()[0].sample().unwrap_or_default();
    let mut judge = critic.train_step(fast, |step| {
        let noise = step.feed("noise", &latent);
        let made = step.live(generator, &[noise])?;
        let (real, fake) = (step.output(0), step.call(&made)?[0]);
        Ok((-real).softplus().mean_all() + fake.softplus().mean_all())
    })?;
    let mut fool = generator.train_step(slow, |step| {
        let made = step.outputs();
        Ok((-step.live(critic, &made)?[0]).softplus().mean_all())
    })?;
    let mut losses = Vec::new();
    for (x, noise) in data {
        let judged = judge.run_with(critic, &[generator], (x, noise))?;
        losses.push((
            judged.loss,
            fool.run_with(generator, &[critic], noise)?.loss,
        ));
    }
    Ok(losses)
}

/// Sharpness-aware minimization (Foret et al. 2021): the gradient where the loss is worst nearby.
pub fn sam(
    model: &mut Model,
    optimizer: impl IntoOptimizer,
    data: &[Labelled],
) -> regraft::Result<Vec<f64>> {
    let mut step = model.train_step(optimizer, |step| {
        let (y, output) = (step.feed_classes("y", &[]), step.output(0));
        Ok(step.loss(SparseCategoricalCrossentropy::from_logits(), y, output))
    })?;
    let mut losses = Vec::new();
    for (x, y) in data {
        let gradients = step.gradients(model, (x, y))?;
        let before = step.shift(model, &gradients, 0.05 / gradients.norm())?;
        let sharp = step.gradients(model, (x, y))?;
        step.restore(model, before)?;
        step.apply(model, &sharp)?;
        losses.push(gradients.scores().loss);
    }
    Ok(losses)
}

/// Mixup (Zhang et al. 2018): samples and labels between those of two samples.
pub fn mixup(
    model: &mut Model,
    optimizer: impl IntoOptimizer,
    data: &[(Labelled, Labelled, Array1<f32>)],
) -> regraft::Result<Vec<f64>> {
    let mut step = model.train_step(optimizer, |step| {
        let (x, y) = (step.input(0), step.feed_classes("y", &[]));
        let others = step.feed("other_x", &x.shape().sample().unwrap_or_default());
        let other_y = step.feed_classes("other_y", &[]);
        let share = step.feed("share", &[1]);
        let output = step.call(&[x * share + others * (1.0 - share)])?[0];
        let classes = output.shape().sample().unwrap_or_default()[0];
        let targets = y.one_hot(classes) * share + other_y.one_hot(classes) * (1.0 - share);
        Ok(step.loss(CategoricalCrossentropy::from_logits(), targets, output))
    })?;
    let run = |((x, y), (others, other_y), share): &(Labelled, Labelled, Array1<f32>)| {
        Ok(step.run(model, (x, y, others, other_y, share))?.loss)
    };
    data.iter().map(run).collect()
}

/// Adversarial training (Goodfellow et al. 2015): also on samples that were moved where the loss grows.
pub fn adversarial(
    model: &mut Model,
    optimizer: impl IntoOptimizer,
    data: &[Labelled],
) -> regraft::Result<Vec<f64>> {
    let mut step = model.train_step(optimizer, |step| {
        let (x, y) = (step.input(0), step.feed_classes("y", &[]));
        let loss = SparseCategoricalCrossentropy::from_logits;
        let output = step.output(0);
        let clean = step.loss(loss(), y, output);
        let worse = x + step.gradient(clean, x).sign().stop_gradient() * 0.1;
        let attacked = step.call(&[worse])?[0];
        Ok((clean + step.loss(loss(), y, attacked)) * 0.5)
    })?;
    let run = |(x, y): &Labelled| Ok(step.run(model, (x, y))?.loss);
    data.iter().map(run).collect()
}

/// The critic of a WGAN with a gradient penalty (Gulrajani et al. 2017): the loss has a gradient in it.
pub fn gradient_penalty(
    critic: &mut Model,
    optimizer: impl IntoOptimizer,
    data: &[(Array2<f32>, Array2<f32>, Array1<f32>)],
) -> regraft::Result<Vec<f64>> {
    let mut step = critic.train_step(optimizer, |step| {
        let (x, real) = (step.input(0), step.output(0));
        let made = step.feed("made", &x.shape().sample().unwrap_or_default());
        let share = step.feed("share", &[1]);
        let between = x * share + made * (1.0 - share);
        let (middle, fake) = (step.call(&[between])?[0], step.call(&[made])?[0]);
        let slope = step.gradient(middle, between).square().sum(&[1]).sqrt();
        let penalty = (slope - 1.0).square().mean_all();
        Ok(fake.mean_all() - real.mean_all() + penalty * 10.0)
    })?;
    let run = |(x, made, share): &(Array2<f32>, Array2<f32>, Array1<f32>)| {
        Ok(step.run(critic, (x, made, share))?.loss)
    };
    data.iter().map(run).collect()
}

fn classifier(seed: u64) -> regraft::Result<Model> {
    let layers = layers![
        Input::new([2]),
        Dense::new(16).activation("tanh"),
        Dense::new(2)
    ];
    Sequential::with_seed(layers, seed)
}

/// All of them, on points within and without a circle.
pub fn main() -> regraft::Result<()> {
    let mut numbers = vec![0.0; 1024];
    uniform(Key::new(1, 1), 0, &mut numbers);
    let x = Array2::from_shape_vec((512, 2), numbers).expect("512 × 2 numbers") * 2.0 - 1.0;
    let class = |row: regraft::ndarray::ArrayView1<'_, f32>| i32::from(row.dot(&row) < 0.6);
    let y: Array1<i32> = x.outer_iter().map(class).collect();
    let mut data: Vec<Labelled> = Vec::new();
    for epoch in 0..20 {
        let rows = batches(512, 64, 1, epoch).into_iter();
        data.extend(rows.map(|rows| (x.select(Axis(0), &rows), y.select(Axis(0), &rows))));
    }
    let told = |name: &str, losses: &[f64]| {
        println!(
            "{name:<16} {:.4} → {:.4}",
            losses[0],
            losses[losses.len() - 1]
        );
    };
    let (mut teacher, mut student) = (classifier(1)?, classifier(2)?);
    told("SAM", &sam(&mut teacher, Adam::new(0.02), &data)?);
    told(
        "distillation",
        &distillation(&teacher, &mut student, Adam::new(0.02), &data)?,
    );
    told(
        "adversarial",
        &adversarial(&mut classifier(3)?, Adam::new(0.02), &data)?,
    );
    let shares = |length: usize| Array1::from_elem(length, 0.7_f32);
    let pairs = data
        .windows(2)
        .map(|pair| (pair[0].clone(), pair[1].clone(), shares(64)));
    let pairs: Vec<_> = pairs.collect();
    told(
        "mixup",
        &mixup(&mut classifier(4)?, Adam::new(0.02), &pairs)?,
    );
    let mut critic = classifier(5)?.replace_head(-2, layers![Dense::new(1)])?;
    let made = data.iter().map(|(x, _)| (x.clone(), x * 0.5, shares(64)));
    let made: Vec<_> = made.collect();
    told(
        "gradient penalty",
        &gradient_penalty(&mut critic, Adam::new(0.01), &made)?,
    );
    let mut generator = classifier(6)?;
    let noise = data.iter().map(|(x, _)| {
        (
            x.clone(),
            x.slice(regraft::ndarray::s![..;-1, ..]).to_owned(),
        )
    });
    let noise: Vec<_> = noise.collect();
    let losses = gan(
        (&mut generator, &mut critic),
        (Adam::new(0.01), Adam::new(0.01)),
        &noise,
    )?;
    println!(
        "GAN, at the end  critic {:.4}, generator {:.4}",
        losses[losses.len() - 1].0,
        losses[losses.len() - 1].1
    );
    let point = Array2::from_elem((1, 2), 0.5);
    let slope = explain::saliency(&teacher, &point, 1)?;
    println!("what moves the answer at {point}: {:?}", slope.as_slice());
    Ok(())
}
