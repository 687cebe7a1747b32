//! How long a head takes on random features: `timing ridge|lda|nearest-mean SAMPLES FEATURES CLASSES [ROUNDS]`; the least
//! of the rounds.

use std::time::Instant;

use regraft_heads::{Lda, NearestMean, Ridge};
use regraft_tensor::Tensor;
use regraft_tensor::kernels::random::{Key, normal};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let usage = "usage: timing ridge|lda|nearest-mean SAMPLES FEATURES CLASSES [ROUNDS]";
    let mut arguments = std::env::args().skip(1);
    let head = arguments.next().ok_or(usage)?;
    let arguments: Vec<usize> = arguments.map(|a| a.parse()).collect::<Result<_, _>>()?;
    let &[samples, width, classes, ref rounds @ ..] = arguments.as_slice() else {
        return Err(usage.into());
    };
    let mut features = vec![0.0; samples * width];
    normal(Key::new(1, 0), 0, &mut features);
    let labels: Vec<i32> = (0..samples).map(|i| (i % classes) as i32).collect();
    for (row, label) in features.chunks_exact_mut(width).zip(&labels) {
        row.iter_mut()
            .skip(*label as usize)
            .step_by(classes)
            .for_each(|x| *x += 0.2);
    }
    let features = Tensor::new([samples, width], features)?;
    let mut least = f64::INFINITY;
    for _ in 0..rounds.first().copied().unwrap_or(3) {
        let start = Instant::now();
        let solved = match head.as_str() {
            "ridge" => Ridge::new().fit(&features, &labels)?,
            "lda" => Lda::new().fit(&features, &labels)?,
            "nearest-mean" => NearestMean::new().fit(&features, &labels)?,
            _ => return Err(usage.into()),
        };
        let seconds = start.elapsed().as_secs_f64();
        println!("{seconds:.3} s: {solved:?}");
        least = least.min(seconds);
    }
    println!("{samples} x {width}, {classes} classes: {least:.3} s");
    Ok(())
}
