//! What was measured of pictures, kept on disk by what is in them, so that a second run decodes nothing.
//!
//! A line of JSON for each picture; one whose line is not whole or was changed is measured again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use regraft_images::{Brightness, Color, Format, Inspection, Source};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::hex::{from_hex, hex};
use crate::lines;

/// Changes when the same picture is decoded or measured to something else.
const VERSION: u32 = 1;

/// What is known of a file.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// It is a picture.
    Picture(Box<Inspection>),
    /// It is none; why, without the path.
    Unreadable(String),
}

/// The file with what is known.
#[derive(Debug)]
pub(crate) struct Inspections {
    path: PathBuf,
    known: HashMap<[u8; 32], Known>,
}

impl Inspections {
    /// What is known in a folder of what is kept.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(format!("inspections-{VERSION}"));
        let known = lines::read(&path, |json| {
            serde_json::from_slice::<Line>(json).ok()?.known()
        })?;
        let known = known.into_iter().collect();
        Ok(Inspections { path, known })
    }

    /// What is known of the file with this content.
    pub fn get(&self, content: &[u8; 32]) -> Option<&Known> {
        self.known.get(content)
    }

    /// Adds what was found; it is known then, though it cannot be kept.
    pub fn add(&mut self, found: Vec<([u8; 32], Known)>) -> Result<()> {
        let line = |(content, known): &([u8; 32], Known)| {
            serde_json::to_vec(&Line::of(content, known)).expect("strings and numbers are JSON")
        };
        let added = lines::add(&self.path, found.iter().map(line));
        self.known.extend(found);
        added
    }
}

/// What a line says.
#[derive(Serialize, Deserialize)]
struct Line {
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<Measured>,
}

/// The numbers of an [`Inspection`]; floats by their bits.
#[derive(Serialize, Deserialize)]
struct Measured {
    pixels: String,
    perceptual: u64,
    width: usize,
    height: usize,
    format: String,
    color: String,
    bits: u8,
    orientation: u8,
    bytes: u64,
    damaged: bool,
    brightness: [u32; 5],
    entropy: u32,
    sharpness: u32,
    grey: bool,
}

const FORMATS: [Format; 6] = [
    Format::Jpeg,
    Format::Png,
    Format::Gif,
    Format::Bmp,
    Format::WebP,
    Format::Tiff,
];
const COLORS: [Color; 6] = [
    Color::Grey,
    Color::GreyAlpha,
    Color::Rgb,
    Color::Rgba,
    Color::Palette,
    Color::Cmyk,
];

impl Line {
    fn of(content: &[u8; 32], known: &Known) -> Self {
        let mut line = Line {
            content: hex(content),
            unreadable: None,
            picture: None,
        };
        match known {
            Known::Unreadable(reason) => line.unreadable = Some(reason.clone()),
            Known::Picture(inspection) => {
                let Brightness {
                    p1,
                    p5,
                    p50,
                    p95,
                    p99,
                } = inspection.brightness;
                let source = inspection.source;
                line.picture = Some(Measured {
                    pixels: hex(&inspection.pixels),
                    perceptual: inspection.perceptual,
                    width: inspection.width,
                    height: inspection.height,
                    format: source.format.name().to_string(),
                    color: source.color.name().to_string(),
                    bits: source.bits,
                    orientation: source.orientation,
                    bytes: source.bytes,
                    damaged: source.damaged,
                    brightness: [p1, p5, p50, p95, p99].map(f32::to_bits),
                    entropy: inspection.entropy.to_bits(),
                    sharpness: inspection.sharpness.to_bits(),
                    grey: inspection.grey,
                });
            }
        }
        line
    }

    fn known(self) -> Option<([u8; 32], Known)> {
        let content = from_hex(&self.content)?;
        if let Some(reason) = self.unreadable {
            return Some((content, Known::Unreadable(reason)));
        }
        let measured = self.picture?;
        let [p1, p5, p50, p95, p99] = measured.brightness.map(f32::from_bits);
        let inspection = Inspection {
            content,
            pixels: from_hex(&measured.pixels)?,
            perceptual: measured.perceptual,
            width: measured.width,
            height: measured.height,
            source: Source {
                format: FORMATS
                    .into_iter()
                    .find(|format| format.name() == measured.format)?,
                color: COLORS
                    .into_iter()
                    .find(|color| color.name() == measured.color)?,
                bits: measured.bits,
                orientation: measured.orientation,
                bytes: measured.bytes,
                damaged: measured.damaged,
            },
            brightness: Brightness {
                p1,
                p5,
                p50,
                p95,
                p99,
            },
            entropy: f32::from_bits(measured.entropy),
            sharpness: f32::from_bits(measured.sharpness),
            grey: measured.grey,
        };
        Some((content, Known::Picture(Box::new(inspection))))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use regraft_images::{Limits, Picture, decode};

    use super::*;

    fn inspected(shade: u8) -> Inspection {
        let pixels = (0..300).map(|at| (at as u8).wrapping_mul(shade)).collect();
        let png = Picture::new(10, 10, pixels).unwrap().to_png().unwrap();
        let picture = decode(&png, &Limits::default()).unwrap();
        Inspection::of(&picture, *blake3::hash(&png).as_bytes()).unwrap()
    }

    fn measured(inspection: &Inspection) -> ([u8; 32], Known) {
        let known = Known::Picture(Box::new(inspection.clone()));
        (inspection.content, known)
    }

    #[test]
    fn what_was_measured_comes_back_in_every_bit() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Inspections::open(folder.path()).unwrap();
        let (a, b) = (inspected(7), inspected(11));
        kept.add(vec![
            measured(&a),
            ([9; 32], Known::Unreadable("no picture".into())),
        ])
        .unwrap();
        kept.add(vec![measured(&b)]).unwrap();
        let again = Inspections::open(folder.path()).unwrap();
        for inspection in [&a, &b] {
            let Some(Known::Picture(found)) = again.get(&inspection.content) else {
                panic!("it is there")
            };
            assert_eq!(&**found, inspection);
        }
        assert!(
            matches!(again.get(&[9; 32]), Some(Known::Unreadable(reason)) if reason == "no picture")
        );
        assert!(again.get(&[1; 32]).is_none());
    }

    #[test]
    fn what_was_cut_off_or_changed_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Inspections::open(folder.path()).unwrap();
        let (a, b) = (inspected(7), inspected(11));
        kept.add(vec![measured(&a)]).unwrap();
        let path = folder.path().join("inspections-1");
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        let mut cut = Inspections::open(folder.path()).unwrap();
        assert!(cut.get(&a.content).is_none());
        // What comes after is whole.
        cut.add(vec![measured(&b)]).unwrap();
        let again = Inspections::open(folder.path()).unwrap();
        assert!(again.get(&a.content).is_none() && again.get(&b.content).is_some());
        let mut changed = whole;
        let at = changed
            .windows(6)
            .position(|window| window == b"\"width")
            .unwrap()
            + 9;
        changed[at] ^= 1;
        fs::write(&path, changed).unwrap();
        assert!(
            Inspections::open(folder.path())
                .unwrap()
                .get(&a.content)
                .is_none()
        );
    }
}
