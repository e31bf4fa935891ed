//! One catalogue over all models: what is written about a rule, whatever kind of state it steps.

use super::{Machine, Rule};
use crate::rule::{Force, Kind};
use crate::source::Source;

/// What is written about a rule of any model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its permanent name.
    pub id: &'static str,
    /// What it says, in one sentence.
    pub says: &'static str,
    /// What it rests on; never empty.
    pub sources: &'static [Source],
    /// How binding it is.
    pub force: Force,
    /// What firing it does.
    pub kind: Kind,
}

impl<M: Machine> From<&Rule<M>> for Described {
    fn from(rule: &Rule<M>) -> Self {
        let Rule { id, says, sources, force, kind, .. } = *rule;
        Self { id, says, sources, force, kind }
    }
}

impl From<&crate::Rule> for Described {
    fn from(rule: &crate::Rule) -> Self {
        let crate::Rule { id, says, sources, force, kind, .. } = *rule;
        Self { id, says, sources, force, kind }
    }
}

/// Every rule of every model: links, regions, races, names.
pub fn all() -> Vec<Described> {
    let links = crate::rules::all().iter().map(Described::from);
    let regions = crate::region::Region::rules().iter().map(Described::from);
    let races = crate::race::RULES.iter().copied();
    let names = crate::namespace::Namespace::rules().iter().map(Described::from);
    links.chain(regions).chain(races).chain(names).collect()
}
