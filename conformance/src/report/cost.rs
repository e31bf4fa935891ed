//! What links cost, read from what `ipc-conform bench` has written. The reader takes what it knows
//! and leaves the rest: a measurement of another version shows what it has.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The costs of links, measured side by side in one run.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Costs {
    /// `ipc-bench/1`.
    pub format: String,
    /// On what it was measured.
    #[serde(default)]
    pub environment: BTreeMap<String, serde_json::Value>,
    /// The contenders.
    #[serde(default)]
    pub links: Vec<Cost>,
}

/// The cost of one link.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Cost {
    /// Name of the contender: an adapter and perhaps a configuration.
    pub name: String,
    /// Nanoseconds a message, by length in bytes.
    #[serde(default)]
    pub one_way: BTreeMap<u32, Figure>,
    /// System calls a message, of both ends together, by length in bytes.
    #[serde(default)]
    pub calls: BTreeMap<u32, f64>,
}

/// A time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
pub struct Figure {
    /// Nanoseconds: the median of the rounds.
    pub median: f64,
}

impl Costs {
    /// Reads the file.
    ///
    /// # Errors
    /// It is none of the kind.
    pub fn parse(text: &str) -> Result<Self, String> {
        let costs: Self =
            serde_json::from_str(text).map_err(|e| format!("no costs of links: {e}"))?;
        match costs.format.strip_prefix("ipc-bench/") {
            Some(_) => Ok(costs),
            None => Err(format!("its format is {:?}, expected \"ipc-bench/1\"", costs.format)),
        }
    }

    /// The lengths that anything was measured with.
    pub fn sizes(&self) -> Vec<u32> {
        let mut sizes: Vec<u32> =
            self.links.iter().flat_map(|l| l.one_way.keys().copied()).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    /// The contenders of this adapter.
    pub fn of<'a>(&'a self, adapter: &'a str) -> impl Iterator<Item = &'a Cost> {
        let plain = adapter.split('@').next().unwrap_or(adapter);
        self.links.iter().filter(move |l| l.name.split('/').next() == Some(plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_taken_and_the_rest_is_left() {
        let text = r#"{"format":"ipc-bench/1","rounds":7,"environment":{"cpus":2},
            "links":[{"name":"own/ring","family":"ours","calls":{"8":0.0},"spinning":null,
            "one_way":{"8":{"median":41.5,"capacity":64},"1024":{"median":90.0}}}]}"#;
        let costs = Costs::parse(text).unwrap();
        assert_eq!(costs.sizes(), [8, 1024]);
        assert_eq!(costs.of("own@1").next().unwrap().one_way[&8].median, 41.5);
        assert!(Costs::parse(r#"{"format":"ipc-report/1"}"#).unwrap_err().contains("ipc-bench/1"));
    }
}
