//! While the peer is awake, a message through shared memory makes no system call (statement C7).
//!
//! The kernel is the judge: a worker gives up all system calls but `read`, `write` and `exit`
//! (seccomp's strict mode), passes messages, and says so. Any other call would be its end.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use ipc_impls::links::mpmc::Mailbox;
use ipc_impls::links::ring::{Options, Ring};
use ipc_impls::links::unbounded::{self, Unbounded};
use ipc_impls::links::{ReceivingEnd, SendingEnd, Size, loan};

const CAPACITY: usize = 5;
const SAID: &str = "passed without a word\n";

fn main() {
    let Ok(link) = std::env::var("IPC_IMPLS_SILENT") else {
        for link in ["ring", "mailbox", "loan", "unbounded"] {
            let output = worker(link);
            assert_eq!(String::from_utf8_lossy(&output.stdout), SAID, "{link}: {output:?}");
        }
        // The test must be able to fail: this worker makes one more call.
        let output = worker("talkative");
        assert_eq!(output.status.signal(), Some(libc::SIGKILL), "{output:?}");
        println!("ring, mailbox, mailbox by loan and unbounded link make no system call a message");
        return;
    };
    let options = Options { capacity: CAPACITY, size: Size::UpTo(64) };
    match link.as_str() {
        "ring" => {
            let ring = Ring::anonymous(options).unwrap();
            pass(ring.sender().unwrap(), ring.receiver().unwrap(), || {});
        }
        "mailbox" => {
            let mailbox = Mailbox::anonymous(options).unwrap();
            pass(mailbox.sender().unwrap(), mailbox.receiver().unwrap(), || {});
        }
        "loan" => {
            let mailbox = loan::Mailbox::anonymous(options).unwrap();
            pass(mailbox.sender().unwrap(), mailbox.receiver().unwrap(), || {});
        }
        "unbounded" => {
            // It asks the kernel once in a while: for each of its 64 segments. One is enough here.
            let options = unbounded::Options { budget: 1 << 30, size: options.size };
            let link = Unbounded::anonymous(options).unwrap();
            pass(link.sender().unwrap(), link.receiver().unwrap(), || {});
        }
        _ => {
            let ring = Ring::anonymous(options).unwrap();
            let talk = || drop(std::fs::metadata("/"));
            pass(ring.sender().unwrap(), ring.receiver().unwrap(), talk);
        }
    }
}

fn worker(link: &str) -> Output {
    let program = std::env::current_exe().unwrap();
    Command::new(program).env("IPC_IMPLS_SILENT", link).output().unwrap()
}

/// Fills and empties the link many times, in blocking and nonblocking calls, and ends.
///
/// It has done so before it gives up its rights: an unbounded link takes memory with its first
/// messages.
fn pass(mut sender: impl SendingEnd, mut receiver: impl ReceivingEnd, also: impl FnOnce()) -> ! {
    let mut good = rounds(&mut sender, &mut receiver);
    // SAFETY: this takes rights away from this process and touches no memory.
    let strict = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) };
    good &= strict == 0;
    good &= rounds(&mut sender, &mut receiver);
    also();
    let said = if good { SAID.as_bytes() } else { b"failed\n" };
    // SAFETY: the kernel reads `said`, which lives on.
    unsafe { libc::write(1, said.as_ptr().cast(), said.len()) };
    // Leaving in order would unmap and close.
    loop {
        // SAFETY: this ends the only thread, and nothing runs after it.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
}

/// Whether all went well.
fn rounds(sender: &mut impl SendingEnd, receiver: &mut impl ReceivingEnd) -> bool {
    let message = [7; 64];
    let mut buffer = [0; 64];
    let mut good = true;
    for round in 0..10_000 {
        for i in 0..CAPACITY {
            let message = &message[..(round + i) % 65];
            good &= match round % 2 {
                0 => sender.send(message).is_ok(),
                _ => sender.try_send(message).is_ok(),
            };
        }
        for i in 0..CAPACITY {
            let length = match round % 2 {
                0 => receiver.receive(&mut buffer).ok(),
                _ => receiver.try_receive(&mut buffer).ok(),
            };
            good &= length == Some((round + i) % 65);
        }
        good &= receiver.try_receive(&mut buffer).is_err();
    }
    good
}
