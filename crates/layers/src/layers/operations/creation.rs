//! Values that have the shape of another.

use regraft_autograd::Var;
use regraft_tensor::Detail;

use super::arguments::Arguments;
use super::declaration::{Declared, Takes, X, function, one};
use super::typed::Typed;

type Results<'g> = Result<Vec<Typed<'g>>, Detail>;

pub(super) const TABLE: &[Declared] = &[
    Declared::new("ZerosLike", X, |a| filled(a, 0.0))
        .like(&[function("zeros_like ZerosLike", "input=x tensor=x dtype")]),
    Declared::new("OnesLike", X, |a| filled(a, 1.0))
        .like(&[function("ones_like OnesLike", "input=x tensor=x dtype")]),
    Declared::new("EmptyLike", X, |a| filled(a, 0.0)),
    Declared::new("FullLike", Takes::Values(&["x", "fill_value"]), |a| {
        let (x, value) = (a.tensor("x")?, a.tensor("fill_value")?);
        let of = a.element_type("dtype", x.of)?;
        let value = value.to(of);
        one(value.with(like(x, value.var)))
    }),
];

/// `value` wherever `x` has an element.
fn like<'g>(x: Typed<'g>, value: Var<'g>) -> Var<'g> {
    value.broadcast_to(x.shape())
}

fn filled<'g>(a: &Arguments<'g, '_>, number: f64) -> Results<'g> {
    let x = a.tensor("x")?;
    let of = a.element_type("dtype", x.of)?;
    let value = Typed::float(a.graph(), number).to(of);
    one(value.with(like(x, value.var)))
}
