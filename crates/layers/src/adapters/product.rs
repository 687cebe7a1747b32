//! The products of a model's layers with their kernels, which are what adapters are put beside.

use std::collections::HashMap;

use regraft_autograd::{Graph, Shape, VariableId};

use crate::models::topology::ValueSpec;
use crate::{Mode, Model, Result, WeightAxis, WeightSpec};

/// A product of a layer: the kernel, and the shapes of what goes in and comes out.
#[derive(Clone, Debug)]
pub(crate) struct Product {
    pub kernel: WeightSpec,
    pub input: Shape,
    pub output: Shape,
}

impl Product {
    /// The sizes of the last axes of what goes in and comes out.
    pub fn features(&self) -> (usize, usize) {
        let last = |shape: &Shape| shape.dims().last().map_or(0, |dim| dim.size(1));
        (last(&self.input), last(&self.output))
    }

    /// Whether it treats each channel alone.
    pub fn is_depthwise(&self) -> bool {
        let axes = self.kernel.axes.iter().flatten();
        axes.clone().any(|axis| *axis == WeightAxis::Channel)
    }

    /// The axis of the kernel that is summed over, if the layer says it.
    pub fn input_axis(&self) -> Option<usize> {
        let axes = self.kernel.axes.as_deref()?;
        axes.iter().position(|axis| *axis == WeightAxis::Input)
    }

    /// How many groups of channels the kernel is for.
    pub fn groups(&self) -> usize {
        let of_group = self.input_axis().map(|axis| self.kernel.shape[axis]);
        of_group
            .map_or(1, |of_group| self.features().0 / of_group.max(1))
            .max(1)
    }

    /// Whether it is the product of a matrix.
    pub fn is_dense(&self) -> bool {
        self.kernel.axes.as_deref() == Some(&[WeightAxis::Input, WeightAxis::Output])
    }
}

impl Model {
    /// All products with kernels, by the kernels.
    pub(crate) fn products(&self) -> Result<HashMap<VariableId, Product>> {
        self.require_built()?;
        let graph = Graph::new();
        let inputs = self.topology.inputs.iter();
        let inputs = inputs.filter_map(|&id| self.topology.value(id));
        let input = |value: &ValueSpec| graph.input("", &value.shape, value.data_type());
        let inputs: Vec<_> = inputs.map(input).collect();
        let (_, emission) = self.emit(&graph, &inputs, Mode::Inference)?;
        let product = |(id, (input, output)): (VariableId, (Shape, Shape))| {
            let kernel = self.store[id].spec.clone();
            (
                id,
                Product {
                    kernel,
                    input,
                    output,
                },
            )
        };
        Ok(emission.products.into_iter().map(product).collect())
    }
}
