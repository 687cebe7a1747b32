//! How long opening and reading a file takes: a Keras model of four dense layers with its optimizer
//! (about 360 KB), and one with 2,000 small tensors.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use regraft_io::{Checkpoint, Format, SavedLayer, SavedOptimizer, SavedWeight, keras_weights};
use regraft_tensor::Tensor;

fn dense(sizes: &[usize]) -> Checkpoint {
    let mut checkpoint = Checkpoint::new(Format::KERAS_3);
    let mut keys = regraft_io::ContainerKeys::default();
    let mut slots = Vec::new();
    for pair in sizes.windows(2) {
        let (kernel, bias) = (Tensor::zeros([pair[0], pair[1]]), Tensor::zeros([pair[1]]));
        for slot in [&kernel, &kernel, &bias, &bias] {
            slots.push(SavedWeight::new("slot", slot.clone()));
        }
        let key = keys.next("Dense");
        checkpoint.layers.push(
            SavedLayer::new(format!("layers/{key}"), key)
                .with("kernel", kernel)
                .with("bias", bias),
        );
    }
    checkpoint.optimizer = Some(SavedOptimizer {
        name: Some("adam".to_string()),
        variables: slots,
        loss_scale: Vec::new(),
    });
    checkpoint
}

fn read(criterion: &mut Criterion) {
    let folder = std::env::temp_dir();
    let mut group = criterion.benchmark_group("read");
    for (name, sizes) in [
        ("four_dense_layers", vec![784, 32, 32, 32, 10]),
        ("two_thousand_tensors", vec![4; 334]),
    ] {
        let file = format!("regraft-io-bench-{}-{name}.weights.h5", std::process::id());
        let path = folder.join(file);
        keras_weights::write(&path, &dense(&sizes)).expect("the temporary folder can be written");
        let size = std::fs::metadata(&path).expect("it was written").len();
        group.throughput(Throughput::Bytes(size));
        group.bench_function(name, |bencher| {
            bencher.iter(|| regraft_io::read(&path).expect("it was written by us"));
        });
        let _ = std::fs::remove_file(&path);
    }
    group.finish();
}

criterion_group!(benches, read);
criterion_main!(benches);
