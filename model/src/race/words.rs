//! What would have ordered two accesses, in words.

use std::fmt;

use super::{Action, Event, Execution, Race};

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Read(place) => write!(f, "read {place}"),
            Action::Write(place) => write!(f, "write {place}"),
            Action::Release { object } => write!(f, "release s{object}"),
            Action::Publish { object } => write!(f, "publish s{object}"),
            Action::Acquire { object } => write!(f, "acquire s{object}"),
            Action::Fork { child } => write!(f, "fork {child}"),
            Action::Join { child } => write!(f, "join {child}"),
            Action::Send { message } => write!(f, "send m{message}"),
            Action::Receive { message } => write!(f, "receive m{message}"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.process, self.action)
    }
}

impl Race {
    /// The race as a person reads it.
    pub fn told(&self, execution: &Execution) -> String {
        let Race { first, second, place, rule, missing } = self;
        let event = |i: usize| execution.events[i];
        format!(
            "race on {place}: {} (event {first}) and {} (event {second}), by {rule}\n{missing}",
            event(*first),
            event(*second)
        )
    }
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Write(_) => "write",
        _ => "read",
    }
}

/// What would have ordered event `first` before event `second`: the attempt that came nearest, or
/// else that there was none.
pub(super) fn missing(execution: &Execution, first: usize, second: usize) -> String {
    let events = &execution.events;
    let (one, other) = (events[first], events[second]);
    let (p, q) = (one.process, other.process);
    let (its, own) = (verb(one.action), verb(other.action));
    let of_q = |wanted: Action| {
        let happened = events.iter().enumerate();
        happened.filter(move |(_, e)| e.process == q && e.action == wanted).map(|(i, _)| i)
    };
    let after = events.iter().enumerate().skip(first + 1).filter(|(_, e)| e.process == p);
    for (i, event) in after.take_while(|(i, _)| *i < second) {
        match event.action {
            Action::Release { object } | Action::Publish { object } => {
                let acquired = Action::Acquire { object };
                if let Some(a) = of_q(acquired).find(|a| (i..second).contains(a)) {
                    return format!(
                        "{p} released s{object} (event {i}), and {q} acquired it (event {a}), but \
                         what it saw there was a later store by another process"
                    );
                }
                return match of_q(acquired).rfind(|a| *a < i) {
                    Some(a) => format!(
                        "{q} acquired s{object} (event {a}) before {p} released it (event {i}), \
                         and not again before its {own}"
                    ),
                    None => format!(
                        "{p} released s{object} after its {its} (event {i}), but {q} did not \
                         acquire s{object} before its {own}"
                    ),
                };
            }
            Action::Send { message } => {
                return format!(
                    "{p} sent m{message} after its {its} (event {i}), but {q} did not receive it \
                     before its {own}"
                );
            }
            _ => {}
        }
    }
    format!(
        "{p} released and sent nothing after its {its}: a release by {p} that {q} acquires, a \
         message from {p} that {q} receives, or waiting for the end of {p}, before the {own}, \
         would have ordered them"
    )
}
