//! How probable a row of labels is under all of its alignments with longer outputs: connectionist temporal
//! classification.

use regraft_autograd::Var;
use regraft_autograd::ops::Integers;
use regraft_tensor::Detail;

use super::arguments::Arguments;
use super::declaration::{Declared, NN, Takes, one};
use super::typed::{Typed, floats, integer};
use crate::ElementType;
use crate::settings::require;

type Results<'g> = Result<Vec<Typed<'g>>, Detail>;

pub(super) const TABLE: &[Declared] = &[Declared::new(
    "CTCLoss",
    Takes::Values(&["target", "output", "target_length", "output_length"]),
    ctc_loss,
)
.within(NN)];

/// The logarithm of a probability of 0, with which sums stay numbers.
const NEVER: f32 = -1e30;

/// `−ln Σ p(alignment)` over the alignments of the labels of a sample, with blanks between them and each as often as
/// it takes, with its output steps. Graves et al. 2006.
fn ctc_loss<'g>(a: &Arguments<'g, '_>) -> Results<'g> {
    let labels = a.tensor("target")?.to(ElementType::Int32);
    let logits = a.tensor("output")?.to_float();
    let [label_count, step_count] = ["target_length", "output_length"].map(|name| {
        let counts = a.tensor(name)?.to(ElementType::Int32);
        let expected = "a number for each sample";
        require(counts.rank() == 1, name, expected, counts.shape())?;
        Ok::<Var<'g>, Detail>(counts.var)
    });
    let (label_count, step_count) = (label_count?, step_count?);
    let blank = a.settings.or::<usize>("mask_index", 0)?;
    let fits = labels.rank() == 2 && labels.size(1) > 0;
    require(fits, "target", "rows of labels", labels.shape())?;
    let fits = logits.rank() == 3 && logits.size(1) > 0 && logits.size(2) > blank;
    let expected = "(batch, steps, classes), of which one is the blank";
    require(fits, "output", expected, logits.shape())?;
    let (steps, classes) = (logits.size(1), logits.size(2));
    let (graph, batch) = (a.graph(), labels.shape().dims()[0]);
    let number = |value: usize| integer(graph, value as i32);

    // A blank in front of each label and one behind the last: what an alignment goes through.
    let count = labels.size(1);
    let states = 2 * count + 1;
    let labels = labels.var.integers(Integers::Maximum, number(0));
    let labels = labels.integers(Integers::Minimum, number(classes - 1));
    let labels = labels.expand_dims(2);
    let blanks = labels.integers(Integers::Multiply, number(0));
    let blanks = blanks.integers(Integers::Add, number(blank));
    let pairs = graph
        .concatenate(&[blanks, labels], 2)
        .reshape([batch, (2 * count).into()]);
    let last = blanks.slice(1, 0..1).reshape([batch, 1.into()]);
    let passed = graph.concatenate(&[pairs, last], 1);
    // A blank may be passed over between two labels that differ.
    let again = passed
        .slice(1, 2..states)
        .integers(Integers::Equal, passed.slice(1, 0..states - 2));
    let may_skip = (1.0 - again).pad(&[(0, 0), (2, 0)], 0.0);

    let at = passed
        .expand_dims(1)
        .broadcast_to([batch, steps.into(), states.into()]);
    let logarithms = logits.var.log_softmax().take_along(at);
    let of_step = |step: usize| logarithms.slice(1, step..step + 1).squeeze(1);
    let begins = (0..states).map(|state| f32::from(u8::from(state < 2)));
    let begins = floats(graph, vec![states], begins.collect());
    let mut reached = begins.select(of_step(0), NEVER);
    for step in 1..steps {
        let before = |by: usize| {
            let moved = reached.slice(1, 0..states - by);
            moved.pad(&[(0, 0), (by, 0)], NEVER)
        };
        let ways = [reached, before(1), may_skip.select(before(2), NEVER)];
        let ways = ways.map(|way| way.expand_dims(2));
        let next = graph.concatenate(&ways, 2).log_sum_exp() + of_step(step);
        let counts = step_count.to_f32().greater(step as f32).expand_dims(1);
        reached = counts.select(next, reached);
    }
    // It ends at the last label or at the blank behind it.
    let behind = label_count
        .integers(Integers::Multiply, number(2))
        .expand_dims(1);
    let label = behind.integers(Integers::Subtract, number(1));
    let label = label.integers(Integers::Maximum, number(0));
    let any = label_count.to_f32().greater(0.0).expand_dims(1);
    let at_label = any.select(reached.take_along(label), NEVER);
    let ends = graph.concatenate(&[reached.take_along(behind), at_label], 1);
    let loss = -ends.log_sum_exp();
    let loss = loss.less(-NEVER / 2.0).select(loss, f32::INFINITY);
    one(logits.with(loss))
}
