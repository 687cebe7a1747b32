//! Prints what is in a folder of pictures with a sub-folder for each class: `scan FOLDER`.

use std::error::Error;
use std::ops::ControlFlow;
use std::time::Instant;

use regraft_images::{Images, findings, groups};

fn main() -> Result<(), Box<dyn Error>> {
    let Some(folder) = std::env::args_os().nth(1) else {
        return Err("which folder? scan FOLDER".into());
    };
    let began = Instant::now();
    let images = Images::folder(folder)?;
    let all = images.paths().len();
    println!(
        "{all} files, {} classes: {}",
        images.classes().len(),
        images.classes().join(", ")
    );
    let scan = images
        .scan(0, |_| ControlFlow::Continue(()))
        .expect("nothing interrupts it");
    println!("scanned in {:.2} s", began.elapsed().as_secs_f64());
    for file in &scan.unreadable {
        println!("{}", file.reason);
    }
    let images = images.keep(&scan.readable);
    for finding in findings(&scan.inspections, images.labels(), images.classes()) {
        println!("{finding}");
        for set in finding.sets.iter().take(3) {
            let names: Vec<String> = set
                .iter()
                .take(5)
                .map(|&picture| images.name(picture))
                .collect();
            let more = if set.len() > 5 { " = …" } else { "" };
            println!("    {}{more}", names.join(" = "));
        }
        if finding.sets.is_empty() {
            for &picture in finding.pictures.iter().take(3) {
                println!("    {}", images.name(picture));
            }
        }
    }
    let mut groups = groups(&scan.inspections, None);
    groups.sort_unstable();
    groups.dedup();
    println!(
        "{} pictures in {} groups, {:.2} s in all",
        scan.readable.len(),
        groups.len(),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}
