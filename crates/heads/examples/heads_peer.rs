//! What each head makes of features in files, for comparison with others: `heads_peer DIR FEATURES`.
//!
//! DIR holds `train.f32` and `test.f32`, rows of little-endian numbers, and their labels `train.i32` and `test.i32`.
//! Printed is a JSON object for each head; `benches/peers/heads.py` makes the files and reads the answers.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use regraft_heads::{BestHead, Lda, Logistic, NearestMean, Ridge, Solved};
use regraft_tensor::Tensor;
use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, width] = arguments.as_slice() else {
        return Err("usage: heads_peer DIR FEATURES".into());
    };
    let (folder, width) = (Path::new(folder), width.parse()?);
    let (features, labels) = read(folder, "train", width)?;
    let (test, test_labels) = read(folder, "test", width)?;
    type Fit = fn(&Tensor, &[i32]) -> regraft_heads::Result<Solved>;
    let heads: [(&str, Fit); 5] = [
        ("ridge", |x, y| Ridge::new().fit(x, y)),
        ("lda", |x, y| Lda::new().fit(x, y)),
        ("logistic", |x, y| Logistic::new().fit(x, y)),
        ("nearest mean", |x, y| NearestMean::new().fit(x, y)),
        ("best", |x, y| BestHead::new().fit(x, y)),
    ];
    for (name, fit) in heads {
        let start = Instant::now();
        let solved = fit(&features, &labels)?;
        let seconds = start.elapsed().as_secs_f64();
        let left_out = solved.left_out();
        let accuracy = left_out.accuracy();
        let unknown = solved.unknown();
        let probabilities = solved.predict(&test)?;
        let suspects: Vec<usize> = left_out
            .suspects()
            .iter()
            .map(|suspect| suspect.sample)
            .collect();
        let line = json!({
            "name": name,
            "kind": format!("{:?}", solved.kind()),
            "seconds": seconds,
            "chosen": solved.choice().value,
            "estimate": accuracy.map(|a| [a.value, a.low, a.high]),
            "temperature": left_out.temperature(),
            "suspects": suspects,
            "unknown": unknown.map(|unknown| unknown.auroc),
            "predictions": probabilities.argmax(-1)?.as_slice(),
            "scores": scores(probabilities.as_slice(), &test_labels),
        });
        println!("{line}");
    }
    Ok(())
}

fn read(folder: &Path, name: &str, width: usize) -> Result<(Tensor, Vec<i32>)> {
    let words = |ending: &str| -> Result<Vec<[u8; 4]>> {
        let bytes = std::fs::read(folder.join(format!("{name}.{ending}")))?;
        Ok(bytes.as_chunks::<4>().0.to_vec())
    };
    let features: Vec<f32> = words("f32")?.into_iter().map(f32::from_le_bytes).collect();
    let labels: Vec<i32> = words("i32")?.into_iter().map(i32::from_le_bytes).collect();
    Ok((Tensor::new([labels.len(), width], features)?, labels))
}

/// Accuracy, log-loss and calibration error (15 bins) on samples that the head has not seen.
fn scores(probabilities: &[f32], labels: &[i32]) -> [f64; 3] {
    let classes = probabilities.len() / labels.len().max(1);
    let (mut right, mut loss, mut bins) = (0.0, 0.0, [0.0; 15]);
    for (row, &label) in probabilities.chunks_exact(classes.max(1)).zip(labels) {
        let (best, p) =
            row.iter().enumerate().fold(
                (0, 0.0),
                |best, (k, &p)| if p > best.1 { (k, p) } else { best },
            );
        let hit = if best == label as usize { 1.0 } else { 0.0 };
        right += hit;
        loss -= f64::from(row[label as usize]).max(1e-30).ln();
        bins[((p * 15.0) as usize).min(14)] += f64::from(p) - hit;
    }
    let n = labels.len().max(1) as f64;
    [
        right / n,
        loss / n,
        bins.iter().map(|bin: &f64| bin.abs()).sum::<f64>() / n,
    ]
}
