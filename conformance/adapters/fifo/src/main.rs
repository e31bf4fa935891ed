//! FIFOs as an adapter: pipes with a path, which carry frames.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Delivery, Endpoint, Failure, Parcel, Place, Role, ends,
};
use ipc_conformance::descriptors::until;
use ipc_conformance::frames::{self, HEADER};
use ipc_model::{Capacity, Holders, Notice, Process, Profile, Size};
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::PollFlags;
use nix::sys::stat::Mode;

/// The smallest pipe there is: a page, so that a few messages fill it.
const PIPE_SIZE: i32 = 4096;

/// The largest message: a frame of at most 4096 bytes, `PIPE_BUF`, is written whole or not at
/// all, whoever else writes.
const LARGEST: usize = 4096 / 4 - HEADER;

struct Fifo;

/// The path, removed when it is dropped, and a hold on the FIFO until every end is handed out.
struct Made {
    path: PathBuf,
    hold: Option<File>,
}

/// Whether calls wait is a property of the open description, so each end has two.
struct End {
    waiting: File,
    not_waiting: File,
}

struct Tx(End);

struct Rx(End);

impl Adapter for Fifo {
    fn name(&self) -> String {
        "fifo".into()
    }

    fn version(&self) -> String {
        ipc_conformance::kernel_version()
    }

    fn claims(&self) -> Vec<Claim> {
        let profile = Profile {
            capacity: Capacity::AtLeast(1),
            size: Size::UpTo(LARGEST as u32),
            receivers: Holders::One,
            sender_killed: Some(Notice::Reported),
            receiver_killed: Some(Notice::Reported),
            ..Profile::default()
        };
        vec![
            Claim::between_processes("frames", profile)
                .documented("fifo(7): once open, it works as a pipe does")
                .documented("pipe(7): what is written is buffered until read, in the order written")
                .documented("pipe(7): a write blocks while the pipe is full; O_NONBLOCK: EAGAIN")
                .documented("pipe(7), PIPE_BUF: a write of at most so many bytes is atomic")
                .documented("pipe(7): end of file once every write end is closed")
                .documented("pipe(7): EPIPE once every read end is closed")
                .documented("poll(2): POLLIN, POLLOUT and a timeout, for the timed calls")
                .documented("_exit(2): the descriptors of a process that ends are closed"),
        ]
    }

    fn create(&self, _: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        let path = path(place);
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).map_err(Failure::other)?;
        let hold = Some(hold(&path)?);
        Ok(Box::new(Made { path, hold }))
    }

    fn connect(
        &self,
        _: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        let path = Path::new(&address.text);
        let _hold = hold(path)?;
        let send = || End::open(OpenOptions::new().write(true), path);
        let receive = || End::open(OpenOptions::new().read(true), path);
        ends(role, || send().map(Tx), || receive().map(Rx))
    }

    fn remove(&self, _: &str, place: &Place) {
        // Where it fails, the FIFO is not there.
        let _ = std::fs::remove_file(path(place));
    }
}

fn path(place: &Place) -> PathBuf {
    place.folder.join(&place.name)
}

/// Opens both ways, which never waits for a peer, and lets the real ends be opened without one.
fn hold(path: &Path) -> Result<File, Failure> {
    let hold = OpenOptions::new().read(true).write(true).open(path).map_err(Failure::other)?;
    fcntl(&hold, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE)).map_err(Failure::other)?;
    Ok(hold)
}

impl Created for Made {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        Fifo.connect("", &self.address(role)?, role)
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Ok(Address::named(self.path.to_string_lossy()))
    }

    fn hand_over(&mut self) {
        self.hold = None;
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // Where it fails, the FIFO is not there.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl End {
    fn open(options: &mut OpenOptions, path: &Path) -> Result<Self, Failure> {
        let waiting = options.open(path).map_err(Failure::other)?;
        let not_waiting = options.custom_flags(libc::O_NONBLOCK).open(path);
        Ok(Self { waiting, not_waiting: not_waiting.map_err(Failure::other)? })
    }
}

fn write(mut pipe: &File, bytes: &[u8]) -> Result<(), Failure> {
    frames::write(&mut pipe, bytes, LARGEST, Failure::Full)
}

fn read(end: &End, mut pipe: &File) -> Result<Delivery, Failure> {
    let length = frames::length(&mut pipe, Failure::Empty)?;
    frames::rest(&mut &end.waiting, length).map(Delivery::from)
}

impl Endpoint for Tx {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        write(&self.0.waiting, parcel.bytes)
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        write(&self.0.not_waiting, parcel.bytes)
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        let pipe = &self.0.not_waiting;
        until(pipe.as_fd(), PollFlags::POLLOUT, timeout, || write(pipe, parcel.bytes))
    }
}

impl Endpoint for Rx {
    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        read(&self.0, &self.0.waiting)
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        read(&self.0, &self.0.not_waiting)
    }

    fn receive_timeout(
        &mut self,
        _: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        let pipe = &self.0.not_waiting;
        until(pipe.as_fd(), PollFlags::POLLIN, timeout, || read(&self.0, pipe))
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&Fifo)
}
