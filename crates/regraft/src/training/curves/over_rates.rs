//! The losses of a sweep over learning rates, drawn over the logarithm of the rate.

use plotters::prelude::*;
use regraft_tensor::Detail;

use super::draw::{COLOURS, Drawn, FONT, GREY, GRID, PANEL, tick, value_range};
use super::{Error, Result};

/// The picture as SVG; a dot marks `marked`.
pub(crate) fn over_rates(rates: &[f64], losses: &[f64], marked: Option<f64>) -> Result<String> {
    let points = rates.iter().zip(losses).map(|(rate, loss)| (*rate, *loss));
    let points: Vec<(f64, f64)> = points.filter(|(_, loss)| loss.is_finite()).collect();
    if points.len() < 2 {
        let detail = Detail::new("LearningRates", "two finite losses at least", points.len());
        return Err(Error::Empty(detail));
    }
    let mut svg = String::new();
    draw(&mut svg, &points, marked)
        .map_err(|error| Error::Draw(Detail::new("SVG", "a picture", error)))?;
    Ok(svg)
}

fn draw<'s>(svg: &'s mut String, points: &[(f64, f64)], marked: Option<f64>) -> Drawn<'s> {
    let root = SVGBackend::with_string(svg, PANEL).into_drawing_area();
    root.fill(&WHITE)?;
    let (low, high) = value_range(points.iter().map(|point| point.1));
    let (first, last) = (points[0].0, points[points.len() - 1].0);
    let mut chart = ChartBuilder::on(&root)
        .margin_top(16)
        .margin_right(24)
        .margin_left(8)
        .x_label_area_size(52)
        .y_label_area_size(84)
        .build_cartesian_2d((first..last).log_scale(), low..high)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GREY)
        .x_label_formatter(&|rate| format!("{rate:.0e}"))
        .y_labels(7)
        .y_label_formatter(&|value| tick(*value, low, high))
        .label_style((FONT, 17).into_font().color(&GREY))
        .axis_desc_style((FONT, 20).into_font().color(&BLACK))
        .x_desc("learning rate")
        .y_desc("loss")
        .draw()?;
    let line = points.iter().copied();
    chart.draw_series(LineSeries::new(line, COLOURS[0].stroke_width(3)))?;
    let dots = points.iter().filter(|(rate, _)| Some(*rate) == marked);
    chart.draw_series(dots.map(|&point| Circle::new(point, 6, COLOURS[1].filled())))?;
    root.present()
}
