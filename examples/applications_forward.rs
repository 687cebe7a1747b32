//! The Rust side of `fixtures/applications_forward.py`, which describes the files: builds an
//! application natively, loads Keras' weights, predicts, and compares with what Keras predicted; then
//! opens Keras' own file and compares again. Small networks are saved, for Keras to open them.
//!
//! ```sh
//! cargo build --release --example applications_forward
//! python fixtures/applications_forward.py DIR target/release/examples/applications_forward
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};

use regraft::applications::{self, Backbone};
use regraft::ndarray::{Array4, ArrayD};
use regraft::{Model, Tensor};
use serde_json::Value;

/// How far predictions may differ, relative to the largest.
const TOLERANCE: f64 = 1e-4;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let directory = std::env::args().nth(1).map(PathBuf::from);
    let directory = directory.ok_or("usage: applications_forward DIR")?;
    let case = Case::read(&directory)?;
    let mut worst = 0.0_f64;
    for file in &case.files {
        let path = directory.join(file);
        worst = worst.max(case.compare("native", file, case.build(&path)));
        worst = worst.max(case.compare("opened", file, case.open(&path)));
    }
    case.save(&directory)?;
    match worst <= TOLERANCE {
        true => Ok(()),
        false => Err(format!("{} differs from Keras by {worst:.1e}", case.name).into()),
    }
}

/// One network at one size.
struct Case {
    name: String,
    input_shape: [usize; 3],
    files: Vec<String>,
    saves: bool,
    images: Array4<u8>,
    x: ArrayD<f32>,
    y: Tensor,
}

impl Case {
    fn read(directory: &Path) -> Result<Case> {
        let case: Value = serde_json::from_slice(&std::fs::read(directory.join("case.json"))?)?;
        let name = case["name"].as_str().ok_or("name")?.to_string();
        let input_shape: [usize; 3] = serde_json::from_value(case["input_shape"].clone())?;
        let shape: Vec<usize> = serde_json::from_value(case["shape"].clone())?;
        let [rows, columns, channels] = input_shape;
        let images = std::fs::read(directory.join("images.bin"))?;
        let batch = (2, rows, columns, channels);
        let x = floats(&directory.join("x.bin"))?;
        Ok(Case {
            name,
            input_shape,
            files: serde_json::from_value(case["files"].clone())?,
            saves: case["saves"] == true,
            images: Array4::from_shape_vec(batch, images)?,
            x: Array4::from_shape_vec(batch, x)?.into_dyn(),
            y: Tensor::new(shape, floats(&directory.join("y.bin"))?)?,
        })
    }

    /// The native network with the weights of the file.
    fn native(&self, path: &Path) -> Result<Backbone> {
        let application = applications::by_name(&self.name)?
            .input_shape(self.input_shape)
            .classifier_activation("linear")
            .weights(path);
        Ok(application.build()?)
    }

    /// The native network on images.
    fn build(&self, path: &Path) -> Result<Tensor> {
        Ok(self.native(path)?.predict(&self.images)?)
    }

    /// Writes the network as it was opened and as it was built.
    fn save(&self, directory: &Path) -> Result<()> {
        if self.saves {
            let path = directory.join("model.keras");
            Model::open(&path)?.0.save(directory.join("opened.keras"))?;
            let native = self.native(&path)?.model;
            native.save(directory.join("native.keras"))?;
        }
        Ok(())
    }

    /// The network that the file describes, on what Keras' preprocessing made of the images.
    fn open(&self, path: &Path) -> Result<Tensor> {
        let (model, _) = Model::open(path)?;
        Ok(model.predict(&self.x)?)
    }

    /// Prints and returns by how much predictions differ, relative to the largest.
    fn compare(&self, way: &str, file: &str, predicted: Result<Tensor>) -> f64 {
        let difference = match predicted {
            Ok(predicted) if predicted.shape() == self.y.shape() => {
                let pairs = predicted.as_slice().iter().zip(self.y.as_slice());
                let pairs = pairs.map(|(&a, &b)| (f64::from((a - b).abs()), f64::from(b.abs())));
                // A sum with NaN is no number, which `f64::max` would hide.
                let number = predicted.as_slice().iter().all(|value| value.is_finite());
                let (difference, largest) =
                    pairs.fold((0.0, 0.0), |all, one| (one.0.max(all.0), one.1.max(all.1)));
                if number {
                    difference / largest
                } else {
                    f64::INFINITY
                }
            }
            Ok(predicted) => {
                println!(
                    "  {way} {file}: {:?} not {:?}",
                    predicted.shape(),
                    self.y.shape()
                );
                f64::INFINITY
            }
            Err(error) => {
                println!("  {way} {file}: {error}");
                f64::INFINITY
            }
        };
        println!("  {} {way} {file}: {difference:.1e}", self.name);
        difference
    }
}

/// Numbers of 32 bits, as they lie in the file.
fn floats(path: &Path) -> Result<Vec<f32>> {
    let bytes = std::fs::read(path)?;
    let number = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
    Ok(bytes.chunks_exact(4).map(number).collect())
}
