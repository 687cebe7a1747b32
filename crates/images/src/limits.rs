//! How large a picture may be.

use regraft_tensor::Detail;

use crate::{Error, Result};

/// How large a picture may be. The size that a file declares is compared with it before anything is allocated:
/// a file of a few kilobytes can declare 50,000 × 50,000 pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pixels, width times height. The default is 178,956,970, as many as Pillow opens.
    pub pixels: u64,
    /// Bytes of the file, and of what decoding needs in memory. The default is 1 GiB.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            pixels: 178_956_970,
            bytes: 1 << 30,
        }
    }
}

const HELP: &str =
    "leave the picture out, make it smaller, or raise the limits if the file is to be trusted";

impl Limits {
    /// Checks a declared size; `bytes_per_pixel` is what decoding needs in memory.
    pub(crate) fn check_size(&self, width: u64, height: u64, bytes_per_pixel: u64) -> Result<()> {
        let pixels = width.saturating_mul(height);
        if pixels > self.pixels {
            let expected = format!("at most {} pixels", self.pixels);
            let received = format!("{width} × {height} pixels");
            return Err(Error::TooLarge(
                Detail::new("", expected, received).help(HELP),
            ));
        }
        let bytes = pixels.saturating_mul(bytes_per_pixel);
        if bytes > self.bytes {
            let expected = format!("a picture that needs at most {} bytes", self.bytes);
            let received = format!("{width} × {height} pixels that need {bytes}");
            return Err(Error::TooLarge(
                Detail::new("", expected, received).help(HELP),
            ));
        }
        Ok(())
    }

    /// Checks the length of a file before it is read.
    pub(crate) fn check_file(&self, bytes: u64) -> Result<()> {
        if bytes > self.bytes {
            let expected = format!("a file of at most {} bytes", self.bytes);
            return Err(Error::TooLarge(Detail::new("", expected, bytes).help(HELP)));
        }
        Ok(())
    }
}
