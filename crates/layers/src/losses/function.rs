//! A loss as a model is trained with it: given by name or as a value, shared, and reduced to one
//! number.

use std::sync::Arc;

use regraft_autograd::{Dim, Error, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::{Loss, Reduction};
use crate::contract::handle::name_and_config;
use crate::settings::{FromSettings, Settings};
use crate::snake_case;

/// A loss: given by name (`"mse"`) or as a value (`Huber { delta: 0.5 }`).
///
/// ```
/// use regraft_layers::losses::{self, Huber};
/// use regraft_layers::{LossFunction, Reduction};
///
/// let by_name: LossFunction = "sparse_categorical_crossentropy".into();
/// let by_value: LossFunction = Huber { delta: 0.5 }.into();
/// let summed = LossFunction::from("mse").reduction(Reduction::Sum);
/// assert_eq!(summed.serialize()["config"]["reduction"], "sum");
///
/// let error = LossFunction::from("mean_squred_error").get().unwrap_err();
/// assert!(error.to_string().contains("\"mean_squared_error\""));
/// ```
#[derive(Clone, Debug)]
pub struct LossFunction {
    loss: Result<Arc<dyn Loss>, Detail>,
    reduction: Reduction,
    name: Option<String>,
}

impl LossFunction {
    /// Shares `loss`. A setting that has no meaning is reported by [`get`](Self::get).
    pub fn new(loss: impl Loss) -> Self {
        LossFunction {
            loss: loss.check().map(|()| Arc::new(loss) as _),
            reduction: Reduction::default(),
            name: None,
        }
    }

    /// How one number is made of the losses of a batch's samples: their mean, unless told
    /// otherwise.
    #[must_use]
    pub fn reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }

    /// Gives it a name instead of its class's.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Its name: `mean_squared_error`, unless told otherwise.
    pub fn name(&self) -> String {
        let class_name = || self.loss.as_ref().map(|loss| snake_case(loss.class_name()));
        let name = self.name.clone().map_or_else(class_name, Ok);
        name.unwrap_or_else(|_| "loss".to_string())
    }

    /// The loss, or what was wrong with its name or settings.
    ///
    /// # Errors
    /// The name that is not known, or the setting that has no meaning.
    pub fn get(&self) -> Result<&dyn Loss, Detail> {
        self.loss.as_deref().map_err(Clone::clone)
    }

    /// The loss of a batch, a number: the losses of its samples, each times its weight, reduced.
    ///
    /// `weights` are one per sample, or one per position of each sample: they have the shape of the
    /// losses, or its first axes. Whatever is wrong the graph is told.
    pub fn apply<'g>(
        &self,
        targets: Var<'g>,
        predictions: Var<'g>,
        weights: Option<Var<'g>>,
    ) -> Var<'g> {
        self.apply_masked(targets, predictions, weights, None)
    }

    /// As [`apply`](Self::apply), with the mask of the predictions: losses where it is 0 do not count,
    /// neither in a sum nor in what it is divided by. It has the shape of the losses.
    pub fn apply_masked<'g>(
        &self,
        targets: Var<'g>,
        predictions: Var<'g>,
        weights: Option<Var<'g>>,
        mask: Option<Var<'g>>,
    ) -> Var<'g> {
        let graph = predictions.graph();
        let loss = match self.get() {
            Ok(loss) => loss,
            Err(detail) => {
                graph.fail(Error::Shape(detail));
                return graph.number(0.0);
            }
        };
        let values = loss.call(targets, predictions);
        let (values, given) = match mask {
            Some(mask) => fit(loss.class_name(), mask, values),
            None => (values, None),
        };
        let weights = weights.map(|weights| align(loss.class_name(), weights, values));
        let own = loss.mask(targets, values);
        let mask = match (given, own) {
            (Some(given), Some(own)) => Some(given * own),
            (given, own) => given.or(own),
        };
        let (mut weighted, mut total) = (values, weights);
        if let Some(weights) = weights {
            weighted = weighted * weights;
        }
        if let Some(mask) = mask {
            weighted = weighted * mask;
            total = Some(total.map_or(mask, |total| total * mask));
        }
        let divisor = match self.reduction {
            Reduction::Sum => return weighted.sum_all(),
            Reduction::SumOverBatchSize => mask,
            Reduction::MeanWithSampleWeight => total,
        };
        match divisor {
            Some(divisor) => ratio(weighted.sum_all(), divisor.sum_all()),
            None => weighted.mean_all(),
        }
    }

    /// Whether the loss of a batch is the mean of what its samples have each by themselves, so that the mean
    /// over any batches is the same. It is not where losses are summed up, where what counts is not the same
    /// in all batches (weights, a mask, an ignored class), and where there is one number for the batch. Of a
    /// loss that is not Keras' nothing is known, and it is taken for none.
    pub fn is_mean_of_samples(&self, targets: Var<'_>, predictions: Var<'_>) -> bool {
        let Ok(loss) = self.get() else {
            return false;
        };
        let is_plain = self.reduction == Reduction::SumOverBatchSize
            && loss.class().module.starts_with("keras");
        if !is_plain {
            return false;
        }
        // What is written here into the graph nobody asks for.
        let values = loss.call(targets, predictions);
        values.shape().dims().first() == Some(&Dim::Batch) && loss.mask(targets, values).is_none()
    }

    /// As Keras serializes it: the class name, and the settings with the name and the reduction.
    pub fn serialize(&self) -> Value {
        let Ok(loss) = &self.loss else {
            return Value::Null;
        };
        let mut config = Map::new();
        config.insert("name".into(), self.name().into());
        config.insert("reduction".into(), self.reduction.name().into());
        config.extend(loss.config());
        let class = loss.class();
        json!({
            "module": class.module,
            "class_name": class.name,
            "config": config,
            "registered_name": class.registered_name(),
        })
    }

    /// From what [`serialize`](Self::serialize) gives: a name, or a class with settings.
    ///
    /// # Errors
    /// A name that is not known, or settings that have no meaning.
    pub fn deserialize(value: &Value) -> Result<Self, Detail> {
        let (name, config) = name_and_config("loss", value)?;
        super::from_config(name, config.unwrap_or(&Map::new()))
    }

    /// What the table of names is made of.
    pub(super) fn make<L: Loss + FromSettings>(settings: &Settings<'_>) -> Result<Self, Detail> {
        Self::make_by(L::from_settings, settings)
    }

    /// What `make` makes of the settings, and what Keras keeps of all losses: the name and the reduction.
    pub(crate) fn make_by<L: Loss>(
        make: impl FnOnce(&Settings<'_>) -> Result<L, Detail>,
        settings: &Settings<'_>,
    ) -> Result<Self, Detail> {
        // Keras 2 repeats the name of the loss' function.
        settings.ignore(&["name", "reduction", "dtype", "fn"]);
        let loss = make(settings)?;
        loss.check()?;
        Ok(LossFunction {
            loss: Ok(Arc::new(loss)),
            reduction: settings.or("reduction", Reduction::default())?,
            name: settings.get("name")?,
        })
    }
}

impl<L: Loss> From<L> for LossFunction {
    fn from(loss: L) -> Self {
        LossFunction::new(loss)
    }
}

impl From<&str> for LossFunction {
    /// By Keras' name; an unknown one is reported when the loss is used.
    fn from(name: &str) -> Self {
        super::from_config(name, &Map::new()).unwrap_or_else(|detail| LossFunction {
            loss: Err(detail),
            reduction: Reduction::default(),
            name: None,
        })
    }
}

/// The weights with axes of size 1 added at the end, so that they go with `values`.
fn align<'g>(class_name: &str, weights: Var<'g>, values: Var<'g>) -> Var<'g> {
    let (given, shape) = (weights.shape(), values.shape());
    let rest = given.rank()..shape.rank();
    if given.rank() == 0 || !shape.dims().starts_with(given.dims()) {
        let detail = Detail::new(class_name, format!("weights for losses {shape}"), given)
            .help("a loss of the batch as a whole, or along its axis, has no weights per sample");
        weights.graph().fail(Error::Shape(detail));
        return weights;
    }
    let dims = given.dims().iter().copied();
    weights.reshape(dims.chain(rest.map(|_| Dim::Fixed(1))).collect::<Shape>())
}

/// The losses and the mask of the predictions in one shape: a loss of the batch as a whole is that of
/// every step, and axes of size 1 at the end of either are left out.
fn fit<'g>(class_name: &str, mask: Var<'g>, values: Var<'g>) -> (Var<'g>, Option<Var<'g>>) {
    let (given, shape) = (mask.shape(), values.shape());
    let is_one_longer = |long: &Shape, short: &Shape| {
        long.dims().strip_suffix(&[Dim::Fixed(1)]) == Some(short.dims())
    };
    match () {
        () if given == shape => (values, Some(mask)),
        () if shape.rank() == 0 => (values.broadcast_to(given), Some(mask)),
        () if is_one_longer(&given, &shape) => (values, Some(mask.reshape(shape))),
        () if is_one_longer(&shape, &given) => (values, Some(mask.reshape(shape))),
        () => {
            let detail = Detail::new(class_name, format!("a mask for losses {shape}"), given)
                .help("the mask of the predictions says which of their steps count");
            mask.graph().fail(Error::Shape(detail));
            (values, None)
        }
    }
}

/// The ratio of two numbers; 0 where both are.
fn ratio<'g>(sum: Var<'g>, count: Var<'g>) -> Var<'g> {
    sum / count.equal(0.0).select(1.0, count)
}
