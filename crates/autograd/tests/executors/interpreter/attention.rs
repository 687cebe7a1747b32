//! Attention and its gradients from the formula, one query after the other.

use regraft_autograd::Attribute;

use super::{Array, Settings, indices, softmax};

/// The attention, or the row of gradients of each sample.
pub fn attention(
    name: &str,
    settings: &Settings,
    operands: &[Array],
    shape: &[usize],
) -> Option<Array> {
    let back = match name {
        "scaled_dot_product_attention" => false,
        "scaled_dot_product_attention_gradient" => true,
        _ => return None,
    };
    let (q, k, v) = (&operands[0], &operands[1], &operands[2]);
    let masks = &operands[3 + usize::from(back)..];
    let (queries, keys, size) = (q.shape[1], k.shape[1], q.shape[3]);
    let group = q.shape[2] / k.shape[2];
    let window = settings.integers("window").first().copied();
    let all_masked = settings.text("all_masked").unwrap().to_string();
    let mut result = [&[q.shape[0], queries, q.shape[2], v.shape[3]][..]].map(Array::zeros);
    let [y] = &mut result;
    let mut d = [q, k, v].map(|x| Array::zeros(&x.shape));
    for row in indices(&[q.shape[0], q.shape[2], queries]) {
        let [b, h, i] = row[..] else { unreachable!() };
        let kh = h / group;
        let seen = |j: usize| {
            let masked = masks
                .iter()
                .all(|mask| mask.broadcast(&[b, h, i, j]) != 0.0);
            let near = window.is_none_or(|window| i.abs_diff(j) < window);
            masked && near && (!settings.flag("causal") || j <= i)
        };
        let any = (0..keys).any(seen);
        let scale = settings.number("scale");
        let score = |j: usize| match (any, seen(j)) {
            (true, false) => f64::NEG_INFINITY,
            (false, _) => 0.0,
            _ => {
                (0..size)
                    .map(|e| q.at(&[b, i, h, e]) * k.at(&[b, j, kh, e]))
                    .sum::<f64>()
                    * scale
            }
        };
        let mut p = softmax(&(0..keys).map(score).collect::<Vec<f64>>());
        if !any && all_masked == "zero" {
            p.fill(0.0);
        }
        let dy = |e: usize| operands[3].at(&[b, i, h, e]);
        let mut dp = vec![0.0; keys];
        for at in indices(&[keys, v.shape[3]]) {
            let [j, e] = at[..] else { unreachable!() };
            *y.at_mut(&[b, i, h, e]) += p[j] * v.at(&[b, j, kh, e]);
            if back {
                *d[2].at_mut(&[b, j, kh, e]) += p[j] * dy(e);
                dp[j] += dy(e) * v.at(&[b, j, kh, e]);
            }
        }
        if !any && all_masked == "uniform" {
            continue;
        }
        let mean: f64 = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum();
        for at in indices(&[keys, size]) {
            let [j, e] = at[..] else { unreachable!() };
            let ds = p[j] * (dp[j] - mean) * scale;
            *d[0].at_mut(&[b, i, h, e]) += ds * k.at(&[b, j, kh, e]);
            *d[1].at_mut(&[b, j, kh, e]) += ds * q.at(&[b, i, h, e]);
        }
    }
    let [y] = result;
    if !back {
        return Some(y);
    }
    let Attribute::List(wanted) = settings.get("wanted") else {
        panic!("wanted is no list");
    };
    let wanted: Vec<&Array> = d
        .iter()
        .zip(wanted)
        .filter(|(_, it)| **it == Attribute::Bool(true))
        .map(|(d, _)| d)
        .collect();
    let mut all = Array::zeros(shape);
    all.data.clear();
    for b in 0..shape[0] {
        for d in &wanted {
            let of_sample = d.data.len() / shape[0];
            all.data.extend(&d.data[b * of_sample..][..of_sample]);
        }
    }
    Some(all)
}
