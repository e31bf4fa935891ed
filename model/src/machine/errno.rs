//! Why a call of a machine was refused.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The errors that POSIX gives the calls on named objects, by the standard's own names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Errno {
    /// The name exists, and the call wanted to be the one to create it.
    #[serde(rename = "EEXIST")]
    Exists,
    /// No object has this name.
    #[serde(rename = "ENOENT")]
    Absent,
    /// The object's mode, or the way it was opened, forbids it.
    #[serde(rename = "EACCES")]
    Access,
    /// The handle is not open, or not for this.
    #[serde(rename = "EBADF")]
    BadHandle,
    /// An argument is not one that the call takes.
    #[serde(rename = "EINVAL")]
    Invalid,
    /// The name is longer than names may be.
    #[serde(rename = "ENAMETOOLONG")]
    NameTooLong,
    /// The call would have to wait.
    #[serde(rename = "EAGAIN")]
    Again,
    /// Somebody has what only one can have.
    #[serde(rename = "EBUSY")]
    Busy,
    /// The deadline has passed.
    #[serde(rename = "ETIMEDOUT")]
    Expired,
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Errno::Exists => "EEXIST",
            Errno::Absent => "ENOENT",
            Errno::Access => "EACCES",
            Errno::BadHandle => "EBADF",
            Errno::Invalid => "EINVAL",
            Errno::NameTooLong => "ENAMETOOLONG",
            Errno::Again => "EAGAIN",
            Errno::Busy => "EBUSY",
            Errno::Expired => "ETIMEDOUT",
        })
    }
}
