//! Where rules come from: the statements of the text that is modelled, and the standards that
//! govern what the text leaves open.

/// One claim of the text, in our own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its permanent name, such as `B5`.
    pub id: &'static str,
    /// What the text says.
    pub says: &'static str,
    /// What shows it beside the rules that cite it; never empty where none does.
    pub shown: &'static [Shown],
}

/// What shows a statement that is no property of a link, or more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A program of `impls/examples`, by name.
    Example(&'static str),
    /// A command that measures it: figures, and no verdict.
    Measured(&'static str),
    /// A test of the model, by its file.
    Test(&'static str),
    /// A link that is broken on purpose, by the name of its mutant: what shows the opposite.
    Mutant(&'static str),
    /// An adapter, by name: a real thing that is held against the model.
    Adapter(&'static str),
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Shown::Example(name) => write!(f, "example: cargo run -p ipc-impls --example {name}"),
            Shown::Measured(command) => write!(f, "measured: ipc-conform {command}"),
            Shown::Test(file) => write!(f, "test: {file}"),
            Shown::Mutant(name) => write!(f, "mutant: {name}"),
            Shown::Adapter(name) => write!(f, "links: ipc-conform run {name}"),
        }
    }
}

/// What a rule rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A statement of the text, by id.
    Statement(&'static str),
    /// A clause of a standard or of a paper.
    Clause(&'static str),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Statement(id) => write!(f, "{id}"),
            Source::Clause(clause) => write!(f, "{clause}"),
        }
    }
}

use Shown::{Adapter, Example, Measured, Mutant, Test};

macro_rules! statements {
    ($($id:literal: $says:literal $(shown [$($shown:expr),+])?,)*) => {
        &[$(Statement { id: $id, says: $says, shown: &[$($($shown),+)?] }),*]
    };
}

/// Every statement of the text, in its order.
pub const STATEMENTS: &[Statement] = statements! {
    "P1": "an independent process shares nothing, so it neither affects nor is affected by others"
        shown [Test("model/tests/independence.rs")],
    "P2": "a cooperating process shares data, so it can affect others"
        shown [Mutant("mixes-mailboxes-up"), Test("model/tests/independence.rs")],
    "P3": "reason to cooperate: information sharing"
        shown [Example("shared_table")],
    "P4": "reason to cooperate: computation speed-up, only with several processing elements"
        shown [Example("speed_up")],
    "P5": "reason to cooperate: modularity"
        shown [Example("pipeline")],
    "P6": "reason to cooperate: convenience, one user doing several tasks at once"
        shown [Example("several_tasks")],
    "P7": "cooperating processes exchange data by shared memory or by message passing"
        shown [Example("producer_consumer")],
    "C1": "shared memory: a region is established, then read and written",
    "C2": "message passing: messages are exchanged",
    "C3": "message passing suits small amounts, and no conflicts have to be avoided"
        shown [Measured("bench")],
    "C4": "message passing is easier between computers"
        shown [Adapter("tcp")],
    "C5": "shared memory is the fastest"
        shown [Measured("bench")],
    "C6": "message passing typically costs system calls for each message"
        shown [Measured("bench")],
    "C7": "shared memory needs system calls only to establish the region",
    "M1": "the processes must establish a region",
    "M2": "it lives in the creator's address space; the others attach it to theirs",
    "M3": "the system normally keeps one process out of another's memory",
    "M4": "two or more processes agree to lift that",
    "M5": "form and place of the data belong to the processes, not to the system",
    "M6": "the processes must see to it that no two write the same place at once",
    "M7": "POSIX shared memory is the worked example"
        shown [Example("posix_shm")],
    "L1": "processes communicate and synchronise without sharing an address space",
    "L2": "message passing suits a distributed setting, such as a chat program"
        shown [Example("chat")],
    "L3": "a link offers at least send(message) and receive(message)",
    "L4": "messages are of fixed or of variable size",
    "L5": "a link is direct or indirect, synchronous or asynchronous, automatically or explicitly buffered"
        shown [Test("model/tests/space.rs")],
    "N1": "processes must be able to refer to each other",
    "N2": "direct: each names the recipient or the sender explicitly",
    "N3": "indirect: through mailboxes, also called ports",
    "N4": "messages are put into a mailbox and taken out of it",
    "N5": "each mailbox has a unique identification",
    "Y1": "send and receive may each be blocking or nonblocking"
        shown [Test("model/tests/space.rs")],
    "Y2": "blocking send: held until the receiving process or the mailbox has the message",
    "Y3": "nonblocking send: the sender goes on at once",
    "Y4": "blocking receive: held until a message is there",
    "Y5": "nonblocking receive: a valid message or null",
    "B1": "messages rest in a temporary queue",
    "B2": "zero capacity: nothing may wait in the link; the sender blocks until the recipient receives",
    "B3": "bounded capacity n: at most n messages wait",
    "B4": "not full: the message is placed and the sender goes on",
    "B5": "full: the sender blocks until there is space",
    "B6": "unbounded: any number may wait, and the sender never blocks",
    "B7": "zero capacity is no buffering, the others automatic buffering",
};

/// The statement of this id.
pub fn statement(id: &str) -> Option<&'static Statement> {
    STATEMENTS.iter().find(|s| s.id == id)
}
