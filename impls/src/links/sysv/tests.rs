//! Against the kernel's own queues.

use std::time::Instant;

use super::*;

/// A queue without a key, removed when the test ends.
struct Own(Queue);

impl Own {
    fn new() -> Own {
        Own(Queue::private().unwrap())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Where it fails, the test has removed it.
        let _ = self.0.remove();
    }
}

#[test]
fn messages_come_in_order_and_a_full_queue_says_so() {
    let own = Own::new();
    let (mut sender, mut receiver) = (own.0.sender(), own.0.receiver());
    let mut buffer = vec![0; own.0.size().longest()];
    for message in [&b""[..], b"one"] {
        sender.send(message).unwrap();
    }
    assert_eq!(receiver.receive(&mut buffer), Ok(0));
    let needed = own.0.size().longest();
    let short = ReceiveError::ShortBuffer { room: 2, needed };
    assert_eq!(receiver.receive(&mut buffer[..2]), Err(short));
    assert_eq!(receiver.try_receive(&mut buffer), Ok(3));
    assert_eq!(&buffer[..3], b"one");
    assert_eq!(receiver.try_receive(&mut buffer), Err(TryReceiveError::Empty));
    let (start, patience) = (Instant::now(), Duration::from_millis(30));
    let late = Err(ReceiveTimeoutError::Timeout);
    assert_eq!(receiver.receive_timeout(&mut buffer, patience), late);
    assert!(start.elapsed() >= patience);
    while sender.try_send(&buffer).is_ok() {}
    assert_eq!(sender.try_send(&buffer), Err(TrySendError::Full));
    assert_eq!(sender.send_timeout(&buffer, patience), Err(SendTimeoutError::Timeout));
    let (given, allowed) = (needed + 1, own.0.size());
    let refused = SendError::WrongSize { given, allowed };
    assert_eq!(sender.send(&vec![0; given]), Err(refused));
}

#[test]
fn a_receiver_takes_all_types_or_one_or_the_lowest() {
    let own = Own::new();
    let kind = |number| Kind::new(number).unwrap();
    assert_eq!(Kind::new(0), None);
    for (number, text) in [(3, b"c"), (1, b"a"), (2, b"b"), (1, b"z")] {
        own.0.sender_of(kind(number)).send(text).unwrap();
    }
    let mut buffer = [0; 8];
    let mut take = |types| {
        let taken = own.0.receiver_of(types).try_receive(&mut buffer);
        taken.map(|length| buffer[..length].to_vec())
    };
    assert_eq!(take(Types::Only(kind(2))), Ok(b"b".to_vec()));
    assert_eq!(take(Types::Only(kind(2))), Err(TryReceiveError::Empty));
    assert_eq!(take(Types::LowestUpTo(kind(3))), Ok(b"a".to_vec()));
    assert_eq!(take(Types::All), Ok(b"c".to_vec()));
    assert_eq!(take(Types::LowestUpTo(kind(3))), Ok(b"z".to_vec()));
}

#[test]
fn a_key_is_made_once_and_a_removed_queue_lets_go_who_waits() {
    let key = 0x4950_0000 | (std::process::id() & 0xffff) as i32;
    let own = Own(Queue::create(key).unwrap());
    let name = format!("queue with key {key}");
    assert_eq!(Queue::create(key).err(), Some(LinkError::Exists(name.clone())));
    assert_eq!(Queue::open(key), Ok(own.0));
    assert_eq!(Queue::open_or_create(key), Ok(own.0));
    assert_eq!(Queue::by_id(own.0.id()), Ok(own.0));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| own.0.receiver().receive(&mut [0; 8]));
        own.0.sender().send(b"go").unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(2));
        let waiting = scope.spawn(|| own.0.receiver().receive(&mut [0; 8]));
        own.0.remove().unwrap();
        assert_eq!(waiting.join().unwrap(), Err(ReceiveError::Disconnected));
    });
    assert_eq!(Queue::open(key).err(), Some(LinkError::NotFound(name)));
    assert_eq!(own.0.sender().send(b"gone"), Err(SendError::Disconnected));
}
