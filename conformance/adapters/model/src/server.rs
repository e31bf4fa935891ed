//! The system that the links live in, its ends for threads, and its ends for other processes,
//! which reach it over a socket: one for each, so that their death is seen as its end.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipc_conformance::adapter::{Delivery, Endpoint, Failure, Parcel, Role};
use ipc_conformance::payload;
use ipc_model::mock::Mock;
use ipc_model::{Distribution, Message, Mode, Op, Process, Refusal, Ret, Spec};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use serde::{Deserialize, Serialize};

/// The links of one scenario.
pub(crate) struct System {
    inner: Mutex<Inner>,
    changed: Condvar,
}

struct Inner {
    mock: Mock,
    /// The bytes of each message that is still to be received.
    bodies: HashMap<(Process, u32), Vec<u8>>,
    /// Whether every message is received by one process only.
    each_once: bool,
    sent: HashMap<Process, u32>,
    /// Who holds which link's ends from another process, over which socket.
    remote: Vec<(Process, u8, UnixStream)>,
}

impl Inner {
    /// Forgets the bytes of messages that nobody will receive any more: refused ones, those that
    /// another has replaced, those that every receiver of a broadcast has.
    fn forget_what_is_gone(&mut self) {
        let Self { mock, bodies, .. } = self;
        bodies.retain(|(sender, sequence), _| mock.holds(*sender, *sequence));
    }

    /// Kills whoever is dead: the kernel has hung up its socket. Asked before every step, so that
    /// nobody takes one after its death, however late the thread that serves it hears of that.
    fn bury(&mut self) {
        let Self { mock, remote, .. } = self;
        remote.retain(|(process, _, stream)| {
            let mut look = [PollFd::new(stream.as_fd(), PollFlags::empty())];
            let asked = poll(&mut look, PollTimeout::ZERO);
            let hung_up = look[0].revents().is_some_and(|r| r.contains(PollFlags::POLLHUP));
            let dead = asked.is_ok() && hung_up;
            if dead {
                mock.kill(*process);
            }
            !dead
        });
    }
}

impl System {
    pub(crate) fn new(spec: Spec) -> Self {
        let (bodies, sent, remote) = (HashMap::new(), HashMap::new(), Vec::new());
        let each_once = spec.profile.distribution == Distribution::ToOne;
        let inner = Inner { mock: Mock::new(spec), bodies, each_once, sent, remote };
        Self { inner: Mutex::new(inner), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_link(&self) -> u8 {
        self.lock().mock.add_link()
    }

    /// The process calls; [`System::wait`] has the answer. The two are apart because a call has to
    /// stand before the death of its caller, whichever thread waits for its answer. A call that
    /// the dead have left behind is not made.
    fn begin(&self, process: Process, op: Op, timeout: Duration) -> Begun {
        // A deadline beyond what the clock can say never comes.
        let deadline = Instant::now().checked_add(timeout);
        let deadline = deadline.filter(|_| op.mode() == Mode::Timed);
        let begun = Begun { process, deadline };
        let mut inner = self.lock();
        inner.bury();
        if inner.mock.is_alive(process) {
            inner.mock.call(process, op);
        }
        drop(inner);
        // Also what merely begins to wait can be what another call waits for.
        self.changed.notify_all();
        begun
    }

    /// Waits for what the call is told: for ever, if its caller is killed.
    fn wait(&self, Begun { process, deadline }: Begun) -> Ret {
        let mut inner = self.lock();
        loop {
            let now = Instant::now();
            inner.bury();
            let left = deadline.map(|deadline| deadline.saturating_duration_since(now));
            if let Some(ret) = inner.mock.poll(process, left == Some(Duration::ZERO)) {
                if matches!(ret, Ret::Refused(_)) {
                    inner.forget_what_is_gone();
                }
                self.changed.notify_all();
                return ret;
            }
            inner = if let Some(left) = left.filter(|left| !left.is_zero()) {
                let waited = self.changed.wait_timeout(inner, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            } else {
                self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner)
            };
        }
    }
}

/// A call that has been made and not been answered.
struct Begun {
    process: Process,
    /// When it gives up, if it ever does.
    deadline: Option<Instant>,
}

/// An end held by a thread of this process.
pub(crate) struct Local {
    system: Arc<System>,
    link: u8,
    process: Process,
}

impl Local {
    pub(crate) fn open(system: &Arc<System>, link: u8, role: Role) -> Self {
        system.lock().mock.open(role.process, link, role.sends, role.receives);
        Self { system: Arc::clone(system), link, process: role.process }
    }

    fn begin(&self, call: &Wire) -> Begun {
        let (op, timeout) = match call {
            Wire::Send { bytes, priority, to, mode, timeout } => {
                let mut inner = self.system.lock();
                let next = inner.sent.entry(self.process).or_default();
                let sequence = *next;
                *next += 1;
                let message = Message {
                    sender: self.process,
                    sequence,
                    size: bytes.len() as u32,
                    priority: *priority,
                };
                if !inner.each_once {
                    inner.forget_what_is_gone();
                }
                inner.bodies.insert((self.process, sequence), bytes.clone());
                (Op::Send { link: self.link, to: *to, message, mode: *mode }, timeout)
            }
            Wire::Receive { from, mode, timeout } => {
                (Op::Receive { link: self.link, from: *from, mode: *mode }, timeout)
            }
            Wire::Close => (Op::Close { link: self.link }, &Duration::ZERO),
        };
        self.system.begin(self.process, op, *timeout)
    }

    fn answer(&self, begun: Begun) -> Result<Vec<u8>, Refusal> {
        match self.system.wait(begun) {
            Ret::Done => Ok(Vec::new()),
            Ret::Refused(refusal) => Err(refusal),
            Ret::Received(message) => Ok(self.body(message)),
            Ret::Torn(message) => {
                let mut body = self.body(message);
                if let Some(last) = body.last_mut() {
                    *last ^= 1;
                }
                Ok(body)
            }
        }
    }

    fn body(&self, message: Message) -> Vec<u8> {
        let name = (message.sender, message.sequence);
        let mut inner = self.system.lock();
        let known = if inner.each_once {
            inner.bodies.remove(&name)
        } else {
            inner.bodies.get(&name).cloned()
        };
        drop(inner);
        // One that a mutant delivers twice is made again: a message's bytes follow from its name.
        let mut body = known.unwrap_or_else(|| payload::bytes(&message));
        body.resize(message.size as usize, 0);
        body
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // A close has no answer that matters here.
        let _ = self.answer(self.begin(&Wire::Close));
    }
}

/// A call on its way to the system.
#[derive(Serialize, Deserialize)]
enum Wire {
    Send { bytes: Vec<u8>, priority: u32, to: Option<Process>, mode: Mode, timeout: Duration },
    Receive { from: Option<Process>, mode: Mode, timeout: Duration },
    Close,
}

/// What a local and a remote end have in common: calls go in, answers come out.
trait Hold: Send {
    fn make(&mut self, call: &Wire) -> Result<Vec<u8>, Failure>;
}

impl Hold for Local {
    fn make(&mut self, call: &Wire) -> Result<Vec<u8>, Failure> {
        self.answer(self.begin(call)).map_err(failure)
    }
}

fn failure(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Full => Failure::Full,
        Refusal::Empty => Failure::Empty,
        Refusal::Timeout => Failure::Timeout,
        Refusal::Closed => Failure::Closed,
        Refusal::TooBig => Failure::TooBig,
        Refusal::WrongSize => Failure::WrongSize,
    }
}

fn send(
    hold: &mut impl Hold,
    parcel: Parcel<'_>,
    mode: Mode,
    timeout: Duration,
) -> Result<(), Failure> {
    let (bytes, priority, to) = (parcel.bytes.to_vec(), parcel.priority, parcel.to);
    hold.make(&Wire::Send { bytes, priority, to, mode, timeout }).map(drop)
}

fn receive(
    hold: &mut impl Hold,
    from: Option<Process>,
    mode: Mode,
    timeout: Duration,
) -> Result<Delivery, Failure> {
    hold.make(&Wire::Receive { from, mode, timeout }).map(Delivery::from)
}

macro_rules! endpoint {
    ($hold:ty) => {
        impl Endpoint for $hold {
            fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
                send(self, parcel, Mode::Blocking, Duration::ZERO)
            }

            fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
                send(self, parcel, Mode::Nonblocking, Duration::ZERO)
            }

            fn send_timeout(&mut self, parcel: Parcel<'_>, time: Duration) -> Result<(), Failure> {
                send(self, parcel, Mode::Timed, time)
            }

            fn receive(&mut self, from: Option<Process>) -> Result<Delivery, Failure> {
                receive(self, from, Mode::Blocking, Duration::ZERO)
            }

            fn try_receive(&mut self, from: Option<Process>) -> Result<Delivery, Failure> {
                receive(self, from, Mode::Nonblocking, Duration::ZERO)
            }

            fn receive_timeout(
                &mut self,
                from: Option<Process>,
                time: Duration,
            ) -> Result<Delivery, Failure> {
                receive(self, from, Mode::Timed, time)
            }
        }
    };
}

endpoint!(Local);
endpoint!(Remote);

/// Serves one end to the one process that will connect there.
pub(crate) fn listen(socket: &Path, local: Local) -> Result<(), Failure> {
    let listener = UnixListener::bind(socket).map_err(Failure::other)?;
    let name = socket.to_path_buf();
    std::thread::spawn(move || {
        let accepted = listener.accept();
        // It has served its purpose; one that is gone already has, too.
        let _ = std::fs::remove_file(name);
        if let Ok((stream, _)) = accepted {
            serve(stream, local);
        }
    });
    Ok(())
}

/// Calls wait on a thread of their own, so that the death of the caller is seen even while its
/// call waits. They begin on this one: a call that began behind the death of its caller would
/// bring the dead to life, and take what belongs to the living.
fn serve(stream: UnixStream, local: Local) {
    let local = Arc::new(local);
    let Ok(mut answers) = stream.try_clone() else { return };
    let (process, link) = (local.process, local.link);
    let Ok(watched) = stream.try_clone() else { return };
    local.system.lock().remote.push((process, link, watched));
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let Ok(call) = serde_json::from_str::<Wire>(&line) else { break };
        if matches!(call, Wire::Close) {
            local.system.lock().remote.retain(|(p, l, _)| (*p, *l) != (process, link));
        }
        let (begun, local) = (local.begin(&call), Arc::clone(&local));
        // From here on the caller may be seen asleep.
        if answers.write_all(BEGUN).is_err() {
            break;
        }
        let answers = answers.try_clone();
        std::thread::spawn(move || {
            let answer = local.answer(begun);
            // The caller may be dead by now; nobody else is interested.
            if let (Ok(mut answers), Ok(line)) = (answers, serde_json::to_string(&answer)) {
                let _ = answers.write_all(format!("{line}\n").as_bytes());
            }
            // Closed, or killed: either way it is not this handle that ends it.
            std::mem::forget(local);
        });
    }
    local.system.lock().bury();
    local.system.changed.notify_all();
    std::mem::forget(local);
}

/// What the system says when it has the call, before it has the answer.
const BEGUN: &[u8] = b"+";

/// An end held by another process than the system's.
pub(crate) struct Remote {
    requests: UnixStream,
    answers: BufReader<UnixStream>,
}

impl Remote {
    pub(crate) fn connect(socket: &Path) -> Result<Self, Failure> {
        let requests = UnixStream::connect(socket).map_err(Failure::other)?;
        let answers = BufReader::new(requests.try_clone().map_err(Failure::other)?);
        Ok(Self { requests, answers })
    }

    /// Waits, awake, until the system has the call: who sleeps is taken to wait for a message or
    /// for room.
    fn await_begun(&self) -> Result<(), Failure> {
        let mut word = [0; BEGUN.len()];
        loop {
            match recv(self.requests.as_raw_fd(), &mut word, MsgFlags::MSG_DONTWAIT) {
                Ok(0) => return Err(Failure::other("the system is gone")),
                Ok(_) => return Ok(()),
                Err(Errno::EAGAIN | Errno::EINTR) => std::thread::yield_now(),
                Err(error) => return Err(Failure::other(error)),
            }
        }
    }
}

impl Hold for Remote {
    fn make(&mut self, call: &Wire) -> Result<Vec<u8>, Failure> {
        let mut line = serde_json::to_string(call).map_err(Failure::other)?;
        line.push('\n');
        self.requests.write_all(line.as_bytes()).map_err(Failure::other)?;
        self.await_begun()?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).map_err(Failure::other)?;
        let answer: Result<Vec<u8>, Refusal> =
            serde_json::from_str(&answer).map_err(Failure::other)?;
        answer.map_err(failure)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // The system is gone when this fails, and then nothing is left to close.
        let _ = self.make(&Wire::Close);
    }
}
