//! What is published of torchvision's and timm's networks, as tables that `fixtures/golden_torchvision.py` has
//! written from what these packages say.

use super::library::Library;
use crate::applications::Preprocessing;
use crate::applications::weights::{Hash, WeightsFile};

/// The files; their columns are described in the script.
static FILES: &str = include_str!("weights.txt");

/// What networks are told by: library, name, a hash of the names and shapes of all tensors but the classifier's.
static NETWORKS: &str = include_str!("networks.txt");

/// Weights that somebody publishes, and what they expect of pictures.
#[derive(Clone, Debug)]
pub(super) struct Published {
    library: Library,
    pub tag: &'static str,
    file: &'static str,
    hash: &'static str,
    pub classes: usize,
    /// Rows and columns of the pictures.
    pub size: usize,
    /// The shorter side of a picture before its middle is taken.
    pub resized: usize,
    pub interpolation: &'static str,
    pub preprocessing: Preprocessing,
}

impl Published {
    pub fn file(&self) -> WeightsFile {
        match self.library {
            Library::Torchvision => WeightsFile {
                name: self.file.to_string(),
                url: format!("https://download.pytorch.org/models/{}", self.file),
                hash: Hash::beginning(self.hash),
                repository: None,
            },
            Library::Timm => WeightsFile {
                name: format!("{}.safetensors", self.file.trim_start_matches("timm/")),
                url: format!(
                    "https://huggingface.co/{}/resolve/main/model.safetensors",
                    self.file
                ),
                hash: None,
                repository: Some(self.file.to_string()),
            },
        }
    }
}

/// What is published of a network, the library's default first.
pub(super) fn published(library: Library, network: &str) -> impl Iterator<Item = Published> {
    FILES.lines().filter_map(move |line| {
        let columns: Vec<&'static str> = line.split('\t').collect();
        let [
            of,
            name,
            tag,
            file,
            hash,
            classes,
            size,
            resized,
            interpolation,
            mean,
            deviation,
        ] = columns[..]
        else {
            panic!("a line of the table has eleven columns, not {line:?}");
        };
        let number = |text: &str| text.parse().expect("the table has numbers");
        (of == library.to_string() && name == network).then(|| Published {
            library,
            tag,
            file,
            hash,
            classes: number(classes),
            size: number(size),
            resized: number(resized),
            interpolation,
            preprocessing: preprocessing(mean, deviation),
        })
    })
}

/// What is done to colours that are given as mean and deviation of pixels from 0 to 1.
fn preprocessing(mean: &str, deviation: &str) -> Preprocessing {
    match [mean, deviation] {
        ["0.485,0.456,0.406", "0.229,0.224,0.225"] => Preprocessing::Torch,
        ["0.5,0.5,0.5", "0.5,0.5,0.5"] => Preprocessing::Tf,
        ["0,0,0", "1,1,1"] => Preprocessing::Scaled {
            scale: 1.0 / 255.0,
            offset: 0.0,
        },
        other => panic!("the table has colours that are not known: {other:?}"),
    }
}

/// The networks whose tensors have this hash.
pub(super) fn networks_of(hash: &str) -> Vec<(Library, &'static str)> {
    rows()
        .filter(|row| row.2 == hash)
        .map(|row| (row.0, row.1))
        .collect()
}

/// Library, name and hash of each network.
pub(super) fn rows() -> impl Iterator<Item = (Library, &'static str, &'static str)> {
    NETWORKS.lines().map(|line| {
        let columns: Vec<&'static str> = line.split('\t').collect();
        let library = match columns[0] {
            "torchvision" => Library::Torchvision,
            _ => Library::Timm,
        };
        (library, columns[1], columns[2])
    })
}
