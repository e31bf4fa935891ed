//! Between threads: a channel of the standard library, and the faults around it.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ipc_conformance::adapter::{
    Batches, Claim, Created, Delivery, Endpoint, Failure, Observation, Observer, Parcel, Place,
    Role,
};
use ipc_conformance::values::{Carries, Values};
use ipc_model::{Capacity, Holders, Modes, Process, Profile};

use crate::{Fault, shared};

/// How many messages fit.
const ROOM: usize = 2;

pub(crate) fn claim(link: &str) -> Claim {
    let send = Modes { blocking: true, nonblocking: true, timed: false };
    let capacity = Capacity::Bounded(ROOM as u32);
    let profile = Profile { receivers: Holders::One, send, ..Profile::mailbox(capacity) };
    Claim::between_threads(link, profile)
        .observers([Observer::Len, Observer::IsEmpty])
        .values()
        .batches(Batches::BOTH)
        .any_length()
        .system_calls(0)
}

struct Link {
    fault: Fault,
    sender: Option<SyncSender<Vec<u8>>>,
    receiver: Option<Receiver<Vec<u8>>>,
    inside: Arc<AtomicUsize>,
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
    closed: Arc<AtomicBool>,
    _open: Vec<OwnedFd>,
}

pub(crate) fn create(fault: Fault, place: &Place) -> Result<Box<dyn Created>, Failure> {
    let mut open = Vec::new();
    match fault {
        Fault::KeepsDescriptor => {
            std::mem::forget(File::open("/dev/zero").map_err(Failure::other)?)
        }
        Fault::LeavesFile => {
            std::fs::write(place.folder.join("left"), "").map_err(Failure::other)?;
        }
        Fault::ForkCloses | Fault::DropReachesParent => {
            shared::flag().store(false, Ordering::Relaxed);
            if fault == Fault::ForkCloses {
                shared::raise_in_children();
            }
        }
        // A duplicate has no FD_CLOEXEC.
        Fault::Inherited => {
            let file = File::open("/dev/zero").map_err(Failure::other)?;
            open.push(nix::unistd::dup(&file).map_err(Failure::other)?);
        }
        _ => {}
    }
    let (sender, receiver) = sync_channel(ROOM);
    Ok(Box::new(Link {
        fault,
        sender: Some(sender),
        receiver: Some(receiver),
        inside: Arc::default(),
        kept: Arc::default(),
        closed: Arc::default(),
        _open: open,
    }))
}

impl Created for Link {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        if self.fault == Fault::KeepsThreads {
            std::thread::spawn(|| {
                loop {
                    std::thread::park();
                }
            });
        }
        let handed_over = || Failure::other("the ends have been handed over");
        let (fault, inside) = (self.fault, Arc::clone(&self.inside));
        if role.sends {
            let sender = self.sender.clone().ok_or_else(handed_over)?;
            let (kept, closed) = (Arc::clone(&self.kept), Arc::clone(&self.closed));
            return Ok(Box::new(Tx { fault, sender, inside, kept, closed, late: None }));
        }
        let receiver = self.receiver.take().ok_or_else(handed_over)?;
        let closed = Arc::clone(&self.closed);
        Ok(Box::new(Rx { fault, receiver, inside, closed, told: false }))
    }

    fn hand_over(&mut self) {
        (self.sender, self.receiver) = (None, None);
    }
}

struct Tx {
    fault: Fault,
    sender: SyncSender<Vec<u8>>,
    inside: Arc<AtomicUsize>,
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
    closed: Arc<AtomicBool>,
    /// What has not been sent yet.
    late: Option<Vec<u8>>,
}

struct Rx {
    fault: Fault,
    receiver: Receiver<Vec<u8>>,
    inside: Arc<AtomicUsize>,
    closed: Arc<AtomicBool>,
    /// Whether it has told that nobody is left.
    told: bool,
}

/// What the ends of a link tell of it.
fn observe(fault: Fault, inside: &AtomicUsize, what: Observer) -> Result<Observation, Failure> {
    let inside = inside.load(Ordering::Acquire);
    let inside = if fault == Fault::Miscounts { inside.saturating_sub(1) } else { inside };
    match what {
        Observer::Len => Ok(inside.into()),
        Observer::IsEmpty => Ok((inside == 0).into()),
        _ => Err(Failure::Unsupported),
    }
}

impl Tx {
    fn before(&self, bytes: &[u8]) {
        match self.fault {
            Fault::KeepsMessages => {
                let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push(bytes.to_vec());
                // Also when the link is gone.
                std::mem::forget(Arc::clone(&self.kept));
            }
            Fault::AsksTheKernel => {
                nix::unistd::getppid();
            }
            Fault::ReadsUnwritten => read_unwritten(),
            Fault::OnTheStack => copy_to_the_stack(bytes),
            _ => {}
        }
    }

    fn put(&self, bytes: Vec<u8>) -> Result<(), Failure> {
        self.sender.try_send(bytes).map_err(|e| match e {
            TrySendError::Full(_) => Failure::Full,
            TrySendError::Disconnected(_) => Failure::Closed,
        })?;
        self.inside.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        match self.fault {
            Fault::FirstDropCloses => self.closed.store(true, Ordering::Release),
            // Relaxed: the parent has waited for the child's end before it looks.
            Fault::DropReachesParent => shared::flag().store(true, Ordering::Relaxed),
            _ => {}
        }
        if let Some(late) = self.late.take() {
            // The receiver finds out.
            let _ = self.put(late);
        }
    }
}

/// Copies a long message to the stack, a megabyte at a time. Not inlined: its frame is for those
/// that call it only.
#[inline(never)]
fn copy_to_the_stack(bytes: &[u8]) {
    if bytes.len() > 1 << 20 {
        let mut copy = [0_u8; 1 << 20];
        for part in bytes.chunks(copy.len()) {
            copy[..part.len()].copy_from_slice(part);
            std::hint::black_box(&copy);
        }
    }
}

/// Looks at memory that nobody has written: the fault that a memory checker must find.
fn read_unwritten() {
    // SAFETY: malloc has no preconditions.
    let memory = unsafe { libc::malloc(64) }.cast::<u8>();
    if memory.is_null() {
        return;
    }
    let place = memory.wrapping_add(40);
    // SAFETY: 64 bytes are there; that nobody has written them is the fault, and volatile keeps it
    // from being made anything else.
    let value = unsafe { place.read_volatile() };
    if value > 100 {
        std::hint::black_box(value);
        std::thread::yield_now();
    }
    // SAFETY: it comes from malloc, and is not used again.
    unsafe { libc::free(memory.cast()) };
}

impl Endpoint for Tx {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.before(parcel.bytes);
        self.inside.fetch_add(1, Ordering::AcqRel);
        self.sender.send(parcel.bytes.into()).map_err(|_| Failure::Closed)
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.before(parcel.bytes);
        if self.fault == Fault::SendsWhenDropped {
            let before = self.late.replace(parcel.bytes.into());
            return before.map_or(Ok(()), |bytes| self.put(bytes));
        }
        self.put(parcel.bytes.into())
    }

    fn send_batch(&mut self, messages: &[Vec<u8>]) -> Result<usize, Failure> {
        let taken = messages.iter().take_while(|bytes| self.put(bytes.to_vec()).is_ok()).count();
        Ok(if self.fault == Fault::BatchCountsAll { messages.len() } else { taken })
    }

    fn observe(&self, what: Observer) -> Result<Observation, Failure> {
        observe(self.fault, &self.inside, what)
    }
}

impl Rx {
    fn taken(&self, bytes: Vec<u8>) -> Delivery {
        self.inside.fetch_sub(1, Ordering::AcqRel);
        Delivery::from(bytes)
    }

    /// What it means that nothing is there.
    fn nothing(&mut self, failure: Failure) -> Failure {
        let closes = [Fault::ForkCloses, Fault::DropReachesParent].contains(&self.fault)
            && shared::flag().load(Ordering::Relaxed);
        if closes || self.closed.load(Ordering::Acquire) {
            return Failure::Closed;
        }
        let told = std::mem::replace(&mut self.told, failure == Failure::Closed);
        match failure {
            Failure::Closed if told && self.fault == Fault::TellsOnce => Failure::Empty,
            failure => failure,
        }
    }
}

impl Endpoint for Rx {
    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        let bytes = self.receiver.recv().map_err(|_| Failure::Closed)?;
        Ok(self.taken(bytes))
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        match self.receiver.try_recv() {
            Ok(bytes) => Ok(self.taken(bytes)),
            Err(TryRecvError::Empty) => Err(self.nothing(Failure::Empty)),
            Err(TryRecvError::Disconnected) => Err(self.nothing(Failure::Closed)),
        }
    }

    fn receive_batch(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        let all: Vec<Vec<u8>> = self.receiver.try_iter().collect();
        self.inside.fetch_sub(all.len(), Ordering::AcqRel);
        Ok(all)
    }

    fn receive_timeout(
        &mut self,
        _: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        match self.fault {
            Fault::BlindAtZero if timeout.is_zero() => return Err(Failure::Timeout),
            Fault::Overflows => {
                let deadline = Instant::now() + timeout;
                std::hint::black_box(deadline);
            }
            _ => {}
        }
        let bytes = self.receiver.recv_timeout(timeout).map_err(|e| match e {
            RecvTimeoutError::Timeout => Failure::Timeout,
            RecvTimeoutError::Disconnected => Failure::Closed,
        })?;
        Ok(self.taken(bytes))
    }

    fn observe(&self, what: Observer) -> Result<Observation, Failure> {
        observe(self.fault, &self.inside, what)
    }
}

pub(crate) fn values(fault: Fault) -> Option<Box<dyn Values>> {
    let try_receive = |end: &mut Receiver<_>| end.try_recv().map_err(Failure::other);
    let link = if fault == Fault::ForgetsRefused {
        let try_send = |end: &mut SyncSender<_>, value| match end.try_send(value) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(value) | TrySendError::Disconnected(value)) => {
                std::mem::forget(value);
                Err(Failure::Full)
            }
        };
        Carries::new(sync_channel(ROOM), try_send, try_receive)
    } else {
        let try_send = |end: &mut SyncSender<_>, value| end.try_send(value).map_err(Failure::other);
        Carries::new(sync_channel(ROOM), try_send, try_receive)
    };
    link.boxed()
}
