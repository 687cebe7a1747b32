//! Products of matrices and the like.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;

use super::arguments::Arguments;
use super::declaration::{Declared, NN, Takes, X, X1_X2, function, one};
use super::typed::{Typed, promoted};
use crate::settings::{require, resolve};

type Results<'g> = Result<Vec<Typed<'g>>, Detail>;

pub(super) const TABLE: &[Declared] = &[
    Declared::new("Matmul", X1_X2, |a| {
        let [x1, x2] = both(a)?;
        result(product(x1.0, x2.0)?, x1.1)
    })
    .like(&[function("linalg.matmul matmul MatMul BatchMatMulV2", "a=x1 b=x2 -transpose_a -transpose_b -adjoint_a -adjoint_b -a_is_sparse -b_is_sparse ~output_type -grad_a -grad_b")]),
    Declared::new("Dot", X1_X2, |a| {
        let [x1, x2] = both(a)?;
        match (x1.0.shape().rank(), x2.0.shape().rank()) {
            (0, _) | (_, 0) => result(x1.0 * x2.0, x1.1),
            (_, 1 | 2) => result(product(x1.0, x2.0)?, x1.1),
            (rank, other) => {
                let axes = (vec![rank - 1], vec![other - 2]);
                result(contracted(x1.0, x2.0, &axes.0, &axes.1)?, x1.1)
            }
        }
    }),
    Declared::new("Tensordot", X1_X2, tensordot)
        .like(&[function("tensordot", "a=x1 b=x2 axes")]),
    Declared::new("Inner", X1_X2, |a| {
        let [x1, x2] = both(a)?;
        let (rank, other) = (x1.0.shape().rank(), x2.0.shape().rank());
        require(rank > 0 && other > 0, "", "values of at least 1 axis", (rank, other))?;
        result(contracted(x1.0, x2.0, &[rank - 1], &[other - 1])?, x1.1)
    }),
    Declared::new("Einsum", Takes::Many("operands"), |a| {
        let all = promoted(&a.list("operands")?);
        let text = a.settings.text("subscripts", "")?.replace(' ', "");
        let of = all[0].of;
        let operands: Vec<Var<'_>> = all.iter().map(|x| x.floats()).collect();
        result(einsum(&text, &operands)?, of)
    }),
    Declared::new("Cross", X1_X2, cross),
    Declared::new("Normalize", X, |a| {
        let x = a.tensor("x")?.to_float();
        let axes = x.axes(Some(&a.settings.get::<Vec<isize>>("axis")?.unwrap_or(vec![-1])))?;
        let epsilon = a.settings.or::<f32>("epsilon", 1e-7)?;
        let order = a.settings.or::<f32>("order", 2.0)?;
        // Keras bounds the square of the length, or the length of another order.
        let y = match order {
            2.0 => x.var * x.var.square().sum_keeping(&axes).maximum(epsilon * epsilon).rsqrt(),
            order => {
                let powers = x.var.abs().powf(order).sum_keeping(&axes);
                x.var / powers.powf(1.0 / order).maximum(epsilon)
            }
        };
        one(x.with(y))
    })
    .within(NN)
    .like(&[function(
        "l2_normalize linalg.l2_normalize nn.l2_normalize",
        "x axis dim=axis epsilon=√epsilon",
    )
    // The root of TensorFlow's 1e-12.
    .with(r#"{"epsilon": 1e-6}"#)]),
];

/// Both values as floats, with the type of the result.
fn both<'g>(a: &Arguments<'g, '_>) -> Result<[(Var<'g>, crate::ElementType); 2], Detail> {
    let both = promoted(&[a.tensor("x1")?, a.tensor("x2")?]);
    Ok([
        (both[0].floats(), both[0].of),
        (both[1].floats(), both[1].of),
    ])
}

fn result<'g>(value: Var<'g>, of: crate::ElementType) -> Results<'g> {
    one(Typed::new(value, of.as_float()).to(of))
}

/// The vector at right angles to both, of 3 numbers along the last axis.
fn cross<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let [(x, of), (y, _)] = both(a)?;
    for name in ["axisa", "axisb", "axisc", "axis"] {
        let axis = a.integer(name, -1)?;
        let last = x.shape().rank() as isize - 1;
        require(axis == -1 || axis == last, name, "the last axis", axis)?;
    }
    for vector in [x, y] {
        let fits = vector.shape().dims().last() == Some(&Dim::Fixed(3));
        require(fits, "", "vectors of 3 numbers", vector.shape().to_string())?;
    }
    let turn = |x: Var<'g>, by: usize| {
        let axis = x.shape().rank() - 1;
        x.pick(axis, super::indices((0..3).map(|at| (at + by) % 3)))
    };
    result(turn(x, 1) * turn(y, 2) - turn(x, 2) * turn(y, 1), of)
}

/// NumPy's product of matrices: vectors are rows or columns, leading axes broadcast.
pub(super) fn product<'g>(a: Var<'g>, b: Var<'g>) -> Result<Var<'g>, Detail> {
    let (rank, other) = (a.shape().rank(), b.shape().rank());
    require(
        rank > 0 && other > 0,
        "",
        "values of at least 1 axis",
        (rank, other),
    )?;
    if other == 1 {
        let column = product(a, b.expand_dims(1))?;
        return Ok(column.squeeze(column.shape().rank() - 1));
    }
    if rank == 1 {
        let row = product(a.expand_dims(0), b)?;
        return Ok(row.squeeze(row.shape().rank() - 2));
    }
    let inner = (a.shape().dims()[rank - 1], b.shape().dims()[other - 2]);
    let expected = format!("as many columns of {} as rows of {}", a.shape(), b.shape());
    require(
        inner.0 == inner.1 && inner.0.fixed().is_some(),
        "",
        &expected,
        (rank, other),
    )?;
    if other == 2 {
        return Ok(a.matmul(b));
    }
    let leading = |x: Var<'_>| -> Shape {
        let shape = x.shape();
        shape.dims()[..shape.rank() - 2].iter().copied().collect()
    };
    let all = leading(a).broadcast(&leading(b)).ok_or_else(|| {
        Detail::new(
            "",
            format!("leading axes that go with {}", a.shape()),
            b.shape(),
        )
    })?;
    let widened = |x: Var<'g>| {
        let shape = x.shape();
        let matrix = &shape.dims()[shape.rank() - 2..];
        x.broadcast_to(all.dims().iter().chain(matrix).copied().collect::<Shape>())
    };
    Ok(widened(a).batch_matmul(widened(b), false, false))
}

/// Sums of products over axes of both; what is left of the first stands before what is left of the
/// second, of which just one may have the batch.
fn contracted<'g>(
    a: Var<'g>,
    b: Var<'g>,
    over_a: &[usize],
    over_b: &[usize],
) -> Result<Var<'g>, Detail> {
    let letters = |rank: usize, from: u8| -> Vec<char> {
        (0..rank).map(|axis| (from + axis as u8) as char).collect()
    };
    let mut first = letters(a.shape().rank(), b'a');
    let second = letters(b.shape().rank(), b'A');
    for (of_a, of_b) in over_a.iter().zip(over_b) {
        first[*of_a] = second[*of_b];
    }
    let left = first
        .iter()
        .enumerate()
        .filter(|(axis, _)| !over_a.contains(axis));
    let right = second
        .iter()
        .enumerate()
        .filter(|(axis, _)| !over_b.contains(axis));
    let result: String = left.chain(right).map(|(_, letter)| *letter).collect();
    let text = |letters: &[char]| letters.iter().collect::<String>();
    einsum(
        &format!("{},{}->{result}", text(&first), text(&second)),
        &[a, b],
    )
}

fn tensordot<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let [x1, x2] = both(a)?;
    let (rank, other) = (x1.0.shape().rank(), x2.0.shape().rank());
    let value = a.settings.value("axes").cloned().unwrap_or(2.into());
    let list = |value: &serde_json::Value| -> Option<Vec<isize>> {
        let one = |value: &serde_json::Value| isize::try_from(value.as_i64()?).ok();
        match value.as_array() {
            Some(axes) => axes.iter().map(one).collect(),
            None => one(value).map(|axis| vec![axis]),
        }
    };
    let wrong = || {
        a.settings
            .wrong("axes", "a number of axes, or axes of both values", &value)
    };
    let (of_a, of_b) = match value.as_array().map(Vec::as_slice) {
        Some([first, second]) => (
            list(first).ok_or_else(wrong)?,
            list(second).ok_or_else(wrong)?,
        ),
        Some(_) => return Err(wrong()),
        None => {
            let count = value
                .as_u64()
                .filter(|&count| count as usize <= rank.min(other));
            let count = count.ok_or_else(wrong)? as isize;
            (
                ((rank as isize - count)..rank as isize).collect(),
                (0..count).collect(),
            )
        }
    };
    require(
        of_a.len() == of_b.len(),
        "axes",
        "as many axes of both",
        &of_b,
    )?;
    let each = |axes: &[isize], rank: usize| -> Result<Vec<usize>, Detail> {
        axes.iter()
            .map(|&axis| Ok(resolve(&[axis], rank)?[0]))
            .collect()
    };
    let (of_a, of_b) = (each(&of_a, rank)?, each(&of_b, other)?);
    result(contracted(x1.0, x2.0, &of_a, &of_b)?, x1.1)
}

/// Einstein's sums, of any number of values from the left: letters name axes, those that are not in
/// the result are summed over, and `...` stands for axes in front that broadcast.
fn einsum<'g>(text: &str, operands: &[Var<'g>]) -> Result<Var<'g>, Detail> {
    let wrong = |what: String| {
        let expected = format!("subscripts for {} values", operands.len());
        Detail::new("subscripts", expected, format!("{text:?}")).help(what)
    };
    let (inputs, output) = match text.split_once("->") {
        Some((inputs, output)) => (inputs, Some(output.to_string())),
        None => (text, None),
    };
    let inputs: Vec<&str> = inputs.split(',').collect();
    if inputs.len() != operands.len() {
        return Err(wrong("one group of letters for each value".to_string()));
    }
    // The axes that `...` stands for get digits, counted from the last.
    let mut terms: Vec<(Vec<char>, Var<'g>)> = Vec::new();
    let mut most = 0;
    for (letters, &x) in inputs.iter().zip(operands) {
        let rank = x.shape().rank();
        let named = letters.replace("...", "").chars().count();
        let Some(hidden) = rank.checked_sub(named) else {
            return Err(wrong(format!(
                "{letters:?} has more letters than {} axes",
                x.shape()
            )));
        };
        let digits: String = (0..hidden)
            .rev()
            .map(|at| (b'0' + at as u8) as char)
            .collect();
        let letters = match letters.contains("...") {
            true => letters.replace("...", &digits),
            false if hidden == 0 => letters.to_string(),
            false => {
                return Err(wrong(format!(
                    "{letters:?} is for fewer axes than {}",
                    x.shape()
                )));
            }
        };
        most = most.max(hidden);
        terms.push(with_diagonals(letters.chars().collect(), x)?);
    }
    let digits: String = (0..most)
        .rev()
        .map(|at| (b'0' + at as u8) as char)
        .collect();
    let output: Vec<char> = match output {
        Some(output) => output.replace("...", &digits).chars().collect(),
        None => {
            // Letters that occur once, in the alphabet's order.
            let all: Vec<char> = terms
                .iter()
                .flat_map(|(letters, _)| letters.clone())
                .collect();
            let mut once: Vec<char> = all.clone();
            once.retain(|letter| {
                let digit = letter.is_ascii_digit();
                !digit && all.iter().filter(|other| *other == letter).count() == 1
            });
            once.sort_unstable();
            digits.chars().chain(once).collect()
        }
    };
    let mut rest = terms.into_iter();
    let Some((mut letters, mut value)) = rest.next() else {
        return Err(wrong("at least one value".to_string()));
    };
    let mut rest: Vec<(Vec<char>, Var<'g>)> = rest.collect();
    while !rest.is_empty() {
        let (next, other) = rest.remove(0);
        let needed = |letter: &char| {
            output.contains(letter) || rest.iter().any(|(letters, _)| letters.contains(letter))
        };
        let kept: Vec<char> = {
            let mut kept: Vec<char> = letters.iter().copied().filter(needed).collect();
            kept.extend(next.iter().filter(|it| needed(it) && !letters.contains(it)));
            kept
        };
        value = pair((&letters, value), (&next, other), &kept)?;
        letters = kept;
    }
    // What is left and not asked for is summed over.
    let over: Vec<usize> = (0..letters.len())
        .filter(|&at| !output.contains(&letters[at]))
        .collect();
    super::typed::not_the_batch(&value.shape(), &over)?;
    let value = if over.is_empty() {
        value
    } else {
        value.sum(&over)
    };
    letters.retain(|letter| output.contains(letter));
    let order: Option<Vec<usize>> = output
        .iter()
        .map(|letter| letters.iter().position(|known| known == letter))
        .collect();
    let order = order.filter(|order| order.len() == letters.len());
    let order =
        order.ok_or_else(|| wrong("each letter of the result once, and of a value".into()))?;
    Ok(value.permute(&order))
}

/// A value in which no letter occurs twice: of those that do, the diagonal.
fn with_diagonals(mut letters: Vec<char>, x: Var<'_>) -> Result<(Vec<char>, Var<'_>), Detail> {
    let mut value = x;
    while let Some((first, second)) = (0..letters.len()).find_map(|at| {
        let again = letters[at + 1..]
            .iter()
            .position(|other| *other == letters[at]);
        again.map(|again| (at, at + 1 + again))
    }) {
        let dims = value.shape().dims().to_vec();
        let size = match (dims[first], dims[second]) {
            (Dim::Fixed(size), Dim::Fixed(other)) if size == other => size,
            _ => {
                let expected = format!("axes of the same size for {:?}", letters[first]);
                return Err(Detail::new("subscripts", expected, value.shape()));
            }
        };
        let mut order: Vec<usize> = (0..dims.len())
            .filter(|&axis| axis != first && axis != second)
            .collect();
        let rest = order.len();
        order.extend([first, second]);
        let mut shape: Vec<Dim> = order[..rest].iter().map(|&axis| dims[axis]).collect();
        shape.push(Dim::Fixed(size * size));
        let diagonal = super::indices((0..size).map(|at| at * (size + 1)));
        value = value.permute(&order).reshape(shape).pick(rest, diagonal);
        letters = order[..=rest].iter().map(|&axis| letters[axis]).collect();
    }
    Ok((letters, value))
}

/// The product over axes that both have, where the second value has no batch: all axes of the first
/// stay as they are.
fn over_last<'g>(
    (a_letters, a): (&[char], Var<'g>),
    (b_letters, b): (&[char], Var<'g>),
    (a_only, b_only, summed): (&[char], &[char], &[char]),
    kept: &[char],
) -> Result<Var<'g>, Detail> {
    let arranged = |letters: &[char], x: Var<'g>, groups: [&[char]; 2]| {
        let order = groups.iter().flat_map(|group| group.iter());
        let place = |letter: &char| letters.iter().position(|known| known == letter);
        x.permute(&order.filter_map(place).collect::<Vec<usize>>())
    };
    let left = arranged(a_letters, a, [a_only, summed]);
    let right = arranged(b_letters, b, [summed, b_only]);
    let dims = |x: Var<'g>| x.shape().dims().to_vec();
    let (own, inner) = (
        dims(left)[..a_only.len()].to_vec(),
        dims(left)[a_only.len()..].to_vec(),
    );
    let (outer, other) = (
        dims(right)[summed.len()..].to_vec(),
        &dims(right)[..summed.len()],
    );
    let expected = format!("axes of the sizes of {}", a.shape());
    require(
        inner == other,
        "subscripts",
        &expected,
        b.shape().to_string(),
    )?;
    // None of these is the batch, so that its size plays no part.
    let size = |dims: &[Dim]| Dim::Fixed(dims.iter().map(|dim| dim.size(0)).product());
    let rows: Vec<Dim> = own.iter().copied().chain([size(&inner)]).collect();
    let product = left
        .reshape(rows)
        .matmul(right.reshape([size(&inner), size(&outer)]));
    let value = product.reshape(own.into_iter().chain(outer).collect::<Vec<Dim>>());
    let names: Vec<char> = a_only.iter().chain(b_only).copied().collect();
    let place = |letter: &char| names.iter().position(|name| name == letter);
    Ok(value.permute(&kept.iter().filter_map(place).collect::<Vec<usize>>()))
}

/// The sums of products of two values over the letters that are not kept.
fn pair<'g>(
    (a_letters, a): (&[char], Var<'g>),
    (b_letters, b): (&[char], Var<'g>),
    kept: &[char],
) -> Result<Var<'g>, Detail> {
    let dim_of = |letter: &char| -> Result<Dim, Detail> {
        let find = |letters: &[char], x: Var<'g>| {
            let at = letters.iter().position(|known| known == letter)?;
            Some(x.shape().dims()[at])
        };
        match (find(a_letters, a), find(b_letters, b)) {
            (Some(one), Some(other)) if one == other || other == Dim::Fixed(1) => Ok(one),
            (Some(Dim::Fixed(1)), Some(other)) => Ok(other),
            (Some(one), Some(other)) => {
                let expected = format!("one size for {letter:?}");
                Err(Detail::new(
                    "subscripts",
                    expected,
                    format!("{one} and {other}"),
                ))
            }
            (one, other) => Ok(one.or(other).unwrap_or(Dim::Fixed(1))),
        }
    };
    let in_both = |letter: &&char| a_letters.contains(letter) && b_letters.contains(letter);
    let shared: Vec<char> = a_letters.iter().filter(in_both).copied().collect();
    let batch: Vec<char> = shared
        .iter()
        .filter(|it| kept.contains(it))
        .copied()
        .collect();
    let mut summed: Vec<char> = shared
        .iter()
        .filter(|it| !kept.contains(it))
        .copied()
        .collect();
    let only = |letters: &[char]| -> Vec<char> {
        letters
            .iter()
            .filter(|it| !shared.contains(it))
            .copied()
            .collect()
    };
    // What occurs in one alone and is not kept is summed over first.
    let alone = |letters: &[char], x: Var<'g>| -> Result<(Vec<char>, Var<'g>), Detail> {
        let gone: Vec<usize> = (0..letters.len())
            .filter(|&at| !shared.contains(&letters[at]) && !kept.contains(&letters[at]))
            .collect();
        super::typed::not_the_batch(&x.shape(), &gone)?;
        let rest = letters
            .iter()
            .enumerate()
            .filter(|(at, _)| !gone.contains(at));
        let rest = rest.map(|(_, letter)| *letter).collect();
        Ok((rest, if gone.is_empty() { x } else { x.sum(&gone) }))
    };
    let (a_letters, a) = alone(a_letters, a)?;
    let (b_letters, b) = alone(b_letters, b)?;
    let (a_only, b_only) = (only(&a_letters), only(&b_letters));
    summed.sort_unstable();
    // The batch beside other axes of its own cannot be one axis with them; over the last axis of the
    // first value it need not be.
    let has_batch = |x: Var<'g>| x.shape().fixed().is_none();
    if batch.is_empty() && b_only.len() + summed.len() == b_letters.len() {
        if has_batch(b) && !has_batch(a) {
            return pair((&b_letters, b), (&a_letters, a), kept);
        }
        if has_batch(a) && !has_batch(b) {
            return over_last(
                (&a_letters, a),
                (&b_letters, b),
                (&a_only, &b_only, &summed),
                kept,
            );
        }
    }
    // Each value as matrices: the letters of both, then its own, then those that are summed.
    let arranged = |letters: &[char], x: Var<'g>, own: &[char], inner_first: bool| {
        let groups: [&[char]; 3] = match inner_first {
            true => [&batch, &summed, own],
            false => [&batch, own, &summed],
        };
        let mut order = Vec::new();
        let mut wide = Vec::new();
        for letter in groups.iter().flat_map(|group| group.iter()) {
            order.extend(letters.iter().position(|known| known == letter));
            wide.push(match own.contains(letter) {
                true => x.shape().dims()[order[order.len() - 1]],
                false => dim_of(letter)?,
            });
        }
        let x = x.permute(&order).broadcast_to(wide.clone());
        let size = |from: usize, count: usize| -> Result<Dim, Detail> {
            match &wide[from..from + count] {
                [one] => Ok(*one),
                several => {
                    let fixed: Option<usize> = several.iter().map(|dim| dim.fixed()).product();
                    fixed.map(Dim::Fixed).ok_or_else(|| {
                        let expected = "the batch as an axis of its own, of both values";
                        let detail = Detail::new("subscripts", expected, x.shape());
                        detail.help("samples are computed apart from each other")
                    })
                }
            }
        };
        let mut shape = wide[..batch.len()].to_vec();
        shape.push(size(batch.len(), groups[1].len())?);
        shape.push(size(batch.len() + groups[1].len(), groups[2].len())?);
        Ok::<_, Detail>((x.reshape(shape), wide))
    };
    let (left, left_wide) = arranged(&a_letters, a, &a_only, false)?;
    let (right, right_wide) = arranged(&b_letters, b, &b_only, true)?;
    let matrices = match batch.is_empty() {
        true => product(left, right)?,
        false => left.batch_matmul(right, false, false),
    };
    // Back to an axis for each letter, in the order that was asked for.
    let mut dims = left_wide[..batch.len() + a_only.len()].to_vec();
    dims.extend_from_slice(&right_wide[batch.len() + summed.len()..]);
    let value = matrices.reshape(dims);
    let names: Vec<char> = batch
        .iter()
        .chain(&a_only)
        .chain(&b_only)
        .copied()
        .collect();
    let order: Vec<usize> = kept
        .iter()
        .filter_map(|letter| names.iter().position(|name| name == letter))
        .collect();
    Ok(value.permute(&order))
}
