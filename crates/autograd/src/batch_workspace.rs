//! Runs a program over whole batches, depth first where that is faster: each thread takes a few samples through
//! the whole program, so that what lies between the ops stays in its cache. Op by op, all threads in each, the
//! values of a whole batch would go out to memory and come back at every op.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use regraft_tensor::kernels::on_one_thread;

use crate::division::{Because, Division, Together, bounds};
use crate::idle::Idle;
use crate::{DataType, Feed, NodeId, Nodes, Program, Result, Run, Variables, Workspace};

/// The memory in which a [`Program`] runs for whole batches, and with it the results of its last run: those of a
/// [`Workspace`], bit for bit, usually sooner.
///
/// Samples are divided among the threads if none depends on another (no op mixes samples or draws random numbers),
/// and if there are enough to keep all threads busy: one at a time of most convolutional networks, tens of a network
/// of wide dense layers. [`Division`] has the rule, [`division`](Self::division) says what it gives for a batch.
///
/// ```
/// use regraft_autograd::{BatchWorkspace, Feed, Graph, Program, Run, Tensor};
///
/// let graph = Graph::new();
/// let y = graph.samples("x", &[2]).sum(&[1]);
/// let program = Program::compile(&graph, &[y])?;
/// let mut workspace = BatchWorkspace::new(&program);
/// let none: [Tensor; 0] = [];
/// workspace.run(2, &[Feed::F32(&[1.0, 2.0, 3.0, 4.0])], &none, Run::default())?;
/// assert_eq!(workspace.output(0), [3.0, 7.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BatchWorkspace {
    /// All samples at once, all threads in each op.
    whole: Workspace,
    /// How many samples a thread takes at a time; `None` if samples depend on each other.
    together: Option<Together>,
    idle: Arc<Idle<Worker>>,
    /// The rows of each output, if the last run was depth first.
    gathered: Option<Vec<Vec<f32>>>,
}

/// What one thread computes.
#[derive(Debug)]
struct Worker {
    workspace: Workspace,
    /// The parts that it has done, and the rows of each output of these, one after the other.
    done: Vec<usize>,
    rows: Vec<Vec<f32>>,
    failed: bool,
}

impl BatchWorkspace {
    /// Memory to run `program` in. It gets its size at the first run.
    pub fn new(program: &Program) -> Self {
        BatchWorkspace {
            whole: program.workspace(),
            together: Together::in_program(program),
            idle: Arc::new(Idle::new()),
            gathered: None,
        }
    }

    /// More memory for the same program, so that another thread can run it at the same time. What threads take
    /// samples through is shared, so that there is no more of it than threads at work.
    pub fn another(&self) -> Self {
        BatchWorkspace {
            whole: self.program().workspace(),
            together: self.together,
            idle: Arc::clone(&self.idle),
            gathered: None,
        }
    }

    /// At most so many samples at a time for each thread, whatever the rule says; all at once if samples depend on
    /// each other.
    pub fn with_samples_together(mut self, samples: usize) -> Self {
        self.together = self.together.map(|_| Together {
            samples: samples.max(1),
            because: Because::Told,
        });
        self
    }

    /// What runs here.
    pub fn program(&self) -> &Program {
        self.whole.program()
    }

    /// How a batch of so many samples is run on the threads at hand: what [`run`](Self::run) does.
    pub fn division(&self, batch: usize) -> Division {
        Division::of(batch, self.together, rayon::current_num_threads())
    }

    /// How many samples are best run at once, if each goes its own way: enough that threads seldom wait for each
    /// other, few enough that what they are fed and what they give take little memory.
    pub fn samples_at_once(&self) -> Option<usize> {
        const ROUNDS: usize = 32;
        self.together
            .map(|together| together.samples * rayon::current_num_threads() * ROUNDS)
    }

    /// Bytes of all buffers for `batch` samples.
    pub fn buffer_bytes(&self, batch: usize) -> usize {
        let Division::DepthFirst {
            samples, threads, ..
        } = self.division(batch)
        else {
            return self.program().buffer_bytes(batch);
        };
        let nodes = self.program().nodes();
        let rows = (0..nodes.outputs().len()).map(|output| 4 * row_length(nodes, output));
        let workers = threads * self.program().buffer_bytes(samples);
        // Rows are gathered from the workers.
        workers + 2 * batch * rows.sum::<usize>()
    }

    /// As [`Workspace::run`].
    ///
    /// # Errors
    /// As that.
    pub fn run<V: Variables + Sync + ?Sized>(
        &mut self,
        batch: usize,
        feeds: &[Feed<'_>],
        variables: &V,
        run: Run,
    ) -> Result<()> {
        match self.division(batch) {
            Division::DepthFirst { parts, .. } => {
                self.run_depth_first((batch, parts), feeds, variables, run)
            }
            Division::OpByOp { .. } => {
                self.gathered = None;
                self.whole.run(batch, feeds, variables, run)
            }
        }
    }

    fn run_depth_first<V: Variables + Sync + ?Sized>(
        &mut self,
        (batch, parts): (usize, usize),
        feeds: &[Feed<'_>],
        variables: &V,
        run: Run,
    ) -> Result<()> {
        self.whole.check(batch, feeds, variables)?;
        let program = self.whole.program();
        let idle = &*self.idle;
        let next = AtomicUsize::new(0);
        let work = |_| {
            let mut part = next.fetch_add(1, Ordering::Relaxed);
            if part >= parts {
                return None;
            }
            let mut worker = idle.take().unwrap_or_else(|| Worker::new(program));
            worker.begin();
            on_one_thread(|| {
                while part < parts && !worker.failed {
                    worker.run(part, bounds(batch, parts, part), feeds, variables, run);
                    part = next.fetch_add(1, Ordering::Relaxed);
                }
            });
            Some(worker)
        };
        let threads = (0..rayon::current_num_threads()).into_par_iter();
        let workers: Vec<Worker> = threads.with_max_len(1).filter_map(work).collect();
        let failed = workers.iter().any(|worker| worker.failed);
        if !failed {
            self.gather(batch, parts, &workers);
        }
        workers
            .into_iter()
            .for_each(|worker| self.idle.put_back(worker));
        if failed {
            // What is wrong is said of the whole batch.
            self.gathered = None;
            return self.whole.run(batch, feeds, variables, run);
        }
        Ok(())
    }

    /// Puts the workers' rows in order.
    fn gather(&mut self, batch: usize, parts: usize, workers: &[Worker]) {
        let outputs = self.program().output_count();
        let mut gathered = self
            .gathered
            .take()
            .unwrap_or_else(|| vec![Vec::new(); outputs]);
        for (output, all) in gathered.iter_mut().enumerate() {
            let row = row_length(self.whole.program().nodes(), output);
            all.resize(batch * row, 0.0);
            for worker in workers {
                let mut rows = worker.rows[output].as_slice();
                for &part in &worker.done {
                    let (from, to) = bounds(batch, parts, part);
                    let (these, others) = rows.split_at((to - from) * row);
                    all[from * row..to * row].copy_from_slice(these);
                    rows = others;
                }
            }
        }
        self.gathered = Some(gathered);
    }

    /// As [`Workspace::output`].
    ///
    /// # Panics
    /// As that.
    pub fn output(&self, index: usize) -> &[f32] {
        self.typed_output(index, DataType::F32)
    }

    /// As [`Workspace::output_i32`].
    ///
    /// # Panics
    /// As that.
    pub fn output_i32(&self, index: usize) -> &[i32] {
        bytemuck::cast_slice(self.typed_output(index, DataType::I32))
    }

    fn typed_output(&self, index: usize, data_type: DataType) -> &[f32] {
        self.whole.check_type(index, data_type);
        match &self.gathered {
            Some(gathered) => &gathered[index],
            None => self.whole.words(index),
        }
    }
}

impl Worker {
    fn new(program: &Program) -> Self {
        Worker {
            workspace: program.workspace(),
            done: Vec::new(),
            rows: vec![Vec::new(); program.output_count()],
            failed: false,
        }
    }

    fn begin(&mut self) {
        self.done.clear();
        self.rows.iter_mut().for_each(Vec::clear);
        self.failed = false;
    }

    fn run<V: Variables + ?Sized>(
        &mut self,
        part: usize,
        (from, to): (usize, usize),
        feeds: &[Feed<'_>],
        variables: &V,
        run: Run,
    ) {
        let program = self.workspace.program();
        let mut these = vec![Feed::F32(&[]); feeds.len()];
        for input in &program.plan.inputs {
            let row = program.nodes().node(NodeId(input.node)).shape.len(1);
            these[input.index] = feeds[input.index].slice(from * row..to * row);
        }
        self.failed = self
            .workspace
            .run(to - from, &these, variables, run)
            .is_err();
        if self.failed {
            return;
        }
        self.done.push(part);
        for (output, rows) in self.rows.iter_mut().enumerate() {
            rows.extend_from_slice(self.workspace.words(output));
        }
    }
}

/// The elements that a sample has of an output.
fn row_length(nodes: &Nodes, output: usize) -> usize {
    nodes.node(nodes.outputs()[output]).shape.len(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Graph, Tensor};

    fn ids_of(graph: &Graph) -> crate::Var<'_> {
        graph.input("ids", [crate::Dim::Batch], DataType::I32)
    }

    #[test]
    fn errors_are_those_of_the_whole_batch() {
        let graph = Graph::new();
        let rows = graph.constant(Tensor::zeros([4, 2]));
        let program = Program::compile(&graph, &[rows.gather(ids_of(&graph))]).unwrap();
        let none: [Tensor; 0] = [];
        let mut parts = BatchWorkspace::new(&program).with_samples_together(1);
        for ids in [[0, 1, 2, 3, 0, 1, 2, 9], [0; 8]] {
            let mut run = |batch| {
                let whole =
                    program
                        .workspace()
                        .run(batch, &[Feed::I32(&ids)], &none, Run::default());
                let apart = parts.run(batch, &[Feed::I32(&ids)], &none, Run::default());
                let message = |result: Result<()>| result.map_err(|error| error.to_string());
                assert_eq!(message(apart), message(whole));
            };
            run(8);
            run(7);
        }
    }
}
