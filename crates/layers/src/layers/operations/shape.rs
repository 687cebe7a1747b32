//! The same elements in other places: reshaping, joining, splitting, turning, repeating, borders.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;
use serde_json::Value;

use super::arguments::{Arguments, reshaped};
use super::declaration::{CORE, Declared, Takes, X, X1_X2, function, one};
use super::indices;
use super::typed::{Typed, not_the_batch, promoted};
use crate::settings::{require, resolve};

type Results<'g> = Result<Vec<Typed<'g>>, Detail>;

pub(super) const TABLE: &[Declared] = &[
    Declared::new("Reshape", X, |a| {
        let x = a.tensor("x")?;
        let shape = reshaped(&x.shape(), &a.sizes("newshape")?)?;
        one(x.with(x.var.reshape(shape)))
    })
    .like(&[function("reshape", "tensor=x shape=newshape")]),
    Declared::new("Transpose", X, transpose)
        .like(&[function("transpose", "a=x perm=axes -conjugate")]),
    Declared::new("ExpandDims", X, expand_dims)
        .like(&[function("expand_dims", "input=x axis dim=axis")]),
    Declared::new("Squeeze", X, squeeze)
        .like(&[function("squeeze", "input=x axis squeeze_dims=axis")]),
    Declared::new("Swapaxes", X, |a| {
        let x = a.tensor("x")?;
        let (first, second) = (
            x.axis(a.integer("axis1", 0)?)?,
            x.axis(a.integer("axis2", 0)?)?,
        );
        let mut axes: Vec<usize> = (0..x.rank()).collect();
        axes.swap(first, second);
        one(x.with(x.var.permute(&axes)))
    }),
    Declared::new("Moveaxis", X, move_axes),
    Declared::new("Concatenate", Takes::List("xs"), |a| {
        join(a.list("xs")?, a.integer("axis", 0)?)
    })
    .like(&[function("concat", "values=xs axis")]),
    Declared::new("Append", X1_X2, |a| {
        let both = vec![a.tensor("x1")?, a.tensor("x2")?];
        match a.settings.value("axis") {
            None => Err(Detail::new(
                "axis",
                "an axis other than the batch",
                "None, which means all",
            )),
            Some(_) => join(both, a.integer("axis", -1)?),
        }
    }),
    Declared::new("Hstack", Takes::List("xs"), |a| join(a.list("xs")?, 1)),
    Declared::new("Dstack", Takes::List("xs"), |a| join(a.list("xs")?, 2)),
    Declared::new("Vstack", Takes::List("xs"), |a| join(a.list("xs")?, 0)),
    Declared::new("Stack", Takes::List("xs"), stack).like(&[function("stack", "values=xs axis")]),
    Declared::new("Split", X, |a| split(a, true)).like(&[function(
        "split",
        "value=x num_or_size_splits=Σindices_or_sections axis -num",
    )]),
    Declared::new("ArraySplit", X, |a| split(a, false)),
    Declared::new("Hsplit", X, |a| split(a, true)),
    Declared::new("Dsplit", X, |a| split(a, true)),
    Declared::new("Unstack", X, |a| {
        let x = a.tensor("x")?;
        let axis = x.axis(a.integer("axis", 0)?)?;
        let size = x.size(axis);
        if let Some(count) = a.settings.get::<i32>("num")? {
            require(
                count as usize == size,
                "num",
                &format!("{size}, the size of the axis"),
                count,
            )?;
        }
        let part = |at: usize| x.with(x.var.slice(axis, at..at + 1).squeeze(axis));
        Ok((0..size).map(part).collect())
    })
    .within(CORE)
    .like(&[function("unstack", "value=x num axis")]),
    Declared::new("Flip", X, |a| {
        let x = a.tensor("x")?;
        let axes = x.axes(a.settings.get::<Vec<isize>>("axis")?.as_deref())?;
        one(axes.into_iter().fold(x, flipped))
    })
    .like(&[function("reverse", "tensor=x axis")]),
    Declared::new("Fliplr", X, |a| {
        let x = a.tensor("x")?;
        one(flipped(x, x.axis(1)?))
    }),
    Declared::new("Rot90", Takes::Values(&["array"]), rotate),
    Declared::new("Roll", X, roll).like(&[function("roll", "input=x shift axis")]),
    Declared::new("Repeat", X, repeat).like(&[function("repeat", "input=x repeats axis")]),
    Declared::new("Tile", X, tile).like(&[function("tile", "input=x multiples=repeats")]),
    Declared::new("Pad", Takes::Values(&["x", "constant_values"]), pad).like(&[function(
        "pad",
        "tensor=x paddings=pad_width mode -constant_values",
    )]),
    Declared::new("BroadcastTo", X, |a| {
        let x = a.tensor("x")?;
        let sizes = a.sizes("shape")?;
        let dims: Option<Vec<Dim>> = sizes
            .iter()
            .enumerate()
            .map(|(axis, size)| match size {
                None | Some(-1) if axis == 0 => {
                    let own = x.shape().dims().first().copied();
                    Some(
                        own.filter(|dim| dim.fixed().is_none())
                            .unwrap_or(Dim::Batch),
                    )
                }
                Some(size) => usize::try_from(*size).ok().map(Dim::Fixed),
                None => None,
            })
            .collect();
        let shape = Shape::from(dims.unwrap_or_default());
        let fits = shape.is_batch_first() && x.shape().broadcast(&shape).as_ref() == Some(&shape);
        let expected = format!(
            "None for the batch, then sizes that {} broadcasts to",
            x.shape()
        );
        require(fits, "shape", &expected, sizes)?;
        one(x.with(x.var.broadcast_to(shape)))
    })
    .like(&[function("broadcast_to", "input=x shape")]),
    Declared::new("Diff", Takes::Values(&["a"]), |a| {
        let x = a.tensor("a")?;
        let axis = x.axis(a.integer("axis", -1)?)?;
        let mut y = x;
        for _ in 0..a.integer("n", 1)?.max(0) {
            let size = y.size(axis);
            require(size > 0, "n", "no more than there are differences", size)?;
            let difference =
                y.var.slice(axis, 1..size).to_f32() - y.var.slice(axis, 0..size - 1).to_f32();
            y = Typed::new(difference, y.of.as_float()).to(y.of);
        }
        one(y)
    }),
    Declared::new("Tril", X, |a| {
        triangle(a, |row, column, k| column <= row + k)
    }),
    Declared::new("Triu", X, |a| {
        triangle(a, |row, column, k| column >= row + k)
    }),
    Declared::new("Diagonal", X, |a| one(diagonal(a)?)),
    Declared::new("Trace", X, |a| {
        let x = diagonal(a)?;
        let last = x.rank() - 1;
        one(Typed::new(x.floats().sum(&[last]), x.of.as_float()).to(x.of))
    }),
];

fn transpose<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("x")?;
    a.settings.ignore(&["conjugate"]);
    let rank = x.rank();
    let axes = match a.settings.get::<Vec<isize>>("axes")? {
        Some(axes) => axes,
        None => (0..rank as isize).rev().collect(),
    };
    let position = |&axis: &isize| if axis < 0 { axis + rank as isize } else { axis };
    let axes: Vec<usize> = axes
        .iter()
        .map(position)
        .map(|axis| axis as usize)
        .collect();
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    let fits = sorted.into_iter().eq(0..rank) && axes.first() == Some(&0);
    let expected = format!("the axes of {} in some order, the batch first", x.shape());
    require(fits, "axes", &expected, &axes)?;
    one(x.with(x.var.permute(&axes)))
}

fn expand_dims<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let mut x = a.tensor("x")?;
    let given = a.settings.get::<Vec<isize>>("axis")?.unwrap_or(vec![-1]);
    let axes = resolve(&given, x.rank() + given.len())?;
    for axis in axes {
        require(axis > 0, "axis", "an axis other than the batch", axis)?;
        x = x.with(x.var.expand_dims(axis));
    }
    one(x)
}

fn squeeze<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let mut x = a.tensor("x")?;
    let given = a
        .settings
        .get::<Vec<isize>>("axis")?
        .filter(|axes| !axes.is_empty());
    let dims = x.shape().dims().to_vec();
    let axes = match given {
        Some(axes) => resolve(&axes, x.rank())?,
        None => (0..dims.len())
            .filter(|&axis| dims[axis] == Dim::Fixed(1))
            .collect(),
    };
    for axis in axes.into_iter().rev() {
        let fits = axis > 0 && dims[axis] == Dim::Fixed(1);
        require(
            fits,
            "axis",
            &format!("an axis of size 1 of {}", x.shape()),
            axis,
        )?;
        x = x.with(x.var.squeeze(axis));
    }
    one(x)
}

fn move_axes<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("x")?;
    let (from, to) = (a.integers("source")?, a.integers("destination")?);
    require(
        from.len() == to.len(),
        "destination",
        "as many axes as in source",
        &to,
    )?;
    let axes = |axes: &[isize]| {
        axes.iter()
            .map(|&axis| x.axis(axis))
            .collect::<Result<Vec<_>, _>>()
    };
    let (from, to) = (axes(&from)?, axes(&to)?);
    let mut pairs: Vec<(usize, usize)> = to.into_iter().zip(from.iter().copied()).collect();
    pairs.sort_unstable();
    let mut order: Vec<usize> = (0..x.rank()).filter(|axis| !from.contains(axis)).collect();
    for (to, from) in pairs {
        order.insert(to.min(order.len()), from);
    }
    one(x.with(x.var.permute(&order)))
}

/// Values one after the other along an axis, which is not the batch.
fn join<'g>(all: Vec<Typed<'g>>, axis: isize) -> Results<'g> {
    let all = promoted(&all);
    let first = all[0];
    // Constants stand beside samples for each sample.
    let batch = all
        .iter()
        .find(|x| x.shape().is_batch_first())
        .copied()
        .unwrap_or(first);
    let axis = batch.axis(axis)?;
    let mut parts: Vec<Var<'g>> = Vec::with_capacity(all.len());
    for x in &all {
        let mut dims = batch.shape().dims().to_vec();
        match (x.rank() == dims.len(), x.shape().dims().get(axis)) {
            (true, Some(size)) => dims[axis] = *size,
            _ => {
                let expected = format!("values of {} axes", dims.len());
                return Err(Detail::new("", expected, x.shape()));
            }
        }
        let shape = Shape::from(dims);
        if x.shape().broadcast(&shape).as_ref() != Some(&shape) {
            let expected = format!("{} but for axis {axis}", batch.shape());
            return Err(Detail::new("", expected, x.shape()));
        }
        parts.push(x.var.broadcast_to(shape));
    }
    one(first.with(first.graph().concatenate(&parts, axis)))
}

fn stack<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let all = a.list("xs")?;
    let axis = resolve(&[a.integer("axis", 0)?], all[0].rank() + 1)?[0];
    require(axis > 0, "axis", "an axis other than the batch", axis)?;
    let all: Vec<Typed<'g>> = all
        .into_iter()
        .map(|x| x.with(x.var.expand_dims(axis.min(x.rank()))))
        .collect();
    join(all, axis as isize)
}

/// Parts of an axis: as many as told, or up to each of some positions.
fn split<'g>(a: &Arguments<'g, '_>, equal: bool) -> Results<'g> {
    let x = a.tensor("x")?;
    let default = match a.settings.owner() {
        "Hsplit" => 1,
        "Dsplit" => 2,
        _ => 0,
    };
    let axis = x.axis(a.integer("axis", default)?)?;
    let size = x.size(axis);
    let wrong = |at, received: &Value| {
        let expected = format!("a number of parts that {size} cells divide into, or positions");
        a.settings.wrong(at, &expected, received)
    };
    let mut ends: Vec<usize> = Vec::new();
    let at = "indices_or_sections";
    match a.settings.value(at) {
        Some(list @ Value::Array(numbers)) => {
            let numbers: Option<Vec<i64>> = numbers.iter().map(Value::as_i64).collect();
            for number in numbers.ok_or_else(|| wrong(at, list))? {
                let end = if number < 0 {
                    number + size as i64
                } else {
                    number
                };
                ends.push(usize::try_from(end).unwrap_or(0).min(size));
            }
            ends.push(size);
        }
        Some(value) => {
            let parts = value.as_u64().unwrap_or(0) as usize;
            let fits = parts > 0 && (!equal || size.is_multiple_of(parts));
            if !fits {
                return Err(wrong(at, value));
            }
            let (small, more) = (size / parts, size % parts);
            ends.extend((1..=parts).map(|part| part * small + part.min(more)));
        }
        None => return Err(wrong(at, &Value::Null)),
    }
    let mut start = 0;
    let part = |end: usize| {
        let range = start..end.max(start);
        start = end;
        x.with(x.var.slice(axis, range))
    };
    Ok(ends.into_iter().map(part).collect())
}

fn flipped<'g>(x: Typed<'g>, axis: usize) -> Typed<'g> {
    x.with(x.var.pick(axis, indices((0..x.size(axis)).rev())))
}

fn rotate<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("array")?;
    let axes = a.settings.get::<Vec<isize>>("axes")?.unwrap_or(vec![0, 1]);
    let [first, second] = axes.as_slice() else {
        return Err(Detail::new("axes", "two axes", format!("{axes:?}")));
    };
    let (first, second) = (x.axis(*first)?, x.axis(*second)?);
    let mut order: Vec<usize> = (0..x.rank()).collect();
    order.swap(first, second);
    let quarter = |x: Typed<'g>| {
        let x = flipped(x, second);
        x.with(x.var.permute(&order))
    };
    let turns = a.integer("k", 1)?.rem_euclid(4);
    one((0..turns).fold(x, |x, _| quarter(x)))
}

fn roll<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let mut x = a.tensor("x")?;
    let shifts = a.integers("shift")?;
    let Some(axes) = a.settings.get::<Vec<isize>>("axis")? else {
        let detail = Detail::new(
            "axis",
            "an axis other than the batch",
            "None, which means all",
        );
        return Err(detail.help("an operation over the batch would mix samples"));
    };
    for (position, &axis) in axes.iter().enumerate() {
        let axis = x.axis(axis)?;
        let size = x.size(axis) as isize;
        let shift = shifts
            .get(position)
            .or(shifts.first())
            .copied()
            .unwrap_or(0);
        let from = |at: isize| (at - shift).rem_euclid(size) as usize;
        x = x.with(x.var.pick(axis, indices((0..size).map(from))));
    }
    one(x)
}

fn repeat<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("x")?;
    let repeats = a.integers("repeats")?;
    let Some(_) = a.settings.value("axis") else {
        let detail = Detail::new(
            "axis",
            "an axis other than the batch",
            "None, which means all",
        );
        return Err(detail.help("an operation over the batch would mix samples"));
    };
    let axis = x.axis(a.integer("axis", -1)?)?;
    let size = x.size(axis);
    let fits = repeats.iter().all(|&one| one >= 0) && (repeats.len() == 1 || repeats.len() == size);
    require(
        fits,
        "repeats",
        &format!("a number, or {size} of them"),
        &repeats,
    )?;
    let times = |at: usize| repeats.get(at).or(repeats.first()).copied().unwrap_or(0) as usize;
    let picked = (0..size).flat_map(|at| std::iter::repeat_n(at, times(at)));
    one(x.with(x.var.pick(axis, indices(picked))))
}

fn tile<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let mut x = a.tensor("x")?;
    let repeats = a.integers("repeats")?;
    let rank = x.rank();
    let expected = "1 for the batch, then a number for each axis of a sample";
    // Numbers go with the last axes; those in front have 1.
    let fits = repeats.len() <= rank
        && (repeats.len() < rank || repeats[0] == 1)
        && repeats.iter().all(|&times| times >= 0);
    require(fits, "repeats", expected, &repeats)?;
    let first = rank - repeats.len();
    for (axis, &times) in repeats.iter().enumerate() {
        let axis = axis + first;
        if times != 1 {
            let size = x.size(axis);
            let picked = (0..size * times as usize).map(|at| at % size);
            x = x.with(x.var.pick(axis, indices(picked)));
        }
    }
    one(x)
}

/// Pairs of cells in front of and behind each axis: one pair for all, or a pair or a number for each.
fn widths(a: &Arguments<'_, '_>, rank: usize) -> Result<Vec<(usize, usize)>, Detail> {
    let cell = |value: &Value| value.as_u64().and_then(|cells| usize::try_from(cells).ok());
    let pair = |value: &Value| match value.as_array().map(Vec::as_slice) {
        Some([both]) => Some((cell(both)?, cell(both)?)),
        Some([before, after]) => Some((cell(before)?, cell(after)?)),
        Some(_) => None,
        None => Some((cell(value)?, cell(value)?)),
    };
    let value = a.settings.value("pad_width").cloned().unwrap_or_default();
    let all = match &value {
        Value::Array(axes) if axes.iter().any(Value::is_array) => {
            let axes: Option<Vec<_>> = axes.iter().map(pair).collect();
            axes.map(|axes| match axes.as_slice() {
                [one] => vec![*one; rank],
                _ => axes,
            })
        }
        value => pair(value).map(|pair| vec![pair; rank]),
    };
    let fits = |all: &Vec<(usize, usize)>| all.len() == rank && all[0] == (0, 0);
    all.filter(fits).ok_or_else(|| {
        let expected = format!("a pair of borders for each of {rank} axes, none for the batch");
        a.settings.wrong("pad_width", &expected, &value)
    })
}

fn pad<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("x")?;
    let borders = widths(a, x.rank())?;
    let mode = a.settings.text("mode", "constant")?.to_ascii_lowercase();
    let value = a.optional("constant_values")?;
    match mode.as_str() {
        "constant" => {
            let value = match value {
                None => 0.0,
                Some(value) => value
                    .as_number()
                    .ok_or_else(|| Detail::new("constant_values", "one number", value.shape()))?,
            };
            let padded = match x.of.is_integer() && value != 0.0 {
                true => x.var.to_f32().pad(&borders, value as f32).to_i32(),
                false => x.var.pad(&borders, value as f32),
            };
            one(x.with(padded))
        }
        "reflect" | "symmetric" => {
            let mut y = x;
            for (axis, &(before, after)) in borders.iter().enumerate() {
                if (before, after) == (0, 0) {
                    continue;
                }
                let size = x.size(axis);
                let edge = usize::from(mode == "reflect");
                let fits = before.max(after) + edge <= size;
                require(
                    fits,
                    "pad_width",
                    &format!("less than the {size} cells"),
                    (before, after),
                )?;
                let front = (edge..before + edge).rev();
                let behind = (0..after).map(|at| size - 1 - edge - at);
                y = y.with(
                    y.var
                        .pick(axis, indices(front.chain(0..size).chain(behind))),
                );
            }
            one(y)
        }
        _ => {
            let expected = "\"constant\", \"reflect\" or \"symmetric\"";
            Err(a.settings.wrong("mode", expected, &mode.into()))
        }
    }
}

/// `x` where its last two axes are on one side of a diagonal, zero elsewhere.
fn triangle<'g>(a: &Arguments<'g, '_>, keeps: fn(isize, isize, isize) -> bool) -> Results<'g> {
    let x = a.tensor("x")?;
    let k = a.integer("k", 0)?;
    let rank = x.rank();
    require(
        rank > 2,
        "",
        "samples of at least 2 axes",
        x.shape().to_string(),
    )?;
    let (rows, columns) = (x.size(rank - 2), x.size(rank - 1));
    let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    let kept = cells.map(|(row, column)| f32::from(keeps(row as isize, column as isize, k)));
    let kept = super::typed::floats(x.graph(), vec![rows, columns], kept.collect());
    let zero = x.with(x.var).to_float();
    let y = kept.select(zero.var, 0.0);
    one(Typed::new(y, zero.of).to(x.of))
}

/// The diagonal of two axes, as the last axis.
fn diagonal<'g>(a: &Arguments<'g, '_>) -> Result<Typed<'g>, Detail> {
    let x = a.tensor("x")?;
    let (first, second) = (
        x.axis(a.integer("axis1", 0)?)?,
        x.axis(a.integer("axis2", 1)?)?,
    );
    let offset = a.integer("offset", 0)?;
    let rank = x.rank();
    let mut order: Vec<usize> = (0..rank)
        .filter(|&axis| axis != first && axis != second)
        .collect();
    order.extend([first, second]);
    let (rows, columns) = (x.size(first), x.size(second));
    let (down, right) = ((-offset).max(0) as usize, offset.max(0) as usize);
    let length = rows.saturating_sub(down).min(columns.saturating_sub(right));
    let moved = x.var.permute(&order);
    let mut dims = moved.shape().dims().to_vec();
    dims.truncate(rank - 2);
    dims.push(Dim::Fixed(rows * columns));
    let cells = (0..length).map(|at| (at + down) * columns + at + right);
    not_the_batch(&moved.shape(), &[rank - 2])?;
    Ok(x.with(moved.reshape(dims).pick(rank - 2, indices(cells))))
}
