//! Campaigns: a run of the suite, cut into shards that are run at different times and places.
//!
//! All runs of a campaign lie in one row: adapter by adapter, link by link, by threads before by
//! processes, the standard scenarios before the random ones. Every adapter has an equal stretch of
//! the row, whatever it claims, so that a shard knows which adapters it needs before any is built;
//! and every shard has an equal, contiguous stretch, so that it needs as few as possible.

use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One part of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    /// Which part: 1 to `of`.
    pub number: u32,
    /// How many parts there are.
    pub of: u32,
}

impl Shard {
    /// The whole campaign in one part.
    pub const WHOLE: Shard = Shard { number: 1, of: 1 };

    /// Whether it is the whole campaign.
    pub fn is_whole(self) -> bool {
        self == Self::WHOLE
    }

    /// Whether it needs the adapter at this place among `adapters` at all.
    pub fn needs(self, adapter: usize, adapters: usize) -> bool {
        let (begin, end) = self.stretch(adapters as u128);
        let at = adapter as u128 * u128::from(self.of);
        begin < at + u128::from(self.of) && end > at
    }

    /// Which of the `runs` of that adapter are this shard's.
    pub fn part(self, adapter: usize, adapters: usize, runs: u64) -> Range<u64> {
        // A run at place p of the row, which is (adapter + run / runs) / adapters, is in the shard
        // whose stretch holds p: whole numbers, so that no run is in two shards or in none.
        let (begin, end) = self.stretch(adapters as u128 * u128::from(runs));
        let first = adapter as u128 * u128::from(runs);
        let place = |edge: u128| {
            let run = edge.div_ceil(u128::from(self.of)).saturating_sub(first);
            run.min(u128::from(runs)) as u64
        };
        place(begin)..place(end)
    }

    /// Begin and end, where the whole row is `length` × `of` long.
    fn stretch(self, length: u128) -> (u128, u128) {
        (u128::from(self.number - 1) * length, u128::from(self.number) * length)
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers =
            text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err("give K/N, such as 3/8: which part, counted from 1, of how many".into()),
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// What a run was asked for: shards belong together if it is the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Campaign {
    /// The links, as they were named; none for the default ones.
    pub links: Vec<String>,
    /// The rules, if not all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The level.
    pub level: String,
    /// The seed.
    pub seed: u64,
    /// Which part of it this is.
    pub shard: Shard,
}

/// What is wrong with a heap of shards.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// The same part twice: its runs would count twice.
    #[error("shard {0} is there twice")]
    Doubled(Shard),
    /// Parts are not there.
    #[error("of {of} shards, {} missing: {}; --partial joins what there is", count(.missing), list(.missing))]
    Missing {
        /// How many there should be.
        of: u32,
        /// Which are not there.
        missing: Vec<u32>,
    },
}

fn count(missing: &[u32]) -> String {
    if missing.len() == 1 { "1 is".into() } else { format!("{} are", missing.len()) }
}

fn list(missing: &[u32]) -> String {
    let shown: Vec<String> = missing.iter().take(10).map(u32::to_string).collect();
    let more = if missing.len() > 10 { ", …" } else { "" };
    shown.join(", ") + more
}

/// Refuses parts that are there twice.
///
/// # Errors
/// The first one.
pub fn distinct(parts: &[Campaign]) -> Result<(), ShardError> {
    let mut sorted: Vec<&Campaign> = parts.iter().collect();
    sorted.sort();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ShardError::Doubled(pair[0].shard)),
        None => Ok(()),
    }
}

/// Refuses campaigns of which parts are missing.
///
/// # Errors
/// Which parts, of the first such campaign.
pub fn complete(parts: &[Campaign]) -> Result<(), ShardError> {
    for part in parts {
        let same = |other: &&Campaign| {
            let shard = Shard { of: part.shard.of, ..other.shard };
            **other == Campaign { shard, ..part.clone() }
        };
        let there: Vec<u32> = parts.iter().filter(same).map(|p| p.shard.number).collect();
        let missing: Vec<u32> = (1..=part.shard.of).filter(|n| !there.contains(n)).collect();
        if !missing.is_empty() {
            return Err(ShardError::Missing { of: part.shard.of, missing });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_of_every_adapter_is_in_exactly_one_shard() {
        for adapters in 1..6 {
            for of in 1..12 {
                for adapter in 0..adapters {
                    for runs in [0, 1, 2, 7, 100] {
                        let mut next = 0;
                        for number in 1..=of {
                            let shard = Shard { number, of };
                            let part = shard.part(adapter, adapters, runs);
                            if !part.is_empty() {
                                assert_eq!(part.start, next, "{shard} of {runs}");
                                assert!(shard.needs(adapter, adapters), "{shard}");
                                next = part.end;
                            }
                        }
                        assert_eq!(next, runs, "adapter {adapter} of {adapters}, {of} shards");
                    }
                }
            }
        }
    }

    #[test]
    fn a_shard_needs_few_adapters() {
        for of in [1_u32, 3, 8, 30] {
            for number in 1..=of {
                let needed = (0..30).filter(|a| Shard { number, of }.needs(*a, 30)).count();
                assert!(needed <= 30 / of as usize + 2, "{number}/{of} needs {needed}");
            }
        }
    }

    #[test]
    fn parts_are_read_and_refused() {
        assert_eq!("3/8".parse(), Ok(Shard { number: 3, of: 8 }));
        for wrong in ["", "3", "0/8", "9/8", "3/0", "-1/2", "a/b", "1/2/3"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn missing_and_doubled_parts_are_named() {
        let part = |number, of, seed| Campaign {
            links: vec![],
            rule: None,
            level: "deep".into(),
            seed,
            shard: Shard { number, of },
        };
        let all = [part(1, 3, 1), part(3, 3, 1), part(2, 3, 1), part(1, 1, 2)];
        assert_eq!((distinct(&all), complete(&all)), (Ok(()), Ok(())));
        let twice = [part(1, 2, 1), part(2, 2, 1), part(1, 2, 1)];
        assert_eq!(distinct(&twice), Err(ShardError::Doubled(Shard { number: 1, of: 2 })));
        let error = complete(&[part(2, 4, 1), part(1, 4, 2)]).unwrap_err().to_string();
        assert_eq!(error, "of 4 shards, 3 are missing: 1, 3, 4; --partial joins what there is");
    }
}
