//! A rule: data, and one pure function.

use std::fmt;

use crate::profile::Profile;
use crate::rules::at::At;
use crate::source::Source;
use crate::state::State;

/// How binding a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Force {
    /// Breaking it is a `fail`.
    Shall,
    /// Missing it is a `deviates`.
    Should,
    /// Nothing asks for either behaviour: the value is recorded and compared.
    Unspecified,
}

impl fmt::Display for Force {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Force::Shall => "shall",
            Force::Should => "should",
            Force::Unspecified => "unspecified",
        })
    }
}

/// What firing a rule does to the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The call takes effect and returns.
    Completes,
    /// The call returns without an effect, at once.
    Refuses,
    /// The call returns without an effect, after its deadline.
    Expires,
    /// The call sleeps. Such a rule is the name of a silence: it is enabled exactly where no
    /// other rule of the call is (the explorer holds it to that).
    Blocks,
    /// Something happens that no process asked for, such as the system closing a dead process's
    /// ends.
    Internal,
    /// Not a step, but a property that every execution has.
    Property,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Completes => "completes",
            Kind::Refuses => "refuses",
            Kind::Expires => "expires",
            Kind::Blocks => "blocks",
            Kind::Internal => "internal",
            Kind::Property => "property",
        })
    }
}

/// The states that one firing of a rule may lead to; `None` where the rule is not enabled.
pub type Outcomes = Option<Vec<State>>;

/// One rule of the model.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Its permanent name, `call.case.effect`: never renumbered, never used again.
    pub id: &'static str,
    /// What it says, in one sentence.
    pub says: &'static str,
    /// What it rests on; never empty.
    pub sources: &'static [Source],
    /// How binding it is.
    pub force: Force,
    /// What firing it does.
    pub kind: Kind,
    /// Whether a link of this profile claims it.
    pub claimed: fn(&Profile) -> bool,
    /// The step itself. It sees the whole state, so that a rendezvous is one joint step.
    pub step: fn(&At<'_>) -> Outcomes,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

/// A rule's place in the list of rules, for compact sets. Not stable between versions: what
/// is written down is always the rule's name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub(crate) u8);

impl RuleId {
    /// The rule itself.
    pub fn rule(self) -> &'static Rule {
        &crate::rules::all()[self.0 as usize]
    }

    /// The rule of this name.
    pub fn of(name: &str) -> Option<Self> {
        crate::rules::all().iter().position(|r| r.id == name).map(|i| Self(i as u8))
    }

    /// Every rule, in the order of the catalogue.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..crate::rules::all().len()).map(|i| Self(i as u8))
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule().id)
    }
}

impl fmt::Debug for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule().id)
    }
}

/// A set of rules.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct RuleSet([u64; 4]);

impl RuleSet {
    /// Puts a rule in.
    pub fn insert(&mut self, rule: RuleId) {
        self.0[rule.0 as usize / 64] |= 1 << (rule.0 % 64);
    }

    /// Whether the rule is in.
    pub fn contains(&self, rule: RuleId) -> bool {
        self.0[rule.0 as usize / 64] >> (rule.0 % 64) & 1 == 1
    }

    /// Those in either.
    pub fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    /// Those in both.
    pub fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & other.0[i]))
    }

    /// Whether no rule is in.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// The members, in the order of the catalogue.
    pub fn iter(self) -> impl Iterator<Item = RuleId> {
        RuleId::all().filter(move |r| self.contains(*r))
    }
}

impl FromIterator<RuleId> for RuleSet {
    fn from_iter<I: IntoIterator<Item = RuleId>>(rules: I) -> Self {
        let mut set = Self::default();
        rules.into_iter().for_each(|r| set.insert(r));
        set
    }
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
