use regraft::prelude::*;

struct Mine;

fn main() {
    let _ = Sequential::new(layers![Input::new([2]), Mine]);
}
