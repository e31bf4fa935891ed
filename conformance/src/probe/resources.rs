//! What a link holds on to: descriptors, names, memory, threads.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ipc_model::{Force, Holders, Scenario, Source};

use super::{Found, Probe, Subject, about};
use crate::look::{Facts, Task};
use crate::protocol::Way;
use crate::run::{Course, Host, QUIESCENCE};

/// How many links are made, used and dropped.
const LINKS: usize = 20;

/// Descriptors are given back.
pub(super) const DESCRIPTORS: Probe = Probe {
    about: about(
        "resources.descriptors-returned",
        "When the last end of a link is gone, its process holds no more descriptors than before \
         there was the link.",
        &[Source::Clause("POSIX close, mq_close, munmap; RAII: what is dropped is freed")],
        Force::Shall,
    ),
    claimed: |_| true,
    deep: false,
    way: None,
    look: |subject| descriptors(subject).unwrap_or_else(|found| found),
};

/// How many descriptors are open once nothing more is being closed, or no more than `enough`: what
/// an end's thread still holds while it leaves is no leak.
fn settled(host: &Host, enough: Option<usize>) -> Result<usize, String> {
    let mut open = host.descriptors()?;
    let mut moved = Instant::now();
    while enough.is_none_or(|enough| open > enough) && moved.elapsed() < QUIESCENCE {
        std::thread::sleep(QUIESCENCE / 100);
        let now = host.descriptors()?;
        if now < open {
            moved = Instant::now();
        }
        open = now;
    }
    Ok(open)
}

/// The first link may open what all of them share; from then on the number must not grow.
fn descriptors(subject: &mut Subject<'_>) -> Result<Found, Found> {
    let scenario = subject.plain()?;
    let mut before = None;
    let mut after = 0;
    for _ in 0..=LINKS {
        gets_through(subject, &scenario, &mut Course::default())?;
        after = settled(subject.host, before).map_err(Found::no_look)?;
        before.get_or_insert(after);
    }
    Ok(match before {
        Some(before) if after > before => Found::broken(format!(
            "{before} descriptors open after the first link, {after} after {LINKS} more"
        )),
        _ => Found::kept(format!("{after} descriptors open, after 1 link as after {LINKS} more")),
    })
}

fn gets_through(
    subject: &mut Subject<'_>,
    scenario: &Scenario,
    course: &mut Course<'_>,
) -> Result<(), Found> {
    let history = subject.run(scenario, course)?;
    if history.operations.iter().any(|o| o.ret.is_none()) {
        let why = format!("scenario {} did not get through", scenario.name);
        return Err(Found::inconclusive(why));
    }
    Ok(())
}

/// Names and files go with the link.
pub(super) const NAMES: Probe = Probe {
    about: about(
        "resources.names-removed",
        "When a link has been dropped, nothing is left that it created: no shared memory, no \
         queue, no socket, no file.",
        &[
            Source::Statement("M7"),
            Source::Clause("POSIX shm_unlink, mq_unlink, unlink; RAII: what is dropped is freed"),
        ],
        Force::Shall,
    ),
    claimed: |_| true,
    deep: false,
    way: None,
    look: |subject| names(subject).unwrap_or_else(|found| found),
};

/// How often a link is made and dropped: what is there under one name each time is shared by all
/// links, and may stay.
const TIMES: usize = 3;

fn names(subject: &mut Subject<'_>) -> Result<Found, Found> {
    let (scenario, pid) = subject.warm_up()?;
    let before = held_by(&[pid]);
    let mut left: Vec<BTreeSet<String>> = Vec::new();
    for _ in 0..TIMES {
        let (mut held, mut strays) = (BTreeSet::new(), BTreeSet::new());
        let mut look = |pids: &[u32]| held = held_by(pids);
        let mut after = |folder: &Path| strays = inside(folder);
        let mut course =
            Course { look: Some(&mut look), left: Some(&mut after), ..Course::default() };
        gets_through(subject, &scenario, &mut course)?;
        held.retain(|name| !before.contains(name) && still_there(name));
        left.push(held.into_iter().chain(strays).collect());
    }
    // What only one of several links has left is that link's own.
    let own = |name: &&String| left.iter().filter(|names| names.contains(*name)).count() == 1;
    let own: Vec<&String> = left.iter().flatten().filter(own).collect();
    Ok(match own.first() {
        Some(name) => Found::broken(format!("{} left by {TIMES} links, such as {name}", own.len())),
        None => Found::kept(format!("nothing is left by {TIMES} links")),
    })
}

/// What these processes have open or mapped that has a name.
pub(super) fn held_by(pids: &[u32]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    for pid in pids {
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
        for descriptor in descriptors.filter_map(Result::ok) {
            let Ok(target) = std::fs::read_link(descriptor.path()) else { continue };
            let target = target.to_string_lossy().into_owned();
            match target.strip_prefix("socket:[").and_then(|t| t.strip_suffix(']')) {
                Some(inode) => names.extend(socket_path(&sockets, inode)),
                None => names.extend(path_of(&target)),
            }
        }
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        let paths = maps.lines().filter_map(|line| line.splitn(6, ' ').nth(5));
        names.extend(paths.filter_map(|path| path_of(path.trim_start())));
    }
    names
}

fn socket_path(sockets: &str, inode: &str) -> Option<String> {
    let line = sockets.lines().find(|l| l.split_whitespace().nth(6) == Some(inode))?;
    path_of(line.split_whitespace().nth(7)?)
}

/// A name that a link may have made: no program, no device, nothing that the system keeps.
fn path_of(text: &str) -> Option<String> {
    let systems = ["/usr", "/lib", "/etc", "/dev/null", "/dev/pts", "/dev/tty", "/dev/urandom"];
    let plain = text.starts_with('/') && !text.ends_with(" (deleted)");
    let systems = systems.iter().chain(&["/proc", "/sys", "/memfd:"]);
    let is_system = systems.into_iter().any(|s| text.starts_with(s));
    // The adapter's own program, its arena and its log.
    let is_ours = text.ends_with("/arena") || text.ends_with("/log") || is_program(text);
    (plain && !is_system && !is_ours).then(|| text.to_string())
}

fn is_program(path: &str) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o100 != 0)
}

fn still_there(name: &str) -> bool {
    // A message queue has a name that is in no folder where its file system is not mounted.
    let queue = || {
        let flags = nix::mqueue::MQ_OFlag::O_RDONLY;
        nix::mqueue::mq_open(name, flags, nix::sys::stat::Mode::empty(), None).is_ok()
    };
    Path::new(name).exists() || (name.matches('/').count() == 1 && queue())
}

/// What is in the folder of a run beside what the suite itself puts there.
fn inside(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let strays = entries.map(|e| e.path()).filter(|path| !path.ends_with("arena"));
    strays.map(|path: PathBuf| path.display().to_string()).collect()
}

/// Memory does not grow with the messages that have passed.
pub(super) const MEMORY: Probe = Probe {
    about: about(
        "resources.memory-bounded",
        "However many messages have passed through a link, it takes no more memory than it took \
         after the first of them.",
        &[
            Source::Statement("B1"),
            Source::Clause("a message that was received is in the link no more"),
        ],
        Force::Shall,
    ),
    claimed: |claim| claim.threads,
    deep: false,
    way: Some(Way::Threads),
    look: memory,
};

/// Messages at the quick level, and at the others. With messages of 1 KiB, or with 16 bytes lost for
/// each of 100,000, a loss is well above [`NOISE`].
const MESSAGES: (u32, u32) = (5_000, 100_000);

/// What a process may grow by for other reasons, in bytes: its allocator keeps what it has been
/// given back.
const NOISE: u64 = 1 << 20;

fn memory(subject: &mut Subject<'_>) -> Found {
    let messages = if subject.at_length() { MESSAGES.1 } else { MESSAGES.0 };
    let link = subject.claim.link.clone();
    match subject.host.look(&link, Task::Flow { messages }, |_| ()) {
        Ok((Facts::Flow { passed, resident: (early, late) }, ())) => {
            let grown = late.saturating_sub(early);
            if passed < messages / 10 {
                Found::inconclusive(format!("only {passed} messages passed in the time given"))
            } else if grown > NOISE {
                let each = grown / u64::from(passed - messages / 10).max(1);
                Found::broken(format!("{each} bytes more for each of {passed} messages"))
            } else {
                Found::kept(format!("{passed} messages took no more memory than the first tenth"))
            }
        }
        other => no_facts(other),
    }
}

/// What it means that an adapter did not tell what it was asked.
pub(super) fn no_facts(answer: Result<(Facts, ()), String>) -> Found {
    match answer {
        Ok((facts, ())) => Found::no_look(format!("it was asked for something else: {facts:?}")),
        Err(why) if why.contains("signal") => Found::crash(why),
        Err(why) if why.contains("not a request") || why.contains("no such call") => {
            Found::inconclusive("the adapter takes no looks")
        }
        Err(why) => Found::no_look(why),
    }
}

/// Peers come and go.
pub(super) const GUESTS: Probe = Probe {
    about: about(
        "resources.guests-forgotten",
        "Senders may come, send, and go by the hundred: each is heard, and none leaves a thread or \
         a descriptor behind.",
        &[Source::Statement("N4"), Source::Clause("RAII: what is dropped is freed")],
        Force::Shall,
    ),
    claimed: |claim| {
        claim.threads
            && claim.profile.senders == Holders::Many
            && claim.profile.capacity != ipc_model::Capacity::Zero
    },
    deep: false,
    way: Some(Way::Threads),
    look: guests,
};

fn guests(subject: &mut Subject<'_>) -> Found {
    let times = if subject.at_length() { 2_000 } else { 300 };
    let link = subject.claim.link.clone();
    match subject.host.look(&link, Task::Churn { times }, |_| ()) {
        Ok((Facts::Churned { passed, why: Some(why), .. }, ())) => {
            Found::broken(format!("after {passed} that came and went, the next: {why}"))
        }
        Ok((Facts::Churned { passed, threads, descriptors, .. }, ())) => {
            let grown = |(first, last): (u32, u32)| last > first + 2;
            if passed < times / 10 {
                Found::inconclusive(format!("only {passed} came in the time given"))
            } else if grown(threads) {
                Found::broken(format!(
                    "{passed} came and went: {threads:?} threads, first and last"
                ))
            } else if grown(descriptors) {
                let text = format!("{passed} came and went: {descriptors:?} descriptors");
                Found::broken(text + ", first and last")
            } else {
                Found::kept(format!("{passed} came, were heard, and left nothing behind"))
            }
        }
        other => no_facts(other),
    }
}
