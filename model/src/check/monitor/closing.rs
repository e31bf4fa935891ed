//! Ends that are given up: what a history tells of closing, put into the windows of everything else.
//!
//! Let X be the moment at which the last sender closes. It lies after every close was called and
//! before the last of them returned, and nothing else ties it down. An answer `empty` comes before
//! X, or it would have been `closed`; an answer `closed` comes after it, with nothing inside. Every
//! send has returned before its process closes, so that from X on the link only drains: whether X is
//! early or late makes no difference to an answer `closed`, and later is better for all others. So X
//! is as late as the answers `closed` let it be, which cuts the windows of `empty` off there, and
//! makes each `closed` an `empty` after it.
//!
//! Likewise for Y, the moment at which the last receiver closes: every send that entered, and every
//! answer `full`, comes before it; sends that were told `closed` come after it, and leave nothing.
//! That there is such a moment for those that could have come before it is all there is to it:
//! nobody receives any more, so what an explanation places behind it can come right before it, in
//! the same order.

use super::Violation;
use super::reading::no_such_answer;
use super::windows::{Lane, Moment, Outside, Unreadable};
use crate::check::pattern::Shape;
use crate::history::Calls;
use crate::op::Process;
use crate::profile::{Capacity, Notice, Profile};
use crate::state::{Ends, ProcessSet};

/// The two ends of a link.
#[derive(Clone, Copy)]
pub(super) enum End {
    Senders,
    Receivers,
}

/// Who holds which end, and what a history tells of closing.
pub(super) struct Closing {
    /// How many links the history lists the holders of.
    listed: usize,
    links: Vec<OfLink>,
}

#[derive(Default)]
struct OfLink {
    /// Of the senders' end, then of the receivers'.
    holders: [ProcessSet; 2],
    closed: ProcessSet,
    closes: Vec<(Process, Moment)>,
    /// The calls that were told `closed`: by senders, then by receivers.
    told: [Vec<Moment>; 2],
}

impl Closing {
    pub(super) fn new(listed: &[Ends]) -> Self {
        let of = |ends: &Ends| {
            let holders = [ends.senders, ends.receivers];
            OfLink { holders, ..OfLink::default() }
        };
        Self { listed: listed.len(), links: listed.iter().map(of).collect() }
    }

    fn link(&mut self, link: u8) -> &mut OfLink {
        let link = usize::from(link);
        if self.links.len() <= link {
            self.links.resize_with(link + 1, OfLink::default);
        }
        &mut self.links[link]
    }

    /// Whoever uses an end of a link that the history does not list holds it.
    pub(super) fn holds(&mut self, link: u8, end: End, process: Process) {
        if usize::from(link) >= self.listed {
            self.link(link).holders[end as usize].insert(process);
        }
    }

    pub(super) fn has_closed(&self, link: u8, process: Process) -> bool {
        self.links.get(usize::from(link)).is_some_and(|of| of.closed.contains(process))
    }

    /// The process gives up what it holds of the link.
    pub(super) fn closes(&mut self, link: u8, process: Process, close: Moment) {
        let of = self.link(link);
        of.closed.insert(process);
        of.closes.push((process, close));
    }

    /// A call at this end was told `closed`.
    pub(super) fn told(&mut self, link: u8, end: End, call: Moment) {
        self.link(link).told[end as usize].push(call);
    }

    /// When the last holder of each end gave it up, link by link: the senders', the receivers'.
    pub(super) fn gone(
        &self,
        profile: &Profile,
        lanes: &[Lane],
        killed: impl Fn(Process) -> bool,
    ) -> Result<Vec<[Option<Moment>; 2]>, Outside> {
        let p = profile;
        let reported = |n| n == Some(Notice::Reported);
        let released = reported(p.sender_killed) || reported(p.receiver_killed);
        let nobody = OfLink::default();
        let last = |link: usize, end: End, closed, by_kill| {
            let of = self.links.get(link).unwrap_or(&nobody);
            let holders = of.holders[end as usize];
            if holders.is_empty() {
                let open = link >= self.listed && !of.is_told();
                let nobody = closed == Notice::Reported && !open;
                return if nobody { Err("an end that nobody holds") } else { Ok(None) };
            }
            let closes = |p| of.closed.contains(p);
            if holders.iter().any(|p| !(closes(p) || released && killed(p))) {
                return Ok(None);
            }
            match holders.iter().any(|p| !closes(p)) {
                true if !reported(by_kill) && !holders.iter().any(closes) => Ok(None),
                true => Err("the last holder of an end is killed"),
                false if closed == Notice::Silent => Ok(None),
                false => Ok(of.last(holders)),
            }
        };
        let of_lane = |(link, lane): (usize, &Lane)| {
            let senders = last(link, End::Senders, p.sender_closed, p.sender_killed)?;
            let receivers = last(link, End::Receivers, p.receiver_closed, p.receiver_killed)?;
            match (senders.is_some() || receivers.is_some()) && !lane.stuck.is_empty() {
                true => Err("a call that waits on a link of which an end was given up"),
                false => Ok([senders, receivers]),
            }
        };
        lanes.iter().enumerate().map(of_lane).collect()
    }

    /// Puts it into the lanes, of which `gone` says when the last sender, and the last receiver,
    /// closed.
    pub(super) fn apply(
        self,
        profile: &Profile,
        calls: Calls<'_>,
        gone: &[[Option<Moment>; 2]],
        lanes: &mut [Lane],
    ) -> Result<(), Unreadable> {
        let of = self.links.into_iter().chain(std::iter::repeat_with(OfLink::default));
        for ((lane, &[senders, receivers]), of) in lanes.iter_mut().zip(gone).zip(of) {
            let [by_senders, by_receivers] = of.told;
            let buffered = profile.capacity != Capacity::Zero;
            drained(lane, senders, &by_receivers, buffered, calls)?;
            unheard(lane, receivers, &by_senders, calls)?;
        }
        Ok(())
    }
}

impl OfLink {
    /// Whether the history tells of closing on this link.
    fn is_told(&self) -> bool {
        !self.closes.is_empty() || self.told.iter().any(|told| !told.is_empty())
    }

    /// When the last of these closed, all of whom did: after the last call of close, of which it
    /// is the operation, and before the last return.
    fn last(&self, holders: ProcessSet) -> Option<Moment> {
        let theirs = || {
            let closes = self.closes.iter().filter(|(p, _)| holders.contains(*p));
            closes.map(|(_, close)| close)
        };
        let to = theirs().map(|close| close.window.to).max()?;
        let mut last = *theirs().max_by_key(|close| close.window.from)?;
        last.window.to = to;
        Some(last)
    }
}

/// The last sender is gone from some moment of `last` on, or never.
fn drained(
    lane: &mut Lane,
    last: Option<Moment>,
    told: &[Moment],
    buffered: bool,
    calls: Calls<'_>,
) -> Result<(), Violation> {
    let Some(last) = settle(last, told, lane.empties.iter().copied(), calls)? else {
        return Ok(());
    };
    for empty in &mut lane.empties {
        empty.window.to = empty.window.to.min(last.window.to);
    }
    if buffered {
        lane.empties.extend(told.iter().map(|&call| {
            let mut call = call;
            call.window.from = call.window.from.max(last.window.from);
            call
        }));
    }
    Ok(())
}

/// The last receiver is gone from some moment of `last` on, or never.
fn unheard(
    lane: &mut Lane,
    last: Option<Moment>,
    told: &[Moment],
    calls: Calls<'_>,
) -> Result<(), Violation> {
    let entered = lane.flows.iter().map(|f| Moment { window: f.send, operation: f.sender });
    let before = entered.chain(lane.fulls.iter().copied());
    if let Some(last) = settle(last, told, before, calls)? {
        // A send that never returned has entered before that moment, or not at all.
        lane.ghosts.retain(|ghost| ghost.window.from < last.window.to);
    }
    Ok(())
}

/// The latest window for the moment after which calls are `told` so, and no longer answered as
/// those in `before` were.
fn settle(
    last: Option<Moment>,
    told: &[Moment],
    before: impl Iterator<Item = Moment>,
    calls: Calls<'_>,
) -> Result<Option<Moment>, Violation> {
    let first = told.iter().min_by_key(|call| call.window.to);
    let Some(mut last) = last else {
        // Somebody holds that end for ever.
        return match first {
            Some(call) => Err(no_such_answer(call.operation, &calls.operation(call.operation))),
            None => Ok(None),
        };
    };
    let wrong = |words: String, proof| Violation::new(Shape::NoSuchAnswer, "", words, proof);
    let op = |call: &Moment| calls.operation(call.operation).op;
    if let Some(call) = first.filter(|call| call.window.to <= last.window.from) {
        let words = format!("{} was told `closed` before the last end was closed", op(call));
        return Err(wrong(words, [call.operation, last.operation]));
    }
    let end = first.map_or(last.window.to, |call| call.window.to.min(last.window.to));
    if let Some(call) = before.max_by_key(|call| call.window.from) {
        if call.window.from >= end {
            let words =
                format!("{} was answered as if the last end had not been closed", op(&call));
            let proof = first.map_or(last.operation, |told| told.operation);
            return Err(wrong(words, [call.operation, proof]));
        }
        last.window.from = last.window.from.max(call.window.from);
    }
    last.window.to = end;
    Ok(Some(last))
}
