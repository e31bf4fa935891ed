//! Why a link was not made, opened, attached to or unlinked: one type per verb.

use super::name::{Name, NameError};
use super::object::{Kind, LARGEST_CAPACITY, VERSION};
use super::roster::Role;
use crate::sys::Fault;

/// Why a link was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Somebody has this name.
    #[error("a link named {0} exists; open it, unlink it, or choose another name")]
    Exists(Name),
    /// No such link can be.
    #[error("a capacity of {capacity} is not between 1 and {LARGEST_CAPACITY}")]
    Capacity {
        /// As asked for.
        capacity: usize,
    },
    /// No such link can be.
    #[error("{capacity} messages of {longest} bytes are more than an object can hold")]
    TooLarge {
        /// As asked for.
        capacity: usize,
        /// The longest message.
        longest: usize,
    },
    /// The memory for it is not there.
    #[error("no memory for {bytes} bytes; unlink what is not needed, or enlarge /dev/shm")]
    NoRoom {
        /// The size of the object.
        bytes: u64,
    },
    /// The system does not let us.
    #[error("permission to make {0} is refused; look at the owner and mode of /dev/shm")]
    Denied(Name),
    /// Anything else.
    #[error(transparent)]
    System(#[from] Fault),
}

/// Why a link was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nobody made it, or somebody unlinked it.
    #[error("there is no link named {0}; make it first")]
    NotFound(Name),
    /// It belongs to somebody else.
    #[error("permission to open {0} is refused; it is for its owner alone")]
    Denied(Name),
    /// Its creator died half-way.
    #[error("{0} was never finished; unlink it and make it again")]
    Unfinished(String),
    /// It is something else.
    #[error("{name} is no link: it begins with {found:02x?}; choose another name")]
    WrongMagic {
        /// What was opened.
        name: String,
        /// Its first bytes.
        found: [u8; 8],
    },
    /// Made by another version of this crate.
    #[error("{name} has layout {found}, and this program knows {VERSION}; use one version")]
    OtherVersion {
        /// What was opened.
        name: String,
        /// Its layout.
        found: u32,
    },
    /// A link, but of another kind.
    #[error("{name} is a link of kind {found}, not {expected:?}; open it as what it is")]
    OtherKind {
        /// What was opened.
        name: String,
        /// Its kind as a number.
        found: u32,
        /// What the caller wants.
        expected: Kind,
    },
    /// A header that no version of this crate writes.
    #[error("the header of {0} makes no sense; unlink it and make it again")]
    Nonsense(String),
    /// Somebody cut it off.
    #[error("{name} has {found} bytes of {needed}; unlink it and make it again")]
    Truncated {
        /// What was opened.
        name: String,
        /// Its length.
        found: u64,
        /// The length that its header calls for.
        needed: u64,
    },
    /// Anything else.
    #[error(transparent)]
    System(#[from] Fault),
}

/// Why a link was neither made nor opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub enum OpenOrCreateError {
    /// It was not there.
    Create(#[from] CreateError),
    /// It was there.
    Open(#[from] OpenError),
}

/// Why an end was not attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// Every seat for this role is held by a living process.
    #[error("all {seats} seats for a {role:?} are taken; close one")]
    Taken {
        /// What the caller wants to be.
        role: Role,
        /// How many there are.
        seats: usize,
    },
    /// Another process broke the layout.
    #[error("the link is damaged: {0}; unlink it and make it again")]
    Corrupt(crate::links::Damage),
    /// Another end is in the middle of a call, alive, and has not gone on for a while.
    #[error("another end has stopped in the middle of a call; let it go on, or kill it")]
    Busy,
    /// Anything else.
    #[error(transparent)]
    System(#[from] Fault),
}

/// Why a name was not removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnlinkError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nobody has this name.
    #[error("there is no link named {0}")]
    NotFound(Name),
    /// It belongs to somebody else.
    #[error("permission to unlink {0} is refused; its owner can")]
    Denied(Name),
    /// Anything else.
    #[error(transparent)]
    System(#[from] Fault),
}
