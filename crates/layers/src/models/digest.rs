//! A number that stands for the bits of frozen weights, to show that none has changed.

use crate::Model;

impl Model {
    /// The FNV-1a hash (64 bits) of the paths and the bits of everything that training must not
    /// change now: frozen parameters, the state of layers that behave as in inference, and states that
    /// are frozen alone or that no layer updates. If it is
    /// the same before and after, no bit has changed (but for one chance in 2⁶⁴).
    pub fn frozen_digest(&self) -> u64 {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut add = |byte: u8| {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        };
        for place in self.places() {
            for weight in place.all_weights().filter_map(|&id| self.weights().get(id)) {
                if place.moves(weight) {
                    continue;
                }
                weight.path().bytes().for_each(&mut add);
                for value in weight.value().as_slice() {
                    value.to_bits().to_le_bytes().into_iter().for_each(&mut add);
                }
            }
        }
        hash
    }
}
