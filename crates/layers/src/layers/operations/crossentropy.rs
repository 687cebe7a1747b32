//! Crossentropies as functions: of each row, or each element, without a mean.

use regraft_tensor::Detail;

use super::arguments::Arguments;
use super::declaration::{Declared, NN, Takes, one};
use super::typed::{Typed, promoted};
use crate::ElementType;
use crate::losses::{
    CategoricalCrossentropy, Loss, SparseCategoricalCrossentropy, binary_crossentropy_of_each,
};
use crate::settings::require;

type Results<'g> = Result<Vec<Typed<'g>>, Detail>;

/// What is right, and what was predicted.
const BOTH: Takes = Takes::Values(&["target", "output"]);

pub(super) const TABLE: &[Declared] = &[
    Declared::new("BinaryCrossentropy", BOTH, |a| {
        let (target, output) = alike(a)?;
        let from_logits = a.settings.or::<bool>("from_logits", false)?;
        one(output.with(binary_crossentropy_of_each(
            target.var,
            output.var,
            from_logits,
        )))
    })
    .within(NN),
    Declared::new("CategoricalCrossentropy", BOTH, |a| {
        let (target, output) = alike(a)?;
        let loss = CategoricalCrossentropy {
            from_logits: a.settings.or::<bool>("from_logits", false)?,
            axis: output.axis(a.integer("axis", -1)?)? as isize,
            ..CategoricalCrossentropy::default()
        };
        one(output.with(loss.call(target.var, output.var)))
    })
    .within(NN),
    Declared::new("SparseCategoricalCrossentropy", BOTH, sparse).within(NN),
];

/// Both values as floats, of one shape.
fn alike<'g>(a: &Arguments<'g, '_>) -> Result<(Typed<'g>, Typed<'g>), Detail> {
    let both = promoted(&[a.tensor("target")?, a.tensor("output")?]);
    let (target, output) = (both[0].to_float(), both[1].to_float());
    let (expected, received) = (output.shape(), target.shape());
    require(
        expected == received,
        "target",
        &expected.to_string(),
        received,
    )?;
    Ok((target, output))
}

fn sparse<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let (target, output) = (a.tensor("target")?, a.tensor("output")?.to_float());
    let rank = output.rank();
    let axis = output.axis(a.integer("axis", -1)?)?;
    require(axis + 1 == rank, "axis", "-1, the last axis", axis)?;
    let loss = SparseCategoricalCrossentropy {
        from_logits: a.settings.or::<bool>("from_logits", false)?,
        ..SparseCategoricalCrossentropy::default()
    };
    let mut target = target.to(ElementType::Int32).var;
    if target.shape().rank() == rank && target.shape().dims()[rank - 1] == 1.into() {
        target = target.squeeze(rank - 1);
    }
    let (expected, _) = loss.targets(&output.shape())?;
    let received = target.shape();
    require(
        expected == received,
        "target",
        &expected.to_string(),
        received,
    )?;
    one(output.with(loss.call(target, output.var)))
}
