//! Paths with numbers in them: `runs/{epoch:02}-{val_loss:.2f}.keras`.

use regraft_tensor::Detail;

use crate::{Error, Result};

/// A number that a path can have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Whole(usize),
    Real(f64),
}

/// Fills the placeholders of `template`: `{name}` or `{name:format}`, where the format is, as in
/// Python, a width (with `0` in front: filled with zeros), and for real numbers `.2f`, `.2e` or `.2`
/// for two decimals. `{{` and `}}` stand for braces.
pub(crate) fn fill(template: &str, number: impl Fn(&str) -> Option<Number>) -> Result<String> {
    let wrong = |expected: String, received: &str| {
        let at = format!("path {template:?}");
        Error::Setting(Detail::new(at, expected, format!("{{{received}}}")))
    };
    let mut path = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        path.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            path.push_str(brace);
            rest = after;
            continue;
        }
        let end = rest.find('}').filter(|_| brace == "{");
        let Some(end) = end else {
            return Err(wrong("braces in pairs".to_string(), ""));
        };
        let placeholder = &rest[..end];
        rest = &rest[end + 1..];
        let (name, format) = placeholder.split_once(':').unwrap_or((placeholder, ""));
        let Some(number) = number(name) else {
            let expected = "a quantity that is known then (`epoch`, the loss, a metric)";
            return Err(wrong(expected.to_string(), placeholder));
        };
        match formatted(number, format) {
            Some(text) => path.push_str(&text),
            None => {
                let expected = "a format such as `02` for a whole number, `.2f` for a real one";
                return Err(wrong(expected.to_string(), placeholder));
            }
        }
    }
    path.push_str(rest);
    Ok(path)
}

fn formatted(number: Number, format: &str) -> Option<String> {
    /// Wider than any path needs.
    const WIDEST: usize = 255;
    let (format, kind) = match format.chars().last() {
        Some(kind @ ('d' | 'f' | 'e')) => (&format[..format.len() - 1], Some(kind)),
        _ => (format, None),
    };
    let (width, precision) = match format.split_once('.') {
        Some((width, precision)) => (width, Some(precision.parse::<usize>().ok()?)),
        None => (format, None),
    };
    let zeros = width.starts_with('0');
    let width: usize = match width {
        "" => 0,
        digits => digits.parse().ok()?,
    };
    if width > WIDEST || precision.is_some_and(|precision| precision > WIDEST) {
        return None;
    }
    let text = match (number, kind, precision) {
        (Number::Whole(number), None | Some('d'), None) => number.to_string(),
        (Number::Whole(number), Some('f'), precision) => {
            format!("{:.*}", precision.unwrap_or(6), number as f64)
        }
        (Number::Real(number), None, None) => number.to_string(),
        (Number::Real(number), None, Some(precision)) => format!("{number:.precision$}"),
        (Number::Real(number), Some('f'), precision) => {
            format!("{number:.*}", precision.unwrap_or(6))
        }
        (Number::Real(number), Some('e'), precision) => {
            format!("{number:.*e}", precision.unwrap_or(6))
        }
        _ => return None,
    };
    Some(match (zeros, text.strip_prefix('-')) {
        (true, Some(digits)) => format!("-{digits:0>0$}", width.saturating_sub(1)),
        (true, None) => format!("{text:0>width$}"),
        (false, _) => format!("{text:>width$}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str) -> Result<String> {
        fill(template, |name| match name {
            "epoch" => Some(Number::Whole(7)),
            "val_loss" => Some(Number::Real(-0.34567)),
            _ => None,
        })
    }

    #[test]
    fn placeholders_are_filled_as_python_does() {
        for (template, expected) in [
            ("{epoch}", "7"),
            ("a-{epoch:02d}.{val_loss:.2f}.keras", "a-07.-0.35.keras"),
            ("{epoch:3}{{x}}", "  7{x}"),
            ("{val_loss}", "-0.34567"),
            ("{val_loss:08.3f}", "-000.346"),
            ("{epoch:.1f}", "7.0"),
            ("plain.h5", "plain.h5"),
        ] {
            assert_eq!(filled(template).unwrap(), expected, "{template}");
        }
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for template in [
            "{loss}",
            "{epoch",
            "epoch}",
            "{epoch:x}",
            "{val_loss:d}",
            "{epoch:999}",
        ] {
            assert!(
                matches!(filled(template), Err(Error::Setting(_))),
                "{template}"
            );
        }
    }
}
