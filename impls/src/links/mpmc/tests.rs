//! What loom cannot see: more ends than it can count, and other processes' bytes.

use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use proptest::prelude::*;

use super::*;
use crate::links::{ReceiveError, ReceivingEnd, SendingEnd, Size, TryReceiveError, TrySendError};
use crate::shm::roster::Role;

fn mailbox(capacity: usize, longest: usize) -> Mailbox {
    Mailbox::anonymous(Options { capacity, size: Size::UpTo(longest) }).unwrap()
}

#[test]
fn exactly_the_capacity_fits_whatever_it_is() {
    for capacity in [1, 2, 3, 5, 7, 8, 100] {
        let mailbox = mailbox(capacity, 8);
        let mut senders = [mailbox.sender().unwrap(), mailbox.sender().unwrap()];
        let mut receivers = [mailbox.receiver().unwrap(), mailbox.receiver().unwrap()];
        let mut buffer = [0; 8];
        for round in 0..3 {
            for i in 0..capacity {
                senders[(i + round) % 2].try_send(&i.to_le_bytes()).unwrap();
            }
            for sender in &mut senders {
                assert_eq!(sender.try_send(&[]), Err(TrySendError::Full));
            }
            for i in 0..capacity {
                assert_eq!(receivers[i % 2].try_receive(&mut buffer), Ok(8));
                assert_eq!(usize::from_le_bytes(buffer), i);
            }
            for receiver in &mut receivers {
                assert_eq!(receiver.try_receive(&mut buffer), Err(TryReceiveError::Empty));
            }
        }
    }
}

#[test]
fn only_the_last_end_to_leave_disconnects() {
    let mailbox = mailbox(4, 8);
    let (mut first, second) = (mailbox.sender().unwrap(), mailbox.sender().unwrap());
    let mut receiver = mailbox.receiver().unwrap();
    let mut buffer = [0; 8];
    drop(second);
    assert_eq!(receiver.try_receive(&mut buffer), Err(TryReceiveError::Empty));
    first.send(&[1]).unwrap();
    drop(first);
    assert_eq!(receiver.receive(&mut buffer), Ok(1));
    assert_eq!(receiver.receive(&mut buffer), Err(ReceiveError::Disconnected));
    // A new sender opens it again.
    let mut third = mailbox.sender().unwrap();
    assert_eq!(receiver.try_receive(&mut buffer), Err(TryReceiveError::Empty));
    drop(receiver);
    assert_eq!(third.try_send(&[1]), Err(TrySendError::Disconnected));
}

#[test]
fn every_seat_can_be_taken_and_is_given_back() {
    let mailbox = mailbox(1, 8);
    let senders: Vec<_> = (0..SEATS).map(|_| mailbox.sender().unwrap()).collect();
    let taken = AttachError::Taken { role: Role::Sender, seats: SEATS };
    assert_eq!(mailbox.sender().err(), Some(taken));
    drop(senders);
    assert!(mailbox.sender().is_ok());
}

#[test]
fn threads_get_everything_once_and_each_senders_in_order() {
    const EACH: u32 = 10_000;
    for capacity in [1, 3, 64] {
        let mailbox = mailbox(capacity, 8);
        let mut received = std::thread::scope(|scope| {
            for sender in 0..2u32 {
                let mut end = mailbox.sender().unwrap();
                scope.spawn(move || {
                    for sequence in 0..EACH {
                        let name = u64::from(sender) << 32 | u64::from(sequence);
                        end.send(&name.to_le_bytes()).unwrap();
                    }
                });
            }
            let receivers: Vec<_> = (0..2)
                .map(|_| {
                    let mut end = mailbox.receiver().unwrap();
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
                })
                .collect();
            let each = receivers.into_iter().map(|receiver| receiver.join().unwrap());
            each.flatten().collect::<Vec<_>>()
        });
        received.sort_unstable();
        let sent = (0..2).flat_map(|sender| (0..u64::from(EACH)).map(move |i| sender << 32 | i));
        assert!(received.into_iter().eq(sent));
    }
}

proptest! {
    /// As for the ring. A lock word that names an end which is not there is inherited at once.
    #[test]
    fn whatever_a_hostile_peer_writes_the_calls_come_back(
        capacity in 1usize..5,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..40),
    ) {
        // The lock words are spared here: one that names a living end, which does not hold it,
        // holds everybody up, and that is the one thing a hostile peer can do by living anyway.
        let locks = [lock_byte(|control| std::ptr::from_ref(&control.sending.lock).addr()),
            lock_byte(|control| std::ptr::from_ref(&control.receiving.lock).addr())];
        let mailbox = mailbox(capacity, 24);
        let file = std::fs::File::from(mailbox.as_fd().try_clone_to_owned().unwrap());
        let length = file.metadata().unwrap().len() as usize;
        let mut sender = mailbox.sender().unwrap();
        let mut receiver = mailbox.receiver().unwrap();
        let mut buffer = [0; 24];
        for (place, value, step) in flips {
            match step {
                0 | 1 => drop(sender.try_send(&buffer[..value as usize % 25])),
                _ => drop(receiver.try_receive(&mut buffer)),
            }
            let place = place.index(length);
            if !locks.iter().any(|lock| (*lock..lock + 4).contains(&place)) {
                file.write_all_at(&[value], place as u64).unwrap();
            }
        }
    }
}

/// Where something in the control block is, from the beginning of the object.
fn lock_byte(of: impl Fn(&Control) -> usize) -> usize {
    let control = Box::<Control>::default();
    of(&control) - std::ptr::from_ref(&*control).addr() + crate::shm::object::HEADER
}
