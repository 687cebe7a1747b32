use regraft::Model;

fn mistaken(model: &mut Model) {
    let _ = model.freeze(("dense", "dense_1"));
}

fn main() {}
