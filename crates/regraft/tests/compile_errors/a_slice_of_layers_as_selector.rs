use regraft::Sequential;

fn mistaken(model: &mut Sequential) {
    let _ = model.freeze(["dense", "dense_1"]);
}

fn main() {}
