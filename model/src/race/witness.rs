//! For each rule of races, the smallest execution that shows it.

use super::{Action, Execution, Place};
use crate::op::Process;

/// A rule, how many processes there are, and what they do.
type Shown<'a> = (&'static str, u16, &'a [(u16, Action)]);

fn execution(processes: u16, events: &[(u16, Action)]) -> Execution {
    let mut execution = Execution::new(processes);
    events.iter().for_each(|(p, action)| execution.push(Process(*p), *action));
    execution
}

/// For each rule, by name, an execution that a detector without the rule judges otherwise
/// ([`super::detect_without`]).
pub fn witnesses() -> Vec<(&'static str, Execution)> {
    let place = |start, length| Place { object: 0, start, length };
    let (read, write) = (Action::Read(place(0, 4)), Action::Write(place(0, 4)));
    let beside = Action::Write(place(3, 4));
    let [release, publish, acquire] = [
        Action::Release { object: 0 },
        Action::Publish { object: 0 },
        Action::Acquire { object: 0 },
    ];
    let fork = Action::Fork { child: Process(1) };
    let join = Action::Join { child: Process(1) };
    let [send, receive] = [Action::Send { message: 5 }, Action::Receive { message: 5 }];
    let shown: [Shown<'_>; 13] = [
        ("race.order.program", 1, &[(0, write), (0, write)]),
        ("race.order.release-acquire", 2, &[(0, write), (0, release), (1, acquire), (1, write)]),
        ("race.order.publish-acquire", 2, &[(0, write), (0, publish), (1, acquire), (1, read)]),
        (
            "race.order.publish-replaces",
            3,
            &[(0, write), (0, release), (2, publish), (1, acquire), (1, read)],
        ),
        ("race.order.fork", 2, &[(0, write), (0, fork), (1, write)]),
        ("race.order.join", 2, &[(1, write), (0, join), (0, write)]),
        ("race.order.message", 2, &[(0, write), (0, send), (1, receive), (1, read)]),
        ("race.order.nothing-else", 2, &[(0, write), (1, write)]),
        ("race.conflict.write-write", 2, &[(0, write), (1, write)]),
        ("race.conflict.write-read", 2, &[(0, write), (1, read)]),
        ("race.conflict.read-write", 2, &[(0, read), (1, write)]),
        ("race.conflict.not-read-read", 2, &[(0, read), (1, read)]),
        ("race.conflict.common-byte", 2, &[(0, write), (1, beside)]),
    ];
    shown
        .into_iter()
        .map(|(rule, processes, events)| (rule, execution(processes, events)))
        .collect()
}
