//! How fast rows are written and read: 7,390 of 1,280 floats, as the features of that many pictures are.
//!
//! `cargo run --release -p regraft-features --example speed -- FOLDER`

use std::time::Instant;

use regraft_features::FeatureStore;

fn main() -> regraft_features::Result<()> {
    const ROWS: usize = 7_390;
    const WIDTH: usize = 1_280;
    let temporary = std::env::temp_dir().join(format!("regraft-speed-{}", std::process::id()));
    let folder = std::env::args().nth(1).map_or(temporary, Into::into);
    let store = FeatureStore::open(&folder)?;
    let key = |number: usize| {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_le_bytes());
        key
    };
    let row: Vec<f32> = (0..WIDTH).map(|i| (i as f32).sin()).collect();
    let told = |what: &str, since: Instant| {
        let seconds = since.elapsed().as_secs_f64();
        let rate = (ROWS * WIDTH * 4) as f64 / 1e9 / seconds;
        println!("{what}: {:.1} ms, {rate:.2} GB/s", 1e3 * seconds);
    };
    let since = Instant::now();
    let mut features = store.namespace(&[1; 32], &[vec![WIDTH]])?;
    for number in 0..ROWS {
        features.put(&key(number), &row)?;
    }
    features.flush()?;
    told("written", since);
    for _ in 0..3 {
        let since = Instant::now();
        let features = store.namespace(&[1; 32], &[vec![WIDTH]])?;
        let mut read = vec![0.0; ROWS * WIDTH];
        let rows = read.chunks_exact_mut(WIDTH).enumerate();
        let found = rows.filter_map(|(number, row)| features.get(&key(number), row).then_some(()));
        assert_eq!(found.count(), ROWS);
        told("opened and read", since);
    }
    store.clear()
}
