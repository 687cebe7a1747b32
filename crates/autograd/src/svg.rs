//! The graph as a picture: SVG by a small layered layout, without other programs. Operands stand above what
//! is computed from them.

use std::fmt::Write;

use crate::{NodeId, Nodes, Source};

/// Pixels between the rows, and between neighbours in one.
const GAP: [f64; 2] = [36.0, 18.0];
/// Of a line of text, and of a letter, on average.
const LINE: f64 = 15.0;
const LETTER: f64 = 6.8;

/// A node's box: what stands in it, and its middle.
struct Box {
    lines: Vec<String>,
    row: usize,
    x: f64,
    width: f64,
}

impl Nodes {
    /// The graph as an SVG picture, forward and backward parts in different colours: inputs and variables as
    /// boxes, constants dashed (what is frozen), ops with round corners, outputs with a thick border. Where
    /// the pointer rests on a node, all of its settings are shown.
    ///
    /// ```
    /// use regraft_autograd::Graph;
    ///
    /// let graph = Graph::new();
    /// let y = graph.samples("x", &[3]).relu();
    /// let svg = graph.nodes_for(&[y]).to_svg();
    /// assert!(svg.starts_with("<svg") && svg.contains("relu"));
    /// ```
    pub fn to_svg(&self) -> String {
        let (boxes, rows) = self.layout();
        let left = |it: &Box| it.x - it.width / 2.0;
        let least = boxes.iter().map(left).fold(0.0, f64::min);
        let width = boxes
            .iter()
            .map(|it| left(it) + it.width)
            .fold(0.0, f64::max)
            - least;
        let lines = boxes.iter().map(|it| it.lines.len()).max().unwrap_or(0);
        let height = LINE * (lines as f64 + 1.0);
        let top = |it: &Box| it.row as f64 * (height + GAP[0]);
        let (margin, all) = (GAP[1], rows as f64 * (height + GAP[0]));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"{:.0} {:.0} {:.0} {:.0}\" \
             font-family=\"sans-serif\" font-size=\"12\" text-anchor=\"middle\">\n",
            least - margin,
            -margin,
            width + 2.0 * margin,
            all + margin
        );
        // Writing to a string cannot fail.
        for (id, node) in self.iter() {
            let to = &boxes[id.0];
            for operand in node.operands() {
                let from = &boxes[operand.0];
                let (x, y) = (from.x, top(from) + height);
                let (x2, y2) = (to.x, top(to));
                let bend = (y + y2) / 2.0;
                let _ = writeln!(
                    svg,
                    "<path d=\"M{x:.0} {y:.0}C{x:.0} {bend:.0} {x2:.0} {bend:.0} {x2:.0} {y2:.0}\" \
                     fill=\"none\" stroke=\"#999\"/>"
                );
            }
        }
        for (id, node) in self.iter() {
            let it = &boxes[id.0];
            let (fill, style) = match (&node.source, node.backward) {
                (Source::Constant(_), _) => ("#d8e8f8", " stroke-dasharray=\"4\""),
                (Source::Variable(_), _) => ("#ffe0b0", ""),
                (Source::Input { .. }, _) => ("#e4f4dc", ""),
                (Source::Op { .. }, false) => ("#fff", " rx=\"10\""),
                (Source::Op { .. }, true) => ("#fbe4ea", " rx=\"10\""),
            };
            let border = if self.outputs().contains(&id) { 3 } else { 1 };
            let _ = writeln!(
                svg,
                "<g><title>{}</title><rect x=\"{:.0}\" y=\"{:.0}\" width=\"{:.0}\" height=\"{height:.0}\" \
                 fill=\"{fill}\" stroke=\"#333\" stroke-width=\"{border}\"{style}/>",
                escaped(&format!("%{} {} {}", id.0, node.describe(), node.shape)),
                left(it),
                top(it),
                it.width
            );
            for (number, line) in it.lines.iter().enumerate() {
                let y = top(it) + LINE * (number as f64 + 1.2);
                let line = escaped(line);
                let _ = writeln!(svg, "<text x=\"{:.0}\" y=\"{y:.0}\">{line}</text>", it.x);
            }
            svg.push_str("</g>\n");
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// The boxes of all nodes, and the number of rows.
    fn layout(&self) -> (Vec<Box>, usize) {
        let mut users: Vec<Vec<NodeId>> = vec![Vec::new(); self.len()];
        let mut rows: Vec<usize> = Vec::with_capacity(self.len());
        for (id, node) in self.iter() {
            let below = node.operands().iter().map(|operand| rows[operand.0] + 1);
            rows.push(below.max().unwrap_or(0));
            for operand in node.operands() {
                users[operand.0].push(id);
            }
        }
        // A leaf stands right above what uses it first.
        for (id, _) in self.iter().filter(|(_, node)| node.op().is_none()) {
            let first = users[id.0].iter().map(|user| rows[user.0]).min();
            rows[id.0] = first.map_or(0, |row| row - 1);
        }
        let count = rows.iter().max().map_or(0, |last| last + 1);
        let mut boxes: Vec<Box> = (self.iter().zip(rows))
            .map(|((_, node), row)| {
                let what = match node.op() {
                    Some(op) => op.name().to_string(),
                    None => node.describe(),
                };
                let path = node.op().map(|_| node.name.clone());
                let shape = node.shape.to_string();
                let lines = [Some(what), path, Some(shape)].into_iter().flatten();
                let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
                let longest = lines.iter().map(|line| line.chars().count()).max();
                let width = longest.unwrap_or(0) as f64 * LETTER + LINE;
                Box {
                    lines,
                    row,
                    x: 0.0,
                    width,
                }
            })
            .collect();
        let mut in_row: Vec<Vec<NodeId>> = vec![Vec::new(); count];
        for (id, _) in self.iter() {
            in_row[boxes[id.0].row].push(id);
        }
        for row in &in_row {
            place(&mut boxes, row);
        }
        // To and fro: each node wants to stand in the middle of what it is connected to.
        for turn in 0..12 {
            let down = turn % 2 == 0;
            for step in 0..count {
                let row = &mut in_row[if down { step } else { count - 1 - step }];
                for &id in row.iter() {
                    let near = match down {
                        true => self.node(id).operands(),
                        false => &users[id.0],
                    };
                    if !near.is_empty() {
                        let sum: f64 = near.iter().map(|near| boxes[near.0].x).sum();
                        boxes[id.0].x = sum / near.len() as f64;
                    }
                }
                row.sort_by(|a, b| boxes[a.0].x.total_cmp(&boxes[b.0].x));
                place(&mut boxes, row);
            }
        }
        (boxes, count)
    }
}

/// Moves the boxes of a row apart, in their order, as little on the whole as that takes.
fn place(boxes: &mut [Box], row: &[NodeId]) {
    let wanted: f64 = row.iter().map(|id| boxes[id.0].x).sum();
    let mut free = f64::NEG_INFINITY;
    for id in row {
        let it = &mut boxes[id.0];
        it.x = it.x.max(free + it.width / 2.0);
        free = it.x + it.width / 2.0 + GAP[1];
    }
    let got: f64 = row.iter().map(|id| boxes[id.0].x).sum();
    for id in row {
        boxes[id.0].x -= (got - wanted) / row.len() as f64;
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}
