//! The values fed to a program at one step.

use regraft_autograd::Feed;

/// How many inputs and features together a program may have without a list on the heap per step.
const INLINE_FEEDS: usize = 16;

/// A list of feeds that lies on the stack unless it is long.
#[derive(Clone, Debug)]
pub(crate) struct Feeds<'a> {
    inline: [Feed<'a>; INLINE_FEEDS],
    heap: Vec<Feed<'a>>,
    length: usize,
}

impl<'a> Feeds<'a> {
    pub fn new(length: usize) -> Self {
        let heap = match length > INLINE_FEEDS {
            true => vec![Feed::F32(&[]); length],
            false => Vec::new(),
        };
        Feeds {
            inline: [Feed::F32(&[]); INLINE_FEEDS],
            heap,
            length,
        }
    }

    pub fn set(&mut self, index: usize, feed: Feed<'a>) {
        match self.heap.is_empty() {
            true => self.inline[index] = feed,
            false => self.heap[index] = feed,
        }
    }

    pub fn as_slice(&self) -> &[Feed<'a>] {
        match self.heap.is_empty() {
            true => &self.inline[..self.length],
            false => &self.heap,
        }
    }
}
