//! What nobody uses just now, for whoever needs one next.

use std::sync::Mutex;

/// A few values that threads lend to each other. Whoever finds a place locked goes on to the next one, and makes a
/// new value, or drops one, where there is none: nobody ever waits.
#[derive(Debug)]
pub struct Idle<T>(Box<[Mutex<Option<T>>]>);

impl<T> Idle<T> {
    /// One place for each thread that can run at the same time.
    pub fn new() -> Self {
        let threads = std::thread::available_parallelism().map_or(8, usize::from);
        Idle((0..threads).map(|_| Mutex::new(None)).collect())
    }

    /// Takes a value that is there.
    pub fn take(&self) -> Option<T> {
        let mut places = self.0.iter().filter_map(|place| place.try_lock().ok());
        places.find_map(|mut place| place.take())
    }

    /// Leaves a value for others, or drops it.
    pub fn put_back(&self, value: T) {
        let mut places = self.0.iter().filter_map(|place| place.try_lock().ok());
        if let Some(mut place) = places.find(|place| place.is_none()) {
            *place = Some(value);
        }
    }
}

impl<T> Default for Idle<T> {
    fn default() -> Self {
        Self::new()
    }
}
