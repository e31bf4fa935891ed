//! Against real sockets.

use std::time::Instant;

use super::super::os::own_path;
use super::*;

const LONGEST: usize = 1000;

/// What every such link does, whatever its socket.
fn keeps_messages(mut sender: impl SendingEnd, mut receiver: impl ReceivingEnd) {
    let mut buffer = [0; LONGEST];
    for message in [&b""[..], b"one", &[7; LONGEST], b""] {
        sender.send(message).unwrap();
    }
    let short = ReceiveError::ShortBuffer { room: 2, needed: 3 };
    assert_eq!(receiver.receive(&mut buffer), Ok(0));
    assert_eq!(receiver.receive(&mut [0; 2]), Err(short));
    assert_eq!(receiver.receive(&mut buffer), Ok(3));
    assert_eq!(&buffer[..3], b"one");
    assert_eq!(receiver.try_receive(&mut buffer), Ok(LONGEST));
    assert_eq!(buffer, [7; LONGEST]);
    assert_eq!(receiver.receive_timeout(&mut buffer, Duration::MAX), Ok(0));
    assert_eq!(receiver.try_receive(&mut buffer), Err(TryReceiveError::Empty));
    let (start, patience) = (Instant::now(), Duration::from_millis(30));
    let late = Err(ReceiveTimeoutError::Timeout);
    assert_eq!(receiver.receive_timeout(&mut buffer, patience), late);
    assert!(start.elapsed() >= patience);
    let refused = SendError::WrongSize { given: LONGEST + 1, allowed: Size::UpTo(LONGEST) };
    assert_eq!(sender.send(&[0; LONGEST + 1]), Err(refused));
    let mut sent = 0;
    while sender.try_send(&[1; LONGEST]).is_ok() {
        sent += 1;
    }
    assert_eq!(sender.try_send(&[1; LONGEST]), Err(TrySendError::Full));
    let late = Err(SendTimeoutError::Timeout);
    assert_eq!(sender.send_timeout(&[1; LONGEST], Duration::from_millis(5)), late);
    for _ in 0..sent {
        assert_eq!(receiver.receive(&mut buffer), Ok(LONGEST));
        assert_eq!(buffer, [1; LONGEST]);
    }
    assert_eq!(receiver.try_receive(&mut buffer), Err(TryReceiveError::Empty));
    sender.send(b"last").unwrap();
    assert_eq!(receiver.receive(&mut buffer), Ok(4));
    drop(receiver);
    assert_eq!(sender.send(b"nobody"), Err(SendError::Disconnected));
}

#[test]
fn packets_datagrams_and_frames_keep_their_boundaries() {
    let (sender, receiver) = Seqpacket::pair(LONGEST).unwrap();
    keeps_messages(sender, receiver);
    let (sender, receiver) = Dgram::pair(LONGEST).unwrap();
    keeps_messages(sender, receiver);
    let (sender, receiver) = Stream::pair(LONGEST).unwrap();
    keeps_messages(sender, receiver);
}

#[test]
fn a_sender_that_closes_leaves_what_it_sent() {
    let mut buffer = [0; LONGEST];
    let (mut sender, mut receiver) = Seqpacket::pair(LONGEST).unwrap();
    sender.send(b"left").unwrap();
    drop(sender);
    assert_eq!(receiver.receive(&mut buffer), Ok(4));
    assert_eq!(receiver.receive(&mut buffer), Err(ReceiveError::Disconnected));
    let (mut sender, mut receiver) = Stream::pair(LONGEST).unwrap();
    sender.send(b"left").unwrap();
    drop(sender);
    assert_eq!(receiver.receive(&mut buffer), Ok(4));
    assert_eq!(receiver.receive(&mut buffer), Err(ReceiveError::Disconnected));
    assert!(!receiver.is_torn());
}

#[test]
fn a_name_is_its_owners_alone_and_clashes_and_goes() {
    let path = own_path("unix-name");
    let missing = LinkError::NotFound(path.display().to_string());
    assert_eq!(Dgram::connect(&path, LONGEST).err(), Some(missing.clone()));
    let inbox = Dgram::bind(&path, LONGEST).unwrap();
    let mode = std::fs::metadata(&*path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let clash = LinkError::Exists(path.display().to_string());
    assert_eq!(Dgram::bind(&path, LONGEST).err(), Some(clash.clone()));
    assert_eq!(Seqpacket::listen(&path, LONGEST).err(), Some(clash));
    let other = LinkError::OtherKind(path.display().to_string());
    assert_eq!(Seqpacket::connect(&path, LONGEST).err(), Some(other));
    drop(inbox);
    assert_eq!(remove(&path), Err(missing));
    let long = std::env::temp_dir().join("x".repeat(120));
    let refused = LinkError::LongName(long.display().to_string());
    assert_eq!(Dgram::bind(&long, LONGEST).err(), Some(refused));
}

#[test]
fn every_connection_to_a_listener_is_a_link_of_its_own() {
    let path = own_path("unix-listener");
    let listener = Seqpacket::listen(&path, LONGEST).unwrap();
    let mut senders = [0, 1].map(|_| Seqpacket::connect(&path, LONGEST).unwrap());
    let mut receivers = [0, 1].map(|_| listener.accept().unwrap());
    let mut buffer = [0; LONGEST];
    for (i, sender) in senders.iter_mut().enumerate() {
        sender.send(&[i as u8]).unwrap();
    }
    for (i, receiver) in receivers.iter_mut().enumerate() {
        assert_eq!(receiver.receive(&mut buffer), Ok(1));
        assert_eq!(buffer[0], i as u8);
    }
    drop(listener);
    assert!(!path.exists());
}

#[test]
fn a_message_beyond_the_kernels_buffer_is_refused_with_the_reason() {
    let refused = Seqpacket::pair(1 << 29).err();
    let Some(LinkError::Limit { limit, .. }) = refused else { panic!("{refused:?}") };
    assert!(limit.contains("wmem_max"), "{limit}");
}
