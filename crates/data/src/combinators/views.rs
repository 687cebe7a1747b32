//! Several fixed views of each sample, so that what is computed from augmented data can be kept.

use regraft_tensor::Detail;
use regraft_tensor::kernels::random::Key;

use crate::{Content, Dataset, Hasher, Map, Row, RowSpec, Rows};

/// Each sample several times, as [`Map::views`] makes it: view 0 without the function, and the others as the
/// function makes them from random numbers that belong to the sample's [`content`](Dataset::content) and the
/// number of the view. A view so is the same in every epoch, whatever else is in the data and in whatever
/// order, and what is computed from it can be kept.
///
/// The views of a sample stand side by side: [`sample_of`](Self::sample_of). They are of one group: none
/// should be validated on while another is trained on.
///
/// ```
/// use regraft_data::{Dataset, Part, RowSpec, Rows};
/// # use regraft_tensor::{Detail, kernels::random::{Key, uniform}};
/// # struct Pictures;
/// # impl Dataset for Pictures {
/// #     fn len(&self) -> usize { 10 }
/// #     fn inputs(&self) -> Vec<RowSpec> { vec![RowSpec::floats([2])] }
/// #     fn fill(&self, _: &[usize], _: Key, rows: &mut Rows) -> Result<(), Detail> {
/// #         rows.floats(Part::Input(0)).map(|x| x.fill(0.0));
/// #         Ok(())
/// #     }
/// # }
/// # let pictures = Pictures;
/// let brighter = pictures.augment(|row, key| {
///     let mut amount = [0.0];
///     uniform(key, 0, &mut amount);
///     for x in row.floats(Part::Input(0)).into_iter().flatten() {
///         *x += amount[0];
///     }
///     Ok(())
/// });
/// let views = brighter.named("brighter, version 1").views(4);
/// assert!(views.is_fixed());
/// assert_eq!((views.len(), views.sample_of(7)), (40, (1, 3)));
/// ```
#[derive(Clone, Debug)]
pub struct Views<D, F> {
    map: Map<D, F>,
    views: usize,
}

impl<D, F> Views<D, F>
where
    D: Dataset,
    F: Fn(&mut Row<'_>, Key) -> Result<(), Detail> + Sync,
{
    pub(crate) fn new(map: Map<D, F>, views: usize) -> Self {
        let views = views.max(1);
        Views { map, views }
    }

    /// The sample, and the number of its view, that stand at a position.
    pub fn sample_of(&self, position: usize) -> (usize, usize) {
        (position / self.views, position % self.views)
    }

    /// What a view is drawn from; of a sample that says nothing of its content, from its number.
    fn key(&self, sample: usize, view: usize) -> Result<Key, Detail> {
        /// The stream of random numbers for samples without content.
        const VIEWS: u64 = 4;
        let key = match self.map.data.content(sample)? {
            None => Key::new(sample as u64, VIEWS),
            Some(content) => {
                let (seed, rest) = content.split_first_chunk().expect("a hash has 32 bytes");
                let (stream, _) = rest.split_first_chunk().expect("a hash has 32 bytes");
                Key::new(u64::from_le_bytes(*seed), u64::from_le_bytes(*stream))
            }
        };
        Ok(key.child(view as u64))
    }
}

impl<D, F> Dataset for Views<D, F>
where
    D: Dataset,
    F: Fn(&mut Row<'_>, Key) -> Result<(), Detail> + Sync,
{
    fn len(&self) -> usize {
        self.map.data.len() * self.views
    }

    fn inputs(&self) -> Vec<RowSpec> {
        self.map.data.inputs()
    }

    fn targets(&self) -> Vec<RowSpec> {
        self.map.data.targets()
    }

    fn is_fixed(&self) -> bool {
        self.map.data.is_fixed()
    }

    fn has_weights(&self) -> bool {
        self.map.data.has_weights()
    }

    fn fill(&self, samples: &[usize], key: Key, rows: &mut Rows) -> Result<(), Detail> {
        let of = samples.iter().map(|&position| self.sample_of(position).0);
        self.map.data.fill(&of.collect::<Vec<usize>>(), key, rows)?;
        for (row, &position) in samples.iter().enumerate() {
            let (sample, view) = self.sample_of(position);
            if view > 0 {
                self.map.apply(rows, row, self.key(sample, view)?)?;
            }
        }
        Ok(())
    }

    fn content(&self, position: usize) -> Result<Option<Content>, Detail> {
        let (sample, view) = self.sample_of(position);
        let plain = self.map.data.content(sample)?;
        if view == 0 {
            return Ok(plain);
        }
        let view = |content: Content| {
            let hasher = Hasher::new("view").bytes(&content);
            hasher.number(view as u64).finish()
        };
        Ok(self.map.content_of(plain).map(view))
    }
}
