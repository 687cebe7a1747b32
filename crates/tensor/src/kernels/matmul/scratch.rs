//! Buffers of each thread that are kept from call to call.

use std::cell::Cell;

/// Memory that begins at a cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// Values of a cache line.
const LINE: usize = 16;

/// Values beyond which a buffer is freed after use rather than kept for the next call.
const KEPT: usize = 1 << 22;

/// What a buffer is for: one per thread and use.
#[derive(Clone, Copy)]
pub(in crate::kernels) enum Use {
    /// The left operand of a product.
    Left,
    /// The right operand.
    Right,
    /// The result, before it is copied to where it belongs.
    Sums,
    /// Scores of attention, and what is made of them.
    Scores,
}

thread_local! {
    static BUFFERS: [Cell<Vec<Line>>; 4] = const { [const { Cell::new(Vec::new()) }; 4] };
}

/// A growing buffer, aligned to cache lines; it goes back to its thread when it is dropped.
pub(in crate::kernels) struct Scratch {
    lines: Vec<Line>,
    purpose: Use,
}

impl Scratch {
    /// Takes this thread's buffer; a new one if it is in use.
    pub fn take(purpose: Use) -> Self {
        Scratch {
            lines: BUFFERS.with(|buffers| buffers[purpose as usize].take()),
            purpose,
        }
    }

    /// Room for `length` values, of any content.
    pub fn room(&mut self, length: usize) -> &mut [f32] {
        let lines = length.div_ceil(LINE);
        if self.lines.len() < lines {
            self.lines.resize(lines, Line([0.0; LINE]));
        }
        // SAFETY: a line is `LINE` values without padding, and length ≤ LINE · lines.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), length) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.lines.len() * LINE <= KEPT {
            let lines = std::mem::take(&mut self.lines);
            BUFFERS.with(|buffers| buffers[self.purpose as usize].set(lines));
        }
    }
}
