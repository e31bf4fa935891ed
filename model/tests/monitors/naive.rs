//! The plainest decision there is: every order of the calls that their times allow, played on a
//! plain list. No memory, no cleverness, nothing shared with what it judges.

use ipc_model::{
    Capacity, Ends, History, Mode, Notice, Op, Operation, Order, Process, Profile, Refusal, Ret,
};

struct Game<'a> {
    profile: &'a Profile,
    calls: Vec<(&'a Operation, u64)>,
    played: Vec<bool>,
    inside: Vec<ipc_model::Message>,
    ends: Ends,
    closed: Vec<Process>,
}

/// Whether some order of the calls explains the history. Each event has a time of its own, and
/// nothing is said about quiescence.
pub(crate) fn explains(profile: &Profile, history: &History) -> bool {
    let killed = |o: &Operation| {
        history.crashes.iter().find(|(_, p)| *p == o.process).map_or(u64::MAX, |(t, _)| *t)
    };
    let calls: Vec<_> = history
        .operations
        .iter()
        .map(|o| (o, o.ret.map_or_else(|| killed(o), |(t, _)| t)))
        .collect();
    let played = vec![false; calls.len()];
    let (inside, closed, ends) = (Vec::new(), Vec::new(), history.links[0]);
    let mut game = Game { profile, calls, played, inside, ends, closed };
    game.play(0)
}

impl Game<'_> {
    /// Everything up to the moment `now` has happened.
    fn play(&mut self, now: u64) -> bool {
        let open = |i: &usize| !self.played[*i];
        let must: Vec<usize> =
            (0..self.calls.len()).filter(open).filter(|&i| self.calls[i].0.ret.is_some()).collect();
        if must.is_empty() {
            return true;
        }
        // Nobody may act after somebody else should have returned.
        let limit = must.iter().map(|&i| self.calls[i].1).min().unwrap();
        for i in (0..self.calls.len()).filter(open).collect::<Vec<_>>() {
            let (o, until) = self.calls[i];
            let from = match (o.ret, o.timeout) {
                (Some((_, Ret::Refused(Refusal::Timeout))), Some(d)) => o.call + d,
                _ => o.call,
            };
            let at = now.max(from);
            if at > until || at > limit {
                continue;
            }
            let before = (self.inside.clone(), self.closed.clone());
            self.played[i] = true;
            let others = if let Some(happens) = self.at_an_end(o) {
                if happens { vec![(None, at)] } else { vec![] }
            } else if self.profile.capacity == Capacity::Zero {
                self.meets(i, at, limit)
            } else if self.takes_effect(o) {
                vec![(None, at)]
            } else {
                vec![]
            };
            for (other, at) in others {
                if let Some(other) = other {
                    self.played[other] = true;
                }
                if self.play(at) {
                    return true;
                }
                if let Some(other) = other {
                    self.played[other] = false;
                }
            }
            self.played[i] = false;
            (self.inside, self.closed) = before;
        }
        false
    }

    /// Whether the call can take effect now, for all that closed ends have to say about it; `None`
    /// if it is for what is inside to say.
    fn at_an_end(&mut self, o: &Operation) -> Option<bool> {
        let gone = |holders: ipc_model::ProcessSet, notice| {
            notice == Notice::Reported && holders.iter().all(|p| self.closed.contains(&p))
        };
        let no_sender = gone(self.ends.senders, self.profile.sender_closed);
        let no_receiver = gone(self.ends.receivers, self.profile.receiver_closed);
        match (o.op, o.ret.map(|(_, ret)| ret)) {
            (Op::Close { .. }, _) => {
                self.closed.push(o.process);
                Some(true)
            }
            (Op::Send { .. }, Some(Ret::Refused(Refusal::Closed))) => Some(no_receiver),
            (Op::Send { .. }, _) => no_receiver.then_some(false),
            (Op::Receive { .. }, Some(Ret::Refused(Refusal::Closed))) => {
                Some(no_sender && self.inside.is_empty())
            }
            (Op::Receive { .. }, Some(Ret::Refused(_))) => no_sender.then_some(false),
            (Op::Receive { .. }, _) => None,
        }
    }

    fn takes_effect(&mut self, o: &Operation) -> bool {
        let (room, full) = match self.profile.capacity {
            Capacity::Bounded(n) => (n as usize, n as usize),
            Capacity::AtLeast(n) => (usize::MAX, n as usize),
            _ => (usize::MAX, usize::MAX),
        };
        match (o.op, o.ret.map(|(_, r)| r)) {
            (_, Some(Ret::Refused(Refusal::Full))) => self.inside.len() >= full,
            (Op::Send { .. }, Some(Ret::Refused(Refusal::Timeout))) => self.inside.len() >= full,
            (_, Some(Ret::Refused(_))) => self.inside.is_empty(),
            (Op::Send { message, .. }, _) => {
                let fits = self.inside.len() < room;
                self.inside.push(message);
                fits
            }
            (_, Some(Ret::Received(wanted))) => self.take(|m| *m == wanted),
            (_, None) => {
                let received = |m: &ipc_model::Message| {
                    let told = |c: &(&Operation, u64)| matches!(c.0.ret, Some((_, Ret::Received(r))) if r == *m);
                    self.calls.iter().any(told)
                };
                // What somebody else will receive cannot be taken by one who never returns.
                let free: Vec<_> = self.inside.iter().copied().filter(|m| !received(m)).collect();
                match self.profile.order {
                    Order::Fifo => self.take(|m| free.contains(m)),
                    _ => unreachable!("several choices; not enumerated"),
                }
            }
            _ => false,
        }
    }

    fn take(&mut self, wanted: impl Fn(&ipc_model::Message) -> bool) -> bool {
        for i in 0..self.inside.len() {
            let message = self.inside[i];
            let first = match self.profile.order {
                Order::Fifo => i == 0,
                Order::Unordered => true,
                Order::PerSender => self.inside[..i].iter().all(|m| m.sender != message.sender),
                Order::Priority => {
                    self.inside[..i].iter().all(|m| m.priority < message.priority)
                        && self.inside[i..].iter().all(|m| m.priority <= message.priority)
                }
            };
            if first && wanted(&message) {
                self.inside.remove(i);
                return true;
            }
        }
        false
    }

    /// With whom call `i` can take effect at this moment: nobody needed for a refusal.
    fn meets(&self, i: usize, at: u64, limit: u64) -> Vec<(Option<usize>, u64)> {
        let o = self.calls[i].0;
        if matches!(o.ret, Some((_, Ret::Refused(_)))) {
            return vec![(None, at)];
        }
        let fits = |send: &Operation, receive: &Operation| {
            let (Op::Send { message, mode: a, .. }, Op::Receive { mode: b, .. }) =
                (send.op, receive.op)
            else {
                return false;
            };
            let told = match receive.ret {
                None => !self
                    .calls
                    .iter()
                    .any(|c| matches!(c.0.ret, Some((_, Ret::Received(r))) if r == message)),
                Some((_, ret)) => ret == Ret::Received(message),
            };
            let waits = a != Mode::Nonblocking || b != Mode::Nonblocking;
            told && waits && !matches!(send.ret, Some((_, Ret::Refused(_))))
        };
        (0..self.calls.len())
            .filter(|&j| !self.played[j])
            .filter(|&j| fits(o, self.calls[j].0) || fits(self.calls[j].0, o))
            .map(|j| (Some(j), at.max(self.calls[j].0.call)))
            .filter(|&(j, at)| {
                at <= self.calls[j.unwrap()].1 && at <= limit && at <= self.calls[i].1
            })
            .collect()
    }
}
