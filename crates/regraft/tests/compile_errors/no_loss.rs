use regraft::extend::*;

#[derive(Debug)]
struct Mine;

fn main() {
    let _ = LossFunction::new(Mine);
}
