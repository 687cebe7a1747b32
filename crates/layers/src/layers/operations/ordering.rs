//! Elements by their size: sorting, the largest ones, medians and quantiles.

use regraft_autograd::Var;
use regraft_tensor::Detail;

use super::arguments::Arguments;
use super::declaration::{Declared, MATH, Takes, X, function, one};
use super::indexing::along_axis;
use super::reduction::without;
use super::typed::{Typed, floats};
use crate::ElementType;
use crate::settings::require;

type Results<'g> = Result<Vec<Typed<'g>>, Detail>;

pub(super) const TABLE: &[Declared] = &[
    Declared::new("Sort", X, |a| {
        let x = a.tensor("x")?;
        let axis = x.axis(a.integer("axis", -1)?)?;
        let descending = is_descending(a)?;
        let sorted = along_axis(x.to_float(), axis, |x| x.take_along(x.argsort(descending)));
        one(sorted.to(x.of))
    })
    .like(&[function("sort", "values=x axis direction")]),
    Declared::new("Argsort", X, |a| {
        let x = a.tensor("x")?;
        let axis = x.axis(a.integer("axis", -1)?)?;
        let descending = is_descending(a)?;
        a.settings.ignore(&["stable"]);
        let order = along_axis(x.to_float(), axis, |x| x.argsort(descending));
        one(Typed::new(order.var, ElementType::Int32))
    })
    .like(&[function("argsort", "values=x axis direction stable")]),
    Declared::new("TopK", X, |a| {
        let x = a.tensor("x")?;
        a.settings.ignore(&["sorted"]);
        let last = x.axis(-1)?;
        let (k, size) = (a.settings.required::<usize>("k")?, x.size(last));
        require(
            k <= size,
            "k",
            &format!("at most the {size} that there are"),
            k,
        )?;
        let at = x.floats().argsort(true).slice(last, 0..k);
        let values = x.with(x.var.take_along(at));
        Ok(vec![values, Typed::new(at, ElementType::Int32)])
    })
    .within(MATH)
    .like(&[function("top_k nn.top_k", "input=x k sorted")]),
    Declared::new("InTopK", Takes::Values(&["targets", "predictions"]), |a| {
        let predictions = a.tensor("predictions")?.to_float();
        let targets = a.tensor("targets")?.to(ElementType::Int32);
        let (k, last) = (a.settings.required::<usize>("k")?, predictions.axis(-1)?);
        let fits = last == 1 && targets.rank() == 1;
        let expected = "a number of a class for each row of predictions";
        require(fits, "targets", expected, targets.shape().to_string())?;
        let own = predictions.var.take_along(targets.var.expand_dims(1));
        let before = predictions.var.greater(own).sum(&[last]).less(k as f32);
        let finite = own.abs().less(f32::INFINITY).squeeze(last);
        one(Typed::truths(before.minimum(finite)))
    })
    .within(MATH)
    .like(&[function("in_top_k nn.in_top_k", "targets predictions k")]),
    Declared::new("Median", X, |a| {
        let x = a.tensor("x")?.to_float();
        quantiles(a, x, 0.5)
    }),
    Declared::new("Quantile", Takes::Values(&["x", "q"]), |a| {
        let (x, q) = (a.tensor("x")?.to_float(), a.tensor("q")?);
        match q.as_number() {
            Some(share) => quantiles(a, x, share),
            None => Err(Detail::new("q", "one number", q.shape())),
        }
    }),
    Declared::new("Percentile", Takes::Values(&["x", "q"]), |a| {
        let (x, q) = (a.tensor("x")?.to_float(), a.tensor("q")?);
        match q.as_number() {
            Some(percent) => quantiles(a, x, percent / 100.0),
            None => Err(Detail::new("q", "one number", q.shape())),
        }
    }),
    Declared::new("Nanmedian", X, |a| {
        let x = a.tensor("x")?.to_float();
        quantiles(a, x, 0.5)
    }),
    Declared::new("Nanquantile", Takes::Values(&["x", "q"]), |a| {
        let (x, q) = (a.tensor("x")?.to_float(), a.tensor("q")?);
        match q.as_number() {
            Some(share) => quantiles(a, x, share),
            None => Err(Detail::new("q", "one number", q.shape())),
        }
    }),
    Declared::new("Nanpercentile", Takes::Values(&["x", "q"]), |a| {
        let (x, q) = (a.tensor("x")?.to_float(), a.tensor("q")?);
        match q.as_number() {
            Some(percent) => quantiles(a, x, percent / 100.0),
            None => Err(Detail::new("q", "one number", q.shape())),
        }
    }),
];

fn is_descending(a: &Arguments<'_, '_>) -> Result<bool, Detail> {
    Ok(a.settings.text("direction", "ASCENDING")? == "DESCENDING")
}

/// The element of the sorted ones that has this share of them in front, between two if need be.
fn quantiles<'g>(a: &Arguments<'g, '_>, x: Typed<'g>, share: f64) -> Results<'g> {
    let axes = x.axes(a.settings.get::<Vec<isize>>("axis")?.as_deref())?;
    let keep = a.settings.or::<bool>("keepdims", false)?;
    let method = match (a.settings.owner(), a.settings.text("method", "linear")?) {
        // Keras' operation passes over its own setting.
        ("Quantile", _) => "linear",
        (_, method) => method,
    };
    require(
        (0.0..=1.0).contains(&share),
        "q",
        "a share from 0 to 1",
        share,
    )?;
    let dims = x.shape().dims().to_vec();
    let mut order: Vec<usize> = (0..x.rank()).filter(|axis| !axes.contains(axis)).collect();
    let kept = order.len();
    order.extend(&axes);
    let count: usize = axes.iter().map(|&axis| x.size(axis)).product();
    require(count > 0, "axis", "at least 1 element", count)?;
    let mut rows: Vec<_> = order[..kept].iter().map(|&axis| dims[axis]).collect();
    rows.push(count.into());
    let rows = x.var.permute(&order).reshape(rows);
    let Some(place) = place(method, share) else {
        let expected = "\"linear\", \"lower\", \"higher\", \"midpoint\" or \"nearest\"";
        return Err(a.settings.wrong("method", expected, &method.into()));
    };
    let value = match a.settings.owner().starts_with("Nan") {
        true => of_numbers(rows, count, place),
        false => {
            let sorted = rows.take_along(rows.argsort(false));
            let at = |position: usize| sorted.slice(kept, position..position + 1);
            let (below, above, part) = place(count);
            at(below) * (1.0 - part) as f32 + at(above) * part as f32
        }
    };
    let size = |(axis, dim)| if axes.contains(&axis) { 1.into() } else { dim };
    let shape: Vec<_> = dims.into_iter().enumerate().map(size).collect();
    one(without(x.with(value.reshape(shape)), &axes, keep))
}

/// Of so many sorted elements the two that a quantile lies between, and the share of the second.
type Place = Box<dyn Fn(usize) -> (usize, usize, f64)>;

fn place(method: &str, share: f64) -> Option<Place> {
    let exact = move |count: usize| share * (count - 1) as f64;
    Some(match method {
        "linear" => Box::new(move |count| {
            let place = exact(count);
            (place.floor() as usize, place.ceil() as usize, place.fract())
        }),
        "midpoint" => Box::new(move |count| {
            let place = exact(count);
            (place.floor() as usize, place.ceil() as usize, 0.5)
        }),
        "lower" => Box::new(move |count| {
            (
                exact(count).floor() as usize,
                exact(count).floor() as usize,
                0.0,
            )
        }),
        "higher" => Box::new(move |count| {
            (
                exact(count).ceil() as usize,
                exact(count).ceil() as usize,
                0.0,
            )
        }),
        "nearest" => Box::new(move |count| {
            let nearest = exact(count).round_ties_even() as usize;
            (nearest, nearest, 0.0)
        }),
        _ => return None,
    })
}

/// The quantile of those of the `count` elements in a row that are numbers; where none is, there is none.
fn of_numbers<'g>(rows: Var<'g>, count: usize, place: Place) -> Var<'g> {
    let last = rows.shape().rank() - 1;
    let is_number = rows.equal(rows);
    let filled = is_number.select(rows, f32::INFINITY);
    let sorted = filled.take_along(filled.argsort(false));
    let numbers = is_number.sum_keeping(&[last]);
    // For each number of numbers, the place.
    let places: Vec<_> = (1..=count).map(place).collect();
    let table = |of: &dyn Fn(&(usize, usize, f64)) -> f32| {
        let table = std::iter::once(0.0).chain(places.iter().map(of)).collect();
        floats(rows.graph(), vec![count + 1], table).gather(numbers.to_i32())
    };
    let below = sorted.take_along(table(&|place| place.0 as f32).to_i32());
    let above = sorted.take_along(table(&|place| place.1 as f32).to_i32());
    let (before, after) = (
        table(&|place| (1.0 - place.2) as f32),
        table(&|place| place.2 as f32),
    );
    numbers.select(below * before + above * after, f32::NAN)
}
