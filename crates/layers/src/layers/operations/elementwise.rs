//! Arithmetic and functions, element by element.

use std::f64::consts::{LN_2, LN_10, PI};

use regraft_autograd::Var;
use regraft_autograd::ops::Integers;
use regraft_tensor::Detail;

use super::arguments::Arguments;
use super::declaration::{CORE, Declared, MATH, Takes, X, X1_X2, function, of_floats, one};
use super::typed::{Typed, common, integer, promoted};
use crate::ElementType;
use crate::settings::require;

type Results<'g> = Result<Vec<Typed<'g>>, Detail>;
type Unary = for<'g> fn(Var<'g>) -> Var<'g>;
type Binary = for<'g> fn(Var<'g>, Var<'g>) -> Var<'g>;

/// A function of floats.
macro_rules! floats {
    ($name:literal, |$x:ident| $value:expr) => {
        Declared::new($name, X, |a| of_floats(a, |$x| $value))
    };
    ($name:literal, $names:literal, |$x:ident| $value:expr) => {
        Declared::new($name, X, |a| of_floats(a, |$x| $value)).like(&[function($names, "x")])
    };
}

/// A function of two numbers that keeps their type: one formula for floats, one for integers.
macro_rules! numbers {
    ($name:literal, $names:literal, $floats:expr, $integers:expr) => {
        Declared::new($name, X1_X2, |a| arithmetic(a, $floats, $integers))
            .like(&[function($names, "x=x1 y=x2")])
    };
}

pub(super) const TABLE: &[Declared] = &[
    Declared::new("Add", X1_X2, add).like(&[
        function("__operators__.add add Add AddV2 BiasAdd", "x=x1 y=x2"),
        function("nn.bias_add", "value=x1 bias=x2 -data_format"),
    ]),
    numbers!(
        "Subtract",
        "subtract Sub",
        |a, b| a - b,
        Some(Integers::Subtract)
    ),
    Declared::new("Multiply", X1_X2, multiply)
        .like(&[function("multiply Mul scalar_mul", "x=x1 y=x2")]),
    Declared::new("TrueDivide", X1_X2, divide)
        .like(&[function("truediv divide RealDiv Div", "x=x1 y=x2")]),
    Declared::new("Divide", X1_X2, divide),
    Declared::new("DivideNoNan", X1_X2, |a| {
        let (x1, x2) = two_floats(a)?;
        let zero = x2.var.equal(0.0);
        let quotient = x1.var / zero.select(1.0, x2.var);
        one(x1.with(zero.select(0.0, quotient)))
    })
    .like(&[function("divide_no_nan", "x=x1 y=x2")]),
    numbers!(
        "FloorDivide",
        "floordiv floor_div FloorDiv",
        |a, b| (a / b).floor(),
        Some(Integers::FloorDivide)
    ),
    Declared::new("Mod", X1_X2, modulo).like(&[function("floormod mod FloorMod", "x=x1 y=x2")]),
    Declared::new("Power", X1_X2, power).like(&[function("pow Pow", "x=x1 y=x2")]),
    numbers!(
        "Maximum",
        "maximum Maximum",
        |a, b| a.maximum(b),
        Some(Integers::Maximum)
    ),
    numbers!(
        "Minimum",
        "minimum Minimum",
        |a, b| a.minimum(b),
        Some(Integers::Minimum)
    ),
    Declared::new("SquaredDifference", X1_X2, |a| {
        arithmetic(a, |a, b| (a - b).square(), None)
    })
    .within("")
    .like(&[function(
        "squared_difference SquaredDifference",
        "x=x1 y=x2",
    )]),
    Declared::new("Hypot", X1_X2, |a| {
        let (x1, x2) = two_floats(a)?;
        one(x1.with((x1.var.square() + x2.var.square()).sqrt()))
    }),
    Declared::new("Arctan2", X1_X2, arctan2).like(&[function("atan2", "y=x1 x=x2")]),
    Declared::new("Logaddexp", X1_X2, |a| {
        let (x1, x2) = two_floats(a)?;
        let distance = (x1.var - x2.var).abs();
        one(x1.with(x1.var.maximum(x2.var) + (-distance).exp().log1p()))
    }),
    Declared::new("Logaddexp2", X1_X2, |a| {
        let (x1, x2) = two_floats(a)?;
        let distance = (x1.var - x2.var).abs() * LN_2 as f32;
        let more = (-distance).exp().log1p() / LN_2 as f32;
        one(x1.with(x1.var.maximum(x2.var) + more))
    }),
    Declared::new("Fmax", X1_X2, |a| {
        of_numbers(a, |a, b| a.maximum(b), Integers::Maximum)
    }),
    Declared::new("Fmin", X1_X2, |a| {
        of_numbers(a, |a, b| a.minimum(b), Integers::Minimum)
    }),
    Declared::new("Fmod", X1_X2, |a| {
        let both = [a.tensor("x1")?, a.tensor("x2")?];
        let of = match common(&both) {
            ElementType::Bool => ElementType::Int32,
            of => of,
        };
        // What is left over has the sign of what was divided.
        let floats: Binary = |a, b| a.sign() * a.abs().floor_modulo(b.abs());
        one(combined(both, of, floats, None))
    }),
    Declared::new("Ldexp", X1_X2, |a| {
        let (x1, x2) = (a.tensor("x1")?, a.tensor("x2")?);
        let fits = x2.of.is_integer();
        require(fits, "x2", "exponents that are integers", x2.of)?;
        let of = common(&[x1, x2]).as_float();
        let power = x1.var.graph().number(2.0).power(x2.to(of).var);
        let x1 = x1.to(of);
        // Nothing and infinity stay what they are.
        let same = x1.var.equal(0.0).maximum(x1.var.abs().equal(f32::INFINITY));
        one(x1.with(same.select(x1.var, x1.var * power)))
    }),
    Declared::new("Heaviside", X1_X2, |a| {
        let (x1, x2) = two_floats(a)?;
        let at_zero = x1.var.equal(0.0).select(x2.var, x1.var.greater(0.0));
        one(x1.with(at_zero))
    }),
    Declared::new("BitwiseAnd", Takes::Values(&["x", "y"]), |a| {
        bits(a, Integers::And)
    }),
    Declared::new("BitwiseOr", Takes::Values(&["x", "y"]), |a| {
        bits(a, Integers::Or)
    }),
    Declared::new("BitwiseXor", Takes::Values(&["x", "y"]), |a| {
        bits(a, Integers::Xor)
    }),
    Declared::new("BitwiseLeftShift", Takes::Values(&["x", "y"]), |a| {
        bits(a, Integers::ShiftLeft)
    }),
    Declared::new("BitwiseRightShift", Takes::Values(&["x", "y"]), |a| {
        bits(a, Integers::ShiftRight)
    }),
    Declared::new("Gcd", X1_X2, |a| {
        let [a, b] = two_integers(a)?;
        one(a.with(a.var.integers(Integers::GreatestCommonDivisor, b.var)))
    }),
    Declared::new("Lcm", X1_X2, |a| {
        let [a, b] = two_integers(a)?;
        let divisor = a.var.integers(Integers::GreatestCommonDivisor, b.var);
        // Where both are 0, so is the result.
        let divisor = divisor.integers(Integers::Maximum, integer(a.graph(), 1));
        let rest = b.var.integers(Integers::FloorDivide, divisor);
        one(a.with(a.var.integers(Integers::Multiply, rest)).wrapped())
    }),
    Declared::new("LeftShift", Takes::Values(&["x", "y"]), |a| {
        bits(a, Integers::ShiftLeft)
    }),
    Declared::new("RightShift", Takes::Values(&["x", "y"]), |a| {
        bits(a, Integers::ShiftRight)
    }),
    Declared::new("Negative", X, |a| {
        keeping(a, |x| -x, |x| zero_like(x).integers(Integers::Subtract, x))
    })
    .like(&[function("negative Neg", "x")]),
    Declared::new("Absolute", X, absolute).like(&[function("abs Abs", "x")]),
    Declared::new("Abs", X, absolute),
    floats!("Fabs", |x| x.abs()),
    floats!("Sinc", |x| {
        let turned = x.equal(0.0).select(1.0, x * PI as f32);
        x.equal(0.0).select(1.0, turned.sin() / turned)
    }),
    Declared::new("Signbit", X, |a| {
        let x = a.tensor("x")?.floats();
        // −0 is less than nothing only by what it divides.
        one(Typed::truths(x.less(0.0).maximum(x.reciprocal().less(0.0))))
    }),
    Declared::new("BitwiseInvert", X, inverted),
    Declared::new("BitwiseNot", X, inverted),
    Declared::new("Isreal", X, |a| {
        let x = a.tensor("x")?.to_float();
        one(Typed::truths(x.var.graph().full(x.shape(), 1.0)))
    }),
    Declared::new("Square", X, |a| {
        let x = a.tensor("x")?;
        let x = match x.of {
            ElementType::Bool => x.to(ElementType::Int32),
            _ => x,
        };
        one(of_either(
            x,
            |x| x.square(),
            |x| x.integers(Integers::Multiply, x),
        ))
    })
    .like(&[function("square Square", "x")]),
    Declared::new("Sign", X, |a| {
        keeping(a, |x| x.sign(), |x| x.to_f32().sign().to_i32())
    })
    .like(&[function("sign", "x")]),
    Declared::new("Copy", X, same).like(&[function(
        "identity Identity convert_to_tensor",
        "input=x value=x",
    )]),
    Declared::new("Conj", X, same),
    Declared::new("Conjugate", X, same),
    Declared::new("Real", X, same),
    Declared::new("ConvertToTensor", X, cast_if_told).within(CORE),
    Declared::new("StopGradient", Takes::Values(&["variable"]), |a| {
        let x = a.tensor("variable")?;
        one(x.with(x.var.stop_gradient()))
    })
    .within(CORE)
    .like(&[function("stop_gradient StopGradient", "input=variable")]),
    Declared::new("Cast", X, cast).within(CORE).like(&[
        function("cast", "x dtype"),
        function("to_float", "x").with(r#"{"dtype": "float32"}"#),
    ]),
    Declared::new("SaturateCast", X, saturate_cast)
        .within(CORE)
        .like(&[function("saturate_cast", "value=x dtype")]),
    Declared::new("Clip", X, clip).like(&[function(
        "clip_by_value",
        "t=x clip_value_min=x_min clip_value_max=x_max",
    )]),
    Declared::new("NanToNum", X, nan_to_num),
    Declared::new("Round", X, round).like(&[function("round Round", "x")]),
    Declared::new("Floor", X, |a| whole(a, |x| x.floor())).like(&[function("floor Floor", "x")]),
    Declared::new("Ceil", X, |a| whole(a, |x| -(-x).floor())).like(&[function("ceil Ceil", "x")]),
    Declared::new("Trunc", X, |a| {
        keeping(
            a,
            |x| x.greater(0.0).select(x.floor(), -(-x).floor()),
            |x| x,
        )
    }),
    floats!("Sqrt", "sqrt Sqrt", |x| x.sqrt()),
    floats!("Cbrt", |x| x.cbrt()),
    floats!("Reciprocal", "reciprocal Reciprocal Inv", |x| x
        .reciprocal()),
    floats!("Exp", "exp Exp", |x| x.exp()),
    floats!("Exp2", |x| (x * LN_2 as f32).exp()),
    floats!("Expm1", "expm1", |x| x.expm1()),
    floats!("Log", "log Log", |x| x.log()),
    floats!("Log1p", "log1p", |x| x.log1p()),
    floats!("Log2", |x| x.log() * (1.0 / LN_2) as f32),
    floats!("Log10", |x| x.log() * (1.0 / LN_10) as f32),
    floats!("Sin", "sin Sin", |x| x.sin()),
    floats!("Cos", "cos Cos", |x| x.cos()),
    floats!("Tan", "tan Tan", |x| x.tan()),
    floats!("Arcsin", "asin", |x| x.arcsin()),
    floats!("Arccos", "acos", |x| x.arccos()),
    floats!("Arctan", "atan", |x| x.arctan()),
    floats!("Sinh", "sinh", |x| x.sinh()),
    floats!("Cosh", "cosh", |x| x.cosh()),
    floats!("Tanh", "tanh nn.tanh Tanh", |x| x.tanh()),
    floats!("Arcsinh", "asinh", |x| x.arcsinh()),
    floats!("Arccosh", "acosh", |x| x.arccosh()),
    floats!("Arctanh", "atanh", |x| x.arctanh()),
    floats!("Deg2rad", |x| x * (PI / 180.0) as f32),
    floats!("Rad2deg", |x| x * (180.0 / PI) as f32),
    Declared::new("Erf", X, |a| of_floats(a, |x| x.erf()))
        .within(MATH)
        .like(&[function("erf", "x")]),
    Declared::new("Erfc", X, |a| of_floats(a, |x| 1.0 - x.erf()))
        .within(MATH)
        .like(&[function("erfc", "x")]),
    Declared::new("Erfinv", X, |a| of_floats(a, |x| x.erfinv()))
        .within(MATH)
        .like(&[function("erfinv", "x")]),
    Declared::new("CDist", Takes::Values(&["x", "y"]), |a| {
        let both = promoted(&[a.tensor("x")?, a.tensor("y")?]);
        let [x, y] = [both[0].to_float(), both[1].to_float()];
        let least = x.rank().min(y.rank());
        require(least >= 3, "x", "a batch of rows", x.shape().to_string())?;
        let difference = x.var.expand_dims(x.rank() - 1) - y.var.expand_dims(y.rank() - 2);
        let last = difference.shape().rank() - 1;
        one(x.with(difference.square().sum(&[last]).sqrt()))
    })
    .within(MATH),
    Declared::new("Rsqrt", X, |a| of_floats(a, |x| x.rsqrt()))
        .within(MATH)
        .like(&[function("rsqrt Rsqrt", "x")]),
];

fn zero_like(x: Var<'_>) -> Var<'_> {
    super::typed::integer(x.graph(), 0)
}

/// A function of floats or one of integers, whatever `x` is; truth values count as floats.
fn of_either<'g>(x: Typed<'g>, floats: Unary, integers: Unary) -> Typed<'g> {
    match x.of.is_integer() {
        true => x.with(integers(x.var)).wrapped(),
        false => x.with(floats(x.var)),
    }
}

/// A function that keeps the type of `x`.
fn keeping<'g>(a: &Arguments<'g, '_>, floats: Unary, integers: Unary) -> Results<'g> {
    one(of_either(a.tensor("x")?, floats, integers))
}

fn same<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    one(a.tensor("x")?)
}

fn absolute<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    keeping(
        a,
        |x| x.abs(),
        |x| {
            x.integers(
                Integers::Maximum,
                zero_like(x).integers(Integers::Subtract, x),
            )
        },
    )
}

/// Both values as floats of one type.
fn two_floats<'g>(a: &Arguments<'g, '_>) -> Result<(Typed<'g>, Typed<'g>), Detail> {
    let both = [a.tensor("x1")?, a.tensor("x2")?];
    let of = common(&both).as_float();
    Ok((both[0].to(of), both[1].to(of)))
}

/// A function of two numbers in the type that goes for both. Truth values count as integers.
fn arithmetic<'g>(
    a: &Arguments<'g, '_>,
    floats: Binary,
    integers: Option<Integers>,
) -> Results<'g> {
    let both = [a.tensor("x1")?, a.tensor("x2")?];
    let of = common(&both);
    one(combined(both, of, floats, integers))
}

fn combined<'g>(
    both: [Typed<'g>; 2],
    of: ElementType,
    floats: Binary,
    integers: Option<Integers>,
) -> Typed<'g> {
    let [x1, x2] = both.map(|x| x.to(of));
    match (of.is_integer(), integers) {
        (true, Some(function)) => x1.with(x1.var.integers(function, x2.var)).wrapped(),
        (true, None) => {
            let floats = floats(x1.var.to_f32(), x2.var.to_f32());
            x1.with(floats.to_i32()).wrapped()
        }
        (false, _) => x1.with(floats(x1.var, x2.var)),
    }
}

/// Truth values add up to whether one holds.
fn add<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let both = [a.tensor("x1")?, a.tensor("x2")?];
    let of = common(&both);
    let floats: Binary = match of {
        ElementType::Bool => |a, b| a.maximum(b),
        _ => |a, b| a + b,
    };
    one(combined(both, of, floats, Some(Integers::Add)))
}

fn multiply<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    arithmetic(a, |a, b| a * b, Some(Integers::Multiply))
}

fn divide<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let (x1, x2) = two_floats(a)?;
    one(x1.with(x1.var / x2.var))
}

fn modulo<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    // Keras takes numbers for whole arrays here, so that they have a width.
    let both = [a.tensor("x1")?, a.tensor("x2")?].map(|x| x.to(x.of));
    let of = match common(&both) {
        ElementType::Bool => ElementType::Int32,
        of => of,
    };
    let floats: Binary = |a, b| a.floor_modulo(b);
    one(combined(both, of, floats, Some(Integers::FloorModulo)))
}

/// A power that is a plain number has a formula of its own.
fn power<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let both = [a.tensor("x1")?, a.tensor("x2")?];
    let of = common(&both);
    match (both[1].as_number(), of.is_float()) {
        (Some(exponent), true) => {
            let x = both[0].to(of);
            let y = match exponent {
                1.0 => x.var,
                2.0 => x.var.square(),
                _ => x.var.powf(exponent as f32),
            };
            one(x.with(y))
        }
        _ => one(combined(both, of, |a, b| a.power(b), None)),
    }
}

/// As `floats` where both are numbers, and the one that is a number where only one is.
fn of_numbers<'g>(a: &Arguments<'g, '_>, floats: Binary, integers: Integers) -> Results<'g> {
    let both = [a.tensor("x1")?, a.tensor("x2")?];
    let of = common(&both);
    let result = combined(both, of, floats, Some(integers));
    if !of.is_float() {
        return one(result);
    }
    let [x1, x2] = both.map(|x| x.to(of).var);
    let y = x1.equal(x1).select(result.var, x2);
    one(result.with(x2.equal(x2).select(y, x1)))
}

fn inverted<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("x")?;
    require(x.of.is_integer(), "x", "integers", x.of)?;
    let ones = super::typed::integer(x.graph(), -1);
    one(x.with(x.var.integers(Integers::Xor, ones)).wrapped())
}

fn bits<'g>(a: &Arguments<'g, '_>, function: Integers) -> Results<'g> {
    let both = promoted(&[a.tensor("x")?, a.tensor("y")?]);
    match both[0].of.is_integer() {
        true => one(both[0]
            .with(both[0].var.integers(function, both[1].var))
            .wrapped()),
        false => Err(Detail::new("x", "integers", both[0].of)),
    }
}

/// The absolute values of two operands, integers of their common type.
fn two_integers<'g>(a: &Arguments<'g, '_>) -> Result<[Typed<'g>; 2], Detail> {
    let both = promoted(&[a.tensor("x1")?, a.tensor("x2")?]);
    let [a, b] = [both[0], both[1]];
    match a.of.is_integer() {
        true => Ok([a, b].map(|x| {
            let below = zero_like(x.var).integers(Integers::Subtract, x.var);
            x.with(x.var.integers(Integers::Maximum, below)).wrapped()
        })),
        false => Err(Detail::new("x1", "integers", a.of)),
    }
}

/// The angle of the point (x2, x1).
fn arctan2<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let (y, x) = two_floats(a)?;
    let right = x.var.greater(0.0);
    let safe = x.var.equal(0.0).select(1.0, x.var);
    let angle = (y.var / safe).arctan();
    let half = y.var.less(0.0).select(-PI as f32, PI as f32);
    // On the axis of y the angle is ±π/2; its slope there is that of −x / y.
    let safe = y.var.equal(0.0).select(1.0, y.var);
    let upright = half * 0.5 - (x.var / safe).arctan();
    let level = x.var.abs().greater_equal(y.var.abs());
    let wide = right.select(angle, angle + half);
    let result = level.select(wide, upright);
    let origin = x.var.equal(0.0).minimum(y.var.equal(0.0));
    one(y.with(origin.select(0.0, result)))
}

fn cast<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("x")?;
    let Some(_) = a.settings.value("dtype") else {
        let expected = "a type of elements";
        return Err(a
            .settings
            .wrong("dtype", expected, &serde_json::Value::Null));
    };
    one(x.to(a.element_type("dtype", x.of)?))
}

/// As [`cast`], with what the type has no room for brought to its ends.
fn saturate_cast<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let (x, of) = (
        a.tensor("x")?,
        a.element_type("dtype", ElementType::Float32)?,
    );
    if of.is_float() {
        // Infinity becomes the largest number, too.
        let largest = match of {
            ElementType::Float16 => 65504.0,
            ElementType::Bfloat16 => f32::from_bits(0x7f7f_0000),
            _ => f32::MAX,
        };
        let x = x.to(of);
        return one(x.with(x.var.clip(-largest, largest)));
    }
    if x.of == of {
        return one(x);
    }
    let (low, high) = match of {
        ElementType::Bool => (0, 1),
        of => (*of.range().start(), *of.range().end()),
    };
    if x.of.is_integer() {
        let ends = [low, high].map(|end| integer(x.graph(), end as i32));
        let within = x.var.integers(Integers::Maximum, ends[0]);
        return one(x.with(within.integers(Integers::Minimum, ends[1])).to(of));
    }
    // The largest float that is not above the end.
    let highest = match high as f32 {
        end if end as i64 > high => f32::from_bits(end.to_bits() - 1),
        end => end,
    };
    let clipped = x.floats().clip(low as f32, highest);
    one(Typed::new(clipped, x.of.as_float()).to(of))
}

fn cast_if_told<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("x")?;
    a.settings.ignore(&["sparse", "ragged"]);
    one(x.to(a.element_type("dtype", x.of)?))
}

/// Bounds are numbers, or values of their own.
fn clip<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("x")?;
    let (min, max) = (a.optional("x_min")?, a.optional("x_max")?);
    let x = match x.of {
        ElementType::Bool => x.to(ElementType::Int32),
        _ => x,
    };
    let numbers = (
        min.and_then(Typed::as_number),
        max.and_then(Typed::as_number),
    );
    if let (Some(min), Some(max), true) = (numbers.0, numbers.1, x.of.is_float()) {
        return one(x.with(x.var.clip(min as f32, max as f32)));
    }
    let mut y = x;
    if let Some(min) = min {
        y = combined(
            [y, min.to(x.of)],
            x.of,
            |a, b| a.maximum(b),
            Some(Integers::Maximum),
        );
    }
    if let Some(max) = max {
        y = combined(
            [y, max.to(x.of)],
            x.of,
            |a, b| a.minimum(b),
            Some(Integers::Minimum),
        );
    }
    one(y)
}

fn nan_to_num<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("x")?;
    let nan = a.settings.or::<f32>("nan", 0.0)?;
    let positive = a.settings.or::<f32>("posinf", f32::MAX)?;
    let negative = a.settings.or::<f32>("neginf", f32::MIN)?;
    if !x.of.is_float() {
        return one(x);
    }
    let y = x.var.not_equal(x.var).select(nan, x.var);
    let y = y.equal(f32::INFINITY).select(positive, y);
    one(x.with(y.equal(f32::NEG_INFINITY).select(negative, y)))
}

fn round<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let x = a.tensor("x")?;
    let decimals = a.integer("decimals", 0)?;
    if x.of.is_integer() && decimals >= 0 {
        return one(x);
    }
    let scale = 10_f32.powi(decimals.clamp(-38, 38) as i32);
    let y = match decimals {
        0 => x.floats().round(),
        _ => (x.floats() * scale).round() / scale,
    };
    one(Typed::new(y, x.of.as_float()).to(x.of))
}

/// Whole numbers as floats; integers are whole already.
fn whole<'g>(a: &Arguments<'g, '_>, floats: Unary) -> Results<'g> {
    let x = a.tensor("x")?;
    let y = x.to_float();
    one(match x.of.is_float() {
        true => y.with(floats(y.var)),
        false => y,
    })
}
