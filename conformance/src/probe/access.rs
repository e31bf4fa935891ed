//! Who may open what a link creates.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use ipc_model::{Force, Source};

use super::resources::held_by;
use super::{Found, Probe, Subject, about};
use crate::run::Course;

/// With which rights things are created.
pub(super) const MODES: Probe = Probe {
    about: about(
        "permissions.of-what-is-created",
        "Files, sockets and shared memory that a link creates have these permissions.",
        &[Source::Statement("M3"), Source::Clause("POSIX open, shm_open: mode, less the umask")],
        Force::Unspecified,
    ),
    claimed: |claim| claim.processes,
    deep: false,
    way: None,
    look: |subject| modes(subject).unwrap_or_else(|found| found),
};

fn modes(subject: &mut Subject<'_>) -> Result<Found, Found> {
    let created = created(subject)?;
    let modes: BTreeSet<String> = created.iter().map(|c| c.words.clone()).collect();
    if modes.is_empty() {
        return Ok(Found::observed("it creates nothing that has a name", ["no names".to_string()]));
    }
    Ok(Found::observed(modes.iter().cloned().collect::<Vec<_>>().join(", "), modes))
}

/// Something that a link created, as it was while the link was there.
struct ThingCreated {
    name: String,
    words: String,
    others: bool,
    another_user: Option<bool>,
}

/// What the link has created that has a name, looked at while it is there.
fn created(subject: &mut Subject<'_>) -> Result<Vec<ThingCreated>, Found> {
    let (scenario, pid) = subject.warm_up()?;
    // What the adapter held before is not this link's.
    let before = held_by(&[pid]);
    let mut found = Vec::new();
    let mut look = |pids: &[u32]| {
        for name in held_by(pids).difference(&before) {
            let Ok(metadata) = std::fs::symlink_metadata(name) else { continue };
            let mode = metadata.permissions().mode() & 0o777;
            let kind = match () {
                () if name.starts_with("/dev/shm/") => "shared memory",
                () if metadata.file_type().is_file() => "file",
                () => "socket or pipe",
            };
            let (words, others) = (format!("{kind} {mode:04o}"), mode & 0o077 != 0);
            let (name, another_user) = (name.clone(), opens_as_nobody(name));
            found.push(ThingCreated { name, words, others, another_user });
        }
    };
    let mut course = Course { look: Some(&mut look), ..Course::default() };
    subject.run(&scenario, &mut course)?;
    Ok(found)
}

/// Whether another user can open the file; `None` if it is not root who asks, and so cannot be one.
fn opens_as_nobody(name: &str) -> Option<bool> {
    const NOBODY: u32 = 65534;
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let status = Command::new("cat")
        .arg(name)
        .uid(NOBODY)
        .gid(NOBODY)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.ok().map(|s| s.success())
}

/// Nobody else can open it.
pub(super) const PRIVATE: Probe = Probe {
    about: about(
        "permissions.others-refused",
        "No other user can open what the link has created.",
        &[Source::Statement("M3"), Source::Clause("POSIX open: EACCES")],
        Force::Shall,
    ),
    claimed: |claim| claim.processes && claim.extras.private,
    deep: false,
    way: None,
    look: |subject| private(subject).unwrap_or_else(|found| found),
};

fn private(subject: &mut Subject<'_>) -> Result<Found, Found> {
    let created = created(subject)?;
    if created.is_empty() {
        return Err(Found::inconclusive("it creates nothing that has a name"));
    }
    Ok(match created.iter().find(|c| c.others || c.another_user == Some(true)) {
        Some(c) if c.another_user == Some(true) => {
            Found::broken(format!("another user has opened {} ({})", c.name, c.words))
        }
        Some(c) => Found::broken(format!("{} is open to others: {}", c.name, c.words)),
        None if created.iter().all(|c| c.another_user == Some(false)) => {
            Found::kept("another user was refused everything that was created")
        }
        None => Found::kept("its owner alone has rights to what was created"),
    })
}
