//! Loops that say that they wait, and change nothing: gone round at full speed.

use std::collections::BTreeMap;

use nix::unistd::Pid;

use super::{Access, FARTHEST, Trace};
use crate::stepped::Trouble;
use crate::stepped::decode::Flow;
use crate::stepped::tracer::{Stop, Tracer};

/// Where the process goes round and round, saying each time that it waits, and leaves what is
/// shared as it found it: lets it go round at full speed until it leaves, and writes down what
/// stepping would have.
///
/// A breakpoint stands at every branch out of the loop, so that nothing is executed unseen but
/// what has been seen to change nothing. A round that leaves out a part of the loop is counted
/// whole.
pub(super) fn spin(tracer: &mut Tracer, pid: Pid, trace: &mut Trace) -> Result<(), Trouble> {
    let Some(round) = trace.round() else { return Ok(()) };
    let body: Vec<u64> = trace.path[round.clone()].to_vec();
    let Some(exits) = exits(tracer, pid, &body)? else { return Ok(()) };
    let accesses: Vec<Access> =
        trace.accesses.iter().filter(|a| round.contains(&a.position)).cloned().collect();
    for at in exits.keys().chain([&body[0]]) {
        tracer.plant(pid, *at)?;
    }
    // It stands behind the pause, which the body begins with.
    let (mut begin, mut done) = (trace.path.len() - 1, 1);
    let (mut left, before) = (None, trace.path.len());
    while left.is_none() && trace.path.len() < FARTHEST {
        left = match tracer.go(pid)? {
            Stop::Planted(at) if at == body[0] => None,
            Stop::Planted(at) => exits.get(&at).copied(),
            other => return Err(Trouble::Broken(format!("a loop stops so: {other:?}"))),
        };
        // Where it leaves, it has been up to the branch; else it has been round.
        let length = left.map_or(body.len(), |last| last + 1);
        for address in &body[done.min(length)..length] {
            trace.path.push(*address);
            trace.repeated.push(false);
        }
        for access in &accesses {
            let i = access.position - round.start;
            if (done..length).contains(&i) {
                trace.accesses.push(Access { position: begin + i, ..access.clone() });
            }
        }
        if left.is_none() {
            (begin, done) = (trace.path.len(), 0);
            trace.pauses.push(begin);
            tracer.pass_pause(pid)?;
        }
    }
    for at in exits.keys().chain([&body[0]]) {
        tracer.uproot(pid, *at)?;
    }
    trace.rounds.push(before..trace.path.len());
    Ok(())
}

/// The branches out of this loop: where each leads, and the place of its instruction in the
/// body. `None`: one may lead anywhere.
fn exits(
    tracer: &mut Tracer,
    pid: Pid,
    body: &[u64],
) -> Result<Option<BTreeMap<u64, usize>>, Trouble> {
    let mut exits = BTreeMap::new();
    for (i, at) in body.iter().enumerate() {
        let next = body[(i + 1) % body.len()];
        match tracer.instruction(pid, *at)?.flow {
            Flow::One => {}
            Flow::Any => return Ok(None),
            Flow::Two(ways) => {
                for way in ways.into_iter().filter(|way| *way != next && !body.contains(way)) {
                    exits.entry(way).or_insert(i);
                }
            }
        }
    }
    Ok(Some(exits))
}

impl Trace {
    /// The positions from the last pause but one up to the last, if they are those of a loop
    /// that changes nothing, seen twice.
    fn round(&self) -> Option<std::ops::Range<usize>> {
        let [.., first, second, third] = self.pauses[..] else { return None };
        let same = self.path[first..second] == self.path[second..third]
            && self.path[second] == self.path[third];
        let quiet = |at: usize| !(first..third).contains(&at);
        let calls = self.calls.iter().all(|(at, _)| quiet(*at));
        let still = self.state_at(second) == self.state_at(third);
        let plain = !self.repeated[first..third].contains(&true);
        (same && calls && still && plain).then_some(second..third)
    }
}
