//! The gradients of one step, to be looked at, changed and applied.

use regraft_autograd::VariableId;
use regraft_layers::{Model as Network, TrainedWeights, WeightKind};
use regraft_tensor::{Detail, Tensor};

use crate::training::scores::Scores;
use crate::training::steps::Steps;
use crate::training::update::Results;
use crate::{Error, Result};

/// What [`TrainStep::gradients`](super::TrainStep::gradients) computed: the gradient of each weight that a step
/// trains and that a gradient reaches, the new values of states, and the loss.
#[derive(Clone, Debug)]
pub struct Gradients {
    scores: Scores,
    gradients: Vec<(VariableId, String, Tensor)>,
    updates: Vec<NewValue>,
}

/// What a step computed for a state, or for a parameter that a layer assigns.
#[derive(Clone, Debug)]
struct NewValue {
    id: VariableId,
    values: Vec<f32>,
    /// Of a parameter the value that it had: to another one nothing is assigned.
    of: Option<Vec<f32>>,
}

/// The values of the weights that a step trains, as they were.
#[derive(Clone, Debug)]
pub struct Values(Vec<(VariableId, Tensor)>);

impl Gradients {
    /// Of the last run.
    pub(super) fn of(network: &Network, steps: &Steps, scores: Scores) -> Result<Self> {
        let gradient = |index: usize| {
            let (id, values) = steps.gradient(index);
            let weight = &network.weights()[id];
            let tensor = Tensor::new(weight.value().shape(), values.to_vec());
            let tensor = tensor.map_err(|error| Error::Data(error.into()))?;
            Ok((id, weight.path().to_string(), tensor))
        };
        let update = |(id, values): (VariableId, &[f32])| {
            let weight = &network.weights()[id];
            let before = || weight.value().as_slice().to_vec();
            NewValue {
                id,
                values: values.to_vec(),
                of: (weight.kind() == WeightKind::Parameter).then(before),
            }
        };
        Ok(Gradients {
            scores,
            gradients: (0..steps.count()).map(gradient).collect::<Result<_>>()?,
            updates: steps.updates().map(update).collect(),
        })
    }

    /// The loss and the reported numbers.
    pub fn scores(&self) -> &Scores {
        &self.scores
    }

    /// The number of weights that a gradient reaches.
    pub fn len(&self) -> usize {
        self.gradients.len()
    }

    /// Whether no gradient reaches any weight.
    pub fn is_empty(&self) -> bool {
        self.gradients.is_empty()
    }

    /// The gradient of the weight at `path`: `gradients.get("head/kernel")`.
    pub fn get(&self, path: &str) -> Option<&Tensor> {
        self.iter().find(|(known, _)| *known == path).map(|it| it.1)
    }

    /// The paths of the weights and their gradients, in the model's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        let gradients = self.gradients.iter();
        gradients.map(|(_, path, gradient)| (path.as_str(), gradient))
    }

    /// As [`iter`](Self::iter), the elements of each to be changed: clipped, noised, projected.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut [f32])> {
        let gradients = self.gradients.iter_mut();
        gradients.map(|(_, path, gradient)| (path.as_str(), gradient.as_mut_slice()))
    }

    /// The length of all gradients as one vector: √Σ g².
    pub fn norm(&self) -> f32 {
        let elements = self.iter().flat_map(|(_, gradient)| gradient.as_slice());
        let square = |&element: &f32| f64::from(element) * f64::from(element);
        elements.map(square).sum::<f64>().sqrt() as f32
    }

    /// Multiplies all gradients.
    pub fn scale(&mut self, factor: f32) {
        let all = self.iter_mut().flat_map(|(_, gradient)| gradient);
        all.for_each(|element| *element *= factor);
    }

    /// Adds other gradients of the same weights. The states stay those of this batch.
    ///
    /// # Errors
    /// Gradients of other weights.
    pub fn add(&mut self, other: &Gradients) -> Result<()> {
        let ids = |it: &Gradients| -> Vec<VariableId> {
            it.gradients.iter().map(|(id, ..)| *id).collect()
        };
        if ids(self) != ids(other) {
            return Err(others("gradients"));
        }
        let pairs = self.iter_mut().zip(other.iter());
        for ((_, sum), (_, gradient)) in pairs {
            let elements = sum.iter_mut().zip(gradient.as_slice());
            elements.for_each(|(sum, element)| *sum += element);
        }
        Ok(())
    }

    pub(super) fn require_of(&self, steps: &Steps) -> Result<()> {
        let ids = self.gradients.iter().map(|(id, ..)| id);
        let updates = self.updates.iter().map(|new| new.id);
        let same = ids.eq(steps.gradients().iter().map(|(id, _)| id))
            && updates.eq(steps.updates().map(|(id, _)| id));
        same.then_some(()).ok_or_else(|| others("gradients"))
    }

    /// Stores what layers assigned to parameters that still have the values of which it was computed.
    pub(super) fn assign(&self, weights: &mut TrainedWeights<'_>) {
        self.store_if(weights, |new| new.of.is_some());
    }

    fn store_if(&self, weights: &mut TrainedWeights<'_>, picks: impl Fn(&NewValue) -> bool) {
        for new in self.updates.iter().filter(|new| picks(new)) {
            let value = weights
                .values_mut(new.id)
                .expect("what is updated is written");
            if new.of.as_deref().is_none_or(|of| of == value) {
                value.copy_from_slice(&new.values);
            }
        }
    }

    /// `w += factor · g`
    pub(super) fn add_to(&self, weights: &mut TrainedWeights<'_>, factor: f32) {
        for (id, _, gradient) in &self.gradients {
            let value = weights
                .values_mut(*id)
                .expect("a parameter with a gradient is trained");
            let elements = value.iter_mut().zip(gradient.as_slice());
            elements.for_each(|(value, element)| *value += factor * element);
        }
    }
}

impl Results for Gradients {
    fn count(&self) -> usize {
        self.gradients.len()
    }

    fn gradient(&self, index: usize) -> (VariableId, &[f32]) {
        let (id, _, gradient) = &self.gradients[index];
        (*id, gradient.as_slice())
    }

    fn store(&self, weights: &mut TrainedWeights<'_>) {
        self.store_if(weights, |_| true);
    }
}

impl Values {
    /// Of the weights that `steps` has gradients of.
    pub(super) fn of(network: &Network, steps: &Steps) -> Self {
        let value = |&(id, _): &(VariableId, usize)| (id, network.weights()[id].value().clone());
        Values(steps.gradients().iter().map(value).collect())
    }

    pub(super) fn require_of(&self, steps: &Steps) -> Result<()> {
        let ids = self.0.iter().map(|(id, _)| id);
        let same = ids.eq(steps.gradients().iter().map(|(id, _)| id));
        same.then_some(()).ok_or_else(|| others("values"))
    }

    pub(super) fn write(&self, weights: &mut TrainedWeights<'_>) {
        for (id, before) in &self.0 {
            let value = weights
                .values_mut(*id)
                .expect("a parameter with a gradient is trained");
            value.copy_from_slice(before.as_slice());
        }
    }
}

fn others(at: &str) -> Error {
    let expected = "those of the weights that this step trains";
    let detail = Detail::new(at, expected, "those of others");
    Error::Model(detail.help("take them from `gradients` or `shift` of this step"))
}
