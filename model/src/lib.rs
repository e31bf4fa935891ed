//! An executable formal model of inter-process communication.
//!
//! ```text
//! statements ─► rules ─► Spec ──┬──────────────────► check ─► Verdict
//!                               ▼                      ▲
//! Scenario ───────────────► explore                 History
//! ```
//!
//! A [`rules`] catalogue says, rule by rule, what a send, a receive or a close may do. A
//! [`Profile`] says what a link claims; the [`Spec`] of the link is the labelled transition system
//! of the rules that its profile switches on. [`explore`] walks every behaviour of a small
//! [`Scenario`]; [`check()`] decides whether a recorded [`History`] is one of them.
//!
//! ```
//! use ipc_model::{Profile, check, read_jsonl};
//! let recorded = r#"
//! {"process":0,"type":"invoke","f":"send","value":"0:0","time":1}
//! {"process":0,"type":"ok","f":"send","time":2}
//! {"process":1,"type":"invoke","f":"try_receive","time":3}
//! {"process":1,"type":"fail","f":"try_receive","error":"empty","time":4}
//! "#;
//! let (_, history) = read_jsonl(recorded).unwrap();
//! let verdict = check(&Profile::default(), &history);
//! let counterexample = verdict.counterexample().unwrap();
//! assert_eq!(counterexample.rule.rule().id, "try_receive.message.takes");
//! ```
#![forbid(unsafe_code)]

pub mod check;
pub mod cover;
pub mod defect;
pub mod explore;
mod history;
pub mod lanes;
pub mod machine;
pub mod mock;
pub mod mutant;
pub mod namespace;
mod op;
mod profile;
pub mod race;
pub mod region;
mod rule;
pub mod rules;
mod scenario;
pub mod scenarios;
mod source;
mod spec;
mod state;
mod verdict;

pub use check::{Budget, Checker, Pattern, Shape, check, check_spec};
pub use history::{
    BINARY_MAGIC, BinaryReading, EdnReading, Header, History, HistoryError, Lines, ListReading,
    Log, Operation, Reading, read_binary, read_edn, read_jsonl, read_porcupine, write_binary,
    write_jsonl,
};
pub use op::{Message, Mode, Op, Process, Refusal, Ret};
pub use profile::{
    Addressing, Capacity, Contradiction, Distribution, Holders, Modes, Notice, Order, Profile, Size,
};
pub use rule::{Force, Kind, Outcomes, Rule, RuleId, RuleSet};
pub use scenario::{Scenario, ScenarioBuilder, ScenarioError, Script, Step};
pub use source::{STATEMENTS, Shown, Source, Statement, statement};
pub use spec::Spec;
pub use state::{Call, Ends, Link, ProcessSet, State, Waiting};
pub use verdict::{Allowed, Counterexample, Coverage, Got, Verdict};

/// The largest message that any scenario sends, in bytes. A link that takes larger ones makes no
/// claim about refusing them that a scenario could test.
pub const LARGEST_MESSAGE: u32 = 1 << 20;
