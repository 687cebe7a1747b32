//! Where a constant's value comes from, so that what is made of equal constants is made once.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::Op;

/// What a constant's value was made of, and how. Two constants of one origin have the same elements, in
/// whatever graph they stand.
#[derive(Clone)]
pub struct Origin(Arc<Made>);

/// The origins of what it was made of. What is made of the same in the same way is there once, so that
/// origins are compared by where they are: written out, one whose operands have operands in common would
/// grow exponentially.
struct Made(Vec<Origin>);

/// How an origin was made, and where those of its operands are.
type Making = (String, Vec<usize>);

/// All origins in use.
static KNOWN: Mutex<Option<HashMap<Making, Weak<Made>>>> = Mutex::new(None);

impl Origin {
    /// A value that whoever tells it knows by this number: another value never has it
    /// ([`unique_number`](Self::unique_number)).
    pub fn of_value(number: u64) -> Self {
        Self::made(&format!("@{number}"), &[])
    }

    /// A number that nothing else in this process has.
    pub fn unique_number() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    /// Of a single number.
    pub(crate) fn of_number(number: f32) -> Self {
        Self::made(&format!("#{:x}", number.to_bits()), &[])
    }

    /// Of what `op` gives for operands of these origins, if that is known.
    pub(crate) fn of_op(op: &dyn Op, operands: &[Origin]) -> Option<Self> {
        let id = (op as &dyn Any).type_id();
        let how = format!("{}{:?}{}", op.name(), id, op.attributes()?);
        Some(Self::made(&how, operands))
    }

    /// Of what is made of values of these origins.
    pub(crate) fn made(how: &str, of: &[Origin]) -> Self {
        let key = (how.to_string(), of.iter().map(Origin::place).collect());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_default();
        if let Some(made) = known.get(&key).and_then(Weak::upgrade) {
            return Origin(made);
        }
        if known.len() == known.capacity() {
            known.retain(|_, it| it.strong_count() > 0);
            known.reserve(known.len());
        }
        let made = Arc::new(Made(of.to_vec()));
        known.insert(key, Arc::downgrade(&made));
        Origin(made)
    }

    /// Where it is: nothing else is there as long as it is in use.
    fn place(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Origin {}

impl Hash for Origin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place().hash(state);
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({:#x})", self.place())
    }
}

impl Drop for Made {
    /// One after the other: a long chain of origins would need a deep stack.
    fn drop(&mut self) {
        let mut last = std::mem::take(&mut self.0);
        while let Some(origin) = last.pop() {
            if let Some(mut made) = Arc::into_inner(origin.0) {
                last.append(&mut made.0);
            }
        }
    }
}

/// What has been made of constants and is still in use, by how it was made.
static IN_USE: Mutex<Option<HashMap<Origin, Weak<dyn Any + Send + Sync>>>> = Mutex::new(None);

/// What `make` makes of a constant of this origin, `how` saying what that is: once for all programs, for as
/// long as one of them has it. Without an origin, for itself alone.
pub(crate) fn made_once<T: Any + Send + Sync>(
    origin: Option<&Origin>,
    how: &str,
    make: impl FnOnce() -> T,
) -> Arc<T> {
    let Some(origin) = origin else {
        return Arc::new(make());
    };
    let origin = Origin::made(how, std::slice::from_ref(origin));
    let known = || IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    let found = known().as_ref().and_then(|it| it.get(&origin)?.upgrade());
    if let Some(found) = found.and_then(|it| it.downcast().ok()) {
        return found;
    }
    // Two threads may both come here; each has its own then, which is only a waste.
    let made = Arc::new(make());
    let shared: Arc<dyn Any + Send + Sync> = made.clone();
    let mut known = known();
    let known = known.get_or_insert_default();
    known.retain(|_, it| it.strong_count() > 0);
    known.insert(origin, Arc::downgrade(&shared));
    made
}
