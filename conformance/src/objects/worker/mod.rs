//! The worker: carries calls out, a line of JSON each, and answers what each amounted to.

mod access;
mod memory;
mod queues;

use std::ffi::CString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};

use ipc_model::machine::{Errno, Machine};
use ipc_model::namespace::Namespace;
use ipc_model::region::{self, Region};
use nix::fcntl::{FcntlArg, fcntl};

use super::play::Told;

pub use self::access::access;

/// Serves calls on the system of this name until the input ends. The names of objects begin with
/// `prefix`. `without_input`: see [`super::Setting`].
///
/// # Errors
/// If the input is no call, or the system answers in a way that the model has no word for.
pub fn serve(system: &str, prefix: &str, without_input: bool) -> Result<(), String> {
    // SAFETY: umask has no preconditions.
    unsafe { libc::umask(0) };
    let input = input(without_input).map_err(|e| e.to_string())?;
    match system {
        "posix-shm" => {
            let mut memory = memory::Memory::new(prefix);
            lines::<Region>(input, |op| Ok(vec![(op.clone(), memory.call(op)?)]))
        }
        "posix-mq" => {
            let mut queues = queues::Queues::new(prefix)?;
            lines::<Namespace>(input, |op| Ok(vec![(op.clone(), queues.call(op)?)]))
        }
        other => Err(format!("no system is called {other:?}")),
    }
}

/// The standard input, or the same under a high number, 0 being free then.
pub(super) fn input(without_input: bool) -> io::Result<Box<dyn BufRead>> {
    if !without_input {
        return Ok(Box::new(io::stdin().lock()));
    }
    let moved = fcntl(io::stdin(), FcntlArg::F_DUPFD_CLOEXEC(100))?;
    // SAFETY: nobody reads from the standard input any more.
    unsafe { libc::close(0) };
    // SAFETY: the descriptor was made just now, and is ours alone.
    let moved = unsafe { <File as std::os::fd::FromRawFd>::from_raw_fd(moved) };
    Ok(Box::new(BufReader::new(moved)))
}

/// Answers one line of the input after another. Where a call cannot be made, the answer is why.
pub(super) fn lines<M: Machine>(
    input: impl BufRead,
    mut call: impl FnMut(&M::Op) -> Result<Told<M>, String>,
) -> Result<(), String> {
    for line in input.lines() {
        let line = line.map_err(|e| e.to_string())?;
        let op = serde_json::from_str(&line).map_err(|e| format!("{line}: {e}"))?;
        let answer = match call(&op) {
            Ok(told) => serde_json::to_string(&told).map_err(|e| e.to_string())?,
            Err(why) => why.replace('\n', " "),
        };
        let mut output = io::stdout().lock();
        writeln!(output, "{answer}").and_then(|()| output.flush()).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// An error of the system in the model's words.
///
/// # Errors
/// The error itself, where the model has none for it.
pub fn refusal(error: &io::Error) -> Result<Errno, String> {
    Ok(match error.raw_os_error().unwrap_or(0) {
        libc::EEXIST => Errno::Exists,
        libc::ENOENT => Errno::Absent,
        libc::EACCES | libc::EPERM => Errno::Access,
        libc::EBADF => Errno::BadHandle,
        libc::EINVAL => Errno::Invalid,
        libc::ENAMETOOLONG => Errno::NameTooLong,
        libc::EAGAIN => Errno::Again,
        libc::EBUSY => Errno::Busy,
        libc::ETIMEDOUT => Errno::Expired,
        _ => return Err(error.to_string()),
    })
}

fn last_error() -> Result<Errno, String> {
    refusal(&io::Error::last_os_error())
}

/// Names of one letter get the prefix of this program; odd ones and long ones go as they are.
pub fn real(prefix: &str, name: &str) -> String {
    let plain = name.len() == 2 && name.starts_with('/');
    if plain { format!("{prefix}{}", &name[1..]) } else { name.to_owned() }
}

fn real_c(prefix: &str, name: &str) -> Result<CString, String> {
    CString::new(real(prefix, name)).map_err(|e| e.to_string())
}

fn creation(creation: region::Creation) -> i32 {
    match creation {
        region::Creation::Never => 0,
        region::Creation::OrOpen => libc::O_CREAT,
        region::Creation::Exclusive => libc::O_CREAT | libc::O_EXCL,
    }
}

/// Takes away what objects of this prefix have left behind, as far as this user may.
pub(super) fn remove(prefix: &str) {
    for name in ["/a", "/b"] {
        let name = real(prefix, name);
        // That it is not there is what is wanted.
        let _ = nix::sys::mman::shm_unlink(name.as_str());
        let _ = CString::new(name.as_str()).map(|name| nix::mqueue::mq_unlink(name.as_c_str()));
        let _ = std::fs::remove_file(in_a_file(&name));
    }
}

/// Where the file of this name lies, for a crate whose objects are files.
pub fn in_a_file(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(name.trim_start_matches('/'))
}
