//! Ends and beginnings: exit, exec, and the same name again.

use std::path::Path;

use ipc_model::{Capacity, Force, Mode, Op, Scenario, ScenarioBuilder, Source, Step};

use super::{Found, Probe, Subject, about};
use crate::adapter::Claim;
use crate::protocol::Way;
use crate::run::{Course, End};
use crate::worker::state_of;

/// A program ends, and what it sent is still received.
pub(super) const EXIT: Probe = Probe {
    about: about(
        "exit.nothing-lost",
        "What was sent is received also when the sender's program has ended before, without \
         closing anything.",
        &[Source::Statement("B1"), Source::Clause("POSIX exit: the queue is not the sender's")],
        Force::Shall,
    ),
    claimed: |claim| claim.processes && claim.profile.capacity != Capacity::Zero,
    deep: false,
    way: Some(Way::Processes),
    look: |subject| exit(subject).unwrap_or_else(|found| found),
};

/// As many messages as surely fit, sent and then received.
fn filled(claim: &Claim, name: &str) -> Scenario {
    let fits = match claim.profile.capacity {
        Capacity::Zero => 0,
        Capacity::Bounded(n) | Capacity::AtLeast(n) => n.min(3),
        Capacity::Unbounded => 3,
    };
    let first = |modes: ipc_model::Modes| {
        let all = [Mode::Blocking, Mode::Timed, Mode::Nonblocking];
        all.into_iter().find(|m| modes.offers(*m)).unwrap_or(Mode::Blocking)
    };
    let mut scenario = ScenarioBuilder::new(name, &claim.profile, 1, 1);
    scenario.timeout(2_000_000_000);
    (0..fits).for_each(|_| {
        scenario.send(0, first(claim.profile.send));
    });
    scenario.await_return(1, 0);
    (0..fits).for_each(|_| {
        scenario.receive(1, first(claim.profile.receive));
    });
    scenario.build()
}

fn exit(subject: &mut Subject<'_>) -> Result<Found, Found> {
    let scenario = filled(subject.claim, "sender-exits");
    let sent = scenario.calls(ipc_model::Process(0)).count();
    let mut left = false;
    let mut look = |pids: &[u32]| {
        // The adapter's own process, the sender, the receiver.
        left = pids.get(1).is_some_and(|p| matches!(state_of(*p, *p), None | Some('Z' | 'X')));
    };
    let mut course = Course { leave: true, look: Some(&mut look), ..Course::default() };
    let history = subject.run(&scenario, &mut course)?;
    if !left {
        return Err(Found::inconclusive(
            "the adapter's processes do not leave when they are asked to",
        ));
    }
    let refused = history
        .operations
        .iter()
        .find(|o| o.process.0 == 1 && !matches!(o.ret, Some((_, ipc_model::Ret::Received(_)))));
    if let Some(operation) = refused {
        let ret = operation.ret.map_or("never returned".into(), |(_, ret)| ret.to_string());
        return Err(Found::broken(format!(
            "{sent} messages were sent by a program that has ended; {} {ret}",
            operation.op.name()
        )));
    }
    Ok(subject.judge(&history, format!("{sent} messages outlived the program that sent them")))
}

/// The name is free when the link is gone.
pub(super) const NAME_AFTER_END: Probe = Probe {
    about: about(
        "name.free-after-end",
        "When a link has been dropped, another one can be created under its name, and nothing of \
         the first is in it.",
        &[Source::Statement("N5"), Source::Clause("POSIX mq_unlink, shm_unlink: the name is free")],
        Force::Shall,
    ),
    claimed: |claim| claim.processes,
    deep: false,
    way: Some(Way::Processes),
    look: |subject| again(subject, false).unwrap_or_else(|found| found),
};

/// The name is free when a killed link has been removed.
pub(super) const NAME_AFTER_KILL: Probe = Probe {
    about: about(
        "name.free-after-kill",
        "When the process that created a link has been killed, and what it left was removed, \
         another link can be created under its name, and nothing of the first is in it.",
        &[Source::Statement("N5"), Source::Clause("POSIX mq_unlink, shm_unlink: the name is free")],
        Force::Shall,
    ),
    claimed: |claim| claim.processes,
    deep: false,
    way: Some(Way::Processes),
    look: |subject| again(subject, true).unwrap_or_else(|found| found),
};

/// Leaves messages in a link, ends it, and uses another one of the same name.
fn again(subject: &mut Subject<'_>, kill: bool) -> Result<Found, Found> {
    let name = format!("ipc-conform-{}-again-{}", std::process::id(), subject.claim.link);
    let mut first = filled(subject.claim, "first-of-its-name");
    // Nobody receives, so that they are still inside at the end; and they have other names than
    // those of the second link.
    first.processes[1].0.clear();
    for step in &mut first.processes[0].0 {
        if let Step::Call(Op::Send { message, .. }) = step {
            message.sequence += 100;
        }
    }
    let mut end = |pids: &[u32]| {
        let host = nix::unistd::Pid::from_raw(pids[0] as i32);
        if kill {
            // It is the suite's own child, and has not been waited for.
            let _ = nix::sys::signal::kill(host, nix::sys::signal::Signal::SIGKILL);
            while !matches!(state_of(pids[0], pids[0]), None | Some('Z' | 'X')) {
                std::thread::sleep(std::time::Duration::from_micros(100));
            }
        }
    };
    let mut course = Course { name: Some(name.clone()), look: Some(&mut end), ..Course::default() };
    let explains = |_: &ipc_model::History| true;
    let run = subject.host.run_on(&subject.claim.link, &first, subject.way, &explains, &mut course);
    match run.end {
        End::Crash(signal, None) if kill && signal == nix::libc::SIGKILL => {}
        ref other => {
            if let Some(found) = Found::of_end(other) {
                return Err(found);
            }
        }
    }
    let second = filled(subject.claim, "second-of-its-name");
    let mut course = Course { name: Some(name), ..Course::default() };
    let history = subject.run(&second, &mut course)?;
    Ok(subject.judge(&history, "a second link of the same name is as new"))
}

/// A program that a holder starts does not hold the link.
pub(super) const EXEC: Probe = Probe {
    about: about(
        "exec.ends-not-inherited",
        "A program that is started by a process that holds a link does not inherit its \
         descriptors: it would keep the link open without knowing.",
        &[Source::Clause("POSIX exec: descriptors stay open unless FD_CLOEXEC is set")],
        Force::Should,
    ),
    claimed: |claim| claim.threads,
    deep: false,
    way: Some(Way::Threads),
    look: |subject| exec(subject).unwrap_or_else(|found| found),
};

fn exec(subject: &mut Subject<'_>) -> Result<Found, Found> {
    // What the adapter itself has inherited is not the link's. (Workers inherit descriptors from it
    // because the suite asks for that, so there is nothing to see by processes.)
    let (scenario, pid) = subject.warm_up()?;
    let before = inheritable(pid);
    let mut kept: Vec<(String, String)> = Vec::new();
    let mut look = |pids: &[u32]| kept = inheritable(pids[0]);
    let mut course = Course { look: Some(&mut look), ..Course::default() };
    subject.run(&scenario, &mut course)?;
    kept.retain(|descriptor| !before.contains(descriptor));
    Ok(match kept.first() {
        Some((_, what)) => Found {
            verdict: crate::report::CellVerdict::Deviates,
            ..Found::broken(format!("{} descriptors are inherited, such as {what}", kept.len()))
        },
        None => Found::kept("no descriptor of the link is inherited by programs that are started"),
    })
}

/// The descriptors of the process that stay open across exec: number and what it is.
fn inheritable(pid: u32) -> Vec<(String, String)> {
    let folder = format!("/proc/{pid}/fdinfo");
    let entries = std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
    let of = |entry: std::fs::DirEntry| {
        let number = entry.file_name().into_string().ok()?;
        let text = std::fs::read_to_string(entry.path()).ok()?;
        let flags = text.lines().find_map(|l| l.strip_prefix("flags:"))?;
        let flags = u32::from_str_radix(flags.trim(), 8).ok()?;
        let open = flags & nix::libc::O_CLOEXEC as u32 == 0;
        let target = std::fs::read_link(Path::new(&format!("/proc/{pid}/fd/{number}"))).ok()?;
        open.then(|| (number, target.display().to_string()))
    };
    entries.filter_map(of).collect()
}
