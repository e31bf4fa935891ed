//! Records what the ends of a link were asked and told, and asks the model whether it was legal.
//!
//! The recording itself uses the standard library's atomics and lock, not loom's, so that it adds no
//! order between threads that the link itself does not make.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

use ipc_model::{
    Capacity, Ends, History, Holders, Message, Mode, Notice, Op, Operation, Process, Profile,
    Refusal, Ret, check,
};

use super::{
    ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError, SendingEnd,
    TryReceiveError, TrySendError,
};
use crate::sync::fence;

/// One call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verb {
    Send,
    TrySend,
    /// With no patience at all.
    SendTimed,
    Receive,
    TryReceive,
    /// With no patience at all.
    ReceiveTimed,
}

impl Verb {
    fn mode(self) -> Mode {
        match self {
            Verb::Send | Verb::Receive => Mode::Blocking,
            Verb::TrySend | Verb::TryReceive => Mode::Nonblocking,
            Verb::SendTimed | Verb::ReceiveTimed => Mode::Timed,
        }
    }
}

/// The longest message that [`Record`] sends.
pub(crate) const LONGEST: usize = 2;

/// One execution, as it is recorded.
#[derive(Default)]
pub(crate) struct Record {
    clock: AtomicU64,
    operations: Mutex<Vec<Operation>>,
    crashes: Mutex<Vec<(u64, Process)>>,
}

impl Record {
    /// One process makes the calls in turn on its sending end.
    pub(crate) fn sends(&self, process: u16, end: &mut impl SendingEnd, verbs: &[Verb]) {
        for (sequence, verb) in (0..).zip(verbs) {
            let message = message(process, sequence);
            let op = Op::Send { link: 0, to: None, message, mode: verb.mode() };
            self.call(process, op, || match verb {
                Verb::Send => match end.send(&bytes(message)) {
                    Ok(()) => Ret::Done,
                    Err(SendError::Disconnected) => Ret::Refused(Refusal::Closed),
                    Err(other) => panic!("{other}"),
                },
                Verb::TrySend => match end.try_send(&bytes(message)) {
                    Ok(()) => Ret::Done,
                    // An unbounded link at its real limit is a bounded one.
                    Err(TrySendError::Full | TrySendError::Exhausted { .. }) => {
                        Ret::Refused(Refusal::Full)
                    }
                    Err(TrySendError::Disconnected) => Ret::Refused(Refusal::Closed),
                    Err(other) => panic!("{other}"),
                },
                Verb::SendTimed => match end.send_timeout(&bytes(message), Duration::ZERO) {
                    Ok(()) => Ret::Done,
                    Err(SendTimeoutError::Timeout | SendTimeoutError::Exhausted { .. }) => {
                        Ret::Refused(Refusal::Timeout)
                    }
                    Err(SendTimeoutError::Disconnected) => Ret::Refused(Refusal::Closed),
                    Err(other) => panic!("{other}"),
                },
                other => panic!("a sender cannot {other:?}"),
            });
        }
    }

    /// One process makes the calls in turn on its receiving end.
    pub(crate) fn receives(&self, process: u16, end: &mut impl ReceivingEnd, verbs: &[Verb]) {
        for verb in verbs {
            let op = Op::Receive { link: 0, from: None, mode: verb.mode() };
            self.call(process, op, || {
                let mut buffer = [0; LONGEST];
                match verb {
                    Verb::Receive => match end.receive(&mut buffer) {
                        Ok(length) => received(&buffer[..length]),
                        Err(ReceiveError::Disconnected) => Ret::Refused(Refusal::Closed),
                        Err(other) => panic!("{other}"),
                    },
                    Verb::TryReceive => match end.try_receive(&mut buffer) {
                        Ok(length) => received(&buffer[..length]),
                        Err(TryReceiveError::Empty) => Ret::Refused(Refusal::Empty),
                        Err(TryReceiveError::Disconnected) => Ret::Refused(Refusal::Closed),
                        Err(other) => panic!("{other}"),
                    },
                    Verb::ReceiveTimed => match end.receive_timeout(&mut buffer, Duration::ZERO) {
                        Ok(length) => received(&buffer[..length]),
                        Err(ReceiveTimeoutError::Timeout) => Ret::Refused(Refusal::Timeout),
                        Err(ReceiveTimeoutError::Disconnected) => Ret::Refused(Refusal::Closed),
                        Err(other) => panic!("{other}"),
                    },
                    other => panic!("a receiver cannot {other:?}"),
                }
            });
        }
    }

    /// A process closes its end.
    pub(crate) fn close(&self, process: u16, close: &mut dyn FnMut()) {
        self.call(process, Op::Close { link: 0 }, || {
            close();
            Ret::Done
        });
    }

    /// A process is dead by now.
    pub(crate) fn crash(&self, process: u16) {
        self.crashes.lock().unwrap().push((self.tick(), Process(process)));
    }

    fn call(&self, process: u16, op: Op, call: impl FnOnce() -> Ret) {
        let operation = Operation {
            process: Process(process),
            op,
            call: self.tick(),
            ret: None,
            timeout: (op.mode() == Mode::Timed).then_some(0),
            blocked: None,
        };
        let place = {
            let mut operations = self.operations.lock().unwrap();
            operations.push(operation);
            operations.len() - 1
        };
        // Two clock readings in one order mean something only if what was done before the first
        // is visible after the second, so a reading comes with a fence. Within the call there is
        // none, so none that is missing there is hidden.
        fence(SeqCst);
        let ret = call();
        fence(SeqCst);
        let time = self.tick();
        self.operations.lock().unwrap()[place].ret = Some((time, ret));
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Relaxed)
    }

    /// Panics with the model's explanation if the model does not allow what was recorded.
    pub(crate) fn judge(&self, profile: &Profile, senders: &[u16], receivers: &[u16]) {
        let mut ends = Ends::default();
        for &sender in senders {
            ends.senders.insert(Process(sender));
        }
        for &receiver in receivers {
            ends.receivers.insert(Process(receiver));
        }
        let history = History {
            operations: self.operations.lock().unwrap().clone(),
            crashes: self.crashes.lock().unwrap().clone(),
            // Death and release of what was held are one moment here.
            kills: Vec::new(),
            links: vec![ends],
            quiescent: true,
        };
        let verdict = check(profile, &history);
        let mut calls = history.operations.clone();
        calls.sort_by_key(|operation| operation.call);
        let calls =
            calls.iter().map(|o| format!("{} {}: {} -> {:?}", o.call, o.process, o.op, o.ret));
        let calls = calls.collect::<Vec<_>>().join("\n");
        assert!(verdict.passed(), "{verdict:?}\n{calls}\ncrashes {:?}", history.crashes);
    }
}

/// What a bounded link of this crate claims.
pub(crate) fn bounded(capacity: usize, holders: Holders) -> Profile {
    Profile {
        capacity: Capacity::Bounded(u32::try_from(capacity).unwrap()),
        senders: holders,
        receivers: holders,
        sender_killed: Some(Notice::Reported),
        receiver_killed: Some(Notice::Reported),
        ..Profile::default()
    }
}

/// Messages of one sender take turns in length, and carry their name in every byte.
fn message(process: u16, sequence: u32) -> Message {
    Message::new(process, sequence, 1 + sequence % 2)
}

fn bytes(message: Message) -> Vec<u8> {
    let name = message.sender.0 << 4 | message.sequence as u16;
    vec![u8::try_from(name).unwrap(); message.size as usize]
}

fn received(bytes: &[u8]) -> Ret {
    let Some(&name) = bytes.first() else { panic!("no empty message was sent") };
    let message = message(u16::from(name >> 4), u32::from(name & 15));
    if bytes.iter().all(|byte| *byte == name) && bytes.len() == message.size as usize {
        Ret::Received(message)
    } else {
        Ret::Torn(message)
    }
}
