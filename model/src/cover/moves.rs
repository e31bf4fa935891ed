//! What may happen next between two calls: a call, a kill, or the passing of a deadline.

use crate::op::{Message, Mode, Op, Process};
use crate::profile::{Addressing, Capacity, Profile, Size};
use crate::state::{Call, State};

/// Who takes part: `senders` from number 0 on, then `receivers`, over one link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cast {
    pub(crate) profile: Profile,
    pub(crate) senders: u16,
    pub(crate) receivers: u16,
    /// Whether anybody may be killed.
    pub(crate) kill: bool,
}

/// One move of the tour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// A sender sends, a message of this size.
    Send(Process, Mode, u32),
    /// The first sender leaves room for one message only.
    Fill,
    /// A receiver receives.
    Receive(Process, Mode),
    /// A process closes its end.
    Close(Process),
    /// Everybody waits until the process's timed call has returned.
    Deadline(Process),
    /// A process is killed.
    Kill(Process),
}

/// The largest buffer that a tour fills.
const FILLABLE: u32 = 32;

impl Cast {
    pub(crate) fn width(&self) -> u16 {
        self.senders + self.receivers
    }

    pub(crate) fn processes(&self) -> impl Iterator<Item = Process> + use<> {
        (0..self.width()).map(Process)
    }

    pub(crate) fn is_sender(&self, process: Process) -> bool {
        process.0 < self.senders
    }

    /// How many messages [`Move::Fill`] sends.
    pub(crate) fn filling(&self) -> u32 {
        match self.profile.capacity {
            Capacity::Bounded(n) if (3..=FILLABLE).contains(&n) => n - 1,
            _ => 0,
        }
    }

    /// The way to send that the link offers first.
    pub(crate) fn usual_mode(&self) -> Mode {
        modes().find(|m| self.profile.send.offers(*m)).unwrap_or(Mode::Blocking)
    }

    /// A length that the link refuses, if it refuses any.
    fn odd_sizes(&self) -> Vec<u32> {
        match self.profile.size {
            Size::UpTo(n) if n < crate::LARGEST_MESSAGE => vec![n + 1],
            Size::NonemptyUpTo(n) if n < crate::LARGEST_MESSAGE => vec![n + 1, 0],
            Size::NonemptyUpTo(_) => vec![0],
            Size::Fixed(n) => vec![n + 1],
            Size::UpTo(_) => vec![],
        }
    }

    /// Every move that is possible in all of these states.
    pub(crate) fn moves(&self, states: &[&State]) -> Vec<Move> {
        let everywhere = |test: &dyn Fn(&State) -> bool| states.iter().all(|s| test(s));
        let mut moves = Vec::new();
        let fresh = |s: &State| {
            let link = &s.links[0];
            let ready = link.senders.contains(Process(0)) && link.queue.is_empty();
            ready && s.calls.iter().all(|c| *c == Call::Running)
        };
        if self.filling() > 0 && everywhere(&fresh) {
            moves.push(Move::Fill);
        }
        for p in self.processes() {
            let holds = |s: &State| {
                let link = &s.links[0];
                if self.is_sender(p) {
                    link.senders.contains(p)
                } else {
                    link.receivers.contains(p)
                }
            };
            if everywhere(&|s| *s.call(p) == Call::Running && holds(s)) {
                self.calls(p, &mut moves);
            }
            let late = |s: &State| matches!(s.call(p), Call::Pending { op, expired: false, .. } if op.mode() == Mode::Timed);
            let in_time = |s: &State| late(s) || *s.call(p) == Call::Running;
            if states.iter().any(|s| late(s)) && everywhere(&in_time) {
                moves.push(Move::Deadline(p));
            }
            if self.kill && everywhere(&|s| *s.call(p) != Call::Dead && holds(s)) {
                moves.push(Move::Kill(p));
            }
        }
        // What takes an end away comes last: it leaves less to do.
        moves.sort_by_key(|m| matches!(m, Move::Close(_) | Move::Kill(_)));
        moves
    }

    fn calls(&self, p: Process, moves: &mut Vec<Move>) {
        let profile = &self.profile;
        if self.is_sender(p) {
            let offered = || modes().filter(|m| profile.send.offers(*m));
            moves.extend(offered().map(|mode| Move::Send(p, mode, profile.usual_size())));
            for size in self.odd_sizes() {
                moves.extend(offered().map(|mode| Move::Send(p, mode, size)));
            }
        } else {
            let offered = modes().filter(|m| profile.receive.offers(*m));
            moves.extend(offered.map(|mode| Move::Receive(p, mode)));
        }
        moves.push(Move::Close(p));
    }

    /// The call that a move makes. Its message is not numbered: which one it is makes no
    /// difference to the rules, and so the states stay few.
    pub(crate) fn op(&self, what: Move) -> Option<(Process, Op)> {
        let direct = self.profile.addressing != Addressing::Mailbox;
        let symmetric = self.profile.addressing == Addressing::Symmetric;
        match what {
            Move::Send(p, mode, size) => {
                let to = direct.then_some(Process(self.senders));
                let message = Message::new(p.0, 0, size);
                Some((p, Op::Send { link: 0, to, message, mode }))
            }
            Move::Receive(p, mode) => {
                let from = symmetric.then_some(Process(0));
                Some((p, Op::Receive { link: 0, from, mode }))
            }
            Move::Close(p) => Some((p, Op::Close { link: 0 })),
            Move::Fill | Move::Deadline(_) | Move::Kill(_) => None,
        }
    }
}

fn modes() -> impl Iterator<Item = Mode> {
    [Mode::Blocking, Mode::Nonblocking, Mode::Timed].into_iter()
}
