//! What loom cannot see: real memory, its limits, and other processes' bytes.

use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use proptest::prelude::*;

use super::*;
use crate::links::{
    ReceiveError, ReceivingEnd, SendError, SendingEnd, TryReceiveError, TrySendError,
};

fn link(budget: usize, size: Size) -> Unbounded {
    Unbounded::anonymous(Options { budget, size }).unwrap()
}

/// Bytes of memory behind the link.
fn memory(link: &Unbounded) -> u64 {
    let file = std::fs::File::from(link.as_fd().try_clone_to_owned().unwrap());
    file.metadata().unwrap().blocks() * 512
}

#[test]
fn memory_comes_with_the_messages_and_goes_with_them() {
    // Sixteen thousand messages of a kibibyte, in segments of 256.
    let link = link(16 << 20, Size::UpTo(1016));
    let mut sender = link.sender().unwrap();
    let mut receiver = link.receiver().unwrap();
    let empty = memory(&link);
    assert!(empty < 64 << 10, "{empty}");
    let mut buffer = [0; 1016];
    for _ in 0..3 {
        for i in 0..8192u64 {
            sender.send(&[i.to_le_bytes(), [7; 8]].concat()).unwrap();
        }
        let full = memory(&link);
        assert!(full >= 8 << 20, "{full}");
        for i in 0..8192u64 {
            assert_eq!(receiver.receive(&mut buffer), Ok(16));
            assert_eq!(buffer[..8], i.to_le_bytes());
        }
        // The spare segment, the one that the head is in, and the pages between segments.
        let drained = memory(&link);
        assert!(drained < 3 * (256 << 10) + 64 * 4096 + empty, "{drained}");
    }
}

#[test]
fn at_the_real_limit_a_send_says_so_and_nothing_is_lost() {
    for size in [Size::Fixed(8), Size::UpTo(24)] {
        let link = link(100 << 10, size);
        let mut sender = link.sender().unwrap();
        let mut receiver = link.receiver().unwrap();
        let mut sent = 0u64;
        let refusal = loop {
            match sender.send(&sent.to_le_bytes()) {
                Ok(()) => sent += 1,
                Err(refusal) => break refusal,
            }
        };
        let budget = link.budget();
        assert_eq!(refusal, SendError::Exhausted { budget });
        assert_eq!(sender.try_send(&[0; 8]), Err(TrySendError::Exhausted { budget }));
        assert!(budget > 95 << 10 && budget <= 100 << 10, "{budget}");
        let mut buffer = [0; 24];
        for i in 0..sent {
            assert_eq!(receiver.try_receive(&mut buffer), Ok(8));
            assert_eq!(buffer[..8], i.to_le_bytes());
        }
        assert_eq!(receiver.try_receive(&mut buffer), Err(TryReceiveError::Empty));
        // And there is room again.
        sender.send(&[1; 8]).unwrap();
        assert_eq!(receiver.receive(&mut buffer), Ok(8));
    }
}

#[test]
fn a_budget_beyond_the_machine_is_no_memory_until_it_is_used() {
    let link = link(1 << 46, Size::UpTo(1 << 20));
    assert!(memory(&link) < 64 << 10);
    // A segment would be larger than any machine that this runs on has memory.
    let refused = link.sender().unwrap().send(&[1]);
    assert!(matches!(refused, Err(SendError::NoRoom { bytes }) if bytes >= 1 << 39), "{refused:?}");
}

#[test]
fn threads_get_everything_once_and_each_senders_in_order() {
    const EACH: u64 = 20_000;
    let link = link(64 << 20, Size::UpTo(8));
    let mut received = std::thread::scope(|scope| {
        for sender in 0..2u64 {
            let mut end = link.sender().unwrap();
            scope.spawn(move || {
                for sequence in 0..EACH {
                    end.send(&(sender << 32 | sequence).to_le_bytes()).unwrap();
                }
            });
        }
        let ends = [link.receiver().unwrap(), link.receiver().unwrap()];
        let receivers = ends.map(|mut end| {
            scope.spawn(move || {
                let (mut names, mut buffer) = (Vec::new(), [0; 8]);
                loop {
                    match end.receive(&mut buffer) {
                        Ok(_) => names.push(u64::from_le_bytes(buffer)),
                        Err(ReceiveError::Disconnected) => break,
                        Err(other) => panic!("{other}"),
                    }
                }
                for sender in 0..2 {
                    assert!(names.iter().filter(|name| *name >> 32 == sender).is_sorted());
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
    /// As for the mailbox; the locks, which come first in their lines, are spared for the same
    /// reason.
    #[test]
    fn whatever_a_hostile_peer_writes_the_calls_come_back(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..60),
    ) {
        let control = Box::<Control>::default();
        let offset = |lock: &crate::shm::lock::Lock| std::ptr::from_ref(lock).addr()
            - std::ptr::from_ref(&*control).addr() + crate::shm::object::HEADER;
        let locks = [offset(&control.sending.lock), offset(&control.receiving.lock)];
        let link = link(64 * 64, Size::UpTo(24));
        let file = std::fs::File::from(link.as_fd().try_clone_to_owned().unwrap());
        let length = file.metadata().unwrap().len() as usize;
        let mut sender = link.sender().unwrap();
        let mut receiver = link.receiver().unwrap();
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
