use regraft::Model;

fn mistaken(model: &mut Model) {
    let _ = model.compile("adam", "mse", "accuracy");
}

fn main() {}
