//! What loom cannot see: clocks, and other processes' bytes.

use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::links::{
    ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError, SendingEnd,
    TryReceiveError, TrySendError,
};

fn rendezvous(longest: usize) -> Rendezvous {
    Rendezvous::anonymous(Size::UpTo(longest)).unwrap()
}

#[test]
fn nothing_is_sent_or_received_alone() {
    let rendezvous = rendezvous(8);
    let mut sender = rendezvous.sender().unwrap();
    let mut receiver = rendezvous.receiver().unwrap();
    assert_eq!(sender.try_send(&[1]), Err(TrySendError::Full));
    assert_eq!(receiver.try_receive(&mut [0; 8]), Err(TryReceiveError::Empty));
    let patience = Duration::from_millis(120);
    let start = Instant::now();
    assert_eq!(sender.send_timeout(&[1], patience), Err(SendTimeoutError::Timeout));
    assert!(start.elapsed() >= patience);
    // What was withdrawn is gone.
    assert_eq!(receiver.try_receive(&mut [0; 8]), Err(TryReceiveError::Empty));
    let start = Instant::now();
    let timeout = Err(ReceiveTimeoutError::Timeout);
    assert_eq!(receiver.receive_timeout(&mut [0; 8], patience), timeout);
    assert!(start.elapsed() >= patience);
    assert_eq!(sender.try_send(&[1]), Err(TrySendError::Full));
}

#[test]
fn a_buffer_must_have_room_for_the_longest_message() {
    let rendezvous = rendezvous(8);
    let mut receiver = rendezvous.receiver().unwrap();
    let refused = ReceiveError::ShortBuffer { room: 7, needed: 8 };
    assert_eq!(receiver.receive(&mut [0; 7]), Err(refused));
}

#[test]
fn an_end_that_waits_is_let_go_when_its_peer_leaves() {
    let rendezvous = rendezvous(8);
    let mut sender = rendezvous.sender().unwrap();
    let receiver = rendezvous.receiver().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| sender.send(&[1]));
        drop(receiver);
        assert_eq!(waiting.join().unwrap(), Err(SendError::Disconnected));
    });
}

#[test]
fn threads_get_everything_once_and_each_senders_in_order() {
    const EACH: u64 = 2_000;
    let rendezvous = rendezvous(8);
    let mut received = std::thread::scope(|scope| {
        for sender in 0..2u64 {
            let mut end = rendezvous.sender().unwrap();
            scope.spawn(move || {
                for sequence in 0..EACH {
                    end.send(&(sender << 32 | sequence).to_le_bytes()).unwrap();
                }
            });
        }
        let ends = [rendezvous.receiver().unwrap(), rendezvous.receiver().unwrap()];
        let receivers = ends.map(|mut end| {
            scope.spawn(move || {
                let (mut names, mut buffer) = (Vec::new(), [0; 8]);
                while end.receive(&mut buffer).is_ok() {
                    names.push(u64::from_le_bytes(buffer));
                }
                for sender in 0..2 {
                    let of_one = names.iter().filter(|name| *name >> 32 == sender);
                    assert!(of_one.is_sorted());
                }
                names
            })
        });
        let each = receivers.into_iter().map(|receiver| receiver.join().unwrap());
        each.flatten().collect::<Vec<_>>()
    });
    received.sort_unstable();
    let sent = (0..2).flat_map(|sender| (0..EACH).map(move |i| sender << 32 | i));
    assert!(received.into_iter().eq(sent));
}

proptest! {
    /// As for the mailbox, and for the same reason without the lock, which comes first in its line.
    #[test]
    fn whatever_a_hostile_peer_writes_the_calls_come_back(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..40),
    ) {
        let control = Box::<Control>::default();
        let lock = std::ptr::from_ref(&control.meeting.lock).addr()
            - std::ptr::from_ref(&*control).addr()
            + crate::shm::object::HEADER;
        let rendezvous = rendezvous(24);
        let file = std::fs::File::from(rendezvous.as_fd().try_clone_to_owned().unwrap());
        let length = file.metadata().unwrap().len() as usize;
        let mut sender = rendezvous.sender().unwrap();
        let mut receiver = rendezvous.receiver().unwrap();
        let mut buffer = [0; 24];
        let no_time = Duration::ZERO;
        for (place, value, step) in flips {
            let given = value as usize % 25;
            match step {
                0 => drop(sender.try_send(&buffer[..given])),
                1 => drop(receiver.try_receive(&mut buffer)),
                2 => drop(sender.send_timeout(&buffer[..given], no_time)),
                _ => drop(receiver.receive_timeout(&mut buffer, no_time)),
            }
            let place = place.index(length);
            if !(lock..lock + 4).contains(&place) {
                file.write_all_at(&[value], place as u64).unwrap();
            }
        }
    }
}
