//! FarmHash's 64-bit fingerprint, by which TensorFlow puts strings into bins (Geoff Pike, Google, 2014). It
//! never changes from version to version.

const K0: u64 = 0xc3a5_c85c_97cb_3127;
const K1: u64 = 0xb492_b66f_be98_f273;
const K2: u64 = 0x9ae1_6a3b_2f90_404f;

/// Eight bytes from `at` on.
fn word(s: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|byte| s[at + byte]))
}

/// Four bytes from `at` on.
fn half(s: &[u8], at: usize) -> u64 {
    u64::from(u32::from_le_bytes(std::array::from_fn(|byte| s[at + byte])))
}

fn mix(value: u64) -> u64 {
    value ^ (value >> 47)
}

fn both(u: u64, v: u64, by: u64) -> u64 {
    let a = mix((u ^ v).wrapping_mul(by));
    mix((v ^ a).wrapping_mul(by)).wrapping_mul(by)
}

fn short(s: &[u8]) -> u64 {
    let length = s.len() as u64;
    let by = K2.wrapping_add(length.wrapping_mul(2));
    match s.len() {
        8.. => {
            let a = word(s, 0).wrapping_add(K2);
            let b = word(s, s.len() - 8);
            let c = b.rotate_right(37).wrapping_mul(by).wrapping_add(a);
            let d = a.rotate_right(25).wrapping_add(b).wrapping_mul(by);
            both(c, d, by)
        }
        4.. => {
            let a = half(s, 0);
            both(length.wrapping_add(a << 3), half(s, s.len() - 4), by)
        }
        1.. => {
            let byte = |at: usize| u32::from(s[at]);
            let y = byte(0).wrapping_add(byte(s.len() >> 1) << 8);
            let z = (s.len() as u32).wrapping_add(byte(s.len() - 1) << 2);
            mix(u64::from(y).wrapping_mul(K2) ^ u64::from(z).wrapping_mul(K0)).wrapping_mul(K2)
        }
        0 => K2,
    }
}

fn up_to_32(s: &[u8]) -> u64 {
    let by = K2.wrapping_add((s.len() as u64).wrapping_mul(2));
    let a = word(s, 0).wrapping_mul(K1);
    let b = word(s, 8);
    let c = word(s, s.len() - 8).wrapping_mul(by);
    let d = word(s, s.len() - 16).wrapping_mul(K2);
    let u = a.wrapping_add(b).rotate_right(43);
    let u = u.wrapping_add(c.rotate_right(30)).wrapping_add(d);
    let v = a.wrapping_add(b.wrapping_add(K2).rotate_right(18));
    both(u, v.wrapping_add(c), by)
}

fn up_to_64(s: &[u8]) -> u64 {
    let by = K2.wrapping_add((s.len() as u64).wrapping_mul(2));
    let a = word(s, 0).wrapping_mul(K2);
    let b = word(s, 8);
    let c = word(s, s.len() - 8).wrapping_mul(by);
    let d = word(s, s.len() - 16).wrapping_mul(K2);
    let y = a.wrapping_add(b).rotate_right(43);
    let y = y.wrapping_add(c.rotate_right(30)).wrapping_add(d);
    let z = a.wrapping_add(b.wrapping_add(K2).rotate_right(18));
    let z = both(y, z.wrapping_add(c), by);
    let e = word(s, 16).wrapping_mul(by);
    let f = word(s, 24);
    let g = y.wrapping_add(word(s, s.len() - 32)).wrapping_mul(by);
    let h = z.wrapping_add(word(s, s.len() - 24)).wrapping_mul(by);
    let u = e.wrapping_add(f).rotate_right(43);
    let u = u.wrapping_add(g.rotate_right(30)).wrapping_add(h);
    let v = e.wrapping_add(f.wrapping_add(a).rotate_right(18));
    both(u, v.wrapping_add(g), by)
}

/// Two sums over 32 bytes from `at` on.
fn pair(s: &[u8], at: usize, a: u64, b: u64) -> (u64, u64) {
    let [w, x, y, z] = [0, 8, 16, 24].map(|offset| word(s, at + offset));
    let a = a.wrapping_add(w);
    let b = b.wrapping_add(a).wrapping_add(z).rotate_right(21);
    let c = a;
    let a = a.wrapping_add(x).wrapping_add(y);
    let b = b.wrapping_add(a.rotate_right(44));
    (a.wrapping_add(z), b.wrapping_add(c))
}

/// The fingerprint of a string.
pub(super) fn fingerprint(s: &[u8]) -> u64 {
    match s.len() {
        0..=16 => return short(s),
        17..=32 => return up_to_32(s),
        33..=64 => return up_to_64(s),
        _ => {}
    }
    const SEED: u64 = 81;
    let mut x = SEED.wrapping_mul(K2).wrapping_add(word(s, 0));
    let mut y = SEED.wrapping_mul(K1).wrapping_add(113);
    let mut z = mix(y.wrapping_mul(K2).wrapping_add(113)).wrapping_mul(K2);
    let (mut v, mut w) = ((0_u64, 0_u64), (0_u64, 0_u64));
    let end = (s.len() - 1) / 64 * 64;
    for at in (0..end).step_by(64) {
        let sum = x.wrapping_add(y).wrapping_add(v.0);
        x = sum
            .wrapping_add(word(s, at + 8))
            .rotate_right(37)
            .wrapping_mul(K1);
        let sum = y.wrapping_add(v.1).wrapping_add(word(s, at + 48));
        y = sum.rotate_right(42).wrapping_mul(K1);
        x ^= w.1;
        y = y.wrapping_add(v.0).wrapping_add(word(s, at + 40));
        z = z.wrapping_add(w.0).rotate_right(33).wrapping_mul(K1);
        v = pair(s, at, v.1.wrapping_mul(K1), x.wrapping_add(w.0));
        let b = y.wrapping_add(word(s, at + 16));
        w = pair(s, at + 32, z.wrapping_add(w.1), b);
        std::mem::swap(&mut z, &mut x);
    }
    let by = K1.wrapping_add((z & 0xff) << 1);
    let at = s.len() - 64;
    w.0 = w.0.wrapping_add((s.len() as u64 - 1) & 63);
    v.0 = v.0.wrapping_add(w.0);
    w.0 = w.0.wrapping_add(v.0);
    let sum = x.wrapping_add(y).wrapping_add(v.0);
    x = sum
        .wrapping_add(word(s, at + 8))
        .rotate_right(37)
        .wrapping_mul(by);
    let sum = y.wrapping_add(v.1).wrapping_add(word(s, at + 48));
    y = sum.rotate_right(42).wrapping_mul(by);
    x ^= w.1.wrapping_mul(9);
    y = y
        .wrapping_add(v.0.wrapping_mul(9))
        .wrapping_add(word(s, at + 40));
    z = z.wrapping_add(w.0).rotate_right(33).wrapping_mul(by);
    v = pair(s, at, v.1.wrapping_mul(by), x.wrapping_add(w.0));
    let b = y.wrapping_add(word(s, at + 16));
    w = pair(s, at + 32, z.wrapping_add(w.1), b);
    std::mem::swap(&mut z, &mut x);
    let first = both(v.0, w.0, by).wrapping_add(mix(y).wrapping_mul(K0));
    let second = both(v.1, w.1, by).wrapping_add(x);
    both(first.wrapping_add(z), second, by)
}
