//! Which rules have fired in a history that a monitor has found legal. Outside of closing and of
//! sleeping there is one rule for what a call of each kind was told, so this takes no search.

use rustc_hash::FxHashSet;

use crate::history::Calls;
use crate::op::{Mode, Op, Process, Refusal, Ret};
use crate::profile::{Capacity, Profile};
use crate::rule::{RuleId, RuleSet};
use crate::verdict::Coverage;

/// The rules by which the completed calls took effect. Pending calls may have fired more.
pub(crate) fn fired(profile: &Profile, calls: Calls<'_>) -> Coverage {
    let zero = profile.capacity == Capacity::Zero;
    let mut hasty: FxHashSet<(Process, u32)> = FxHashSet::default();
    if zero {
        let Ok(()) = calls.each(|_, o| {
            hasty.extend(hasty_send(o));
            Ok::<_, std::convert::Infallible>(())
        });
    }
    // One entry for each kind of call and answer, so that names are looked up once.
    let mut seen = FxHashSet::default();
    let mut rules = RuleSet::default();
    let Ok(()) = calls.each(|_, o| {
        let Some((_, ret)) = o.ret else { return Ok::<_, std::convert::Infallible>(()) };
        let met_hasty = match ret {
            Ret::Received(m) if zero => hasty.contains(&(m.sender, m.sequence)),
            _ => false,
        };
        let refusal = if let Ret::Refused(refusal) = ret { Some(refusal) } else { None };
        let sends = matches!(o.op, Op::Send { .. });
        if seen.insert((sends, o.op.mode(), refusal, met_hasty)) {
            let name = name(profile.capacity, sends, o.op.mode(), refusal, met_hasty);
            if let Some(rule) = name.and_then(RuleId::of) {
                rules.insert(rule);
            }
        }
        Ok(())
    });
    Coverage { any: rules, every: rules }
}

/// The message of a send that did not wait, yet met its receiver.
fn hasty_send(o: &crate::Operation) -> Option<(Process, u32)> {
    let met = matches!(o.ret, Some((_, Ret::Done))) && o.op.mode() == Mode::Nonblocking;
    o.op.message().filter(|_| met).map(|m| (m.sender, m.sequence))
}

fn name(
    capacity: Capacity,
    sends: bool,
    mode: Mode,
    refusal: Option<Refusal>,
    met_hasty: bool,
) -> Option<&'static str> {
    use Mode::{Blocking, Nonblocking, Timed};
    let zero = capacity == Capacity::Zero;
    Some(match (zero, sends, mode, refusal) {
        // The receiver of a meeting tells which rule joined the two.
        (true, true, _, None) => return None,
        (true, false, _, None) if met_hasty => "rendezvous.try_send.meets",
        (true, false, Nonblocking, None) => "rendezvous.try_receive.meets",
        (true, false, _, None) => "rendezvous.meets",
        (true, true, Timed, _) => "rendezvous.send_timeout.expires",
        (true, true, _, _) => "rendezvous.try_send.alone.refuses",
        (true, false, Timed, _) => "rendezvous.receive_timeout.expires",
        (true, false, _, _) => "rendezvous.try_receive.alone.refuses",
        (false, true, mode, None) => match (capacity, mode) {
            (Capacity::Unbounded, Blocking) => "send.unbounded.accepts",
            (Capacity::Unbounded, Nonblocking) => "try_send.unbounded.accepts",
            (Capacity::Unbounded, Timed) => "send_timeout.unbounded.accepts",
            (_, Blocking) => "send.room.accepts",
            (_, Nonblocking) => "try_send.room.accepts",
            (_, Timed) => "send_timeout.room.accepts",
        },
        (false, true, Timed, _) => "send_timeout.full.expires",
        (false, true, _, _) => "try_send.full.refuses",
        (false, false, Blocking, None) => "receive.message.takes",
        (false, false, Nonblocking, None) => "try_receive.message.takes",
        (false, false, Timed, None) => "receive_timeout.message.takes",
        (false, false, Timed, _) => "receive_timeout.empty.expires",
        (false, false, _, _) => "try_receive.empty.refuses",
    })
}
