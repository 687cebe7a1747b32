//! The graph as readable text and as Graphviz DOT, forward and backward parts alike.

use std::fmt::{self, Write};

use crate::{Constant, Node, NodeId, Nodes, Source};

impl Nodes {
    /// The graph in Graphviz' DOT language: inputs and variables as boxes, constants dashed (what is
    /// frozen), ops as ellipses, outputs with a double border.
    ///
    /// Draw it with `dot -Tsvg graph.dot -o graph.svg`.
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph {\n  rankdir=TB;\n  node [fontname=\"sans-serif\"];\n");
        for (id, node) in self.iter() {
            let style = match &node.source {
                Source::Input { .. } => "shape=box, style=bold",
                Source::Variable(_) => "shape=box, style=filled, fillcolor=\"#ffe0b0\"",
                Source::Constant(_) => "shape=box, style=\"dashed,filled\", fillcolor=\"#d8e8f8\"",
                Source::Op { .. } if self.outputs().contains(&id) => "shape=ellipse, peripheries=2",
                Source::Op { .. } => "shape=ellipse",
            };
            let label = format!("{}\n{}", node.describe(), node.shape);
            // Writing to a string cannot fail.
            let _ = writeln!(dot, "  n{} [label={label:?}, {style}];", id.0);
            for operand in node.operands() {
                let _ = writeln!(dot, "  n{} -> n{};", operand.0, id.0);
            }
        }
        dot.push_str("}\n");
        dot
    }
}

impl Node {
    /// The name of a leaf, or the op with its settings and the path that it was made under.
    pub(crate) fn describe(&self) -> String {
        match &self.source {
            Source::Op { op, .. } => {
                let settings = op.attributes().unwrap_or_default();
                match self.name.as_str() {
                    "" => format!("{}{settings}", op.name()),
                    name => format!("{}{settings} ({name})", op.name()),
                }
            }
            Source::Constant(Constant::F32(tensor)) if tensor.ndim() == 0 => {
                format!("{}", tensor.as_slice()[0])
            }
            Source::Constant(_) => format!("constant {}", self.name),
            Source::Variable(_) => format!("variable {}", self.name),
            Source::Input { .. } => format!("input {}", self.name),
        }
    }
}

impl fmt::Display for Nodes {
    /// One line per node: number, shape, what it is, operands.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, node) in self.iter() {
            write!(
                f,
                "%{:<4}{:<16}{}",
                id.0,
                node.shape.to_string(),
                node.describe()
            )?;
            for (position, NodeId(operand)) in node.operands().iter().enumerate() {
                write!(f, "{}%{operand}", if position == 0 { " " } else { ", " })?;
            }
            if self.outputs().contains(&id) {
                f.write_str("  → output")?;
            }
            f.write_char('\n')?;
        }
        Ok(())
    }
}
