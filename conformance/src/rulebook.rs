//! Every rule that has a row in the report, whichever part of the suite decides it.
//!
//! The message model decides most of them from recorded histories ([`crate::suite`]). What the
//! model cannot see (descriptors, files, other users) is decided by [`crate::probe`].

use std::collections::BTreeSet;

use ipc_model::machine::Described;
use ipc_model::{Kind, RuleId, RuleSet};

use crate::adapter::Claim;
use crate::objects;
use crate::probe::{self, Probe};
use crate::stepping;
use crate::suite::Plan;

/// One rule of the suite.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What is written about it.
    pub about: Described,
    /// What decides it.
    pub decided: Decided,
}

/// What decides a rule.
#[derive(Clone, Copy, Debug)]
pub enum Decided {
    /// The message model, from recorded histories.
    Model(RuleId),
    /// A look at the real world.
    Probe(&'static Probe),
    /// Stepping through the link's own program, where that is asked for.
    Stepped(&'static stepping::Rule),
    /// The model of memory or the one of names, from programs on named objects.
    Objects,
}

impl Entry {
    /// Whether the link claims the rule.
    pub fn is_claimed(&self, claim: &Claim) -> bool {
        match self.decided {
            Decided::Model(rule) => (rule.rule().claimed)(&claim.profile),
            Decided::Probe(probe) => (probe.claimed)(claim),
            Decided::Stepped(rule) => rule.is_claimed(claim).is_ok(),
            // Only objects claim it, and those make no claims of messages.
            Decided::Objects => false,
        }
    }

    /// Whether it takes longer than the plan has the time for.
    pub fn is_left_out(&self, plan: Plan) -> bool {
        matches!(self.decided, Decided::Probe(probe) if probe.deep && !plan.is_deep())
    }
}

/// Every rule, in the order of reports. Rules of the model that cannot be seen from outside have
/// no row.
pub fn all() -> impl Iterator<Item = Entry> {
    let visible = RuleId::all().filter(|r| r.rule().kind != Kind::Internal);
    let model = visible.map(|r| Entry { about: r.rule().into(), decided: Decided::Model(r) });
    let probes = probe::PROBES.iter().copied();
    model.chain(probes.map(|p| Entry { about: p.about, decided: Decided::Probe(p) }))
}

/// The rules that only stepped runs decide. They have a row where such runs are asked for.
pub fn stepped() -> impl Iterator<Item = Entry> {
    let entry = |rule: &'static stepping::Rule| Entry {
        about: rule.about,
        decided: Decided::Stepped(rule),
    };
    stepping::RULES.iter().map(entry)
}

/// The rules of named objects. They have a row where objects are among the links.
pub fn objects() -> impl Iterator<Item = Entry> {
    objects::rules().map(|about| Entry { about, decided: Decided::Objects })
}

/// All of them.
pub fn everything() -> impl Iterator<Item = Entry> {
    all().chain(stepped()).chain(objects())
}

/// The rule of this name.
pub fn named(id: &str) -> Option<Entry> {
    everything().find(|entry| entry.about.id == id)
}

/// The rules that a run is asked to decide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// `None`: all of them.
    some: Option<BTreeSet<&'static str>>,
    /// Whether links are stepped.
    stepped: bool,
}

impl Asked {
    /// All of them.
    pub const EVERYTHING: Self = Self { some: None, stepped: false };

    /// The same, and links are stepped, too.
    #[must_use]
    pub fn and_stepped(self) -> Self {
        Self { stepped: true, ..self }
    }

    /// Whether links are stepped.
    pub fn is_stepped(&self) -> bool {
        self.stepped
    }

    /// Whether the rule is among them.
    pub fn includes(&self, id: &str) -> bool {
        self.some.as_ref().is_none_or(|some| some.contains(id))
    }

    /// Whether no rule is left out.
    pub fn is_everything(&self) -> bool {
        self.some.is_none()
    }

    /// Those that the message model decides; `None` if that is every one.
    pub fn of_the_model(&self) -> Option<RuleSet> {
        let some = self.some.as_ref()?;
        Some(some.iter().filter_map(|id| RuleId::of(id)).collect())
    }
}

impl FromIterator<Entry> for Asked {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let stepped = entries.iter().any(|e| matches!(e.decided, Decided::Stepped(_)));
        Self { some: Some(entries.iter().map(|entry| entry.about.id).collect()), stepped }
    }
}
