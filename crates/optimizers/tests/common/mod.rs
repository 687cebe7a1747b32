//! A small network's worth of parameters to step.

// Each test binary uses its own part.
#![allow(dead_code)]

use regraft_optimizers::{Optimizer, ParameterInfo, ParameterUpdate, Plan};

/// The names of all built-in optimizers.
pub const RULES: [&str; 13] = [
    "sgd",
    "rmsprop",
    "adam",
    "adamw",
    "nadam",
    "adamax",
    "adagrad",
    "adadelta",
    "ftrl",
    "lion",
    "lamb",
    "adafactor",
    "muon",
];

/// Parameters under test, with their values.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    pub infos: Vec<ParameterInfo>,
    pub values: Vec<Vec<f32>>,
}

impl Parameters {
    /// `values` cut into a kernel, a bias, a convolution and an embedding.
    pub fn new(values: &[f32]) -> Self {
        let infos = vec![
            ParameterInfo::new("dense/kernel", [4, 3]),
            ParameterInfo::new("dense/bias", [3]),
            ParameterInfo::new("conv/kernel", [2, 1, 2, 2]),
            ParameterInfo::new("embedding/embeddings", [3, 2]),
        ];
        let mut rest = values;
        let values = infos.iter().map(|info| {
            let (own, others) = rest.split_at(info.len());
            rest = others;
            own.to_vec()
        });
        let values = values.collect();
        Parameters { infos, values }
    }

    /// How many values [`new`](Self::new) needs.
    pub const COUNT: usize = 12 + 3 + 8 + 6;

    /// The descriptions of those at `indices`.
    pub fn chosen(&self, indices: &[usize]) -> Vec<ParameterInfo> {
        indices.iter().map(|&i| self.infos[i].clone()).collect()
    }

    /// One step of those at `indices`, which `plan` was prepared for, with these gradients of all.
    pub fn step(
        &mut self,
        optimizer: &mut Optimizer,
        plan: &Plan,
        indices: &[usize],
        gradients: &Parameters,
    ) {
        let mut slots: Vec<Option<&mut Vec<f32>>> = self.values.iter_mut().map(Some).collect();
        let mut updates: Vec<ParameterUpdate<'_>> = indices
            .iter()
            .map(|&i| ParameterUpdate {
                value: slots[i].take().expect("each index once"),
                gradient: &gradients.values[i],
            })
            .collect();
        optimizer.apply(plan, &mut updates).expect("a step");
    }

    /// One step of all.
    pub fn step_all(&mut self, optimizer: &mut Optimizer, gradients: &Parameters) {
        let all: Vec<usize> = (0..self.infos.len()).collect();
        let plan = optimizer.prepare(&self.infos).expect("distinct parameters");
        self.step(optimizer, &plan, &all, gradients);
    }

    /// The bits of the values at `index`.
    pub fn bits(&self, index: usize) -> Vec<u32> {
        self.values[index].iter().map(|v| v.to_bits()).collect()
    }
}
