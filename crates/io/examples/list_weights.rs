//! Prints every tensor of a weight file: `cargo run -p regraft-io --example list_weights -- FILE`.
//!
//! Without an argument it shows a small file that Keras wrote.

use regraft_io::Checkpoint;

const SAMPLE: &[u8] = include_bytes!("../../../fixtures/keras-files/o.weights.h5");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let checkpoint = match std::env::args_os().nth(1) {
        Some(path) => regraft_io::read(path)?,
        None => regraft_io::read_bytes(SAMPLE)?,
    };
    print(&checkpoint);
    Ok(())
}

fn print(checkpoint: &Checkpoint) {
    println!("{}", checkpoint.format);
    if let Some(version) = &checkpoint.metadata.keras_version {
        println!("written by Keras {version}");
    }
    let names = checkpoint.name_paths();
    for (layer, weight) in checkpoint.tensors() {
        let owner = layer.map_or("", |layer| &names[layer.path.as_str()]);
        let name = weight.name.as_deref().unwrap_or("");
        let tensor = &weight.tensor;
        println!(
            "{:40} {:20} {:20} {:8} {:?}",
            weight.path,
            owner,
            name,
            tensor.data_type().name(),
            tensor.shape()
        );
    }
    let optimizer = checkpoint.optimizer.as_ref();
    if let Some(iterations) = optimizer.and_then(|saved| saved.iterations()) {
        println!("the optimizer has taken {iterations} steps");
    }
}
