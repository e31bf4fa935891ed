//! Replay files: a counterexample, with all that is needed to judge it again or to run it again.

use ipc_model::{History, Profile, RuleId, Scenario, read_jsonl, write_jsonl};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::adapter::Claim;
use crate::protocol::Way;

/// A counterexample on file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// `ipc-replay/1`.
    pub format: String,
    /// Name of the adapter.
    pub adapter: String,
    /// The configuration.
    pub link: String,
    /// What it claims.
    pub profile: Profile,
    /// The rule that was broken.
    pub rule: String,
    /// How the processes were run.
    pub way: Way,
    /// What they did.
    pub scenario: Scenario,
    /// What was recorded, cut down to what breaks the rule: lines of the history format.
    pub history: Vec<String>,
}

impl Replay {
    /// The name of this version of the format.
    pub const FORMAT: &'static str = "ipc-replay/1";

    /// The counterexample of `rule` on the link that `claim` describes.
    pub fn new(
        adapter: &str,
        claim: &Claim,
        rule: RuleId,
        way: Way,
        scenario: &Scenario,
        history: &History,
    ) -> Self {
        let lines = write_jsonl(Some(&claim.profile), history);
        Self {
            format: Self::FORMAT.into(),
            adapter: adapter.into(),
            link: claim.link.clone(),
            profile: claim.profile,
            rule: rule.to_string(),
            way,
            scenario: scenario.clone(),
            history: lines.lines().map(String::from).collect(),
        }
    }

    /// Reads a replay file.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse(text, "a replay file", Self::FORMAT, |replay: &Self| &replay.format)
    }

    /// The recorded history.
    ///
    /// # Errors
    /// If it is none.
    pub fn recorded(&self) -> Result<History, String> {
        let (_, history) = read_jsonl(&self.history.join("\n")).map_err(|e| e.to_string())?;
        Ok(history)
    }
}

/// Reads a file that says of itself which format it has.
pub(crate) fn parse<T: DeserializeOwned>(
    text: &str,
    what: &str,
    expected: &str,
    format: impl Fn(&T) -> &str,
) -> Result<T, String> {
    let file: T = serde_json::from_str(text).map_err(|e| format!("not {what}: {e}"))?;
    match format(&file) {
        found if found == expected => Ok(file),
        found => Err(format!("format {found:?} is not {expected:?}")),
    }
}

/// Whether the text says that its format begins so, well formed or not.
pub(crate) fn claims_format(text: &str, prefix: &str) -> bool {
    let value: Option<serde_json::Value> = serde_json::from_str(text).ok();
    value.is_some_and(|v| v["format"].as_str().is_some_and(|f| f.starts_with(prefix)))
}
