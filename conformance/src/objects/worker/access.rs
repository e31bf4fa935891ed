//! A load or a store that may fault.

use std::io::{Read, Write};

use ipc_model::region::{Fault, Ret};

/// Loads or stores at `start`, byte by byte, in a child that shares the mapping: a fault ends the
/// child, and the signal tells which it was. The process that calls has one thread.
///
/// # Errors
/// If there is no child, or it ends in another way.
pub fn access(start: usize, bytes: &mut [u8], write: bool) -> Result<Ret, String> {
    let (mut reader, mut writer) = std::io::pipe().map_err(|e| e.to_string())?;
    // SAFETY: this process has one thread, so the child may do whatever its parent may.
    let child = unsafe { libc::fork() };
    if child == 0 {
        for (i, byte) in bytes.iter_mut().enumerate() {
            let address = (start + i) as *mut u8;
            if write {
                // SAFETY: it may fault, which is what the parent wants to know; the mapping is of
                // an object that no Rust value lies in.
                unsafe { address.write_volatile(*byte) };
            } else {
                // SAFETY: as above.
                *byte = unsafe { address.read_volatile() };
            }
        }
        let sent = writer.write_all(bytes).is_ok();
        // SAFETY: ends the child without running what belongs to its parent.
        unsafe { libc::_exit(if sent { 0 } else { 1 }) };
    }
    if child < 0 {
        return Err(std::io::Error::last_os_error().to_string());
    }
    drop(writer);
    let mut status = 0;
    // SAFETY: `status` is ours alone, and the child is our own.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    if libc::WIFSIGNALED(status) {
        return match libc::WTERMSIG(status) {
            libc::SIGSEGV => Ok(Ret::Faulted(Fault::Unmapped)),
            libc::SIGBUS => Ok(Ret::Faulted(Fault::BeyondEnd)),
            signal => Err(format!("the access was ended by signal {signal}")),
        };
    }
    if write {
        return Ok(Ret::Done);
    }
    let mut seen = vec![];
    reader.read_to_end(&mut seen).map_err(|e| e.to_string())?;
    Ok(Ret::read(&seen))
}
