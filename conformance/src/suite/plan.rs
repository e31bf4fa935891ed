//! How much is run.

/// How much of the suite is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Random scenarios for each way of running.
    pub random: u32,
    /// How many times more often races are run.
    pub repeat: u32,
    /// The seed of the random scenarios.
    pub seed: u64,
    /// Whether the first broken rule is enough.
    pub first_only: bool,
}

impl Plan {
    /// The plan of a level: `quick` takes seconds for a link, `standard` a minute, `deep` as long
    /// as it takes to see rare races.
    pub fn of_level(level: &str, seed: u64) -> Option<Self> {
        let (random, repeat) = match level {
            "quick" => (40, 1),
            "standard" => (1_000, 20),
            "deep" => (20_000, 400),
            _ => return None,
        };
        Some(Self { random, repeat, seed, first_only: false })
    }

    /// Whether it has the time for everything.
    pub fn is_deep(self) -> bool {
        self.repeat >= 400
    }
}
