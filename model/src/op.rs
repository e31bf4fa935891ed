//! The closed vocabulary: what a process may ask of a link, and what it may be told.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A process of a scenario or history, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Process(pub u16);

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P{}", self.0)
    }
}

/// A message, named by its sender and by its place among that sender's messages. No two messages
/// of a history have the same name, which is what makes checking cheap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Message {
    /// Who sent it.
    pub sender: Process,
    /// Its place among the messages of this sender, from 0.
    pub sequence: u32,
    /// Length in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: u32,
    /// Higher is sooner, on a link that orders by priority; elsewhere 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Message {
    /// A message of `size` bytes and priority 0.
    pub fn new(sender: u16, sequence: u32, size: u32) -> Self {
        Self { sender: Process(sender), sequence, size, priority: 0 }
    }

    /// Whether two messages have the same name, whatever their length: a link that changes a
    /// message's length still delivers *that* message.
    pub fn same_name(&self, other: &Self) -> bool {
        (self.sender, self.sequence) == (other.sender, other.sequence)
    }
}

/// Prints the name, `sender:sequence`, as histories write it.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sender.0, self.sequence)
    }
}

/// How long a call is willing to wait (statements Y1 to Y5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// For as long as it takes.
    Blocking,
    /// Not at all: `try_send`, `try_receive`.
    Nonblocking,
    /// Until its deadline: `send_timeout`, `receive_timeout`.
    Timed,
}

/// What a process asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Send `message` over link number `link`.
    Send {
        /// Which link of the scenario.
        link: u8,
        /// The recipient that a direct link names; a mailbox names none.
        to: Option<Process>,
        /// What is sent.
        message: Message,
        /// How long to wait for room or for a receiver.
        mode: Mode,
    },
    /// Receive from link number `link`.
    Receive {
        /// Which link of the scenario.
        link: u8,
        /// The sender that a symmetric direct link names; others name none.
        from: Option<Process>,
        /// How long to wait for a message.
        mode: Mode,
    },
    /// Give up every end that the process holds of link number `link`.
    Close {
        /// Which link of the scenario.
        link: u8,
    },
}

impl Op {
    /// The link it is about.
    pub fn link(&self) -> u8 {
        match *self {
            Op::Send { link, .. } | Op::Receive { link, .. } | Op::Close { link } => link,
        }
    }

    /// The same call by processes and on links that are numbered higher by so much.
    pub(crate) fn moved(self, processes: u16, links: u8) -> Self {
        let shift = |p: Process| Process(p.0 + processes);
        match self {
            Op::Send { link, to, message, mode } => {
                let message = Message { sender: shift(message.sender), ..message };
                Op::Send { link: link + links, to: to.map(shift), message, mode }
            }
            Op::Receive { link, from, mode } => {
                Op::Receive { link: link + links, from: from.map(shift), mode }
            }
            Op::Close { link } => Op::Close { link: link + links },
        }
    }

    /// How long it is willing to wait; `close` never waits.
    pub fn mode(&self) -> Mode {
        match *self {
            Op::Send { mode, .. } | Op::Receive { mode, .. } => mode,
            Op::Close { .. } => Mode::Nonblocking,
        }
    }

    /// The message it sends, if it sends.
    pub fn message(&self) -> Option<Message> {
        match *self {
            Op::Send { message, .. } => Some(message),
            _ => None,
        }
    }

    /// The name of the call as histories write it: `f` of the history format.
    pub fn name(&self) -> &'static str {
        match (self, self.mode()) {
            (Op::Send { .. }, Mode::Blocking) => "send",
            (Op::Send { .. }, Mode::Nonblocking) => "try_send",
            (Op::Send { .. }, Mode::Timed) => "send_timeout",
            (Op::Receive { .. }, Mode::Blocking) => "receive",
            (Op::Receive { .. }, Mode::Nonblocking) => "try_receive",
            (Op::Receive { .. }, Mode::Timed) => "receive_timeout",
            (Op::Close { .. }, _) => "close",
        }
    }
}

/// Prints the call: `send 0:3`, `try_receive`, with `@1` behind it for a link other than the first.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())?;
        match self {
            Op::Send { message, to, .. } => {
                write!(f, " {message}")?;
                if let Some(to) = to {
                    write!(f, " to {to}")?;
                }
            }
            Op::Receive { from: Some(from), .. } => write!(f, " from {from}")?,
            _ => {}
        }
        match self.link() {
            0 => Ok(()),
            link => write!(f, " @{link}"),
        }
    }
}

/// Why a call had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// No room, and the call would not wait.
    Full,
    /// No message, and the call would not wait.
    Empty,
    /// The deadline passed.
    Timeout,
    /// Nobody is left at the other end, and nothing is left to take.
    Closed,
    /// The message is larger than the link takes.
    TooBig,
    /// The link takes messages of one other size only.
    WrongSize,
}

impl Refusal {
    /// All of them. Their places are part of the binary history and of the arena: never moved.
    pub const ALL: [Refusal; 6] = [
        Refusal::Full,
        Refusal::Empty,
        Refusal::Timeout,
        Refusal::Closed,
        Refusal::TooBig,
        Refusal::WrongSize,
    ];

    /// The word that histories use.
    pub fn word(self) -> &'static str {
        match self {
            Refusal::Full => "full",
            Refusal::Empty => "empty",
            Refusal::Timeout => "timeout",
            Refusal::Closed => "closed",
            Refusal::TooBig => "too-big",
            Refusal::WrongSize => "wrong-size",
        }
    }

    /// The inverse of [`Refusal::word`].
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.word() == word)
    }
}

/// What a process is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ret {
    /// A send or a close took effect.
    Done,
    /// A receive took this message out.
    Received(Message),
    /// A receive handed out bytes that are no message anybody sent, though they carry this name:
    /// no rule ever allows it.
    Torn(Message),
    /// The call had no effect.
    Refused(Refusal),
}

impl fmt::Display for Ret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ret::Done => write!(f, "ok"),
            Ret::Received(message) => write!(f, "{message}"),
            Ret::Torn(message) => write!(f, "torn {message}"),
            Ret::Refused(refusal) => write!(f, "{}", refusal.word()),
        }
    }
}
