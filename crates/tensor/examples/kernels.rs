//! A dense layer and its loss, by kernels alone: `relu(x · w + b)`, softmax, cross-entropy.
//!
//! ```text
//! cargo run -p regraft-tensor --example kernels
//! ```

use regraft_tensor::kernels::matmul::{Epilogue, EpilogueActivation, Matrix, matmul_fused};
use regraft_tensor::kernels::random::{Key, normal, truncated_normal};
use regraft_tensor::kernels::softmax::softmax_cross_entropy;
use regraft_tensor::{IntTensor, Tensor};

fn main() -> regraft_tensor::Result<()> {
    let (batch, inputs, classes) = (4, 8, 3);
    let mut x = Tensor::zeros([batch, inputs]);
    normal(Key::new(1, 0), 0, x.as_mut_slice());
    let mut weights = Tensor::zeros([inputs, classes]);
    truncated_normal(Key::new(1, 1), 0, weights.as_mut_slice());
    let bias = [0.1; 3];

    let mut logits = Tensor::zeros([batch, classes]);
    let epilogue = Epilogue {
        bias: Some(&bias),
        activation: EpilogueActivation::Relu,
    };
    let w = Matrix::new(weights.as_slice(), inputs, classes);
    let input = Matrix::new(x.as_slice(), batch, inputs);
    matmul_fused(input, w.into(), logits.as_mut_slice(), &epilogue);

    // A row alone has the same bits as in its batch.
    let alone = Tensor::new([1, inputs], x.as_slice()[..inputs].to_vec())?;
    let mut row = Tensor::zeros([1, classes]);
    let input = Matrix::new(alone.as_slice(), 1, inputs);
    matmul_fused(input, w.into(), row.as_mut_slice(), &epilogue);
    assert_eq!(row.as_slice(), &logits.as_slice()[..classes]);

    let labels = IntTensor::new([batch], vec![0, 1, 2, 0])?;
    let mut loss = vec![0.0; batch];
    softmax_cross_entropy(logits.as_slice(), classes, labels.as_slice(), &mut loss)?;
    println!("probabilities {:.3}", logits.softmax()?.view());
    println!("loss per row  {loss:.3?}");
    Ok(())
}
