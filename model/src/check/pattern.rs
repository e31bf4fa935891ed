//! The named shapes of a violation, and the handful of calls that prove one.

use std::fmt;

use crate::history::Operation;

/// The shape of a violation: what a person would point at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// A receive handed out what nobody had sent.
    Invented,
    /// A receive had returned before the send of its message began.
    BeforeSent,
    /// Two receives handed out one message.
    Twice,
    /// A message arrived whose send was refused.
    RefusedArrived,
    /// A message arrived with other bytes, another length or another priority.
    Altered,
    /// A message arrived on another link than it was sent on.
    WrongLink,
    /// Two messages left in the other order than they entered.
    Overtaking,
    /// A receive was told that nothing is there while messages were certainly inside.
    NotEmpty,
    /// A message that had certainly entered was never received, though a receive was told that
    /// nothing is there, and others asked after it.
    Lost,
    /// A send was told that there is no room while there certainly was.
    NotFull,
    /// More messages were certainly inside than the link holds.
    Overfull,
    /// Sender and receiver of a rendezvous never were in their calls together.
    NeverMet,
    /// A timed call gave up before its deadline.
    Early,
    /// The call was told something that no rule lets such a call be told.
    NoSuchAnswer,
    /// A call stayed blocked that should have gone on.
    Stuck,
    /// The calls have no order in which a link of this capacity explains them.
    NoOrder,
}

impl Shape {
    /// All of them.
    pub const ALL: [Shape; 16] = [
        Shape::Invented,
        Shape::BeforeSent,
        Shape::Twice,
        Shape::RefusedArrived,
        Shape::Altered,
        Shape::WrongLink,
        Shape::Overtaking,
        Shape::NotEmpty,
        Shape::Lost,
        Shape::NotFull,
        Shape::Overfull,
        Shape::NeverMet,
        Shape::Early,
        Shape::NoSuchAnswer,
        Shape::Stuck,
        Shape::NoOrder,
    ];

    /// The permanent name, as reports write it.
    pub fn name(self) -> &'static str {
        match self {
            Shape::Invented => "invented",
            Shape::BeforeSent => "received-before-sent",
            Shape::Twice => "received-twice",
            Shape::RefusedArrived => "refused-yet-received",
            Shape::Altered => "altered",
            Shape::WrongLink => "wrong-link",
            Shape::Overtaking => "overtaking",
            Shape::NotEmpty => "empty-while-inside",
            Shape::Lost => "lost",
            Shape::NotFull => "full-while-room",
            Shape::Overfull => "overfull",
            Shape::NeverMet => "never-met",
            Shape::Early => "early-timeout",
            Shape::NoSuchAnswer => "no-such-answer",
            Shape::Stuck => "stuck",
            Shape::NoOrder => "no-order",
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A violation that can be pointed at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Its shape.
    pub shape: Shape,
    /// The same in a sentence, with the messages and numbers of this history.
    pub words: String,
    /// The calls that prove it. Where the shape is [`Shape::NoOrder`], the last call of the
    /// shortest prefix that has no explanation.
    pub operations: Vec<Operation>,
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.shape, self.words)
    }
}
