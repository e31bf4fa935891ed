//! Events: a notification carries an id and nothing else, so a message is its name. Who listens is
//! told all ids that were notified, in no order, each as often as it was.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::prelude::{EventActivation, EventId};
use iceoryx2::service::ipc_threadsafe::Service;
use iceoryx2::service::port_factory::event::PortFactory;
use ipc_conformance::adapter::{Claim, Delivery, Endpoint, Failure, Parcel, Role, ends};
use ipc_conformance::payload;
use ipc_model::{Capacity, Holders, Message, Modes, Notice, Order, Process, Profile, Size};

use crate::Link;

type Events = PortFactory<Service>;

/// Bytes of a message: as many as its name takes.
const SIZE: usize = 8;

/// How many messages of one sender have names.
const NAMES: usize = 4096;

/// How many senders have.
const SENDERS: usize = 8;

struct Tx {
    notifier: Notifier<Service>,
    _link: Link<Events>,
}

struct Rx {
    listener: Listener<Service>,
    /// What it was told, and has not handed out yet.
    told: VecDeque<EventId>,
    _link: Link<Events>,
}

pub(crate) fn claim(link: &str) -> Claim {
    let profile = Profile {
        size: Size::Fixed(SIZE as u32),
        order: Order::Unordered,
        receivers: Holders::One,
        send: Modes { blocking: true, nonblocking: false, timed: false },
        sender_closed: Notice::Silent,
        receiver_closed: Notice::Silent,
        ..Profile::mailbox(Capacity::Unbounded)
    };
    Claim::between_processes(link, profile)
        .documented("Notifier::notify_with_custom_event_id: notifies all listeners with this id")
        .documented("Listener::try_wait, timed_wait, blocking_wait: all ids that were received")
        .documented("EventActivation: an id, and how often it was notified")
        .documented("event_id_max_value: the largest id that there is")
}

pub(crate) fn open(path: &Path) -> Result<Link<Events>, Failure> {
    Link::open(path, |builder| {
        let builder = builder.event().event_id_max_value(NAMES * SENDERS - 1);
        builder.open_or_create().map_err(Failure::other)
    })
}

pub(crate) fn connect(path: &Path, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
    let sender = || {
        let link = open(path)?;
        let notifier = link.service.notifier_builder().create().map_err(Failure::other)?;
        Ok(Tx { notifier, _link: link })
    };
    let receiver = || {
        let link = open(path)?;
        let listener = link.service.listener_builder().create().map_err(Failure::other)?;
        Ok(Rx { listener, told: VecDeque::new(), _link: link })
    };
    ends(role, sender, receiver)
}

/// The id of a message that consists of its name.
fn id(bytes: &[u8]) -> Result<EventId, Failure> {
    let name: [u8; SIZE] = bytes.try_into().map_err(|_| Failure::WrongSize)?;
    let sender = u16::from_le_bytes([name[0], name[1]]) as usize;
    let sequence = u32::from_le_bytes([name[2], name[3], name[4], name[5]]) as usize;
    if sender >= SENDERS || sequence >= NAMES {
        return Err(Failure::Other(format!("{sender}:{sequence} has no id")));
    }
    Ok(EventId::new(sender * NAMES + sequence))
}

fn message(id: EventId) -> Vec<u8> {
    let (sender, sequence) = (id.as_value() / NAMES, id.as_value() % NAMES);
    payload::bytes(&Message::new(sender as u16, sequence as u32, SIZE as u32))
}

impl Endpoint for Tx {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        let notified = self.notifier.notify_with_custom_event_id(id(parcel.bytes)?);
        notified.map(drop).map_err(Failure::other)
    }
}

impl Rx {
    /// The next id, for which it waits as told. A wait may end with nothing: what has woken it was
    /// handed out with what came before.
    fn next(&mut self, timeout: Option<Duration>, busy: Failure) -> Result<Delivery, Failure> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        while self.told.is_empty() {
            let told = &mut self.told;
            let note = |event: EventActivation| {
                told.extend((0..event.count).map(|_| event.id));
            };
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let waited = match left.or(timeout) {
                None => self.listener.blocking_wait(note),
                Some(Duration::ZERO) => self.listener.try_wait(note),
                Some(timeout) => self.listener.timed_wait(note, timeout),
            };
            waited.map_err(Failure::other)?;
            // One that waits for longer than can be named is asked once.
            let over = deadline.map_or(timeout.is_some(), |deadline| deadline <= Instant::now());
            if over && self.told.is_empty() {
                return Err(busy);
            }
        }
        self.told.pop_front().map(|id| message(id).into()).ok_or(busy)
    }
}

impl Endpoint for Rx {
    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.next(None, Failure::Empty)
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.next(Some(Duration::ZERO), Failure::Empty)
    }

    fn receive_timeout(
        &mut self,
        _: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        self.next(Some(timeout), Failure::Timeout)
    }
}
