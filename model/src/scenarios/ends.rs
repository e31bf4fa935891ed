//! Closing ends, and losing them to a kill.

use super::{Family, word};
use crate::op::Mode::{Blocking, Nonblocking};
use crate::profile::{Capacity, Notice};

pub(super) fn add(family: &mut Family) {
    close_sender(family);
    close_receiver(family);
    if let Some(notice) = family.profile.sender_killed {
        kill_sender(family, notice);
    }
    if let Some(notice) = family.profile.receiver_killed {
        kill_receiver(family, notice);
    }
}

fn drained(mode: crate::Mode) -> &'static str {
    match mode {
        Blocking => "receive.drained.closed",
        Nonblocking => "try_receive.drained.closed",
        crate::Mode::Timed => "receive_timeout.drained.closed",
    }
}

fn unheard(mode: crate::Mode) -> &'static str {
    match mode {
        Blocking => "send.no-receiver.closed",
        Nonblocking => "try_send.no-receiver.closed",
        crate::Mode::Timed => "send_timeout.no-receiver.closed",
    }
}

fn close_sender(family: &mut Family) {
    let told = family.profile.sender_closed == Notice::Reported;
    for mode in family.receives() {
        if mode == Blocking && !told {
            continue;
        }
        let mut s = family.pair(&format!("sender-closes-{}", word(mode)));
        for _ in 0..family.fits() {
            s.send(0, family.send());
        }
        s.close(0).await_return(1, 0);
        // Drained by the very calls that are told of the end: each must see what is left first.
        for _ in 0..family.fits() {
            s.receive(1, mode);
        }
        s.receive(1, mode).receive(1, mode);
        family.add(&s, &[drained(mode), "receive.closed.drains", "close.returns"]);
        if told && mode != Nonblocking {
            let mut s = family.pair(&format!("sender-closes-on-waiting-{}", word(mode)));
            s.timeout(super::buffering::PATIENT).receive(1, mode).await_blocked(0, 1).close(0);
            family.add(&s, &[drained(mode)]);
        }
    }
}

fn close_receiver(family: &mut Family) {
    let told = family.profile.receiver_closed == Notice::Reported;
    for mode in family.sends() {
        let mut s = family.pair(&format!("receiver-closes-{}", word(mode)));
        s.close(1).await_return(0, 1);
        if told || (family.fits() > 0 && mode != Blocking) {
            s.send(0, mode);
        }
        family.add(&s, &[unheard(mode), "close.returns"]);
        if !told || mode == Nonblocking {
            continue;
        }
        let mut s = family.pair(&format!("receiver-closes-on-waiting-{}", word(mode)));
        s.timeout(super::buffering::PATIENT);
        let Some(full) = full(family) else { continue };
        for _ in 0..full {
            s.send(0, mode);
        }
        s.send(0, mode).await_blocked_somewhere(1, 0).close(1);
        family.add(&s, &[unheard(mode)]);
    }
}

/// After how many messages the next one surely waits, if that is known.
fn full(family: &Family) -> Option<u32> {
    match family.profile.capacity {
        Capacity::Zero => Some(0),
        Capacity::Bounded(n) => Some(n),
        Capacity::AtLeast(_) => Some(24),
        Capacity::Unbounded => None,
    }
}

fn kill_sender(family: &mut Family, notice: Notice) {
    let fits = family.fits();
    // What had been sent survives, and the end is told or is not.
    let mut s = family.pair("sender-killed-idle");
    if fits > 0 {
        for _ in 0..fits {
            s.send(0, family.send());
        }
        s.await_return(1, 0);
    }
    s.kill(1, 0);
    for _ in 0..fits {
        s.receive(1, family.receive());
    }
    match notice {
        Notice::Reported => s.receive(1, family.receive()),
        Notice::Silent => s.receive(1, Nonblocking),
    };
    family.add(&s, &["killed.sender.drains", "killed.sender.closed", "delivery.nothing-lost"]);
    // A receiver that waits is let go.
    if let Some(mode) = family.receives().find(|m| *m != Nonblocking)
        && notice == Notice::Reported
    {
        let mut s = family.pair("sender-killed-receiver-waits");
        let observer = s.observer();
        s.timeout(super::buffering::PATIENT).receive(1, mode);
        s.await_blocked(observer, 1).kill(observer, 0);
        family.add(&s, &["killed.sender.closed", "killed.end.released"]);
    }
    // Killed inside a send: the message in flight arrives whole or not at all.
    if let (Some(mode), Some(full)) = (family.sends().find(|m| *m != Nonblocking), full(family)) {
        let mut s = family.pair("sender-killed-in-send");
        for _ in 0..=full {
            s.send(0, mode);
        }
        s.timeout(super::buffering::PATIENT).await_blocked_somewhere(1, 0).kill(1, 0);
        let left = if family.profile.receive.nonblocking { Nonblocking } else { family.receive() };
        for _ in 0..full + 2 {
            s.receive(1, left);
        }
        family.add(&s, &["killed.sender.drains", "killed.end.released"]);
    }
}

fn kill_receiver(family: &mut Family, notice: Notice) {
    if notice == Notice::Reported {
        let mut s = family.pair("receiver-killed-idle");
        s.kill(0, 1).send(0, family.send());
        family.add(&s, &["killed.receiver.closed", "killed.end.released"]);
        if let (Some(mode), Some(full)) = (family.sends().find(|m| *m != Nonblocking), full(family))
        {
            let mut s = family.pair("receiver-killed-sender-waits");
            let observer = s.observer();
            s.timeout(super::buffering::PATIENT);
            for _ in 0..=full {
                s.send(0, mode);
            }
            s.await_blocked_somewhere(observer, 0).kill(observer, 1);
            family.add(&s, &["killed.receiver.closed", "killed.end.released"]);
        }
    }
    // Killed inside a receive: another receiver goes on as if nothing had happened.
    let Some(mode) = family.receives().find(|m| *m != Nonblocking) else { return };
    if family.many_receivers() && family.fits() > 0 {
        let mut s = family.crew("receiver-killed-in-receive", 1, 2);
        s.timeout(super::buffering::PATIENT).receive(1, mode);
        s.await_blocked(0, 1).kill(0, 1).send(0, family.send());
        s.await_return(2, 0).receive(2, family.receive());
        family.add(&s, &["delivery.nothing-lost"]);
    }
}
