//! A chat between two processes (L2), each with a mailbox that the other writes to.
//!
//! `chat ann bob` in one terminal and `chat bob ann` in another, in any order. What is typed goes
//! to the other one; the end of the input (Ctrl-D) says good-bye.

use std::error::Error;
use std::io::BufRead;

use ipc_impls::links::mpmc::{Mailbox, Options, Sender};
use ipc_impls::links::{ReceiveError, ReceivingEnd, SendingEnd, Size};

const LONGEST: usize = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [me, you] = &arguments[..] else { return Err("usage: chat ME YOU".into()) };
    let options = Options { capacity: 16, size: Size::UpTo(LONGEST) };
    let inbox = OwnName(format!("chat-{me}-from-{you}"));
    let mut receiver = Mailbox::open_or_create(&inbox.0, options)?.receiver()?;
    let outbox = Mailbox::open_or_create(&format!("chat-{you}-from-{me}"), options)?;
    let mut sender = outbox.sender()?;
    // An empty message says that we have both mailboxes open.
    sender.send(b"")?;
    let typing = std::thread::spawn(move || send_lines(sender));

    let mut buffer = [0; LONGEST];
    let mut inbox = Some(inbox);
    loop {
        match receiver.receive(&mut buffer) {
            // Both of us have it, so nobody needs its name any more.
            Ok(0) => drop(inbox.take()),
            Ok(length) => println!("{you}: {}", String::from_utf8_lossy(&buffer[..length])),
            Err(ReceiveError::Disconnected) => break,
            Err(other) => return Err(other.into()),
        }
    }
    println!("{you} has left");
    typing.join().map_err(|_| "the typing thread failed")?.map_err(Into::into)
}

fn send_lines(mut sender: Sender) -> Result<(), String> {
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        if !line.is_empty() {
            sender.send(line.as_bytes()).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// The name of a mailbox, removed when this is dropped.
struct OwnName(String);

impl Drop for OwnName {
    fn drop(&mut self) {
        // Where it fails, the name is gone already.
        let _ = Mailbox::unlink(&self.0);
    }
}
