//! One pass over all pictures: each is read, decoded and measured; what cannot be is named.

use std::ops::ControlFlow;

use crate::{Error, Images, Inspection, Picture, Result, ordered};

/// What one pass over all pictures has found.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// The numbers of the pictures that can be read, ascending.
    pub readable: Vec<usize>,
    /// What was measured of each of them.
    pub inspections: Vec<Inspection>,
    /// The others.
    pub unreadable: Vec<Unreadable>,
}

/// A file that is no picture, or cannot be read.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// Its number.
    pub picture: usize,
    /// Why; the message has the path.
    pub reason: Error,
}

impl Images {
    /// Reads, decodes and measures every picture once, on some threads (0: one for each processor). `progress` is told
    /// after each how many are done; when it breaks, the scan ends with `None`.
    ///
    /// Memory does not depend on how many pictures there are, except for their measures (some 200 bytes each).
    /// [`keep`](Self::keep)`(&scan.readable)` are the pictures that a data set can give.
    pub fn scan(
        &self,
        workers: usize,
        mut progress: impl FnMut(usize) -> ControlFlow<()>,
    ) -> Option<Scan> {
        let work = |picture| {
            self.inspect(picture)
                .map(|(_, inspection)| ((), inspection))
        };
        self.pass(workers, work, |picture, _| progress(picture + 1))
    }

    /// As [`scan`](Self::scan), and hands over each picture with its number, in order, in its [`size`](Self::size) as a
    /// sample; `None` for one that cannot be read. So each file is decoded once, for the checks and for what is
    /// computed of it.
    ///
    /// # Errors
    /// [`Error::Set`] if the size does not fit.
    pub fn scan_pictures(
        &self,
        workers: usize,
        each: impl FnMut(usize, Option<Picture>) -> ControlFlow<()>,
    ) -> Result<Option<Scan>> {
        self.size().check()?;
        let work = |picture| {
            let (picture, inspection) = self.inspect(picture)?;
            Ok((picture.resize(self.size())?, inspection))
        };
        Ok(self.pass(workers, work, each))
    }

    fn inspect(&self, number: usize) -> Result<(Picture, Inspection)> {
        let (picture, content) = self.load_hashed(number)?;
        let inspection = Inspection::of(&picture, content).expect("the picture is from a file");
        Ok((picture, inspection))
    }

    fn pass<T: Send>(
        &self,
        workers: usize,
        work: impl Fn(usize) -> Result<(T, Inspection)> + Sync,
        mut each: impl FnMut(usize, Option<T>) -> ControlFlow<()>,
    ) -> Option<Scan> {
        let mut scan = Scan::default();
        let all = ordered(
            self.paths().len(),
            workers,
            work,
            |picture, result| match result {
                Ok((value, inspection)) => {
                    scan.readable.push(picture);
                    scan.inspections.push(inspection);
                    each(picture, Some(value))
                }
                Err(reason) => {
                    scan.unreadable.push(Unreadable { picture, reason });
                    each(picture, None)
                }
            },
        );
        all.is_continue().then_some(scan)
    }
}
