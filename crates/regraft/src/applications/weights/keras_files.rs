//! The files with which Keras' applications arrive trained, as a table that `fixtures/weights_table.py` has written
//! from Keras' own source.

use super::file::WeightsFile;
use super::hash::Hash;
use crate::applications::Options;

/// The table; its columns are described in the script.
static TABLE: &str = include_str!("keras_files.txt");

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub network: &'static str,
    pub settings: &'static str,
    pub include_top: bool,
    pub file: WeightsFile,
}

/// Every line.
pub(super) fn rows() -> impl Iterator<Item = Row> {
    TABLE.lines().map(|line| {
        let columns: Vec<&'static str> = line.split('\t').collect();
        let [network, settings, top, name, url, hash] = columns[..] else {
            panic!("a line of the table has six columns, not {line:?}");
        };
        Row {
            network,
            settings: settings.trim_matches('-'),
            include_top: top == "top",
            file: WeightsFile {
                name: name.to_string(),
                url: format!("https://{url}"),
                hash: (hash != "-").then(|| Hash::parse(hash).expect("the table has hashes")),
                repository: None,
            },
        }
    })
}

/// Keras' file for a network with these settings. The names of the networks are compared without regard to
/// case, `_` and `-`, in which Keras' constructors and models differ.
pub(crate) fn keras_file(network: &str, settings: &str, options: &Options) -> Option<WeightsFile> {
    let found = rows().find(|row| {
        row.include_top == options.include_top
            && row.settings == settings
            && plain(row.network) == plain(network)
    });
    found.map(|row| row.file)
}

/// The settings for which Keras has files of a network.
pub(super) fn settings_of(network: &str) -> Vec<&'static str> {
    let begins = |row: &Row| plain(network).starts_with(&plain(row.network));
    // MobileNetV2 begins as MobileNet does.
    let longest = rows().filter(begins).map(|row| row.network.len()).max();
    let mut settings: Vec<&'static str> = rows()
        .filter(|row| begins(row) && Some(row.network.len()) == longest)
        .map(|row| row.settings)
        .collect();
    settings.dedup();
    settings
}

/// The side of the images for which there are weights of their own, or 224 where there are none, as in Keras.
pub(crate) fn size_of(options: &Options, sizes: &[usize]) -> usize {
    let [rows, columns, _] = options.input_shape;
    match rows == columns && sizes.contains(&rows) {
        true => rows,
        false => 224,
    }
}

/// Whether two digits tell a width, so that its file is not another's.
pub(crate) fn is_rounded(alpha: f64) -> bool {
    format!("{alpha:.2}").parse() == Ok(alpha)
}

fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}
