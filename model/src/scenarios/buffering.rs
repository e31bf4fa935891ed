//! Room, full and empty, on links that buffer.

use super::{Family, word};
use crate::op::Mode::{self, Blocking, Nonblocking, Timed};
use crate::profile::Capacity;

pub(super) fn add(family: &mut Family) {
    for mode in family.sends() {
        room(family, mode);
        full(family, mode);
    }
    for mode in family.receives() {
        message(family, mode);
        empty(family, mode);
    }
    drain(family);
    race(family);
}

/// Everything is taken out, and then some, by calls that do not wait: what is missing is lost.
fn drain(family: &mut Family) {
    let Some(mode) = family.receives().find(|m| *m != Blocking) else { return };
    let mut s = family.pair("drain");
    s.timeout(2_000_000);
    for _ in 0..family.fits() {
        s.send(0, family.send());
    }
    s.await_return(1, 0);
    for _ in 0..family.fits() + 2 {
        s.receive(1, mode);
    }
    family.add(&s, &["delivery.nothing-lost", "delivery.once", "delivery.nothing-invented"]);
}

/// Sends as many as surely fit, then takes them out.
fn room(family: &mut Family, mode: Mode) {
    let mut s = family.pair(&format!("room-{}", word(mode)));
    for _ in 0..family.fits() {
        s.send(0, mode);
    }
    s.await_return(1, 0);
    for _ in 0..family.fits() {
        s.receive(1, family.receive());
    }
    let about = match (mode, family.profile.capacity) {
        (Blocking, Capacity::Unbounded) => "send.unbounded.accepts",
        (Nonblocking, Capacity::Unbounded) => "try_send.unbounded.accepts",
        (Timed, Capacity::Unbounded) => "send_timeout.unbounded.accepts",
        (Blocking, _) => "send.room.accepts",
        (Nonblocking, _) => "try_send.room.accepts",
        (Timed, _) => "send_timeout.room.accepts",
    };
    family.add(&s, &[about, "delivery.nothing-lost", "delivery.once", "message.bytes-kept"]);
}

/// Fills the buffer exactly, then sends one more.
fn full(family: &mut Family, mode: Mode) {
    match family.profile.capacity {
        Capacity::Bounded(n) => full_exactly(family, mode, n),
        Capacity::AtLeast(_) => full_somewhere(family, mode),
        Capacity::Zero | Capacity::Unbounded => {}
    }
}

fn full_exactly(family: &mut Family, mode: Mode, n: u32) {
    let fill = family.send();
    let mut s = family.pair(&format!("full-{}", word(mode)));
    for _ in 0..n {
        s.send(0, fill);
    }
    s.send(0, mode);
    match mode {
        Blocking => {
            s.await_blocked(1, 0);
            for _ in 0..=n {
                s.receive(1, family.receive());
            }
            family.add(&s, &["send.full.blocks", "send.room.accepts"]);
        }
        Nonblocking => {
            s.await_return(1, 0);
            for _ in 0..n {
                s.receive(1, family.receive());
            }
            one_more(family, &mut s);
            family.add(&s, &["try_send.full.refuses", "delivery.refused-leaves-nothing"]);
        }
        Timed => {
            let mut late = s.clone();
            s.await_blocked(1, 0).await_return(1, 0);
            for _ in 0..n {
                s.receive(1, family.receive());
            }
            one_more(family, &mut s);
            let about = [
                "send_timeout.full.expires",
                "send_timeout.full.waits",
                "timeout.never-early",
                "timeout.decided-at-deadline",
                "delivery.refused-leaves-nothing",
            ];
            family.add(&s, &about);
            late.timeout(PATIENT).await_blocked(1, 0);
            for _ in 0..=n {
                late.receive(1, family.receive());
            }
            let mut late_named = late.build();
            late_named.name = "full-timed-then-room".into();
            family.scenarios.push(super::Standard {
                scenario: late_named,
                about: vec!["send_timeout.full.waits", "send_timeout.room.accepts"],
                repeat: 1,
            });
        }
    }
}

/// Looks for a message that should not be there, where the link has a call that does not wait.
fn one_more(family: &Family, s: &mut crate::ScenarioBuilder) {
    if family.profile.receive.nonblocking {
        s.receive(1, Nonblocking);
    }
}

/// A deadline that no scenario reaches, in nanoseconds.
pub(super) const PATIENT: u64 = 2_000_000_000;

/// Sends until it must be full, wherever the limit lies.
fn full_somewhere(family: &mut Family, mode: Mode) {
    const PLENTY: usize = 24;
    let mut s = family.pair(&format!("full-{}", word(mode)));
    for _ in 0..PLENTY {
        s.send(0, mode);
    }
    match mode {
        Blocking => {
            s.await_blocked_somewhere(1, 0);
            for _ in 0..PLENTY {
                s.receive(1, family.receive());
            }
            family.add(&s, &["send.full.blocks", "send.room.accepts"]);
        }
        Nonblocking => {
            s.await_return(1, 0);
            for _ in 0..PLENTY {
                s.receive(1, Nonblocking);
            }
            family.add(&s, &["try_send.full.refuses", "delivery.refused-leaves-nothing"]);
        }
        Timed => {
            // Each call that finds it full takes its whole time, so only a few follow.
            s.timeout(2_000_000).await_blocked_somewhere(1, 0).await_return(1, 0);
            for _ in 0..PLENTY {
                s.receive(1, Nonblocking);
            }
            family.add(&s, &["send_timeout.full.expires", "send_timeout.full.waits"]);
        }
    }
}

/// A message is there before the receive is called.
fn message(family: &mut Family, mode: Mode) {
    let mut s = family.pair(&format!("message-{}", word(mode)));
    s.send(0, family.send()).await_return(1, 0).receive(1, mode);
    let about = match mode {
        Blocking => "receive.message.takes",
        Nonblocking => "try_receive.message.takes",
        Timed => "receive_timeout.message.takes",
    };
    family.add(&s, &[about, "delivery.nothing-lost"]);
}

/// No message is there when the receive is called.
fn empty(family: &mut Family, mode: Mode) {
    let send = family.send();
    let mut s = family.pair(&format!("empty-{}", word(mode)));
    match mode {
        Nonblocking => {
            s.receive(1, mode).receive(1, mode).await_return(0, 1).send(0, send);
            s.await_return(1, 0).receive(1, mode).receive(1, mode);
            let about = ["try_receive.empty.refuses", "delivery.nothing-invented", "delivery.once"];
            family.add(&s, &about);
        }
        Blocking => {
            s.receive(1, mode).await_blocked(0, 1).send(0, send);
            family.add(&s, &["receive.empty.blocks", "receive.message.takes"]);
            let mut for_good = family.pair("empty-for-good");
            for_good.receive(1, mode);
            family.add(&for_good, &["receive.empty.blocks"]);
        }
        Timed => {
            let mut late = family.pair("empty-timed-then-message");
            s.receive(1, mode).await_blocked(0, 1).await_return(0, 1).send(0, send);
            s.await_return(1, 0).receive(1, mode);
            let about = [
                "receive_timeout.empty.expires",
                "receive_timeout.empty.waits",
                "timeout.never-early",
                "timeout.decided-at-deadline",
            ];
            family.add(&s, &about);
            let mut comes = family.pair("empty-timed-message-comes");
            comes.receive(1, mode).await_blocked(0, 1).send(0, send);
            family.add(&comes, &["timeout.decided-at-deadline", "receive_timeout.message.takes"]);
            late.timeout(PATIENT).receive(1, mode).await_blocked(0, 1).send(0, send);
            family.add(&late, &["receive_timeout.empty.waits", "receive_timeout.message.takes"]);
        }
    }
}

/// Everybody at once, with nothing but the link between them.
fn race(family: &mut Family) {
    let senders = if family.many_senders() { 2 } else { 1 };
    let receivers = if family.many_receivers() { 2 } else { 1 };
    let mut s = family.crew("race", senders, receivers);
    for sender in 0..senders {
        for _ in 0..2 * receivers {
            s.send(sender, family.send());
        }
    }
    for receiver in senders..senders + receivers {
        let copies = if family.profile.distribution.is_queue() { 1 } else { receivers };
        for _ in 0..2 * senders * copies {
            s.receive(receiver, family.receive());
        }
    }
    family.add_repeated(&s, &["delivery.nothing-lost", "delivery.once", "order.fifo"], 10);
    if family.profile.receive.nonblocking && family.profile.send.nonblocking {
        let mut s = family.crew("race-nonblocking", senders, receivers);
        for sender in 0..senders {
            for _ in 0..3 {
                s.send(sender, Nonblocking);
            }
        }
        for receiver in senders..senders + receivers {
            for _ in 0..3 {
                s.receive(receiver, Nonblocking);
            }
        }
        family.add_repeated(&s, &["try_receive.message.takes", "try_send.full.refuses"], 10);
    }
}
