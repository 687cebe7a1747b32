//! Tells the crate whether it is built with optimisation, which it cannot see otherwise: a debug build
//! whose dependencies are optimised (`[profile.dev.package."*"]`) is one with it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(optimised)");
    if std::env::var("OPT_LEVEL").is_ok_and(|level| level != "0") {
        println!("cargo::rustc-cfg=optimised");
    }
}
