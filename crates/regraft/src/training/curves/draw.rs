//! The drawing of learning curves, by `plotters`.

use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::points;
use crate::training::history::History;

/// Okabe and Ito's colours, told apart with any kind of colour vision; brown stands in for their
/// yellow, which white paper swallows.
pub(super) const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 80, 20),
    RGBColor(60, 60, 60),
];
pub(super) const GREY: RGBColor = RGBColor(90, 90, 90);
pub(super) const GRID: RGBColor = RGBColor(225, 225, 225);

pub(super) const PANEL: (u32, u32) = (640, 420);
const TITLE: u32 = 48;
const LEGEND_LINE: i32 = 26;
const LEGEND_MARGIN: u32 = 10;
pub(super) const FONT: &str = "Helvetica, Arial, DejaVu Sans, sans-serif";

type Area<'a, 'b> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
pub(super) type Drawn<'a> =
    Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

/// One line of the legend's key.
struct Key {
    name: String,
    colour: RGBColor,
    dashed: bool,
}

pub(super) fn figure<'s>(
    svg: &'s mut String,
    title: &str,
    runs: &[(String, &History)],
    panels: &[String],
) -> Drawn<'s> {
    let columns = panels.len().clamp(1, 2) as u32;
    let rows = (panels.len() as u32).div_ceil(columns);
    let width = columns * PANEL.0;
    let keys = keys(runs, panels);
    let lines = legend_lines(&keys, width as i32);
    let above = if title.is_empty() { 0 } else { TITLE };
    let below = match lines.len() as u32 {
        0 => 0,
        count => count * LEGEND_LINE as u32 + 2 * LEGEND_MARGIN,
    };
    let height = above + rows * PANEL.1 + below;

    let root = SVGBackend::with_string(svg, (width, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let (head, rest) = root.split_vertically(above);
    let (body, foot) = rest.split_vertically(rows * PANEL.1);
    if !title.is_empty() {
        let style = (FONT, 26).into_font().color(&BLACK);
        let style = style.pos(text_position(HPos::Center));
        head.draw(&Text::new(
            title,
            (width as i32 / 2, TITLE as i32 / 2 + 4),
            style,
        ))?;
    }
    for (area, name) in body
        .split_evenly((rows as usize, columns as usize))
        .iter()
        .zip(panels)
    {
        panel(area, name, runs)?;
    }
    for (row, line) in lines.iter().enumerate() {
        legend_line(
            &foot,
            LEGEND_MARGIN as i32 + row as i32 * LEGEND_LINE + LEGEND_LINE / 2,
            width as i32,
            line,
        )?;
    }
    root.present()
}

fn panel<'s>(area: &Area<'s, '_>, name: &str, runs: &[(String, &History)]) -> Drawn<'s> {
    let curves = |validation| {
        runs.iter()
            .map(move |(_, history)| points(history, name, validation))
    };
    let (training, validation): (Vec<_>, Vec<_>) =
        (curves(false).collect(), curves(true).collect());
    let all = || training.iter().chain(&validation).flatten();
    let last = all().map(|point| point.0).max().unwrap_or(1);
    let first = all().map(|point| point.0).min().unwrap_or(1);
    let last = last.max(first + 1);
    let (low, high) = value_range(all().map(|point| point.1));

    let mut chart = ChartBuilder::on(area)
        .margin_top(16)
        .margin_right(24)
        .margin_left(8)
        .x_label_area_size(52)
        .y_label_area_size(84)
        .build_cartesian_2d(first..last, low..high)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GREY)
        .x_labels((last - first + 1).min(11))
        .y_labels(7)
        .y_label_formatter(&|value| tick(*value, low, high))
        .label_style((FONT, 17).into_font().color(&GREY))
        .axis_desc_style((FONT, 20).into_font().color(&BLACK))
        .x_desc("epoch")
        .y_desc(name.replace('_', " "))
        .draw()?;
    let has_validation = validation.iter().any(|points| !points.is_empty());
    for (run, points) in training.iter().enumerate() {
        let colour = COLOURS[run % COLOURS.len()];
        if has_validation {
            let style = colour.mix(0.75).stroke_width(2);
            chart.draw_series(DashedLineSeries::new(points.clone(), 5, 4, style))?;
        } else {
            chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?;
        }
    }
    for (run, points) in validation.iter().enumerate() {
        let colour = COLOURS[run % COLOURS.len()];
        chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(3)))?;
    }
    // Few points are hard to see as a line, and a single one is none.
    for (run, points) in training
        .iter()
        .enumerate()
        .chain(validation.iter().enumerate())
    {
        if points.len() <= 12 {
            let colour = COLOURS[run % COLOURS.len()];
            let dots = points
                .iter()
                .map(|&point| Circle::new(point, 3, colour.filled()));
            chart.draw_series(dots)?;
        }
    }
    Ok(())
}

/// A range that holds all values with a little room, and is never empty.
pub(super) fn value_range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    // Halved against overflow: the picture is of no use at such numbers, but must not be broken.
    let limit = f64::MAX / 8.0;
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value.max(-limit)), high.max(value.min(limit)))
    });
    let room = (high - low) * 0.05;
    let room = if room > 0.0 {
        room
    } else {
        high.abs().max(1e-3) * 0.1
    };
    // Losses and accuracies are not negative: no room below zero for them.
    let below = if low >= 0.0 {
        (low - room).max(0.0)
    } else {
        low - room
    };
    (below, high + room)
}

/// The label of a tick on an axis from `low` to `high`: as many digits as tell it from the next one,
/// and an exponent if the numbers are large or small.
pub(super) fn tick(value: f64, low: f64, high: f64) -> String {
    let (span, largest) = (high - low, low.abs().max(high.abs()));
    if (1e-2..1e5).contains(&largest) {
        let decimals = (1.0 - span.log10()).ceil().clamp(0.0, 9.0) as usize;
        format!("{value:.decimals$}")
    } else if value == 0.0 {
        "0".to_string()
    } else {
        let decimals = (1.0 + (largest / span).log10()).ceil().clamp(1.0, 9.0) as usize;
        format!("{value:.decimals$e}")
    }
}

/// What the legend must tell: the runs by colour, and training from validation by dashes.
fn keys(runs: &[(String, &History)], panels: &[String]) -> Vec<Key> {
    let mut keys = Vec::new();
    for (run, (name, _)) in runs.iter().enumerate() {
        if !name.is_empty() {
            let colour = COLOURS[run % COLOURS.len()];
            keys.push(Key {
                name: name.clone(),
                colour,
                dashed: false,
            });
        }
    }
    let has = |validation| {
        let mut pairs = runs
            .iter()
            .flat_map(|(_, run)| panels.iter().map(move |name| (run, name)));
        pairs.any(|(run, name)| !points(run, name, validation).is_empty())
    };
    if has(true) {
        keys.push(Key {
            name: "validation".to_string(),
            colour: GREY,
            dashed: false,
        });
        if has(false) {
            keys.push(Key {
                name: "training".to_string(),
                colour: GREY,
                dashed: true,
            });
        }
    }
    keys
}

const SAMPLE: i32 = 34;
const AFTER_SAMPLE: i32 = 8;
const BETWEEN_KEYS: i32 = 28;

/// The width of a key, by the usual width of a letter: SVG leaves the font to the viewer.
fn key_width(key: &Key) -> i32 {
    SAMPLE + AFTER_SAMPLE + 9 * key.name.chars().count() as i32
}

/// Breaks the keys into lines that fit `width`.
fn legend_lines(keys: &[Key], width: i32) -> Vec<Vec<&Key>> {
    let mut lines: Vec<Vec<&Key>> = Vec::new();
    let mut used = width;
    for key in keys {
        let needed = key_width(key) + BETWEEN_KEYS;
        match lines.last_mut() {
            Some(line) if used + needed <= width => line.push(key),
            _ => {
                lines.push(vec![key]);
                used = BETWEEN_KEYS;
            }
        }
        used += needed;
    }
    lines
}

fn legend_line<'s>(area: &Area<'s, '_>, y: i32, width: i32, keys: &[&Key]) -> Drawn<'s> {
    let needed: i32 = keys.iter().map(|key| key_width(key)).sum();
    let mut x = (width - needed - BETWEEN_KEYS * (keys.len() as i32 - 1)) / 2;
    for key in keys {
        let line = [(x, y), (x + SAMPLE, y)];
        if key.dashed {
            let style = key.colour.stroke_width(2);
            area.draw(&DashedPathElement::new(line, 5, 4, style))?;
        } else {
            area.draw(&PathElement::new(line, key.colour.stroke_width(3)))?;
        }
        let style = (FONT, 19).into_font().color(&BLACK);
        let style = style.pos(text_position(HPos::Left));
        area.draw(&Text::new(
            key.name.as_str(),
            (x + SAMPLE + AFTER_SAMPLE, y),
            style,
        ))?;
        x += key_width(key) + BETWEEN_KEYS;
    }
    Ok(())
}

fn text_position(horizontal: HPos) -> Pos {
    Pos::new(horizontal, VPos::Center)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_never_empty() {
        for values in [
            &[0.5][..],
            &[0.0],
            &[-2.0, -2.0],
            &[0.0, 1.0],
            &[f64::MAX, -f64::MAX],
        ] {
            let (low, high) = value_range(values.iter().copied());
            assert!(low < high && (high - low).is_finite(), "{values:?}");
        }
        assert_eq!(value_range([0.0, 1.0].into_iter()).0, 0.0);
    }

    #[test]
    fn ticks_have_the_digits_they_need() {
        assert_eq!(tick(0.5, 0.0, 1.0), "0.5");
        assert_eq!(tick(0.625, 0.6, 0.65), "0.625");
        assert_eq!(tick(25.0, 0.0, 100.0), "25");
        assert_eq!(tick(5e5, 0.0, 2e6), "5.0e5");
        assert_eq!(tick(2e-5, 0.0, 1e-4), "2.0e-5");
        assert_eq!(tick(1.25e6, 1.2e6, 1.3e6), "1.250e6");
        assert_eq!(tick(0.0, 0.0, 1e-4), "0");
    }

    #[test]
    fn many_keys_break_into_lines() {
        let key = |name: &str| Key {
            name: name.into(),
            colour: GREY,
            dashed: false,
        };
        let keys: Vec<Key> = (0..8)
            .map(|run| key(&format!("a long name {run}")))
            .collect();
        let lines = legend_lines(&keys, 640);
        assert!(lines.len() > 1);
        assert_eq!(lines.iter().map(Vec::len).sum::<usize>(), 8);
    }
}
