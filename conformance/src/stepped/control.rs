//! The control page: a memfd that the controller and every process of the adapter map, through
//! which commands go in and answers come out.
//!
//! Nobody waits on it. A process stops itself with an `int3` (see [`meet`]) and the controller,
//! its tracer, writes to the page only while the process stands there.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicUsize;

use ipc_model::{Message, Op, Refusal, Ret};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::adapter::{Failure, Place, Role};
use crate::payload;

/// Where every process of the adapter maps the page: the same place in all of them, far from
/// where the kernel puts anything else, so that it is told apart from what the link shares.
pub(super) const ADDRESS: usize = 0x1000_0000_0000;

/// The slot that the zygote reads its commands from.
pub(super) const ZYGOTE_SLOT: usize = 0;

/// Bytes that one process has on the page.
const SLOT: usize = 16 * 1024;

/// Processes that the page has room for: zygote, creator, and the actors.
pub(super) const SLOTS: usize = 16;

/// Where the shared heap counts what has been taken of it, behind the slots.
const TAKEN: usize = SLOT * SLOTS;

/// Length of the page.
pub(super) const LENGTH: usize = TAKEN + 4096;

/// In `rax` at a meeting, so that a stray `int3` of the adapter's own is not taken for one.
pub(super) const MARK: u64 = 0x7465_656d_6370_6921;

/// Why a process has stopped itself: the word in `rdi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// It waits for its next command.
    Idle,
    /// The operation begins with the next instruction.
    Begin,
    /// The operation is over.
    End,
}

impl Meeting {
    pub(super) fn from_word(word: u64) -> Option<Self> {
        [Meeting::Idle, Meeting::Begin, Meeting::End].into_iter().find(|m| *m as u64 == word)
    }
}

/// What a process of the adapter is told to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Command {
    /// Zygote: enter namespaces of its own, and have a child in them be the zygote.
    Seclude,
    /// Zygote: say whether its allocator is a [`crate::SharedHeap`].
    HasHeap,
    /// Zygote: name and remove everything that a world at this place has left behind.
    Clear { place: Place },
    /// Zygote: fork the creator, which reads its commands from this slot.
    Fork { slot: usize },
    /// Zygote: remove what a link created at this place has left behind.
    Remove { link: String, place: Place },
    /// Creator: create the link, between [`Meeting::Begin`] and [`Meeting::End`] if `stepped`.
    Create { link: String, place: Place, stepped: bool },
    /// Creator: fork an actor for this role, which reads its commands from this slot, and may be
    /// sent any of these messages.
    Admit { role: Role, slot: usize, known: Known },
    /// Creator: every endpoint has been handed out.
    HandOver,
    /// Actor: connect, between the meetings if `stepped`.
    Connect { stepped: bool },
    /// Actor: make this call, between the meetings if `stepped`.
    Call { op: Op, timeout: u64, stepped: bool },
    /// Anybody: drop everything, and end.
    Finish,
}

/// Every message that may be sent in a world: by each of so many processes so many of a size.
///
/// It is the same in all worlds of a link, since what an actor allocates before an operation may
/// change the operation's path through the allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) processes: u16,
    pub(super) each: u32,
    pub(super) size: u32,
}

impl Known {
    /// The one that lists at least these.
    pub(super) fn of(messages: &[Message]) -> Self {
        Self {
            processes: messages.iter().map(|m| m.sender.0 + 1).max().unwrap_or(0),
            each: messages.iter().map(|m| m.sequence + 1).max().unwrap_or(0),
            size: messages.first().map_or(0, |m| m.size),
        }
    }

    /// The messages.
    pub(super) fn list(self) -> Vec<Message> {
        let of = |process| (0..self.each).map(move |n| Message::new(process, n, self.size));
        (0..self.processes).flat_map(of).collect()
    }
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// A command that is no call was carried out, or a send or close took effect.
    Done,
    /// A receive brought this.
    Received(Message),
    /// A receive brought bytes that nobody sent.
    Torn(Message),
    /// The call had no effect.
    Refused(Refusal),
    /// The link has no such call.
    Unsupported,
    /// An error that the model has no word for.
    Odd(String),
}

impl Answer {
    pub(super) fn of(failure: Failure) -> Self {
        Answer::Refused(match failure {
            Failure::Full => Refusal::Full,
            Failure::Empty => Refusal::Empty,
            Failure::Timeout => Refusal::Timeout,
            Failure::Closed => Refusal::Closed,
            Failure::TooBig => Refusal::TooBig,
            Failure::WrongSize => Refusal::WrongSize,
            Failure::Unsupported => return Answer::Unsupported,
            Failure::Other(why) => return Answer::Odd(why),
        })
    }

    pub(super) fn received(delivery: &crate::adapter::Delivery, known: &[Message]) -> Self {
        match (payload::recognise(&delivery.bytes, known), delivery.sender) {
            // A link that names the wrong sender delivers a message that nobody sent so.
            (Ret::Received(message), Some(sender)) => {
                Answer::Received(Message { sender, ..message })
            }
            (Ret::Received(message), None) => Answer::Received(message),
            (Ret::Torn(message), _) => Answer::Torn(message),
            (other, _) => Answer::Odd(format!("a receive is told {other}")),
        }
    }

    pub(super) fn ret(&self) -> Option<Ret> {
        match *self {
            Answer::Done => Some(Ret::Done),
            Answer::Received(message) => Some(Ret::Received(message)),
            Answer::Torn(message) => Some(Ret::Torn(message)),
            Answer::Refused(refusal) => Some(Ret::Refused(refusal)),
            Answer::Unsupported | Answer::Odd(_) => None,
        }
    }
}

/// The page, mapped.
///
/// Invariants: (C1) `base` is the beginning of a mapping of [`LENGTH`] bytes that is never
/// unmapped; (C2) a slot is written only by its owner while that runs, and only by the controller
/// while the owner stands at a meeting, and the stop orders the two.
pub(super) struct Control {
    base: NonNull<u8>,
}

impl Control {
    /// Maps the page, at [`ADDRESS`] if `fixed`.
    pub(super) fn map(file: &OwnedFd, fixed: bool) -> io::Result<Self> {
        let (hint, flags) = if fixed {
            (NonZeroUsize::new(ADDRESS), MapFlags::MAP_SHARED | MapFlags::MAP_FIXED_NOREPLACE)
        } else {
            (None, MapFlags::MAP_SHARED)
        };
        let length = NonZeroUsize::new(LENGTH).expect("not zero");
        let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, which replaces none (MAP_FIXED_NOREPLACE); establishes C1.
        let base = unsafe { mmap(hint, length, rights, flags, file.as_fd(), 0) }?;
        Ok(Self { base: base.cast() })
    }

    /// The counter of the shared heap.
    pub(super) fn taken(&self) -> &'static AtomicUsize {
        let at = self.base.as_ptr().wrapping_add(TAKEN).cast::<usize>();
        // SAFETY: inside the mapping, aligned, and mapped for good (C1); it belongs to no slot, and
        // is accessed through atomics only.
        unsafe { AtomicUsize::from_ptr(at) }
    }

    /// Writes `value` into the slot.
    pub(super) fn write<T: Serialize>(&self, slot: usize, value: &T) -> Result<(), String> {
        let bytes = serde_json::to_vec(value).map_err(|e| e.to_string())?;
        if slot >= SLOTS || bytes.len() + 4 > SLOT {
            return Err(format!("slot {slot} has no room for {} bytes", bytes.len()));
        }
        let length = (bytes.len() as u32).to_le_bytes();
        let at = self.base.as_ptr().wrapping_add(slot * SLOT);
        // SAFETY: inside the mapping (C1) by the check above, and the slot is ours now (C2).
        unsafe { at.copy_from_nonoverlapping(length.as_ptr(), 4) };
        // SAFETY: as before; the length was checked against the slot's.
        unsafe { at.wrapping_add(4).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    /// Reads what the slot holds.
    pub(super) fn read<T: DeserializeOwned>(&self, slot: usize) -> Result<T, String> {
        let at = self.base.as_ptr().wrapping_add(slot.min(SLOTS - 1) * SLOT);
        let mut length = [0; 4];
        // SAFETY: inside the mapping (C1), and the slot is ours now (C2).
        unsafe { at.copy_to_nonoverlapping(length.as_mut_ptr(), 4) };
        let mut bytes = vec![0; (u32::from_le_bytes(length) as usize).min(SLOT - 4)];
        // SAFETY: as before; the length was cut to the slot's.
        unsafe { at.wrapping_add(4).copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        serde_json::from_slice(&bytes).map_err(|e| format!("slot {slot}: {e}"))
    }
}

/// Stops this process for its tracer. Without one, this is the end of the process (SIGTRAP).
#[inline(never)]
pub(super) fn meet(meeting: Meeting) {
    // SAFETY: `int3` changes no register and no memory; the tracer leaves both as they are,
    // except for the control page, which is accessed through raw pointers only.
    unsafe { std::arch::asm!("int3", in("rax") MARK, in("rdi") meeting as u64) };
}
