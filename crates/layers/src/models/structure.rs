//! How the inputs or outputs of a model are arranged: in a list, or in a dictionary by keys, in each other
//! at will. A model has them in one order, that of Keras: a dictionary's by their sorted keys, whatever the
//! order in which the dictionary was made, which files keep.

use regraft_tensor::Detail;
use serde_json::{Map, Value};

/// An arrangement of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Structure {
    /// One value.
    One,
    /// Values in an order.
    List(Vec<Structure>),
    /// Values by keys, which have the order in which they were given.
    Dictionary(Vec<(String, Structure)>),
}

impl Structure {
    /// The arrangement of `value`, and the values in it in their order. A list that begins with a text is
    /// a value.
    pub fn read(value: &Value) -> Result<(Structure, Vec<&Value>), Detail> {
        match value {
            Value::Array(items) if items.first().is_some_and(Value::is_string) => {
                Ok((Structure::One, vec![value]))
            }
            Value::Array(items) => {
                let mut parts = Vec::with_capacity(items.len());
                let mut values = Vec::new();
                for item in items {
                    let (part, inner) = Structure::read(item)?;
                    parts.push(part);
                    values.extend(inner);
                }
                Ok((Structure::List(parts), values))
            }
            Value::Object(items) => {
                let mut parts = Vec::with_capacity(items.len());
                let mut inner = Vec::with_capacity(items.len());
                for (key, item) in items {
                    let (part, values) = Structure::read(item).map_err(|e| e.within(key))?;
                    parts.push((key.clone(), part));
                    inner.push((key, values));
                }
                inner.sort_by_key(|(key, _)| *key);
                let values = inner.into_iter().flat_map(|(_, values)| values);
                Ok((Structure::Dictionary(parts), values.collect()))
            }
            _ => {
                let expected = "[\"layer\", call, output], a list or a dictionary of them";
                Err(Detail::new("", expected, value))
            }
        }
    }

    /// The dictionary with these keys.
    pub fn dictionary(keys: impl IntoIterator<Item = String>) -> Self {
        let parts = keys.into_iter().map(|key| (key, Structure::One));
        Structure::Dictionary(parts.collect())
    }

    /// Whether a plain list says the same.
    pub fn is_flat(&self) -> bool {
        match self {
            Structure::One => true,
            Structure::List(parts) => parts.iter().all(|part| *part == Structure::One),
            Structure::Dictionary(_) => false,
        }
    }

    /// Whether values have keys.
    pub fn is_dictionary(&self) -> bool {
        matches!(self, Structure::Dictionary(_))
    }

    /// `values`, arranged so.
    pub fn write(&self, values: &mut impl Iterator<Item = Value>) -> Value {
        match self {
            Structure::One => values.next().unwrap_or_default(),
            Structure::List(parts) => parts.iter().map(|part| part.write(values)).collect(),
            Structure::Dictionary(parts) => {
                let mut order: Vec<usize> = (0..parts.len()).collect();
                order.sort_by_key(|&at| &parts[at].0);
                let mut written = vec![Value::Null; parts.len()];
                for at in order {
                    written[at] = parts[at].1.write(values);
                }
                let keys = parts.iter().map(|(key, _)| key.clone());
                keys.zip(written).collect::<Map<String, Value>>().into()
            }
        }
    }

    /// The names of the values: `names`, but keys where there are any, as `boxes` or `heads/boxes`.
    pub fn names(&self, names: &[String]) -> Vec<String> {
        let mut named = Vec::with_capacity(names.len());
        self.push_names("", &mut names.iter(), &mut named);
        named
    }

    fn push_names<'n>(
        &self,
        front: &str,
        names: &mut impl Iterator<Item = &'n String>,
        into: &mut Vec<String>,
    ) {
        match self {
            Structure::One => {
                let name = names.next().cloned().unwrap_or_default();
                into.push(if front.is_empty() {
                    name
                } else {
                    front.to_string()
                });
            }
            Structure::List(parts) => {
                for part in parts {
                    // A place in a list is no name.
                    match (part, front) {
                        (Structure::One, front) if !front.is_empty() => {
                            let name = names.next().cloned().unwrap_or_default();
                            into.push(format!("{front}/{name}"));
                        }
                        _ => part.push_names(front, names, into),
                    }
                }
            }
            Structure::Dictionary(parts) => {
                for (key, part) in sorted(parts) {
                    part.push_names(&crate::keras::names::join(front, key), names, into);
                }
            }
        }
    }

    /// The same without the values that are not kept; `None` if nothing is left.
    pub fn keep(&self, kept: &mut impl Iterator<Item = bool>) -> Option<Structure> {
        match self {
            Structure::One => kept.next().unwrap_or(false).then_some(Structure::One),
            Structure::List(parts) => {
                let parts: Vec<Structure> = parts.iter().filter_map(|p| p.keep(kept)).collect();
                (!parts.is_empty()).then_some(Structure::List(parts))
            }
            Structure::Dictionary(parts) => {
                let left = sorted(parts).into_iter();
                let left: Vec<(&str, Structure)> = left
                    .filter_map(|(key, part)| Some((key, part.keep(kept)?)))
                    .collect();
                let part = |(key, _): &(String, Structure)| {
                    let (_, part) = left.iter().find(|(left, _)| left == key)?;
                    Some((key.clone(), part.clone()))
                };
                let parts: Vec<(String, Structure)> = parts.iter().filter_map(part).collect();
                (!parts.is_empty()).then_some(Structure::Dictionary(parts))
            }
        }
    }
}

/// The parts of a dictionary in the order of their keys.
fn sorted(parts: &[(String, Structure)]) -> Vec<(&str, &Structure)> {
    let parts = parts.iter().map(|(key, part)| (key.as_str(), part));
    let mut parts: Vec<(&str, &Structure)> = parts.collect();
    parts.sort_by_key(|(key, _)| *key);
    parts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_in_the_order_of_sorted_keys_and_are_written_as_they_came() {
        let value =
            json!({"two": ["t", 0, 0], "one": [["a", 0, 0], {"y": ["b", 0, 0], "x": ["c", 0, 0]}]});
        let (structure, values) = Structure::read(&value).unwrap();
        let first: Vec<&str> = values
            .iter()
            .filter_map(|value| value[0].as_str())
            .collect();
        assert_eq!(first, ["a", "c", "b", "t"]);
        let mut values = values.into_iter().cloned();
        assert_eq!(structure.write(&mut values).to_string(), value.to_string());
        let names = ["a", "c", "b", "t"].map(str::to_string);
        assert_eq!(structure.names(&names), ["one/a", "one/x", "one/y", "two"]);
        let kept = structure
            .keep(&mut [true, false, true, false].into_iter())
            .unwrap();
        assert_eq!(kept.names(&["a".into(), "b".into()]), ["one/a", "one/y"]);
        assert!(structure.keep(&mut std::iter::empty()).is_none());
        assert!(Structure::read(&json!({"a": 3})).is_err());
    }
}
