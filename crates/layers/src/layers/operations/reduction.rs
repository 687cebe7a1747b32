//! Sums, means and other numbers of many elements along axes.

use regraft_autograd::{Dim, Var};
use regraft_tensor::Detail;

use super::arguments::Arguments;
use super::declaration::{Declared, LINALG, MATH, NN, Takes, X, function, one};
use super::typed::{Typed, promoted};
use crate::ElementType;
use crate::settings::require;

type Results<'g> = Result<Vec<Typed<'g>>, Detail>;
type Reduction = for<'g> fn(Var<'g>, &[usize]) -> Var<'g>;

/// The function of TensorFlow that a reduction is.
macro_rules! reduction {
    ($name:literal, $names:literal, $formula:expr) => {
        Declared::new($name, X, $formula).like(&[function(
            $names,
            "input_tensor=x axis keepdims keep_dims=keepdims reduction_indices=axis",
        )])
    };
}

pub(super) const TABLE: &[Declared] = &[
    reduction!("Sum", "reduce_sum", |a| summed(a, |x, axes| x
        .sum_keeping(axes))),
    reduction!("Prod", "reduce_prod", |a| summed(a, product)),
    reduction!("Mean", "reduce_mean", |a| of_floats(a, |x, axes| x
        .mean_keeping(axes))),
    reduction!("Var", "reduce_variance", |a| of_floats(a, |x, axes| x
        .variance_keeping(axes))),
    reduction!("Std", "reduce_std", |a| of_floats(a, |x, axes| x
        .variance_keeping(axes)
        .sqrt())),
    reduction!("Max", "reduce_max", |a| extreme(
        a,
        |x, axes| x.max_keeping(axes),
        f32::max
    )),
    reduction!("Min", "reduce_min", |a| extreme(
        a,
        |x, axes| x.min_keeping(axes),
        f32::min
    )),
    Declared::new("Amax", X, |a| {
        extreme(a, |x, axes| x.max_keeping(axes), f32::max)
    }),
    Declared::new("Amin", X, |a| {
        extreme(a, |x, axes| x.min_keeping(axes), f32::min)
    }),
    reduction!("Any", "reduce_any", |a| truths(a, |x, axes| x
        .max_keeping(axes))),
    reduction!("All", "reduce_all", |a| truths(a, |x, axes| x
        .min_keeping(axes))),
    Declared::new("Logsumexp", X, |a| of_floats(a, log_sum_exp))
        .within(MATH)
        .like(&[function("reduce_logsumexp", "input_tensor=x axis keepdims")]),
    Declared::new("Ptp", X, |a| {
        let x = a.tensor("x")?;
        reduced(a, x, x.of, |x, axes| {
            x.max_keeping(axes) - x.min_keeping(axes)
        })
    }),
    Declared::new("CountNonzero", X, |a| {
        let x = a.tensor("x")?;
        let axes = x.axes(a.settings.get::<Vec<isize>>("axis")?.as_deref())?;
        let counted = x.truth().sum_keeping(&axes);
        let of = ElementType::Int32;
        one(without(Typed::new(counted, ElementType::Float32), &axes, false).to(of))
    }),
    Declared::new("Nansum", X, |a| {
        summed(a, |x, axes| x.not_equal(x).select(0.0, x).sum_keeping(axes))
    }),
    Declared::new("Nanmean", X, |a| {
        of_floats(a, |x, axes| {
            let is_number = x.equal(x);
            let sum = is_number.select(x, 0.0).sum_keeping(axes);
            sum / is_number.sum_keeping(axes)
        })
    }),
    Declared::new("Nanprod", X, |a| {
        summed(a, |x, axes| product(x.equal(x).select(x, 1.0), axes))
    }),
    Declared::new("Nanvar", X, |a| of_floats(a, variance_of_numbers)),
    Declared::new("Nanstd", X, |a| {
        of_floats(a, |x, axes| variance_of_numbers(x, axes).sqrt())
    }),
    Declared::new("Nanmax", X, |a| {
        of_floats(a, |x, axes| {
            x.equal(x).select(x, f32::NEG_INFINITY).max_keeping(axes)
        })
    }),
    Declared::new("Nanmin", X, |a| {
        of_floats(a, |x, axes| {
            x.equal(x).select(x, f32::INFINITY).min_keeping(axes)
        })
    }),
    Declared::new("Average", Takes::Values(&["x", "weights"]), average),
    Declared::new("Moments", X, |a| {
        let x = a.tensor("x")?.to_float();
        a.settings.ignore(&["synchronized"]);
        let axes = x.axes(a.settings.get::<Vec<isize>>("axes")?.as_deref())?;
        let keep = a.settings.or::<bool>("keepdims", false)?;
        let (mean, variance) = (x.var.mean_keeping(&axes), x.var.variance_keeping(&axes));
        Ok(vec![
            without(x.with(mean), &axes, keep),
            without(x.with(variance), &axes, keep),
        ])
    })
    .within(NN)
    .like(&[function("nn.moments", "x axes keepdims")]),
    Declared::new("Norm", X, norm).within(LINALG).like(&[
        function("reduce_euclidean_norm", "input_tensor=x axis keepdims"),
        function(
            "norm linalg.norm",
            "tensor=x ord axis keepdims keep_dims=keepdims",
        ),
    ]),
    Declared::new("Cumsum", X, |a| cumulative(a, |a, b| a + b, 0.0))
        .like(&[function("cumsum", "x axis -exclusive -reverse")]),
    Declared::new("Cumprod", X, |a| cumulative(a, |a, b| a * b, 1.0))
        .like(&[function("cumprod", "x axis -exclusive -reverse")]),
    Declared::new("Nancumsum", X, |a| cumulative(a, |a, b| a + b, 0.0)),
    Declared::new("Nancumprod", X, |a| cumulative(a, |a, b| a * b, 1.0)),
    Declared::new("Trapezoid", Takes::Values(&["y"]), |a| {
        let y = a.tensor("y")?.to_float();
        let axis = y.axis(a.integer("axis", -1)?)?;
        a.settings.unsupported(&["x"])?;
        let dx = a.settings.or::<f32>("dx", 1.0)?;
        let size = y.size(axis);
        require(size > 0, "y", "at least 1 value", size)?;
        let heights = (y.var.slice(axis, 1..size) + y.var.slice(axis, 0..size - 1)) * 0.5;
        one(y.with((heights * dx).sum(&[axis])))
    }),
    Declared::new("AddN", Takes::List("xs"), |a| {
        let all = promoted(&a.list("xs")?);
        let sum = all.iter().map(|x| x.floats()).reduce(|a, b| a + b);
        let first = all[0];
        one(Typed::new(sum.unwrap_or(first.var), first.of.as_float()).to(first.of))
    })
    .within("")
    .like(&[function("add_n AddN", "inputs=xs")]),
];

/// `x` without axes that have size 1 now, unless they stay.
pub(super) fn without<'g>(x: Typed<'g>, axes: &[usize], keep: bool) -> Typed<'g> {
    if keep {
        return x;
    }
    let dims = x.shape().dims().to_vec();
    let rest = dims.into_iter().enumerate();
    let rest = rest.filter(|(axis, _)| !axes.contains(axis));
    x.with(
        x.var
            .reshape(rest.map(|(_, dim)| dim).collect::<Vec<Dim>>()),
    )
}

/// `reduce` over the axes that the settings name, in floats, as elements of another type.
fn reduced<'g>(
    a: &Arguments<'g, '_>,
    x: Typed<'g>,
    of: ElementType,
    reduce: Reduction,
) -> Results<'g> {
    let axes = x.axes(a.settings.get::<Vec<isize>>("axis")?.as_deref())?;
    let keep = a.settings.or::<bool>("keepdims", false)?;
    let result = Typed::new(reduce(x.floats(), &axes), of.as_float());
    one(without(result, &axes, keep).to(of))
}

fn of_floats<'g>(a: &Arguments<'g, '_>, reduce: Reduction) -> Results<'g> {
    let x = a.tensor("x")?;
    reduced(a, x, x.of.as_float(), reduce)
}

/// The type that sums of small integers have, which would not hold them.
fn wide(of: ElementType) -> ElementType {
    use ElementType::*;
    match of {
        Bool | Int8 | Int16 => Int32,
        Uint8 | Uint16 => Uint32,
        of => of,
    }
}

/// The mean square distance of what are numbers from their mean.
fn variance_of_numbers<'g>(x: Var<'g>, axes: &[usize]) -> Var<'g> {
    let is_number = x.equal(x);
    let count = is_number.sum_keeping(axes);
    let mean = is_number.select(x, 0.0).sum_keeping(axes) / count;
    is_number.select(x - mean, 0.0).square().sum_keeping(axes) / count
}

fn summed<'g>(a: &Arguments<'g, '_>, reduce: Reduction) -> Results<'g> {
    let x = a.tensor("x")?;
    let of = a.element_type("dtype", wide(x.of))?;
    reduced(a, x.to(of), of, reduce)
}

fn extreme<'g>(a: &Arguments<'g, '_>, reduce: Reduction, with: fn(f32, f32) -> f32) -> Results<'g> {
    let x = a.tensor("x")?;
    let results = reduced(a, x, x.of, reduce)?;
    match a.settings.get::<f32>("initial")? {
        None => Ok(results),
        Some(initial) => {
            let larger = with(0.0, 1.0) == 1.0;
            let bounded = |x: Typed<'g>| {
                let y = match larger {
                    true => x.floats().maximum(initial),
                    false => x.floats().minimum(initial),
                };
                Typed::new(y, x.of.as_float()).to(x.of)
            };
            Ok(results.into_iter().map(bounded).collect())
        }
    }
}

fn truths<'g>(a: &Arguments<'g, '_>, reduce: Reduction) -> Results<'g> {
    let x = a.tensor("x")?;
    let x = Typed::new(x.truth(), ElementType::Float32);
    let results = reduced(a, x, ElementType::Float32, reduce)?;
    Ok(results.into_iter().map(|x| Typed::truths(x.var)).collect())
}

/// The product over axes, of halves of halves, so that its gradient holds where an element is zero.
fn product<'g>(x: Var<'g>, axes: &[usize]) -> Var<'g> {
    let mut x = x;
    for &axis in axes {
        let mut left = None;
        loop {
            // The batch is not among the axes.
            let size = x.shape().dims()[axis].size(0);
            if size == 0 {
                let mut dims = x.shape().dims().to_vec();
                dims[axis] = Dim::Fixed(1);
                x = x.graph().full(dims, 1.0);
            }
            if size <= 1 {
                break;
            }
            if size % 2 == 1 {
                let last = x.slice(axis, size - 1..size);
                left = Some(left.map_or(last, |left| left * last));
            }
            x = x.slice(axis, 0..size / 2) * x.slice(axis, size / 2..size / 2 * 2);
        }
        if let Some(left) = left {
            x = x * left;
        }
    }
    x
}

/// log Σ exp(x), the largest x subtracted first.
pub(super) fn log_sum_exp<'g>(x: Var<'g>, axes: &[usize]) -> Var<'g> {
    let largest = x.max_keeping(axes).stop_gradient();
    // Where all are −∞ there is nothing to subtract.
    let largest = largest.abs().less(f32::INFINITY).select(largest, 0.0);
    (x - largest).exp().sum_keeping(axes).log() + largest
}

fn average<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("x")?;
    let all = a.settings.get::<Vec<isize>>("axis")?;
    let axes = x.axes(all.as_deref())?;
    let Some(weights) = a.optional("weights")? else {
        let mean = x.to_float();
        return one(without(
            mean.with(mean.var.mean_keeping(&axes)),
            &axes,
            false,
        ));
    };
    let both = promoted(&[x, weights]);
    let (x, weights) = (both[0].to_float(), both[1].to_float());
    let mut weights = weights;
    if weights.rank() == 1 && x.rank() > 1 {
        let mut dims = vec![Dim::Fixed(1); x.rank()];
        match axes.as_slice() {
            [axis] => dims[*axis] = weights.shape().dims()[0],
            _ => {
                let expected = "one axis for weights of one axis";
                return Err(Detail::new("axis", expected, format!("{axes:?}")));
            }
        }
        weights = weights.with(weights.var.reshape(dims));
    }
    let weights = weights.var.broadcast_to(x.shape());
    let mean = (x.var * weights).sum_keeping(&axes) / weights.sum_keeping(&axes);
    one(without(x.with(mean), &axes, false))
}

fn norm<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("x")?.to_float();
    let axes = x.axes(a.settings.get::<Vec<isize>>("axis")?.as_deref())?;
    let keep = a.settings.or::<bool>("keepdims", false)?;
    let euclidean = |x: Var<'g>| x.square().sum_keeping(&axes).sqrt();
    let order = match a.settings.value("ord") {
        None => None,
        Some(value) => match (value.as_str(), value.as_f64()) {
            (Some("fro" | "euclidean"), _) => None,
            (Some("inf" | "Infinity"), _) => Some(f64::INFINITY),
            (Some("-inf"), _) => Some(f64::NEG_INFINITY),
            (None, Some(order)) => Some(order),
            _ => {
                return Err(a
                    .settings
                    .wrong("ord", "a number, \"fro\" or \"euclidean\"", value));
            }
        },
    };
    let y = match order {
        None => euclidean(x.var),
        Some(_) if axes.len() > 1 => matrix_norm(a, x.var, &axes, order)?,
        Some(2.0) => euclidean(x.var),
        Some(order) if order == f64::INFINITY => x.var.abs().max_keeping(&axes),
        Some(order) if order == f64::NEG_INFINITY => x.var.abs().min_keeping(&axes),
        Some(0.0) => x.var.not_equal(0.0).sum_keeping(&axes),
        Some(1.0) => x.var.abs().sum_keeping(&axes),
        Some(order) => {
            let order = order as f32;
            x.var.abs().powf(order).sum_keeping(&axes).powf(1.0 / order)
        }
    };
    one(without(x.with(y), &axes, keep))
}

/// Norms of matrices that are no norms of their elements in a row.
fn matrix_norm<'g>(
    a: &Arguments<'g, '_>,
    x: Var<'g>,
    axes: &[usize],
    order: Option<f64>,
) -> Result<Var<'g>, Detail> {
    // Keras' axes are (row, column) in the order that was given.
    let given = a.settings.get::<Vec<isize>>("axis")?;
    let turned = matches!(given.as_deref(), Some([row, column]) if row > column);
    let (row, column) = match (axes, turned) {
        ([first, second], false) => (*first, *second),
        ([first, second], true) => (*second, *first),
        _ => return Err(Detail::new("axis", "one axis or two", format!("{axes:?}"))),
    };
    let sums = |over: usize| x.abs().sum_keeping(&[over]);
    match order {
        Some(1.0) => Ok(sums(row).max_keeping(&[column])),
        Some(-1.0) => Ok(sums(row).min_keeping(&[column])),
        Some(order) if order == f64::INFINITY => Ok(sums(column).max_keeping(&[row])),
        Some(order) if order == f64::NEG_INFINITY => Ok(sums(column).min_keeping(&[row])),
        _ => {
            let expected = "±1, ±inf or \"fro\" for matrices";
            Err(Detail::new("ord", expected, format!("{order:?}")))
        }
    }
}

/// Sums or products of all elements so far: each round joins what is twice as far.
fn cumulative<'g>(
    a: &Arguments<'g, '_>,
    join: impl Fn(Var<'g>, Var<'g>) -> Var<'g>,
    neutral: f32,
) -> Results<'g> {
    let x = a.tensor("x")?;
    let axis = match a.settings.value("axis") {
        None => {
            let detail = Detail::new(
                "axis",
                "an axis other than the batch",
                "None, which means all",
            );
            return Err(detail.help("an operation over the batch would mix samples"));
        }
        Some(_) => x.axis(a.integer("axis", -1)?)?,
    };
    let of = match x.of {
        ElementType::Bool => ElementType::Int32,
        of => of,
    };
    let of = a.element_type("dtype", of)?;
    let (exclusive, reverse) = (
        a.settings.or::<bool>("exclusive", false)?,
        a.settings.or::<bool>("reverse", false)?,
    );
    let size = x.size(axis);
    let backwards = || super::indices((0..size).rev());
    let mut y = x.to(of).floats();
    if a.settings.owner().starts_with("Nan") {
        // What is no number counts for nothing, and infinity is the largest number.
        y = y.equal(y).select(y, neutral).clip(f32::MIN, f32::MAX);
    }
    if reverse {
        y = y.pick(axis, backwards());
    }
    // `y` moved behind by this many cells.
    let moved = |y: Var<'g>, by: usize| {
        let mut padding = vec![(0, 0); y.shape().rank()];
        padding[axis] = (by, 0);
        y.slice(axis, 0..size - by).pad(&padding, neutral)
    };
    if exclusive && size > 0 {
        y = moved(y, 1);
    }
    let mut by = 1;
    while by < size {
        y = join(y, moved(y, by));
        by *= 2;
    }
    if reverse {
        y = y.pick(axis, backwards());
    }
    one(Typed::new(y, of.as_float()).to(of))
}
