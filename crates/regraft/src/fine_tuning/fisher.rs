//! How much each weight matters for what was learnt: the diagonal of the Fisher information, for elastic weight
//! consolidation.

use std::collections::HashMap;

use regraft_autograd::VariableId;
use regraft_data::Dataset;
use regraft_layers::WeightKind;
use regraft_tensor::Tensor;

use crate::fine_tuning::batch_gradients::batch_gradients;
use crate::{Error, Model, Result};

impl Model {
    /// The diagonal of the (empirical) Fisher information of each parameter, frozen or not: the mean over samples of the
    /// square of the gradient that the loss of this sample alone has, without regularizers, with all layers behaving as in
    /// inference. The model, which must be [compiled](Self::compile), stays as it is. It takes the time of an epoch of
    /// batches of one sample; a few hundred samples will do (`data.shuffle(0)?.take(300)`).
    ///
    /// With [`L2SP::importance`](crate::regularizers::L2SP::importance) it holds what mattered (elastic weight
    /// consolidation) while something else is learnt:
    ///
    /// ```
    /// use regraft::data::Arrays;
    /// use regraft::regularizers::L2SP;
    /// use regraft::prelude::*;
    ///
    /// let mut model = Sequential::new(layers![
    ///     Input::new([2]),
    ///     Dense::new(8).activation("tanh").named("base"),
    ///     Dense::new(2).activation("softmax").named("head"),
    /// ])?;
    /// model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])?;
    /// let x = Array2::from_shape_fn((40, 2), |(i, j)| ((i * 7 + j * 3) % 11) as f32 / 11.0 + (i % 2) as f32);
    /// let y: Vec<i32> = (0..40).map(|i| i % 2).collect();
    /// let first = Arrays::new(&x, &y)?;
    /// model.fit_dataset(&first, Fit::new().epochs(3).verbosity(Verbosity::Silent))?;
    ///
    /// let fisher = model.fisher_information(&first)?;
    /// let lambda = 100.0;
    /// let held = L2SP::towards(model.as_ref(), lambda / 2.0).importance(fisher)?;
    /// model.set_regularizer(.., held)?;
    /// // From here on `fit` learns another task, and forgets the first one less.
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`fit_dataset`](Self::fit_dataset), and a gradient that is no number.
    pub fn fisher_information(&self, data: &dyn Dataset) -> Result<Vec<(String, Tensor)>> {
        let mut model = self.clone();
        let ids: Vec<VariableId> = {
            let weights = model.network.weights().iter();
            let parameters = weights.filter(|weight| weight.kind() == WeightKind::Parameter);
            parameters.map(|weight| weight.id()).collect()
        };
        let none = ids.iter().map(|id| (*id, None)).collect();
        model.network.exchange_regularizers(none);
        let mut squares: HashMap<VariableId, Vec<f64>> = HashMap::new();
        let samples = batch_gradients(&mut model, data, 1, |id, gradient| {
            let sums = squares
                .entry(id)
                .or_insert_with(|| vec![0.0; gradient.len()]);
            let gradient = gradient.iter().map(|it| f64::from(*it));
            sums.iter_mut()
                .zip(gradient)
                .for_each(|(sum, it)| *sum += it * it);
        })?;
        let mean = |id: VariableId| {
            let weight = &model.network.weights()[id];
            let values = match squares.get(&id) {
                Some(sums) => sums
                    .iter()
                    .map(|sum| (sum / samples as f64) as f32)
                    .collect(),
                // No gradient reaches it.
                None => vec![0.0; weight.value().len()],
            };
            let means = Tensor::new(weight.value().shape(), values);
            let means = means.map_err(|error| Error::Data(error.into()))?;
            Ok((weight.path().to_string(), means))
        };
        ids.into_iter().map(mean).collect()
    }
}

#[cfg(test)]
mod tests {
    use regraft_layers::layers::{BatchNormalization, Dense, Input};
    use regraft_layers::regularizers::{L2, L2SP};
    use regraft_layers::{LayerExt, layers};

    use super::*;
    use crate::data::Arrays;
    use crate::optimizers::SGD;
    use crate::{Fit, Sequential, Verbosity};

    /// softmax(x W + b), whose gradients are (p − y) xᵀ and p − y.
    #[test]
    fn it_is_the_mean_of_squared_gradients_of_single_samples() {
        let mut model = Sequential::new(layers![
            Input::new([3]),
            Dense::new(2).activation("softmax").named("head"),
        ])
        .unwrap();
        model
            .set_regularizer("head/kernel", L2 { l2: 0.5 })
            .unwrap();
        model.freeze(..).unwrap();
        model
            .compile("adam", "sparse_categorical_crossentropy", ())
            .unwrap();
        let number = |at: usize| ((at * 7 + 3) % 11) as f32 / 5.0 - 1.0;
        let x = Tensor::new([5, 3], (0..15).map(number).collect()).unwrap();
        let y = [0, 1, 1, 0, 1];
        let data = Arrays::new(&x, &y).unwrap();
        let values = |model: &Model| -> Vec<Tensor> {
            let weights = model.weights().iter();
            weights.map(|weight| weight.value().clone()).collect()
        };
        let before = values(&model);
        let fisher = model.fisher_information(&data).unwrap();
        assert_eq!(values(&model), before);
        let p = model.predict(&x).unwrap();
        let mut kernel = [[0.0; 2]; 3];
        let mut bias = [0.0; 2];
        let samples = x.as_slice().chunks(3).zip(p.as_slice().chunks(2));
        for ((x, p), y) in samples.zip(y) {
            for class in 0..2 {
                let target = f64::from(y == class as i32);
                let d = f64::from(p[class]) - target;
                bias[class] += d * d / 5.0;
                for (kernel, x) in kernel.iter_mut().zip(x) {
                    kernel[class] += (d * f64::from(*x)).powi(2) / 5.0;
                }
            }
        }
        let expected = [
            ("head/kernel", kernel.as_flattened()),
            ("head/bias", &bias[..]),
        ];
        assert_eq!(fisher.len(), 2);
        for ((path, found), (name, expected)) in fisher.iter().zip(expected) {
            assert_eq!(path, name);
            for (found, expected) in found.as_slice().iter().zip(expected) {
                assert!((f64::from(*found) - expected).abs() < 1e-6 * (1.0 + expected));
            }
        }
    }

    #[test]
    fn what_mattered_is_held_and_the_rest_is_free() {
        let mut model =
            Sequential::new(layers![Input::new([2]), Dense::new(1).named("head"),]).unwrap();
        model.compile(SGD::new(0.05), "mse", ()).unwrap();
        // The first task has nothing in the second feature.
        let first = Tensor::new([4, 2], vec![1.0, 0.0, -1.0, 0.0, 2.0, 0.0, 0.5, 0.0]).unwrap();
        let answers = |x: &Tensor, a: f32, b: f32| -> Vec<f32> {
            x.as_slice()
                .chunks(2)
                .map(|x| a * x[0] + b * x[1])
                .collect()
        };
        let fit = || Fit::new().epochs(200).verbosity(Verbosity::Silent);
        let y = Tensor::new([4, 1], answers(&first, 1.0, 0.0)).unwrap();
        model.fit(&first, &y, fit()).unwrap();
        // Around the solution the gradients vanish: the loss of other answers is asked.
        let other = Tensor::new([4, 1], answers(&first, 0.0, 0.0)).unwrap();
        let fisher = model
            .fisher_information(&Arrays::new(&first, &other).unwrap())
            .unwrap();
        let start = L2SP::towards(&model.network, 50.0);
        model
            .set_regularizer(.., start.importance(fisher).unwrap())
            .unwrap();
        model.compile(SGD::new(1e-3), "mse", ()).unwrap();
        let second = Tensor::new([4, 2], vec![1.0, 1.0, -1.0, 1.0, 1.0, -1.0, -1.0, -1.0]).unwrap();
        let y = Tensor::new([4, 1], answers(&second, -1.0, 3.0)).unwrap();
        model.fit(&second, &y, fit().epochs(4000)).unwrap();
        let kernel = model
            .weight("head/kernel")
            .unwrap()
            .value()
            .as_slice()
            .to_vec();
        assert!((kernel[0] - 1.0).abs() < 0.05, "{kernel:?}");
        assert!((kernel[1] - 3.0).abs() < 0.05, "{kernel:?}");
    }

    #[test]
    fn importance_of_other_weights_is_refused() {
        let model = Sequential::new(layers![
            Input::new([2]),
            BatchNormalization::new().named("norm"),
            Dense::new(1).named("head"),
        ])
        .unwrap();
        let start = || L2SP::towards(&model.network, 1.0);
        let with = |path: &str, shape: &[usize], value: f32| {
            let of = Tensor::full(shape, value);
            start().importance([(path.to_string(), of)])
        };
        assert!(with("head/kernel", &[2, 1], 0.5).is_ok());
        for (path, shape, value) in [
            ("tail/kernel", &[2, 1][..], 0.5),
            ("norm/moving_mean", &[2], 0.5),
            ("head/kernel", &[1, 2], 0.5),
            ("head/kernel", &[2, 1], -0.5),
            ("head/kernel", &[2, 1], f32::NAN),
        ] {
            assert!(
                with(path, shape, value).is_err(),
                "{path} {shape:?} {value}"
            );
        }
        // Of a weight whose importance was not told nothing is made.
        let of = with("head/kernel", &[2, 1], 0.5).unwrap();
        assert!(of.of("head/kernel").is_ok() && of.of("head/bias").is_err());
    }
}
