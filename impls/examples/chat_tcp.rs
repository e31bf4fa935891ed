//! The same chat over a network (L2, C4): the verbs are those of the mailboxes in `chat`.
//!
//! `chat_tcp ann listen 0.0.0.0:7000` on one machine, `chat_tcp bob connect ann's-machine:7000` on
//! another. What is typed goes to the other one; the end of the input (Ctrl-D) says good-bye.

use std::error::Error;
use std::io::BufRead;

use ipc_impls::links::tcp::{Connection, Listener, Sender};
use ipc_impls::links::{ReceiveError, ReceivingEnd, SendingEnd};

const LONGEST: usize = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (me, connection) = match &arguments[..] {
        [me, how, address] if how == "connect" => (me, Connection::connect(address, LONGEST)?),
        [me, how, address] if how == "listen" => {
            let listener = Listener::bind(address, LONGEST)?;
            eprintln!("listening at {}", listener.address()?);
            (me, listener.accept()?)
        }
        _ => return Err("usage: chat_tcp ME listen|connect ADDRESS:PORT".into()),
    };
    let (mut sender, mut receiver) = connection.both()?;
    // The first message is the name of who sends.
    sender.send(me.as_bytes())?;
    let typing = std::thread::spawn(move || send_lines(sender));

    let mut buffer = [0; LONGEST];
    let length = receiver.receive(&mut buffer)?;
    let you = String::from_utf8_lossy(&buffer[..length]).into_owned();
    loop {
        match receiver.receive(&mut buffer) {
            Ok(length) => println!("{you}: {}", String::from_utf8_lossy(&buffer[..length])),
            // So says a lost connection, too.
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
