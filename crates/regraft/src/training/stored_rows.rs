//! The rows of samples in a store: which it has, and which are to be computed.

use std::collections::HashMap;

use rayon::prelude::*;
use regraft_autograd::{NodeId, Program};
use regraft_data::Content;
use regraft_features::{Digest, FeatureStore, Namespace};
use regraft_tensor::Detail;

use crate::training::program_digest::program_digest;
use crate::training::samples::Samples;
use crate::{Error, Result};

/// The rows of the samples of a data set on the disk.
#[derive(Debug)]
pub(crate) struct StoredRows<'s> {
    store: &'s FeatureStore,
    namespace: Namespace<'s>,
    /// Of each output the number of elements of a sample.
    widths: Vec<usize>,
    /// Of each position the content of its sample, if the data set says it.
    contents: Vec<Option<Content>>,
    /// Whether rows are written: until that fails.
    writes: bool,
    /// Why some are not kept.
    problem: Option<String>,
    row: Vec<f32>,
}

/// Which rows a store has not.
#[derive(Debug)]
pub(crate) struct Missing {
    /// Positions of samples that are to be computed.
    pub positions: Vec<u32>,
    /// Positions of samples that have the same content as one of those: to, from.
    pub copies: Vec<(u32, u32)>,
}

impl<'s> StoredRows<'s> {
    /// The rows that a program of this digest gives for the samples of `data`, of these shapes.
    ///
    /// # Errors
    /// A store that cannot be read, and what the data set says.
    pub fn open(
        store: &'s FeatureStore,
        program: &Digest,
        shapes: &[Vec<usize>],
        data: &Samples<'_>,
    ) -> Result<Self> {
        let source = data.source.data();
        let positions = (0..data.len()).into_par_iter();
        let contents = positions.map(|position| source.content(data.sample(position)));
        let contents = contents.collect::<Result<Vec<Option<Content>>, Detail>>();
        let contents =
            contents.map_err(|detail| Error::Data(detail.within("content of the data set")))?;
        let without = contents.iter().filter(|content| content.is_none()).count();
        let problem = (without > 0).then(|| {
            let samples = contents.len();
            format!("{without} of {samples} samples have no content: see `Dataset::content`")
        });
        if let Some(problem) = &problem {
            store.note(problem);
        }
        Ok(StoredRows {
            problem,
            store,
            namespace: store.namespace(program, shapes)?,
            widths: shapes.iter().map(|shape| shape.iter().product()).collect(),
            contents,
            writes: true,
            row: Vec::new(),
        })
    }

    /// As [`open`](Self::open); or why nothing that the program computes can be kept, which the store is told.
    pub fn of_program(
        store: &'s FeatureStore,
        program: &Program,
        data: &Samples<'_>,
    ) -> Result<Result<Self, String>> {
        let digest = match program_digest(program) {
            Ok(digest) => digest,
            Err(why) => {
                store.note(&why);
                return Ok(Err(why));
            }
        };
        let nodes = program.nodes();
        let shape = |&output: &NodeId| nodes.node(output).shape.sample().unwrap_or_default();
        let shapes: Vec<Vec<usize>> = nodes.outputs().iter().map(shape).collect();
        Self::open(store, &digest, &shapes, data).map(Ok)
    }

    /// Reads all rows that are there, where there is room for them, and says which are not.
    pub fn find(&self, rows: &mut [Vec<f32>]) -> Missing {
        let width = self.namespace.width();
        let is_there = |content: &Option<Content>, row: &mut [f32]| {
            content.is_some_and(|content| self.namespace.get(&content, row))
        };
        let in_memory = rows.iter().any(|rows| !rows.is_empty());
        let there: Vec<bool> = match rows {
            [rows] if in_memory && width > 0 => {
                let rows = rows.par_chunks_exact_mut(width);
                let both = rows.zip(&self.contents);
                both.map(|(row, content)| is_there(content, row)).collect()
            }
            _ if !in_memory => {
                let contents = self.contents.par_iter();
                let room = || vec![0.0; width];
                contents
                    .map_init(room, |row, content| is_there(content, row))
                    .collect()
            }
            _ => {
                let mut row = vec![0.0; width];
                let contents = self.contents.iter().enumerate();
                let read = contents.map(|(position, content)| {
                    let is_there = is_there(content, &mut row);
                    for (rows, (part, width)) in rows.iter_mut().zip(self.parts(&row)) {
                        rows[position * width..][..width].copy_from_slice(part);
                    }
                    is_there
                });
                read.collect()
            }
        };
        let mut missing = Missing {
            positions: Vec::new(),
            copies: Vec::new(),
        };
        let mut first: HashMap<&Content, u32> = HashMap::new();
        for (position, (content, is_there)) in self.contents.iter().zip(there).enumerate() {
            let position = position as u32;
            if is_there {
                continue;
            }
            let known = content
                .as_ref()
                .map(|content| *first.entry(content).or_insert(position));
            match known {
                Some(known) if known != position => missing.copies.push((position, known)),
                _ => missing.positions.push(position),
            }
        }
        missing
    }

    /// Keeps the row of a sample, given output by output, if it has a content. Once that fails nothing is kept
    /// any more, and the store knows why.
    pub fn keep<'r>(&mut self, position: usize, parts: impl Iterator<Item = &'r [f32]>) {
        let Some(content) = self.contents[position].filter(|_| self.writes) else {
            return;
        };
        self.row.clear();
        parts.for_each(|part| self.row.extend_from_slice(part));
        let put = self.namespace.put(&content, &self.row);
        self.check(put);
    }

    /// Writes what waits.
    pub fn flush(&mut self) {
        let flushed = self.namespace.flush();
        self.check(flushed);
    }

    /// Whether the rows of all samples are there.
    pub fn is_whole(&self) -> bool {
        let mut contents = self.contents.iter();
        contents.all(|content| content.is_some_and(|content| self.namespace.contains(&content)))
    }

    /// Why some rows are not kept.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Writes the rows of these positions into `buffers`, one for each output.
    ///
    /// # Errors
    /// A row that is not there any more.
    pub fn read(
        &self,
        positions: impl Iterator<Item = usize>,
        buffers: &mut [Vec<f32>],
    ) -> Result<()> {
        buffers.iter_mut().for_each(Vec::clear);
        let mut row = vec![0.0; self.namespace.width()];
        for position in positions {
            let content = self.contents[position];
            if !content.is_some_and(|content| self.namespace.get(&content, &mut row)) {
                let at = format!("{}, sample {position}", self.store.folder().display());
                let detail = Detail::new(at, "features that were kept", "files that have changed");
                let help = "run it again: what is missing is computed anew";
                return Err(Error::Data(detail.help(help)));
            }
            for (buffer, (part, _)) in buffers.iter_mut().zip(self.parts(&row)) {
                buffer.extend_from_slice(part);
            }
        }
        Ok(())
    }

    /// A row, output by output, each with its number of elements.
    fn parts<'r>(&self, mut row: &'r [f32]) -> impl Iterator<Item = (&'r [f32], usize)> {
        self.widths.iter().map(move |&width| {
            let (part, rest) = row.split_at(width);
            row = rest;
            (part, width)
        })
    }

    fn check(&mut self, written: regraft_features::Result<()>) {
        if let Err(error) = written {
            self.writes = false;
            self.store.note(error.to_string());
            self.problem = Some(error.to_string());
        }
    }
}
