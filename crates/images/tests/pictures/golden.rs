//! What Pillow, TensorFlow and Keras make of the pictures in `fixtures/images`.

use regraft_images::{Fit, Inspection, Interpolation, Limits, Picture, Resize, decode};
use serde_json::Value;

pub fn file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/images");
    std::fs::read(format!("{folder}/{name}")).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub fn picture(name: &str) -> Picture {
    decode(&file(name), &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn golden(kind: &str) -> Vec<Value> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/golden/images.json"
    );
    let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    golden[kind].as_array().unwrap().clone()
}

fn bytes(case: &Value) -> Vec<u8> {
    let text = case["rgb"].as_str().unwrap();
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn largest_difference(left: &[u8], right: &[u8]) -> u8 {
    assert_eq!(left.len(), right.len());
    left.iter()
        .zip(right)
        .map(|(left, right)| left.abs_diff(*right))
        .max()
        .unwrap()
}

#[test]
fn every_kind_of_file_has_pillows_pixels() {
    let cases = golden("files");
    assert!(cases.len() > 45);
    let mut wrong = Vec::new();
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let picture = match decode(&file(name), &Limits::default()) {
            Ok(picture) => picture,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let size = [picture.width(), picture.height()];
        if size != [number(&case["width"]), number(&case["height"])] {
            wrong.push(format!("{name}: {size:?}"));
            continue;
        }
        let difference = largest_difference(picture.pixels(), &bytes(&case));
        if u64::from(difference) > case["within"].as_u64().unwrap() {
            wrong.push(format!("{name}: {difference} levels"));
        }
        if let Some(orientation) = name.strip_prefix("orientation_") {
            assert_eq!(
                picture.source().unwrap().orientation.to_string(),
                orientation[..1]
            );
        }
        assert!(!picture.source().unwrap().damaged, "{name}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn resized_pictures_are_within_two_levels() {
    let photo = picture("photo.png");
    let mut wrong = Vec::new();
    for case in golden("resized") {
        let size: Vec<usize> = case["size"]
            .as_array()
            .unwrap()
            .iter()
            .map(number)
            .collect();
        let resize = Resize::new([size[0], size[1]])
            .interpolation(
                case["method"]
                    .as_str()
                    .unwrap()
                    .parse::<Interpolation>()
                    .unwrap(),
            )
            .antialias(case["antialias"].as_bool().unwrap())
            .fit(match case["fit"].as_str().unwrap() {
                "crop" => Fit::Crop,
                "pad" => Fit::Pad,
                _ => Fit::Stretch,
            });
        let resized = photo.resize(&resize).unwrap();
        assert_eq!([resized.height(), resized.width()], size[..]);
        let difference = largest_difference(resized.pixels(), &bytes(&case));
        if u64::from(difference) > case["within"].as_u64().unwrap() {
            wrong.push(format!("{}: {resize:?}: {difference} levels", case["name"]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn measures_are_those_of_cleanvision_and_imagehash() {
    for case in golden("inspected") {
        let name = case["name"].as_str().unwrap();
        let seen = Inspection::of(&picture(name), [0; 32]).unwrap();
        let phash = u64::from_str_radix(case["phash"].as_str().unwrap(), 16).unwrap();
        // Decoders differ by a few levels.
        let bits = (seen.perceptual ^ phash).count_ones();
        assert!(bits <= 2, "{name}: {bits} bits");
        let brightness = seen.brightness;
        let percentiles = [
            brightness.p1,
            brightness.p5,
            brightness.p50,
            brightness.p95,
            brightness.p99,
        ];
        for (ours, theirs) in percentiles
            .iter()
            .zip(case["brightness"].as_array().unwrap())
        {
            assert!(
                (f64::from(*ours) - theirs.as_f64().unwrap()).abs() < 0.015,
                "{name}: {brightness:?}"
            );
        }
        let near = |ours: f32, theirs: &Value, within: f64| {
            let theirs = theirs.as_f64().unwrap();
            assert!(
                (f64::from(ours) - theirs).abs() < within,
                "{name}: {ours}, not {theirs}"
            );
        };
        near(seen.entropy, &case["entropy"], 0.05);
        near(seen.sharpness, &case["sharpness"], 0.01);
    }
}
