//! The class under which files know a thing.

/// A class as Keras finds it: its name, and the Python module that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class<'a> {
    /// The name: `Dense`.
    pub name: &'a str,
    /// The module: `keras.layers`; empty for a class that Keras does not have.
    pub module: &'a str,
    lacks: Option<&'static str>,
}

impl<'a> Class<'a> {
    /// The class at `path`: `keras.layers.Dense`, or `Scale` for one that Keras does not have.
    pub fn new(path: &'a str) -> Self {
        let (module, name) = path.rsplit_once('.').unwrap_or(("", path));
        Class {
            name,
            module,
            lacks: None,
        }
    }

    /// Without a setting that all classes of its kind have: `trainable`, which not every layer of
    /// Keras takes.
    #[must_use]
    pub fn without(self, setting: &'static str) -> Self {
        Class {
            lacks: Some(setting),
            ..self
        }
    }

    /// The class of a type of one's own: the name of the type.
    pub fn of<T: ?Sized>() -> Class<'static> {
        let name = std::any::type_name::<T>();
        let name = name.split('<').next().unwrap_or(name);
        Class::new(name.rsplit("::").next().unwrap_or(name))
    }

    /// Whether this is a setting that all classes of its kind have in files, and this one has not.
    pub fn lacks(self, setting: &str) -> bool {
        self.lacks == Some(setting)
    }

    /// What Keras writes for a class that is not its own: the name under which it is to be registered.
    pub fn registered_name(self) -> Option<&'a str> {
        (!self.module.starts_with("keras")).then_some(self.name)
    }
}
