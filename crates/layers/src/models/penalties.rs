//! Regularizers and constraints of a model that is there already, opened from a file say.

use regraft_autograd::VariableId;

use crate::regularizers::L2SP;
use crate::{
    Constraint, Error, IntoSelector, Model, Regularizer, RegularizerFunction, Result, Selector,
    WeightKind, WeightSpec,
};

/// What can be set as the regularizer of several weights: one for all of them, or one that is made for
/// each ([`L2SP`]).
#[derive(Clone, Debug)]
pub enum WeightRegularizer {
    /// The same for all.
    Same(Regularizer),
    /// Towards where each was.
    Towards(L2SP),
}

impl<R: RegularizerFunction> From<R> for WeightRegularizer {
    fn from(regularizer: R) -> Self {
        WeightRegularizer::Same(Regularizer::new(regularizer))
    }
}

impl From<&str> for WeightRegularizer {
    /// By Keras' name: `"l2"`.
    fn from(name: &str) -> Self {
        WeightRegularizer::Same(name.into())
    }
}

impl From<L2SP> for WeightRegularizer {
    fn from(regularizer: L2SP) -> Self {
        WeightRegularizer::Towards(regularizer)
    }
}

impl Model {
    /// Gives the picked parameters a regularizer in the place of the one they had:
    /// `model.set_regularizer("**/kernel", L2 { l2: 1e-4 })`. Of a layer that is picked as a whole these are
    /// all its parameters. While a parameter is frozen its regularizer rests.
    ///
    /// It is saved as the layer's setting (`kernel_regularizer`) where Keras has one.
    ///
    /// # Errors
    /// [`Error::NoMatch`] if `selector` picks no parameter, [`Error::Setting`] for a regularizer that has no meaning. The model is unchanged then.
    pub fn set_regularizer(
        &mut self,
        selector: impl IntoSelector,
        regularizer: impl Into<WeightRegularizer>,
    ) -> Result<()> {
        let regularizer = regularizer.into();
        let made = |path: &str| {
            let made = match &regularizer {
                WeightRegularizer::Same(regularizer) => Ok(regularizer.clone()),
                WeightRegularizer::Towards(start) => start.of(path),
            };
            made.and_then(|regularizer| regularizer.get().map(|_| regularizer.clone()))
        };
        let chosen = self.parameters(&selector.into_selector())?;
        let made = |(id, name): (VariableId, String)| {
            let regularizer = made(self.store[id].path()).map_err(Error::Setting)?;
            Ok((id, name, regularizer))
        };
        let made: Result<Vec<_>> = chosen.into_iter().map(made).collect();
        for (id, name, regularizer) in made? {
            let saved = match regularizer.get() {
                Ok(known) if !known.class().module.is_empty() => regularizer.serialize(),
                _ => serde_json::Value::Null,
            };
            self.change_setting(id, format!("{name}_regularizer"), saved);
            self.spec_mut(id).regularizer = Some(regularizer);
        }
        self.revision.renew();
        Ok(())
    }

    /// Gives these weights other regularizers and returns those that they had, for the time of a training: the
    /// settings that files say stay what they were.
    pub fn exchange_regularizers(
        &mut self,
        regularizers: Vec<(VariableId, Option<Regularizer>)>,
    ) -> Vec<(VariableId, Option<Regularizer>)> {
        let mut before = Vec::new();
        for (id, regularizer) in regularizers {
            if let Some(weight) = self.store.get_mut(id) {
                before.push((
                    id,
                    std::mem::replace(&mut weight.spec.regularizer, regularizer),
                ));
            }
        }
        self.revision.renew();
        before
    }

    /// Gives the picked parameters a constraint in the place of the one they had:
    /// `model.set_constraint("**/kernel", MaxNorm::default())`; otherwise as
    /// [`set_regularizer`](Self::set_regularizer).
    ///
    /// # Errors
    /// As [`set_regularizer`](Self::set_regularizer).
    pub fn set_constraint(
        &mut self,
        selector: impl IntoSelector,
        constraint: impl Into<Constraint>,
    ) -> Result<()> {
        let constraint = constraint.into();
        constraint.get().map_err(Error::Setting)?;
        for (id, name) in self.parameters(&selector.into_selector())? {
            let key = format!("{name}_constraint");
            self.change_setting(id, key, constraint.serialize());
            self.spec_mut(id).constraint = Some(constraint.clone());
        }
        self.revision.renew();
        Ok(())
    }

    /// The ids and names of the parameters that `selector` picks.
    fn parameters(&self, selector: &Selector) -> Result<Vec<(VariableId, String)>> {
        let picked = self.picked_weights(selector)?.into_iter();
        let parameters = picked.filter(|weight| weight.kind() == WeightKind::Parameter);
        let chosen: Vec<_> = parameters
            .map(|weight| (weight.id(), weight.name().to_string()))
            .collect();
        match chosen.is_empty() {
            false => Ok(chosen),
            true => Err(self.no_match(selector, "at least one parameter")),
        }
    }

    fn spec_mut(&mut self, id: VariableId) -> &mut WeightSpec {
        let weight = self.store.get_mut(id);
        &mut weight.expect("the weight is one of this model's").spec
    }

    /// Notes a setting of the layer of a weight that was changed after the layer was made.
    fn change_setting(&mut self, weight: VariableId, key: String, value: serde_json::Value) {
        self.topology.visit_mut("", &mut |_, entry| {
            if entry.weights.contains(&weight) {
                entry.changed_settings.insert(key.clone(), value.clone());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use regraft_autograd::{Feed, Graph, Program, Run};
    use regraft_tensor::Tensor;

    use super::*;
    use crate::constraints::MaxNorm;
    use crate::regularizers::L2;
    use crate::{Dense, Freezing, Input, Mode, Registry, Sequential, layers};

    fn model() -> Model {
        let layers = layers![Input::new([2]), Dense::new(2), Dense::new(1)];
        Sequential::with_seed(layers, 3).unwrap()
    }

    /// The sum of the penalties.
    fn penalty(model: &Model) -> f32 {
        let graph = Graph::new();
        let x = graph.samples("x", &[2]);
        let (_, emission) = model.emit(&graph, &[x], Mode::Training).unwrap();
        let zero = graph.number(0.0);
        let sum = emission.penalties.iter().fold(zero, |sum, p| sum + *p);
        let mut program = Program::compile(&graph, &[sum]).unwrap().workspace();
        let feeds: &[Feed<'_>] = &[Feed::F32(&[0.0, 0.0])];
        program
            .run(1, feeds, model.weights(), Run::default())
            .unwrap();
        program.output(0)[0]
    }

    #[test]
    fn a_regularizer_can_be_set_on_a_model_that_is_there() {
        let mut model = model();
        assert_eq!(penalty(&model), 0.0);
        let kernel = Tensor::new([2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        model.set_weight("dense/kernel", kernel).unwrap();
        model
            .set_regularizer("dense/kernel", L2 { l2: 0.5 })
            .unwrap();
        assert_eq!(penalty(&model), 15.0);
        // It rests while the layer is frozen.
        model.set_freezing("dense", Freezing::Frozen).unwrap();
        assert_eq!(penalty(&model), 0.0);
        model.set_freezing("dense", Freezing::Trainable).unwrap();
        // And is saved as the layer's setting.
        let again = Model::from_config(&model.to_config(), &Registry::new()).unwrap();
        let config = again.get_layer("dense").unwrap().config();
        assert_eq!(config["kernel_regularizer"]["config"]["l2"], 0.5);
    }

    #[test]
    fn l2_sp_pulls_towards_the_start() {
        let mut model = model();
        let start = L2SP::towards(&model, 2.0);
        model.set_regularizer(.., start).unwrap();
        assert_eq!(penalty(&model), 0.0);
        let moved = model.weight("dense_1/bias").unwrap().value().as_slice()[0] + 3.0;
        let moved = Tensor::new([1], vec![moved]).unwrap();
        model.set_weight("dense_1/bias", moved).unwrap();
        assert_eq!(penalty(&model), 18.0);
        let config = model.to_config();
        let layer = &config["config"]["layers"][1]["config"];
        assert!(layer["kernel_regularizer"].is_null(), "{layer}");
        // Another model has other weights.
        let other = L2SP::towards(&super::tests::model(), 1.0);
        let mut named = Sequential::new(layers![Input::new([2]), Dense::new(2)]).unwrap();
        assert!(named.set_regularizer("dense/kernel", other).is_ok());
        let layers = layers![
            Input::new([2]),
            crate::LayerExt::named(Dense::new(2), "own")
        ];
        let mut named = Sequential::new(layers).unwrap();
        let other = L2SP::towards(&model, 1.0);
        assert!(named.set_regularizer("own/kernel", other).is_err());
    }

    #[test]
    fn what_picks_nothing_is_an_error_that_lists_what_is_there() {
        let mut model = model();
        let error = model.set_constraint("dense/kernels", MaxNorm::default());
        let error = error.unwrap_err().to_string();
        assert!(error.contains("\"dense/kernel\""), "{error}");
        model
            .set_constraint("dense/kernel", MaxNorm::default())
            .unwrap();
        let constraint = &model.weight("dense/kernel").unwrap().spec().constraint;
        assert!(constraint.is_some());
    }
}
