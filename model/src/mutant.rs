//! Links that are wrong on purpose, at least one for every rule. The suite must turn exactly that
//! rule red: a check that cannot fail shows nothing.

use crate::op::{Message, Mode, Op, Process, Refusal, Ret};
use crate::profile::{
    Addressing, Capacity, Distribution, Holders, Modes, Notice, Order, Profile, Size,
};
use crate::rule::{Outcomes, Rule};
use crate::rules::at::At;
use crate::state::{Call, State, Waiting};

/// Replaces what a rule allows.
pub type Mutation = fn(&At<'_>, &Rule, Outcomes) -> Outcomes;

/// A link that breaks one rule.
#[derive(Clone, Copy)]
pub struct Mutant {
    /// Its name: what it does wrong.
    pub name: &'static str,
    /// The rule that must turn red.
    pub breaks: &'static str,
    /// What it claims.
    pub profile: fn() -> Profile,
    /// What it does instead.
    pub mutation: Mutation,
}

impl std::fmt::Debug for Mutant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (breaks {})", self.name, self.breaks)
    }
}

fn bounded() -> Profile {
    Profile::mailbox(Capacity::Bounded(2))
}

fn unbounded() -> Profile {
    Profile::mailbox(Capacity::Unbounded)
}

fn zero() -> Profile {
    Profile::mailbox(Capacity::Zero)
}

fn mortal() -> Profile {
    let told = Some(Notice::Reported);
    Profile { sender_killed: told, receiver_killed: told, ..bounded() }
}

fn small() -> Profile {
    Profile { size: Size::UpTo(64), ..bounded() }
}

fn fixed() -> Profile {
    Profile { size: Size::Fixed(16), ..bounded() }
}

fn per_sender() -> Profile {
    Profile { order: Order::PerSender, ..bounded() }
}

fn priority() -> Profile {
    Profile { order: Order::Priority, capacity: Capacity::Bounded(4), ..bounded() }
}

fn direct() -> Profile {
    let (addressing, one) = (Addressing::Symmetric, Holders::One);
    Profile { addressing, senders: one, receivers: one, ..bounded() }
}

fn broadcast() -> Profile {
    Profile { distribution: Distribution::ToEach, ..bounded() }
}

fn cell() -> Profile {
    let silent = Notice::Silent;
    Profile {
        distribution: Distribution::Latest,
        capacity: Capacity::Bounded(1),
        receive: Modes { blocking: false, nonblocking: true, timed: false },
        sender_closed: silent,
        receiver_closed: silent,
        ..Profile::default()
    }
}

// What mutations do.

/// The rule `named` is not followed: it is never enabled.
macro_rules! ignores {
    ($named:literal) => {
        |_, rule, outcomes| if rule.id == $named { None } else { outcomes }
    };
}

/// Where the rule `named` would fire, the call is told `ret` and nothing else changes.
macro_rules! answers {
    ($named:literal, $ret:expr) => {
        |at, rule, outcomes| {
            if rule.id != $named {
                return outcomes;
            }
            outcomes?;
            at.returns($ret)
        }
    };
}

/// Where the rule `named` would fire, the state that follows is changed.
macro_rules! spoils {
    ($named:pat, $spoil:expr) => {
        |at, rule, outcomes| {
            let spoil: fn(&At<'_>, &mut State) = $spoil;
            if !matches!(rule.id, $named) {
                return outcomes;
            }
            let mut outcomes = outcomes?;
            outcomes.iter_mut().for_each(|next| spoil(at, next));
            Some(outcomes)
        }
    };
}

/// What the process is about to be told, changed.
fn retell(at: &At<'_>, next: &mut State, change: fn(Message) -> Ret) {
    if let Call::Returning(Ret::Received(message)) = *next.call(at.process) {
        next.set(at.process, Call::Returning(change(message)));
    }
}

/// The message of the process's pending send is put into the queue.
fn place_anyway(at: &At<'_>, next: &mut State) {
    if let Some(Op::Send { link, to, message, .. }) = at.state.pending(at.process) {
        next.links[*link as usize].queue.push(Waiting { message: *message, to: *to });
    }
}

/// The message that the pending send brings is lost.
fn lose(at: &At<'_>, next: &mut State) {
    if let Some(Op::Send { link, .. }) = at.state.pending(at.process) {
        next.links[*link as usize].queue.pop();
    }
}

/// The message is received in spite of it all, out of the queue's end.
fn newest_first(at: &At<'_>, rule: &Rule, outcomes: Outcomes) -> Outcomes {
    if !rule.id.ends_with(".message.takes") {
        return outcomes;
    }
    outcomes?;
    let (receive, _) = at.receive()?;
    let mut next = at.state.clone();
    let newest = next.links[receive.link as usize].queue.pop()?;
    next.set(at.process, Call::Returning(Ret::Received(newest.message)));
    Some(vec![next])
}

const STRANGER: Message = Message { sender: Process(40), sequence: 9, size: 16, priority: 0 };

const FULL: Ret = Ret::Refused(Refusal::Full);
const EMPTY: Ret = Ret::Refused(Refusal::Empty);
const CLOSED: Ret = Ret::Refused(Refusal::Closed);
const TIMEOUT: Ret = Ret::Refused(Refusal::Timeout);

macro_rules! mutants {
    ($($name:literal breaks $rule:literal as $profile:ident: $mutation:expr;)*) => {
        &[$(Mutant { name: $name, breaks: $rule, profile: $profile, mutation: $mutation }),*]
    };
}

/// Every mutant.
pub const MUTANTS: &[Mutant] = mutants! {
    // Buffers.
    "send-hangs-with-room" breaks "send.room.accepts" as bounded: ignores!("send.room.accepts");
    "send-returns-when-full" breaks "send.full.blocks" as bounded:
        answers!("send.full.blocks", Ret::Done);
    "try-send-refuses-with-room" breaks "try_send.room.accepts" as bounded:
        answers!("try_send.room.accepts", FULL);
    "try-send-squeezes-in" breaks "try_send.full.refuses" as bounded:
        spoils!("try_send.full.refuses", |at, next| {
            place_anyway(at, next);
            next.set(at.process, Call::Returning(Ret::Done));
        });
    "send-timeout-gives-up-with-room" breaks "send_timeout.room.accepts" as bounded:
        |at, rule, outcomes| {
            if rule.id != "send_timeout.room.accepts" { return outcomes; }
            outcomes?;
            at.expired()?;
            at.refuses(Refusal::Timeout)
        };
    "send-timeout-says-full" breaks "send_timeout.full.waits" as bounded:
        answers!("send_timeout.full.waits", FULL);
    "send-timeout-never-ends" breaks "send_timeout.full.expires" as bounded:
        ignores!("send_timeout.full.expires");
    "unbounded-send-says-full" breaks "send.unbounded.accepts" as unbounded:
        answers!("send.unbounded.accepts", FULL);
    "unbounded-try-send-says-full" breaks "try_send.unbounded.accepts" as unbounded:
        answers!("try_send.unbounded.accepts", FULL);
    "unbounded-send-timeout-says-full" breaks "send_timeout.unbounded.accepts" as unbounded:
        answers!("send_timeout.unbounded.accepts", FULL);
    "receive-sleeps-on" breaks "receive.message.takes" as bounded:
        ignores!("receive.message.takes");
    "receive-says-empty" breaks "receive.empty.blocks" as bounded:
        answers!("receive.empty.blocks", EMPTY);
    "try-receive-misses-one" breaks "try_receive.message.takes" as bounded:
        |at, rule, outcomes| {
            if rule.id != "try_receive.message.takes" { return outcomes; }
            outcomes?;
            at.refuses(Refusal::Empty)
        };
    "try-receive-says-closed" breaks "try_receive.empty.refuses" as bounded:
        answers!("try_receive.empty.refuses", CLOSED);
    "receive-timeout-sleeps-on" breaks "receive_timeout.message.takes" as bounded:
        |at, rule, outcomes| {
            if rule.id != "receive_timeout.message.takes" { return outcomes; }
            outcomes?;
            at.expired()?;
            at.refuses(Refusal::Timeout)
        };
    "receive-timeout-says-empty" breaks "receive_timeout.empty.waits" as bounded:
        answers!("receive_timeout.empty.waits", EMPTY);
    "receive-timeout-never-ends" breaks "receive_timeout.empty.expires" as bounded:
        ignores!("receive_timeout.empty.expires");
    // Rendezvous.
    "they-miss-each-other" breaks "rendezvous.meets" as zero: ignores!("rendezvous.meets");
    "send-does-not-wait" breaks "rendezvous.send.waits" as zero:
        answers!("rendezvous.send.waits", Ret::Done);
    "receive-does-not-wait" breaks "rendezvous.receive.waits" as zero:
        answers!("rendezvous.receive.waits", EMPTY);
    "try-send-misses-a-waiting-receiver" breaks "rendezvous.try_send.meets" as zero:
        answers!("rendezvous.try_send.meets", FULL);
    "try-send-leaves-it-behind" breaks "rendezvous.try_send.alone.refuses" as zero:
        answers!("rendezvous.try_send.alone.refuses", Ret::Done);
    "try-receive-misses-a-waiting-sender" breaks "rendezvous.try_receive.meets" as zero:
        answers!("rendezvous.try_receive.meets", EMPTY);
    "try-receive-alone-says-closed" breaks "rendezvous.try_receive.alone.refuses" as zero:
        answers!("rendezvous.try_receive.alone.refuses", CLOSED);
    "lonely-send-never-expires" breaks "rendezvous.send_timeout.expires" as zero:
        ignores!("rendezvous.send_timeout.expires");
    "lonely-receive-never-expires" breaks "rendezvous.receive_timeout.expires" as zero:
        ignores!("rendezvous.receive_timeout.expires");
    // Sizes.
    "too-big-is-taken" breaks "send.too-big.refuses" as small:
        spoils!("send.too-big.refuses", |at, next| {
            place_anyway(at, next);
            next.set(at.process, Call::Returning(Ret::Done));
        });
    "any-size-is-taken" breaks "send.wrong-size.refuses" as fixed:
        spoils!("send.wrong-size.refuses", |at, next| {
            place_anyway(at, next);
            next.set(at.process, Call::Returning(Ret::Done));
        });
    // Ends.
    "close-hangs" breaks "close.returns" as bounded: ignores!("close.returns");
    "close-throws-away-what-waits" breaks "receive.closed.drains" as bounded:
        answers!("receive.closed.drains", CLOSED);
    "receive-hangs-on-a-closed-link" breaks "receive.drained.closed" as bounded:
        ignores!("receive.drained.closed");
    "try-receive-says-empty-for-closed" breaks "try_receive.drained.closed" as bounded:
        answers!("try_receive.drained.closed", EMPTY);
    "receive-timeout-waits-on-a-closed-link" breaks "receive_timeout.drained.closed" as bounded:
        |at, rule, outcomes| {
            if rule.id != "receive_timeout.drained.closed" { return outcomes; }
            outcomes?;
            at.expired()?;
            at.refuses(Refusal::Timeout)
        };
    "send-to-nobody-succeeds" breaks "send.no-receiver.closed" as bounded:
        answers!("send.no-receiver.closed", Ret::Done);
    "try-send-to-nobody-succeeds" breaks "try_send.no-receiver.closed" as bounded:
        answers!("try_send.no-receiver.closed", Ret::Done);
    "send-timeout-to-nobody-succeeds" breaks "send_timeout.no-receiver.closed" as bounded:
        answers!("send_timeout.no-receiver.closed", Ret::Done);
    "the-dead-keep-their-ends" breaks "killed.sender.closed" as mortal:
        ignores!("killed.end.released");
    "death-takes-what-was-sent" breaks "killed.sender.drains" as mortal:
        answers!("killed.sender.drains", CLOSED);
    "receive-hangs-after-a-death" breaks "killed.sender.closed" as mortal:
        ignores!("killed.sender.closed");
    "send-hangs-after-a-death" breaks "killed.receiver.closed" as mortal:
        ignores!("killed.receiver.closed");
    // Properties.
    "loses-the-second-message" breaks "delivery.nothing-lost" as bounded:
        spoils!("send.room.accepts" | "try_send.room.accepts", |at, next| {
            if at.send().is_some_and(|(send, _)| send.message.sequence == 1) {
                lose(at, next);
            }
        });
    "delivers-twice" breaks "delivery.once" as bounded:
        spoils!(
            "receive.message.takes" | "try_receive.message.takes" | "receive.closed.drains",
            |at, next| {
                if let (Call::Returning(Ret::Received(message)), Some((receive, _))) =
                    (*next.call(at.process), at.receive())
                {
                    let queue = &mut next.links[receive.link as usize].queue;
                    queue.insert(0, Waiting { message, to: None });
                }
            }
        );
    "invents-a-message" breaks "delivery.nothing-invented" as bounded:
        answers!("try_receive.empty.refuses", Ret::Received(STRANGER));
    "delivers-what-it-refused" breaks "delivery.refused-leaves-nothing" as bounded:
        spoils!("try_send.full.refuses", place_anyway);
    "flips-a-bit" breaks "message.bytes-kept" as bounded:
        spoils!("receive.message.takes", |at, next| retell(at, next, Ret::Torn));
    "cuts-a-byte-off" breaks "message.size-kept" as bounded:
        spoils!("receive.message.takes", |at, next| {
            retell(at, next, |m| Ret::Received(Message { size: m.size.saturating_sub(1), ..m }));
        });
    "last-in-first-out" breaks "order.fifo" as bounded: newest_first;
    "last-in-first-out-for-each" breaks "order.per-sender" as per_sender: newest_first;
    "ignores-priorities" breaks "order.priority" as priority: newest_first;
    "gives-it-to-whoever-asks" breaks "direct.only-between-the-named" as direct:
        crossed_links;
    "mixes-mailboxes-up" breaks "mailbox.own-messages-only" as bounded: crossed_links;
    "times-out-at-once" breaks "timeout.never-early" as bounded:
        |at, rule, outcomes| {
            let early = rule.id == "receive_timeout.empty.waits";
            if early && outcomes.is_some() { at.returns(TIMEOUT) } else { outcomes }
        };
    // Broadcasts.
    "broadcasts-to-one" breaks "broadcast.to-each" as broadcast:
        spoils!("send.room.accepts" | "try_send.room.accepts", |at, next| {
            let Some((send, _)) = at.send() else { return };
            let link = &mut next.links[send.link as usize];
            let first = link.receivers.iter().next();
            link.queue.retain(|w| !w.message.same_name(&send.message) || w.to == first);
        });
    "waits-for-those-who-left" breaks "broadcast.close-makes-room" as broadcast:
        spoils!("close.returns", |at, next| {
            // What waits for a receiver that has closed goes on waiting, and is counted.
            let Some(Op::Close { link }) = at.state.pending(at.process) else { return };
            let (was, link) = (&at.state.links[*link as usize], &mut next.links[*link as usize]);
            if was.queue.iter().any(|w| w.to == Some(at.process)) {
                (link.queue, link.receivers) = (was.queue.clone(), was.receivers);
            }
        });
    // State cells.
    "write-waits-for-readers" breaks "cell.write.replaces" as cell:
        |at, rule, outcomes| {
            let written = at.send().is_some_and(|(send, _)| {
                !at.state.links[send.link as usize].queue.is_empty()
            });
            if rule.id == "cell.write.replaces" && outcomes.is_some() && written {
                at.refuses(Refusal::Full)
            } else {
                outcomes
            }
        };
    "reading-takes-it-out" breaks "cell.read.latest" as cell:
        spoils!("cell.read.latest", |at, next| {
            if let Some((receive, _)) = at.receive() {
                next.links[receive.link as usize].queue.clear();
            }
        });
    "unwritten-says-closed" breaks "cell.read.unwritten.refuses" as cell:
        answers!("cell.read.unwritten.refuses", CLOSED);
    // Time.
    "decides-its-timeout-at-the-call" breaks "timeout.decided-at-deadline" as unbounded:
        |at, rule, outcomes| {
            // Once asleep it looks at nothing but the clock.
            let asleep = at.awake().is_none();
            match rule.id {
                "receive_timeout.message.takes" if asleep && outcomes.is_some() => {
                    at.expired()?;
                    at.returns(TIMEOUT)
                }
                _ => outcomes,
            }
        };
};

/// A receive takes from the other link if its own is empty there but not here.
fn crossed_links(at: &At<'_>, rule: &Rule, outcomes: Outcomes) -> Outcomes {
    if !rule.id.ends_with(".message.takes") {
        return outcomes;
    }
    outcomes?;
    let (receive, mode) = at.receive()?;
    if at.state.links.len() < 2 || mode == Mode::Timed {
        return at.takes(receive);
    }
    let mut next = at.state.clone();
    let other = 1 - receive.link as usize;
    if next.links[other].queue.is_empty() {
        return at.takes(receive);
    }
    let taken = next.links[other].queue.remove(0);
    next.set(at.process, Call::Returning(Ret::Received(taken.message)));
    Some(vec![next])
}

/// The mutant of this name.
pub fn mutant(name: &str) -> Option<&'static Mutant> {
    MUTANTS.iter().find(|m| m.name == name)
}
