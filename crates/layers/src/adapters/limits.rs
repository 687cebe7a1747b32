//! What numbers an adapter may be made with, by hand or from a file.

use regraft_tensor::Detail;

use crate::{Error, Result};

/// An error unless elements can be dropped with this probability.
pub(crate) fn require_rate(rate: f32) -> Result<()> {
    match (0.0..1.0).contains(&rate) {
        true => Ok(()),
        false => Err(Error::Setting(Detail::new(
            "dropout",
            "from 0 to below 1",
            rate,
        ))),
    }
}

/// An error unless factors can be of this rank.
pub(crate) fn require_rank(rank: usize, groups: usize) -> Result<()> {
    // More than any kernel has, and no size beside which factors could not be counted.
    const LARGEST: usize = 1 << 16;
    if (1..=LARGEST).contains(&rank) && rank.is_multiple_of(groups) {
        return Ok(());
    }
    let expected = match groups {
        _ if rank > LARGEST => format!("a rank of at most {LARGEST}"),
        1 => "a rank of at least 1".to_string(),
        _ => format!("a rank that {groups} groups divide"),
    };
    let help = "pick the layer with `Lora::rank_of` to give it another, or leave it out";
    Err(Error::Setting(
        Detail::new("rank", expected, rank).help(help),
    ))
}
