//! Values by setting, one above the other.

use toml::{Table, Value};

use crate::error::ProfileError;
use crate::keys::{KEYS, Key};
use crate::origin::Origin;
use crate::resolve::{Entry, Resolved};
use crate::schema::default_batch;
use crate::source::{self, Setting};

/// What is known of a profile besides its values.
pub(crate) struct Identity {
    pub(crate) preset: &'static str,
    pub(crate) chosen: String,
    pub(crate) lineage: Vec<String>,
    pub(crate) automatic: bool,
}

/// Values by setting, each list with the value that holds at its end.
pub(crate) struct Stack(Vec<Vec<(Value, Origin)>>);

impl Stack {
    pub(crate) fn new() -> Self {
        Self(vec![Vec::new(); KEYS.len()])
    }

    fn values(&mut self, key: &Key) -> Option<&mut Vec<(Value, Origin)>> {
        let index = KEYS.iter().position(|other| other.name == key.name)?;
        self.0.get_mut(index)
    }

    pub(crate) fn put(&mut self, setting: Setting) {
        if let Some(values) = self.values(setting.key) {
            values.push((setting.value, setting.origin));
        }
    }

    pub(crate) fn put_all(&mut self, settings: impl IntoIterator<Item = Setting>) {
        for setting in settings {
            self.put(setting);
        }
    }

    fn get(&mut self, name: &str) -> Option<&Value> {
        let key = KEYS.iter().find(|key| key.name == name)?;
        self.values(key)?.last().map(|(value, _)| value)
    }

    /// Sets the batch from the memory limit where no layer did.
    fn derive_batch(&mut self) -> Result<(), ProfileError> {
        let memory = self.get("memory_mb").and_then(Value::as_integer);
        if self.get("batch").is_none()
            && let Some(memory) = memory.and_then(|memory| u64::try_from(memory).ok())
        {
            let from = format!("max(1, ({memory} - 400) / 50) from memory_mb");
            // A host with hundreds of GiB would come out above the largest batch.
            let batch = default_batch(memory).min(4096).to_string();
            let setting = source::from_flag("batch", "batch", &batch)?;
            self.put(Setting {
                origin: Origin::Derived(from),
                ..setting
            });
        }
        Ok(())
    }

    /// The profile of the values that hold, and the origin of each.
    pub(crate) fn finish(mut self, identity: Identity) -> Result<Resolved, ProfileError> {
        self.derive_batch()?;
        let mut table = Table::new();
        let mut entries = Vec::with_capacity(KEYS.len());
        for (key, mut values) in KEYS.iter().zip(self.0) {
            let Some((value, origin)) = values.pop() else {
                continue;
            };
            let replaced = values
                .into_iter()
                .map(|(value, origin)| (text_of(&value), origin))
                .collect();
            entries.push(Entry {
                key: key.name,
                value: text_of(&value),
                origin,
                replaced,
            });
            insert(&mut table, key.name, value);
        }
        let profile =
            table
                .try_into()
                .map_err(|error: toml::de::Error| ProfileError::Incomplete {
                    preset: identity.preset,
                    message: error.message().to_owned(),
                })?;
        Ok(Resolved {
            profile,
            preset: identity.preset,
            chosen: identity.chosen,
            lineage: identity.lineage,
            automatic: identity.automatic,
            entries,
        })
    }
}

/// Puts a value at `name`, or at `name` inside a table for `table.name`.
fn insert(table: &mut Table, name: &str, value: Value) {
    match name.split_once('.') {
        None => {
            table.insert(name.to_owned(), value);
        }
        Some((outer, inner)) => {
            let entry = table
                .entry(outer)
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(entry) = entry {
                entry.insert(inner.to_owned(), value);
            }
        }
    }
}

/// A value for people to read: text without quotes, lists joined by semicolons.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}
