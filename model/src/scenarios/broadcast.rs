//! Broadcasts: every receiver gets its copy, and the slowest of them holds the others up.

use super::Family;
use super::buffering::PATIENT;
use crate::op::Mode::{Blocking, Nonblocking, Timed};
use crate::profile::Capacity;

pub(super) fn add(family: &mut Family) {
    if !family.many_receivers() {
        return;
    }
    to_each(family);
    if let Capacity::Bounded(n) = family.profile.capacity {
        one_is_slow(family, n);
        the_slow_one_closes(family, n);
        the_one_waited_for_closes(family, n);
    }
}

/// Two receivers take everything, and then some.
fn to_each(family: &mut Family) {
    let last = family.receives().last();
    let mut s = family.crew("to-each", 1, 2);
    for _ in 0..family.fits() {
        s.send(0, family.send());
    }
    s.await_return(1, 0).await_return(2, 0);
    for _ in 0..family.fits() {
        s.receive(1, family.receive()).receive(2, family.receive());
    }
    if let Some(mode) = last.filter(|mode| *mode != Blocking) {
        s.timeout(2_000_000).receive(1, mode).receive(2, mode);
    }
    family.add(&s, &["broadcast.to-each", "delivery.nothing-lost", "delivery.once"]);
}

/// One receiver takes everything, the other nothing: for the sender the buffer is full.
fn one_is_slow(family: &mut Family, n: u32) {
    for mode in family.sends() {
        let mut s = family.crew(&format!("one-is-slow-{}", super::word(mode)), 1, 2);
        for _ in 0..n {
            s.send(0, family.send());
        }
        s.await_return(1, 0);
        for _ in 0..n {
            s.receive(1, family.receive());
        }
        s.await_return(0, 1).send(0, mode);
        if mode == Blocking {
            s.await_blocked(2, 0).receive(2, family.receive());
        }
        let about = match mode {
            Blocking => "send.full.blocks",
            Nonblocking => "try_send.full.refuses",
            Timed => "send_timeout.full.expires",
        };
        family.add(&s, &[about, "delivery.nothing-lost"]);
    }
}

/// The slow receiver closes: then only the other one counts.
fn the_slow_one_closes(family: &mut Family, n: u32) {
    let mode = if family.profile.send.nonblocking { Nonblocking } else { family.send() };
    let mut s = family.crew("the-slow-one-closes", 1, 2);
    for _ in 0..n {
        s.send(0, family.send());
    }
    s.await_return(1, 0);
    for _ in 0..n {
        s.receive(1, family.receive());
    }
    s.await_return(2, 1).close(2).await_return(0, 2).send(0, mode);
    s.await_return(1, 0).receive(1, family.receive());
    family.add(&s, &["broadcast.close-makes-room", "close.returns"]);
}

/// The sender sleeps for lack of room with one receiver, which closes.
fn the_one_waited_for_closes(family: &mut Family, n: u32) {
    let Some(mode) = family.sends().find(|mode| *mode != Nonblocking) else { return };
    let mut s = family.crew("the-one-waited-for-closes", 1, 2);
    s.timeout(PATIENT);
    for _ in 0..n {
        s.send(0, mode);
    }
    s.await_return(1, 0);
    for _ in 0..n {
        s.receive(1, family.receive());
    }
    s.await_return(0, 1).send(0, mode).await_blocked(2, 0).close(2);
    family.add(&s, &["broadcast.close-makes-room", "send.full.blocks"]);
}
