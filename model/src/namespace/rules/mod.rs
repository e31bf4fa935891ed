//! The catalogue of names. Where several refusals are due, any of them may come: POSIX leaves the
//! order open in which errors are detected (XSH 2.3).

use std::sync::OnceLock;

use super::op::{Access, Op, Ret};
use super::state::{Handle, Mailbox, State};
use super::{At, Condition, NameRule, Namespace, OddNames};
use crate::machine::{Effect, Effects, Errno};

mod notify;
mod open;
mod properties;
mod unlink;
mod using;
mod wait;

/// Every rule, in the order in which reports list them.
pub(super) fn all() -> &'static [NameRule] {
    static ALL: OnceLock<Vec<NameRule>> = OnceLock::new();
    ALL.get_or_init(|| {
        [open::RULES, unlink::RULES, using::RULES, wait::RULES, notify::RULES, properties::RULES]
            .concat()
    })
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

/// The handle that the call gives, if it is open.
fn handle(at: &At<'_>) -> Option<Handle> {
    let (Op::Put { handle, .. }
    | Op::Take { handle }
    | Op::Wait { handle }
    | Op::Notify { handle }
    | Op::Forget { handle }
    | Op::Close { handle }) = at.op
    else {
        return None;
    };
    at.state.holder(at.process).handles.get(handle).copied()
}

/// The mailbox behind the handle that the call gives.
fn mailbox<'a>(at: &At<'a>) -> Option<&'a Mailbox> {
    Some(at.state.mailbox(handle(at)?.mailbox))
}

const OPEN: Condition = Condition::new("the handle is open", |at| handle(at).is_some());

const TO_TAKE: Condition = Condition::new("the handle is open for taking", |at| {
    handle(at).is_some_and(|h| h.access != Access::Put)
});

const EMPTY: Condition = Condition::new("nothing rests in the mailbox", |at| {
    mailbox(at).is_none_or(|mailbox| mailbox.content.is_empty())
});

/// The oldest message is taken out of the mailbox.
fn takes(at: &At<'_>) -> Effects<Namespace> {
    let place = handle(at)?.mailbox;
    let mut next = at.state.clone();
    let content = &mut next.mailbox_mut(place).content;
    if content.is_empty() {
        return None;
    }
    let value = content.remove(0);
    becomes(next, Ret::Taken(value))
}

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
