//! Over the loopback network.

use super::super::{ReceiveError, ReceivingEnd, SendError, SendingEnd, TryReceiveError};
use super::*;

const LONGEST: usize = 100_000;

fn joined() -> (Connection, Connection) {
    let listener = Listener::bind("127.0.0.1:0", LONGEST).unwrap();
    let connecting = Connection::connect(listener.address().unwrap(), LONGEST).unwrap();
    (connecting, listener.accept().unwrap())
}

#[test]
fn frames_of_any_length_cross_the_network_in_order() {
    let (connecting, accepted) = joined();
    let (mut sender, mut receiver) = (connecting.sender(), accepted.receiver());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for length in [0, 1, 1000, LONGEST, 0, 7] {
                sender.send(&vec![length as u8; length]).unwrap();
            }
        });
        let mut buffer = vec![0; LONGEST];
        for length in [0, 1, 1000, LONGEST, 0, 7] {
            assert_eq!(receiver.receive(&mut buffer), Ok(length));
            assert!(buffer[..length].iter().all(|byte| *byte == length as u8));
        }
        assert_eq!(receiver.receive(&mut buffer), Err(ReceiveError::Disconnected));
        assert!(!receiver.is_torn());
    });
}

#[test]
fn a_sender_is_told_at_its_next_call_that_nobody_hears_it() {
    let (connecting, accepted) = joined();
    let (mut sender, receiver) = (connecting.sender(), accepted.receiver());
    sender.send(b"heard").unwrap();
    drop(receiver);
    assert_eq!(sender.send(b"unheard"), Err(SendError::Disconnected));
}

#[test]
fn a_frame_that_ends_half_way_is_noticed_and_not_received() {
    use std::io::Write;
    let listener = Listener::bind("127.0.0.1:0", LONGEST).unwrap();
    let mut killed = TcpStream::connect(listener.address().unwrap()).unwrap();
    let mut receiver = listener.accept().unwrap().receiver();
    killed.write_all(&[5, 0, 0, 0, b'h', b'e']).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(receiver.receive_timeout(&mut buffer, Duration::from_millis(50)).ok(), None);
    drop(killed);
    assert_eq!(receiver.receive(&mut buffer), Err(ReceiveError::Disconnected));
    assert!(receiver.is_torn());
}

#[test]
fn each_direction_ends_by_itself() {
    let (one, other) = joined();
    let (mut to_other, mut from_other) = one.both().unwrap();
    let (mut to_one, mut from_one) = other.both().unwrap();
    to_other.send(b"over").unwrap();
    drop(to_other);
    let mut buffer = [0; 16];
    assert_eq!(from_one.receive(&mut buffer), Ok(4));
    assert_eq!(from_one.receive(&mut buffer), Err(ReceiveError::Disconnected));
    to_one.send(b"and out").unwrap();
    assert_eq!(from_other.receive(&mut buffer), Ok(7));
    assert_eq!(from_other.try_receive(&mut buffer), Err(TryReceiveError::Empty));
}

#[test]
fn where_nobody_listens_and_where_somebody_does_is_said() {
    let listener = Listener::bind("127.0.0.1:0", LONGEST).unwrap();
    let address = listener.address().unwrap();
    let taken = LinkError::Exists("the address".into());
    assert_eq!(Listener::bind(address, LONGEST).err(), Some(taken));
    drop(listener);
    let nobody = LinkError::NobodyListens("the address".into());
    assert_eq!(Connection::connect(address, LONGEST).err(), Some(nobody));
}
