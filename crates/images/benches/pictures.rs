//! One photo of 500 × 375: what each step takes on one thread.

use criterion::{Criterion, criterion_group, criterion_main};
use regraft_images::{Inspection, Limits, Picture, Resize, decode, perceptual_hash};

/// Waves and noise, about as hard to decode as a photo (60 kB).
fn photo() -> Vec<u8> {
    let (width, height) = (500, 375);
    let mut state = 1_u32;
    let mut pixels = Vec::with_capacity(width * height * 3);
    for row in 0..height {
        for column in 0..width {
            for channel in 0..3 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = f64::from(state >> 24) / 16.0;
                let (x, y) = (row as f64 / 40.0, column as f64 / (30.0 + channel as f64));
                pixels.push((120.0 + 60.0 * x.sin() + 50.0 * y.cos() + noise) as u8);
            }
        }
    }
    Picture::new(width, height, pixels)
        .expect("as many pixels as the size says")
        .to_jpeg(85)
        .expect("a sound size")
}

fn pictures(criterion: &mut Criterion) {
    let file = photo();
    let limits = Limits::default();
    let picture = decode(&file, &limits).expect("a sound file");
    let resize = Resize::new([224, 224]);
    criterion.bench_function("decode", |bencher| bencher.iter(|| decode(&file, &limits)));
    criterion.bench_function("resize", |bencher| bencher.iter(|| picture.resize(&resize)));
    criterion.bench_function("inspect", |bencher| {
        bencher.iter(|| Inspection::of(&picture, [0; 32]))
    });
    criterion.bench_function("perceptual hash", |bencher| {
        bencher.iter(|| perceptual_hash(&picture))
    });
}

criterion_group!(benches, pictures);
criterion_main!(benches);
