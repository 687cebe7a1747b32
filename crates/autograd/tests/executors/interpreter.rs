//! A second executor: every op from its formula, in 64 bits and plain loops over indices. It knows ops by
//! name and attributes alone, and shares no line with the kernels.

mod attention;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::recurrent::recurrent;
use regraft_autograd::{
    Attribute, Attributes, Constant, DataType, Error, Executor, Feed, IntTensor, Node, Nodes, Op,
    Result, Run, Source, Tensor, Variables, evaluate,
};

/// Computes node by node.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interpreter;

/// The results of a run.
pub struct Memory {
    nodes: Arc<Nodes>,
    outputs: Vec<Constant>,
    /// The ops for which there is no formula here, and whose own kernels were called.
    pub unknown: BTreeSet<String>,
    /// Whether a comparison was so close that rounding may decide it.
    pub near_jump: bool,
}

impl Executor for Interpreter {
    type Program = Arc<Nodes>;
    type Workspace = Memory;

    fn compile(&self, nodes: &Nodes) -> Arc<Nodes> {
        Arc::new(nodes.clone())
    }

    fn workspace(&self, program: &Arc<Nodes>) -> Memory {
        Memory {
            nodes: program.clone(),
            outputs: Vec::new(),
            unknown: BTreeSet::new(),
            near_jump: false,
        }
    }

    fn run(
        &self,
        memory: &mut Memory,
        batch: usize,
        feeds: &[Feed<'_>],
        variables: &dyn Variables,
        run: Run,
    ) -> Result<()> {
        let nodes = memory.nodes.clone();
        let needed = nodes.needed();
        let mut values: Vec<Option<Constant>> = Vec::new();
        for (id, node) in nodes.iter() {
            if !needed[id.0] {
                values.push(None);
                continue;
            }
            let shape = node.shape.concrete(batch);
            let floats = |it: &[f32]| Constant::F32(Tensor::new(&shape, it.to_vec()).unwrap());
            values.push(Some(match &node.source {
                Source::Constant(constant) => constant.clone(),
                Source::Variable(id) => floats(variables.value(*id).unwrap()),
                Source::Input { index } => match feeds[*index] {
                    Feed::F32(values) => floats(values),
                    Feed::I32(values) => {
                        Constant::I32(IntTensor::new(&shape, values.to_vec()).unwrap())
                    }
                },
                Source::Op { op, operands } => {
                    let operands = operands.iter().map(|it| values[it.0].as_ref().unwrap());
                    let operands: Vec<&Constant> = operands.collect();
                    memory.near_jump |= is_near_jump(op.name(), &operands);
                    match formula(&**op, &operands, &shape, node.data_type) {
                        Some(value) => value,
                        None => {
                            memory.unknown.insert(op.name().to_string());
                            let value = evaluate(&**op, &operands, &shape, node.data_type, run);
                            value.map_err(Error::Feed)?
                        }
                    }
                }
            }));
        }
        let output = |id: &regraft_autograd::NodeId| values[id.0].clone().unwrap();
        memory.outputs = nodes.outputs().iter().map(output).collect();
        Ok(())
    }

    fn output<'w>(&self, memory: &'w Memory, index: usize) -> Feed<'w> {
        match &memory.outputs[index] {
            Constant::F32(tensor) => Feed::F32(tensor.as_slice()),
            Constant::I32(tensor) => Feed::I32(tensor.as_slice()),
        }
    }
}

/// The value of a node by its formula, if there is one here.
pub fn value_of(node: &Node, operands: &[&Constant], shape: &[usize]) -> Option<Constant> {
    formula(&**node.op()?, operands, shape, node.data_type)
}

fn is_near_jump(name: &str, operands: &[&Constant]) -> bool {
    let distance = match name {
        "greater" | "greater_equal" | "less" | "less_equal" | "equal" | "not_equal" => {
            let (a, b) = (Array::of(operands[0]), Array::of(operands[1]));
            let shape = match a.data.len() >= b.data.len() {
                true => a.shape.clone(),
                false => b.shape.clone(),
            };
            let near = |at: &Vec<usize>| (a.broadcast(at) - b.broadcast(at)).abs();
            indices(&shape).map(|at| near(&at)).collect()
        }
        "relu_gradient" | "clip_gradient" => Array::of(operands[1]).data,
        _ => Vec::new(),
    };
    distance.iter().any(|it| *it != 0.0 && it.abs() < 1e-3)
}

/// An array of numbers; integers are exact.
#[derive(Clone, Debug)]
pub struct Array {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

impl Array {
    fn of(constant: &Constant) -> Array {
        let shape = constant.shape().to_vec();
        let data = match constant {
            Constant::F32(it) => it.as_slice().iter().map(|&x| f64::from(x)).collect(),
            Constant::I32(it) => it.as_slice().iter().map(|&x| f64::from(x)).collect(),
        };
        Array { shape, data }
    }

    fn zeros(shape: &[usize]) -> Array {
        Array {
            shape: shape.to_vec(),
            data: vec![0.0; shape.iter().product()],
        }
    }

    fn place(&self, at: &[usize]) -> usize {
        assert_eq!(at.len(), self.shape.len());
        let axes = at.iter().zip(&self.shape);
        axes.fold(0, |place, (index, size)| {
            assert!(index < size, "{at:?} of {:?}", self.shape);
            place * size + index
        })
    }

    pub fn at(&self, at: &[usize]) -> f64 {
        self.data[self.place(at)]
    }

    fn at_mut(&mut self, at: &[usize]) -> &mut f64 {
        let place = self.place(at);
        &mut self.data[place]
    }

    /// The element that NumPy's broadcasting puts at `at`.
    fn broadcast(&self, at: &[usize]) -> f64 {
        let at = &at[at.len() - self.shape.len()..];
        let own = at.iter().zip(&self.shape);
        let own: Vec<usize> = own
            .map(|(&i, &size)| if size == 1 { 0 } else { i })
            .collect();
        self.at(&own)
    }
}

/// All positions of an array, in order.
fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let shape = shape.to_vec();
    let count: usize = shape.iter().product();
    (0..count).map(move |mut number| {
        let mut at = vec![0; shape.len()];
        for axis in (0..shape.len()).rev() {
            at[axis] = number % shape[axis];
            number /= shape[axis];
        }
        at
    })
}

fn with(at: &[usize], axis: usize, index: usize) -> Vec<usize> {
    let mut at = at.to_vec();
    at[axis] = index;
    at
}

/// What an op's attributes say.
pub struct Settings(Attributes);

impl Settings {
    fn get(&self, name: &str) -> &Attribute {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }

    fn integers(&self, name: &str) -> Vec<usize> {
        integers(self.get(name))
    }

    fn integer(&self, name: &str) -> usize {
        integer(self.get(name))
    }

    fn number(&self, name: &str) -> f64 {
        match self.get(name) {
            Attribute::Number(number) => f64::from(*number),
            other => panic!("{name} is {other}"),
        }
    }

    pub fn flag(&self, name: &str) -> bool {
        match self.get(name) {
            Attribute::Bool(flag) => *flag,
            other => panic!("{name} is {other}"),
        }
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Attribute::Text(text) => Some(text),
            _ => None,
        }
    }

    fn window(&self) -> Window {
        let Attribute::Group(window) = self.get("window") else {
            panic!("a window is a group");
        };
        let list = |name| integers(window.get(name).unwrap());
        let Some(Attribute::List(padding)) = window.get("padding") else {
            panic!("padding is a list");
        };
        Window {
            size: list("size"),
            strides: list("strides"),
            dilation: list("dilation"),
            before: padding.iter().map(|pair| integers(pair)[0]).collect(),
        }
    }
}

fn integer(attribute: &Attribute) -> usize {
    match attribute {
        Attribute::Integer(integer) => *integer as usize,
        other => panic!("{other} is no integer"),
    }
}

fn integers(attribute: &Attribute) -> Vec<usize> {
    match attribute {
        Attribute::List(list) => list.iter().map(integer).collect(),
        other => panic!("{other} is no list"),
    }
}

/// Of three spatial axes; arrays that have fewer have the last ones.
struct Window {
    size: Vec<usize>,
    strides: Vec<usize>,
    dilation: Vec<usize>,
    before: Vec<usize>,
}

impl Window {
    /// The cells of an input of these spatial sizes that output cell `at` sees, each with its place in
    /// the window.
    fn cells(&self, at: &[usize], input: &[usize]) -> Vec<(Vec<usize>, Vec<usize>)> {
        let from = 3 - at.len();
        let mut cells = Vec::new();
        for place in indices(&self.size[from..]) {
            let cell = (0..at.len()).map(|axis| {
                let cell =
                    at[axis] * self.strides[from + axis] + place[axis] * self.dilation[from + axis];
                let cell = cell.checked_sub(self.before[from + axis])?;
                (cell < input[axis]).then_some(cell)
            });
            if let Some(cell) = cell.collect::<Option<Vec<usize>>>() {
                cells.push((place, cell));
            }
        }
        cells
    }
}

/// Sample, cell and channel of a position.
fn image(at: &[usize]) -> (usize, &[usize], usize) {
    (at[0], &at[1..at.len() - 1], at[at.len() - 1])
}

fn join(first: usize, cell: &[usize], last: usize) -> Vec<usize> {
    [&[first], cell, &[last]].concat()
}

fn spatial(shape: &[usize]) -> &[usize] {
    &shape[1..shape.len() - 1]
}

fn formula(
    op: &dyn Op,
    operands: &[&Constant],
    shape: &[usize],
    data_type: DataType,
) -> Option<Constant> {
    let settings = Settings(op.attributes()?);
    let operands: Vec<Array> = operands.iter().map(|it| Array::of(it)).collect();
    let name = op.name();
    let value = elementwise(name, &settings, &operands, shape)
        .or_else(|| moved(name, &settings, &operands, shape))
        .or_else(|| reduced(name, &settings, &operands, shape))
        .or_else(|| product(name, &settings, &operands, shape))
        .or_else(|| attention::attention(name, &settings, &operands, shape))
        .or_else(|| solved(name, &settings, &operands, shape))
        .or_else(|| pooled(name, &settings, &operands, shape))
        .or_else(|| normalized(name, &settings, &operands, shape))
        .or_else(|| recurrent(name, &settings, &operands, shape))
        .or_else(|| resized(name, &settings, &operands, shape))?;
    assert_eq!(value.shape, shape, "{name}");
    Some(match data_type {
        DataType::F32 => {
            let data = value.data.iter().map(|&x| x as f32).collect();
            Constant::F32(Tensor::new(shape, data).unwrap())
        }
        DataType::I32 => {
            let data = value.data.iter().map(|&x| x as i32).collect();
            Constant::I32(IntTensor::new(shape, data).unwrap())
        }
    })
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The series 2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1) / (2n+1)!!, which converges everywhere.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    match x.abs() < 6.0 {
        true => 2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum,
        false => x.signum(),
    }
}

fn unary(name: &str, settings: &Settings, x: f64) -> Option<f64> {
    let number = |name| settings.number(name);
    Some(match name {
        "negate" => -x,
        "exp" => x.exp(),
        "expm1" => x.exp_m1(),
        "log" => x.ln(),
        "log1p" => x.ln_1p(),
        "tanh" => x.tanh(),
        "sigmoid" => sigmoid(x),
        "softplus" => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        "erf" => erf(x),
        "erfinv" => {
            // Halving the interval in which it is.
            let (mut low, mut high) = (-6.0, 6.0);
            for _ in 0..80 {
                let middle = (low + high) / 2.0;
                match erf(middle) < x {
                    true => low = middle,
                    false => high = middle,
                }
            }
            low
        }
        "sin" => x.sin(),
        "cos" => x.cos(),
        "tan" => x.tan(),
        "arcsin" => x.asin(),
        "arccos" => x.acos(),
        "arctan" => x.atan(),
        "sinh" => x.sinh(),
        "cosh" => x.cosh(),
        "arcsinh" => x.asinh(),
        "arccosh" => x.acosh(),
        "arctanh" => x.atanh(),
        "cbrt" => x.cbrt(),
        "abs" => x.abs(),
        "square" => x * x,
        "sqrt" => x.sqrt(),
        "rsqrt" => 1.0 / x.sqrt(),
        "reciprocal" => 1.0 / x,
        "powf" => x.powf(number("exponent")),
        "silu" => x * sigmoid(x),
        "gelu" => x * 0.5 * (1.0 + erf(x / 2f64.sqrt())),
        "gelu_tanh" => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }
        "relu" => x.max(0.0),
        "leaky_relu" if x > 0.0 => x,
        "leaky_relu" => x * number("slope"),
        "clip" => x.max(number("min")).min(number("max")),
        "sign" if x == 0.0 => 0.0,
        "sign" => x.signum(),
        "step" => f64::from(x > 0.0),
        "floor" => x.floor(),
        "round" => x.round_ties_even(),
        "truncate" => x.trunc(),
        "cast" | "alias" | "stop_gradient" => x,
        _ => return None,
    })
}

fn binary(name: &str, settings: &Settings, a: f64, b: f64) -> Option<f64> {
    let number = |name| settings.number(name);
    Some(match name {
        "add" => a + b,
        "subtract" => a - b,
        "multiply" => a * b,
        "divide" => a / b,
        "power" => a.powf(b),
        "maximum" => a.max(b),
        "minimum" => a.min(b),
        "floor_modulo" => a - b * (a / b).floor(),
        "greater" => f64::from(a > b),
        "greater_equal" => f64::from(a >= b),
        "less" => f64::from(a < b),
        "less_equal" => f64::from(a <= b),
        "equal" => f64::from(a == b),
        "not_equal" => f64::from(a != b),
        "relu_gradient" => {
            if b > 0.0 {
                a
            } else {
                0.0
            }
        }
        "clip_gradient" if b >= number("min") && b <= number("max") => a,
        "clip_gradient" => 0.0,
        "silu_gradient" => a * sigmoid(b) * (1.0 + b * (1.0 - sigmoid(b))),
        _ => {
            let (a, b) = (a as i64, b as i64);
            // What is kept of a larger result are its last 32 bits.
            let wrapped = |result: i64| f64::from(result as i32);
            match name {
                "add_integers" => wrapped(a + b),
                "subtract_integers" => wrapped(a - b),
                "multiply_integers" => wrapped(a * b),
                "floor_divide_integers" => wrapped((a as f64 / b as f64).floor() as i64),
                "floor_modulo_integers" => wrapped(a - b * (a as f64 / b as f64).floor() as i64),
                "greatest_common_divisor_integers" => {
                    let mut all = (1..=a.abs().max(b.abs())).rev();
                    wrapped(all.find(|d| a % d == 0 && b % d == 0).unwrap_or(0))
                }
                "maximum_integers" => wrapped(a.max(b)),
                "minimum_integers" => wrapped(a.min(b)),
                "and_integers" => wrapped(a & b),
                "or_integers" => wrapped(a | b),
                "xor_integers" => wrapped(a ^ b),
                "shift_left_integers" if !(0..32).contains(&b) => 0.0,
                "shift_left_integers" => wrapped(a << b),
                "shift_right_integers" => wrapped(a >> b.clamp(0, 31)),
                "equal_integers" => f64::from(a == b),
                "less_integers" => f64::from(a < b),
                _ => return None,
            }
        }
    })
}

fn elementwise(
    name: &str,
    settings: &Settings,
    operands: &[Array],
    shape: &[usize],
) -> Option<Array> {
    let mut y = Array::zeros(shape);
    for at in indices(shape) {
        *y.at_mut(&at) = match operands {
            [x] if x.shape == shape => unary(name, settings, x.at(&at))?,
            [a, b] if a.shape.len().max(b.shape.len()) == shape.len() => {
                // Only what broadcasts to this shape is a function of pairs.
                let fits = |it: &Array| {
                    let own = it.shape.iter().rev().zip(shape.iter().rev());
                    own.into_iter().all(|(own, size)| own == size || *own == 1)
                };
                if !fits(a) || !fits(b) {
                    return None;
                }
                binary(name, settings, a.broadcast(&at), b.broadcast(&at))?
            }
            [condition, a, b] if name == "select" => match condition.broadcast(&at) != 0.0 {
                true => a.broadcast(&at),
                false => b.broadcast(&at),
            },
            _ => return None,
        };
    }
    // An op of another kind may be without elements.
    let known = !y.data.is_empty() || unary(name, settings, 1.0).is_some();
    known.then_some(y)
}

/// Ops that put elements elsewhere, or add them there.
fn moved(name: &str, settings: &Settings, operands: &[Array], shape: &[usize]) -> Option<Array> {
    let x = operands.first()?;
    let last = shape.len().wrapping_sub(1);
    let mut y = Array::zeros(shape);
    match name {
        "alias" | "stop_gradient" | "reshape" => y.data.clone_from(&x.data),
        "assign" => y.data.clone_from(&operands[1].data),
        "broadcast_to" => {
            indices(shape).for_each(|at| *y.at_mut(&at) = x.broadcast(&at));
        }
        "permute" => {
            let axes = settings.integers("axes");
            for at in indices(shape) {
                let mut from = at.clone();
                axes.iter()
                    .enumerate()
                    .for_each(|(to, &axis)| from[axis] = at[to]);
                *y.at_mut(&at) = x.at(&from);
            }
        }
        "slice" => {
            let (axis, from) = (settings.integer("axis"), settings.integers("range")[0]);
            for at in indices(shape) {
                *y.at_mut(&at) = x.at(&with(&at, axis, at[axis] + from));
            }
        }
        "pad" => {
            let before = settings.integers("before");
            y.data.fill(settings.number("value"));
            for at in indices(&x.shape) {
                let to: Vec<usize> = at
                    .iter()
                    .zip(&before)
                    .map(|(i, before)| i + before)
                    .collect();
                *y.at_mut(&to) = x.at(&at);
            }
        }
        "crop" => {
            let before = settings.integers("before");
            for at in indices(shape) {
                let from = at.iter().zip(&before).map(|(i, before)| i + before);
                *y.at_mut(&at) = x.at(&from.collect::<Vec<usize>>());
            }
        }
        "concatenate" => {
            let axis = settings.integer("axis");
            let mut from = 0;
            for part in operands {
                for at in indices(&part.shape) {
                    *y.at_mut(&with(&at, axis, at[axis] + from)) = part.at(&at);
                }
                from += part.shape[axis];
            }
        }
        "pick" => {
            let (axis, picked) = (settings.integer("axis"), settings.integers("indices"));
            for at in indices(shape) {
                *y.at_mut(&at) = x.at(&with(&at, axis, picked[at[axis]]));
            }
        }
        "add_picked" => {
            let (axis, picked) = (settings.integer("axis"), settings.integers("indices"));
            for at in indices(&x.shape) {
                *y.at_mut(&with(&at, axis, picked[at[axis]])) += x.at(&at);
            }
        }
        "gather" => {
            let index = &operands[1];
            for at in indices(shape) {
                let (of_index, rest) = at.split_at(index.shape.len());
                let row = index.at(of_index) as usize;
                *y.at_mut(&at) = x.at(&[&[row], rest].concat());
            }
        }
        "scatter_add" => {
            let index = &operands[1];
            for at in indices(&x.shape) {
                let (of_index, rest) = at.split_at(index.shape.len());
                let row = index.at(of_index) as usize;
                *y.at_mut(&[&[row], rest].concat()) += x.at(&at);
            }
        }
        "take_along" => {
            for at in indices(shape) {
                let index = from_end(operands[1].at(&at), x.shape[last]);
                *y.at_mut(&at) = x.at(&with(&at, last, index));
            }
        }
        "add_along" => {
            for at in indices(&x.shape) {
                let index = from_end(operands[1].at(&at), shape[last]);
                *y.at_mut(&with(&at, last, index)) += x.at(&at);
            }
        }
        "one_hot" => {
            for at in indices(&x.shape) {
                *y.at_mut(&[&at[..], &[x.at(&at) as usize]].concat()) = 1.0;
            }
        }
        "argsort" => {
            for at in indices(shape) {
                // The number of elements that stand before it is its place.
                let own = x.at(&at);
                let stands_before = |index: usize| {
                    let other = x.at(&with(&at, last, index));
                    let (less, more) = match settings.flag("descending") {
                        false => (other < own, other > own),
                        true => (other > own, other < own),
                    };
                    less || (!more && index < at[last])
                };
                let place = (0..shape[last])
                    .filter(|&index| stands_before(index))
                    .count();
                *y.at_mut(&with(&at, last, place)) = at[last] as f64;
            }
        }
        _ => return None,
    }
    Some(y)
}

fn from_end(index: f64, size: usize) -> usize {
    match index < 0.0 {
        true => (index + size as f64) as usize,
        false => index as usize,
    }
}

/// The elements of `x` that are reduced to each element of the result, which lacks `axes` or has them
/// with size 1.
fn groups(x: &Array, axes: &[usize], keep: bool) -> Vec<Vec<f64>> {
    let kept: Vec<usize> = (0..x.shape.len())
        .filter(|axis| keep || !axes.contains(axis))
        .collect();
    let size = |&axis: &usize| {
        if axes.contains(&axis) {
            1
        } else {
            x.shape[axis]
        }
    };
    let to = Array::zeros(&kept.iter().map(size).collect::<Vec<usize>>());
    let mut groups = vec![Vec::new(); to.data.len()];
    for at in indices(&x.shape) {
        let index = |&axis: &usize| if axes.contains(&axis) { 0 } else { at[axis] };
        let place = to.place(&kept.iter().map(index).collect::<Vec<usize>>());
        groups[place].push(x.at(&at));
    }
    groups
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn softmax(row: &[f64]) -> Vec<f64> {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|x| (x - largest).exp()).sum();
    row.iter().map(|x| (x - largest).exp() / sum).collect()
}

/// The point of the simplex that is nearest: of all numbers of elements in the support, the one that
/// goes with its own threshold.
fn sparsemax(row: &[f64]) -> Vec<f64> {
    let mut sorted = row.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let threshold = |count: usize| (sorted[..count].iter().sum::<f64>() - 1.0) / count as f64;
    let count = (1..=row.len())
        .rev()
        .find(|&count| sorted[count - 1] > threshold(count));
    row.iter()
        .map(|x| (x - threshold(count.unwrap())).max(0.0))
        .collect()
}

fn reduced(name: &str, settings: &Settings, operands: &[Array], shape: &[usize]) -> Option<Array> {
    let x = operands.first()?;
    let array = |data: Vec<f64>| {
        Some(Array {
            shape: shape.to_vec(),
            data,
        })
    };
    let over = |reduce: &dyn Fn(&[f64]) -> f64| {
        let groups = groups(x, &settings.integers("axes"), settings.flag("keep"));
        array(groups.iter().map(|group| reduce(group)).collect())
    };
    let by_row = |function: &dyn Fn(&[f64]) -> Vec<f64>| {
        let rows = x.data.chunks(x.shape.last().copied().unwrap().max(1));
        array(rows.flat_map(function).collect())
    };
    match name {
        "sum" => over(&|group| group.iter().sum()),
        "mean" => over(&mean),
        "max" => over(&|group| group.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        "min" => over(&|group| group.iter().copied().fold(f64::INFINITY, f64::min)),
        "variance" => {
            // Around the given means.
            let (axes, means) = (settings.integers("axes"), &operands[1]);
            let groups = groups(x, &axes, true).into_iter().zip(&means.data);
            let variance = |(group, m): (Vec<f64>, &f64)| {
                mean(
                    &group
                        .iter()
                        .map(|x| (x - m) * (x - m))
                        .collect::<Vec<f64>>(),
                )
            };
            array(groups.map(variance).collect())
        }
        "argmax" => {
            let first = |group: &Vec<f64>| {
                let largest = group.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                group.iter().position(|x| *x == largest).unwrap() as f64
            };
            array(
                groups(x, &[settings.integer("axis")], false)
                    .iter()
                    .map(first)
                    .collect(),
            )
        }
        "sum_to" => {
            let mut y = Array::zeros(shape);
            for at in indices(&x.shape) {
                let at_end = &at[at.len() - shape.len()..];
                let own = at_end.iter().zip(shape);
                let own: Vec<usize> = own
                    .map(|(&i, &size)| if size == 1 { 0 } else { i })
                    .collect();
                *y.at_mut(&own) += x.at(&at);
            }
            Some(y)
        }
        "one_over_count" => {
            let axes = settings.integers("axes");
            let count: usize = axes.iter().map(|&axis| x.shape[axis]).product();
            array(vec![1.0 / count as f64])
        }
        "softmax" => by_row(&softmax),
        "sparsemax" => by_row(&sparsemax),
        "log_softmax" => by_row(&|row| softmax(row).iter().map(|p| p.ln()).collect()),
        "log_sum_exp" => by_row(&|row| vec![row.iter().map(|x| x.exp()).sum::<f64>().ln()]),
        "softmax_cross_entropy" => {
            let rows = x.data.chunks(x.shape[x.shape.len() - 1]);
            let loss = |(row, label): (&[f64], &f64)| -softmax(row)[*label as usize].ln();
            array(rows.zip(&operands[1].data).map(loss).collect())
        }
        "softmax_and_cross_entropy" => {
            let rows = x.data.chunks(x.shape[x.shape.len() - 1]);
            let probabilities: Vec<Vec<f64>> = rows.map(softmax).collect();
            let losses = probabilities.iter().zip(&operands[1].data);
            let losses = losses.map(|(row, label)| -row[*label as usize].ln());
            let all = probabilities.iter().flatten().copied();
            array(all.chain(losses).collect())
        }
        "cross_entropy_of_both" => {
            let rows = shape.iter().product::<usize>();
            array(x.data[x.data.len() - rows..].to_vec())
        }
        "cross_entropy_gradient_of_both" => {
            let (labels, dy) = (&operands[1].data, &operands[2].data);
            let classes = x.shape[x.shape.len() - 1] - 1;
            let rows = x.data[..classes * labels.len()].chunks(classes).zip(labels);
            let mut y = Vec::new();
            for (at, (row, label)) in rows.enumerate() {
                let dy = if dy.len() == 1 { dy[0] } else { dy[at] };
                let row = row.iter().enumerate();
                y.extend(
                    row.map(|(class, p)| (p - f64::from(u8::from(class == *label as usize))) * dy),
                );
            }
            array(y)
        }
        "softmax_cross_entropy_gradient" => {
            let (labels, dy) = (&operands[1], &operands[2]);
            let mut y = Array::zeros(shape);
            for at in indices(shape) {
                let (column, of_row) = at.split_last().unwrap();
                let row = indices(&shape[at.len() - 1..]).map(|i| x.at(&[of_row, &i].concat()));
                let p = softmax(&row.collect::<Vec<f64>>())[*column];
                let own = f64::from(labels.at(of_row) as usize == *column);
                let dy = match dy.data.len() {
                    1 => dy.data[0],
                    _ => dy.at(of_row),
                };
                *y.at_mut(&at) = (p - own) * dy;
            }
            Some(y)
        }
        _ => None,
    }
}

/// The activation of a fused product.
fn activated(settings: &Settings, x: f64) -> f64 {
    match settings.get("activation") {
        Attribute::Text(name) if name == "none" => x,
        Attribute::Text(name) if name == "relu6" => x.clamp(0.0, 6.0),
        Attribute::Text(name) => unary(name, settings, x).unwrap(),
        Attribute::Group(leaky) => {
            let Some(Attribute::Number(slope)) = leaky.get("slope") else {
                panic!("{leaky} has no slope");
            };
            if x > 0.0 { x } else { x * f64::from(*slope) }
        }
        other => panic!("{other} is no activation"),
    }
}

fn product(name: &str, settings: &Settings, operands: &[Array], shape: &[usize]) -> Option<Array> {
    let [a, b, ..] = operands else {
        return None;
    };
    if let Some(name) = name.strip_prefix("fused_") {
        let name = name.trim_end_matches("_packed");
        let mut y = product(name, settings, &operands[..2], shape)?;
        for at in indices(shape) {
            let bias = match settings.flag("bias") {
                true => operands[2].data[at[at.len() - 1]],
                false => 0.0,
            };
            let residual = match settings.0.get("residual") {
                Some(_) if settings.flag("residual") => operands[operands.len() - 1].at(&at),
                _ => 0.0,
            };
            let y = y.at_mut(&at);
            *y = activated(settings, *y + bias + residual);
        }
        return Some(y);
    }
    let mut y = Array::zeros(shape);
    let is_transposed = |name: &str| settings.0.get(name).is_some() && settings.flag(name);
    match name {
        "matmul" | "matmul_transposed" => {
            for at in indices(shape) {
                let (&n, rows) = at.split_last().unwrap();
                let b = |k: usize| match is_transposed("transposed") {
                    false => b.at(&[k, n]),
                    true => b.at(&[n, k]),
                };
                let terms =
                    (0..*a.shape.last().unwrap()).map(|k| a.at(&[rows, &[k]].concat()) * b(k));
                *y.at_mut(&at) = terms.sum();
            }
        }
        "matmul_weight_gradient" => {
            for rows in indices(&a.shape[..a.shape.len() - 1]) {
                for at in indices(shape) {
                    let (a, dy) = (
                        [&rows[..], &at[..1]].concat(),
                        [&rows[..], &at[1..]].concat(),
                    );
                    *y.at_mut(&at) += operands[0].at(&a) * b.at(&dy);
                }
            }
        }
        "batch_matmul" => {
            let k_axis = a.shape.len() - if is_transposed("transpose_a") { 2 } else { 1 };
            for at in indices(shape) {
                let (lead, cell) = at.split_at(at.len() - 2);
                let place = |i: usize, j: usize, transposed: bool| match transposed {
                    false => [lead, &[i, j]].concat(),
                    true => [lead, &[j, i]].concat(),
                };
                let term = |k: usize| {
                    a.at(&place(cell[0], k, is_transposed("transpose_a")))
                        * b.at(&place(k, cell[1], is_transposed("transpose_b")))
                };
                *y.at_mut(&at) = (0..a.shape[k_axis]).map(term).sum();
            }
        }
        "convolution" | "grouped_convolution" => {
            convolve(settings, &a.shape, &b.shape, shape, |x, kernel, out| {
                *y.at_mut(out) += a.at(x) * b.at(kernel);
            });
        }
        "convolution_input_gradient" => {
            convolve(settings, shape, &b.shape, &a.shape, |x, kernel, out| {
                *y.at_mut(x) += a.at(out) * b.at(kernel);
            });
        }
        "convolution_weight_gradient" => {
            convolve(settings, &a.shape, shape, &b.shape, |x, kernel, out| {
                *y.at_mut(kernel) += a.at(x) * b.at(out);
            });
        }
        _ => return None,
    }
    Some(y)
}

/// The determinant of the matrix with some row and column left out, along its first row.
fn determinant(n: usize, x: &impl Fn(usize, usize) -> f64) -> f64 {
    let minor = |column: usize| {
        let skip = move |j: usize| if j < column { j } else { j + 1 };
        let x: &dyn Fn(usize, usize) -> f64 = x;
        let values: Vec<f64> = (1..n)
            .flat_map(|i| (0..n - 1).map(move |j| x(i, skip(j))))
            .collect();
        determinant_of(n - 1, &values)
    };
    let sign = |column: usize| if column.is_multiple_of(2) { 1.0 } else { -1.0 };
    match n {
        0 => 1.0,
        _ => (0..n).map(|j| sign(j) * x(0, j) * minor(j)).sum(),
    }
}

fn determinant_of(n: usize, values: &[f64]) -> f64 {
    determinant(n, &|i, j| values[i * n + j])
}

/// Systems of equations by Cramer's rule, determinants, and Cholesky factors.
fn solved(name: &str, settings: &Settings, operands: &[Array], shape: &[usize]) -> Option<Array> {
    let a = operands.first()?;
    let n = *a.shape.last()?;
    let mut y = Array::zeros(shape);
    let cell = |lead: &[usize], i: usize, j: usize| a.at(&[lead, &[i, j]].concat());
    match name {
        "solve" => {
            for at in indices(shape) {
                let (lead, place) = at.split_at(at.len() - 2);
                let a = |i: usize, j: usize| match settings.flag("transposed") {
                    false => cell(lead, i, j),
                    true => cell(lead, j, i),
                };
                let b = |i: usize| operands[1].at(&[lead, &[i, place[1]]].concat());
                let put = |i: usize, j: usize| if j == place[0] { b(i) } else { a(i, j) };
                *y.at_mut(&at) = determinant(n, &put) / determinant(n, &a);
            }
        }
        "determinant" => {
            for at in indices(shape) {
                *y.at_mut(&at) = determinant(n, &|i, j| cell(&at, i, j));
            }
        }
        "log_determinant" => {
            for at in indices(shape) {
                let (part, lead) = at.split_last().unwrap();
                let value = determinant(n, &|i, j| cell(lead, i, j));
                *y.at_mut(&at) = match part {
                    1 => value.abs().ln(),
                    _ if value == 0.0 => 0.0,
                    _ => value.signum(),
                };
            }
        }
        "cholesky" => {
            // In the order of places, so that what a place needs is there.
            for at in indices(shape) {
                let (lead, place) = at.split_at(at.len() - 2);
                let l = |y: &Array, i: usize, j: usize| y.at(&[lead, &[i, j]].concat());
                let (i, j) = (place[0], place[1]);
                let known: f64 = (0..j).map(|k| l(&y, i, k) * l(&y, j, k)).sum();
                let rest = cell(lead, i, j) - known;
                *y.at_mut(&at) = match i.cmp(&j) {
                    std::cmp::Ordering::Less => 0.0,
                    std::cmp::Ordering::Equal => rest.sqrt(),
                    std::cmp::Ordering::Greater => rest / l(&y, j, j),
                };
            }
        }
        _ => return None,
    }
    Some(y)
}

/// Calls `term` with the positions in input, kernel and output of every product of a convolution.
fn convolve(
    settings: &Settings,
    x: &[usize],
    kernel: &[usize],
    y: &[usize],
    mut term: impl FnMut(&[usize], &[usize], &[usize]),
) {
    let (window, groups) = (settings.window(), settings.integer("groups"));
    let filters_of_group = y[y.len() - 1] / groups;
    let channels_of_group = kernel[kernel.len() - 2];
    for out in indices(y) {
        let (sample, cell, filter) = image(&out);
        let group = filter / filters_of_group;
        for (place, from) in window.cells(cell, spatial(x)) {
            for channel in 0..channels_of_group {
                let input = join(sample, &from, group * channels_of_group + channel);
                let kernel = [&place[..], &[channel, filter]].concat();
                term(&input, &kernel, &out);
            }
        }
    }
}

fn pooled(name: &str, settings: &Settings, operands: &[Array], shape: &[usize]) -> Option<Array> {
    let mut y = Array::zeros(shape);
    let window = || settings.window();
    let cells = |window: &Window, out: &[usize], x: &[usize]| -> Vec<Vec<usize>> {
        let (sample, cell, channel) = image(out);
        let cells = window.cells(cell, spatial(x)).into_iter();
        cells
            .map(|(_, cell)| join(sample, &cell, channel))
            .collect()
    };
    // The first of the largest.
    let largest = |x: &Array, cells: &[Vec<usize>]| -> Vec<usize> {
        let best = |a: &Vec<usize>, b: &Vec<usize>| x.at(a) >= x.at(b);
        let mut cells = cells.iter().cloned();
        let first = cells.next().unwrap();
        cells.fold(first, |a, b| if best(&a, &b) { a } else { b })
    };
    match (name, operands) {
        ("average_pool", [x]) => {
            for out in indices(shape) {
                let cells = cells(&window(), &out, &x.shape);
                *y.at_mut(&out) = mean(&cells.iter().map(|cell| x.at(cell)).collect::<Vec<f64>>());
            }
        }
        ("average_pool_gradient", [dy]) => {
            for out in indices(&dy.shape) {
                let cells = cells(&window(), &out, shape);
                for cell in &cells {
                    *y.at_mut(cell) += dy.at(&out) / cells.len() as f64;
                }
            }
        }
        ("max_pool", [x]) => {
            for out in indices(shape) {
                *y.at_mut(&out) = x.at(&largest(x, &cells(&window(), &out, &x.shape)));
            }
        }
        ("max_pool_gradient", [dy, x]) => {
            for out in indices(&dy.shape) {
                *y.at_mut(&largest(x, &cells(&window(), &out, &x.shape))) += dy.at(&out);
            }
        }
        ("pick_at_max", [v, x]) => {
            for out in indices(shape) {
                *y.at_mut(&out) = v.at(&largest(x, &cells(&window(), &out, &x.shape)));
            }
        }
        _ => return None,
    }
    Some(y)
}

fn normalized(
    name: &str,
    settings: &Settings,
    operands: &[Array],
    shape: &[usize],
) -> Option<Array> {
    if !name.starts_with("batch_moments") && !name.starts_with("batch_normalize") {
        return None;
    }
    let leading = |x: &Array| (0..x.shape.len() - 1).collect::<Vec<usize>>();
    let mut y = Array::zeros(shape);
    let epsilon = || settings.number("epsilon");
    // The inverse deviation of a channel, and an element normalized.
    let inverse = |moments: &Array, c: usize| 1.0 / (moments.at(&[1, c]) + epsilon()).sqrt();
    let hat = |x: &Array, moments: &Array, at: &[usize]| {
        let c = at[at.len() - 1];
        (x.at(at) - moments.at(&[0, c])) * inverse(moments, c)
    };
    match (name, operands) {
        ("batch_moments", [x]) => {
            for (c, group) in groups(x, &leading(x), false).iter().enumerate() {
                let m = mean(group);
                *y.at_mut(&[0, c]) = m;
                let squares: Vec<f64> = group.iter().map(|x| (x - m) * (x - m)).collect();
                *y.at_mut(&[1, c]) = mean(&squares);
            }
        }
        ("batch_normalize", [x, moments, gamma, beta]) => {
            for at in indices(shape) {
                let c = at[at.len() - 1];
                *y.at_mut(&at) = hat(x, moments, &at) * gamma.data[c] + beta.data[c];
            }
        }
        ("batch_normalize_sums", [dy, x, moments]) => {
            for at in indices(&x.shape) {
                let c = at[at.len() - 1];
                *y.at_mut(&[0, c]) += dy.at(&at);
                *y.at_mut(&[1, c]) += dy.at(&at) * hat(x, moments, &at);
            }
        }
        ("batch_normalize_gradient", [dy, x, moments, gamma, sums]) => {
            let count = (x.data.len() / gamma.data.len()) as f64;
            for at in indices(shape) {
                let c = at[at.len() - 1];
                let along = hat(x, moments, &at) * sums.at(&[1, c]) / count;
                let centred = dy.at(&at) - sums.at(&[0, c]) / count - along;
                *y.at_mut(&at) = gamma.data[c] * inverse(moments, c) * centred;
            }
        }
        _ => return None,
    }
    Some(y)
}

/// The cells that make cell `i` of `to` along an axis of `from` cells, with their weights.
fn taps(method: &str, i: usize, from: usize, to: usize) -> Option<Vec<(usize, f64)>> {
    let middle = (i as f64 + 0.5) * from as f64 / to as f64;
    let inside = |cell: f64| cell.clamp(0.0, (from - 1) as f64) as usize;
    let place = middle - 0.5;
    let below = place.floor();
    Some(match method {
        "nearest" => vec![(inside(middle.floor()), 1.0)],
        "bilinear" => {
            let t = place - below;
            vec![(inside(below), 1.0 - t), (inside(below + 1.0), t)]
        }
        "bicubic" => {
            // TensorFlow's table has 1024 places between two cells.
            let t = ((place - below) * 1024.0).round_ties_even() / 1024.0;
            let weight = |d: f64| match d.abs() {
                d if d <= 1.0 => 1.5 * d * d * d - 2.5 * d * d + 1.0,
                d if d < 2.0 => -0.5 * d * d * d + 2.5 * d * d - 4.0 * d + 2.0,
                _ => 0.0,
            };
            let near = (-1..3).map(|step| (below + f64::from(step), weight(t - f64::from(step))));
            let near: Vec<(f64, f64)> = near
                .filter(|(cell, _)| *cell >= 0.0 && *cell < from as f64)
                .collect();
            let sum: f64 = near.iter().map(|(_, weight)| weight).sum();
            near.iter()
                .map(|(cell, weight)| (*cell as usize, weight / sum))
                .collect()
        }
        _ => return None,
    })
}

fn resized(name: &str, settings: &Settings, operands: &[Array], shape: &[usize]) -> Option<Array> {
    let [x] = operands else {
        return None;
    };
    let (small, large) = match name {
        "resize" => (x.shape.as_slice(), shape),
        "resize_gradient" => (shape, x.shape.as_slice()),
        _ => return None,
    };
    let method = settings.text("method")?;
    let mut y = Array::zeros(shape);
    for to in indices(large) {
        let (sample, cell, channel) = image(&to);
        let mut from: Vec<(Vec<usize>, f64)> = vec![(Vec::new(), 1.0)];
        for (axis, &i) in cell.iter().enumerate() {
            let taps = taps(method, i, spatial(small)[axis], spatial(large)[axis])?;
            from = (from.iter())
                .flat_map(|(cell, w)| {
                    let more = taps
                        .iter()
                        .map(move |(tap, v)| ([&cell[..], &[*tap]].concat(), w * v));
                    more.collect::<Vec<_>>()
                })
                .collect();
        }
        for (cell, weight) in from {
            let cell = join(sample, &cell, channel);
            match name {
                "resize" => *y.at_mut(&to) += weight * x.at(&cell),
                _ => *y.at_mut(&cell) += weight * x.at(&to),
            }
        }
    }
    Some(y)
}
