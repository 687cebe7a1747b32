//! Differentiates a function and prints its graph, forward and backward, as text and for Graphviz:
//!
//! ```sh
//! cargo run -p regraft-autograd --example draw_graph
//! cargo run -p regraft-autograd --example draw_graph -- dot | dot -Tsvg -o graph.svg
//! ```

use regraft_autograd::{Error, Graph, Program, Run, Tensor, VariableId};

fn main() -> Result<(), Error> {
    let graph = Graph::new();
    let x = graph.variable(VariableId(0), "x", [3]);
    let w = graph.named_constant("w", Tensor::new([3], vec![0.5, -1.0, 2.0])?);
    let y = graph.scope("loss", || (x * w).tanh().square().mean_all());
    // x is asked for; w is constant, so no gradient is made for it.
    let dx = graph.grad(y, &[x])?[0].named("dx");

    let program = Program::compile(&graph, &[y, dx])?;
    if std::env::args().nth(1).as_deref() == Some("dot") {
        print!("{}", program.nodes().to_dot());
        return Ok(());
    }
    println!("As it was written, with what differentiation added:\n");
    println!("{}", graph.nodes_for(&[y, dx]));
    println!("As it runs, after the passes:\n");
    println!("{}", program.nodes());

    let at = [Tensor::new([3], vec![1.0, 2.0, -0.5])?];
    let mut workspace = program.workspace();
    workspace.run(1, &[], &at, Run::default())?;
    println!("y = {:?}", workspace.output(0));
    println!("dy/dx = {:?}", workspace.output(1));
    Ok(())
}
