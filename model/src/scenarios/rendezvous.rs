//! Meeting and missing each other, on links without a buffer.

use super::buffering::PATIENT;
use super::{Family, word};
use crate::op::Mode::{Blocking, Nonblocking, Timed};

pub(super) fn add(family: &mut Family) {
    let waiting_send = family.sends().find(|m| *m != Nonblocking);
    let waiting_receive = family.receives().find(|m| *m != Nonblocking);
    for send in family.sends() {
        for receive in family.receives() {
            sender_first(family, send, receive);
            receiver_first(family, send, receive);
        }
        alone_sending(family, send);
    }
    for receive in family.receives() {
        alone_receiving(family, receive);
    }
    if let (Some(send), Some(receive)) = (waiting_send, waiting_receive) {
        race(family, send, receive);
    }
}

/// The sender waits, and a receiver comes.
fn sender_first(family: &mut Family, send: crate::Mode, receive: crate::Mode) {
    if send == Nonblocking {
        return;
    }
    let mut s = family.pair(&format!("{}-sender-met-by-{}", word(send), word(receive)));
    s.timeout(PATIENT).send(0, send).await_blocked(1, 0).receive(1, receive);
    let about =
        if receive == Nonblocking { "rendezvous.try_receive.meets" } else { "rendezvous.meets" };
    family.add(&s, &[about, "rendezvous.send.waits"]);
}

/// The receiver waits, and a sender comes.
fn receiver_first(family: &mut Family, send: crate::Mode, receive: crate::Mode) {
    if receive == Nonblocking {
        return;
    }
    let mut s = family.pair(&format!("{}-receiver-met-by-{}", word(receive), word(send)));
    s.timeout(PATIENT).receive(1, receive).await_blocked(0, 1).send(0, send);
    let about = if send == Nonblocking { "rendezvous.try_send.meets" } else { "rendezvous.meets" };
    family.add(&s, &[about, "rendezvous.receive.waits"]);
}

/// Nobody comes to receive.
fn alone_sending(family: &mut Family, send: crate::Mode) {
    let mut s = family.pair(&format!("alone-sending-{}", word(send)));
    s.send(0, send);
    match send {
        Blocking => family.add(&s, &["rendezvous.send.waits"]),
        Nonblocking => {
            s.await_return(1, 0).receive(1, Nonblocking);
            let about = ["rendezvous.try_send.alone.refuses", "delivery.refused-leaves-nothing"];
            family.add(&s, &about);
        }
        Timed => {
            s.await_blocked(1, 0).await_return(1, 0).receive(1, Nonblocking);
            let about = [
                "rendezvous.send_timeout.expires",
                "rendezvous.send.waits",
                "timeout.never-early",
                "timeout.decided-at-deadline",
                "delivery.refused-leaves-nothing",
            ];
            family.add(&s, &about);
        }
    }
}

/// Nobody comes to send.
fn alone_receiving(family: &mut Family, receive: crate::Mode) {
    let mut s = family.pair(&format!("alone-receiving-{}", word(receive)));
    s.receive(1, receive);
    match receive {
        Blocking => family.add(&s, &["rendezvous.receive.waits"]),
        Nonblocking => {
            let about = ["rendezvous.try_receive.alone.refuses", "delivery.nothing-invented"];
            family.add(&s, &about);
        }
        Timed => {
            s.await_blocked(0, 1).await_return(0, 1).send(0, Nonblocking);
            let about = [
                "rendezvous.receive_timeout.expires",
                "rendezvous.receive.waits",
                "timeout.never-early",
                "timeout.decided-at-deadline",
            ];
            family.add(&s, &about);
        }
    }
}

fn race(family: &mut Family, send: crate::Mode, receive: crate::Mode) {
    let senders = if family.many_senders() { 2 } else { 1 };
    let receivers = if family.many_receivers() { 2 } else { 1 };
    let mut s = family.crew("race", senders, receivers);
    s.timeout(PATIENT);
    for sender in 0..senders {
        for _ in 0..2 * receivers {
            s.send(sender, send);
        }
    }
    for receiver in senders..senders + receivers {
        for _ in 0..2 * senders {
            s.receive(receiver, receive);
        }
    }
    family.add_repeated(&s, &["rendezvous.meets", "delivery.once", "delivery.nothing-lost"], 10);
}
