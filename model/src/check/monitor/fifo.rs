//! Unbounded links: first in, first out, for all or for each sender, or in no order.
//!
//! A history of unique messages is one of a queue exactly if
//! 1. nothing is received twice, without having been sent, or before its send began;
//! 2. no two messages overtake each other: none entered certainly before another and left
//!    certainly after it;
//! 3. no answer "nothing is there" lies entirely in a time at which, at every moment, some message
//!    was certainly inside.
//!
//! Gibbons, Bruno and Phillips, *Black-box correctness tests* (2002); Henzinger, Sezgin and
//! Vafeiadis, *Aspect-oriented linearizability proofs* (CONCUR 2013). Condition 1 is checked while
//! the windows are read. The part about pending calls is ours: the tests hold it against all small
//! histories.

use rustc_hash::FxHashMap;

use super::coverage::{Coverage, chain};
use super::sorted::by_key;
use super::windows::{Flow, Lane, Moment, NEVER, PENDING, Window, Windows};
use super::{Finding, Violation};
use crate::check::pattern::Shape;
use crate::op::{Op, Process};
use crate::profile::{Order, Profile};

pub(super) fn check(profile: &Profile, windows: &Windows<'_>, lane: &Lane) -> Finding {
    if lane.hungry.is_empty() {
        return decide(profile, windows, lane, &lane.flows);
    }
    let fed = feed(&lane.flows, &lane.hungry);
    // Where a killed receiver's time to take a message was cut short, giving it for ever proves
    // violations only, and exactness is lost where each sender has an order of its own, since
    // which messages the pending receives took is then more than a matter of time.
    let found = decide(profile, windows, lane, &fed);
    let endless = lane.hungry.iter().all(|h| h.window.to == PENDING);
    match (found, profile.order) {
        (Finding::Legal, _) if endless => Finding::Legal,
        (Finding::Broken(violation), Order::Fifo | Order::Unordered) => Finding::Broken(violation),
        _ => match decide(profile, windows, lane, &lane.flows) {
            Finding::Legal => Finding::Legal,
            _ => Finding::Unsure("messages that killed receivers may have taken"),
        },
    }
}

/// Lets the pending receives take what nobody else received: the earliest of them the message that
/// entered earliest, since any other choice leaves more inside for longer.
pub(super) fn feed(flows: &[Flow], hungry: &[Moment]) -> Vec<Flow> {
    let mut fed = flows.to_vec();
    let mut left: Vec<usize> = (0..fed.len()).filter(|&i| !fed[i].received()).collect();
    left.sort_by_key(|&i| fed[i].send.to);
    let mut mouths: Vec<&Moment> = hungry.iter().collect();
    mouths.sort_by_key(|m| m.window.from);
    for (i, mouth) in left.into_iter().zip(mouths) {
        fed[i].receive = Window { from: mouth.window.from, to: PENDING };
        fed[i].receiver = mouth.operation;
    }
    fed
}

fn decide(profile: &Profile, windows: &Windows<'_>, lane: &Lane, flows: &[Flow]) -> Finding {
    let overtaking = match profile.order {
        Order::Fifo => overtaking(flows.iter().copied()),
        Order::PerSender => {
            by_sender(windows, flows).into_values().find_map(|own| overtaking(own.into_iter()))
        }
        Order::Unordered => None,
        Order::Priority => unreachable!("has a monitor of its own"),
    };
    if let Some((first, second)) = overtaking {
        let rule = if profile.order == Order::Fifo { "order.fifo" } else { "order.per-sender" };
        return Finding::broken(overtaken(windows, &first, &second, rule));
    }
    if lane.empties.is_empty() {
        return Finding::Legal;
    }
    let coverage = Coverage::of(flows.iter().copied());
    match lane.empties.iter().find(|e| coverage.hides(e.window).is_some()) {
        Some(answer) => Finding::broken(not_empty(windows, lane, flows, answer)),
        None => Finding::Legal,
    }
}

fn by_sender(windows: &Windows<'_>, flows: &[Flow]) -> FxHashMap<Process, Vec<Flow>> {
    let mut own: FxHashMap<Process, Vec<Flow>> = FxHashMap::default();
    for flow in flows {
        own.entry(windows.message(flow).sender).or_default().push(*flow);
    }
    own
}

/// Two messages of which the first certainly entered first and the second certainly left first.
pub(super) fn overtaking(flows: impl Iterator<Item = Flow> + Clone) -> Option<(Flow, Flow)> {
    // (send begins, receive ends), (send ends, receive begins): all that the sweep looks at.
    let mut later: Vec<(u64, u64)> = flows.clone().map(|f| (f.send.from, f.receive.to)).collect();
    let mut earlier: Vec<(u64, u64)> = flows.clone().map(|f| (f.send.to, f.receive.from)).collect();
    by_key(&mut later, |v| v.0);
    by_key(&mut earlier, |v| v.0);
    let mut earlier = earlier.into_iter().peekable();
    let mut last_to_leave = (0, 0);
    for (begins, leaves_by) in later {
        while let Some(entered) = earlier.next_if(|(ends, _)| *ends < begins) {
            if entered.1 > last_to_leave.1 {
                last_to_leave = entered;
            }
        }
        if last_to_leave.1 > leaves_by {
            let is_first = |f: &Flow| (f.send.to, f.receive.from) == last_to_leave;
            let is_second = |f: &Flow| (f.send.from, f.receive.to) == (begins, leaves_by);
            return Some((flows.clone().find(is_first)?, flows.clone().find(is_second)?));
        }
    }
    None
}

pub(super) fn overtaken(
    windows: &Windows<'_>,
    first: &Flow,
    second: &Flow,
    rule: &'static str,
) -> Violation {
    let (a, b) = (windows.message(first), windows.message(second));
    let words = if first.received() {
        format!(
            "{a} entered before {b}, and {b} left before {a}: their receives overtook each other"
        )
    } else {
        format!(
            "{a} entered before {b} and was never received, though {b} was: it is lost or overtaken"
        )
    };
    let proof = [first.sender, second.sender, first.receiver, second.receiver];
    Violation::new(Shape::Overtaking, rule, words, proof)
}

pub(super) fn not_empty(
    windows: &Windows<'_>,
    lane: &Lane,
    flows: &[Flow],
    answer: &Moment,
) -> Violation {
    let chain = chain(flows.iter(), answer);
    let names: Vec<String> = chain.iter().map(|f| windows.message(f).to_string()).collect();
    let operation = windows.operation(answer.operation);
    let told = operation.ret.map(|(_, r)| r.to_string()).unwrap_or_default();
    let mut proof = vec![answer.operation];
    proof.extend(chain.iter().flat_map(|f| [f.sender, f.receiver]));
    let asked = |from: u64| from != NEVER && from > answer.window.to;
    let asked_again = lane.empties.iter().any(|e| asked(e.window.from))
        || flows.iter().any(|f| asked(f.receive.from));
    if asked_again && lane.hungry.is_empty() && chain.iter().all(|f| !f.received()) {
        let words = format!(
            "{} had certainly entered when this `{told}` was answered, and was never received, \
             though others asked after it",
            names.join(", ")
        );
        return Violation::new(Shape::Lost, "delivery.nothing-lost", words, proof);
    }
    let words = match names.as_slice() {
        [one] => format!("this `{told}` was answered while {one} was certainly inside"),
        many => format!(
            "this `{told}` was answered while, one after another, {} were certainly inside",
            many.join(", ")
        ),
    };
    let rule = match operation.op {
        Op::Receive { mode: crate::Mode::Timed, .. } => "receive_timeout.message.takes",
        _ => "try_receive.message.takes",
    };
    Violation::new(Shape::NotEmpty, rule, words, proof)
}
