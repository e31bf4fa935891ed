//! Which rules have fired in a history that a monitor has found legal. Outside of sleeping there is
//! one rule for what a call of each kind was told, so this takes no search; only of a message that
//! was received while the last sender closed it is open whether that drained the link.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::history::{Calls, Operation};
use crate::op::{Mode, Op, Process, Refusal, Ret};
use crate::profile::{Capacity, Notice, Profile};
use crate::rule::RuleId;
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
    let mut seen: FxHashMap<_, Span> = FxHashMap::default();
    let mut closes = Vec::new();
    let Ok(()) = calls.each(|_, o| {
        let met_hasty = match o.ret {
            Some((_, Ret::Received(m))) if zero => hasty.contains(&(m.sender, m.sequence)),
            _ => false,
        };
        let link = o.op.link();
        if let Op::Close { .. } = o.op {
            closes.push((link, o.process, Span::of(o)));
        } else if let Some((_, ret)) = o.ret {
            let refusal = if let Ret::Refused(refusal) = ret { Some(refusal) } else { None };
            let sends = matches!(o.op, Op::Send { .. });
            let kind = (sends, o.op.mode(), refusal, met_hasty, link);
            seen.entry(kind).and_modify(|all| all.take_in(Span::of(o))).or_insert(Span::of(o));
        }
        Ok::<_, std::convert::Infallible>(())
    });
    let closed = closed(profile, calls, &closes);
    let mut coverage = Coverage::default();
    let mut fire = |name: Option<&str>, surely: bool| {
        let Some(rule) = name.and_then(RuleId::of) else { return };
        coverage.any.insert(rule);
        if surely {
            coverage.every.insert(rule);
        }
    };
    if closes.iter().any(|(.., close)| close.last_return != NEVER) {
        fire(Some("close.returns"), true);
    }
    for ((sends, mode, refusal, met_hasty, link), all) in seen {
        let name = name(profile.capacity, sends, mode, refusal, met_hasty);
        let takes = !sends && refusal.is_none() && !zero;
        match closed.get(usize::from(link)).copied().flatten().filter(|_| takes) {
            None => fire(name, true),
            // The last sender closed after its last call and before the last return: a message that
            // was received meanwhile may have come out before or after.
            Some(last) => {
                if all.first_call < last.last_return {
                    fire(name, all.first_return <= last.last_call);
                }
                if all.last_return > last.last_call {
                    fire(Some("receive.closed.drains"), all.last_call >= last.last_return);
                }
            }
        }
    }
    coverage
}

/// No call of the history is so late.
const NEVER: u64 = u64::MAX;

/// When calls began and returned.
#[derive(Clone, Copy)]
struct Span {
    first_call: u64,
    last_call: u64,
    first_return: u64,
    last_return: u64,
}

impl Span {
    fn of(o: &Operation) -> Self {
        let returned = o.ret.map_or(NEVER, |(time, _)| time);
        let (first_call, last_call) = (o.call, o.call);
        Self { first_call, last_call, first_return: returned, last_return: returned }
    }

    fn take_in(&mut self, other: Self) {
        self.first_call = self.first_call.min(other.first_call);
        self.last_call = self.last_call.max(other.last_call);
        self.first_return = self.first_return.min(other.first_return);
        self.last_return = self.last_return.max(other.last_return);
    }
}

/// The closes of all senders of each link, if all closed and that is reported.
fn closed(
    profile: &Profile,
    calls: Calls<'_>,
    closes: &[(u8, Process, Span)],
) -> Vec<Option<Span>> {
    if closes.is_empty() || profile.sender_closed == Notice::Silent {
        return Vec::new();
    }
    let of_link = |(link, ends): (usize, Ends)| {
        let theirs = closes
            .iter()
            .filter(|(of, process, _)| usize::from(*of) == link && ends.senders.contains(*process));
        let (mut who, mut all) = (ProcessSet::default(), None::<Span>);
        for &(_, process, close) in theirs {
            who.insert(process);
            all.get_or_insert(close).take_in(close);
        }
        all.filter(|_| who == ends.senders)
    };
    calls.ends().into_iter().enumerate().map(of_link).collect()
}

/// The message of a send that did not wait, yet met its receiver.
fn hasty_send(o: &Operation) -> Option<(Process, u32)> {
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
