//! What layers over one, two or three spatial axes share: sizes, borders, and where the channels are.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Value, json};

use super::support::{as_size, single};
use crate::settings::{Given, IntoSetting, Setting};

/// A size for each of `RANK` spatial axes: `[3, 5]`, or `3` for the same along all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes<const RANK: usize>(pub [usize; RANK]);

impl<const RANK: usize> From<[usize; RANK]> for Sizes<RANK> {
    fn from(sizes: [usize; RANK]) -> Self {
        Sizes(sizes)
    }
}

impl<const RANK: usize> From<usize> for Sizes<RANK> {
    fn from(size: usize) -> Self {
        Sizes([size; RANK])
    }
}

/// The number of cells in front of and behind each of `RANK` spatial axes: `[[1, 2], [3, 4]]`; or
/// `[1, 3]` for as many on both sides; or `1` for the same on all sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Borders<const RANK: usize>(pub [[usize; 2]; RANK]);

impl<const RANK: usize> From<[[usize; 2]; RANK]> for Borders<RANK> {
    fn from(borders: [[usize; 2]; RANK]) -> Self {
        Borders(borders)
    }
}

impl<const RANK: usize> From<[usize; RANK]> for Borders<RANK> {
    fn from(borders: [usize; RANK]) -> Self {
        Borders(borders.map(|cells| [cells; 2]))
    }
}

impl<const RANK: usize> From<usize> for Borders<RANK> {
    fn from(cells: usize) -> Self {
        Borders([[cells; 2]; RANK])
    }
}

/// The sizes of the spatial axes and of the channels of the only input.
pub(crate) fn image<const RANK: usize>(
    inputs: &[Shape],
    channels_first: bool,
) -> Result<([usize; RANK], usize), Detail> {
    let input = single(inputs)?;
    let axes = ["steps", "rows, columns", "depth, rows, columns"][RANK - 1];
    let wrong = || {
        let expected = match channels_first {
            true => format!("an input (batch, channels, {axes})"),
            false => format!("an input (batch, {axes}, channels)"),
        };
        Detail::new("", expected, input)
    };
    let sample = input.sample().filter(|_| input.is_batch_first());
    let mut sample = sample.ok_or_else(wrong)?;
    if sample.len() != RANK + 1 {
        return Err(wrong());
    }
    let channels = sample.remove(if channels_first { 0 } else { RANK });
    let mut spatial = [0; RANK];
    spatial.copy_from_slice(&sample);
    Ok((spatial, channels))
}

/// The sizes of the spatial axes of `(batch, …spatial, channels)`; what does not fit was found when
/// the layer was built.
pub(crate) fn spatial_sizes<const RANK: usize>(x: Var<'_>) -> [usize; RANK] {
    let shape = x.shape();
    let size = |axis: usize| shape.dims().get(axis + 1).map_or(0, |dim| dim.size(0));
    std::array::from_fn(size)
}

/// `x` with the channels, which are the first axis of a sample, as the last.
pub(crate) fn to_channels_last(x: Var<'_>) -> Var<'_> {
    let rank = x.shape().rank();
    let axes: Vec<usize> = std::iter::once(0).chain(2..rank).chain([1]).collect();
    x.permute(&axes)
}

/// The inverse of [`to_channels_last`].
pub(crate) fn to_channels_first(x: Var<'_>) -> Var<'_> {
    let rank = x.shape().rank();
    let axes: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    x.permute(&axes)
}

/// `formula`, which is written for channels that are the last axis, of an `x` that may have them
/// first, as Keras' `data_format` says.
pub(crate) fn in_format<'g>(
    x: Var<'g>,
    channels_first: bool,
    formula: impl FnOnce(Var<'g>) -> Var<'g>,
) -> Var<'g> {
    match channels_first {
        true => to_channels_first(formula(to_channels_last(x))),
        false => formula(x),
    }
}

/// The largest window, stride, factor or border: products of two of them stay numbers.
const LARGEST: usize = 1 << 14;

/// An error unless all of the sizes are at least 1, and not beyond all reason.
pub(crate) fn require_sizes(at: &str, sizes: &[usize]) -> Result<(), Detail> {
    require_cells(at, 1, sizes)
}

/// An error unless all numbers are between `least` and what is not beyond all reason.
pub(crate) fn require_cells(at: &str, least: usize, sizes: &[usize]) -> Result<(), Detail> {
    match sizes.iter().all(|size| (least..=LARGEST).contains(size)) {
        true => Ok(()),
        false => {
            let expected = format!("numbers from {least} to {LARGEST}");
            Err(Detail::new(at, expected, format!("{sizes:?}")))
        }
    }
}

impl<const RANK: usize> Setting for Sizes<RANK> {
    fn read(given: Given<'_>) -> Result<Self, Detail> {
        let sizes = match given.value {
            Value::Array(sizes) => {
                let sizes: Option<Vec<usize>> = sizes.iter().map(as_size).collect();
                sizes.and_then(|sizes| sizes.try_into().ok()).map(Sizes)
            }
            size => as_size(size).map(Sizes::from),
        };
        sizes.ok_or_else(|| given.wrong(&format!("a size, or a list of {RANK}")))
    }

    fn write(&self) -> Value {
        json!(self.0.as_slice())
    }
}

/// The cells on both sides of each spatial axis, in each of Keras' three forms.
impl<const RANK: usize> Setting for Borders<RANK> {
    fn read(given: Given<'_>) -> Result<Self, Detail> {
        let pair = |value: &Value| match value.as_array().map(Vec::as_slice) {
            Some([before, after]) => Some([as_size(before)?, as_size(after)?]),
            Some(_) => None,
            None => as_size(value).map(|cells| [cells; 2]),
        };
        let borders = match given.value {
            // Of one axis, Keras writes the two sides without a list around them.
            value @ Value::Array(_) if RANK == 1 => pair(value).map(|sides| Borders([sides; RANK])),
            Value::Array(axes) => {
                let axes: Option<Vec<[usize; 2]>> = axes.iter().map(pair).collect();
                axes.and_then(|axes| axes.try_into().ok()).map(Borders)
            }
            cells => as_size(cells).map(Borders::from),
        };
        let expected = format!("a number of cells, or {RANK} of them, or {RANK} pairs");
        borders.ok_or_else(|| given.wrong(&expected))
    }

    fn write(&self) -> Value {
        match self.0.as_slice() {
            [one] => json!(one),
            axes => json!(axes),
        }
    }
}

/// What a setter of sizes or borders takes besides them.
macro_rules! also_from {
    ($type:ident: $($given:ty),+) => {$(
        impl<const RANK: usize> IntoSetting<$type<RANK>> for $given {
            fn into_setting(self) -> $type<RANK> {
                self.into()
            }
        }

        impl<const RANK: usize> IntoSetting<Option<$type<RANK>>> for $given {
            fn into_setting(self) -> Option<$type<RANK>> {
                Some(self.into())
            }
        }
    )+};
}
also_from!(Sizes: usize, [usize; RANK]);
also_from!(Borders: usize, [usize; RANK], [[usize; 2]; RANK]);

/// Where the channels are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DataFormat {
    #[default]
    ChannelsLast,
    ChannelsFirst,
}

impl DataFormat {
    pub fn is_channels_first(self) -> bool {
        self == DataFormat::ChannelsFirst
    }
}

impl Setting for DataFormat {
    fn read(given: Given<'_>) -> Result<Self, Detail> {
        match given.value.as_str().ok_or_else(|| given.wrong("a text"))? {
            "channels_last" => Ok(DataFormat::ChannelsLast),
            "channels_first" => Ok(DataFormat::ChannelsFirst),
            _ => Err(given.wrong("\"channels_last\" or \"channels_first\"")),
        }
    }

    fn write(&self) -> Value {
        match self {
            DataFormat::ChannelsLast => "channels_last".into(),
            DataFormat::ChannelsFirst => "channels_first".into(),
        }
    }
}

impl<const RANK: usize> Borders<RANK> {
    /// For each axis of `(batch, …spatial, channels)`, or with the channels first, the cells in
    /// front of and behind it.
    pub(crate) fn of_all_axes(&self, channels_first: bool) -> Vec<(usize, usize)> {
        let spatial = self.0.iter().map(|&[before, after]| (before, after));
        let first = if channels_first { 2 } else { 1 };
        let mut all = vec![(0, 0); first];
        all.extend(spatial);
        all.resize(RANK + 2, (0, 0));
        all
    }
}
