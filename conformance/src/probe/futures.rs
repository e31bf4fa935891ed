//! Calls that are futures: who is woken, and what a future leaves behind that is dropped before it
//! is ready. A script polls them by hand, so nothing here depends on time or on a runtime.

use ipc_model::machine::Described;
use ipc_model::{Capacity, Force, Holders, Kind, Notice, Source};

use super::{Found, Probe, Subject};
use crate::adapter::{Cancelling, Claim};
use crate::futures::{Action, Answered, Seen, WAKERS};
use crate::report::CellVerdict;

const fn about(id: &'static str, says: &'static str, sources: &'static [Source]) -> Described {
    Described { id, says, sources, force: Force::Shall, kind: Kind::Property }
}

const POLL: &[Source] = &[Source::Clause(
    "std Future::poll: woken by the waker of the latest poll, once there is progress",
)];

const CANCEL: &[Source] =
    &[Source::Clause("cancel safety, as tokio documents it for select!: nothing was done")];

/// A call that can go on is woken.
pub(super) const WAKE_WHEN_READY: Probe = Probe {
    about: about(
        "async.wake.when-ready",
        "A future that waits is woken once a peer has made it possible to go on: by a message, by \
         room, by closing.",
        POLL,
    ),
    claimed: |claim| claim.futures.is_some(),
    deep: false,
    way: None,
    look: |subject| {
        look(subject, |claim| [message_comes(claim), room_comes(claim), ends(claim)].concat())
    },
};

/// The waker of the latest poll counts.
pub(super) const WAKE_LATEST_WAKER: Probe = Probe {
    about: about(
        "async.wake.latest-waker",
        "A future that was polled again with another waker wakes that one.",
        POLL,
    ),
    claimed: |claim| claim.futures.is_some(),
    deep: false,
    way: None,
    look: |subject| look(subject, latest_waker),
};

/// A wakeup is not lost with the future that got it.
pub(super) const WAKE_PASSED_ON: Probe = Probe {
    about: about(
        "async.wake.passed-on",
        "Where the future that was woken is dropped, another that waits for the same is woken.",
        POLL,
    ),
    claimed: |claim| claim.futures.is_some() && !passed_on(claim).is_empty(),
    deep: false,
    way: None,
    look: |subject| look(subject, passed_on),
};

/// A dropped send has sent nothing.
pub(super) const SEND_DROPPED: Probe = Probe {
    about: about(
        "async.send.dropped-sends-nothing",
        "A send whose future is dropped before it is ready has sent nothing and takes no room.",
        CANCEL,
    ),
    claimed: |claim| claim.futures.is_some() && !send_dropped(claim).is_empty(),
    deep: false,
    way: None,
    look: |subject| cancelled(subject, |safe| safe.send, send_dropped),
};

/// A dropped receive has taken nothing.
pub(super) const RECEIVE_DROPPED: Probe = Probe {
    about: about(
        "async.receive.dropped-takes-nothing",
        "A receive whose future is dropped before it is ready has taken nothing: the next one gets \
         the message.",
        CANCEL,
    ),
    claimed: |claim| claim.futures.is_some(),
    deep: false,
    way: None,
    look: |subject| cancelled(subject, |safe| safe.receive, receive_dropped),
};

/// What must be seen after an action.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// What the poll answers.
    Answer(fn(&Answered) -> bool, &'static str),
    /// That this waker has been woken by now.
    Woken(usize),
    /// That where the poll answers this, the waker has been woken by now.
    WokenWhere(fn(&Answered) -> bool, usize),
    /// Nothing in particular.
    Anything,
}

/// A script, and what must be seen after each of its actions: as a condition of the script, or as
/// the rule wants it.
#[derive(Clone, Debug, Default)]
struct Script {
    name: &'static str,
    actions: Vec<Action>,
    conditions: Vec<Expected>,
    rules: Vec<Expected>,
    futures: usize,
    /// Whether a last condition that is not met means that there is nothing to be seen.
    moot: bool,
}

const PENDING: Expected = Expected::Answer(|a| *a == Answered::Pending, "pending");
const SENT: Expected = Expected::Answer(|a| *a == Answered::Sent, "sent");
const CLOSED: Expected = Expected::Answer(|a| *a == Answered::Failed("closed".into()), "closed");
const RECEIVED: Expected = Expected::Answer(|a| matches!(a, Answered::Received(_)), "a message");
/// The message that is not for the others.
const MARK: u8 = 9;
const MARKED: Expected = Expected::Answer(|a| *a == Answered::Received(MARK), "the message");

impl Script {
    fn named(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    fn act(&mut self, action: Action, condition: Expected, rule: Expected) {
        self.actions.push(action);
        self.conditions.push(condition);
        self.rules.push(rule);
    }

    fn begin(&mut self, action: Action) -> usize {
        self.act(action, Expected::Anything, Expected::Anything);
        self.futures += 1;
        self.futures - 1
    }

    /// A send by this end that is polled once, and must answer this for the script to go on.
    fn send(&mut self, end: usize, value: u8, waker: usize, condition: Expected) -> usize {
        let future = self.begin(Action::Send { end, value });
        self.act(Action::Poll { future, waker }, condition, Expected::Anything);
        future
    }

    /// The same for a receive.
    fn receive(&mut self, end: usize, waker: usize, condition: Expected) -> usize {
        let future = self.begin(Action::Receive { end });
        self.act(Action::Poll { future, waker }, condition, Expected::Anything);
        future
    }

    /// After the last action the rule wants this.
    fn so(&mut self, rule: Expected) {
        if let Some(last) = self.rules.last_mut() {
            *last = rule;
        }
    }

    /// Polls once more: the rule wants this.
    fn then(&mut self, future: usize, waker: usize, rule: Expected) {
        self.act(Action::Poll { future, waker }, Expected::Anything, rule);
    }

    fn does(&mut self, action: Action) {
        self.act(action, Expected::Anything, Expected::Anything);
    }

    /// Sends until nothing more fits.
    fn fill(&mut self, claim: &Claim) {
        for value in 0..room(claim).unwrap_or(0) {
            self.send(0, value as u8, WAKERS - 1, SENT);
        }
    }

    /// Whether what was seen is what the rule wants.
    fn judge(&self, seen: &[Seen]) -> Found {
        for (place, action) in self.actions.iter().enumerate() {
            let what = |wanted: &str| {
                let answered = &seen[place].answered;
                let told = answered.as_ref().map_or("nothing".into(), |a| format!("{a:?}"));
                let (name, step) = (self.name, place + 1);
                format!(
                    "{name}, step {step}, {action:?}: {told}, not {wanted}; wakers {:?}",
                    seen[place].woken
                )
            };
            if let Some(wanted) = missed(self.rules[place], &seen[place]) {
                return Found::broken(what(&wanted));
            }
            if let Some(wanted) = missed(self.conditions[place], &seen[place]) {
                if self.moot && place + 1 == self.actions.len() {
                    let why = "a dropped future keeps what it was given, so nobody else waits for \
                               it";
                    let why = format!("{why}: {}", what(&wanted));
                    return Found::observed(why, ["nothing to pass on".to_string()]);
                }
                return Found::inconclusive(what(&wanted));
            }
        }
        Found::kept(self.name)
    }
}

/// What was expected, if it was not seen.
fn missed(expected: Expected, seen: &Seen) -> Option<String> {
    match expected {
        Expected::Anything => None,
        Expected::Answer(is, name) => {
            (!seen.answered.as_ref().is_some_and(is)).then(|| name.into())
        }
        Expected::WokenWhere(is, _) if !seen.answered.as_ref().is_some_and(is) => None,
        Expected::Woken(waker) | Expected::WokenWhere(_, waker) => {
            (seen.woken[waker] == 0).then(|| format!("waker {waker} woken"))
        }
    }
}

/// How many messages fit, if that is bounded.
fn room(claim: &Claim) -> Option<u32> {
    match claim.profile.capacity {
        Capacity::Zero => Some(0),
        Capacity::Bounded(n) => Some(n),
        Capacity::AtLeast(_) | Capacity::Unbounded => None,
    }
}

/// A receiver waits, and a message comes.
fn message_comes(_: &Claim) -> Vec<Script> {
    let mut s = Script::named("a message for a waiting receive");
    let receive = s.receive(0, 0, PENDING);
    s.send(0, MARK, 1, Expected::Anything);
    s.so(Expected::Woken(0));
    s.then(receive, 0, MARKED);
    vec![s]
}

/// A sender waits for room, and a receiver makes some.
fn room_comes(claim: &Claim) -> Vec<Script> {
    if room(claim).is_none() {
        return vec![];
    }
    let mut s = Script::named("room for a waiting send");
    s.fill(claim);
    let send = s.send(0, MARK, 0, PENDING);
    s.receive(0, 1, RECEIVED);
    s.so(Expected::Woken(0));
    s.then(send, 0, SENT);
    vec![s]
}

/// One side waits, and the other is gone.
fn ends(claim: &Claim) -> Vec<Script> {
    let mut scripts = Vec::new();
    let count = |holders| if holders == Holders::Many { 2 } else { 1 };
    if claim.profile.sender_closed == Notice::Reported {
        let mut s = Script::named("no sender left for a waiting receive");
        let receive = s.receive(0, 0, PENDING);
        (0..count(claim.profile.senders)).for_each(|end| s.does(Action::CloseSender { end }));
        s.so(Expected::Woken(0));
        s.then(receive, 0, CLOSED);
        scripts.push(s);
    }
    if claim.profile.receiver_closed == Notice::Reported && room(claim).is_some() {
        let mut s = Script::named("no receiver left for a waiting send");
        s.fill(claim);
        let send = s.send(0, MARK, 0, PENDING);
        (0..count(claim.profile.receivers)).for_each(|end| s.does(Action::CloseReceiver { end }));
        s.so(Expected::Woken(0));
        s.then(send, 0, CLOSED);
        scripts.push(s);
    }
    scripts
}

/// Polled by one task, then by another.
fn latest_waker(claim: &Claim) -> Vec<Script> {
    let mut s = Script::named("a waiting receive moves to another task");
    let receive = s.receive(0, 0, PENDING);
    s.act(Action::Poll { future: receive, waker: 1 }, PENDING, Expected::Anything);
    s.send(0, MARK, 2, Expected::Anything);
    s.so(Expected::Woken(1));
    s.then(receive, 1, MARKED);
    let mut scripts = vec![s];
    if room(claim).is_some() {
        let mut s = Script::named("a waiting send moves to another task");
        s.fill(claim);
        let send = s.send(0, MARK, 0, PENDING);
        s.act(Action::Poll { future: send, waker: 1 }, PENDING, Expected::Anything);
        s.receive(0, 2, RECEIVED);
        s.so(Expected::Woken(1));
        s.then(send, 1, SENT);
        scripts.push(s);
    }
    scripts
}

/// Two wait, the one that was woken is dropped, and the other must be woken: if there is still a
/// message, or still room, which is looked at by one more receive. Where what the dropped one had
/// got counts as done, there is none, and the script shows nothing.
fn passed_on(claim: &Claim) -> Vec<Script> {
    let mut scripts = Vec::new();
    if claim.profile.receivers == Holders::Many && room(claim) != Some(0) {
        let mut s = Script::named("of two waiting receives one is dropped");
        let first = s.receive(0, 0, PENDING);
        s.receive(1, 1, PENDING);
        s.send(0, MARK, 2, SENT);
        s.does(Action::Drop { future: first });
        s.receive(0, 2, MARKED);
        s.so(Expected::WokenWhere(|a| *a != Answered::Pending, 1));
        s.moot = true;
        scripts.push(s);
    }
    let n = room(claim).unwrap_or(0);
    if claim.profile.senders == Holders::Many && n > 0 {
        let mut s = Script::named("of two waiting sends one is dropped");
        s.fill(claim);
        let first = s.send(0, MARK, 0, PENDING);
        s.send(1, MARK, 1, PENDING);
        s.receive(0, 2, RECEIVED);
        s.does(Action::Drop { future: first });
        for _ in 1..n {
            s.receive(0, 2, RECEIVED);
        }
        s.receive(0, 2, PENDING);
        s.so(Expected::WokenWhere(|a| *a == Answered::Pending, 1));
        s.moot = true;
        scripts.push(s);
    }
    scripts
}

/// A send that waits is dropped: before there is room, and when there is.
fn send_dropped(claim: &Claim) -> Vec<Script> {
    let Some(n) = room(claim) else { return vec![] };
    let not_marked = Expected::Answer(|a| *a != Answered::Received(MARK), "anything else");
    let mut full = Script::named("dropped while the link is full");
    full.fill(claim);
    let send = full.send(0, MARK, 0, PENDING);
    full.does(Action::Drop { future: send });
    for _ in 0..n {
        full.receive(0, 1, RECEIVED);
        full.so(not_marked);
    }
    full.receive(0, 1, PENDING);
    full.so(PENDING);
    if n == 0 {
        return vec![full];
    }
    let mut room = Script::named("dropped once there is room");
    room.fill(claim);
    let send = room.send(0, MARK, 0, PENDING);
    room.receive(0, 1, RECEIVED);
    room.does(Action::Drop { future: send });
    for _ in 1..n {
        room.receive(0, 1, RECEIVED);
        room.so(not_marked);
    }
    room.receive(0, 1, PENDING);
    room.so(PENDING);
    vec![full, room]
}

/// A receive that waits is dropped: before a message comes, and when one has come.
fn receive_dropped(claim: &Claim) -> Vec<Script> {
    if room(claim) == Some(0) {
        // A send that has met a receive which then goes may count as received.
        let mut s = Script::named("dropped before a send");
        let receive = s.receive(0, 0, PENDING);
        s.does(Action::Drop { future: receive });
        s.send(0, MARK, 1, PENDING);
        s.so(PENDING);
        let again = s.begin(Action::Receive { end: 0 });
        s.then(again, 0, MARKED);
        return vec![s];
    }
    let mut before = Script::named("dropped before a message comes");
    let receive = before.receive(0, 0, PENDING);
    before.does(Action::Drop { future: receive });
    before.send(0, MARK, 1, SENT);
    let again = before.begin(Action::Receive { end: 0 });
    before.then(again, 0, MARKED);
    let mut after = Script::named("dropped once a message has come");
    let receive = after.receive(0, 0, PENDING);
    after.send(0, MARK, 1, SENT);
    after.does(Action::Drop { future: receive });
    let again = after.begin(Action::Receive { end: 0 });
    after.then(again, 0, MARKED);
    vec![before, after]
}

/// Plays the scripts: one that breaks the rule decides.
fn look(subject: &mut Subject<'_>, scripts: impl Fn(&Claim) -> Vec<Script>) -> Found {
    let scripts = scripts(subject.claim);
    let mut kept = Vec::new();
    let mut unsure = None;
    for script in &scripts {
        let seen = match subject.host.poll(&subject.claim.link, &script.actions) {
            Ok(seen) => seen,
            Err(why) => return Found::no_look(format!("{}: {why}", script.name)),
        };
        let found = script.judge(&seen);
        match found.verdict {
            CellVerdict::Pass => kept.push(script.name),
            CellVerdict::Inconclusive | CellVerdict::Observed => unsure = Some(found),
            _ => return found,
        }
    }
    match unsure {
        Some(unsure) if kept.is_empty() => unsure,
        _ => Found::kept(kept.join("; ")),
    }
}

/// The same for a rule that is only observed where the documentation does not promise it.
fn cancelled(
    subject: &mut Subject<'_>,
    promised: fn(Cancelling) -> bool,
    scripts: fn(&Claim) -> Vec<Script>,
) -> Found {
    let promised = subject.claim.futures.is_some_and(promised);
    let found = look(subject, scripts);
    match found.verdict {
        CellVerdict::Pass | CellVerdict::Fail if !promised => Found {
            verdict: CellVerdict::Observed,
            why: match found.verdict {
                CellVerdict::Pass => "undocumented, and kept".into(),
                _ => format!("undocumented, and not so: {}", found.why),
            },
            observed: vec![match found.verdict {
                CellVerdict::Pass => "kept".into(),
                _ => "not kept".into(),
            }],
        },
        _ => found,
    }
}

#[cfg(test)]
#[path = "futures_tests.rs"]
mod tests;
