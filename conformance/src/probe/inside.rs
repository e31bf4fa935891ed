//! What only the process that holds a link can see: its observers, and who owns a value.

use ipc_model::{Capacity, Force, Source};

use super::resources::no_facts;
use super::{Found, Probe, Subject, about};
use crate::look::{Facts, Row, Task};
use crate::protocol::Way;

/// Observers tell what is so.
pub(super) const OBSERVERS: Probe = Probe {
    about: about(
        "observers.tell-the-state",
        "`len`, `is_empty`, `is_full`, `capacity` and `is_disconnected` tell what the model says \
         of the link, while nobody else uses it.",
        &[Source::Statement("B1"), Source::Statement("B3"), Source::Clause("the crate's own docs")],
        Force::Shall,
    ),
    claimed: |claim| claim.threads && !claim.extras.observers.is_empty(),
    deep: false,
    way: Some(Way::Threads),
    look: observers,
};

fn observers(subject: &mut Subject<'_>) -> Found {
    let link = subject.claim.link.clone();
    let rows = match subject.host.look(&link, Task::Observe, |_| ()) {
        Ok((Facts::Observed { rows }, ())) => rows,
        other => return no_facts(other),
    };
    let told = || rows.iter().flat_map(|row| row.told.iter().map(move |told| (row, told)));
    for observer in &subject.claim.extras.observers {
        let named = |name: &str| name.split('.').nth(1) == Some(observer.word());
        if !told().any(|(_, (name, _))| named(name)) {
            return Found::no_look(format!("it claims {} and does not offer it", observer.word()));
        }
    }
    for (row, (name, value)) in told() {
        let expected = expected(subject.claim.profile.capacity, row, name);
        if expected.as_ref().is_some_and(|e| e != value) {
            let expected = expected.unwrap_or_default();
            let Row { after, inside, .. } = row;
            return Found::broken(format!(
                "after {after}, with {inside} inside, {name} tells {value}; it is {expected}"
            ));
        }
    }
    Found::kept(format!("{} answers, each as the model has it", told().count()))
}

/// What the model says the observer tells there; `None` if that is open.
fn expected(capacity: Capacity, row: &Row, name: &str) -> Option<String> {
    let (end, observer) = name.split_once('.')?;
    Some(match observer {
        "len" => row.inside.to_string(),
        "is_empty" => (row.inside == 0).to_string(),
        "is_full" => match capacity {
            Capacity::Zero => "true".into(),
            Capacity::Bounded(n) => (row.inside >= n).to_string(),
            Capacity::Unbounded => "false".into(),
            Capacity::AtLeast(_) => return None,
        },
        "capacity" => match capacity {
            Capacity::Zero => "0".into(),
            Capacity::Bounded(n) => n.to_string(),
            Capacity::Unbounded => "unbounded".into(),
            Capacity::AtLeast(_) => return None,
        },
        // A receiver whose sender has gone may only count as disconnected once it is drained.
        "is_disconnected" if row.connected => "false".into(),
        "is_disconnected" if end == "receiver" && row.inside == 0 => "true".into(),
        _ => return None,
    })
}

/// Every value is dropped once.
pub(super) const OWNERSHIP: Probe = Probe {
    about: about(
        "ownership.dropped-once",
        "Every value that is sent has one owner at a time and is dropped exactly once: also when \
         the call fails or gives up, and when the link ends with it inside.",
        &[
            Source::Statement("B4"),
            Source::Clause("Rust ownership: a value moves, and is dropped once"),
        ],
        Force::Shall,
    ),
    claimed: |claim| claim.threads && claim.extras.values,
    deep: false,
    way: Some(Way::Threads),
    look: ownership,
};

fn ownership(subject: &mut Subject<'_>) -> Found {
    let link = subject.claim.link.clone();
    let told = match subject.host.look(&link, Task::Values, |_| ()) {
        Ok((Facts::Values { told }, ())) => told,
        other => return no_facts(other),
    };
    let bad = told.iter().find(|t| !t.kept.is_empty() || !t.twice.is_empty());
    match bad {
        Some(t) if !t.twice.is_empty() => Found::broken(format!(
            "{}: dropped more than once: {:?} of {}",
            t.story, t.twice, t.made
        )),
        Some(t) => Found::broken(format!("{}: never dropped: {:?} of {}", t.story, t.kept, t.made)),
        None => {
            let made: u32 = told.iter().map(|t| t.made).sum();
            Found::kept(format!("{made} values in {} stories, each dropped once", told.len()))
        }
    }
}
