//! An update rule of one's own: sign descent, with everything that the built-in ones have.
//!
//! `cargo run -p regraft-optimizers --example own_rule`

use regraft_optimizers::{
    Configured, Error, Optimizer, ParameterInfo, ParameterUpdate, Slot, Step, UpdateRule,
    elementwise,
};

/// w ← w − η sign(m), where m ← μ m + g.
#[derive(Debug)]
struct SignDescent {
    momentum: f32,
}

impl Configured for SignDescent {}

impl UpdateRule for SignDescent {
    fn slots(&self, parameter: &ParameterInfo) -> Vec<Slot> {
        vec![Slot::like(parameter, "momentum")]
    }

    fn update(&self, step: &Step<'_>, w: &mut [f32], g: &[f32], slots: &mut [&mut [f32]]) {
        elementwise::one_slot(w, g, slots, |w, g, m| {
            let m = self.momentum * m + g;
            (w - step.learning_rate * m.signum(), m)
        });
    }

    // So that it runs in cache-sized blocks, and on several threads where it pays.
    fn elementwise(&self, _: &ParameterInfo) -> bool {
        true
    }
}

fn main() -> Result<(), Error> {
    let mut optimizer = Optimizer::builder(SignDescent { momentum: 0.9 })
        .learning_rate(0.01)
        .global_clipnorm(1.0)
        .weight_decay(0.01)
        .exclude_from_weight_decay(["bias"])
        .build()?;
    let plan = optimizer.prepare(&[
        ParameterInfo::new("dense/kernel", [2]),
        ParameterInfo::new("dense/bias", [1]),
    ])?;

    // The loss (k₀ + 2 k₁ + b − 3)², at zero wherever the sum is 3.
    let (mut kernel, mut bias) = ([0.5, -0.5], [0.0]);
    for epoch in 0..=100 {
        let error = kernel[0] + 2.0 * kernel[1] + bias[0] - 3.0f32;
        if epoch % 20 == 0 {
            println!("step {epoch:3}: loss {:.5}", error * error);
        }
        let mut updates = [
            ParameterUpdate {
                value: &mut kernel,
                gradient: &[2.0 * error, 4.0 * error],
            },
            ParameterUpdate {
                value: &mut bias,
                gradient: &[2.0 * error],
            },
        ];
        optimizer.apply(&plan, &mut updates)?;
    }
    Ok(())
}
