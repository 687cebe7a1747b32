//! Which adapters a model has, and which of them count.

use regraft_tensor::Detail;

use crate::adapters::{AdaptedLayer, AdapterState, Role, Update};
use crate::keras::names::near;
use crate::{Error, Model, Result, WeightKind};

impl Model {
    /// The names of its adapters, in the order of the layers that have them.
    pub fn adapters(&self) -> Vec<String> {
        self.adapters_that(|_| true)
    }

    /// The names of the adapters that count. Merged ones do.
    pub fn active_adapters(&self) -> Vec<String> {
        self.adapters_that(|adapter| adapter.active)
    }

    fn adapters_that(&self, test: impl Fn(&super::attached::Attached) -> bool) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        self.topology.visit("", &mut |_, entry| {
            for adapter in entry.adapters.iter().filter(|adapter| test(adapter)) {
                if !names.contains(&adapter.name) {
                    names.push(adapter.name.clone());
                }
            }
        });
        names
    }

    /// Makes this adapter the only one that counts. Nothing is loaded, and nothing of the base changes. What it
    /// has is trained from then on, whatever was frozen while it did not count.
    ///
    /// # Errors
    /// [`Error::Name`] if there is none of this name, with the nearest; [`Error::Model`] if adapters are
    /// merged.
    pub fn set_adapter(&mut self, name: &str) -> Result<()> {
        self.set_adapters(&[name])
    }

    /// Makes these adapters count together, and no other: what they add to a product is summed, scales are
    /// multiplied. With none, the model is its base.
    ///
    /// # Errors
    /// As [`set_adapter`](Self::set_adapter), and [`Error::Model`] if two of them have copies of the same
    /// weight.
    pub fn set_adapters(&mut self, names: &[&str]) -> Result<()> {
        self.require_unmerged("switch adapters")?;
        let known = self.adapters();
        for name in names {
            if !known.iter().any(|other| other == name) {
                let help = near(name, known.iter().map(String::as_str));
                let detail = Detail::new(self.name(), "the name of an adapter", name);
                return Err(Error::Name(detail.help(help)));
            }
        }
        let mut twice = None;
        self.topology.visit("", &mut |path, entry| {
            let active = entry.adapters.iter();
            let active = active.filter(|adapter| names.contains(&adapter.name.as_str()));
            let mut copied: Vec<&String> = active.flat_map(|it| &it.replaced).collect();
            copied.sort();
            if let Some(pair) = copied.windows(2).find(|pair| pair[0] == pair[1]) {
                twice.get_or_insert(format!("{path}/{}", pair[0]));
            }
        });
        if let Some(at) = twice {
            let expected = "one adapter that has a copy of the weight";
            return Err(Error::Model(Detail::new(at, expected, "several")));
        }
        self.activate(names)
    }

    /// Makes these adapters, which it has, the active ones.
    pub(crate) fn activate(&mut self, names: &[&str]) -> Result<()> {
        let store = &self.store;
        self.topology.visit_mut("", &mut |_, entry| {
            // First those that end: each gives the layer the state back that it found.
            for active in [false, true] {
                for adapter in &mut entry.adapters {
                    let is_meant = names.contains(&adapter.name.as_str()) == active;
                    if !is_meant || !adapter.activate(active, &mut entry.freezing) || !active {
                        continue;
                    }
                    let weights = entry.weights.iter().map(|id| &store[*id]);
                    let its = weights
                        .filter(|it| adapter.owns(it.name()) && it.kind() == WeightKind::Parameter);
                    let names = its.map(|it| (it.name().to_string(), true));
                    entry.alone.extend(names);
                }
            }
        });
        self.revision.renew();
        Ok(())
    }

    /// Removes an adapter with its weights.
    ///
    /// # Errors
    /// As [`set_adapter`](Self::set_adapter).
    pub fn delete_adapter(&mut self, name: &str) -> Result<()> {
        self.require_unmerged("delete an adapter")?;
        let active = self.active_adapters();
        let left: Vec<&str> = active.iter().map(String::as_str).collect();
        let left: Vec<&str> = left.into_iter().filter(|other| *other != name).collect();
        if !self.adapters().iter().any(|other| other == name) {
            return self.set_adapter(name);
        }
        self.activate(&left)?;
        let store = &self.store;
        self.topology.visit_mut("", &mut |_, entry| {
            entry.remove_adapter(name, |id| store[id].name().to_string());
        });
        self.compact();
        Ok(())
    }

    /// An adapter apart from the model: its settings and its values.
    ///
    /// # Errors
    /// [`Error::Name`] if there is none of this name, with the nearest.
    pub fn adapter_state(&self, name: &str) -> Result<AdapterState> {
        let mut found: Option<AdapterState> = None;
        let mut met = std::collections::HashSet::new();
        self.topology.visit("", &mut |path, entry| {
            let Some(adapter) = entry.adapters.iter().find(|it| it.name == name) else {
                return;
            };
            if entry
                .own_weights()
                .first()
                .is_none_or(|id| !met.insert(*id))
            {
                return;
            }
            let value = |name: &str| {
                let mut ids = entry.weights.iter().map(|id| &self.store[*id]);
                ids.find(|it| it.name() == name).map(|it| it.value.clone())
            };
            let mut layer = AdaptedLayer::new(path);
            layer.whole = adapter.whole.is_some();
            for (kernel, form) in &adapter.parts {
                let values = Role::ALL
                    .into_iter()
                    .filter_map(|role| Some((role, value(&form.name(name, kernel, role))?)));
                layer.updates.push(Update {
                    weight: kernel.clone(),
                    form: *form,
                    values: values.collect(),
                });
            }
            let copies = adapter
                .replaced
                .iter()
                .filter_map(|own| Some((own.clone(), value(&format!("{name}/{own}"))?)));
            layer.replaced = copies.collect();
            let (settings, metadata) = &*adapter.source;
            let state = found.get_or_insert_with(|| AdapterState {
                adapter: settings.clone(),
                layers: Vec::new(),
                metadata: metadata.clone(),
            });
            state.layers.push(layer);
        });
        found.ok_or_else(|| {
            let known = self.adapters();
            let help = near(name, known.iter().map(String::as_str));
            Error::Name(Detail::new(self.name(), "the name of an adapter", name).help(help))
        })
    }

    /// Refuses to do `what` while adapters are merged.
    pub(crate) fn require_unmerged(&self, what: &str) -> Result<()> {
        match self.is_merged() {
            false => Ok(()),
            true => {
                let expected = format!("a model whose adapters are not merged, to {what}");
                let detail = Detail::new(self.name(), expected, "one whose are");
                Err(Error::Model(detail.help("call `unmerge_adapter` first")))
            }
        }
    }
}
