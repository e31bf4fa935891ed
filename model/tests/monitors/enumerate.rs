//! All small histories, up to what cannot matter: the numbers of processes and messages, and the
//! order of neighbouring calls or of neighbouring returns.

use ipc_model::{Ends, History, Message, Mode, Op, Operation, Process, Refusal, Ret};

/// What one call does, decided when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Move {
    /// A send that completes: sender label (`None`: whoever calls), priority.
    Send(Option<u16>, u32),
    /// A send that never returns; `true`: its process is killed at some moment.
    OpenSend(bool),
    /// A try_send that answers `full`.
    Full,
    /// A receive that takes the message of this number.
    Receive(usize),
    /// A receive that never returns.
    OpenReceive(bool),
    /// A try_receive that answers `empty`.
    Empty,
    /// A timed receive that answers `timeout` after so many events.
    ReceiveTimeout(u64),
    /// A timed send that answers `timeout` after so many events.
    SendTimeout(u64),
}

impl Move {
    fn sends(self) -> bool {
        matches!(self, Move::Send(..) | Move::OpenSend(_) | Move::Full | Move::SendTimeout(_))
    }

    fn ends(self) -> bool {
        !matches!(self, Move::OpenSend(false) | Move::OpenReceive(false))
    }
}

/// The bounds of one enumeration.
pub(crate) struct Bounds<'a> {
    /// Calls in a history.
    pub(crate) calls: usize,
    /// Calls in progress at once.
    pub(crate) processes: usize,
    /// What calls may do, receives aside; receives take any message.
    pub(crate) moves: &'a [Move],
    /// Whether the watch until nothing moves any more is claimed.
    pub(crate) quiescent: bool,
    /// How receives and sends wait.
    pub(crate) modes: (Mode, Mode),
}

struct Walk<'a, F> {
    bounds: &'a Bounds<'a>,
    visit: F,
    calls: Vec<(Move, u64, Option<u64>, usize)>,
    taken: Vec<bool>,
}

/// Visits every history within the bounds; each event has a time of its own.
pub(crate) fn all(bounds: &Bounds<'_>, visit: impl FnMut(&History)) {
    let mut walk = Walk { bounds, visit, calls: Vec::new(), taken: Vec::new() };
    walk.go(1, None, None);
}

impl<F: FnMut(&History)> Walk<'_, F> {
    fn open(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.calls.len()).filter(|&i| self.calls[i].2.is_none())
    }

    /// `called` is what the previous event called, `returned` which call it ended: neighbouring
    /// calls and neighbouring returns come in one order only.
    fn go(&mut self, now: u64, called: Option<Move>, returned: Option<usize>) {
        let closed = self.open().all(|i| !self.calls[i].0.ends());
        let sent = self.calls.iter().filter(|c| c.0.sends()).count();
        let wanted = self.taken.iter().rposition(|t| *t).map_or(0, |i| i + 1);
        if self.calls.len() == self.bounds.calls {
            if wanted > sent {
                return;
            }
            if closed {
                let history = self.history();
                (self.visit)(&history);
                return;
            }
        }
        for i in self.open().collect::<Vec<_>>() {
            let (action, at, ..) = self.calls[i];
            let ripe = match action {
                Move::ReceiveTimeout(d) | Move::SendTimeout(d) => at + d <= now,
                action => action.ends(),
            };
            if ripe && returned.is_none_or(|r| r < i) {
                self.calls[i].2 = Some(now);
                self.go(now + 1, None, Some(i));
                self.calls[i].2 = None;
            }
        }
        if self.calls.len() == self.bounds.calls || self.open().count() == self.bounds.processes {
            return;
        }
        // The lowest process that is free; a killed one, or one in an endless call, never is.
        let gone = |c: &(Move, u64, Option<u64>, usize)| {
            c.2.is_none() || matches!(c.0, Move::OpenSend(_) | Move::OpenReceive(_))
        };
        let busy: Vec<usize> = self.calls.iter().filter(|c| gone(c)).map(|c| c.3).collect();
        let process = (0..).find(|p| !busy.contains(p)).unwrap();
        for &action in self.bounds.moves {
            if called.is_some_and(|before| before > action) {
                continue;
            }
            let overlaps = |i: usize| match (self.calls[i].0, action) {
                (Move::Send(Some(a), _), Move::Send(Some(b), _)) => a == b,
                _ => false,
            };
            if self.open().any(overlaps) {
                continue;
            }
            self.calls.push((action, now, None, process));
            self.go(now + 1, Some(action), None);
            self.calls.pop();
        }
        let most = sent + self.bounds.calls - self.calls.len();
        for message in 0..most {
            let action = Move::Receive(message);
            self.taken.resize(most.max(self.taken.len()), false);
            if self.taken[message] || called.is_some_and(|before| before > action) {
                continue;
            }
            self.taken[message] = true;
            self.calls.push((action, now, None, process));
            self.go(now + 1, Some(action), None);
            self.calls.pop();
            self.taken[message] = false;
        }
    }

    fn history(&self) -> History {
        let mut messages = Vec::new();
        let mut numbers = [0u32; 64];
        for (action, _, _, process) in self.calls.iter().filter(|c| c.0.sends()) {
            let (sender, priority) = match action {
                Move::Send(label, priority) => (label.unwrap_or(*process as u16), *priority),
                _ => (*process as u16, 0),
            };
            let sequence = numbers[sender as usize];
            numbers[sender as usize] += 1;
            messages.push(Message { sender: Process(sender), sequence, size: 0, priority });
        }
        let everybody = || (0..16).map(Process).collect();
        let ends = Ends { senders: everybody(), receivers: everybody() };
        let mut history =
            History { links: vec![ends], quiescent: self.bounds.quiescent, ..History::default() };
        let mut sent = messages.iter();
        let (sends, receives) = self.bounds.modes;
        for &(action, call, ret, process) in &self.calls {
            let mut mode = if action.sends() { sends } else { receives };
            let mut timeout = None;
            let told = match action {
                Move::Send(..) => Some(Ret::Done),
                Move::Receive(m) => Some(Ret::Received(messages[m])),
                Move::OpenSend(_) | Move::OpenReceive(_) => None,
                Move::Full => {
                    mode = Mode::Nonblocking;
                    Some(Ret::Refused(Refusal::Full))
                }
                Move::Empty => {
                    mode = Mode::Nonblocking;
                    Some(Ret::Refused(Refusal::Empty))
                }
                Move::ReceiveTimeout(d) | Move::SendTimeout(d) => {
                    mode = Mode::Timed;
                    timeout = Some(d);
                    Some(Ret::Refused(Refusal::Timeout))
                }
            };
            let process = Process(process as u16);
            let op = if action.sends() {
                let message = *sent.next().unwrap();
                Op::Send { link: 0, to: None, message, mode }
            } else {
                Op::Receive { link: 0, from: None, mode }
            };
            if let (None, Some(time)) = (told, ret) {
                history.crashes.push((time, process));
            }
            let ret = ret.zip(told);
            history.operations.push(Operation { process, op, call, ret, timeout, blocked: None });
        }
        history
    }
}
