//! The networks of [`torchvision`](super::torchvision) and [`timm`](super::timm): PyTorch's conventions, families,
//! what is published of them, and how their state dicts are loaded and told apart.
//!
//! A family is a file of its own: its `impl` of `Body` writes the layers with `Torch`, under the names that the
//! modules have in a state dict. `fixtures/golden_torchvision.py` writes the tables and what the networks compute.

mod convnext;
mod densenet;
mod efficientnet;
mod evaluation;
mod features;
mod ghostnet;
mod inception_v3;
mod library;
pub(super) mod loading;
mod mobile;
mod mobilenet;
mod network;
mod published;
pub(super) mod recognition;
mod regnet;
mod resnet;
mod shufflenet_v2;
mod squeezenet;
pub mod timm;
pub mod torchvision;
mod vgg;
mod writer;

pub use evaluation::Evaluation;
pub use features::FeatureInfo;
pub use library::Library;
pub use network::PyTorchNetwork;

use regraft_tensor::Detail;

use super::Application;
use crate::{Error, Result};

/// A function that gives an application, under its name.
type Entry = (&'static str, fn() -> Application<PyTorchNetwork>);

/// Defines the functions of a library's networks, and the list of them.
macro_rules! networks {
    ($library:ident; $($(#[$documentation:meta])* $name:ident => $body:expr $(, $change:ident($($value:expr)?))*;)*) => {
        $(
            $(#[$documentation])*
            pub fn $name() -> Application<PyTorchNetwork> {
                let network = PyTorchNetwork::new(Library::$library, stringify!($name), $body);
                network$(.$change($($value)?))*.application()
            }
        )*

        /// Every network.
        pub(in crate::applications::pytorch) const NETWORKS: &[Entry] =
            &[$((stringify!($name), $name)),*];
    };
}
use networks;

/// The network of a library with this name, and with the published weights of the tag behind a dot.
fn by_name(
    library: Library,
    networks: &[Entry],
    name: &str,
) -> Result<Application<PyTorchNetwork>> {
    let (network, tag) = match name.split_once('.') {
        Some((network, tag)) => (network, Some(tag)),
        None => (name, None),
    };
    let found = networks.iter().find(|(known, _)| *known == network);
    let Some((_, application)) = found else {
        let expected = format!("the name of one of {library}'s networks");
        let detail = Detail::new("application", expected, format!("{name:?}"));
        let names = networks.iter().map(|(name, _)| *name);
        return Err(Error::Setting(
            detail.help(regraft_layers::near(network, names)),
        ));
    };
    Ok(match tag {
        Some(tag) => application().weights_tag(tag),
        None => application(),
    })
}
