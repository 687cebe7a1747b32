//! The processor's time, which says more than the clock on a machine that does other work.

/// What this process has had of it in seconds, all threads together; NaN where the system does not tell it in hundredths
/// of a second.
pub fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in brackets, may have spaces; times in user code and in the system are the 12th and 13th behind it.
    let fields = text.rsplit(')').next().unwrap_or_default();
    let fields = fields.split_whitespace().skip(11).take(2);
    let times: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    match times.as_slice() {
        [user, system] => (user + system) / 100.0,
        _ => f64::NAN,
    }
}
