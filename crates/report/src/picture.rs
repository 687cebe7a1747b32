//! A picture as a browser shows it.

use regraft_tensor::Detail;

use crate::base64::encode;
use crate::heat;
use crate::{Error, Result};

/// The most cells along one side of a heat map: it is drawn smoothly, so that few are enough.
const MOST_CELLS: usize = 64;

/// A small picture, encoded, and what the model looked at in it.
#[derive(Clone, Debug)]
pub struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) url: String,
    pub(crate) heat: Option<String>,
}

impl Picture {
    /// The picture in `bytes`, a whole JPEG, PNG, GIF or WebP file of `width` by `height` pixels. About 160
    /// pixels are as large as it is shown.
    ///
    /// # Errors
    /// [`Error::Picture`] if the bytes begin like none of these, or a side is 0.
    pub fn new(width: u32, height: u32, bytes: &[u8]) -> Result<Self> {
        let kind = match bytes {
            [0xff, 0xd8, 0xff, ..] => "jpeg",
            [0x89, b'P', b'N', b'G', ..] => "png",
            [b'G', b'I', b'F', b'8', ..] => "gif",
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => "webp",
            _ => {
                let begin = &bytes[..bytes.len().min(8)];
                let expected = "the bytes of a JPEG, PNG, GIF or WebP file";
                let detail = Detail::new("bytes", expected, format!("{begin:02x?}…"));
                return Err(Error::Picture(
                    detail.help("encode the pixels as one of these"),
                ));
            }
        };
        if width == 0 || height == 0 {
            let received = format!("{width}×{height}");
            return Err(Error::Picture(Detail::new("size", "pixels", received)));
        }
        let url = format!("data:image/{kind};base64,{}", encode(bytes));
        Ok(Picture {
            width,
            height,
            url,
            heat: None,
        })
    }

    /// Draws what the model looked at over it: `values` from 0 to 1, row by row, `columns` in each, as
    /// Grad-CAM gives them. They cover the whole picture, whatever its shape.
    ///
    /// # Errors
    /// [`Error::Picture`] if they are no such rows, or more than 64 in a direction.
    pub fn heat(mut self, columns: usize, values: &[f32]) -> Result<Self> {
        let rows = values.len().checked_div(columns).unwrap_or(0);
        let fits = rows * columns == values.len() && (1..=MOST_CELLS).contains(&rows);
        if !fits || columns > MOST_CELLS {
            let expected = format!("rows of {columns} numbers, up to {MOST_CELLS} by {MOST_CELLS}");
            let detail = Detail::new("heat", expected, format!("{} numbers", values.len()));
            return Err(Error::Picture(
                detail.help("give the map as small as the layer has it"),
            ));
        }
        let png = heat::png(columns, values);
        self.heat = Some(format!("data:image/png;base64,{}", encode(&png)));
        Ok(self)
    }

    /// How many bytes of the page it takes, with its heat map if that is shown.
    pub(crate) fn len(&self, heat: bool) -> usize {
        let over = self.heat.as_ref().filter(|_| heat);
        self.url.len() + over.map_or(0, String::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_browser_shows_is_refused() {
        for bytes in [&b""[..], b"BM", b"RIFF0000WAVE", b"<svg"] {
            assert!(Picture::new(1, 1, bytes).is_err(), "{bytes:?}");
        }
        assert!(Picture::new(0, 1, b"GIF89a").is_err());
        let picture = Picture::new(1, 1, b"RIFF0000WEBP").unwrap();
        assert!(
            picture
                .url
                .starts_with("data:image/webp;base64,UklGRjAwMDBX")
        );
    }

    #[test]
    fn a_heat_map_has_whole_rows() {
        let picture = || Picture::new(1, 1, b"GIF89a").unwrap();
        assert!(picture().heat(2, &[0.0; 4]).is_ok());
        for (columns, count) in [(0, 0), (0, 3), (2, 3), (2, 0), (65, 65), (1, 65)] {
            let values = vec![0.5; count];
            assert!(
                picture().heat(columns, &values).is_err(),
                "{count} in rows of {columns}"
            );
        }
    }
}
