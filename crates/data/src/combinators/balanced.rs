//! Samples that count the more the rarer their class is.

use std::ops::Range;

use regraft_tensor::Detail;
use regraft_tensor::kernels::random::Key;

use crate::{Content, Dataset, Error, Histogram, Part, Result, RowSpec, RowType, Rows, Slice};

/// A data set in which all classes count the same in the loss: [`Dataset::balanced`] makes it.
#[derive(Clone, Debug)]
pub struct Balanced<D> {
    data: D,
    /// Of each sample.
    weights: Vec<f32>,
}

impl<D: Dataset> Balanced<D> {
    pub(crate) fn new(data: D) -> Result<Self> {
        let classes = classes(&data)?;
        let histogram = Histogram::new(&classes);
        let kinds = histogram.classes().count();
        let weight = |&class: &i32| {
            let of_class = histogram.count(class);
            (classes.len() as f64 / (kinds * of_class) as f64) as f32
        };
        Ok(Balanced {
            weights: classes.iter().map(weight).collect(),
            data,
        })
    }
}

/// The class of each sample.
pub(crate) fn classes(data: &impl Dataset) -> Result<Vec<i32>> {
    const CHUNK: usize = 4096;
    let (inputs, targets) = (data.inputs(), data.targets());
    let is_class = |spec: &RowSpec| spec.row_type == RowType::I32 && spec.elements() == 1;
    if !matches!(targets.as_slice(), [spec] if is_class(spec)) {
        let expected = "one target, a class number";
        let detail = Detail::new(
            "the classes of a data set",
            expected,
            format!("{targets:?}"),
        );
        return Err(Error::Data(detail));
    }
    let part = Part::Target(0);
    let mut rows = Rows::new(&inputs, &targets, data.has_weights());
    (0..inputs.len()).for_each(|index| rows.want(Part::Input(index), false));
    let mut classes = Vec::with_capacity(data.len());
    for from in (0..data.len()).step_by(CHUNK) {
        let samples: Vec<usize> = (from..data.len().min(from + CHUNK)).collect();
        rows.begin(samples.len());
        let filled = data.fill(&samples, Key::new(0, 0), &mut rows);
        filled.map_err(Error::Data)?;
        if let Some(Slice::I32(values)) = rows.get(part) {
            classes.extend_from_slice(values);
        }
    }
    Ok(classes)
}

impl<D: Dataset> Dataset for Balanced<D> {
    fn len(&self) -> usize {
        self.data.len()
    }

    fn inputs(&self) -> Vec<RowSpec> {
        self.data.inputs()
    }

    fn targets(&self) -> Vec<RowSpec> {
        self.data.targets()
    }

    fn is_fixed(&self) -> bool {
        self.data.is_fixed()
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn fill(&self, samples: &[usize], key: Key, rows: &mut Rows) -> Result<(), Detail> {
        self.data.fill(samples, key, rows)?;
        let weighted = self.data.has_weights();
        for (to, &sample) in rows.weights().into_iter().flatten().zip(samples) {
            let own = if weighted { *to } else { 1.0 };
            *to = own * self.weights[sample];
        }
        Ok(())
    }

    fn lend(&self, part: Part, samples: Range<usize>) -> Option<Slice<'_>> {
        self.data.lend(part, samples)
    }

    fn content(&self, sample: usize) -> Result<Option<Content>, Detail> {
        self.data.content(sample)
    }
}
