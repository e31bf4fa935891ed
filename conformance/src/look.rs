//! Looks that a probe takes from inside an adapter's process: what no history shows, and what
//! cannot be seen from outside. The adapter's side reports what it saw, and never what that is worth.

pub(crate) mod handles;
mod large;
pub mod stories;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ipc_model::{Addressing, Message, Mode, Modes, Process, Profile, Size};
use serde::{Deserialize, Serialize};

use crate::adapter::{
    Adapter, Claim, Created, Delivery, Endpoint, Failure, Observer, Parcel, Place, Role,
};
use crate::payload;
use crate::values::{self, Told};

use self::stories::Story;

/// What an adapter's process is asked to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Task {
    /// Pass this many messages from one thread to another, over one link.
    Flow {
        /// How many.
        messages: u32,
    },
    /// Send and receive this many messages in turn, by one thread, between two marks.
    Alternate {
        /// How many.
        messages: u32,
    },
    /// Let this many senders come, send one message, and go, over one link.
    Churn {
        /// How many.
        times: u32,
    },
    /// Ask the observers between the calls that change what they tell.
    Observe,
    /// Count the values that are made and dropped.
    Values,
    /// Drop one of several handles of an end, and then the last.
    Cloned,
    /// Forget a handle without dropping it.
    Leaked,
    /// Use a handle on and on after its peer has gone.
    Kept,
    /// Pass several messages by one call.
    Batches,
    /// Fork, and let the child end without exec.
    Forked {
        /// Whether the child drops its copies of the ends before.
        dropping: bool,
    },
    /// Pass one message of this length between two threads with small stacks.
    Large {
        /// Its length in bytes.
        bytes: u32,
    },
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "saw", rename_all = "snake_case")]
pub enum Facts {
    /// Of a `Flow`.
    Flow {
        /// How many messages passed.
        passed: u32,
        /// Bytes that the process had resident after the first tenth of them, and at the end.
        resident: (u64, u64),
    },
    /// Of an `Alternate`: how many messages passed.
    Alternated {
        /// How many.
        passed: u32,
    },
    /// Of a `Churn`.
    Churned {
        /// How many senders came, were heard, and went.
        passed: u32,
        /// What kept the next one from it.
        why: Option<String>,
        /// Threads of the process after the first one and after the last.
        threads: (u32, u32),
        /// Descriptors of the process, likewise.
        descriptors: (u32, u32),
    },
    /// Of an `Observe`.
    Observed {
        /// After each call, in order.
        rows: Vec<Row>,
    },
    /// Of a `Values`.
    Values {
        /// What was done, and what came of the values.
        told: Vec<Told>,
    },
    /// Of a `Cloned`, `Leaked`, `Kept`, `Batches` or `Forked`.
    Stories {
        /// What was done, and what came of it.
        stories: Vec<Story>,
    },
    /// Of a `Large`.
    Large {
        /// What went wrong; `None` if the message arrived as it was sent.
        why: Option<String>,
    },
}

/// What the observers told at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// What was done before.
    pub after: String,
    /// How many messages are in the link.
    pub inside: u32,
    /// Whether the other end is still there.
    pub connected: bool,
    /// What each observer told, by end: `sender.len`, with the value as text.
    pub told: Vec<(String, String)>,
}

/// The call that marks begin and end of what is counted: one that the kernel refuses at once.
pub const MARK: u64 = 0x6970_636d;

/// By how many messages a sender may be ahead of the receiver.
const AHEAD: u32 = 32;

/// How long a look may take, in all.
const ENOUGH: Duration = Duration::from_secs(5);

/// Takes the look. `place` is for the link, and for the files that begin it.
pub(crate) fn take(
    adapter: &dyn Adapter,
    link: &str,
    place: &Place,
    task: &Task,
) -> Result<Facts, Failure> {
    let claims = adapter.claims();
    let claim = claims.into_iter().find(|c| c.link == link);
    let claim = claim.ok_or_else(|| Failure::other(format!("there is no link {link}")))?;
    if let Task::Values = task {
        let make = || adapter.values(link).ok_or(Failure::Unsupported);
        return Ok(Facts::Values { told: values::tell(&claim.profile, &make)? });
    }
    let made = (adapter, &claim, place);
    let stories = match *task {
        Task::Cloned => Some(handles::cloned(made)),
        Task::Leaked => Some(handles::leaked(made)),
        Task::Kept => Some(handles::kept(made)),
        Task::Batches => Some(handles::batches(made)),
        Task::Forked { dropping } => Some(handles::forked(made, dropping)),
        _ => None,
    };
    if let Some(stories) = stories {
        return Ok(Facts::Stories { stories: stories? });
    }
    let pair = Pair::new(adapter, &claim, place)?;
    match *task {
        Task::Flow { messages } => pair.flow(messages),
        Task::Alternate { messages } => pair.alternate(messages, &place.folder),
        Task::Churn { times } => pair.churn(times),
        Task::Observe => pair.observe(&claim),
        Task::Large { bytes } => pair.large(bytes),
        _ => unreachable!("done above"),
    }
}

/// A link with one end of each kind, both in this process.
struct Pair {
    /// Kept, so that more ends can be had.
    created: Box<dyn Created>,
    sender: Option<Box<dyn Endpoint>>,
    receiver: Option<Box<dyn Endpoint>>,
    profile: Profile,
    bytes: Vec<u8>,
    begun: Instant,
}

const SENDER: Role = Role { process: Process(0), sends: true, receives: false };
const RECEIVER: Role = Role { process: Process(1), sends: false, receives: true };

impl Pair {
    fn new(adapter: &dyn Adapter, claim: &Claim, place: &Place) -> Result<Self, Failure> {
        let mut created = adapter.create(&claim.link, place)?;
        let sender = Some(created.endpoint(SENDER)?);
        let receiver = Some(created.endpoint(RECEIVER)?);
        let (profile, begun) = (claim.profile, Instant::now());
        // Large enough for a message that is not given back to be missed.
        let bytes = payload::bytes(&Message::new(0, 0, largest(profile.size).min(1024)));
        Ok(Self { created, sender, receiver, profile, bytes, begun })
    }

    fn is_late(&self) -> bool {
        self.begun.elapsed() > ENOUGH
    }

    fn sender(&mut self) -> Result<&mut Box<dyn Endpoint>, Failure> {
        self.sender.as_mut().ok_or(Failure::Closed)
    }

    fn receiver(&mut self) -> Result<&mut Box<dyn Endpoint>, Failure> {
        self.receiver.as_mut().ok_or(Failure::Closed)
    }

    fn flow(mut self, messages: u32) -> Result<Facts, Failure> {
        let (mut sender, mut receiver) =
            (self.sender.take().expect("made"), self.receiver.take().expect("made"));
        let (profile, bytes, begun) = (self.profile, self.bytes.clone(), self.begun);
        self.created.hand_over();
        let received = Arc::new(AtomicU32::new(0));
        let heard = Arc::clone(&received);
        let sending = std::thread::spawn(move || {
            for sent in 0..messages {
                // An unbounded link may hold what its sender is ahead by: that is no growth.
                while sent - heard.load(Ordering::Relaxed) > AHEAD && begun.elapsed() < ENOUGH {
                    std::thread::yield_now();
                }
                if begun.elapsed() > ENOUGH || send(&mut *sender, &profile, &bytes).is_err() {
                    break;
                }
            }
            // It is not dropped before all has been received: that is another rule's business.
            sender
        });
        let mut passed = 0;
        let mut early = 0;
        while passed < messages && receive_soon(&mut *receiver, &profile).is_ok() {
            passed += 1;
            received.store(passed, Ordering::Relaxed);
            if passed == messages / 10 {
                early = resident();
            }
            if begun.elapsed() > ENOUGH {
                break;
            }
        }
        let late = resident();
        drop(receiver);
        // One that still waits for room is told that nobody will make any; where it is not, it is
        // left to end with the process.
        if sending.is_finished() {
            let _ = sending.join();
        }
        Ok(Facts::Flow { passed, resident: (early, late) })
    }

    fn alternate(mut self, messages: u32, folder: &Path) -> Result<Facts, Failure> {
        let (profile, bytes) = (self.profile, self.bytes.clone());
        // What is set up at the first message is not what a message costs.
        send(&mut **self.sender()?, &profile, &bytes)?;
        receive(&mut **self.receiver()?, &profile)?;
        await_watcher(folder)?;
        mark();
        let mut passed = 0;
        for _ in 0..messages {
            send(&mut **self.sender()?, &profile, &bytes)?;
            receive(&mut **self.receiver()?, &profile)?;
            passed += 1;
        }
        mark();
        Ok(Facts::Alternated { passed })
    }

    fn churn(mut self, times: u32) -> Result<Facts, Failure> {
        let (profile, bytes) = (self.profile, self.bytes.clone());
        let mut passed = 0;
        let mut why = None;
        let (mut threads, mut descriptors) = ((0, 0), (0, 0));
        while passed < times && why.is_none() && !self.is_late() {
            let mut come = || {
                let mut guest = self.created.endpoint(SENDER)?;
                send(&mut *guest, &profile, &bytes)?;
                drop(guest);
                receive_soon(&mut **self.receiver.as_mut().ok_or(Failure::Closed)?, &profile)
            };
            match come() {
                Ok(delivery) if delivery.bytes == bytes => passed += 1,
                Ok(_) => why = Some("its message arrived changed".into()),
                Err(failure) => why = Some(failure.to_string()),
            }
            threads.1 = entries("/proc/self/task");
            descriptors.1 = entries("/proc/self/fd");
            // The first ones may start what all of them share.
            if passed <= 5 {
                (threads.0, descriptors.0) = (threads.1, descriptors.1);
            }
        }
        Ok(Facts::Churned { passed, why, threads, descriptors })
    }

    fn observe(mut self, claim: &Claim) -> Result<Facts, Failure> {
        use ipc_model::Capacity::{AtLeast, Bounded, Unbounded, Zero};
        let (profile, bytes) = (self.profile, self.bytes.clone());
        let fits = match profile.capacity {
            Bounded(n) | AtLeast(n) => n.min(3),
            Unbounded => 3,
            Zero => 0,
        };
        let observers = &claim.extras.observers;
        let mut rows = Vec::new();
        let mut note = |pair: &Self, after: &str, inside, connected| {
            let told = [("sender", &pair.sender), ("receiver", &pair.receiver)];
            let told = told.into_iter().filter_map(|(end, e)| Some((end, e.as_ref()?)));
            let told = told.flat_map(|(end, endpoint)| {
                let ask = |o: &Observer| match endpoint.observe(*o) {
                    Err(Failure::Unsupported) => None,
                    Err(other) => Some(other.to_string()),
                    Ok(answer) => Some(answer.to_string()),
                };
                let values = observers.iter().filter_map(|o| Some((o, ask(o)?)));
                values.map(|(o, v)| (format!("{end}.{}", o.word()), v)).collect::<Vec<_>>()
            });
            rows.push(Row { after: after.into(), inside, connected, told: told.collect() });
        };
        self.created.hand_over();
        note(&self, "create", 0, true);
        for inside in 1..=fits {
            send(&mut **self.sender()?, &profile, &bytes)?;
            note(&self, "send", inside, true);
        }
        for inside in (0..fits).rev() {
            receive(&mut **self.receiver()?, &profile)?;
            note(&self, "receive", inside, true);
        }
        if fits > 0 {
            send(&mut **self.sender()?, &profile, &bytes)?;
        }
        self.sender = None;
        note(&self, "drop of the sender", fits.min(1), false);
        Ok(Facts::Observed { rows })
    }
}

/// Waits until somebody counts this thread's system calls: it writes who it is, and the other one
/// writes back.
fn await_watcher(folder: &Path) -> Result<(), Failure> {
    let tid = nix::unistd::gettid().to_string();
    let (new, file) = (folder.join("tid.new"), folder.join("tid"));
    std::fs::write(&new, tid)
        .and_then(|()| std::fs::rename(&new, &file))
        .map_err(Failure::other)?;
    let begun = Instant::now();
    while !folder.join("go").exists() {
        if begun.elapsed() > ENOUGH {
            return Err(Failure::other("nobody came to count"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn mark() {
    // SAFETY: prctl with an option that the kernel does not know is refused, and touches nothing.
    unsafe { libc::syscall(libc::SYS_prctl, MARK, 0, 0, 0, 0) };
}

/// How a message is sent or received where it should not take long: by waiting, if the link offers
/// that.
fn mode(modes: Modes) -> Mode {
    let preferred = [Mode::Blocking, Mode::Timed, Mode::Nonblocking];
    preferred.into_iter().find(|m| modes.offers(*m)).unwrap_or(Mode::Blocking)
}

fn send(end: &mut dyn Endpoint, profile: &Profile, bytes: &[u8]) -> Result<(), Failure> {
    let to = (profile.addressing != Addressing::Mailbox).then_some(RECEIVER.process);
    let parcel = Parcel { bytes, priority: 0, to };
    let begun = Instant::now();
    loop {
        let sent = match mode(profile.send) {
            Mode::Blocking => end.send(parcel),
            Mode::Timed => end.send_timeout(parcel, ENOUGH),
            Mode::Nonblocking => end.try_send(parcel),
        };
        match sent {
            Err(Failure::Full) if begun.elapsed() < ENOUGH => std::thread::yield_now(),
            done => return done,
        }
    }
}

/// Receives, and waits for ever only where the link knows no other way.
fn receive_soon(end: &mut dyn Endpoint, profile: &Profile) -> Result<Delivery, Failure> {
    if profile.receive.timed {
        let from = (profile.addressing == Addressing::Symmetric).then_some(SENDER.process);
        return end.receive_timeout(from, ENOUGH / 2);
    }
    receive(end, profile)
}

fn receive(end: &mut dyn Endpoint, profile: &Profile) -> Result<Delivery, Failure> {
    let from = (profile.addressing == Addressing::Symmetric).then_some(SENDER.process);
    let begun = Instant::now();
    loop {
        let received = match mode(profile.receive) {
            Mode::Blocking => end.receive(from),
            Mode::Timed => end.receive_timeout(from, ENOUGH),
            Mode::Nonblocking => end.try_receive(from),
        };
        match received {
            Err(Failure::Empty) if begun.elapsed() < ENOUGH / 2 => std::thread::yield_now(),
            done => return done,
        }
    }
}

fn largest(size: Size) -> u32 {
    match size {
        Size::Fixed(n) | Size::UpTo(n) | Size::NonemptyUpTo(n) => n,
    }
}

/// Bytes of memory that this process has resident.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0_u64);
    pages * 4096
}

fn entries(folder: &str) -> u32 {
    std::fs::read_dir(folder).map_or(0, |entries| entries.count() as u32)
}
