use regraft::Sequential;

fn mistaken(model: &mut Sequential) {
    let _ = model.compile("adam", "mse", "accuracy");
}

fn main() {}
