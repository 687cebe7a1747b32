use regraft::{Fit, Model};
use regraft::ndarray::Array2;

fn mistaken(model: &mut Model) {
    let (x, y) = (Array2::<f32>::zeros((4, 2)), vec![0, 1, 0, 1]);
    let _ = model.fit(x, &y, Fit::new());
}

fn main() {}
