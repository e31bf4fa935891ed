//! The namespaces that the worlds of one controller have to themselves: names, shared memory,
//! mailboxes, temporary files and process ids. Nothing outside is touched, ids are the same in
//! each world, and whatever is there when a world is over was left behind by it.
//!
//! All of this runs in the adapter's process: the zygote enters the namespaces, and its first
//! child, which is their process 1, becomes the zygote instead.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};

use crate::adapter::Place;

/// What worlds are called that have their names to themselves: the same each time.
const NAME: &str = "ipc-conform-world";

/// How much that was left behind is named.
const MOST: usize = 64;

/// Where shared memory has its names.
const SHARED_MEMORY: &str = "/dev/shm";

/// Where the kernel says what System V objects there are: by kind.
const SYSTEM_V: [&str; 3] = ["shm", "sem", "msg"];

/// The place of worlds that have namespaces of their own.
pub(super) fn place() -> Place {
    Place { name: NAME.into(), folder: std::env::temp_dir().join(NAME) }
}

/// Where the names of mailboxes can be seen.
fn mailboxes() -> PathBuf {
    std::env::temp_dir().join("ipc-conform-mailboxes")
}

/// Enters namespaces of this process's own, in which its next child is process 1.
pub(super) fn enter() -> Result<(), String> {
    let all = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWPID;
    if unshare(all).is_err() {
        // Who may not do so may do it in a user namespace, where there is one for the asking.
        let (user, group) = (getuid(), getgid());
        let refused = |e| format!("unshare of user, mount, IPC and PID namespaces: {e}");
        unshare(all | CloneFlags::CLONE_NEWUSER).map_err(refused)?;
        write("/proc/self/setgroups", "deny")?;
        // The same numbers inside, so that the adapter sees itself as it is.
        write("/proc/self/uid_map", &format!("{user} {user} 1"))?;
        write("/proc/self/gid_map", &format!("{group} {group} 1"))?;
    }
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount_at(None, Path::new("/"), None, private)?;
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount_at(Some("tmpfs"), Path::new(SHARED_MEMORY), Some("tmpfs"), plain)?;
    mount_at(Some("tmpfs"), &std::env::temp_dir(), Some("tmpfs"), plain)?;
    for folder in [place().folder, mailboxes()] {
        fs::create_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    mount_at(Some("mqueue"), &mailboxes(), Some("mqueue"), plain)
}

/// As process 1: has the process ids in procfs be those that it sees.
pub(super) fn arrive() -> Result<(), String> {
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount_at(Some("proc"), Path::new("/proc"), Some("proc"), plain)
}

/// Has the next process be number 2, as in the world before.
pub(super) fn count_from_start() -> Result<(), String> {
    write("/proc/sys/kernel/ns_last_pid", "1")
}

fn write(path: &str, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("{path}: {e}"))
}

fn mount_at(
    source: Option<&str>,
    target: &Path,
    kind: Option<&str>,
    flags: MsFlags,
) -> Result<(), String> {
    let none: Option<&str> = None;
    mount(source, target, kind, flags, none)
        .map_err(|e| format!("mount of {} on {}: {e}", kind.unwrap_or("/"), target.display()))
}

/// Names everything that is there, and removes it. Without `private` namespaces, only what bears
/// the name of this place or lies in its folder.
pub(super) fn clear(place: &Place, private: bool) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let ours = |name: &str| private || name.contains(&place.name);
    empty(Path::new(SHARED_MEMORY), &ours, &mut found)?;
    empty(&place.folder, &|_| true, &mut found)?;
    if private {
        let kept = [place.folder.clone(), mailboxes()];
        let kept = |name: &str| !kept.iter().any(|k| k.file_name().is_some_and(|k| k == name));
        empty(&std::env::temp_dir(), &kept, &mut found)?;
        empty(&mailboxes(), &|_| true, &mut found)?;
        for kind in SYSTEM_V {
            remove_system_v(kind, &mut found)?;
        }
    }
    found.sort();
    // As many as the control page has room for.
    found.truncate(MOST);
    Ok(found)
}

fn empty(
    folder: &Path,
    ours: &dyn Fn(&str) -> bool,
    found: &mut Vec<String>,
) -> Result<(), String> {
    let complain = |path: &Path, e: &io::Error| format!("{}: {e}", path.display());
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(complain(folder, &e)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| complain(folder, &e))?;
        if !ours(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let path = entry.path();
        found.push(path.display().to_string());
        let removed = match entry.file_type() {
            Ok(kind) if kind.is_dir() => fs::remove_dir_all(&path),
            _ => fs::remove_file(&path),
        };
        removed.map_err(|e| complain(&path, &e))?;
    }
    Ok(())
}

fn remove_system_v(kind: &str, found: &mut Vec<String>) -> Result<(), String> {
    let path = format!("/proc/sysvipc/{kind}");
    // A kernel that was built without them has none.
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    for line in text.lines().skip(1) {
        let number = line.split_ascii_whitespace().nth(1).and_then(|n| n.parse::<i32>().ok());
        let number = number.ok_or_else(|| format!("{path}: {line:?}"))?;
        found.push(format!("System V {kind}"));
        let call = match kind {
            "shm" => libc::SYS_shmctl,
            "sem" => libc::SYS_semctl,
            _ => libc::SYS_msgctl,
        };
        // The semaphore that is named beside the set does not matter, nor does the third word.
        let (second, third) = if kind == "sem" { (0, libc::IPC_RMID) } else { (libc::IPC_RMID, 0) };
        // SAFETY: removing takes a number, and reads and writes no memory of ours.
        let failed = unsafe { libc::syscall(call, number, second, third, 0) };
        if failed != 0 {
            return Err(format!("{path}: {number}: {}", io::Error::last_os_error()));
        }
    }
    Ok(())
}
