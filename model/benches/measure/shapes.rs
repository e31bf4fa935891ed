//! The histories that are measured.

use ipc_model::{Capacity, History, Profile};

use crate::generate::{Recipe, legal, swap_receives};

/// What is generated: a name, how much room, the percentage of calls that do not wait, whether
/// one process sends, how many are killed, whether one receive is wrong near the end.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    room: Option<usize>,
    hasty: usize,
    one_sender: bool,
    killed: usize,
    wrong: bool,
}

const PLAIN: Shape =
    Shape { name: "unbounded", room: None, hasty: 0, one_sender: false, killed: 0, wrong: false };

/// Everything that is measured.
pub(crate) const SHAPES: &[Shape] = &[
    PLAIN,
    Shape { name: "unbounded, empty", hasty: 50, ..PLAIN },
    Shape { name: "unbounded, killed", hasty: 50, killed: 1, ..PLAIN },
    Shape { name: "unbounded, wrong", wrong: true, ..PLAIN },
    Shape { name: "capacity 1", room: Some(1), ..PLAIN },
    Shape {
        name: "capacity 1, one sender, full, empty",
        room: Some(1),
        one_sender: true,
        hasty: 50,
        ..PLAIN
    },
    Shape { name: "capacity 2, one sender", room: Some(2), one_sender: true, ..PLAIN },
    Shape { name: "capacity 16, one sender", room: Some(16), one_sender: true, ..PLAIN },
    Shape {
        name: "capacity 16, one sender, full, empty",
        room: Some(16),
        one_sender: true,
        hasty: 50,
        ..PLAIN
    },
    Shape {
        name: "capacity 16, one sender, wrong",
        room: Some(16),
        one_sender: true,
        wrong: true,
        ..PLAIN
    },
    Shape { name: "capacity 2, many", room: Some(2), ..PLAIN },
    Shape { name: "capacity 16, many", room: Some(16), ..PLAIN },
    Shape { name: "capacity 16, many, full, empty", room: Some(16), hasty: 50, ..PLAIN },
    Shape { name: "rendezvous", room: Some(0), ..PLAIN },
    Shape { name: "rendezvous, hasty", room: Some(0), hasty: 30, ..PLAIN },
];

/// What a link of this shape claims.
pub(crate) fn profile(shape: Shape) -> Profile {
    Profile::mailbox(match shape.room {
        None => Capacity::Unbounded,
        Some(0) => Capacity::Zero,
        Some(n) => Capacity::Bounded(n as u32),
    })
}

/// A history of this shape.
pub(crate) fn history(shape: Shape, processes: usize, calls: usize) -> History {
    let senders = if shape.one_sender { 1 } else { processes / 2 };
    let receivers = processes - senders;
    let (room, hasty, killed) = (shape.room, shape.hasty, shape.killed);
    let mut history = legal(Recipe { senders, receivers, calls, room, hasty, killed }, 42);
    if shape.wrong {
        (0..20).for_each(|i| swap_receives(&mut history, calls / 10 * 9 + 10 * i));
    }
    history
}
