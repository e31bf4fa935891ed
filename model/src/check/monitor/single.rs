//! Room for one message, any number of senders and receivers, no `full` answered.
//!
//! Sends and receives alternate, so every message has the link to itself. That is possible exactly
//! if the times at which single messages are certainly inside are disjoint, every other message
//! finds a moment for itself between them, and so does every answer "nothing is there". The
//! condition is ours; the tests hold it against all small histories.

use super::fifo::feed;
use super::sorted::by_key;
use super::windows::{Flow, Lane, PENDING, Window, Windows};
use super::{Finding, Violation};
use crate::check::pattern::Shape;

pub(super) fn check(windows: &Windows<'_>, lane: &Lane) -> Finding {
    if !lane.fulls.is_empty() {
        return Finding::Unsure("`full` answered on a link with room for one");
    }
    if lane.hungry.is_empty() {
        return decide(windows, lane, &lane.flows);
    }
    let endless = lane.hungry.iter().all(|h| h.window.to == PENDING);
    match decide(windows, lane, &feed(&lane.flows, &lane.hungry)) {
        Finding::Legal if endless => Finding::Legal,
        _ => match decide(windows, lane, &lane.flows) {
            Finding::Legal => Finding::Legal,
            _ => Finding::Unsure("messages that pending receives may have taken"),
        },
    }
}

fn decide(windows: &Windows<'_>, lane: &Lane, flows: &[Flow]) -> Finding {
    let mut held: Vec<(u64, u64, u32)> = Vec::new();
    for (i, flow) in flows.iter().enumerate() {
        if let Some(inner) = flow.inner() {
            held.push((inner.from, inner.to, i as u32));
        }
    }
    by_key(&mut held, |h| h.0);
    for pair in held.windows(2) {
        if pair[1].0 < pair[0].1 {
            let both = [&flows[pair[0].2 as usize], &flows[pair[1].2 as usize]];
            return Finding::broken(overfull(windows, &both, 1));
        }
    }
    // The held times are disjoint: a window is hidden by a single one or not at all.
    let hiding = |window: Window| {
        let after = held.partition_point(|h| h.0 < window.from);
        let before = held.get(after.checked_sub(1)?)?;
        (window.to < before.1).then(|| &flows[before.2 as usize])
    };
    for flow in flows.iter().filter(|f| f.inner().is_none()) {
        let from = flow.send.from.max(flow.receive.from);
        let to = flow.send.to.min(flow.receive.to);
        if let Some(holder) = hiding(Window { from, to }) {
            return Finding::broken(overfull(windows, &[holder, flow], 1));
        }
    }
    for answer in &lane.empties {
        if hiding(answer.window).is_some() {
            return Finding::broken(super::fifo::not_empty(windows, lane, flows, answer));
        }
    }
    Finding::Legal
}

/// One message more was certainly inside than there is room for.
pub(super) fn overfull(windows: &Windows<'_>, inside: &[&Flow], room: usize) -> Violation {
    let (last, before) = inside.split_last().expect("more than there is room for");
    let names: Vec<String> = before.iter().map(|f| windows.message(f).to_string()).collect();
    let words = format!(
        "message {} entered while {room} {} certainly inside: {}",
        windows.message(last),
        if room == 1 { "was" } else { "were" },
        names.join(", "),
    );
    let proof: Vec<u32> = inside.iter().flat_map(|f| [f.sender, f.receiver]).collect();
    Violation::new(Shape::Overfull, "send.full.blocks", words, proof)
}
