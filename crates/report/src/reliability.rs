//! The reliability curve: how often answers are right that are said to be so and so probable. Drawn by
//! `plotters`, in the colours of the page.

use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;

use crate::gallery::Gallery;
use crate::report::{Bin, Calibration};
use crate::section::Section;
use crate::text::{percent, thousands};

/// The most points.
const BINS: usize = 50;
const SIZE: (u32, u32) = (460, 400);
const FONT: &str = "sans-serif";

/// Colours that stand for those of the page, light or dark.
const INK: RGBColor = RGBColor(1, 2, 3);
const GRID: RGBColor = RGBColor(4, 5, 6);
const CURVE: RGBColor = RGBColor(7, 8, 9);
const FADED: RGBColor = RGBColor(10, 11, 12);
const COLOURS: [(&str, &str); 4] = [
    ("#010203", "var(--ink)"),
    ("#040506", "var(--line)"),
    ("#070809", "var(--accent)"),
    ("#0A0B0C", "var(--faded)"),
];

pub(crate) fn reliability(gallery: &Gallery<'_>) -> Option<Section> {
    let calibration = gallery.report.calibration.as_ref()?;
    let finite =
        |bin: &&Bin| bin.confidence.is_finite() && bin.accuracy.is_finite() && bin.count > 0;
    let bins: Vec<Bin> = calibration
        .bins
        .iter()
        .filter(finite)
        .take(BINS)
        .copied()
        .collect();
    Some(Section::new(
        "reliability",
        "Can its confidence be believed?",
        html! {
            p { (verdict(calibration)) }
            @if !bins.is_empty() {
                figure class="plot" {
                    (drawn(&bins))
                    figcaption {
                        "On the dashed line, answers are right as often as they are said to be; beneath it the model "
                        "is too sure. Larger dots are more answers."
                    }
                }
                (table(&bins))
            }
        },
    ))
}

fn verdict(calibration: &Calibration) -> Markup {
    html! {
        "On the average, confidence and the share of right answers differ by "
        strong { (percent(calibration.error)) }
        " (expected calibration error)"
        @if let Some(temperature) = calibration.temperature {
            ", after scores were divided by " (format!("{temperature:.2}"))
        }
        "."
    }
}

/// The picture as SVG, without a background.
fn drawn(bins: &[Bin]) -> Markup {
    let mut svg = String::new();
    if draw(&mut svg, bins).is_err() {
        return html! { p { "The curve could not be drawn." } };
    }
    for (stands_for, colour) in COLOURS {
        svg = svg.replace(stands_for, colour);
    }
    let said = "Reliability curve; its numbers are in the table below.";
    let with_size = format!("<svg width=\"{}\" height=\"{}\"", SIZE.0, SIZE.1);
    PreEscaped(svg.replace(
        &with_size,
        &format!("<svg role=\"img\" aria-label=\"{said}\""),
    ))
}

fn draw<'s>(
    svg: &'s mut String,
    bins: &[Bin],
) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'s> as DrawingBackend>::ErrorType>> {
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(1) as f64;
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .margin_right(28)
        .x_label_area_size(46)
        .y_label_area_size(58)
        .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
    let tick = |share: &f64| format!("{:.0} %", share * 100.0);
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(FADED)
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&tick)
        .y_label_formatter(&tick)
        .label_style((FONT, 15).into_font().color(&FADED))
        .axis_desc_style((FONT, 16).into_font().color(&INK))
        .x_desc("confidence")
        .y_desc("share of right answers")
        .draw()?;
    chart.draw_series(DashedLineSeries::new(
        [(0.0, 0.0), (1.0, 1.0)],
        6,
        5,
        FADED.stroke_width(2),
    ))?;
    let points = bins.iter().map(|bin| (bin.confidence, bin.accuracy));
    chart.draw_series(LineSeries::new(points, CURVE.stroke_width(3)))?;
    chart.draw_series(bins.iter().map(|bin| {
        let radius = 3.0 + 7.0 * (bin.count as f64 / most).sqrt();
        Circle::new(
            (bin.confidence, bin.accuracy),
            radius as i32,
            CURVE.filled(),
        )
    }))?;
    root.present()
}

fn table(bins: &[Bin]) -> Markup {
    html! {
        details {
            summary { "The numbers" }
            table {
                thead {
                    tr { th scope="col" { "confidence" } th scope="col" { "right" } th scope="col" { "answers" } }
                }
                tbody {
                    @for bin in bins {
                        tr {
                            th scope="row" { (percent(bin.confidence)) }
                            td { (percent(bin.accuracy)) }
                            td { (thousands(bin.count)) }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_has_the_colours_of_the_page() {
        let bins = [(0.3, 0.2, 10), (0.9, 1.0, 90)];
        let bins = bins.map(|(confidence, accuracy, count)| Bin {
            confidence,
            accuracy,
            count,
        });
        let svg = drawn(&bins).into_string();
        for (stands_for, colour) in COLOURS {
            assert!(
                svg.contains(colour) && !svg.contains(stands_for),
                "{colour}: {svg}"
            );
        }
        assert!(
            svg.contains("aria-label") && svg.contains("viewBox=\"0 0 460 400\""),
            "{svg}"
        );
    }
}
