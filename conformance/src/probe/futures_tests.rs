//! The scripts against a channel that is right, and against one that is wrong on purpose for
//! every rule.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use ipc_model::Profile;

use super::*;
use crate::adapter::Failure;
use crate::futures::{Futures, play};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    None,
    NobodyIsWoken,
    FirstWakerIsKept,
    WakeupDiesWithTheFuture,
    DroppedSendStaysInLine,
    DroppedReceiveKeepsItsMessage,
}

/// A call that waits, with the message that it brings or has been given.
struct Waiting {
    waker: Waker,
    message: Option<Vec<u8>>,
}

/// A bounded channel for one thread. Whoever waits is in line, and is woken in that order.
struct Channel {
    defect: Defect,
    capacity: usize,
    queue: VecDeque<Vec<u8>>,
    senders: usize,
    receivers: usize,
    sending: Vec<(usize, Waiting)>,
    receiving: Vec<(usize, Waiting)>,
    tickets: usize,
}

type Shared = Rc<RefCell<Channel>>;

impl Channel {
    fn wake(&self, line: &[(usize, Waiting)]) {
        if let Some((_, first)) = line.first().filter(|_| self.defect != Defect::NobodyIsWoken) {
            first.waker.wake_by_ref();
        }
    }

    fn wake_all(&self) {
        if self.defect != Defect::NobodyIsWoken {
            self.sending.iter().chain(&self.receiving).for_each(|(_, w)| w.waker.wake_by_ref());
        }
    }
}

struct Tx(Shared);
struct Rx(Shared);

impl Drop for Tx {
    fn drop(&mut self) {
        let mut channel = self.0.borrow_mut();
        channel.senders -= 1;
        channel.wake_all();
    }
}

impl Drop for Rx {
    fn drop(&mut self) {
        let mut channel = self.0.borrow_mut();
        channel.receivers -= 1;
        channel.wake_all();
    }
}

/// A place in line, left when it is dropped.
struct Ticket<'a>(&'a Shared, usize);

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut channel = self.0.borrow_mut();
        let defect = channel.defect;
        if defect == Defect::DroppedSendStaysInLine
            && let Some(at) = channel.sending.iter().position(|(t, _)| *t == self.1)
            && let Some(message) = channel.sending[at].1.message.take()
        {
            channel.queue.push_back(message);
        }
        channel.sending.retain(|(t, _)| *t != self.1);
        if let Some(at) = channel.receiving.iter().position(|(t, _)| *t == self.1) {
            let (_, gone) = channel.receiving.remove(at);
            if let Some(message) = gone.message
                && defect != Defect::DroppedReceiveKeepsItsMessage
            {
                channel.queue.push_front(message);
            }
        }
        if defect != Defect::WakeupDiesWithTheFuture {
            if channel.queue.len() < channel.capacity {
                channel.wake(&channel.sending);
            }
            if !channel.queue.is_empty() {
                channel.wake(&channel.receiving);
            }
        }
    }
}

fn wait(line: &mut Vec<(usize, Waiting)>, defect: Defect, ticket: usize, waker: &Waker) {
    match line.iter_mut().find(|(t, _)| *t == ticket) {
        Some((_, waiting)) if defect != Defect::FirstWakerIsKept => waiting.waker = waker.clone(),
        Some(_) => {}
        None => line.push((ticket, Waiting { waker: waker.clone(), message: None })),
    }
}

async fn send(tx: &mut Tx, bytes: Vec<u8>) -> Result<(), Failure> {
    let ticket = take_ticket(&tx.0);
    poll_fn(|context| {
        let channel = &mut *tx.0.borrow_mut();
        if channel.receivers == 0 {
            return Poll::Ready(Err(Failure::Closed));
        }
        if channel.queue.len() < channel.capacity {
            channel.sending.retain(|(t, _)| *t != ticket.1);
            let given = channel.defect == Defect::DroppedReceiveKeepsItsMessage;
            match channel.receiving.first_mut().filter(|_| given) {
                Some((_, first)) => first.message = Some(bytes.clone()),
                None => channel.queue.push_back(bytes.clone()),
            }
            channel.wake(&channel.receiving);
            return Poll::Ready(Ok(()));
        }
        wait(&mut channel.sending, channel.defect, ticket.1, context.waker());
        if let Some((_, own)) = channel.sending.iter_mut().find(|(t, _)| *t == ticket.1) {
            own.message = Some(bytes.clone());
        }
        Poll::Pending
    })
    .await
}

async fn receive(rx: &mut Rx) -> Result<Vec<u8>, Failure> {
    let ticket = take_ticket(&rx.0);
    poll_fn(|context| {
        let channel = &mut *rx.0.borrow_mut();
        let given = channel.receiving.iter_mut().find(|(t, _)| *t == ticket.1);
        let given = given.and_then(|(_, own)| own.message.take());
        if let Some(bytes) = given.or_else(|| channel.queue.pop_front()) {
            channel.receiving.retain(|(t, _)| *t != ticket.1);
            channel.wake(&channel.sending);
            return Poll::Ready(Ok(bytes));
        }
        if channel.senders == 0 {
            return Poll::Ready(Err(Failure::Closed));
        }
        wait(&mut channel.receiving, channel.defect, ticket.1, context.waker());
        Poll::Pending
    })
    .await
}

fn take_ticket(shared: &Shared) -> Ticket<'_> {
    let mut channel = shared.borrow_mut();
    channel.tickets += 1;
    Ticket(shared, channel.tickets)
}

fn link(defect: Defect) -> Futures {
    let shared = Rc::new(RefCell::new(Channel {
        defect,
        capacity: 2,
        queue: VecDeque::new(),
        senders: 2,
        receivers: 2,
        sending: Vec::new(),
        receiving: Vec::new(),
        tickets: 0,
    }));
    let (tx, rx) = (|| Tx(Rc::clone(&shared)), || Rx(Rc::clone(&shared)));
    Futures::default()
        .sender(tx(), send)
        .sender(tx(), send)
        .receiver(rx(), receive)
        .receiver(rx(), receive)
}

type Scripts = fn(&Claim) -> Vec<Script>;

const RULES: [(&Probe, Scripts, Defect); 5] = [
    (
        &WAKE_WHEN_READY,
        |claim| [message_comes(claim), room_comes(claim), ends(claim)].concat(),
        Defect::NobodyIsWoken,
    ),
    (&WAKE_LATEST_WAKER, latest_waker, Defect::FirstWakerIsKept),
    (&WAKE_PASSED_ON, passed_on, Defect::WakeupDiesWithTheFuture),
    (&SEND_DROPPED, send_dropped, Defect::DroppedSendStaysInLine),
    (&RECEIVE_DROPPED, receive_dropped, Defect::DroppedReceiveKeepsItsMessage),
];

/// The verdicts of the rule's scripts on the channel.
fn verdicts(scripts: Scripts, defect: Defect) -> Vec<Found> {
    let claim = Claim::between_threads("bounded-2", Profile::mailbox(Capacity::Bounded(2)));
    let judge = |script: Script| script.judge(&play(link(defect), &script.actions).unwrap());
    scripts(&claim).into_iter().map(judge).collect()
}

#[test]
fn a_channel_that_is_right_keeps_every_rule() {
    for (rule, scripts, _) in RULES {
        for found in verdicts(scripts, Defect::None) {
            assert_eq!(found.verdict, CellVerdict::Pass, "{}: {}", rule.about.id, found.why);
        }
    }
}

#[test]
fn for_every_rule_there_is_a_channel_that_breaks_it() {
    for (rule, scripts, defect) in RULES {
        let found = verdicts(scripts, defect);
        let broken = found.iter().any(|f| f.verdict == CellVerdict::Fail);
        assert!(broken, "{defect:?} does not turn {} red: {found:?}", rule.about.id);
    }
}
