//! Links with nothing in common.

use ipc_model::{
    Capacity, Ends, Force, Mode, Process, ProcessSet, ScenarioBuilder, Script, Source, Step,
};

use super::{Found, Probe, Subject, about};
use crate::protocol::Way;
use crate::run::Course;

/// A link works on while one beside it fails.
pub(super) const FAILURE: Probe = Probe {
    about: about(
        "independent.works-while-other-fails",
        "A link goes on as if nothing had happened while a process that uses another link is \
         killed inside its call.",
        &[Source::Statement("P1")],
        Force::Shall,
    ),
    claimed: |claim| {
        claim.processes
            && claim.profile.receive.blocking
            && claim.profile.capacity != Capacity::Zero
    },
    deep: false,
    way: Some(Way::Processes),
    look: |subject| failure(subject).unwrap_or_else(|found| found),
};

/// P0 and P1 hold one link, P2 and P3 the other. P1 is killed while it waits for a message; P2
/// then sends to P3.
fn failure(subject: &mut Subject<'_>) -> Result<Found, Found> {
    let profile = subject.claim.profile;
    let mut builder = ScenarioBuilder::new("other-link-fails", &profile, 1, 1);
    let (sender, receiver) = (builder.observer(), builder.observer());
    builder.receive(1, Mode::Blocking);
    builder.await_blocked(sender, 1).kill(sender, 1);
    let mut scenario = builder.build();
    let ends = |sender: u16, receiver: u16| Ends {
        senders: ProcessSet::from_iter([Process(sender)]),
        receivers: ProcessSet::from_iter([Process(receiver)]),
    };
    scenario.links.push(ends(sender, receiver));
    scenario.timeout = 2_000_000_000;
    // The calls on the second link are those of an ordinary exchange, by other processes.
    let exchange = exchange(&profile, sender, receiver);
    for (process, script) in exchange.into_iter().enumerate() {
        scenario.processes[process + 2].0.extend(script.0);
    }
    scenario.validate().map_err(|e| Found::inconclusive(e.to_string()))?;
    let history = subject.run(&scenario, &mut Course::default())?;
    if history.crashes.is_empty() {
        return Err(Found::inconclusive("nobody was killed"));
    }
    Ok(subject.judge(&history, "another link's receiver was killed, and nothing changed"))
}

/// Two messages over the second link.
fn exchange(profile: &ipc_model::Profile, sender: u16, receiver: u16) -> Vec<Script> {
    let first = |modes: ipc_model::Modes| {
        let all = [Mode::Blocking, Mode::Timed, Mode::Nonblocking];
        all.into_iter().find(|m| modes.offers(*m)).unwrap_or(Mode::Blocking)
    };
    let mut builder = ScenarioBuilder::new("exchange", profile, 1, 1);
    builder.second_link();
    builder.send_on(1, 0, first(profile.send), 0);
    builder.receive_on(1, 1, Mode::Blocking);
    let mut scripts = builder.build().processes;
    let renamed = |process: &mut Process| {
        *process = if process.0 == 0 { Process(sender) } else { Process(receiver) };
    };
    for step in scripts.iter_mut().flat_map(|s| s.0.iter_mut()) {
        let Step::Call(op) = step else { continue };
        match op {
            ipc_model::Op::Send { to, message, .. } => {
                renamed(&mut message.sender);
                to.iter_mut().for_each(renamed);
            }
            ipc_model::Op::Receive { from, .. } => from.iter_mut().for_each(renamed),
            ipc_model::Op::Close { .. } => {}
        }
    }
    scripts
}
