//! A share with its interval, as people and as programs read it.

use regraft::extend::{Value, json};
use regraft_pictures::Share;

/// `0.713 (0.690 to 0.735)`.
pub fn share(share: &Share) -> String {
    format!("{:.3} ({:.3} to {:.3})", share.value, share.low, share.high)
}

/// Its numbers.
pub fn share_json(share: &Share) -> Value {
    json!({"value": share.value, "low": share.low, "high": share.high})
}
