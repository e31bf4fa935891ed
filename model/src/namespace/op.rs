//! The closed vocabulary of names: what a process may ask, and what it may be told.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use crate::region::Creation;

use crate::machine::Errno;

/// For what a mailbox is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Taking messages out (`O_RDONLY`).
    Take,
    /// Putting messages in (`O_WRONLY`).
    Put,
    /// Both (`O_RDWR`).
    Both,
}

impl Access {
    /// The permission bits that it needs, of the three that concern a user.
    pub fn bits(self) -> u16 {
        match self {
            Access::Take => 0o4,
            Access::Put => 0o2,
            Access::Both => 0o6,
        }
    }
}

/// What a process asks. Handles are slots that the process numbers itself; a slot is not filled
/// again while it is in use.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// `mq_open`.
    Open {
        /// The mailbox's name.
        name: String,
        /// Whether it may be created.
        creation: Creation,
        /// For what it is opened.
        access: Access,
        /// Of a mailbox that this call creates: permission bits, `0o600` for the owner and `0o006`
        /// for everybody else, as they are once the umask has been taken off.
        mode: u16,
        /// Where the handle goes.
        handle: u8,
    },
    /// `mq_send`, of a message that fits.
    Put {
        /// Into the mailbox behind this handle.
        handle: u8,
        /// What tells the message from others.
        value: u32,
    },
    /// `mq_receive`, not waiting.
    Take {
        /// Out of the mailbox behind this handle.
        handle: u8,
    },
    /// `mq_timedreceive`: as a take, but where there is nothing it waits a little.
    Wait {
        /// Out of the mailbox behind this handle.
        handle: u8,
    },
    /// `mq_notify`: asks to be told, once, when a message arrives at the empty mailbox.
    Notify {
        /// The mailbox behind this handle.
        handle: u8,
    },
    /// `mq_notify` with no notification: takes that back.
    Forget {
        /// The mailbox behind this handle.
        handle: u8,
    },
    /// Counts the notifications that have come since it was asked last.
    Look,
    /// `mq_close`.
    Close {
        /// Which.
        handle: u8,
    },
    /// `mq_unlink`.
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
            Op::Open { name, creation, access, mode, handle } => {
                match creation {
                    Creation::Never => write!(f, "open {name:?}")?,
                    Creation::OrOpen => write!(f, "open-or-create {name:?} mode {mode:o}")?,
                    Creation::Exclusive => write!(f, "create {name:?} mode {mode:o}")?,
                }
                match access {
                    Access::Take => f.write_str(" to take")?,
                    Access::Put => f.write_str(" to put")?,
                    Access::Both => {}
                }
                write!(f, " as h{handle}")
            }
            Op::Put { handle, value } => write!(f, "put h{handle} {value}"),
            Op::Take { handle } => write!(f, "take h{handle}"),
            Op::Wait { handle } => write!(f, "wait h{handle}"),
            Op::Notify { handle } => write!(f, "notify h{handle}"),
            Op::Forget { handle } => write!(f, "forget h{handle}"),
            Op::Look => f.write_str("look"),
            Op::Close { handle } => write!(f, "close h{handle}"),
            Op::Unlink { name } => write!(f, "unlink {name:?}"),
            Op::Exit => f.write_str("exit"),
        }
    }
}

/// What a process is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ret {
    /// The call took effect.
    Done,
    /// This message was taken out.
    Taken(u32),
    /// So many notifications have come.
    Notified(u32),
    /// The call had no effect.
    Refused(Errno),
}

impl fmt::Display for Ret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ret::Done => f.write_str("ok"),
            Ret::Taken(value) => write!(f, "{value}"),
            Ret::Notified(times) => write!(f, "notified {times} times"),
            Ret::Refused(errno) => write!(f, "{errno}"),
        }
    }
}
