//! Time limits at their edges.

use ipc_model::{Capacity, Force, Mode, ScenarioBuilder, Source};

use super::{Found, Probe, Subject, about};
use crate::adapter::Claim;
use crate::run::Course;

fn is_timed(claim: &Claim) -> bool {
    claim.profile.receive.timed
}

/// A time limit of nothing.
pub(super) const ZERO: Probe = Probe {
    about: about(
        "timeout.zero-decides-now",
        "A call with a time limit of zero takes effect if it can at once, and else returns \
         `timeout`.",
        &[Source::Clause(
            "POSIX mq_timedreceive: no wait if a message is there; a past time is up",
        )],
        Force::Shall,
    ),
    claimed: is_timed,
    deep: false,
    way: None,
    look: |subject| zero(subject).unwrap_or_else(|found| found),
};

fn zero(subject: &mut Subject<'_>) -> Result<Found, Found> {
    let profile = subject.claim.profile;
    let mut builder = ScenarioBuilder::new("no-time-at-all", &profile, 1, 1);
    builder.timeout(0);
    builder.receive(1, Mode::Timed);
    let send = [Mode::Nonblocking, Mode::Blocking, Mode::Timed];
    let send = send.into_iter().find(|m| profile.send.offers(*m)).unwrap_or(Mode::Blocking);
    if profile.capacity != Capacity::Zero {
        builder.await_return(0, 1).send(0, send);
        builder.await_return(1, 0).receive(1, Mode::Timed);
    }
    let scenario = builder.build();
    let history = subject.run(&scenario, &mut Course::default())?;
    Ok(subject.judge(&history, "with no time at all, calls did what could be done at once"))
}

/// The largest time limit there is.
pub(super) const LARGEST: Probe = Probe {
    about: about(
        "timeout.largest-waits",
        "A call with the largest time limit there is waits for what it needs, as one without a \
         limit does.",
        &[Source::Clause("std::time::Duration::MAX is a Duration; POSIX: seconds are a time_t")],
        Force::Shall,
    ),
    claimed: is_timed,
    deep: false,
    way: None,
    look: |subject| largest(subject).unwrap_or_else(|found| found),
};

fn largest(subject: &mut Subject<'_>) -> Result<Found, Found> {
    let profile = subject.claim.profile;
    let mut builder = ScenarioBuilder::new("all-the-time-there-is", &profile, 1, 1);
    builder.timeout(u64::MAX);
    builder.receive(1, Mode::Timed);
    let send = [Mode::Blocking, Mode::Timed, Mode::Nonblocking];
    let send = send.into_iter().find(|m| profile.send.offers(*m)).unwrap_or(Mode::Blocking);
    builder.await_blocked(0, 1).send(0, send);
    let scenario = builder.build();
    let history = subject.run(&scenario, &mut Course::default())?;
    let received = |o: &&ipc_model::Operation| {
        o.process.0 == 1 && !matches!(o.ret, Some((_, ipc_model::Ret::Received(_))))
    };
    if let Some(operation) = history.operations.iter().find(received) {
        let ret = operation.ret.map_or("never returned".into(), |(_, ret)| ret.to_string());
        return Err(Found::broken(format!(
            "with the largest time limit there is, {} returned {ret}, though a message was sent",
            operation.op.name()
        )));
    }
    Ok(subject.judge(&history, "with all the time there is, it waited for the message"))
}
