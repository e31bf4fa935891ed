//! Which rules have fired in a history that a monitor has found legal. Outside of sleeping there is
//! one rule for what a call of each kind was told, so this takes no search; only of a message that
//! was received while the last sender closed it is open whether that drained the link.

use rustc_hash::FxHashSet;

use crate::history::Calls;
use crate::op::{Mode, Op, Process, Refusal, Ret};
use crate::profile::{Capacity, Notice, Profile};
use crate::rule::{RuleId, RuleSet};
use crate::state::{Ends, ProcessSet};
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
    let (mut any, mut every) = (RuleSet::default(), RuleSet::default());
    let closed = closed(profile, calls);
    let Ok(()) = calls.each(|_, o| {
        let Some((_, ret)) = o.ret else { return Ok::<_, std::convert::Infallible>(()) };
        let met_hasty = match ret {
            Ret::Received(m) if zero => hasty.contains(&(m.sender, m.sequence)),
            _ => false,
        };
        let refusal = if let Ret::Refused(refusal) = ret { Some(refusal) } else { None };
        let call = match o.op {
            Op::Close { .. } => None,
            op => Some((matches!(op, Op::Send { .. }), op.mode())),
        };
        let drains = match ret {
            Ret::Received(_) => drains(o, &closed),
            _ => Some(false),
        };
        if seen.insert((call, refusal, met_hasty, drains)) {
            let rule = |drains| {
                let name = match call {
                    None => Some("close.returns"),
                    Some(_) if drains && !zero => Some("receive.closed.drains"),
                    Some((sends, mode)) => name(profile.capacity, sends, mode, refusal, met_hasty),
                };
                name.and_then(RuleId::of)
            };
            match drains {
                Some(drains) => rule(drains).into_iter().for_each(|rule| {
                    any.insert(rule);
                    every.insert(rule);
                }),
                None => [rule(true), rule(false)]
                    .into_iter()
                    .flatten()
                    .for_each(|rule| any.insert(rule)),
            }
        }
        Ok(())
    });
    Coverage { any, every }
}

/// When the last sender of each link closed, if all did and that is reported: after the first of
/// the two times, and before the second.
fn closed(profile: &Profile, calls: Calls<'_>) -> Vec<Option<(u64, u64)>> {
    if profile.sender_closed == Notice::Silent {
        return Vec::new();
    }
    let ends = calls.ends();
    let mut all = vec![(ProcessSet::default(), 0, 0); ends.len()];
    let Ok(()) = calls.each(|_, o| {
        if let Op::Close { link } = o.op
            && ends[usize::from(link)].senders.contains(o.process)
        {
            let (who, from, to) = &mut all[usize::from(link)];
            who.insert(o.process);
            *from = o.call.max(*from);
            *to = o.ret.map_or(u64::MAX, |(time, _)| time).max(*to);
        }
        Ok::<_, std::convert::Infallible>(())
    });
    let whole = |((who, from, to), ends): ((ProcessSet, u64, u64), &Ends)| {
        (who == ends.senders && !who.is_empty()).then_some((from, to))
    };
    all.into_iter().zip(&ends).map(whole).collect()
}

/// Whether a receive that got a message found the last sender gone; `None` if that is open.
fn drains(o: &crate::Operation, closed: &[Option<(u64, u64)>]) -> Option<bool> {
    let Some(&Some((from, to))) = closed.get(usize::from(o.op.link())) else { return Some(false) };
    match o.ret {
        Some((returned, _)) if returned <= from => Some(false),
        _ if o.call >= to => Some(true),
        _ => None,
    }
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
        (_, true, Blocking, Some(Refusal::Closed)) => "send.no-receiver.closed",
        (_, true, Nonblocking, Some(Refusal::Closed)) => "try_send.no-receiver.closed",
        (_, true, Timed, Some(Refusal::Closed)) => "send_timeout.no-receiver.closed",
        (_, false, Blocking, Some(Refusal::Closed)) => "receive.drained.closed",
        (_, false, Nonblocking, Some(Refusal::Closed)) => "try_receive.drained.closed",
        (_, false, Timed, Some(Refusal::Closed)) => "receive_timeout.drained.closed",
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
