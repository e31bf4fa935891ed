//! Shared-memory objects of this system.

use std::collections::HashMap;

use ipc_model::region;

use super::{access, creation, last_error, real_c};

/// Shared-memory objects.
#[derive(Default)]
pub(super) struct Memory {
    prefix: String,
    handles: HashMap<u8, i32>,
    /// Where each mapping begins, and how long it is.
    mappings: HashMap<u8, (usize, usize)>,
}

impl Memory {
    /// Objects whose names begin with this.
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.into(), ..Self::default() }
    }

    pub(super) fn call(&mut self, op: &region::Op) -> Result<region::Ret, String> {
        use region::{Op, Ret};
        let fd = |handles: &HashMap<u8, i32>, handle: &u8| *handles.get(handle).unwrap_or(&-1);
        let status = match op {
            Op::Open { name, creation: create, access, truncate, mode, handle } => {
                let name = real_c(&self.prefix, name)?;
                let access =
                    if *access == region::Access::ReadOnly { libc::O_RDONLY } else { libc::O_RDWR };
                let flags = access | creation(*create) | if *truncate { libc::O_TRUNC } else { 0 };
                // SAFETY: `name` is a string that ends with a zero and lives until the call returns.
                let fd = unsafe { libc::shm_open(name.as_ptr(), flags, u32::from(*mode)) };
                if fd >= 0 {
                    self.handles.insert(*handle, fd);
                }
                fd
            }
            // SAFETY: the call touches no memory of ours; a descriptor that is not open is refused.
            Op::SetSize { handle, size } => unsafe {
                libc::ftruncate(fd(&self.handles, handle), *size as i64)
            },
            Op::GetSize { handle } => {
                // SAFETY: all zeros is a `stat`, which has integers only.
                let mut stat: libc::stat = unsafe { std::mem::zeroed() };
                // SAFETY: `stat` is ours alone and as long as the call asks.
                let status = unsafe { libc::fstat(fd(&self.handles, handle), &raw mut stat) };
                if status == 0 {
                    return Ok(Ret::Size(stat.st_size as u64));
                }
                status
            }
            Op::Attach { handle, access, offset, length, mapping } => {
                let write = if *access == region::Access::ReadWrite { libc::PROT_WRITE } else { 0 };
                let protection = libc::PROT_READ | write;
                let fd = fd(&self.handles, handle);
                match map(fd, *offset as i64, *length as usize, protection) {
                    Some(mapped) => {
                        self.mappings.insert(*mapping, mapped);
                        0
                    }
                    None => -1,
                }
            }
            Op::Read { mapping, place, length } => {
                return access(self.at(*mapping, *place), &mut vec![0; *length as usize], false);
            }
            Op::Write { mapping, place, bytes } => {
                return access(self.at(*mapping, *place), &mut bytes.clone(), true);
            }
            Op::Detach { mapping } => match self.mappings.remove(mapping) {
                // SAFETY: the mapping is ours, and nothing refers to it any more.
                Some((start, length)) => unsafe {
                    libc::munmap(start as *mut libc::c_void, length + GAP)
                },
                None => 0,
            },
            Op::Close { handle } => {
                let fd = self.handles.remove(handle).unwrap_or(-1);
                // SAFETY: the descriptor is ours and forgotten with this.
                unsafe { libc::close(fd) }
            }
            Op::Unlink { name } => self.unlink(name)?,
            Op::Exit => return Err("a worker is ended from outside".into()),
        };
        Ok(if status < 0 { Ret::Refused(last_error()?) } else { Ret::Done })
    }

    /// The address; without a mapping, in the first page, where nothing is ever mapped.
    fn at(&self, mapping: u8, place: u64) -> usize {
        self.mappings.get(&mapping).map_or(8, |(start, _)| *start) + place as usize
    }

    fn unlink(&self, name: &str) -> Result<i32, String> {
        let name = real_c(&self.prefix, name)?;
        // SAFETY: `name` is a string that ends with a zero and lives until the call returns.
        Ok(unsafe { libc::shm_unlink(name.as_ptr()) })
    }
}

/// How much behind every mapping is kept free, so that what lies behind its end is nobody's.
const GAP: usize = 1 << 16;

/// Maps the object behind `fd`, with a gap behind it; answers where, and how long. `None`: the
/// system refuses, and says why in `errno`.
fn map(fd: i32, offset: i64, length: usize, protection: i32) -> Option<(usize, usize)> {
    let (anywhere, hidden) = (std::ptr::null_mut(), libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: the system chooses an address that nothing uses.
    let room = unsafe { libc::mmap(anywhere, length + GAP, libc::PROT_NONE, hidden, -1, 0) };
    if room == libc::MAP_FAILED {
        return None;
    }
    let flags = libc::MAP_SHARED | libc::MAP_FIXED;
    // SAFETY: the place is the room that was made just now, which nothing else uses.
    let start = unsafe { libc::mmap(room, length, protection, flags, fd, offset) };
    if start == libc::MAP_FAILED {
        let why = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
        // SAFETY: the room is ours, and nothing refers to it.
        unsafe { libc::munmap(room, length + GAP) };
        nix::errno::Errno::set_raw(why);
        return None;
    }
    Some((start as usize, length))
}
