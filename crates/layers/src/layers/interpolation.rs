//! How images get other sizes.

use regraft_autograd::Var;
use regraft_tensor::Detail;
use regraft_tensor::kernels::resize::{ResizeMethod, SamplingKernel};

use crate::settings::by_name;

/// How values between pixels are found: given by Keras' name (`"bilinear"`) or as a value. Pixels are
/// squares with their values in the middle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interpolation {
    /// That of the nearest pixel.
    Nearest,
    /// On lines between the two nearest pixels of each axis.
    #[default]
    Bilinear,
    /// On cubics through the four nearest pixels of each axis (Keys, a = −1/2).
    Bicubic,
    /// The mean over what the new pixel covers (Keras 2 only).
    Area,
    /// A sinc over the six nearest pixels of each axis.
    Lanczos3,
    /// A sinc over the ten nearest pixels of each axis.
    Lanczos5,
    /// A bell over the nearest pixels of each axis (Keras 2 only).
    Gaussian,
    /// Mitchell and Netravali's cubics through the four nearest pixels of each axis (Keras 2 only).
    MitchellCubic,
    /// A name that means none of these, which is reported when the model is built.
    Unknown(String),
}

/// Keras' names.
const NAMES: [(Interpolation, &str); 8] = [
    (Interpolation::Nearest, "nearest"),
    (Interpolation::Bilinear, "bilinear"),
    (Interpolation::Bicubic, "bicubic"),
    (Interpolation::Area, "area"),
    (Interpolation::Lanczos3, "lanczos3"),
    (Interpolation::Lanczos5, "lanczos5"),
    (Interpolation::Gaussian, "gaussian"),
    (Interpolation::MitchellCubic, "mitchellcubic"),
];

by_name!(Interpolation: "a text");

impl From<&str> for Interpolation {
    /// By Keras' name; an unknown one is reported when the model is built.
    fn from(name: &str) -> Self {
        let lower = name.to_ascii_lowercase();
        let known = NAMES.iter().find(|(_, known)| *known == lower);
        known.map_or_else(
            || Interpolation::Unknown(name.to_string()),
            |(interpolation, _)| interpolation.clone(),
        )
    }
}

impl Interpolation {
    /// Keras' name.
    pub fn name(&self) -> &str {
        match self {
            Interpolation::Unknown(name) => name,
            known => NAMES
                .iter()
                .find(|(interpolation, _)| interpolation == known)
                .map_or("", |(_, name)| name),
        }
    }

    /// With `antialias`, what becomes smaller is smoothed first; nearest pixels and means stay what
    /// they are, as in TensorFlow.
    fn method(&self, antialias: bool) -> Option<ResizeMethod> {
        let sampled = |kernel| Some(ResizeMethod::Sampled { kernel, antialias });
        match self {
            Interpolation::Nearest => Some(ResizeMethod::Nearest),
            Interpolation::Area => Some(ResizeMethod::Area),
            Interpolation::Bilinear if antialias => sampled(SamplingKernel::Triangle),
            Interpolation::Bilinear => Some(ResizeMethod::Bilinear),
            Interpolation::Bicubic if antialias => sampled(SamplingKernel::KeysCubic),
            Interpolation::Bicubic => Some(ResizeMethod::Bicubic),
            Interpolation::Lanczos3 => sampled(SamplingKernel::Lanczos3),
            Interpolation::Lanczos5 => sampled(SamplingKernel::Lanczos5),
            Interpolation::Gaussian => sampled(SamplingKernel::Gaussian),
            Interpolation::MitchellCubic => sampled(SamplingKernel::MitchellCubic),
            Interpolation::Unknown(_) => None,
        }
    }

    /// An error for a name that is not known.
    pub(crate) fn check(&self) -> Result<(), Detail> {
        match self {
            Interpolation::Unknown(name) => {
                let names = NAMES.map(|(_, name)| name);
                let expected = format!("one of {names:?}");
                Err(Detail::new("interpolation", expected, format!("{name:?}")))
            }
            _ => Ok(()),
        }
    }

    /// Images `(batch, rows, columns, channels)` with this many rows and columns.
    pub(crate) fn resize<'g>(&self, x: Var<'g>, size: [usize; 2], antialias: bool) -> Var<'g> {
        match self.method(antialias) {
            Some(method) => x.resize(&size, method),
            None => x,
        }
    }
}

#[cfg(test)]
mod tests {
    use regraft_autograd::{Feed, Graph, Program, Run, Shape};

    use super::*;
    use crate::contract::weight::WeightStore;
    use crate::golden::{self, assert_close, name, tensor};

    #[test]
    fn every_method_is_tensorflow_s() {
        for case in golden::cases("resizing") {
            let (config, x) = (&case["config"], tensor(&case["inputs"]["x"]));
            let graph = Graph::new();
            let input = graph.input("x", Shape::batch_of(&x.shape()[1..]), Default::default());
            let size = [0, 1].map(|axis| config["size"][axis].as_u64().unwrap() as usize);
            let method = Interpolation::from(config["method"].as_str().unwrap());
            let antialias = config["antialias"] == true;
            let y = method.resize(input, size, antialias);
            let mut program = Program::compile(&graph, &[y]).unwrap().workspace();
            let feeds = [Feed::from(&x)];
            let store = WeightStore::default();
            program.run(1, &feeds, &store, Run::default()).unwrap();
            let expected = tensor(&case["outputs"]["y"]);
            assert_eq!(program.output_shape(0), expected.shape());
            assert_close(
                name(&case),
                program.output(0),
                expected.as_slice(),
                1e-5,
                1.0,
            );
        }
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        let error = Interpolation::from("cubic").check().unwrap_err();
        assert!(error.to_string().contains("bicubic"), "{error}");
    }
}
