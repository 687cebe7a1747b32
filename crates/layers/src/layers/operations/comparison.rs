//! Comparisons, logic, and choosing by them. Truth values are 0 and 1.

use regraft_autograd::Var;
use regraft_autograd::ops::Integers;
use regraft_tensor::Detail;

use super::arguments::Arguments;
use super::declaration::{Declared, Takes, X, X1_X2, function, one};
use super::typed::{Typed, common, promoted};

type Results<'g> = Result<Vec<Typed<'g>>, Detail>;

/// A comparison: for floats, and for integers by `a = b` or `a < b`, the latter perhaps turned round
/// and the result perhaps reversed.
macro_rules! comparison {
    ($name:literal, $names:literal, $floats:expr, $integers:expr) => {
        Declared::new($name, X1_X2, |a| compare(a, $floats, $integers))
            .like(&[function($names, "x=x1 y=x2")])
    };
}

/// Logic of two values.
macro_rules! logic {
    ($name:literal, $names:literal, |$a:ident, $b:ident| $value:expr) => {
        Declared::new($name, X1_X2, |arguments| {
            let ($a, $b) = (
                arguments.tensor("x1")?.truth(),
                arguments.tensor("x2")?.truth(),
            );
            one(Typed::truths($value))
        })
        .like(&[function($names, "x=x1 y=x2")])
    };
}

/// A question about each float; integers and truth values are finite numbers.
macro_rules! question {
    ($name:literal, $names:literal, |$x:ident| $value:expr) => {
        Declared::new($name, X, |a| {
            let $x = a.tensor("x")?.floats();
            one(Typed::truths($value))
        })
        .like(&[function($names, "x")])
    };
}

fn not(x: Var<'_>) -> Var<'_> {
    1.0 - x
}

pub(super) const TABLE: &[Declared] = &[
    comparison!(
        "Equal",
        "equal __operators__.eq Equal",
        |a, b| a.equal(b),
        |a, b| { a.integers(Integers::Equal, b) }
    ),
    comparison!(
        "NotEqual",
        "not_equal __operators__.ne NotEqual",
        |a, b| a.not_equal(b),
        |a, b| { not(a.integers(Integers::Equal, b)) }
    ),
    comparison!("Greater", "greater Greater", |a, b| a.greater(b), |a, b| {
        b.integers(Integers::Less, a)
    }),
    comparison!(
        "GreaterEqual",
        "greater_equal GreaterEqual",
        |a, b| a.greater_equal(b),
        |a, b| { not(a.integers(Integers::Less, b)) }
    ),
    comparison!("Less", "less Less", |a, b| a.less(b), |a, b| a
        .integers(Integers::Less, b)),
    comparison!(
        "LessEqual",
        "less_equal LessEqual",
        |a, b| a.less_equal(b),
        |a, b| { not(b.integers(Integers::Less, a)) }
    ),
    logic!("LogicalAnd", "logical_and LogicalAnd", |a, b| a.minimum(b)),
    logic!("LogicalOr", "logical_or LogicalOr", |a, b| a.maximum(b)),
    logic!("LogicalXor", "logical_xor", |a, b| a.not_equal(b)),
    Declared::new("LogicalNot", X, |a| {
        one(Typed::truths(not(a.tensor("x")?.truth())))
    })
    .like(&[function("logical_not LogicalNot", "x")]),
    question!("Isnan", "is_nan", |x| x.not_equal(x)),
    question!("Isinf", "is_inf", |x| x.abs().equal(f32::INFINITY)),
    question!("Isfinite", "is_finite", |x| x.abs().less(f32::INFINITY)),
    Declared::new("Isposinf", X, |a| {
        one(Typed::truths(a.tensor("x")?.floats().equal(f32::INFINITY)))
    }),
    Declared::new("Isneginf", X, |a| {
        one(Typed::truths(
            a.tensor("x")?.floats().equal(f32::NEG_INFINITY),
        ))
    }),
    Declared::new(
        "Isclose",
        Takes::Values(&["x1", "x2", "rtol", "atol"]),
        |a| {
            let (x1, x2) = (a.tensor("x1")?.floats(), a.tensor("x2")?.floats());
            let rtol = a.settings.or::<f32>("rtol", 1e-5)?;
            let atol = a.settings.or::<f32>("atol", 1e-8)?;
            let near = (x1 - x2).abs().less_equal(x2.abs() * rtol + atol);
            let mut close = near.maximum(x1.equal(x2));
            if a.settings.or::<bool>("equal_nan", false)? {
                close = close.maximum(x1.not_equal(x1).minimum(x2.not_equal(x2)));
            }
            one(Typed::truths(close))
        },
    ),
    Declared::new("Where", Takes::Values(&["condition", "x1", "x2"]), choose).like(&[function(
        "where where_v2 SelectV2 Select",
        "condition x=x1 y=x2",
    )]),
    Declared::new(
        "Select",
        Takes::Values(&["condlist", "choicelist", "default"]),
        |a| {
            let (conditions, choices) = (a.list("condlist")?, a.list("choicelist")?);
            if conditions.len() != choices.len() {
                let expected = format!("{} choices, one for each condition", conditions.len());
                return Err(Detail::new("choicelist", expected, choices.len()));
            }
            let default = match a.optional("default")? {
                Some(default) => default,
                None => Typed::integer(a.graph(), 0),
            };
            let mut all = choices;
            all.push(default);
            let mut all = promoted(&all);
            let mut result = all.pop().unwrap_or(default);
            for (condition, choice) in conditions.into_iter().zip(all).rev() {
                result = choice.with(condition.truth().select(choice.var, result.var));
            }
            one(result)
        },
    ),
];

fn compare<'g>(
    a: &Arguments<'g, '_>,
    floats: impl Fn(Var<'g>, Var<'g>) -> Var<'g>,
    integers: impl Fn(Var<'g>, Var<'g>) -> Var<'g>,
) -> Results<'g> {
    let both = [a.tensor("x1")?, a.tensor("x2")?];
    let of = common(&both);
    let [x1, x2] = both.map(|x| x.to(of).var);
    one(Typed::truths(match of.is_integer() {
        true => integers(x1, x2),
        false => floats(x1, x2),
    }))
}

fn choose<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let condition = a.tensor("condition")?.truth();
    let (Some(x1), Some(x2)) = (a.optional("x1")?, a.optional("x2")?) else {
        let expected = "two values to choose from";
        let detail = Detail::new("x1, x2", expected, "none");
        return Err(
            detail.help("the positions where a condition holds are as many as the data say")
        );
    };
    let both = promoted(&[x1, x2]);
    one(both[0].with(condition.select(both[0].var, both[1].var)))
}
