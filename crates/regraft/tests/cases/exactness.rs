//! The same bytes on every machine with fused multiply-add: what training gives, beside what it gave elsewhere
//! (`docs/exactness.md`).

use regraft::ndarray::{Array1, Array2, Array4};
use regraft::prelude::*;
use regraft_tensor::kernels::isa::Isa;

/// Names and digests, a line each.
const COMMITTED: &str = include_str!("../../../../fixtures/golden/exactness.txt");

/// The FNV-1a hash of all weights and predictions.
fn digest(model: &Model, predictions: &Tensor) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let weights = model.weights().iter().map(|weight| weight.value());
    for value in weights.chain([predictions]) {
        for byte in value
            .as_slice()
            .iter()
            .flat_map(|x| x.to_bits().to_le_bytes())
        {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

/// A number from -1 to 1, the same everywhere: of a sine the last bit may depend on the machine.
fn number(index: usize) -> f32 {
    let mixed = (index as u32).wrapping_mul(2_654_435_761) >> 8;
    mixed as f32 / 8_388_608.0 - 1.0
}

fn options() -> Fit<'static> {
    Fit::new()
        .epochs(2)
        .batch_size(16)
        .seed(7)
        .verbosity(Verbosity::Silent)
}

/// Pictures through convolutions of every kind, with the head alone trained or all of it.
fn pictures(frozen: bool) -> String {
    let x = Array4::from_shape_fn((48, 13, 11, 3), |(n, i, j, c)| {
        number(((n * 13 + i) * 11 + j) * 3 + c)
    });
    let y = Array1::from_shape_fn(48, |n| (n * n % 5) as i32);
    let mut model = Sequential::with_seed(
        layers![
            Input::new([13, 11, 3]),
            Conv2D::new(37, 3).padding("same").use_bias(false),
            BatchNormalization::new(),
            ActivationLayer::new("relu6"),
            DepthwiseConv2D::new(3).strides(2).padding("same"),
            BatchNormalization::new(),
            ActivationLayer::new("silu"),
            Conv2D::new(70, 1).activation("gelu"),
            MaxPooling2D::new(2),
            Dropout::new(0.3),
            Conv2D::new(16, 2).groups(2).activation("tanh"),
            GlobalAveragePooling2D::new(),
            Dense::new(33).activation("sigmoid"),
            LayerNormalization::new(),
            Dense::new(5).activation("softmax"),
        ],
        3,
    )
    .unwrap();
    if frozen {
        model.freeze(..-1).unwrap();
    }
    let loss = "sparse_categorical_crossentropy";
    model.compile(AdamW::new(1e-2), loss, ["accuracy"]).unwrap();
    model.fit(&x, &y, options()).unwrap();
    digest(&model, &model.predict(&x).unwrap())
}

/// A wide network by each rule, so that products and updates are cut for threads.
fn rule(name: &str) -> String {
    let x = Array2::from_shape_fn((64, 300), |(n, i)| number(n * 300 + i));
    let y = Array2::from_shape_fn((64, 3), |(n, i)| number(7 * n + i));
    let layers = layers![
        Input::new([300]),
        Dense::new(517).activation("elu").kernel_regularizer("l2"),
        Dense::new(3),
    ];
    let mut model = Sequential::with_seed(layers, 5).unwrap();
    model.compile(name, "mse", ()).unwrap();
    model.fit(&x, &y, options()).unwrap();
    digest(&model, &model.predict(&x).unwrap())
}

/// The digests under the names that are committed: of two networks of pictures, and of every rule.
fn all() -> String {
    let digest = |line: &str| {
        let name = line.split(' ').next().expect("a line has a name");
        let digest = match name {
            "pictures" => pictures(false),
            "pictures_frozen" => pictures(true),
            name => rule(name),
        };
        format!("{name} {digest}\n")
    };
    assert_eq!(COMMITTED.lines().count(), 15);
    COMMITTED.lines().map(digest).collect()
}

#[test]
fn training_gives_the_committed_digests() {
    let isa = Isa::detect();
    match std::env::var("REGRAFT_ISA").as_deref() {
        Ok("avx2") => assert!(matches!(isa, Isa::Avx2(_)), "{isa:?}"),
        Ok("avx512") => assert!(matches!(isa, Isa::Avx512(_)), "{isa:?}"),
        Ok("portable") => assert!(matches!(isa, Isa::Portable | Isa::Exact), "{isa:?}"),
        _ => {}
    }
    if std::env::var("REGRAFT_EXACT").is_ok_and(|exact| exact == "1") {
        assert!(isa.fused(), "{isa:?}");
    }
    // Without fused multiply-add each product is rounded once more.
    if isa.fused() {
        let received = all();
        assert!(received == COMMITTED, "{isa:?}\n{received}");
    }
}

/// Each instruction set in a process of its own, on one and two threads; the portable one with multiply-adds that are
/// fused by software.
#[cfg(target_arch = "x86_64")]
#[test]
fn every_instruction_set_gives_the_committed_digests() {
    use regraft_tensor::kernels::isa::{Avx2, Avx512};
    let found = [
        ("avx2", "0", Avx2::new().is_some()),
        ("avx512", "0", Avx512::new().is_some()),
        ("portable", "1", true),
    ];
    for (isa, exact, _) in found.into_iter().filter(|(.., found)| *found) {
        for threads in ["1", "2"] {
            let child = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["exactness::training_gives_the_committed_digests", "--exact"])
                .env("REGRAFT_ISA", isa)
                .env("REGRAFT_EXACT", exact)
                .env("RAYON_NUM_THREADS", threads)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&child.stdout);
            assert!(child.status.success(), "{isa}, {threads} threads\n{said}");
            assert!(said.contains("1 passed"), "{said}");
        }
    }
}
