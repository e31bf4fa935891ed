//! System V message queues as an adapter.

use std::ffi::{c_int, c_long};
use std::process::ExitCode;

use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Delivery, Endpoint, Failure, Parcel, Place, Role, ends,
};
use ipc_model::{Capacity, Modes, Notice, Process, Profile, Size};
use nix::errno::Errno;

struct SysV;

/// A queue by its id. A later process finds it by the key of its place.
struct Queue(c_int);

struct End {
    id: c_int,
    largest: usize,
}

impl Adapter for SysV {
    fn name(&self) -> String {
        "sysv".into()
    }

    fn version(&self) -> String {
        ipc_conformance::kernel_version()
    }

    fn claims(&self) -> Vec<Claim> {
        let (largest, whole) = (limit("msgmax"), limit("msgmnb"));
        let untimed = Modes { blocking: true, nonblocking: true, timed: false };
        let profile = Profile {
            capacity: Capacity::AtLeast(whole / largest),
            size: Size::UpTo(largest),
            send: untimed,
            receive: untimed,
            sender_closed: Notice::Silent,
            receiver_closed: Notice::Silent,
            sender_killed: Some(Notice::Silent),
            receiver_killed: Some(Notice::Silent),
            ..Profile::default()
        };
        vec![
            Claim::between_processes("queue", profile)
                .documented("msgrcv(2): with type 0 the first message in the queue is read")
                .documented(
                    "msgsnd(2): full where its bytes would exceed msg_qbytes, msgmnb at first",
                )
                .documented("msgsnd(2): blocks while full, with IPC_NOWAIT fails with EAGAIN")
                .documented("msgrcv(2): blocks while empty, with IPC_NOWAIT fails with ENOMSG")
                .documented("msgsnd(2): EINVAL above msgmax; messages of zero length are permitted")
                .documented("svipc(7): a queue has no ends; it stays until it is removed"),
        ]
    }

    fn create(&self, _: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        let id = get(place, libc::IPC_CREAT | libc::IPC_EXCL | 0o600);
        let id = id.map_err(|error| match error {
            Errno::ENOSPC => Failure::other(
                "msgget: as many queues as /proc/sys/kernel/msgmni allows: write a higher number",
            ),
            error => Failure::Other(format!("msgget: {error}")),
        })?;
        Ok(Box::new(Queue(id)))
    }

    fn connect(
        &self,
        _: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        let id = address.text.parse().map_err(Failure::other)?;
        End::boxed(id, role)
    }

    fn remove(&self, _: &str, place: &Place) {
        drop(get(place, 0).map(Queue));
    }
}

/// The queue of this place.
fn get(place: &Place, flags: c_int) -> Result<c_int, Errno> {
    // SAFETY: msgget takes numbers only.
    Errno::result(unsafe { libc::msgget(place.key(), flags) })
}

/// A limit of the kernel, in bytes.
fn limit(name: &str) -> u32 {
    let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}"));
    let limit = text.ok().and_then(|text| text.trim().parse().ok());
    limit.unwrap_or_else(|| panic!("/proc/sys/kernel/{name} holds no number"))
}

impl Created for Queue {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        End::boxed(self.0, role)
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Ok(Address::named(self.0.to_string()))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: IPC_RMID takes no buffer, so a null pointer is never followed.
        unsafe { libc::msgctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

impl End {
    /// Either end is the queue itself.
    fn boxed(id: c_int, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        let end = || Ok(End { id, largest: limit("msgmax") as usize });
        ends(role, end, end)
    }

    fn call_send(&self, bytes: &[u8], flags: c_int) -> Result<(), Failure> {
        let mut message = Message::with_room(bytes.len());
        message.text().copy_from_slice(bytes);
        loop {
            // SAFETY: the message is a type and `bytes.len()` bytes behind it, borrowed for as
            // long as the call, which only reads it.
            let sent = unsafe { libc::msgsnd(self.id, message.start(), bytes.len(), flags) };
            return Err(match Errno::result(sent) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => Failure::Full,
                Err(Errno::EIDRM) => Failure::Closed,
                Err(Errno::EINVAL) if bytes.len() > self.largest => Failure::TooBig,
                Err(error) => Failure::other(error),
            });
        }
    }

    fn call_receive(&self, flags: c_int) -> Result<Delivery, Failure> {
        let mut message = Message::with_room(self.largest);
        loop {
            // SAFETY: the message has room for a type and `self.largest` bytes behind it, which
            // the call may write; nobody else holds it.
            let read = unsafe { libc::msgrcv(self.id, message.start(), self.largest, 0, flags) };
            return Err(match Errno::result(read) {
                Ok(length) => return Ok(message.text()[..length as usize].to_vec().into()),
                Err(Errno::EINTR) => continue,
                Err(Errno::ENOMSG) => Failure::Empty,
                Err(Errno::EIDRM) => Failure::Closed,
                Err(error) => Failure::other(error),
            });
        }
    }
}

/// `struct msgbuf`: a type, here always the same, and the text right behind it.
struct Message {
    words: Vec<c_long>,
    length: usize,
}

impl Message {
    fn with_room(length: usize) -> Self {
        Self { words: vec![1; 1 + length.div_ceil(size_of::<c_long>())], length }
    }

    fn start(&mut self) -> *mut libc::c_void {
        self.words.as_mut_ptr().cast()
    }

    fn text(&mut self) -> &mut [u8] {
        let text = self.words[1..].as_mut_ptr().cast();
        // SAFETY: the words behind the first are at least `length` initialised bytes, and
        // borrowed for as long as the slice.
        unsafe { std::slice::from_raw_parts_mut(text, self.length) }
    }
}

impl Endpoint for End {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.call_send(parcel.bytes, 0)
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.call_send(parcel.bytes, libc::IPC_NOWAIT)
    }

    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.call_receive(0)
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.call_receive(libc::IPC_NOWAIT)
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&SysV)
}
