//! The system that the links live in, its ends for threads, and its ends for other processes,
//! which reach it over a socket: one for each, so that their death is seen as its end.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipc_conformance::adapter::{Delivery, Endpoint, Failure, Parcel, Role};
use ipc_conformance::payload;
use ipc_model::mock::Mock;
use ipc_model::{Message, Mode, Op, Process, Refusal, Ret, Spec};
use serde::{Deserialize, Serialize};

/// The links of one scenario.
pub(crate) struct System {
    inner: Mutex<Inner>,
    changed: Condvar,
}

struct Inner {
    mock: Mock,
    /// The bytes of each message.
    bodies: HashMap<(Process, u32), Vec<u8>>,
    sent: HashMap<Process, u32>,
}

impl System {
    pub(crate) fn new(spec: Spec) -> Self {
        let (bodies, sent) = (HashMap::new(), HashMap::new());
        Self {
            inner: Mutex::new(Inner { mock: Mock::new(spec), bodies, sent }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_link(&self) -> u8 {
        self.lock().mock.add_link()
    }

    /// Makes the call, and waits for what it is told.
    fn call(&self, process: Process, op: Op, timeout: Duration) -> Ret {
        let deadline = Instant::now() + timeout;
        let timed = op.mode() == Mode::Timed;
        let mut inner = self.lock();
        inner.mock.call(process, op);
        // Also what merely begins to wait can be what another call waits for.
        self.changed.notify_all();
        loop {
            let now = Instant::now();
            if let Some(ret) = inner.mock.poll(process, timed && now >= deadline) {
                self.changed.notify_all();
                return ret;
            }
            inner = if timed && now < deadline {
                let left = deadline - now;
                let waited = self.changed.wait_timeout(inner, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            } else {
                self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner)
            };
        }
    }
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

    fn make(&self, call: &Wire) -> Result<Vec<u8>, Refusal> {
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
                inner.bodies.insert((self.process, sequence), bytes.clone());
                (Op::Send { link: self.link, to: *to, message, mode: *mode }, timeout)
            }
            Wire::Receive { from, mode, timeout } => {
                (Op::Receive { link: self.link, from: *from, mode: *mode }, timeout)
            }
            Wire::Close => (Op::Close { link: self.link }, &Duration::ZERO),
        };
        match self.system.call(self.process, op, *timeout) {
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
        let known = self.system.lock().bodies.get(&(message.sender, message.sequence)).cloned();
        let mut body = known.unwrap_or_else(|| payload::bytes(&message));
        body.resize(message.size as usize, 0);
        body
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // A close has no answer that matters here.
        let _ = self.make(&Wire::Close);
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
        Local::make(self, call).map_err(failure)
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
    std::thread::spawn(move || {
        if let Ok((stream, _)) = listener.accept() {
            serve(stream, local);
        }
    });
    Ok(())
}

/// Calls are made on a thread of their own, so that the death of the caller is seen even while
/// its call waits.
fn serve(stream: UnixStream, local: Local) {
    let local = Arc::new(local);
    let Ok(answers) = stream.try_clone() else { return };
    let mut closed = false;
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let Ok(call) = serde_json::from_str::<Wire>(&line) else { break };
        closed |= matches!(call, Wire::Close);
        let (local, answers) = (Arc::clone(&local), answers.try_clone());
        std::thread::spawn(move || {
            let answer = local.make(&call);
            // The caller may be dead by now; nobody else is interested.
            if let (Ok(mut answers), Ok(line)) = (answers, serde_json::to_string(&answer)) {
                let _ = answers.write_all(format!("{line}\n").as_bytes());
            }
            // Closed, or killed: either way it is not this handle that ends it.
            std::mem::forget(local);
        });
    }
    if !closed {
        local.system.lock().mock.kill(local.process);
        local.system.changed.notify_all();
    }
    std::mem::forget(local);
}

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
}

impl Hold for Remote {
    fn make(&mut self, call: &Wire) -> Result<Vec<u8>, Failure> {
        let mut line = serde_json::to_string(call).map_err(Failure::other)?;
        line.push('\n');
        self.requests.write_all(line.as_bytes()).map_err(Failure::other)?;
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
