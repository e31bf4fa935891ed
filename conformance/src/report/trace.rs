//! A counterexample as data: what formats draw, and what other programs can read.

use ipc_model::{Counterexample, Got, History, read_jsonl, write_jsonl};
use serde::{Deserialize, Serialize};

use crate::protocol::Way;

/// One thing that was allowed where something else was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedStep {
    /// What the call may return, or `waiting`.
    pub what: String,
    /// The rule that allows it.
    pub rule: String,
}

/// A counterexample: who met it, in which call, and the shortest history found that shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// Name of the scenario.
    pub scenario: String,
    /// How its processes were run.
    pub way: Way,
    /// Number of the process whose call it is.
    pub process: u16,
    /// The call.
    pub call: String,
    /// What it returned; `None`: it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<String>,
    /// When, by the clock of the history.
    pub time: u64,
    /// What was allowed instead.
    pub allowed: Vec<AllowedStep>,
    /// The history: lines of the format `ipc-history/1`.
    pub history: Vec<String>,
}

impl Trace {
    /// Takes a counterexample apart.
    pub fn of(counterexample: &Counterexample, scenario: &str, way: Way) -> Self {
        let allowed = counterexample.allowed.iter();
        Self {
            scenario: scenario.into(),
            way,
            process: counterexample.process.0,
            call: counterexample.op.to_string(),
            returned: match counterexample.got {
                Got::Returned(ret) => Some(ret.to_string()),
                Got::Stuck => None,
            },
            time: counterexample.time,
            allowed: allowed
                .map(|(what, rule)| AllowedStep { what: what.to_string(), rule: rule.to_string() })
                .collect(),
            history: write_jsonl(None, &counterexample.history).lines().map(String::from).collect(),
        }
    }

    /// The history; `None` if the lines are none, as those of another version may be.
    pub fn recorded(&self) -> Option<History> {
        read_jsonl(&self.history.join("\n")).ok().map(|(_, history)| history)
    }
}
