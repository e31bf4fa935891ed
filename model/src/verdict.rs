//! What came of checking one history.

use std::fmt;

use crate::check::Pattern;
use crate::history::History;
use crate::op::{Op, Process, Ret};
use crate::rule::{RuleId, RuleSet};

/// Which rules the steps that explain a history have fired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Fired on some sequence of steps that explains the history.
    pub any: RuleSet,
    /// Fired on every sequence of steps that explains it: the history cannot do without.
    pub every: RuleSet,
}

/// The three values, and what each rests on.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Some sequence of steps of the model explains the history.
    Pass {
        /// The rules it took.
        coverage: Coverage,
        /// Rules of force `should` that the history misses.
        deviations: Vec<Counterexample>,
    },
    /// No sequence of steps explains it.
    Fail(Box<Counterexample>),
    /// The check was given up; this is why.
    Inconclusive(String),
}

impl Verdict {
    /// Whether it is a pass.
    pub fn passed(&self) -> bool {
        matches!(self, Verdict::Pass { .. })
    }

    /// The counterexample, if it failed.
    pub fn counterexample(&self) -> Option<&Counterexample> {
        match self {
            Verdict::Fail(counterexample) => Some(counterexample),
            _ => None,
        }
    }
}

/// What the process was told, or that it was told nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    /// The call returned this.
    Returned(Ret),
    /// The call never returned, though nothing moved any more.
    Stuck,
}

/// What the model allows the call to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allowed {
    /// Return this.
    Return(Ret),
    /// Go on waiting.
    Wait,
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Allowed::Return(ret) => write!(f, "{ret}"),
            Allowed::Wait => write!(f, "waiting"),
        }
    }
}

/// Why a history is not one of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Counterexample {
    /// The rule that is broken.
    pub rule: RuleId,
    /// Who met it.
    pub process: Process,
    /// In which call.
    pub op: Op,
    /// What the call did.
    pub got: Got,
    /// When: the time of the return, or of the end.
    pub time: u64,
    /// What was allowed there instead, and by which rule.
    pub allowed: Vec<(Allowed, RuleId)>,
    /// The shortest history found that still fails so.
    pub history: History,
    /// What a person would point at, where the violation has a shape with a name.
    pub pattern: Option<Pattern>,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.process, self.op)?;
        match self.got {
            Got::Returned(ret) => write!(f, "returned {ret}")?,
            Got::Stuck => write!(f, "never returned, though nothing moves any more")?,
        }
        write!(f, "; allowed here: ")?;
        if self.allowed.is_empty() {
            return write!(f, "nothing at all");
        }
        for (i, (allowed, rule)) in self.allowed.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}{allowed} (by {rule})")?;
        }
        Ok(())
    }
}
