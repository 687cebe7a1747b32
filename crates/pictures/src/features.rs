//! The features of pictures: in memory where they are few, otherwise where they are kept.

use std::sync::Arc;

use regraft::Tensor;
use regraft_features::{FeatureStore, Namespace};
use regraft_heads as heads;
use regraft_tensor::Detail;

use crate::{Error, Result};

/// Bytes of all features up to which they are in memory.
const IN_MEMORY: usize = 64 << 20;

/// Whether so many features are in memory.
pub(crate) fn fit_into_memory(pictures: usize, width: usize) -> bool {
    4 * pictures * width <= IN_MEMORY
}

/// A row for each picture.
#[derive(Debug)]
pub(crate) struct Features {
    /// A hash of the network that they are of.
    pub network: [u8; 32],
    /// A hash of what is in the file of each, and how it is seen.
    pub keys: Vec<[u8; 32]>,
    /// No columns without a network.
    pub width: usize,
    pub rows: Rows,
}

/// Where they are.
#[derive(Debug)]
pub(crate) enum Rows {
    Memory(Tensor),
    Kept(Arc<FeatureStore>),
}

impl Features {
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Those of some pictures.
    pub fn of(&self, pictures: &[usize]) -> Result<Part<'_>> {
        let rows = match &self.rows {
            Rows::Memory(all) => PartRows::Memory(all.as_slice()),
            Rows::Kept(store) => {
                let kept = store.namespace(&self.network, &[vec![self.width]])?;
                PartRows::Kept(Box::new(kept))
            }
        };
        Ok(Part {
            all: self,
            rows,
            pictures: pictures.to_vec(),
        })
    }

    /// Those of all pictures.
    pub fn all(&self) -> Result<Part<'_>> {
        self.of(&(0..self.len()).collect::<Vec<_>>())
    }
}

/// The features of some pictures.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    all: &'a Features,
    rows: PartRows<'a>,
    pictures: Vec<usize>,
}

#[derive(Debug)]
enum PartRows<'a> {
    Memory(&'a [f32]),
    Kept(Box<Namespace<'a>>),
}

impl Part<'_> {
    pub fn len(&self) -> usize {
        self.pictures.len()
    }

    pub fn width(&self) -> usize {
        self.all.width
    }

    /// A hash of all that they are of.
    pub fn hash(&self) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.all.network);
        hasher.update(&(self.all.width as u64).to_le_bytes());
        hasher.update(&(self.len() as u64).to_le_bytes());
        for picture in &self.pictures {
            hasher.update(&self.all.keys[*picture]);
        }
        hasher
    }

    /// The rows from one place on, as many as there are up to `count`.
    pub fn tensor(&self, from: usize, count: usize) -> Result<Tensor> {
        let width = self.width();
        let count = count.min(self.len() - from);
        let mut rows = vec![0.0; count * width];
        for (place, row) in rows.chunks_exact_mut(width.max(1)).enumerate() {
            if !heads::Features::read(self, from + place, row) {
                let detail = Detail::new("features", "those that were kept", "some that are gone");
                return Err(Error::File(detail.help("begin anew")));
            }
        }
        Tensor::new([count, width], rows).map_err(|error| Error::Backbone(error.into()))
    }
}

impl heads::Features for Part<'_> {
    fn shape(&self) -> Vec<usize> {
        vec![self.len(), self.width()]
    }

    fn read(&self, sample: usize, row: &mut [f32]) -> bool {
        let picture = self.pictures[sample];
        match &self.rows {
            PartRows::Memory(all) => {
                row.copy_from_slice(&all[picture * row.len()..][..row.len()]);
                true
            }
            PartRows::Kept(kept) => kept.get(&self.all.keys[picture], row),
        }
    }
}
