//! Elements taken by their place: slices, numbers of positions, rows of tables.

use std::ops::Range;

use regraft_autograd::{Dim, Var};
use regraft_tensor::Detail;
use serde_json::Value;

use super::arguments::Arguments;
use super::declaration::{CORE, Declared, NN, Takes, X, function, one};
use super::indices;
use super::reduction::without;
use super::typed::{Typed, integer};
use crate::ElementType;
use crate::contract::axis::along;
use crate::settings::{require, resolve};

type Results<'g> = Result<Vec<Typed<'g>>, Detail>;

pub(super) const TABLE: &[Declared] = &[
    Declared::new("GetItem", Takes::Values(&["x", "key"]), get_item)
        .like(&[function("__operators__.getitem", "x slice_spec=key")]),
    Declared::new("Slice", Takes::Values(&["inputs", "start_indices"]), slice)
        .within(CORE)
        .like(&[function(
            "slice",
            "input_=inputs begin=start_indices size=shape",
        )]),
    Declared::new(
        "SliceUpdate",
        Takes::Values(&["inputs", "start_indices", "updates"]),
        slice_update,
    )
    .within(CORE),
    Declared::new("Take", Takes::Values(&["x", "indices"]), take).like(&[function(
        "gather",
        "params=x indices axis ~validate_indices -batch_dims",
    )]),
    Declared::new("TakeAlongAxis", Takes::Values(&["x", "indices"]), |a| {
        let (x, at) = (a.tensor("x")?, a.tensor("indices")?.to(ElementType::Int32));
        let axis = x.axis(a.integer("axis", -1)?)?;
        let last = x.rank() - 1;
        let mut order: Vec<usize> = (0..=last).collect();
        order.swap(axis, last);
        let mut dims = x.shape().dims().to_vec();
        require(
            at.rank() == dims.len(),
            "indices",
            "as many axes as x",
            at.shape().to_string(),
        )?;
        dims[axis] = at.shape().dims()[axis];
        let at = at.var.broadcast_to(dims).permute(&order);
        one(x.with(x.var.permute(&order).take_along(at).permute(&order)))
    }),
    Declared::new("OneHot", X, one_hot)
        .within(NN)
        .like(&[function(
            "one_hot",
            "indices=x depth=num_classes axis dtype on_value off_value",
        )]),
    Declared::new("MultiHot", Takes::Values(&["inputs"]), |a| {
        let x = a.tensor("inputs")?;
        a.settings.unsupported(&["sparse"])?;
        let classes = a.settings.required::<usize>("num_classes")?;
        let axis = a.integer("axis", -1)?;
        require(axis == -1, "axis", "-1, the last axis", axis)?;
        let of = a.element_type("dtype", ElementType::Float32)?;
        let hot = encoded(x, classes);
        // The row of one sample is what its last axis has.
        let reduced = match x.rank() {
            0 | 1 => hot,
            rank => hot.max(&[rank - 1]),
        };
        one(Typed::new(reduced, ElementType::Float32).to(of))
    })
    .within(NN),
    Declared::new("Argmax", X, |a| extreme_at(a, |x| x)).like(&[function(
        "argmax",
        "input=x axis dimension=axis ~output_type",
    )]),
    Declared::new("Argmin", X, |a| extreme_at(a, |x| -x)).like(&[function(
        "argmin",
        "input=x axis dimension=axis ~output_type",
    )]),
    Declared::new("Nanargmax", X, |a| extreme_at(a, |x| x)),
    Declared::new("Nanargmin", X, |a| extreme_at(a, |x| -x)),
    Declared::new("IsIn", Takes::Values(&["x1", "x2"]), |a| {
        let (x, elements) = (a.tensor("x1")?, a.tensor("x2")?);
        a.settings.ignore(&["assume_unique"]);
        let Some(sizes) = elements.shape().fixed() else {
            return Err(Detail::new(
                "x2",
                "elements that are the same for all samples",
                elements.shape(),
            ));
        };
        let count: usize = sizes.iter().product();
        let elements = elements.floats().reshape([count]);
        let last = x.rank();
        let found = x.floats().expand_dims(last).equal(elements).max(&[last]);
        let inverted = a.settings.or::<bool>("invert", false)?;
        one(Typed::truths(if inverted { 1.0 - found } else { found }))
    }),
    Declared::new("Digitize", Takes::Values(&["x", "bins"]), |a| {
        let (x, bins) = (a.tensor("x")?, a.tensor("bins")?);
        count_of(x, bins, |x, bins| x.greater_equal(bins))
    }),
    Declared::new(
        "SearchSorted",
        Takes::Values(&["sorted_sequence", "values"]),
        |a| {
            let (bins, x) = (a.tensor("sorted_sequence")?, a.tensor("values")?);
            match a.settings.text("side", "left")? {
                "right" => count_of(x, bins, |x, bins| x.greater_equal(bins)),
                _ => count_of(x, bins, |x, bins| x.greater(bins)),
            }
        },
    ),
];

/// How many of some fixed bounds each element has below it.
fn count_of<'g>(
    x: Typed<'g>,
    bins: Typed<'g>,
    below: impl Fn(Var<'g>, Var<'g>) -> Var<'g>,
) -> Results<'g> {
    require(
        bins.rank() == 1,
        "bins",
        "a row of bounds",
        bins.shape().to_string(),
    )?;
    let last = x.rank();
    let counted = below(x.floats().expand_dims(last), bins.floats()).sum(&[last]);
    one(Typed::new(counted, ElementType::Float32).to(ElementType::Int32))
}

/// A bound of a slice as a position from 0 to `size`; of a backward one, from −1.
fn bound(value: &Value, size: isize, default: isize, least: isize) -> Option<isize> {
    match value {
        Value::Null => Some(default),
        value => {
            let at = isize::try_from(value.as_i64()?).ok()?;
            let at = if at < 0 { at + size } else { at };
            Some(at.clamp(least, size + least))
        }
    }
}

/// The positions that a slice with these bounds takes of `size`.
fn positions(start: &Value, stop: &Value, step: &Value, size: usize) -> Option<Vec<usize>> {
    let step = match step {
        Value::Null => 1,
        step => isize::try_from(step.as_i64()?)
            .ok()
            .filter(|&step| step != 0)?,
    };
    let size = size as isize;
    let mut taken = Vec::new();
    match step > 0 {
        true => {
            let end = bound(stop, size, size, 0)?;
            let mut at = bound(start, size, 0, 0)?;
            while at < end {
                taken.push(at as usize);
                at += step;
            }
        }
        false => {
            let end = bound(stop, size, -1, -1)?;
            let mut at = bound(start, size, size - 1, -1)?;
            while at > end {
                taken.push(at as usize);
                at += step;
            }
        }
    }
    Some(taken)
}

/// `x` with these positions of an axis: a range, or picked one by one.
fn taken<'g>(x: Typed<'g>, axis: usize, positions: &[usize]) -> Typed<'g> {
    match positions.first() {
        Some(&first) if positions.iter().copied().eq(first..first + positions.len()) => {
            match positions.len() == x.size(axis) {
                true => x,
                false => x.with(x.var.slice(axis, first..first + positions.len())),
            }
        }
        None => x.with(x.var.slice(axis, 0..0)),
        Some(_) => x.with(x.var.pick(axis, indices(positions.iter().copied()))),
    }
}

/// `x[key]`: slices, numbers, `...` and new axes, as Python has them. The batch is taken as a whole.
fn get_item<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let mut x = a.tensor("x")?;
    let Some(key) = a.settings.value("key").cloned() else {
        return Err(a.settings.wrong("key", "a key", &Value::Null));
    };
    let inner = |value: &Value| match value["class_name"].as_str() {
        Some("__tuple__") => value["config"]["value"].clone(),
        _ => value.clone(),
    };
    let entries = match inner(&key) {
        Value::Array(entries) => entries,
        one => vec![one],
    };
    let is_ellipsis =
        |entry: &Value| entry["class_name"] == "__ellipsis__" || entry.as_str() == Some("Ellipsis");
    let wrong = |entry: &Value| {
        let expected = "slices, numbers, `...` and `None`, the batch as a whole";
        let detail = Detail::new("key", expected, crate::settings::brief(entry));
        detail.help("arrays and values of the graph are not taken; use `take`")
    };
    let indexing = entries
        .iter()
        .filter(|entry| !entry.is_null() && !is_ellipsis(entry))
        .count();
    let Some(skipped) = x.rank().checked_sub(indexing) else {
        return Err(wrong(&key));
    };
    let mut axis = 0;
    for entry in &entries {
        if is_ellipsis(entry) {
            axis += skipped;
            continue;
        }
        if entry.is_null() {
            require(axis > 0, "key", "new axes behind the batch", axis)?;
            x = x.with(x.var.expand_dims(axis));
            axis += 1;
            continue;
        }
        let slice = match entry["class_name"].as_str() {
            Some("__slice__") => &entry["config"],
            _ => entry,
        };
        let size = match x.shape().dims().get(axis) {
            Some(Dim::Fixed(size)) => *size,
            Some(Dim::Batch | Dim::PerSample(_)) => {
                let whole = slice.is_object()
                    && (slice["start"].is_null() || slice["start"] == 0)
                    && slice["stop"].is_null()
                    && (slice["step"].is_null() || slice["step"] == 1);
                if !whole {
                    let help = "taking samples out of the batch would make results depend on \
                                which samples stand beside each other";
                    return Err(wrong(entry).help(help));
                }
                axis += 1;
                continue;
            }
            None => return Err(wrong(entry)),
        };
        match slice {
            Value::Object(slice) => {
                let part = |name: &str| slice.get(name).cloned().unwrap_or_default();
                let taken_here = positions(&part("start"), &part("stop"), &part("step"), size);
                x = taken(x, axis, &taken_here.ok_or_else(|| wrong(entry))?);
                axis += 1;
            }
            number => {
                let at = number.as_i64().ok_or_else(|| wrong(entry))?;
                let at = if at < 0 { at + size as i64 } else { at };
                let at = usize::try_from(at).ok().filter(|&at| at < size);
                let at = at.ok_or_else(|| wrong(entry))?;
                x = x.with(x.var.slice(axis, at..at + 1).squeeze(axis));
            }
        }
    }
    one(x)
}

fn slice<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let mut x = a.tensor("inputs")?;
    let (starts, sizes) = (a.integers("start_indices")?, a.sizes("shape")?);
    let fits = starts.len() == x.rank() && sizes.len() == x.rank();
    require(fits, "shape", "a start and a size for each axis", &starts)?;
    for (axis, (&start, &size)) in starts.iter().zip(&sizes).enumerate() {
        let whole = start == 0 && matches!(size, None | Some(-1));
        if axis == 0 {
            require(whole, "shape", "the batch as a whole", size)?;
            continue;
        }
        let all = x.size(axis);
        let start = usize::try_from(start).unwrap_or(usize::MAX).min(all);
        let size = match size {
            None | Some(-1) => all - start,
            Some(size) => usize::try_from(size).unwrap_or(0),
        };
        let expected = format!("a range within axis {axis} of {}", x.shape());
        require(start + size <= all, "shape", &expected, (start, size))?;
        x = x.with(x.var.slice(axis, start..start + size));
    }
    one(x)
}

/// `inputs` with `updates` in the place where `start_indices` says, the batch as a whole.
fn slice_update<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("inputs")?;
    let updates = a.tensor("updates")?.to(x.of);
    let Some((_, starts)) = a.constant_integers("start_indices")? else {
        let received = "values of the graph";
        return Err(Detail::new("start_indices", "whole numbers", received));
    };
    let (shape, part) = (x.shape(), updates.shape());
    let (dims, part) = (shape.dims(), part.dims());
    let expected = format!("values of as many axes as {shape}, the batch as a whole, that fit");
    let wrong = || {
        Detail::new(
            "updates",
            &expected,
            format!("{} at {starts:?}", updates.shape()),
        )
    };
    if starts.len() != dims.len()
        || part.len() != dims.len()
        || starts[0] != 0
        || part[0] != dims[0]
    {
        return Err(wrong());
    }
    // Of the batch it is not read.
    let batch = 0..0;
    let mut place = vec![batch];
    for ((start, dim), size) in starts.iter().zip(dims).zip(part).skip(1) {
        let start = usize::try_from(*start).map_err(|_| wrong())?;
        let end = start.checked_add(size.size(1));
        place.push(start..end.filter(|&end| end <= dim.size(1)).ok_or_else(wrong)?);
    }
    one(x.with(placed(x.var, updates.var, &place, 1)))
}

/// `x` with `updates` at this place of the axes from `axis` on.
fn placed<'g>(x: Var<'g>, updates: Var<'g>, place: &[Range<usize>], axis: usize) -> Var<'g> {
    let Some(own) = place.get(axis) else {
        return updates;
    };
    let size = x.shape().dims()[axis].size(1);
    let within = placed(x.slice(axis, own.clone()), updates, place, axis + 1);
    let mut parts = vec![within];
    if own.start > 0 {
        parts.insert(0, x.slice(axis, 0..own.start));
    }
    if own.end < size {
        parts.push(x.slice(axis, own.end..size));
    }
    x.graph().concatenate(&parts, axis)
}

/// Positions that are the same for all samples along an axis, or rows of a table by numbers.
fn take<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("x")?;
    a.settings.ignore(&["validate_indices"]);
    let batch_dims = a.integer("batch_dims", 0)?;
    require(batch_dims == 0, "batch_dims", "0", batch_dims)?;
    let axis = match (a.settings.value("axis"), x.shape().fixed()) {
        (None, Some(_)) if a.settings.owner() != "Take" => 0,
        (None, _) => {
            let detail = Detail::new(
                "axis",
                "an axis other than the batch",
                "None, which means all",
            );
            return Err(detail.help("an operation over the batch would mix samples"));
        }
        (Some(_), _) => resolve(&[a.integer("axis", 0)?], x.rank())?[0],
    };
    if let Some((shape, numbers)) = a.constant_integers("indices")? {
        let axis = x.axis(axis as isize)?;
        let size = x.size(axis) as isize;
        let position = |&at: &isize| {
            let at = if at < 0 { at + size } else { at };
            (0..size).contains(&at).then_some(at as usize)
        };
        let positions: Option<Vec<usize>> = numbers.iter().map(position).collect();
        let expected = format!("positions of an axis of {size}");
        let positions =
            positions.ok_or_else(|| Detail::new("indices", expected, format!("{numbers:?}")))?;
        let y = taken(x, axis, &positions);
        let mut dims = y.shape().dims().to_vec();
        dims.splice(axis..=axis, shape.into_iter().map(Dim::Fixed));
        return one(y.with(y.var.reshape(dims)));
    }
    let at = a.tensor("indices")?.to(ElementType::Int32);
    let Some(sizes) = x.shape().fixed() else {
        let expected = "positions that are the same for all samples, or a constant table";
        let detail = Detail::new("indices", expected, at.shape());
        return Err(detail.help("use `take_along_axis` to take other positions of each sample"));
    };
    require(axis == 0, "axis", "0, for rows of a table", axis)?;
    // Negative numbers count from the end.
    let size = integer(a.graph(), sizes[0] as i32);
    let below = at
        .var
        .integers(regraft_autograd::ops::Integers::Less, integer(a.graph(), 0));
    let wrapped = at.var.integers(regraft_autograd::ops::Integers::Add, size);
    let at = below.select(wrapped, at.var);
    one(x.with(x.var.gather(at)))
}

/// Rows of zeros with a one, along a new last axis; numbers outside give zeros.
fn encoded(x: Typed<'_>, classes: usize) -> Var<'_> {
    let numbers = (0..classes as i32).collect();
    let numbers = super::typed::integers(x.graph(), vec![classes], numbers);
    let x = x.to(ElementType::Int32).var.expand_dims(x.rank());
    x.integers(regraft_autograd::ops::Integers::Equal, numbers)
}

fn one_hot<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("x")?;
    a.settings.unsupported(&["sparse"])?;
    let classes = a.settings.required::<usize>("num_classes")?;
    let axis = resolve(&[a.integer("axis", -1)?], x.rank() + 1)?[0];
    require(axis > 0, "axis", "an axis other than the batch", axis)?;
    let of = a.element_type("dtype", ElementType::Float32)?;
    let on = a.settings.or::<f32>("on_value", 1.0)?;
    let off = a.settings.or::<f32>("off_value", 0.0)?;
    let mut hot = encoded(x, classes);
    if (on, off) != (1.0, 0.0) {
        hot = hot.select(on, off);
    }
    let mut order: Vec<usize> = (0..x.rank()).collect();
    order.insert(axis, x.rank());
    one(Typed::new(hot.permute(&order), ElementType::Float32).to(of))
}

fn extreme_at<'g>(a: &Arguments<'g, '_>, of_largest: impl Fn(Var<'g>) -> Var<'g>) -> Results<'g> {
    let x = a.tensor("x")?;
    a.settings.ignore(&["output_type"]);
    let Some(_) = a.settings.value("axis") else {
        let detail = Detail::new(
            "axis",
            "an axis other than the batch",
            "None, which means all",
        );
        return Err(detail.help("an operation over the batch would mix samples"));
    };
    let axis = x.axis(a.integer("axis", -1)?)?;
    let values = of_largest(x.floats());
    let at = match a.settings.owner().starts_with("Nan") && x.of.is_float() {
        false => values.argmax(axis).expand_dims(axis),
        true => {
            let is_number = values.equal(values);
            let at = is_number.select(values, f32::NEG_INFINITY).argmax(axis);
            // Where there is no number at all, Keras says −1.
            let any = is_number.max_keeping(&[axis]);
            any.select(at.expand_dims(axis), integer(a.graph(), -1))
        }
    };
    let at = Typed::new(at, ElementType::Int32);
    one(without(
        at,
        &[axis],
        a.settings.or::<bool>("keepdims", false)?,
    ))
}

/// A function of rows along the last axis, along another one.
pub(super) fn along_axis<'g>(
    x: Typed<'g>,
    axis: usize,
    function: impl Fn(Var<'g>) -> Var<'g>,
) -> Typed<'g> {
    x.with(along("axis", x.var, axis as isize, function))
}
