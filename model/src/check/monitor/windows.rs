//! What the monitors see of a history: for every message the window of its send and the window of
//! its receive, and what else was answered. [`super::reading`] makes them.

use super::Violation;
use super::reading::read;
use crate::history::{Calls, Operation, Timing};
use crate::op::Message;
use crate::profile::Profile;

/// The end of a window that never closes: the call is pending and may still take effect.
pub(crate) const PENDING: u64 = u64::MAX - 1;
/// Both ends of the receive window of a message that nobody received.
pub(crate) const NEVER: u64 = u64::MAX;
/// No operation.
pub(crate) const NONE: u32 = u32::MAX;

/// From just after its `from` to just before its `to`, something took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// One message on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) send: Window,
    pub(crate) receive: Window,
    /// Which operation of the history sent it.
    pub(crate) sender: u32,
    /// Which received it, or [`NONE`].
    pub(crate) receiver: u32,
}

impl Flow {
    pub(crate) fn received(&self) -> bool {
        self.receive.from != NEVER
    }

    /// When the message is certainly inside: after its send has returned, before its receive
    /// begins.
    pub(crate) fn inner(&self) -> Option<Window> {
        (self.send.to < self.receive.from)
            .then_some(Window { from: self.send.to, to: self.receive.from })
    }
}

/// An operation and a window: an answer that tells about the state, or a call that may have taken
/// effect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) window: Window,
    pub(crate) operation: u32,
}

/// One link of a history.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lane {
    /// The messages that entered, or entered if they were received.
    pub(crate) flows: Vec<Flow>,
    /// Pending sends of messages that nobody received. They may have entered or not.
    pub(crate) ghosts: Vec<Moment>,
    /// Pending receives. They may have taken a message or not.
    pub(crate) hungry: Vec<Moment>,
    /// Answers that nothing is there, `timeout` included.
    pub(crate) empties: Vec<Moment>,
    /// Answers that there is no room, `timeout` included.
    pub(crate) fulls: Vec<Moment>,
    /// Calls that were watched until nothing moved any more: they have taken no effect.
    pub(crate) stuck: Vec<u32>,
    /// Whether any timed call answered `timeout`.
    pub(crate) timeouts: bool,
}

/// A history, link by link.
pub(crate) struct Windows<'h> {
    pub(crate) calls: Calls<'h>,
    pub(crate) lanes: Vec<Lane>,
}

/// Why no monitor looks at a history.
pub(crate) type Outside = &'static str;

pub(crate) enum Unreadable {
    Outside(Outside),
    Broken(Box<Violation>),
}

impl From<Outside> for Unreadable {
    fn from(why: Outside) -> Self {
        Unreadable::Outside(why)
    }
}

impl From<Violation> for Unreadable {
    fn from(violation: Violation) -> Self {
        Unreadable::Broken(Box::new(violation))
    }
}

impl<'h> Windows<'h> {
    /// Takes a history apart.
    ///
    /// # Errors
    /// What puts the history outside of what monitors know, or a violation that a single message
    /// shows.
    pub(crate) fn read(
        profile: &Profile,
        calls: Calls<'h>,
        timing: Timing,
    ) -> Result<Self, Unreadable> {
        Ok(Self { calls, lanes: read(profile, calls, timing)? })
    }

    pub(crate) fn operation(&self, index: u32) -> Operation {
        self.calls.operation(index)
    }

    /// The message of a flow, as it was sent.
    pub(crate) fn message(&self, flow: &Flow) -> Message {
        sent(self.calls, flow.sender)
    }
}

/// The message that an operation sent.
pub(super) fn sent(calls: Calls<'_>, operation: u32) -> Message {
    calls.operation(operation).op.message().expect("it sends")
}
