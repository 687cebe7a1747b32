//! A solved head and a factorisation as they are kept, with bytes changed: each is one that can be asked everything, or
//! none.
//!
//! The first byte chooses a set of samples, the second how many bytes are cut off; each four after them change one: its
//! place, and what is put there. So what is read is near to what was written, and has no need of seeds.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use regraft_heads::{ClassWeight, Factorised, Lda, NearestMean, Ridge, Solved};
use regraft_tensor::Tensor;

/// Samples, and what is kept of them.
struct Kept {
    features: Tensor,
    labels: Vec<i32>,
    factorised: Vec<u8>,
    heads: Vec<Vec<u8>>,
}

/// More samples than features, and fewer.
fn kept() -> &'static [Kept] {
    static KEPT: OnceLock<Vec<Kept>> = OnceLock::new();
    KEPT.get_or_init(|| {
        [(17, 3, 3), (7, 11, 2)]
            .map(|(samples, width, classes)| {
                let number = |at: usize| ((at * 7919 + at * at * 31) % 1013) as f32 / 500.0;
                let values = (0..samples * width).map(number).collect();
                let features = Tensor::new([samples, width], values).unwrap();
                let labels: Vec<i32> = (0..samples).map(|at| (at % classes) as i32).collect();
                let of = Factorised::new(&features, &labels, ClassWeight::Equal).unwrap();
                let mut factorised = Vec::new();
                of.write(&mut factorised).unwrap();
                let ridge = Ridge::new().fit(&features, &labels).unwrap();
                // Kept with it.
                assert!(ridge.unknown().is_some());
                let lda = Lda::new().fit(&features, &labels).unwrap();
                let nearest = NearestMean::new().fit(&features, &labels).unwrap();
                let heads = [ridge, lda, nearest].map(|head| head.to_bytes()).to_vec();
                Kept {
                    features,
                    labels,
                    factorised,
                    heads,
                }
            })
            .into()
    })
}

/// Everything that is told of a head.
fn ask(head: &Solved) {
    let features = Tensor::zeros([2, head.features()]);
    let _ = (head.predict(&features), head.unknown(), head.compared());
    let of = head.left_out();
    let _ = (of.accuracy(), of.per_class(), of.confusion(), of.log_loss());
    let _ = (of.calibration(), of.suspects(), of.answer_set(0.1));
    let _ = format!("{head:?}");
}

fuzz_target!(|data: &[u8]| {
    let Some((&[which, cut], changes)) = data.split_first_chunk() else {
        return;
    };
    let kept = &kept()[usize::from(which) % 2];
    let changed = |bytes: &[u8]| {
        let mut bytes = bytes[..bytes.len() - usize::from(cut).min(bytes.len())].to_vec();
        for change in changes.as_chunks::<4>().0 {
            let [a, b, c, value] = *change;
            if let Some(byte) = bytes.get_mut(u32::from_le_bytes([a, b, c, 0]) as usize) {
                *byte = value;
            }
        }
        bytes
    };
    if let Some(of) = kept.heads.get(usize::from(which) / 2 % 4) {
        if let Some(head) = Solved::from_bytes(&changed(of)) {
            ask(&head);
        }
    } else {
        let (features, labels) = (&kept.features, &kept.labels);
        let bytes = changed(&kept.factorised);
        let read = Factorised::read(features, labels, ClassWeight::Equal, &mut &bytes[..]);
        if let Some(factorised) = read.expect("the samples are good") {
            for head in [
                Ridge::new().factorised(&factorised).fit(features, labels),
                Lda::new().factorised(&factorised).fit(features, labels),
            ] {
                head.iter().for_each(ask);
            }
        }
    }
});
