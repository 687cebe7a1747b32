//! Against the formula in 64 bits, and bit for bit in other batches.

use super::*;
use crate::kernels::on_one_thread;
use crate::kernels::random::{self, Key};

const SIZES: [Sizes; 3] = [
    Sizes {
        batch: 3,
        queries: 5,
        keys: 7,
        heads: 4,
        key_heads: 2,
        size: 3,
        value_size: 6,
    },
    Sizes {
        batch: 2,
        queries: 140,
        keys: 37,
        heads: 2,
        key_heads: 2,
        size: 8,
        value_size: 8,
    },
    Sizes {
        batch: 1,
        queries: 19,
        keys: 2500,
        heads: 1,
        key_heads: 1,
        size: 4,
        value_size: 2,
    },
];

fn drawn(stream: u64, length: usize) -> Vec<f32> {
    let mut numbers = vec![0.0; length];
    random::uniform(Key::new(7, stream), 0, &mut numbers);
    numbers.iter().map(|u| u * 3.0 - 1.5).collect()
}

struct Operands {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    dy: Vec<f32>,
    mask: Vec<f32>,
}

fn operands(s: &Sizes) -> Operands {
    let mask = drawn(4, s.batch * s.queries * s.keys);
    let mut mask: Vec<f32> = mask.iter().map(|x| f32::from(u8::from(*x > 0.0))).collect();
    // The second query sees nothing.
    mask[s.keys..2 * s.keys].fill(0.0);
    Operands {
        q: drawn(0, s.batch * s.queries * s.heads * s.size),
        k: drawn(1, s.batch * s.keys * s.key_heads * s.size),
        v: drawn(2, s.batch * s.keys * s.key_heads * s.value_size),
        dy: drawn(3, s.batch * s.queries * s.heads * s.value_size),
        mask,
    }
}

/// The result and the gradients by the formula.
fn formula(s: &Sizes, settings: &Settings<'_>, o: &Operands) -> [Vec<f64>; 4] {
    let mut y = vec![0.0; o.dy.len()];
    let (mut dq, mut dk, mut dv) = (
        vec![0.0; o.q.len()],
        vec![0.0; o.k.len()],
        vec![0.0; o.v.len()],
    );
    for b in 0..s.batch {
        for h in 0..s.heads {
            let kh = h / s.group();
            let q = |i: usize, d: usize| {
                first(b, h, s.queries, s.heads, s.size) + i * s.heads * s.size + d
            };
            let k = |j: usize, d: usize| {
                first(b, kh, s.keys, s.key_heads, s.size) + j * s.key_heads * s.size + d
            };
            let v = |j: usize, e: usize| {
                first(b, kh, s.keys, s.key_heads, s.value_size) + j * s.key_heads * s.value_size + e
            };
            let yy = |i: usize, e: usize| {
                first(b, h, s.queries, s.heads, s.value_size) + i * s.heads * s.value_size + e
            };
            for i in 0..s.queries {
                let seen = |j: usize| {
                    let masked = settings
                        .masks
                        .iter()
                        .all(|_| o.mask[(b * s.queries + i) * s.keys + j] != 0.0);
                    let near = settings.window.is_none_or(|window| i.abs_diff(j) < window);
                    masked && near && (!settings.causal || j <= i)
                };
                let any = (0..s.keys).any(seen);
                let score = |j: usize| match any && !seen(j) {
                    true => f64::NEG_INFINITY,
                    false => {
                        let terms =
                            (0..s.size).map(|d| f64::from(o.q[q(i, d)]) * f64::from(o.k[k(j, d)]));
                        terms.sum::<f64>() * f64::from(settings.scale)
                    }
                };
                let scores: Vec<f64> = (0..s.keys).map(score).collect();
                let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = scores.iter().map(|x| (x - max).exp()).sum();
                let p: Vec<f64> = match (any, settings.all_masked) {
                    (false, AllMasked::Zero) => vec![0.0; s.keys],
                    (false, _) => vec![1.0 / s.keys as f64; s.keys],
                    _ => scores.iter().map(|x| (x - max).exp() / sum).collect(),
                };
                let mut dp = vec![0.0; s.keys];
                for j in 0..s.keys {
                    for e in 0..s.value_size {
                        y[yy(i, e)] += p[j] * f64::from(o.v[v(j, e)]);
                        dv[v(j, e)] += p[j] * f64::from(o.dy[yy(i, e)]);
                        dp[j] += f64::from(o.dy[yy(i, e)]) * f64::from(o.v[v(j, e)]);
                    }
                }
                if !any && settings.all_masked == AllMasked::Uniform {
                    continue;
                }
                let mean: f64 = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum();
                for j in 0..s.keys {
                    let ds = p[j] * (dp[j] - mean) * f64::from(settings.scale);
                    for d in 0..s.size {
                        dq[q(i, d)] += ds * f64::from(o.k[k(j, d)]);
                        dk[k(j, d)] += ds * f64::from(o.q[q(i, d)]);
                    }
                }
            }
        }
    }
    [y, dq, dk, dv]
}

fn run(
    s: &Sizes,
    settings: &Settings<'_>,
    o: &Operands,
    wanted: [bool; 3],
) -> (Vec<f32>, Vec<f32>) {
    let mut y = vec![f32::NAN; o.dy.len()];
    attention(s, settings, &o.q, &o.k, &o.v, &mut y);
    let mut d = vec![f32::NAN; s.batch * s.gradient_sizes(wanted).iter().sum::<usize>()];
    gradients(s, settings, wanted, &o.q, &o.k, &o.v, &o.dy, &mut d);
    (y, d)
}

fn near(name: &str, ours: &[f32], theirs: &[f64]) {
    let largest = theirs
        .iter()
        .fold(1e-3f64, |largest, x| largest.max(x.abs()));
    for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let error = (f64::from(*ours) - theirs).abs();
        assert!(
            error <= 3e-6 * largest,
            "{name}[{at}]: {ours} instead of {theirs}"
        );
    }
}

/// Every combination of masks with each way of treating rows that see nothing.
fn with_settings(s: &Sizes, mut test: impl FnMut(&Settings<'_>, &Operands)) {
    let o = operands(s);
    let masks = [Mask {
        data: &o.mask,
        shape: [s.batch, 1, s.queries, s.keys],
    }];
    for all_masked in [AllMasked::Uniform, AllMasked::Lowered, AllMasked::Zero] {
        for (causal, window, masked) in [
            (false, None, 0),
            (false, None, 1),
            (true, None, 0),
            (true, Some(3), 1),
            (false, Some(2), 0),
        ] {
            let masks = &masks[..masked];
            test(
                &Settings {
                    scale: 0.6,
                    causal,
                    window,
                    all_masked,
                    masks,
                },
                &o,
            );
        }
    }
}

#[test]
fn it_is_the_formula() {
    for s in &SIZES {
        with_settings(s, |settings, o| {
            let [y, dq, dk, dv] = formula(s, settings, o);
            let (ours, d) = run(s, settings, o, [true; 3]);
            near("y", &ours, &y);
            let of_sample = d.len() / s.batch;
            let [a, b, c] = s.gradient_sizes([true; 3]);
            for (sample, d) in d.chunks_exact(of_sample).enumerate() {
                near("dq", &d[..a], &dq[sample * a..][..a]);
                near("dk", &d[a..a + b], &dk[sample * b..][..b]);
                near("dv", &d[a + b..], &dv[sample * c..][..c]);
            }
        });
    }
}

#[test]
fn a_sample_has_the_same_bits_alone_on_one_thread_and_with_fewer_gradients() {
    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
    for s in &SIZES {
        with_settings(s, |settings, o| {
            let (y, d) = run(s, settings, o, [true; 3]);
            let alone = on_one_thread(|| run(s, settings, o, [true; 3]));
            assert_eq!(bits(&y), bits(&alone.0));
            assert_eq!(bits(&d), bits(&alone.1));
            let last = s.batch - 1;
            let part = |x: &[f32]| x[last * x.len() / s.batch..].to_vec();
            let one = Sizes { batch: 1, ..*s };
            let own = Operands {
                q: part(&o.q),
                k: part(&o.k),
                v: part(&o.v),
                dy: part(&o.dy),
                mask: part(&o.mask),
            };
            let masks = [Mask {
                data: &own.mask,
                shape: [1, 1, s.queries, s.keys],
            }];
            let settings = Settings {
                masks: &masks[..settings.masks.len()],
                ..*settings
            };
            let (y_alone, d_alone) = run(&one, &settings, &own, [true; 3]);
            assert_eq!(bits(&part(&y)), bits(&y_alone));
            assert_eq!(bits(&part(&d)), bits(&d_alone));
            let (_, keys) = run(&one, &settings, &own, [false, true, false]);
            let [a, b, _] = s.gradient_sizes([true; 3]);
            assert_eq!(bits(&d_alone[a..a + b]), bits(&keys));
        });
    }
}

#[test]
fn without_keys_the_result_is_zero() {
    let s = Sizes {
        keys: 0,
        ..SIZES[0]
    };
    let settings = Settings {
        scale: 1.0,
        causal: false,
        window: None,
        all_masked: AllMasked::Uniform,
        masks: &[],
    };
    let mut y = vec![f32::NAN; s.batch * s.queries * s.heads * s.value_size];
    attention(
        &s,
        &settings,
        &vec![0.0; s.batch * s.queries * s.heads * s.size],
        &[],
        &[],
        &mut y,
    );
    assert!(y.iter().all(|y| *y == 0.0));
}
