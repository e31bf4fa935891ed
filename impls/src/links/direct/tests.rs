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

#[test]
fn what_a_stranger_sends_is_dropped_and_what_is_too_long_for_the_buffer_stays() {
    let path = own_path("direct-symmetric");
    let mut inbox = Inbox::bind(&path, LONGEST).unwrap().only_from(std::process::id());
    // A stranger: another process of the same user, which may open the path.
    let text = "import socket,sys; s=socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); \
                s.sendto(b'\\0stranger', sys.argv[1])";
    let stranger = std::process::Command::new("python3").args(["-c", text]).arg(&*path).status();
    assert!(stranger.unwrap().success());
    let mut buffer = [0; LONGEST];
    assert_eq!(inbox.try_receive(&mut buffer), Err(TryReceiveError::Empty));
    let mut sender = Sender::to(&path, LONGEST).unwrap();
    sender.send(b"friend").unwrap();
    let short = ReceiveError::ShortBuffer { room: 3, needed: 6 };
    assert_eq!(inbox.receive(&mut [0; 3]), Err(short));
    assert_eq!(inbox.receive(&mut buffer), Ok(6));
    assert_eq!(&buffer[..6], b"friend");
}
