//! CRC-32C (the polynomial of iSCSI, RFC 3720), and the masked form in which TensorFlow stores it.

/// The polynomial, lowest bit first.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// `TABLES[k][byte]` is what `byte` does to the sum when `k` more bytes follow it, so that eight
/// bytes are taken at a time.
static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0u32; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 {
                (sum >> 1) ^ POLYNOMIAL
            } else {
                sum >> 1
            };
            bit += 1;
        }
        tables[0][byte] = sum;
        byte += 1;
    }
    let mut after = 1;
    while after < 8 {
        let mut byte = 0;
        while byte < 256 {
            let sum = tables[after - 1][byte];
            tables[after][byte] = (sum >> 8) ^ tables[0][(sum & 0xFF) as usize];
            byte += 1;
        }
        after += 1;
    }
    tables
}

/// The sum of several runs of bytes, one after the other.
#[derive(Clone, Copy)]
pub(crate) struct Crc32c(u32);

impl Crc32c {
    pub(crate) fn new() -> Self {
        Crc32c(!0)
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let mut sum = self.0;
        let mut eights = bytes.chunks_exact(8);
        for eight in &mut eights {
            let first = sum.to_le_bytes();
            let mut next = 0;
            for (i, &byte) in eight.iter().enumerate() {
                let byte = byte ^ first.get(i).copied().unwrap_or(0);
                next ^= TABLES[7 - i][usize::from(byte)];
            }
            sum = next;
        }
        for &byte in eights.remainder() {
            sum = (sum >> 8) ^ TABLES[0][usize::from(sum as u8 ^ byte)];
        }
        self.0 = sum;
    }

    /// The sum as TensorFlow stores it: turned by 15 bits and moved, so that a sum over bytes that
    /// contain sums does not become trivial.
    pub(crate) fn masked(self) -> u32 {
        (!self.0).rotate_right(15).wrapping_add(0xA282_EAD8)
    }
}

/// The masked sum of `bytes`.
pub(crate) fn masked(bytes: &[u8]) -> u32 {
    let mut crc = Crc32c::new();
    crc.update(bytes);
    crc.masked()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> u32 {
        let mut crc = Crc32c::new();
        crc.update(bytes);
        !crc.0
    }

    #[test]
    fn sums_are_those_of_the_standard() {
        // RFC 3720, appendix B.4, and the usual check value.
        assert_eq!(sum(&[0; 32]), 0x8A91_36AA);
        assert_eq!(sum(&[0xFF; 32]), 0x62A8_AB43);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(sum(&ascending), 0x46DD_794E);
        assert_eq!(sum(b"123456789"), 0xE306_9283);
    }

    #[test]
    fn parts_sum_up_to_the_whole() {
        let bytes: Vec<u8> = (0..100u8).map(|i| i.wrapping_mul(37)).collect();
        for cut in 0..bytes.len() {
            let mut crc = Crc32c::new();
            crc.update(&bytes[..cut]);
            crc.update(&bytes[cut..]);
            assert_eq!(crc.masked(), masked(&bytes));
        }
    }
}
