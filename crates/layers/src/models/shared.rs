//! Layers that stand in several places of a model, as in a nested model and again outside: they are one
//! layer, with one set of weights and one freezing state.

use std::collections::HashMap;

use regraft_autograd::VariableId;
use regraft_tensor::Detail;

use crate::adapters::attached::Attached;
use crate::contract::freezing::Alone;
use crate::models::topology::Entry;
use crate::{Error, Freezing, Model, Result};

/// What is compared and taken over of a layer: the path from the shared one, the class, and what it has.
struct Part {
    path: String,
    class_name: String,
    weights: Vec<VariableId>,
    freezing: (Freezing, Alone, Vec<Attached>),
}

impl Model {
    /// Makes one layer of those at `paths`, which must be alike: all have the weights and the state of the
    /// first in the model's order from now on, whichever is trained, frozen or loaded. Of nested models
    /// every layer is shared with its counterpart.
    ///
    /// (Within one model, [`Functional::apply_again`](crate::Functional::apply_again) applies a layer twice.)
    ///
    /// ```
    /// use regraft_layers::{Dense, Functional, Input, LayerExt, Sequential, layers};
    ///
    /// let sub = Sequential::new(layers![Input::new([4]), Dense::new(4).named("twin")])?;
    /// let mut f = Functional::new();
    /// let x = f.input([4]);
    /// let y = f.chain(layers![sub.named("sub"), Dense::new(4).named("twin")], x)?;
    /// let mut model = f.model(&[x], &[y])?;
    /// model.share_layers(&["sub/twin", "twin"])?;
    /// assert_eq!(model.count_parameters().total(), 20);
    /// model.freeze("twin")?;
    /// assert_eq!(model.count_parameters().frozen, 20);
    /// # Ok::<(), regraft_layers::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Name`] for a path that is not there, [`Error::Model`] for layers of another class, or with
    /// other weights, and while adapters are merged; the model is unchanged then.
    pub fn share_layers<S: AsRef<str>>(&mut self, paths: &[S]) -> Result<()> {
        self.require_unmerged("share layers")?;
        let mut shared: Vec<(usize, Vec<Part>)> = Vec::with_capacity(paths.len());
        for path in paths {
            let path = self.get_layer(path.as_ref())?.path().to_string();
            let mut parts = Vec::new();
            let (mut place, mut count) = (0, 0);
            self.topology.visit("", &mut |at, entry| {
                let inner = at.strip_prefix(&path);
                if let Some(inner) = inner.filter(|i| i.is_empty() || i.starts_with('/')) {
                    if inner.is_empty() {
                        place = count;
                    }
                    parts.push(Part {
                        path: inner.to_string(),
                        class_name: entry.class_name().to_string(),
                        weights: entry.weights.clone(),
                        freezing: (entry.freezing, entry.alone.clone(), entry.adapters.clone()),
                    });
                }
                count += 1;
            });
            shared.push((place, parts));
        }
        shared.sort_by_key(|(place, _)| *place);
        let mut changes: HashMap<VariableId, VariableId> = HashMap::new();
        let mut states: HashMap<VariableId, &(Freezing, Alone, Vec<Attached>)> = HashMap::new();
        let mut shared = shared.iter().map(|(_, parts)| parts);
        let first = shared.next().map_or(&[][..], Vec::as_slice);
        for other in shared {
            let alike = first.len() == other.len()
                && first.iter().zip(other).all(|(a, b)| self.are_alike(a, b));
            if !alike {
                let expected = "layers of one class with the same weights";
                let received = paths.iter().map(|path| path.as_ref()).collect::<Vec<_>>();
                let detail = Detail::new(self.name(), expected, received.join(", "));
                return Err(Error::Model(detail));
            }
            for (a, b) in first.iter().zip(other) {
                changes.extend(b.weights.iter().copied().zip(a.weights.iter().copied()));
                states.extend(a.weights.iter().map(|&id| (id, &a.freezing)));
            }
        }
        self.topology.visit_mut("", &mut |_, entry| {
            for id in &mut entry.weights {
                *id = changes.get(id).copied().unwrap_or(*id);
            }
            if let Some(&state) = entry.weights.first().and_then(|id| states.get(id)) {
                (entry.freezing, entry.alone, entry.adapters) = state.clone();
            }
        });
        self.compact();
        Ok(())
    }

    /// Layers that are one although they stand in several places, by their paths.
    pub fn shared_layers(&self) -> Vec<Vec<String>> {
        let mut groups: Vec<Vec<String>> = Vec::new();
        let mut known: HashMap<VariableId, usize> = HashMap::new();
        self.topology.visit("", &mut |path, entry| {
            if let Some(&id) = entry.weights.first() {
                let group = *known.entry(id).or_insert_with(|| {
                    groups.push(Vec::new());
                    groups.len() - 1
                });
                groups[group].push(path);
            }
        });
        groups.retain(|group| group.len() > 1);
        groups
    }

    fn are_alike(&self, a: &Part, b: &Part) -> bool {
        let shape = |id: &VariableId| self.store[*id].value().shape().to_vec();
        let name = |id: &VariableId| self.store[*id].name().to_string();
        // Automatic names of inputs differ, and say nothing.
        let is_input = a.class_name == "InputLayer";
        a.class_name == b.class_name
            && (a.path == b.path || is_input)
            && a.weights.iter().map(shape).eq(b.weights.iter().map(shape))
            && a.weights.iter().map(name).eq(b.weights.iter().map(name))
    }
}

/// Tells entries whose weights have been met before, in the order of a walk.
#[derive(Default)]
pub(crate) struct Met(std::collections::HashSet<VariableId>);

impl Met {
    /// Whether these are the weights of a layer that was met before.
    pub fn again(&mut self, entry: &Entry) -> bool {
        let mut again = !entry.weights.is_empty();
        for id in &entry.weights {
            again &= !self.0.insert(*id);
        }
        again
    }
}
