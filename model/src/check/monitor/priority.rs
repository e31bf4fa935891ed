//! Unbounded links on which the highest priority leaves first, and within a priority what entered
//! first.
//!
//! A receive of priority p is at once an answer "nothing of a higher priority is there". So the
//! classes are taken from the highest down: what is certainly inside of the classes above hides
//! times from the receives of this one, whose windows shrink to the first and the last moment that
//! is left; then the class is a queue like any other. This is the decomposition by values of
//! Bouajjani, Emmi, Enea and Hamza (*On reducing linearizability to state reachability*, ICALP
//! 2015), taken class by class; the tests hold it against all small histories.

use std::collections::BTreeMap;

use super::coverage::{Coverage, chain};
use super::fifo::{not_empty, overtaken, overtaking};
use super::windows::{Flow, Lane, Moment, Window, Windows};
use super::{Finding, Violation};
use crate::check::pattern::Shape;

/// More classes than this are left to the search: each costs a pass over the classes above it.
const CLASSES: usize = 256;

pub(super) fn check(windows: &Windows<'_>, lane: &Lane) -> Finding {
    if lane.hungry.is_empty() {
        return decide(windows, lane, &lane.flows);
    }
    // Which message a pending receive took is not a matter of time alone here. Without what
    // nobody received the rest must be legal; with all of it, it need not be.
    let received: Vec<Flow> = lane.flows.iter().filter(|f| f.received()).copied().collect();
    match decide(windows, lane, &received) {
        Finding::Legal => {}
        broken => return broken,
    }
    match decide(windows, lane, &lane.flows) {
        Finding::Legal => Finding::Legal,
        _ => Finding::Unsure("messages of several priorities that pending receives may have taken"),
    }
}

fn decide(windows: &Windows<'_>, lane: &Lane, flows: &[Flow]) -> Finding {
    let mut classes: BTreeMap<u32, Vec<Flow>> = BTreeMap::new();
    for flow in flows {
        classes.entry(windows.message(flow).priority).or_default().push(*flow);
    }
    if classes.len() > CLASSES {
        return Finding::Unsure("more than 256 priorities");
    }
    let mut above: Vec<Flow> = Vec::new();
    for class in classes.into_values().rev() {
        let coverage = Coverage::of(above.iter().copied());
        let start = above.len();
        for flow in class {
            match narrowed(&coverage, flow) {
                Ok(flow) => above.push(flow),
                Err(()) => return Finding::broken(outranked(windows, &above[..start], &flow)),
            }
        }
        if let Some((first, second)) = overtaking(above[start..].iter().copied()) {
            return Finding::broken(overtaken(windows, &first, &second, "order.priority"));
        }
    }
    let coverage = Coverage::of(above.iter().copied());
    match lane.empties.iter().find(|e| coverage.hides(e.window).is_some()) {
        Some(answer) => Finding::broken(not_empty(windows, lane, &above, answer)),
        None => Finding::Legal,
    }
}

/// The flow with its receive narrowed to when nothing of a higher priority is certainly inside.
fn narrowed(above: &Coverage, flow: Flow) -> Result<Flow, ()> {
    if !flow.received() {
        return Ok(flow);
    }
    // The receive also comes after the send began.
    let earliest = flow.receive.from.max(flow.send.from);
    let window = Window { from: earliest, to: flow.receive.to };
    if above.hides(window).is_some() {
        return Err(());
    }
    let from = above.first_gap(earliest);
    let to = above.last_gap(flow.receive.to);
    Ok(Flow { receive: Window { from, to }, ..flow })
}

fn outranked(windows: &Windows<'_>, above: &[Flow], flow: &Flow) -> Violation {
    let window = Window { from: flow.receive.from.max(flow.send.from), to: flow.receive.to };
    let chain = chain(above.iter(), &Moment { window, operation: flow.receiver });
    let names: Vec<String> = chain.iter().map(|f| windows.message(f).to_string()).collect();
    let words = format!(
        "{} was received while {} of a higher priority was certainly inside",
        windows.message(flow),
        names.join(", then "),
    );
    let mut proof = vec![flow.sender, flow.receiver];
    proof.extend(chain.iter().flat_map(|f| [f.sender, f.receiver]));
    Violation::new(Shape::Overtaking, "order.priority", words, proof)
}
