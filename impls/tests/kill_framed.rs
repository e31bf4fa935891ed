//! Framed links under `kill -9`: a sender that is killed in the middle of a frame leaves a message
//! that is never received, and whatever it had sent before is received whole and in order.
//!
//! The links are those whose kernel object keeps no boundaries of long messages: a Unix stream, a
//! TCP connection, and a pipe with messages of several packets.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use ipc_impls::links::{ReceiveError, ReceivingEnd, SendingEnd, pipe, tcp, unix};

/// Many packets of a pipe, and more than a socket's buffer holds, so that a send is held up half-way.
const LONGEST: usize = 400_000;

/// Kills for each link. `IPC_IMPLS_KILLS` asks for more.
fn kills() -> u64 {
    std::env::var("IPC_IMPLS_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

/// A process that sends through its standard input until it is killed.
struct Worker(Child);

impl Worker {
    fn start(link: &str, end: OwnedFd) -> Worker {
        let program = std::env::current_exe().unwrap();
        let child = Command::new(program)
            .args(["--exact", "worker", "--nocapture", "--quiet"])
            .env("IPC_IMPLS_FRAMED", link)
            .stdin(Stdio::from(end))
            .stdout(Stdio::null())
            .spawn();
        Worker(child.unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn worker() {
    let Ok(link) = std::env::var("IPC_IMPLS_FRAMED") else { return };
    // Its standard input is the end to send through: standard output belongs to the test harness.
    let end = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    match link.as_str() {
        "stream" => send_for_ever(unix::Stream::sender(end, LONGEST).unwrap()),
        "tcp" => send_for_ever(tcp::Connection::adopt(end, LONGEST).unwrap().sender()),
        _ => send_for_ever(pipe::Sender::adopt(end, LONGEST).unwrap()),
    }
}

fn send_for_ever(mut sender: impl SendingEnd) {
    let mut message = pattern();
    // Until killed, or until the test is gone.
    let _ = (0..).try_for_each(|number: u64| {
        message[..8].copy_from_slice(&number.to_le_bytes());
        sender.send(&message[..length(number)])
    });
}

/// What is behind the number in every message. Making it anew each time would take longer than
/// sending, and a kill would seldom meet a send.
fn pattern() -> Vec<u8> {
    (0..LONGEST).map(|i| (i % 251) as u8).collect()
}

fn length(number: u64) -> usize {
    8 + (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % (LONGEST - 7)
}

/// Receives for a while, kills the sender, and receives the rest.
fn survive(worker: Worker, receiver: &mut impl ReceivingEnd, before: u64) {
    let (mut buffer, pattern) = (vec![0; LONGEST], pattern());
    let mut next = 0u64;
    let mut worker = Some(worker);
    loop {
        match receiver.receive(&mut buffer) {
            Ok(length) => {
                assert_eq!(buffer[..8], next.to_le_bytes(), "lost or twice");
                assert_eq!(length, self::length(next), "torn");
                assert!(buffer[8..length] == pattern[8..length], "torn");
                next += 1;
            }
            Err(ReceiveError::Disconnected) => break,
            Err(other) => panic!("{other}"),
        }
        if next >= before {
            drop(worker.take());
        }
    }
    assert!(next >= before);
}

/// From one kill to the next a different number of messages, and every time the sender is most
/// likely held up in the middle of one, because it is faster than the receiver.
fn befores() -> impl Iterator<Item = u64> {
    (0..kills()).map(|kill| 1 + kill * 7 % 20)
}

#[test]
fn a_stream_survives_the_death_of_its_sender() {
    let mut torn = 0;
    for before in befores() {
        let (send, receive) = UnixStream::pair().unwrap();
        let worker = Worker::start("stream", send.into());
        let mut receiver = unix::Stream::receiver(receive.into(), LONGEST).unwrap();
        survive(worker, &mut receiver, before);
        torn += u32::from(receiver.is_torn());
    }
    assert!(torn > 0, "no kill met the middle of a frame, so nothing was shown");
}

#[test]
fn a_connection_survives_the_death_of_its_sender() {
    let listener = tcp::Listener::bind("127.0.0.1:0", LONGEST).unwrap();
    let mut torn = 0;
    for before in befores() {
        let send = std::net::TcpStream::connect(listener.address().unwrap()).unwrap();
        let mut receiver = listener.accept().unwrap().receiver();
        survive(Worker::start("tcp", send.into()), &mut receiver, before);
        torn += u32::from(receiver.is_torn());
    }
    assert!(torn > 0, "no kill met the middle of a frame, so nothing was shown");
}

#[test]
fn a_pipe_survives_the_death_of_its_sender() {
    let mut torn = 0;
    for before in befores() {
        let pipe = pipe::Pipe::anonymous(pipe::Options { packets: 16, longest: LONGEST }).unwrap();
        let worker = Worker::start("pipe", pipe.write_side().try_clone_to_owned().unwrap());
        let mut receiver = pipe.receiver().unwrap();
        drop(pipe);
        survive(worker, &mut receiver, before);
        torn += receiver.torn();
    }
    assert!(torn > 0, "no kill met the middle of a message, so nothing was shown");
}

#[test]
fn what_is_no_frame_is_refused() {
    use std::io::Write;
    let (mut send, receive) = UnixStream::pair().unwrap();
    let mut receiver = unix::Stream::receiver(receive.into(), LONGEST).unwrap();
    send.write_all(&[0xff; 64]).unwrap();
    let mut buffer = [0; 64];
    assert!(matches!(receiver.receive(&mut buffer), Err(ReceiveError::Corrupt(_))));
}
