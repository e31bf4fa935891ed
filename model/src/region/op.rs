//! The closed vocabulary of regions: what a process may ask, and what it may be told.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::machine::Errno;

/// For what an object is opened or mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Reading alone.
    ReadOnly,
    /// Reading and writing.
    ReadWrite,
}

/// Whether an open may create the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Creation {
    /// It must exist (no `O_CREAT`).
    Never,
    /// It is created unless it exists (`O_CREAT`).
    OrOpen,
    /// It must not exist (`O_CREAT | O_EXCL`).
    Exclusive,
}

/// What a process asks. Handles and mappings are slots that the process numbers itself; a slot is
/// not filled again while it is in use ([`super::check`] refuses a history that does).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// `shm_open`.
    Open {
        /// The object's name.
        name: String,
        /// Whether it may be created.
        creation: Creation,
        /// For what it is opened.
        access: Access,
        /// Whether its content is thrown away (`O_TRUNC`).
        truncate: bool,
        /// Of an object that this call creates: permission bits, `0o600` for the owner and
        /// `0o006` for everybody else, as they are once the umask has been taken off.
        mode: u16,
        /// Where the handle goes.
        handle: u8,
    },
    /// `ftruncate`.
    SetSize {
        /// Of the object behind this handle.
        handle: u8,
        /// The size, in bytes.
        size: u64,
    },
    /// `fstat`, of which the size alone is told.
    GetSize {
        /// Of the object behind this handle.
        handle: u8,
    },
    /// `mmap`, shared.
    Attach {
        /// The object behind this handle.
        handle: u8,
        /// For what it is mapped.
        access: Access,
        /// The first byte that is mapped.
        offset: u64,
        /// How many bytes are mapped.
        length: u64,
        /// Where the mapping goes.
        mapping: u8,
    },
    /// An ordinary load, of one byte or of several.
    Read {
        /// Through this mapping.
        mapping: u8,
        /// The first byte, counted from the start of the mapping.
        place: u64,
        /// How many.
        length: u32,
    },
    /// An ordinary store, of one byte or of several.
    Write {
        /// Through this mapping.
        mapping: u8,
        /// The first byte, counted from the start of the mapping.
        place: u64,
        /// What is stored.
        bytes: Vec<u8>,
    },
    /// `munmap`, of the whole mapping.
    Detach {
        /// Which.
        mapping: u8,
    },
    /// `close`.
    Close {
        /// Which.
        handle: u8,
    },
    /// `shm_unlink`.
    Unlink {
        /// The name that goes.
        name: String,
    },
    /// The process ends by itself; its last call.
    Exit,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Open { name, creation, access, truncate, mode, handle } => {
                match creation {
                    Creation::Never => write!(f, "open {name}")?,
                    Creation::OrOpen => write!(f, "open-or-create {name} mode {mode:o}")?,
                    Creation::Exclusive => write!(f, "create {name} mode {mode:o}")?,
                }
                if *access == Access::ReadOnly {
                    f.write_str(" read-only")?;
                }
                if *truncate {
                    f.write_str(" truncating")?;
                }
                write!(f, " as h{handle}")
            }
            Op::SetSize { handle, size } => write!(f, "set_size h{handle} {size}"),
            Op::GetSize { handle } => write!(f, "get_size h{handle}"),
            Op::Attach { handle, access, offset, length, mapping } => {
                write!(f, "attach h{handle} [{offset}, {length} bytes]")?;
                if *access == Access::ReadOnly {
                    f.write_str(" read-only")?;
                }
                write!(f, " as m{mapping}")
            }
            Op::Read { mapping, place, length } => write!(f, "read m{mapping}[{place}, {length}]"),
            Op::Write { mapping, place, bytes } => write!(f, "write m{mapping}[{place}] {bytes:?}"),
            Op::Detach { mapping } => write!(f, "detach m{mapping}"),
            Op::Close { handle } => write!(f, "close h{handle}"),
            Op::Unlink { name } => write!(f, "unlink {name}"),
            Op::Exit => f.write_str("exit"),
        }
    }
}

/// How an access ends that the system does not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fault {
    /// Nothing is mapped there, or not for this.
    #[serde(rename = "SIGSEGV")]
    Unmapped,
    /// The object ends before that place.
    #[serde(rename = "SIGBUS")]
    BeyondEnd,
}

/// What a process is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ret {
    /// The call took effect.
    Done,
    /// The object has this size.
    Size(u64),
    /// These bytes were read. The model says `None` where any value will do; a recorded history
    /// always has a value.
    Read(Vec<Option<u8>>),
    /// The access did not get through; of a write, any part may have.
    Faulted(Fault),
    /// The call had no effect.
    Refused(Errno),
}

impl Ret {
    /// These bytes were read.
    pub fn read(bytes: &[u8]) -> Self {
        Ret::Read(bytes.iter().copied().map(Some).collect())
    }
}

impl fmt::Display for Ret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ret::Done => f.write_str("ok"),
            Ret::Size(size) => write!(f, "size {size}"),
            Ret::Read(bytes) => {
                let text = |b: &Option<u8>| b.map_or("any".into(), |b| b.to_string());
                let texts: Vec<String> = bytes.iter().map(text).collect();
                write!(f, "<{}>", texts.join(" "))
            }
            Ret::Faulted(Fault::Unmapped) => f.write_str("SIGSEGV"),
            Ret::Faulted(Fault::BeyondEnd) => f.write_str("SIGBUS"),
            Ret::Refused(errno) => write!(f, "{errno}"),
        }
    }
}
