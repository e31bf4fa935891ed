//! What a link has to offer to be checked: the two traits that an adapter implements.

use std::collections::BTreeSet;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

use ipc_model::{Process, Profile};
use serde::{Deserialize, Serialize};

use crate::futures::Futures;
use crate::protocol::Way;
use crate::values::Values;

/// A link in one configuration, and what its documentation promises of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Short name of the configuration, such as `bounded-2`.
    pub link: String,
    /// What is promised.
    pub profile: Profile,
    /// Whether its ends can be held by threads of one process.
    pub threads: bool,
    /// Whether its ends can be held by separate processes.
    pub processes: bool,
    /// What is promised of its calls as futures, if it has such calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub futures: Option<Cancelling>,
    /// Where the documentation promises it: one line a promise.
    #[serde(default)]
    pub documented: Vec<String>,
    /// What is promised or offered beyond messages.
    #[serde(default)]
    pub extras: Extras,
}

/// What a link promises or offers beyond its messages: what probes may look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extras {
    /// Which observers its ends have.
    #[serde(default)]
    pub observers: BTreeSet<Observer>,
    /// Whether [`Adapter::values`] gives links that carry values.
    #[serde(default)]
    pub values: bool,
    /// At most how many system calls a message takes, sent and received, where nobody has to wait.
    #[serde(default)]
    pub system_calls: Option<u32>,
    /// Whether no other user can open what it creates.
    #[serde(default)]
    pub private: bool,
}

/// A question that an end answers without changing the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observer {
    /// How many messages wait in the link.
    Len,
    /// Whether none does.
    IsEmpty,
    /// Whether there is room for none more.
    IsFull,
    /// How many may wait; `None` if any number may.
    Capacity,
    /// Whether nobody is left at the other end.
    IsDisconnected,
}

/// The answer to such a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// Yes or no.
    Yes(bool),
    /// A number; `None` if there is no limit.
    Number(Option<usize>),
}

impl From<bool> for Observation {
    fn from(yes: bool) -> Self {
        Self::Yes(yes)
    }
}

impl From<usize> for Observation {
    fn from(number: usize) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<usize>> for Observation {
    fn from(number: Option<usize>) -> Self {
        Self::Number(number)
    }
}

impl std::fmt::Display for Observation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Observation::Yes(yes) => write!(f, "{yes}"),
            Observation::Number(Some(number)) => write!(f, "{number}"),
            Observation::Number(None) => write!(f, "unbounded"),
        }
    }
}

impl Observer {
    /// The word that files use.
    pub fn word(self) -> &'static str {
        match self {
            Observer::Len => "len",
            Observer::IsEmpty => "is_empty",
            Observer::IsFull => "is_full",
            Observer::Capacity => "capacity",
            Observer::IsDisconnected => "is_disconnected",
        }
    }
}

impl Claim {
    /// A link between threads only.
    pub fn between_threads(link: &str, profile: Profile) -> Self {
        let (documented, extras) = (Vec::new(), Extras::default());
        let (threads, processes, futures) = (true, false, None);
        Self { link: link.into(), profile, threads, processes, futures, documented, extras }
    }

    /// A link between processes, which threads may use too.
    pub fn between_processes(link: &str, profile: Profile) -> Self {
        Self { processes: true, ..Self::between_threads(link, profile) }
    }

    /// A link that has its calls as futures, too ([`Adapter::futures`]).
    #[must_use]
    pub fn with_futures(self, cancelling: Cancelling) -> Self {
        Self { futures: Some(cancelling), ..self }
    }

    /// The ways to run it.
    pub fn ways(&self) -> impl Iterator<Item = Way> + use<> {
        let ways = [(Way::Threads, self.threads), (Way::Processes, self.processes)];
        ways.into_iter().filter_map(|(way, offered)| offered.then_some(way))
    }

    /// Its ends have these observers.
    #[must_use]
    pub fn observers(mut self, observers: impl IntoIterator<Item = Observer>) -> Self {
        self.extras.observers.extend(observers);
        self
    }

    /// [`Adapter::values`] gives links of this configuration.
    #[must_use]
    pub fn values(mut self) -> Self {
        self.extras.values = true;
        self
    }

    /// A message takes at most this many system calls where nobody has to wait.
    #[must_use]
    pub fn system_calls(mut self, most: u32) -> Self {
        self.extras.system_calls = Some(most);
        self
    }

    /// No other user can open what it creates.
    #[must_use]
    pub fn private(mut self) -> Self {
        self.extras.private = true;
        self
    }

    /// Adds where the documentation promises something.
    #[must_use]
    pub fn documented(mut self, place: &str) -> Self {
        self.documented.push(place.into());
        self
    }
}

/// What is promised of a future that is dropped before it is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelling {
    /// A `send` has sent nothing.
    pub send: bool,
    /// A `receive` has taken nothing.
    pub receive: bool,
}

impl Cancelling {
    /// The documentation says nothing.
    pub const UNDOCUMENTED: Self = Self { send: false, receive: false };
    /// Both are safe.
    pub const SAFE: Self = Self { send: true, receive: true };
}

/// Why a call did not take effect, or could not even be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No room now.
    #[error("full")]
    Full,
    /// No message now.
    #[error("empty")]
    Empty,
    /// The time was up.
    #[error("timeout")]
    Timeout,
    /// Nobody is left at the other end.
    #[error("closed")]
    Closed,
    /// The message is larger than the link takes.
    #[error("too big")]
    TooBig,
    /// The link takes messages of another size only.
    #[error("wrong size")]
    WrongSize,
    /// The link has no such call.
    #[error("the link has no such call")]
    Unsupported,
    /// Anything else: the suite reports it as it is, and never takes it for an answer.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// Wraps an error that has no word of its own.
    pub fn other(error: impl std::fmt::Display) -> Self {
        Self::Other(error.to_string())
    }
}

/// A message on its way out.
#[derive(Clone, Copy, Debug)]
pub struct Parcel<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Higher is sooner, on a link that orders by priority.
    pub priority: u32,
    /// The recipient, on a direct link.
    pub to: Option<Process>,
}

/// A message that came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Who sent it, where the link tells (asymmetric addressing).
    pub sender: Option<Process>,
}

impl From<Vec<u8>> for Delivery {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, sender: None }
    }
}

/// A process's hold on a link. Dropping it closes the process's ends.
#[expect(unused_variables, reason = "the defaults ignore what they are given")]
pub trait Endpoint: Send {
    /// Sends, and waits for as long as it takes.
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        Err(Failure::Unsupported)
    }

    /// Sends now or not at all.
    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        Err(Failure::Unsupported)
    }

    /// Sends, and waits no longer than `timeout`.
    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        Err(Failure::Unsupported)
    }

    /// Receives, and waits for as long as it takes; on a symmetric link only `from` this process.
    fn receive(&mut self, from: Option<Process>) -> Result<Delivery, Failure> {
        Err(Failure::Unsupported)
    }

    /// Receives now or not at all.
    fn try_receive(&mut self, from: Option<Process>) -> Result<Delivery, Failure> {
        Err(Failure::Unsupported)
    }

    /// Receives, and waits no longer than `timeout`.
    fn receive_timeout(
        &mut self,
        from: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        Err(Failure::Unsupported)
    }

    /// What the end tells of the link without changing it.
    fn observe(&self, what: Observer) -> Result<Observation, Failure> {
        Err(Failure::Unsupported)
    }
}

/// Which ends a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Which process of the scenario it is.
    pub process: Process,
    /// It sends.
    pub sends: bool,
    /// It receives.
    pub receives: bool,
}

/// How another process finds the link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// A name, a path, an id, or numbers of inherited descriptors: the adapter's own business.
    pub text: String,
    /// Descriptors that the other process inherits under the same numbers.
    #[serde(default)]
    pub inherit: Vec<RawFd>,
}

impl Address {
    /// An address that is text alone.
    pub fn named(text: impl Into<String>) -> Self {
        Self { text: text.into(), inherit: Vec::new() }
    }

    /// The address of inherited descriptors: their numbers, as text too.
    pub fn inherited(descriptors: &[RawFd]) -> Self {
        let text: Vec<String> = descriptors.iter().map(RawFd::to_string).collect();
        Self { text: text.join(","), inherit: descriptors.into() }
    }

    /// The numbers that [`Address::inherited`] wrote.
    ///
    /// # Errors
    /// If the text holds anything else.
    pub fn descriptors(&self) -> Result<Vec<RawFd>, Failure> {
        let read = |n: &str| n.parse().map_err(|_| Failure::Other(format!("{n:?} is no number")));
        self.text.split(',').map(read).collect()
    }
}

/// Where a link may put what it needs while it lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// A name that nothing else on this machine has: a prefix for mailboxes and objects.
    pub name: String,
    /// A folder of its own, removed after the run.
    pub folder: PathBuf,
}

/// A link that has been created, in the process that created it. Dropping it removes what the
/// link left behind: names, files, kernel objects.
pub trait Created {
    /// An endpoint for a thread of this process.
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure>;

    /// How another process of this role finds the link.
    fn address(&mut self, _role: Role) -> Result<Address, Failure> {
        Err(Failure::Unsupported)
    }

    /// Every endpoint has been handed out: give up the ends that only served to make them, so
    /// that the last one handed out is really the last.
    fn hand_over(&mut self) {}
}

/// A family of links: a crate, or an OS facility, in each of its configurations.
pub trait Adapter {
    /// Name of the crate or facility.
    fn name(&self) -> String;

    /// Its version; for an OS facility, the kernel's.
    fn version(&self) -> String;

    /// The configurations it comes in, each with its claim.
    fn claims(&self) -> Vec<Claim>;

    /// Creates a link of the configuration `link`.
    fn create(&self, link: &str, place: &Place) -> Result<Box<dyn Created>, Failure>;

    /// Connects, from another process, to the link that was created there.
    fn connect(
        &self,
        _link: &str,
        _address: &Address,
        _role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        Err(Failure::Unsupported)
    }

    /// A fresh link of the configuration `link` that carries values; `None` if it carries bytes
    /// alone.
    fn values(&self, _link: &str) -> Option<Box<dyn Values>> {
        None
    }

    /// Creates a link of the configuration `link` whose calls are futures, with two ends of each
    /// kind of which there may be many.
    fn futures(&self, _link: &str) -> Result<Futures, Failure> {
        Err(Failure::Unsupported)
    }

    /// Removes what a link created at this place has left behind, its process having been killed.
    fn remove(&self, _link: &str, _place: &Place) {}
}

/// Where the ends of one direction of a link come from.
pub enum Supply<E> {
    /// As many as asked for: each is made by this.
    Many(Box<dyn Fn() -> E>),
    /// One, until it is taken.
    One(Option<E>),
}

impl<E: Clone + 'static> Supply<E> {
    /// Clones of this end.
    pub fn clones(end: E) -> Self {
        Self::Many(Box::new(move || end.clone()))
    }
}

impl<E> Supply<E> {
    /// This end, once.
    pub fn one(end: E) -> Self {
        Self::One(Some(end))
    }

    fn next(&mut self) -> Result<E, Failure> {
        match self {
            Supply::Many(make) => Ok(make()),
            Supply::One(end) => {
                end.take().ok_or_else(|| Failure::Other("the link has only one such end".into()))
            }
        }
    }
}

/// A link between threads, as the ends it was created with.
pub struct Handles<S, R>(Option<(Supply<S>, Supply<R>)>);

impl<S: Endpoint + 'static, R: Endpoint + 'static> Handles<S, R> {
    /// The link whose ends come from here.
    pub fn boxed(senders: Supply<S>, receivers: Supply<R>) -> Box<dyn Created>
    where
        Self: Created,
    {
        Box::new(Self(Some((senders, receivers))))
    }
}

impl<S: Endpoint + 'static, R: Endpoint + 'static> Created for Handles<S, R> {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        let handed_over = || Failure::Other("the ends have been handed over".into());
        let (senders, receivers) = self.0.as_mut().ok_or_else(handed_over)?;
        ends(role, || senders.next(), || receivers.next())
    }

    fn hand_over(&mut self) {
        self.0 = None;
    }
}

/// The endpoint of this role, out of what makes its ends.
///
/// # Errors
/// What making them fails with.
pub fn ends<S, R>(
    role: Role,
    sender: impl FnOnce() -> Result<S, Failure>,
    receiver: impl FnOnce() -> Result<R, Failure>,
) -> Result<Box<dyn Endpoint>, Failure>
where
    S: Endpoint + 'static,
    R: Endpoint + 'static,
{
    match (role.sends, role.receives) {
        (true, false) => Ok(Box::new(sender()?)),
        (false, _) => Ok(Box::new(receiver()?)),
        (true, true) => Ok(Box::new(Both { sender: sender()?, receiver: receiver()? })),
    }
}

/// Tries until it works, for an end that can only be connected once the other side is there.
///
/// # Errors
/// What the last attempt fails with, after five seconds.
pub fn eventually<T, E: std::fmt::Display>(
    mut attempt: impl FnMut() -> Result<T, E>,
) -> Result<T, Failure> {
    let begun = std::time::Instant::now();
    loop {
        match attempt() {
            Err(error) if begun.elapsed() > Duration::from_secs(5) => {
                return Err(Failure::other(error));
            }
            Err(_) => std::thread::sleep(Duration::from_micros(200)),
            Ok(made) => return Ok(made),
        }
    }
}

/// Both ends in one hand.
pub struct Both<S, R> {
    /// What it sends through.
    pub sender: S,
    /// What it receives through.
    pub receiver: R,
}

impl<S: Endpoint, R: Endpoint> Endpoint for Both<S, R> {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.sender.send(parcel)
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.sender.try_send(parcel)
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        self.sender.send_timeout(parcel, timeout)
    }

    fn receive(&mut self, from: Option<Process>) -> Result<Delivery, Failure> {
        self.receiver.receive(from)
    }

    fn try_receive(&mut self, from: Option<Process>) -> Result<Delivery, Failure> {
        self.receiver.try_receive(from)
    }

    fn receive_timeout(
        &mut self,
        from: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        self.receiver.receive_timeout(from, timeout)
    }
}
