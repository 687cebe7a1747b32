//! Which element of a sample is which in a program that has the channels first: followed through the whole
//! model, from the images to the rows of every weight.
//!
//! An image is (rows, columns, channels) here and (channels, rows, columns) there. As long as it stays an
//! image, that is a matter of its axes. A flatten makes it a row, and the two rows have the same elements in
//! different orders; so have then all values and weights behind it that keep their places, up to the layer
//! that sums over them. The other way round, a row that becomes an image was in another order there.
//!
//! Each layer says what it does with places ([`Flow`]); this file draws the conclusions, forwards and
//! backwards, until nothing changes. Where nothing tells, the order is unknown, and why.

use std::collections::HashMap;
use std::sync::Arc;

use crate::keras::names::join;
use crate::models::topology::{Body, Topology, ValueId};
use crate::{Flow, Layer, Model};

/// How the elements of a value's samples lie in a program with the channels first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElementOrder {
    /// As here: the same axes, in the same order.
    Same,
    /// It is an image or a sequence with the channels last here and first there.
    ChannelsLast,
    /// It is a row in another order.
    Row(RowOrder),
    /// Nothing tells; why.
    Unknown(String),
}

/// A row whose elements lie in another order there.
#[derive(Clone, Debug)]
pub struct RowOrder {
    there: Arc<Vec<usize>>,
    told: Arc<str>,
}

impl RowOrder {
    /// For each element here its place there.
    pub fn there(&self) -> &[usize] {
        &self.there
    }

    /// From there to here, as in `C·H·W → H·W·C`.
    pub fn told(&self) -> &str {
        &self.told
    }
}

impl PartialEq for RowOrder {
    fn eq(&self, other: &Self) -> bool {
        self.there == other.there
    }
}

impl Eq for RowOrder {}

/// The orders of a layer's first input and of its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerOrders {
    /// Of the first input.
    pub input: ElementOrder,
    /// How many axes its samples have.
    pub input_axes: usize,
    /// Of the output.
    pub output: ElementOrder,
    /// How many axes its samples have.
    pub output_axes: usize,
}

impl ElementOrder {
    /// Of a row made of an image of these sizes, channels last.
    fn of_image(sizes: &[usize]) -> Self {
        let Some((&channels, spatial)) = sizes.split_last() else {
            return ElementOrder::Same;
        };
        let cells: usize = spatial.iter().product();
        let there = (0..cells * channels).map(|here| here % channels * cells + here / channels);
        let axes = match spatial.len() {
            1 => "W",
            2 => "H·W",
            3 => "D·H·W",
            _ => "space",
        };
        Self::row(there.collect(), &format!("C·{axes} → {axes}·C"))
    }

    fn row(there: Vec<usize>, told: &str) -> Self {
        match there.iter().copied().eq(0..there.len()) {
            true => ElementOrder::Same,
            false => ElementOrder::Row(RowOrder {
                there: Arc::new(there),
                told: told.into(),
            }),
        }
    }
}

impl Model {
    /// How the samples that each layer takes and gives lie in a program with the channels first, such as
    /// PyTorch, by the layer's path.
    ///
    /// # Errors
    /// Why no such program with the same layers can be the same network: the place, and what meets there.
    pub fn element_orders(&self) -> Result<HashMap<String, LayerOrders>, String> {
        let mut walk = Walk::default();
        let inputs = self.topology.inputs.iter();
        let inputs: Vec<usize> = inputs
            .map(|&id| walk.new_value(&self.topology, id))
            .collect();
        walk.collect("", &self.topology, &inputs);
        walk.conclude(&inputs);
        match walk.conflict {
            Some(conflict) => Err(conflict),
            None => Ok(walk.by_layer()),
        }
    }
}

/// A call of a layer. Nested models are walked into.
struct Step<'m> {
    path: String,
    layer: &'m dyn Layer,
    inputs: Vec<usize>,
    output: usize,
}

struct Value {
    sample: Vec<usize>,
    /// `None`: nothing is known yet.
    order: Option<ElementOrder>,
}

#[derive(Default)]
struct Walk<'m> {
    steps: Vec<Step<'m>>,
    values: Vec<Value>,
    changed: bool,
    /// Why two orders of one row cannot be reconciled.
    conflict: Option<String>,
}

impl<'m> Walk<'m> {
    fn new_value(&mut self, topology: &Topology, id: ValueId) -> usize {
        let shape = topology.value(id).map(|value| value.shape.sample());
        self.values.push(Value {
            sample: shape.flatten().unwrap_or_default(),
            order: None,
        });
        self.values.len() - 1
    }

    /// Takes in the calls of `topology`, given the numbers of its inputs; gives those of its outputs.
    fn collect(&mut self, prefix: &str, topology: &'m Topology, given: &[usize]) -> Vec<usize> {
        let mut numbers: HashMap<ValueId, usize> = topology
            .inputs
            .iter()
            .copied()
            .zip(given.iter().copied())
            .collect();
        for (position, call) in topology.calls.iter().enumerate() {
            let first = ValueId {
                call: position,
                output: 0,
            };
            if numbers.contains_key(&first) {
                continue;
            }
            let inputs = call.inputs.iter();
            let inputs: Vec<usize> = inputs.filter_map(|id| numbers.get(id).copied()).collect();
            let entry = &topology.layers[call.layer];
            let path = join(prefix, &entry.name);
            let outputs = match &entry.body {
                Body::Leaf(layer) => {
                    // Each result by itself.
                    let results = topology.outputs_of(position).into_iter();
                    let results = results.map(|result| {
                        let output = self.new_value(topology, result);
                        self.steps.push(Step {
                            path: path.clone(),
                            layer: &**layer,
                            inputs: inputs.clone(),
                            output,
                        });
                        output
                    });
                    results.collect()
                }
                Body::Nested(nested) => self.collect(&path, nested, &inputs),
            };
            numbers.extend(topology.outputs_of(position).into_iter().zip(outputs));
        }
        let outputs = topology.outputs.iter();
        outputs.filter_map(|id| numbers.get(id).copied()).collect()
    }

    fn conclude(&mut self, inputs: &[usize]) {
        let steps = std::mem::take(&mut self.steps);
        loop {
            self.changed = false;
            for step in &steps {
                if let Some(order) = self.forward(step, false) {
                    self.set(step.output, order, &step.path);
                }
            }
            for step in steps.iter().rev() {
                self.backward(step);
            }
            if !self.changed {
                break;
            }
        }
        // What nothing has told by now is free, or unknown.
        for &input in inputs {
            let value = &self.values[input];
            if value.order.is_some() {
                continue;
            }
            let order = match value.sample.len() < 3
                || ElementOrder::of_image(&value.sample) == ElementOrder::Same
            {
                true => ElementOrder::Same,
                false => ElementOrder::Unknown(
                    "nothing tells whether the input is an image, with the channels first there"
                        .to_string(),
                ),
            };
            self.set(input, order, "");
        }
        for step in &steps {
            if let Some(order) = self.forward(step, true) {
                self.set(step.output, order, &step.path);
            }
        }
        self.steps = steps;
    }

    /// Takes note of the order of a value, which `path` tells.
    fn set(&mut self, value: usize, order: ElementOrder, path: &str) {
        let value = &mut self.values[value];
        match &value.order {
            None => {
                value.order = Some(order);
                self.changed = true;
            }
            // Axes are matched by what they mean, wherever they lie there; a row is either this or that.
            Some(known) if *known != order && value.sample.len() == 1 => {
                let unknown = |order: &ElementOrder| matches!(order, ElementOrder::Unknown(_));
                if unknown(known) || unknown(&order) {
                    return;
                }
                let conflict = format!(
                    "{path}: features that are {} on one side and {} on the other",
                    named(known),
                    named(&order)
                );
                self.conflict.get_or_insert(conflict);
            }
            Some(_) => {}
        }
    }

    fn order(&self, value: usize) -> Option<&ElementOrder> {
        self.values[value].order.as_ref()
    }

    fn rank(&self, value: usize) -> usize {
        self.values[value].sample.len()
    }

    /// Whether `input` has its elements at the places of `output`, broadcasting aside.
    fn alike(&self, input: usize, output: usize) -> bool {
        let (input, output) = (&self.values[input].sample, &self.values[output].sample);
        match output.len() {
            0 | 1 => input == output,
            rank => input.len() == rank,
        }
    }

    /// What the inputs of a step tell of its output. With `all`, everything that can be known is.
    fn forward(&self, step: &Step<'_>, all: bool) -> Option<ElementOrder> {
        let output = step.output;
        let rank = self.rank(output);
        let first = step.inputs.first().copied();
        let known = first.and_then(|first| self.order(first));
        let unknown = |reason: &str| ElementOrder::Unknown(format!("{}: {reason}", step.path));
        if rank == 0 {
            return Some(ElementOrder::Same);
        }
        match step.layer.flow() {
            Flow::Unknown if !all => None,
            // A single number has one place.
            Flow::Unknown => {
                let mut inputs = step.inputs.iter();
                let same = inputs.all(|&input| self.order(input) == Some(&ElementOrder::Same));
                match same || self.values[output].sample == [1] {
                    true => Some(ElementOrder::Same),
                    false => Some(unknown(&format!(
                        "{} does not say where it leaves the elements (`Layer::flow`)",
                        step.layer.class_name()
                    ))),
                }
            }
            Flow::Keeps => {
                let inputs = step.inputs.iter();
                let orders = inputs.filter(|&&input| self.alike(input, output));
                let mut orders = orders.filter_map(|&input| self.order(input));
                let first = orders.next()?;
                match orders.find(|&other| other != first) {
                    None => Some(first.clone()),
                    Some(ElementOrder::Unknown(reason)) => {
                        Some(ElementOrder::Unknown(reason.clone()))
                    }
                    // Rows are told to be in conflict where they meet.
                    Some(_) if rank == 1 => Some(first.clone()),
                    Some(_) => Some(unknown("images and other values meet")),
                }
            }
            Flow::Image { .. } if rank == 1 => Some(ElementOrder::Same),
            Flow::Image { channels_first } => Some(image(channels_first)),
            Flow::Features => match known {
                // Free, unless what follows has told.
                _ if rank == 1 => {
                    (all && self.order(output).is_none()).then_some(ElementOrder::Same)
                }
                Some(ElementOrder::Same) => Some(ElementOrder::Same),
                Some(_) if all => Some(unknown("features of an image's cells")),
                _ => None,
            },
            Flow::Makes => Some(ElementOrder::Same),
            Flow::Reshapes => self.reshaped(step, known?, false, all),
            Flow::Flattens { channels_first } => self.reshaped(step, known?, channels_first, all),
            Flow::Permutes(axes) => Some(match known? {
                _ if axes.iter().copied().eq(0..axes.len()) => known?.clone(),
                ElementOrder::Same => ElementOrder::Same,
                ElementOrder::ChannelsLast if is_rotation(&axes, axes.len() - 1) => {
                    ElementOrder::Same
                }
                ElementOrder::ChannelsLast if axes.last() == Some(&(axes.len() - 1)) => {
                    ElementOrder::ChannelsLast
                }
                ElementOrder::Unknown(reason) => ElementOrder::Unknown(reason.clone()),
                _ => unknown("channels are moved among the other axes"),
            }),
            Flow::Joins { axis } => self.joined(step, axis, all),
        }
    }

    fn reshaped(
        &self,
        step: &Step<'_>,
        order: &ElementOrder,
        channels_first: bool,
        all: bool,
    ) -> Option<ElementOrder> {
        let input = &self.values[*step.inputs.first()?].sample;
        let output = &self.values[step.output].sample;
        let unknown = || {
            let reason = format!("{}: what the axes mean is not known", step.path);
            all.then_some(ElementOrder::Unknown(reason))
        };
        let of_input = match channels_first {
            true => {
                let (channels, spatial) = input.split_at(input.len().min(1));
                ElementOrder::of_image(&[spatial, channels].concat())
            }
            false => ElementOrder::of_image(input),
        };
        match (input.len(), output.len()) {
            (_, 0) | (0, _) => Some(ElementOrder::Same),
            (1, 1) => Some(order.clone()),
            (1, _) => match order {
                // It may have been made for an image, which what follows tells.
                _ if !all => None,
                ElementOrder::Same => Some(ElementOrder::Same),
                row if *row == ElementOrder::of_image(output) => Some(ElementOrder::ChannelsLast),
                ElementOrder::Unknown(reason) => Some(ElementOrder::Unknown(reason.clone())),
                _ => unknown(),
            },
            (_, 1) => match order {
                ElementOrder::Same if channels_first => Some(of_input),
                ElementOrder::Same => Some(ElementOrder::Same),
                ElementOrder::ChannelsLast if channels_first => unknown(),
                ElementOrder::ChannelsLast => Some(of_input),
                ElementOrder::Unknown(reason) => Some(ElementOrder::Unknown(reason.clone())),
                ElementOrder::Row(_) => unknown(),
            },
            _ => match order {
                ElementOrder::Same => Some(ElementOrder::Same),
                _ if input == output => Some(order.clone()),
                ElementOrder::Unknown(reason) if all => Some(ElementOrder::Unknown(reason.clone())),
                _ => unknown(),
            },
        }
    }

    fn joined(&self, step: &Step<'_>, axis: isize, all: bool) -> Option<ElementOrder> {
        let rank = self.rank(step.output);
        let orders = step.inputs.iter().map(|&input| self.order(input));
        let orders: Vec<&ElementOrder> = orders.collect::<Option<_>>()?;
        let unknown = orders
            .iter()
            .find(|order| matches!(order, ElementOrder::Unknown(_)));
        if let Some(unknown) = unknown {
            return Some((*unknown).clone());
        }
        if rank != 1 {
            let first = orders.first()?;
            return match orders.iter().all(|order| order == first) {
                true => Some((*first).clone()),
                false if all => Some(ElementOrder::Unknown(format!(
                    "{}: images and other values are joined along axis {axis}",
                    step.path
                ))),
                false => None,
            };
        }
        let mut there = Vec::new();
        let mut told: Vec<&str> = Vec::new();
        for (&input, order) in step.inputs.iter().zip(orders) {
            let offset = there.len();
            let size = self.values[input].sample.iter().product::<usize>();
            match order {
                ElementOrder::Row(row) => {
                    there.extend(row.there.iter().map(|place| offset + place));
                    told.push(&row.told);
                }
                _ => there.extend(offset..offset + size),
            }
        }
        let told = match told.as_slice() {
            [only] if step.inputs.len() == 1 => (*only).to_string(),
            blocks => format!("blocks of {}", unique(blocks).join(", ")),
        };
        Some(ElementOrder::row(there, &told))
    }

    /// What the output of a step tells of its inputs.
    fn backward(&mut self, step: &Step<'_>) {
        let output = step.output;
        let known = self.order(output).cloned();
        let flow = step.layer.flow();
        if let Flow::Image { channels_first } = flow {
            for &input in &step.inputs {
                let order = match self.rank(input) {
                    0 | 1 => ElementOrder::Same,
                    _ => image(channels_first),
                };
                self.set(input, order, &step.path);
            }
            return;
        }
        let Some(order) = known.filter(|order| !matches!(order, ElementOrder::Unknown(_))) else {
            return;
        };
        let Some(&first) = step.inputs.first() else {
            return;
        };
        let (from, to) = (self.rank(first), self.rank(output));
        match flow {
            Flow::Keeps => {
                for &input in &step.inputs {
                    if self.alike(input, output) {
                        self.set(input, order.clone(), &step.path);
                    }
                }
            }
            Flow::Reshapes | Flow::Flattens { .. } if from == 1 && to >= 1 => {
                let order = match order {
                    ElementOrder::ChannelsLast => {
                        ElementOrder::of_image(&self.values[output].sample)
                    }
                    order => order,
                };
                self.set(first, order, &step.path);
            }
            Flow::Permutes(axes) if from > 1 && self.order(first).is_none() => {
                let order = match order {
                    ElementOrder::Same if is_rotation(&axes, axes.len() - 1) => {
                        ElementOrder::ChannelsLast
                    }
                    ElementOrder::ChannelsLast if is_rotation(&axes, 1) => ElementOrder::Same,
                    order if axes.last() == Some(&(axes.len() - 1)) => order,
                    _ => return,
                };
                self.set(first, order, &step.path);
            }
            _ => {}
        }
    }

    /// By layer; a layer that is called at several places must find the same order at each.
    fn by_layer(self) -> HashMap<String, LayerOrders> {
        let order = |value: Option<&usize>| {
            let order = value.and_then(|&value| self.values[value].order.clone());
            order.unwrap_or(ElementOrder::Same)
        };
        let mut found: HashMap<String, LayerOrders> = HashMap::new();
        for step in &self.steps {
            let (input, output) = (order(step.inputs.first()), order(Some(&step.output)));
            match found.get_mut(&step.path) {
                None => {
                    let orders = LayerOrders {
                        input,
                        input_axes: step.inputs.first().map_or(0, |&input| self.rank(input)),
                        output,
                        output_axes: self.rank(step.output),
                    };
                    found.insert(step.path.clone(), orders);
                }
                Some(orders) => {
                    for (known, other) in [(&mut orders.input, input), (&mut orders.output, output)]
                    {
                        if *known != other {
                            let reason = "it is used at places of different orders".to_string();
                            *known = ElementOrder::Unknown(reason);
                        }
                    }
                }
            }
        }
        found
    }
}

fn image(channels_first: bool) -> ElementOrder {
    match channels_first {
        true => ElementOrder::Same,
        false => ElementOrder::ChannelsLast,
    }
}

/// Whether `axes` are 0, 1, … from `start` on and then from the beginning.
fn is_rotation(axes: &[usize], start: usize) -> bool {
    let rank = axes.len();
    axes.iter().copied().eq((start..rank).chain(0..start))
}

fn unique<'t>(texts: &[&'t str]) -> Vec<&'t str> {
    let mut unique = Vec::new();
    for text in texts {
        if !unique.contains(text) {
            unique.push(*text);
        }
    }
    unique
}

fn named(order: &ElementOrder) -> String {
    match order {
        ElementOrder::Row(row) => format!("in the order {}", row.told),
        _ => "in the order of both programs".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Conv2D, Flatten, GlobalAveragePooling2D, Permute, Reshape};
    use crate::{Dense, Input, Sequential, layers};

    #[test]
    fn a_row_made_of_an_image_is_in_another_order() {
        let layers = layers![
            Input::new([2, 3, 2]),
            Conv2D::new(2, [1, 1]),
            Flatten::new(),
            Dense::new(1)
        ];
        let model = Sequential::new(layers).unwrap();
        let orders = model.element_orders().unwrap();
        let ElementOrder::Row(row) = &orders["dense"].input else {
            panic!("{orders:?}");
        };
        assert_eq!(row.there(), [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]);
        assert_eq!(row.told(), "C·H·W → H·W·C");
        assert_eq!(orders["dense"].output, ElementOrder::Same);
    }

    #[test]
    fn channels_moved_first_before_a_flatten_are_in_the_same_order() {
        let layers = layers![
            Input::new([2, 3, 2]),
            Conv2D::new(2, [1, 1]),
            Permute::new([3, 1, 2]),
            Flatten::new(),
            Dense::new(1)
        ];
        let orders = Sequential::new(layers).unwrap().element_orders().unwrap();
        assert_eq!(orders["dense"].input, ElementOrder::Same);
    }

    #[test]
    fn what_nothing_tells_is_unknown_and_what_contradicts_itself_is_refused() {
        let layers = layers![Input::new([2, 3, 2]), Flatten::new(), Dense::new(1)];
        let orders = Sequential::new(layers).unwrap().element_orders().unwrap();
        let unknown = matches!(orders["dense"].input, ElementOrder::Unknown(_));
        assert!(unknown, "{orders:?}");
        let layers = layers![
            Input::new([2, 3, 2]),
            Conv2D::new(12, [1, 1]),
            GlobalAveragePooling2D::new(),
            Reshape::new([2, 3, 2]),
            Conv2D::new(2, [1, 1])
        ];
        let model = Sequential::new(layers).unwrap();
        assert!(model.element_orders().unwrap_err().contains("reshape"));
    }
}
