//! Between processes: messages in a file, taken in turn under a lock of it, and the faults around
//! it. Whoever waits looks again and again.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipc_conformance::adapter::{
    Address, Claim, Created, Delivery, Endpoint, Failure, Parcel, Place, Role,
};
use ipc_model::{Capacity, Modes, Notice, Process, Profile, Size};

use crate::Fault;

/// Between two looks.
const LOOK: Duration = Duration::from_micros(200);

pub(crate) fn claim(link: &str) -> Claim {
    let modes = Modes { blocking: true, nonblocking: true, timed: false };
    let profile = Profile {
        capacity: Capacity::Unbounded,
        size: Size::UpTo(1024),
        send: modes,
        receive: modes,
        sender_closed: Notice::Silent,
        receiver_closed: Notice::Silent,
        ..Profile::default()
    };
    Claim { threads: false, ..Claim::between_processes(link, profile).private() }
}

struct Link {
    fault: Fault,
    path: PathBuf,
    lock: Option<PathBuf>,
}

pub(crate) fn create(fault: Fault, place: &Place) -> Result<Box<dyn Created>, Failure> {
    // A fault that outlives the folder of a run needs a name outside of it.
    let outside = |end: &str| std::env::temp_dir().join(format!("{}.{end}", place.name));
    let path = match fault {
        Fault::RemembersName => outside("messages"),
        _ => place.folder.join(format!("{}.messages", place.name)),
    };
    let lock = (fault == Fault::KeepsLock).then(|| outside("lock"));
    if let Some(lock) = &lock {
        OpenOptions::new().write(true).create_new(true).open(lock).map_err(Failure::other)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(fault != Fault::RemembersName);
    let file = options.mode(0o600).open(&path).map_err(Failure::other)?;
    if fault == Fault::OpenToAll {
        let all = std::fs::Permissions::from_mode(0o666);
        file.set_permissions(all).map_err(Failure::other)?;
    }
    Ok(Box::new(Link { fault, path, lock }))
}

impl Created for Link {
    fn endpoint(&mut self, _: Role) -> Result<Box<dyn Endpoint>, Failure> {
        Err(Failure::Unsupported)
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Ok(Address::named(self.path.to_string_lossy()))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.fault != Fault::RemembersName {
            // Nothing is left to be done where it is gone already.
            let _ = std::fs::remove_file(&self.path);
        }
        if let Some(lock) = &self.lock {
            let _ = std::fs::remove_file(lock);
        }
    }
}

struct End {
    fault: Fault,
    path: PathBuf,
    file: Option<File>,
    /// What is not written yet.
    late: Option<Vec<u8>>,
}

pub(crate) fn end(fault: Fault, path: &str) -> Box<dyn Endpoint> {
    let file = OpenOptions::new().read(true).write(true).open(path).ok();
    Box::new(End { fault, path: path.into(), file, late: None })
}

impl End {
    /// Does something to all that is in the file, alone.
    fn alone<T>(&mut self, act: impl FnOnce(&mut Vec<u8>) -> T) -> Result<T, Failure> {
        let mut file = self.file.as_ref().ok_or_else(|| Failure::other("it cannot be opened"))?;
        file.lock().map_err(Failure::other)?;
        let acted = (|| {
            let mut all = Vec::new();
            file.seek(SeekFrom::Start(0))?;
            file.read_to_end(&mut all)?;
            let before = all.clone();
            let answer = act(&mut all);
            if all != before {
                file.set_len(0)?;
                file.seek(SeekFrom::Start(0))?;
                file.write_all(&all)?;
            }
            std::io::Result::Ok(answer)
        })();
        file.unlock().map_err(Failure::other)?;
        acted.map_err(Failure::other)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.alone(|all| {
            all.extend((bytes.len() as u32).to_le_bytes());
            all.extend(bytes);
        })
    }

    fn take(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        self.alone(|all| {
            let length = u32::from_le_bytes(all.get(..4)?.try_into().ok()?) as usize;
            let message = all.get(4..4 + length)?.to_vec();
            all.drain(..4 + length);
            Some(message)
        })
    }

    /// The lock of every link of a run, where there is one: held for as long as `act` takes.
    fn under_one_lock<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        if self.fault != Fault::OneLock {
            return act(self);
        }
        let lock = self.path.parent().unwrap_or(Path::new("/tmp")).join("one-lock");
        while OpenOptions::new().write(true).create_new(true).open(&lock).is_err() {
            std::thread::sleep(LOOK);
        }
        let answer = act(self);
        let _ = std::fs::remove_file(&lock);
        answer
    }
}

impl Endpoint for End {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        if parcel.bytes.len() > 1024 {
            return Err(Failure::TooBig);
        }
        let bytes = match self.fault {
            Fault::LosesAtExit => self.late.replace(parcel.bytes.to_vec()),
            _ => Some(parcel.bytes.to_vec()),
        };
        bytes.map_or(Ok(()), |bytes| self.under_one_lock(|end| end.write(&bytes)))
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.send(parcel)
    }

    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.under_one_lock(|end| {
            loop {
                match end.take()? {
                    Some(bytes) => return Ok(Delivery::from(bytes)),
                    None => std::thread::sleep(LOOK),
                }
            }
        })
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.take()?.map(Delivery::from).ok_or(Failure::Empty)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(late) = self.late.take() {
            // The reader finds out.
            let _ = self.write(&late);
        }
    }
}
