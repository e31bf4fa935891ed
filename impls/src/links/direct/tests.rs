//! Against real sockets and the kernel's own word for who sent what.

use super::super::os::own_path;
use super::*;

const LONGEST: usize = 64;

#[test]
fn the_receiver_learns_who_sent_and_the_empty_message_has_a_sender_too() {
    let path = own_path("direct-asymmetric");
    let mut inbox = Inbox::bind(&path, LONGEST).unwrap();
    let mut sender = Sender::to(&path, LONGEST).unwrap();
    sender.send(b"hello").unwrap();
    sender.send(b"").unwrap();
    let mut buffer = [0; LONGEST];
    assert_eq!(inbox.receive(&mut buffer), Ok(5));
    let own = Peer { process: std::process::id(), user: nix::unistd::getuid().as_raw() };
    assert_eq!(inbox.sender(), Some(own));
    assert_eq!(inbox.receive(&mut buffer), Ok(0));
    assert_eq!(inbox.try_receive(&mut buffer), Err(TryReceiveError::Empty));
    drop(inbox);
    assert_eq!(sender.send(b"nobody"), Err(SendError::Disconnected));
    assert!(!path.exists(), "the path is left");
}
