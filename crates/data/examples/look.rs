//! Looks into a pair of idx files: shapes, classes, one image, and a split.
//!
//! `cargo run -p regraft-data --example look -- images-idx3-ubyte.gz labels-idx1-ubyte.gz`

use std::path::Path;

use regraft_data::{check_same_samples, read_idx, stratified_split};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/fashion-mnist");
    let mut arguments = std::env::args_os().skip(1);
    let images = arguments
        .next()
        .unwrap_or(fixtures.join("test-images-idx3-ubyte.gz").into());
    let labels = arguments
        .next()
        .unwrap_or(fixtures.join("test-labels-idx1-ubyte.gz").into());

    let images = read_idx(images)?;
    let labels = read_idx(labels)?.to_labels()?;
    println!(
        "images: {} of shape {:?}",
        images.element_type(),
        images.shape()
    );
    check_same_samples(("images", images.shape()[0]), ("labels", labels.len()))?;
    println!("{}\n", labels.histogram());

    if let [_, _, columns] = *images.shape() {
        let pixels = images.to_tensor();
        let brightest = pixels
            .as_slice()
            .iter()
            .copied()
            .fold(f32::MIN_POSITIVE, f32::max);
        for row in pixels.as_slice().chunks(columns).take(images.shape()[1]) {
            let shades = row
                .iter()
                .map(|pixel| b" .:-=+*#%@"[(pixel / brightest * 9.0) as usize]);
            println!("{}", shades.map(char::from).collect::<String>());
        }
        println!("the first image, of class {}\n", labels.as_slice()[0]);
    }

    let split = stratified_split(labels.as_slice(), 0.2, 42)?;
    println!("held back for validation, a fifth of every class:");
    println!("{}", labels.select(&split.validation)?.histogram());
    Ok(())
}
