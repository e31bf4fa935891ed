//! The catalogue of names. Where several refusals are due, any of them may come: POSIX leaves the
//! order open in which errors are detected (XSH 2.3).

use std::sync::OnceLock;

use super::op::{Op, Ret};
use super::state::{Mailbox, State};
use super::{At, Condition, NameRule, Namespace, OddNames};
use crate::machine::{Effect, Effects, Errno};

mod open;
mod properties;
mod unlink;
mod using;

/// Every rule, in the order in which reports list them.
pub(super) fn all() -> &'static [NameRule] {
    static ALL: OnceLock<Vec<NameRule>> = OnceLock::new();
    ALL.get_or_init(|| [open::RULES, unlink::RULES, using::RULES, properties::RULES].concat())
}

/// The name belongs to a mailbox.
const EXISTS: Condition = Condition::new("the name exists", |at| named(at).is_some());

/// The name is not one slash and something without a slash.
const ODD: Condition = Condition::new("the name is odd", |at| {
    let rest = name(at).and_then(|n| n.strip_prefix('/'));
    rest.is_none_or(|rest| rest.is_empty() || rest.contains('/'))
});

/// The name is longer than names may be.
const TOO_LONG: Condition = Condition::new("the name is too long", |at| {
    let name = name(at).unwrap_or_default();
    name.strip_prefix('/').unwrap_or(name).len() > at.machine.longest as usize
});

/// The system says that it refuses odd names.
const REFUSES_ODD: Condition =
    Condition::new("the system refuses odd names", |at| at.machine.odd_names == OddNames::Refused);

/// The name that the call gives.
fn name<'a>(at: &At<'a>) -> Option<&'a str> {
    match at.op {
        Op::Open { name, .. } | Op::Unlink { name } => Some(name),
        _ => None,
    }
}

/// The mailbox of the name that the call gives, and its place.
fn named<'a>(at: &At<'a>) -> Option<(usize, &'a Mailbox)> {
    at.state.named(name(at)?)
}

/// The call is told `ret`, and this is the state from then on.
fn becomes(next: State, ret: Ret) -> Effects<Namespace> {
    Some(vec![Effect::Done(next, ret)])
}

/// The call is refused; nothing else changes.
fn refused(at: &At<'_>, errno: Errno) -> Effects<Namespace> {
    becomes(at.state.clone(), Ret::Refused(errno))
}

/// The call is refused in one of these ways; nothing else changes.
fn refused_either(at: &At<'_>, errnos: &[Errno]) -> Vec<Effect<Namespace>> {
    errnos.iter().map(|e| Effect::Done(at.state.clone(), Ret::Refused(*e))).collect()
}
