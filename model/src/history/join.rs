//! Matches every closing line with the call that it closes.

use super::line::{Closing, Kind, Line};
use super::{HistoryError, Log, Operation};
use crate::op::{Op, Ret};
use crate::state::ProcessSet;

/// Where a process is between two of its lines.
#[derive(Clone, Copy, Debug)]
enum Track {
    Idle,
    InCall(usize),
    GivenUp,
    Killed,
}

/// Takes lines in and makes a log of them. The lines of one process come in the order of time;
/// those of different processes may come in any.
#[derive(Debug)]
pub(super) struct Joiner {
    log: Log,
    tracks: [(Track, u64); ProcessSet::LIMIT as usize],
}

impl Default for Joiner {
    fn default() -> Self {
        let tracks = [(Track::Idle, 0); ProcessSet::LIMIT as usize];
        Self { log: Log::default(), tracks }
    }
}

impl Joiner {
    /// Takes the next line in.
    ///
    /// # Errors
    /// It cannot follow the others.
    pub(super) fn push(&mut self, line: &Line) -> Result<(), HistoryError> {
        self.take(line).map_err(|why| HistoryError { line: line.number, why })
    }

    fn take(&mut self, line: &Line) -> Result<(), String> {
        let Line { process, time, .. } = *line;
        let (track, last) = &mut self.tracks[usize::from(process.0)];
        if time < *last {
            return Err(format!("{process} goes back in time, from {last} to {time}"));
        }
        *last = time;
        match *track {
            Track::Killed => return Err(format!("{process} goes on after it was killed")),
            Track::GivenUp if !matches!(line.kind, Kind::Kill | Kind::Killed) => {
                let why = "goes on after its call was closed by `info`: it is in that call still";
                return Err(format!("{process} {why}"));
            }
            _ => {}
        }
        match (line.kind, *track) {
            (Kind::Invoke { op, .. }, Track::InCall(before)) => {
                let before = self.log.operation(before).op;
                return Err(format!("{process} calls {op} while still in {before}"));
            }
            (Kind::Invoke { op, timeout }, _) => {
                *track = Track::InCall(self.log.len());
                let (ret, blocked) = (None, None);
                self.log.push(&Operation { process, op, call: time, ret, timeout, blocked });
            }
            (Kind::Done { closing: Closing::Info, .. }, Track::InCall(_)) => {
                *track = Track::GivenUp;
            }
            (Kind::Done { given, .. }, Track::InCall(index)) => {
                *track = Track::Idle;
                let op = self.log.operation(index).op;
                let ret = told(&op, &line.kind).map_err(|why| format!("{process} {why}"))?;
                self.log.returns(index, time, ret);
                if matches!(ret, Ret::Received(_)) {
                    self.log.misses(index, !given.size, !given.priority);
                }
            }
            (Kind::Blocked, Track::InCall(index)) => self.log.sleeps(index, time),
            (Kind::Kill, _) => self.log.kills.push((time, process)),
            (Kind::Killed, _) => {
                *track = Track::Killed;
                self.log.crashes.push((time, process));
            }
            (kind, _) => {
                let what = if kind == Kind::Blocked { "is blocked" } else { "returns" };
                return Err(format!("{process} {what} at {time} without having called before"));
            }
        }
        Ok(())
    }

    /// The log of all lines.
    pub(super) fn finish(mut self) -> Log {
        self.log.fill_in();
        self.log
    }
}

/// Lines of any order, as a log.
pub(super) fn join(mut lines: Vec<Line>) -> Result<Log, HistoryError> {
    // Lines may come in any order; those of one process and one time keep theirs.
    if !lines.is_sorted_by_key(|l| l.time) {
        lines.sort_by_key(|l| l.time);
    }
    let mut joiner = Joiner::default();
    lines.iter().try_for_each(|line| joiner.push(line))?;
    Ok(joiner.finish())
}

/// What a closing line tells its call.
fn told(op: &Op, kind: &Kind) -> Result<Ret, String> {
    let Kind::Done { f, value, torn, closing, .. } = kind else { unreachable!("it closes") };
    if f.is_some_and(|f| !f.names(op)) {
        return Err(format!("called {} and returns from another call", op.name()));
    }
    Ok(match (closing, op, value) {
        (Closing::Fail(refusal), ..) => Ret::Refused(*refusal),
        (_, Op::Receive { .. }, Some(message)) if *torn => Ret::Torn(*message),
        (_, Op::Receive { .. }, Some(message)) => Ret::Received(*message),
        (_, Op::Receive { .. }, None) => {
            return Err("received, but \"value\" is missing: a receive that is ok has one".into());
        }
        (_, Op::Send { message, .. }, Some(value)) if !message.same_name(value) => {
            return Err(format!("sent {message}, but its return names {value}"));
        }
        _ => Ret::Done,
    })
}
