//! What the verbs of a link can answer instead of doing their work: one type per verb.
//!
//! What `send` and `receive` can answer, their nonblocking and timed kin can answer too, and one
//! things more. `sending` and `receiving` state the common part once.

use super::Size;
use crate::sys::Fault;

/// What another process wrote into the shared memory that no end of this crate writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The count of received messages went back, or beyond the sent ones.
    #[error("the count of received messages is {found}, and {low} to {high} is possible")]
    Head {
        /// As read.
        found: u64,
        /// The smallest possible.
        low: u64,
        /// The largest possible.
        high: u64,
    },
    /// A message with a length that the link does not take.
    #[error("a message claims {found} bytes, and the link takes {allowed}")]
    Length {
        /// As read.
        found: usize,
        /// What the link was made for.
        allowed: Size,
    },
    /// The shared object was cut off, and what was in the missing part is lost.
    #[error("somebody truncated the object of the link")]
    Truncated,
    /// A message is said to be in a place that the link does not have, or that two ends own.
    #[error("a message is said to be in place {found}, which no end can have put it into")]
    Place {
        /// As read.
        found: usize,
    },
}

/// Declares what one sending verb can answer: what `send` can, and these.
macro_rules! sending {
    ($(#[$doc:meta])* $verb:ident { $($own:tt)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[non_exhaustive]
        pub enum $verb {
            $($own)*
            /// Every receiver that ever came has left or died.
            #[error("no receiver is left; attach one, or stop sending")]
            Disconnected,
            /// The link does not take messages of this length.
            #[error("the message has {given} bytes, and the link takes {allowed}")]
            WrongSize {
                /// The length of the message.
                given: usize,
                /// What the link was made for.
                allowed: Size,
            },
            /// An unbounded link has come to its real limit. Nothing was sent, and nothing lost.
            #[error("all {budget} bytes are in use; receive, or make the link with a larger budget")]
            Exhausted {
                /// What the link was made for, in bytes.
                budget: u64,
            },
            /// An unbounded link cannot grow, although it may. Nothing was sent, and nothing lost.
            #[error("no memory to grow by {bytes} bytes; free some, or enlarge /dev/shm")]
            NoRoom {
                /// What was missing.
                bytes: u64,
            },
            /// Another process broke the layout. Nothing was sent.
            #[error("the link is damaged: {0}; unlink it and make it again")]
            Corrupt(Damage),
            /// The operating system refused.
            #[error(transparent)]
            System(Fault),
        }
    };
}

/// Declares what one receiving verb can answer: what `receive` can, and these.
macro_rules! receiving {
    ($(#[$doc:meta])* $verb:ident { $($own:tt)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[non_exhaustive]
        pub enum $verb {
            $($own)*
            /// Every sender that ever came has left or died, and all they sent was received.
            #[error("no message and no sender is left")]
            Disconnected,
            /// The message stays in the link.
            #[error("the buffer has room for {room} bytes, and the message has {needed}")]
            ShortBuffer {
                /// The length of the buffer.
                room: usize,
                /// The length of the message.
                needed: usize,
            },
            /// Another process broke the layout. Nothing was received.
            #[error("the link is damaged: {0}; unlink it and make it again")]
            Corrupt(Damage),
            /// The operating system refused.
            #[error(transparent)]
            System(Fault),
        }
    };
}

sending! {
    /// Why `send` gave up.
    SendError {}
}

sending! {
    /// Why `try_send` did not send.
    TrySendError {
        /// As many messages wait as the link holds.
        #[error("the link is full")]
        Full,
        /// Another end is in the middle of a call, alive, and has not gone on for a while.
        #[error("another end has stopped in the middle of a call; let it go on, or kill it")]
        Busy,
    }
}

sending! {
    /// Why `send_timeout` gave up.
    SendTimeoutError {
        /// There was no room in time.
        #[error("there was no room in time")]
        Timeout,
    }
}

receiving! {
    /// Why `receive` gave up.
    ReceiveError {}
}

receiving! {
    /// Why `try_receive` received nothing.
    TryReceiveError {
        /// No message waits.
        #[error("the link is empty")]
        Empty,
        /// Another end is in the middle of a call, alive, and has not gone on for a while.
        #[error("another end has stopped in the middle of a call; let it go on, or kill it")]
        Busy,
    }
}

receiving! {
    /// Why `receive_timeout` gave up.
    ReceiveTimeoutError {
        /// There was no message in time.
        #[error("there was no message in time")]
        Timeout,
    }
}

/// A verb that adds to another's answers takes over that other's.
macro_rules! takes_over {
    ($from:ident, $into:ident, $($variant:ident $(($inner:ident))? $({ $($field:ident),* })?),*) => {
        impl From<$from> for $into {
            fn from(error: $from) -> $into {
                match error {
                    $($from::$variant $(($inner))? $({ $($field),* })? => {
                        $into::$variant $(($inner))? $({ $($field),* })?
                    })*
                }
            }
        }
    };
}

macro_rules! takes_over_sending {
    ($($into:ident),*) => {
        $(takes_over!(
            SendError, $into, Disconnected, WrongSize { given, allowed }, Exhausted { budget },
            NoRoom { bytes }, Corrupt(damage), System(fault)
        );)*
    };
}

macro_rules! takes_over_receiving {
    ($($into:ident),*) => {
        $(takes_over!(
            ReceiveError, $into, Disconnected, ShortBuffer { room, needed }, Corrupt(damage),
            System(fault)
        );)*
    };
}

takes_over_sending!(TrySendError, SendTimeoutError);
takes_over_receiving!(TryReceiveError, ReceiveTimeoutError);
