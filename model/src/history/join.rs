//! Matches every closing line with the call that it closes.

use rustc_hash::FxHashMap;

use super::HistoryError;
use super::line::{Closing, Given, Kind, Line};
use super::{History, Operation};
use crate::op::{Op, Process, Ret};
use crate::state::ProcessSet;

/// Where a process is between two of its lines.
#[derive(Clone, Copy)]
enum Track {
    Idle,
    InCall(usize),
    GivenUp,
    Killed,
}

/// Lines of any order, as a history.
pub(super) fn join(mut lines: Vec<Line>) -> Result<History, HistoryError> {
    // Lines may come in any order; those of one process and one time keep theirs.
    if !lines.is_sorted_by_key(|l| l.time) {
        lines.sort_by_key(|l| l.time);
    }
    let mut history = History::default();
    history.operations.reserve(lines.len() / 2 + 1);
    let mut tracks = [Track::Idle; ProcessSet::LIMIT as usize];
    let mut received: Vec<(usize, Given)> = Vec::new();
    for line in lines {
        let process = line.process;
        let track = &mut tracks[usize::from(process.0)];
        let wrong = |why: String| Err(HistoryError { line: line.number, why });
        match *track {
            Track::Killed => return wrong(format!("{process} goes on after it was killed")),
            Track::GivenUp if !matches!(line.kind, Kind::Kill | Kind::Killed) => {
                let why = "goes on after its call was closed by `info`: it is in that call still";
                return wrong(format!("{process} {why}"));
            }
            _ => {}
        }
        match (line.kind, *track) {
            (Kind::Invoke { op, .. }, Track::InCall(before)) => {
                let before = &history.operations[before].op;
                return wrong(format!("{process} calls {op} while still in {before}"));
            }
            (Kind::Invoke { op, timeout }, _) => {
                *track = Track::InCall(history.operations.len());
                let (ret, blocked) = (None, None);
                let call = line.time;
                history.operations.push(Operation { process, op, call, ret, timeout, blocked });
            }
            (Kind::Done { closing: Closing::Info, .. }, Track::InCall(_)) => {
                *track = Track::GivenUp;
            }
            (Kind::Done { given, .. }, Track::InCall(index)) => {
                *track = Track::Idle;
                let operation = &mut history.operations[index];
                match told(operation, &line.kind) {
                    Ok(ret) => operation.ret = Some((line.time, ret)),
                    Err(why) => return wrong(format!("{process} {why}")),
                }
                let whole = given.size && given.priority;
                if !whole && matches!(operation.ret, Some((_, Ret::Received(_)))) {
                    received.push((index, given));
                }
            }
            (Kind::Blocked, Track::InCall(index)) => {
                history.operations[index].blocked = Some(line.time);
            }
            (Kind::Kill, _) => history.kills.push((line.time, process)),
            (Kind::Killed, _) => {
                *track = Track::Killed;
                history.crashes.push((line.time, process));
            }
            (kind, _) => {
                let what = if kind == Kind::Blocked { "is blocked" } else { "returns" };
                let time = line.time;
                return wrong(format!("{process} {what} at {time} without having called before"));
            }
        }
    }
    fill_in(&mut history, &received);
    Ok(history)
}

/// What a closing line tells its call.
fn told(operation: &Operation, kind: &Kind) -> Result<Ret, String> {
    let Kind::Done { f, value, torn, closing, .. } = kind else { unreachable!("it closes") };
    if f.is_some_and(|f| !f.names(&operation.op)) {
        return Err(format!("called {} and returns from another call", operation.op.name()));
    }
    Ok(match (closing, operation.op, value) {
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

/// Gives received messages the size and priority that their line left out: those they were sent
/// with.
fn fill_in(history: &mut History, received: &[(usize, Given)]) {
    let sent = || history.operations.iter().filter_map(|o| o.op.message());
    // Most histories say nothing of either, and then nothing is to be filled in.
    if received.is_empty() || sent().all(|m| m.size == 0 && m.priority == 0) {
        return;
    }
    let sent: FxHashMap<(Process, u32), _> =
        sent().map(|m| ((m.sender, m.sequence), (m.size, m.priority))).collect();
    for &(index, given) in received {
        let Some((_, Ret::Received(message))) = &mut history.operations[index].ret else {
            continue;
        };
        let Some(&(size, priority)) = sent.get(&(message.sender, message.sequence)) else {
            continue;
        };
        if !given.size {
            message.size = size;
        }
        if !given.priority {
            message.priority = priority;
        }
    }
}
