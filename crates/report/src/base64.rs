//! Bytes as text: base64 (RFC 4648), with padding.

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for letter in 0..4 {
            text.push(match letter <= three.len() {
                true => LETTERS[(bits >> (18 - 6 * letter)) as usize & 63].into(),
                false => '=',
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::encode;

    /// The test vectors of RFC 4648.
    #[test]
    fn bytes_become_the_letters_of_the_standard() {
        let texts = [
            "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy",
        ];
        for (length, text) in texts.iter().enumerate() {
            assert_eq!(encode(&b"foobar"[..length]), *text);
        }
        assert_eq!(encode(&[0xfb, 0xff]), "+/8=");
    }
}
