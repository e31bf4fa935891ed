//! What messages are like: their sizes, their order, and which link they belong to.

use super::Family;
use crate::op::Mode::Nonblocking;
use crate::profile::{Addressing, Capacity, Order, Size};

pub(super) fn add(family: &mut Family) {
    sizes(family);
    wrong_sizes(family);
    order(family);
    priorities(family);
    two_links(family);
}

/// Messages of several lengths, each received before the next is sent where little fits.
fn sizes(family: &mut Family) {
    let sizes: Vec<u32> = match family.profile.size {
        Size::Fixed(n) => vec![n, n],
        Size::UpTo(n) => vec![n.min(64), n.min(4096), n.min(65_536), n.min(7), 1, 0],
        Size::NonemptyUpTo(n) => vec![n.min(64), n.min(4096), n.min(65_536), n.min(7), 1],
    };
    let (Some(send), Some(receive)) =
        (family.sends().find(|m| *m != Nonblocking), family.receives().find(|m| *m != Nonblocking))
    else {
        return sizes_one_by_one(family, &sizes);
    };
    let mut s = family.pair("sizes");
    s.timeout(super::buffering::PATIENT);
    for size in &sizes {
        s.size(*size).send(0, send);
        s.receive(1, receive);
    }
    family.add(&s, &["message.size-kept", "message.bytes-kept"]);
}

/// The same for a link where no call waits.
fn sizes_one_by_one(family: &mut Family, sizes: &[u32]) {
    if family.profile.capacity == Capacity::Zero {
        return;
    }
    let mut s = family.pair("sizes");
    for size in sizes {
        s.size(*size).send(0, family.send());
        s.await_return(1, 0).receive(1, family.receive());
        s.await_return(0, 1);
    }
    family.add(&s, &["message.size-kept", "message.bytes-kept"]);
}

/// A message of a size that the link does not take, and then one that it does.
fn wrong_sizes(family: &mut Family) {
    const TOO_BIG: &str = "send.too-big.refuses";
    const WRONG: &str = "send.wrong-size.refuses";
    let wrong: Vec<(u32, &'static str)> = match family.profile.size {
        Size::UpTo(n) if n < crate::LARGEST_MESSAGE => vec![(n + 1, TOO_BIG)],
        Size::NonemptyUpTo(n) if n < crate::LARGEST_MESSAGE => vec![(n + 1, TOO_BIG), (0, WRONG)],
        Size::Fixed(n) => vec![(n + 1, WRONG), (n - 1, WRONG)],
        Size::NonemptyUpTo(_) => vec![(0, WRONG)],
        Size::UpTo(_) => vec![],
    };
    for (size, rule) in wrong {
        for mode in family.sends() {
            let mut s = family.pair(&format!("size-{size}-{}", super::word(mode)));
            s.size(size).send(0, mode);
            if family.profile.capacity != Capacity::Zero {
                s.size(family.profile.usual_size()).send(0, family.send());
                s.await_return(1, 0).receive(1, family.receive());
            }
            family.add(&s, &[rule]);
        }
    }
}

/// Messages that wait together leave in order.
fn order(family: &mut Family) {
    let fits = family.fits();
    let about = match family.profile.order {
        Order::Fifo => "order.fifo",
        Order::PerSender => "order.per-sender",
        Order::Priority | Order::Unordered => return,
    };
    order_of_what_fits(family, about);
    let (Some(send), Some(receive)) =
        (family.sends().find(|m| *m != Nonblocking), family.receives().find(|m| *m != Nonblocking))
    else {
        return;
    };
    // More than fit, so that the order is seen also on a link that holds one.
    let mut s = family.pair("order-one-sender");
    s.timeout(super::buffering::PATIENT);
    for _ in 0..4 {
        s.send(0, send);
        s.receive(1, receive);
    }
    family.add(&s, &[about]);
    if family.many_senders() && fits >= 2 {
        let mut s = family.crew("order-two-senders", 2, 1);
        s.send(0, send).await_return(1, 0).send(1, send).await_return(2, 1);
        s.receive(2, receive).receive(2, receive);
        family.add(&s, &[about]);
    }
}

/// All that fits waits together before the first is received: no race decides what is seen.
fn order_of_what_fits(family: &mut Family, about: &'static str) {
    if family.fits() < 2 {
        return;
    }
    let mut s = family.pair("order-waiting-together");
    for _ in 0..family.fits() {
        s.send(0, family.send());
    }
    s.await_return(1, 0);
    for _ in 0..family.fits() {
        s.receive(1, family.receive());
    }
    family.add(&s, &[about]);
}

fn priorities(family: &mut Family) {
    if family.profile.order != Order::Priority {
        return;
    }
    let fits = family.fits().max(1);
    let priorities = [1, 3, 2, 3, 0];
    let mut s = family.pair("priorities");
    for priority in priorities.iter().take(fits as usize) {
        s.send_on(0, 0, family.send(), *priority);
    }
    s.await_return(1, 0);
    for _ in 0..priorities.len().min(fits as usize) {
        s.receive(1, family.receive());
    }
    family.add(&s, &["order.priority"]);
    let mut s = family.pair("priorities-equal");
    for _ in 0..fits {
        s.send_on(0, 0, family.send(), 1);
    }
    s.await_return(1, 0);
    for _ in 0..fits {
        s.receive(1, family.receive());
    }
    family.add(&s, &["order.priority"]);
}

/// Two links with nothing in common.
fn two_links(family: &mut Family) {
    if family.profile.capacity == Capacity::Zero {
        let Some(receive) = family.receives().find(|m| *m != Nonblocking) else { return };
        let Some(send) = family.sends().find(|m| *m != Nonblocking) else { return };
        let mut s = family.pair("two-links");
        s.timeout(super::buffering::PATIENT).second_link();
        s.send_on(0, 0, send, 0).send_on(1, 0, send, 0);
        s.receive_on(0, 1, receive).receive_on(1, 1, receive);
        return family.add(&s, &["mailbox.own-messages-only"]);
    }
    let mut s = family.pair("two-links");
    s.second_link();
    s.send_on(0, 0, family.send(), 0).send_on(1, 0, family.send(), 0).await_return(1, 0);
    s.receive_on(1, 1, family.receive()).receive_on(0, 1, family.receive());
    if family.profile.receive.nonblocking {
        s.receive_on(1, 1, Nonblocking);
    }
    let direct = family.profile.addressing != Addressing::Mailbox;
    let about = if direct { "direct.only-between-the-named" } else { "mailbox.own-messages-only" };
    family.add(&s, &[about]);
}
