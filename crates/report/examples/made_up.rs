//! Writes a report of pictures, answers and faults that are made up.
//!
//! `cargo run -p regraft-report --example made_up -- report.html [classes] [pictures]`

use std::collections::BTreeMap;
use std::io::Write;

use regraft_report::{
    Amount, Answer, Bin, Calibration, Cost, Estimate, Finding, Frozen, Level, Picture, Report,
    Sample, Suspect, Unknown,
};

const NAMES: [&str; 8] = [
    "circle",
    "square",
    "stripes",
    "café ☕",
    "犬",
    "قطة",
    "<b>&\"'",
    "a class with a long name",
];

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    /// From 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as f64 / f64::from(1u32 << 31)
    }

    fn below(&mut self, most: usize) -> usize {
        ((self.next() * most as f64) as usize).min(most - 1)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "report.html".into());
    let classes: usize = arguments
        .next()
        .map_or(Ok(NAMES.len()), |text| text.parse())?;
    let samples: usize = arguments.next().map_or(Ok(1505), |text| text.parse())?;

    let report = made_up(classes, samples);
    let mut pictures = BTreeMap::new();
    for wanted in report.wanted() {
        let label = report.samples[wanted.sample].label.unwrap_or(0);
        let (width, height) = [(96, 96), (128, 72), (64, 96)][wanted.sample % 3];
        let mut picture = Picture::new(width, height, &drawn(width, height, label, wanted.sample))?;
        if wanted.heat {
            picture = picture.heat(7, &looked_at(wanted.sample))?;
        }
        pictures.insert(wanted.sample, picture);
    }
    let html = report.html(&pictures);
    std::fs::write(&path, &html)?;
    println!("{path}: {} bytes, {} pictures", html.len(), pictures.len());
    Ok(())
}

fn made_up(classes: usize, samples: usize) -> Report {
    let mut numbers = Numbers(11);
    let class_name = |class: usize| match class / NAMES.len() {
        0 => NAMES[class].to_string(),
        round => format!("{} {round}", NAMES[class % NAMES.len()]),
    };
    let names: Vec<String> = (0..classes).map(class_name).collect();
    let mut bins = vec![(0.0, 0, 0); 10];
    let mut right = 0;
    let samples: Vec<Sample> = (0..samples)
        .map(|number| {
            let label = numbers.below(classes);
            let confidence = 1.0 - 0.75 * numbers.next().powi(4);
            let is_right = numbers.next() < confidence;
            let class = if is_right {
                label
            } else {
                (label + 1 + numbers.below(2)) % classes
            };
            right += usize::from(label == class);
            let bin = &mut bins[((confidence * 10.0) as usize).min(9)];
            *bin = (
                bin.0 + confidence,
                bin.1 + usize::from(label == class),
                bin.2 + 1,
            );
            Sample {
                name: format!("{}/{number:04}.jpg", names[label]),
                label: Some(label),
                answer: Some(Answer { class, confidence }),
            }
        })
        .collect();
    let count = samples.len();
    let wrong = |sample: &usize| {
        samples[*sample].answer.map(|answer| answer.class) != samples[*sample].label
    };
    let suspects = (0..count).filter(wrong).step_by(3).take(40).enumerate();
    let suspects = suspects.map(|(place, sample)| Suspect {
        sample,
        class: samples[sample].answer.map_or(0, |answer| answer.class),
        label_probability: 0.001 * (place + 1) as f64,
    });
    let filled = bins.into_iter().filter(|bin| bin.2 > 0);
    let bins = filled.map(|(sum, right, count)| Bin {
        confidence: sum / count as f64,
        accuracy: right as f64 / count as f64,
        count,
    });
    let accuracy = right as f64 / count as f64;
    Report {
        title: "photos".into(),
        summary: format!("{classes} classes learnt from {count} pictures with MobileNetV2, whose weights stayed frozen. All of this is made up."),
        estimates: vec![
            Estimate {
                name: "Accuracy".into(),
                value: accuracy,
                low: accuracy - 0.013,
                high: accuracy + 0.012,
                how: "leaving one group of near-duplicates out at a time; 95 % interval (Wilson)".into(),
            },
            Estimate {
                name: "With a careless split".into(),
                value: accuracy + 0.031,
                low: accuracy + 0.02,
                high: accuracy + 0.04,
                how: "what would have been shown if duplicates straddled the split; not to be believed".into(),
            },
        ],
        calibration: Some(Calibration { error: 0.021, temperature: Some(1.37), bins: bins.collect() }),
        suspects: suspects.collect(),
        findings: findings(count),
        unreadable: vec![
            ("tools/broken.jpg".into(), "the JPEG ends in the middle, after 8,112 of 20,480 bytes".into()),
            ("tools/notes.jpg".into(), "no picture: it begins like a text".into()),
        ],
        unknown: Some(Unknown {
            can_tell: true,
            area: 0.913,
            classes: (0..classes.min(8)).map(|class| (class, 0.84 + 0.02 * class as f64)).collect(),
            text: "Tested by leaving out each class in turn. Below a score of 0.41 the answer is \"unknown\".".into(),
        }),
        facts: vec![
            ("Network".into(), "MobileNetV2, 96×96 pixels, 1280 features".into()),
            ("Head".into(), "logistic regression, λ = 0.032 chosen by leaving groups out".into()),
            ("Set size for 90 %".into(), "1.2 classes on the average".into()),
        ],
        costs: vec![
            Cost { name: "Scan and check".into(), predicted: Some(Amount::Seconds(4.0)), spent: Some(Amount::Seconds(3.61)) },
            Cost { name: "Features".into(), predicted: Some(Amount::Seconds(38.0)), spent: Some(Amount::Seconds(33.2)) },
            Cost { name: "Head".into(), predicted: None, spent: Some(Amount::Seconds(0.742)) },
            Cost { name: "Memory".into(), predicted: Some(Amount::Bytes(410_000_000)), spent: Some(Amount::Bytes(387_000_000)) },
        ],
        frozen: Some(Frozen {
            parameters: 2_257_984,
            before: "b3:7d0fa2c4e1c0b9d8f6a57e2b4c3d1e0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d".into(),
            after: "b3:7d0fa2c4e1c0b9d8f6a57e2b4c3d1e0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d".into(),
        }),
        command: "regraft train photos/ --backbone mobilenet_v2 --from photos.regraft/run.toml".into(),
        settings: "seed = 42\nbackbone = \"mobilenet_v2\"\n\n[head]\nkind = \"logistic\"\nlambda = 0.032\n".into(),
        classes: names,
        samples,
    }
}

fn findings(samples: usize) -> Vec<Finding> {
    let place = |number: usize| number % samples.max(1);
    vec![
        Finding {
            level: Level::Note,
            title: "3 dark pictures".into(),
            text: "Half of their pixels are darker than 20 of 255.".into(),
            groups: vec![vec![place(5), place(17), place(23)]],
        },
        Finding {
            level: Level::Problem,
            title: "The same picture in two classes".into(),
            text:
                "At least one of the labels is wrong. Such pictures are left out of the estimate."
                    .into(),
            groups: vec![
                vec![place(3), place(9)],
                vec![place(30), place(40), place(51)],
            ],
        },
        Finding {
            level: Level::Warning,
            title: "Few pictures of \"stripes\"".into(),
            text: "9 pictures: its numbers are uncertain. Twenty or more would tell.".into(),
            groups: vec![],
        },
    ]
}

/// A picture of its class, more or less.
fn drawn(width: u32, height: u32, class: usize, sample: usize) -> Vec<u8> {
    let hue = |shift: usize| (128.0 + 100.0 * ((class * 5 + sample + shift) as f64).sin()) as u8;
    let (front, back) = ([hue(0), hue(2), hue(4)], [hue(7), hue(9), 230]);
    let mut rows = Vec::new();
    for y in 0..height {
        rows.push(0);
        for x in 0..width {
            let (dx, dy) = (
                f64::from(x) / f64::from(width) - 0.5,
                f64::from(y) / f64::from(height) - 0.5,
            );
            let inside = match class % 3 {
                0 => dx.hypot(dy) < 0.3,
                1 => dx.abs().max(dy.abs()) < 0.28,
                _ => (x + y) / 9 % 2 == 0,
            };
            rows.extend(if inside { front } else { back });
        }
    }
    png(width, height, &rows)
}

/// A PNG of rows of red, green and blue, each with a zero in front.
fn png(width: u32, height: u32, rows: &[u8]) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, 2, 0, 0, 0]);
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(rows).expect("a vector takes everything");
    let packed = packed.finish().expect("a vector takes everything");
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", header), (b"IDAT", packed), (b"IEND", Vec::new())] {
        let mut crc = flate2::Crc::new();
        crc.update(kind);
        crc.update(&data);
        png.extend((data.len() as u32).to_be_bytes());
        png.extend(kind);
        png.extend(data);
        png.extend(crc.sum().to_be_bytes());
    }
    png
}

/// A hill somewhere near the middle.
fn looked_at(sample: usize) -> Vec<f32> {
    let (row, column) = (2.0 + (sample % 3) as f32, 2.0 + (sample / 3 % 3) as f32);
    let hill = |cell: usize| {
        let (y, x) = ((cell / 7) as f32 - row, (cell % 7) as f32 - column);
        (-(x * x + y * y) / 3.0).exp()
    };
    (0..49).map(hill).collect()
}
