//! A stretch of a parameter together with the same stretch of everything that belongs to it.

use crate::rule::MAX_SLOTS;

/// Value, gradient, slots, moving average and accumulated gradient of some consecutive elements.
#[derive(Debug)]
pub(crate) struct Piece<'a> {
    pub value: &'a mut [f32],
    pub gradient: &'a [f32],
    /// Only the first `slot_count` are in use; an array, so that none is allocated.
    pub slots: [&'a mut [f32]; MAX_SLOTS],
    pub slot_count: usize,
    pub average: Option<&'a mut [f32]>,
    pub accumulator: Option<&'a mut [f32]>,
}

impl<'a> Piece<'a> {
    pub(crate) fn new(
        value: &'a mut [f32],
        gradient: &'a [f32],
        slots: &'a mut [Vec<f32>],
        average: &'a mut Option<Vec<f32>>,
        accumulator: &'a mut Option<Vec<f32>>,
    ) -> Self {
        let slot_count = slots.len();
        let mut slices: [&mut [f32]; MAX_SLOTS] = Default::default();
        for (slice, slot) in slices.iter_mut().zip(slots) {
            *slice = slot;
        }
        Piece {
            value,
            gradient,
            slots: slices,
            slot_count,
            average: average.as_deref_mut(),
            accumulator: accumulator.as_deref_mut(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.value.len()
    }

    /// The elements before `middle`, and those from there on. Every slot must have the value's
    /// length.
    pub(crate) fn split_at(self, middle: usize) -> (Self, Self) {
        let slot_count = self.slot_count;
        let (value, value_rest) = self.value.split_at_mut(middle);
        let (gradient, gradient_rest) = self.gradient.split_at(middle);
        let mut slots: [&mut [f32]; MAX_SLOTS] = Default::default();
        let mut slots_rest: [&mut [f32]; MAX_SLOTS] = Default::default();
        for (index, slot) in self.slots.into_iter().take(slot_count).enumerate() {
            (slots[index], slots_rest[index]) = slot.split_at_mut(middle);
        }
        let (average, average_rest) = split_option(self.average, middle);
        let (accumulator, accumulator_rest) = split_option(self.accumulator, middle);
        (
            Piece {
                value,
                gradient,
                slots,
                slot_count,
                average,
                accumulator,
            },
            Piece {
                value: value_rest,
                gradient: gradient_rest,
                slots: slots_rest,
                slot_count,
                average: average_rest,
                accumulator: accumulator_rest,
            },
        )
    }
}

/// The two parts of a slice that may not be there.
fn split_option(
    slice: Option<&mut [f32]>,
    middle: usize,
) -> (Option<&mut [f32]>, Option<&mut [f32]>) {
    match slice.map(|slice| slice.split_at_mut(middle)) {
        Some((left, right)) => (Some(left), Some(right)),
        None => (None, None),
    }
}
