//! The reader of TensorFlow checkpoints: any `.index` file over any shard gives a checkpoint or an error. The
//! input is the length of the index (16 bits), the index, and the shard. Checksums would stop nearly every
//! changed input at once, so those of the blocks are made right first.

#![no_main]

use libfuzzer_sys::fuzz_target;
use regraft_io::tensorflow_checkpoint;

fuzz_target!(|bytes: &[u8]| {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (index, shard) = rest.split_at(length);
    let mut index = index.to_vec();
    mend(&mut index);
    for index in [&rest[..length], &index] {
        let _ = tensorflow_checkpoint::read_with(index, |_, _| Ok(shard.to_vec()));
    }
});

/// Writes the checksums of the index block and of the data blocks that it names.
fn mend(index: &mut [u8]) {
    let Some(body) = index.len().checked_sub(48) else {
        return;
    };
    let footer = index[body..].to_vec();
    let mut rest = &footer[..];
    let numbers: Vec<Option<u64>> = (0..4).map(|_| varint(&mut rest)).collect();
    let (Some(offset), Some(size)) = (numbers[2], numbers[3]) else {
        return;
    };
    let Some(block) = mend_block(index, offset, size) else {
        return;
    };
    // Keys and values of the index block; what is not a place has no checksum.
    let mut rest = &block[..];
    for _ in 0..64 {
        let (Some(_), Some(own), Some(value)) =
            (varint(&mut rest), varint(&mut rest), varint(&mut rest))
        else {
            return;
        };
        let Some(value) = usize::try_from(own)
            .ok()
            .and_then(|own| rest.get(own..)?.get(..usize::try_from(value).ok()?))
        else {
            return;
        };
        let mut place = value;
        if let (Some(offset), Some(size)) = (varint(&mut place), varint(&mut place)) {
            mend_block(index, offset, size);
        }
        rest = &rest[own as usize + value.len()..];
    }
}

fn mend_block(index: &mut [u8], offset: u64, size: u64) -> Option<Vec<u8>> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    let block = index.get(start..end.checked_add(1)?)?.to_vec();
    let checksum = index.get_mut(end + 1..end.checked_add(5)?)?;
    let mut sum = !0u32;
    for &byte in &block {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0x82F6_3B78 * (sum & 1));
        }
    }
    let masked = (!sum).rotate_right(15).wrapping_add(0xA282_EAD8);
    checksum.copy_from_slice(&masked.to_le_bytes());
    Some(block)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for i in 0..10 {
        let (&byte, left) = rest.split_first()?;
        *rest = left;
        value |= u64::from(byte & 0x7F) << (7 * i).min(63);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
