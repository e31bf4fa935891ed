//! The catalogue of regions. Where several refusals are due, any of them may come: POSIX leaves
//! the order open in which errors are detected (XSH 2.3).

use std::sync::OnceLock;

use super::op::{Op, Ret};
use super::state::{Handle, Object, State};
use super::{At, Condition, Region, RegionRule};
use crate::machine::{Effect, Effects, Errno};

mod access;
mod attach;
mod open;
mod properties;
mod release;
mod size;

/// Every rule, in the order in which reports list them.
pub(super) fn all() -> &'static [RegionRule] {
    static ALL: OnceLock<Vec<RegionRule>> = OnceLock::new();
    ALL.get_or_init(|| {
        [open::RULES, size::RULES, attach::RULES, access::RULES, release::RULES, properties::RULES]
            .concat()
    })
}

/// The handle that the call names is open.
const OPEN: Condition = Condition::new("the handle is open", |at| handle(at).is_some());

/// The name that the call gives belongs to an object.
const EXISTS: Condition = Condition::new("the name exists", |at| named(at).is_some());

/// The open handle that the call names.
fn handle(at: &At<'_>) -> Option<Handle> {
    let slot = match at.op {
        Op::SetSize { handle, .. }
        | Op::GetSize { handle }
        | Op::Attach { handle, .. }
        | Op::Close { handle } => handle,
        _ => return None,
    };
    at.state.holder(at.process).handles.get(slot).copied()
}

/// The object of the name that the call gives, and its place.
fn named<'a>(at: &At<'a>) -> Option<(usize, &'a Object)> {
    match at.op {
        Op::Open { name, .. } | Op::Unlink { name } => at.state.named(name),
        _ => None,
    }
}

/// The call is told `ret`, and this is the state from then on.
fn becomes(next: State, ret: Ret) -> Effects<Region> {
    Some(vec![Effect::Done(next, ret)])
}

/// The call is told `ret`; nothing else changes.
fn told(at: &At<'_>, ret: Ret) -> Effects<Region> {
    becomes(at.state.clone(), ret)
}

/// The call is refused; nothing else changes.
fn refused(at: &At<'_>, errno: Errno) -> Effects<Region> {
    told(at, Ret::Refused(errno))
}
