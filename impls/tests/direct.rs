//! A direct link between real processes: the kernel says who sent what.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use ipc_impls::links::direct::{Inbox, Peer, Sender};
use ipc_impls::links::{ReceiveError, ReceivingEnd, SendingEnd, TryReceiveError};

const LONGEST: usize = 64;

/// A path of this test's own.
fn path(test: &str) -> PathBuf {
    std::env::temp_dir().join(format!("ipc-impls-direct-{test}-{}", std::process::id()))
}

/// Another process, which sends one message to this path and ends.
fn stranger(path: &PathBuf) -> Child {
    let program = std::env::current_exe().unwrap();
    let child = Command::new(program)
        .args(["--exact", "worker"])
        .env("IPC_IMPLS_DIRECT", path)
        .stdout(Stdio::null())
        .spawn();
    child.unwrap()
}

#[test]
fn worker() {
    let Ok(path) = std::env::var("IPC_IMPLS_DIRECT") else { return };
    Sender::to(path.as_ref(), LONGEST).unwrap().send(b"stranger").unwrap();
}

#[test]
fn the_receiver_learns_from_which_process_each_message_came() {
    let path = path("asymmetric");
    let mut inbox = Inbox::bind(&path, LONGEST).unwrap();
    let mut child = stranger(&path);
    let mut buffer = [0; LONGEST];
    assert_eq!(inbox.receive(&mut buffer), Ok(8));
    let user = nix::unistd::getuid().as_raw();
    assert_eq!(inbox.sender(), Some(Peer { process: child.id(), user }));
    Sender::to(&path, LONGEST).unwrap().send(b"own").unwrap();
    assert_eq!(inbox.receive(&mut buffer), Ok(3));
    assert_eq!(inbox.sender(), Some(Peer { process: std::process::id(), user }));
    assert!(child.wait().unwrap().success());
    drop(inbox);
    assert!(!path.exists(), "the path is left");
}

#[test]
fn what_a_stranger_sends_is_dropped_and_what_is_too_long_for_the_buffer_stays() {
    let path = path("symmetric");
    let mut inbox = Inbox::bind(&path, LONGEST).unwrap().only_from(std::process::id());
    assert!(stranger(&path).wait().unwrap().success());
    let mut buffer = [0; LONGEST];
    assert_eq!(inbox.try_receive(&mut buffer), Err(TryReceiveError::Empty));
    assert!(stranger(&path).wait().unwrap().success());
    Sender::to(&path, LONGEST).unwrap().send(b"friend").unwrap();
    let short = ReceiveError::ShortBuffer { room: 3, needed: 6 };
    assert_eq!(inbox.receive(&mut [0; 3]), Err(short));
    assert_eq!(inbox.receive(&mut buffer), Ok(6));
    assert_eq!(&buffer[..6], b"friend");
}
