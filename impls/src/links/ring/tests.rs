//! What loom cannot see: names, headers, clocks, and other processes' bytes.

use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::links::{
    Damage, ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError,
    SendingEnd, Size, TryReceiveError, TrySendError,
};
use crate::shm::Memory;
use crate::shm::name::{Name, NameError};
use crate::shm::roster::Role;

/// A name of this test's own, which is gone when the test ends, also by a panic.
struct OwnName(String);

impl OwnName {
    fn new(test: &str) -> OwnName {
        OwnName(format!("ipc-impls-{test}-{}", std::process::id()))
    }
}

impl Drop for OwnName {
    fn drop(&mut self) {
        let _ = Ring::unlink(&self.0);
    }
}

fn options(capacity: usize, longest: usize) -> Options {
    Options { capacity, size: Size::UpTo(longest) }
}

fn pair(capacity: usize, longest: usize) -> (Sender, Receiver) {
    let ring = Ring::anonymous(options(capacity, longest)).unwrap();
    (ring.sender().unwrap(), ring.receiver().unwrap())
}

fn object_file(name: &OwnName) -> std::fs::File {
    let path = format!("/dev/shm/{}", name.0);
    std::fs::File::options().read(true).write(true).open(path).unwrap()
}

#[test]
fn exactly_the_capacity_fits_whatever_it_is() {
    for capacity in [1, 2, 3, 5, 7, 8, 100] {
        let (mut sender, mut receiver) = pair(capacity, 8);
        let mut buffer = [0; 8];
        for round in 0..3u64 {
            for i in 0..capacity as u64 {
                sender.try_send(&(round + i).to_le_bytes()).unwrap();
            }
            assert_eq!(sender.try_send(&[]), Err(TrySendError::Full));
            for i in 0..capacity as u64 {
                assert_eq!(receiver.try_receive(&mut buffer), Ok(8));
                assert_eq!(u64::from_le_bytes(buffer), round + i);
            }
            assert_eq!(receiver.try_receive(&mut buffer), Err(TryReceiveError::Empty));
        }
    }
}

#[test]
fn every_length_up_to_the_longest_arrives_as_it_was() {
    let (mut sender, mut receiver) = pair(3, 67);
    let mut buffer = [0; 67];
    for length in (0..=67).chain((0..=67).rev()) {
        let message: Vec<u8> = (0..length).collect();
        sender.send(&message).unwrap();
        assert_eq!(receiver.receive(&mut buffer), Ok(message.len()));
        assert_eq!(&buffer[..message.len()], &message[..]);
    }
    let refused = SendError::WrongSize { given: 68, allowed: Size::UpTo(67) };
    assert_eq!(sender.send(&[0; 68]), Err(refused));
}

#[test]
fn a_link_of_empty_messages_counts_them() {
    let (mut sender, mut receiver) = pair(2, 0);
    sender.send(&[]).unwrap();
    sender.send(&[]).unwrap();
    assert_eq!(sender.try_send(&[]), Err(TrySendError::Full));
    assert_eq!(receiver.receive(&mut []), Ok(0));
    assert_eq!(receiver.receive(&mut []), Ok(0));
    assert_eq!(receiver.try_receive(&mut []), Err(TryReceiveError::Empty));
}

#[test]
fn a_fixed_size_link_takes_no_other_size() {
    let ring = Ring::anonymous(Options { capacity: 2, size: Size::Fixed(4) }).unwrap();
    let mut sender = ring.sender().unwrap();
    for given in [0, 3, 5] {
        let refused = SendError::WrongSize { given, allowed: Size::Fixed(4) };
        assert_eq!(sender.send(&vec![0; given]), Err(refused));
    }
    sender.send(&[1; 4]).unwrap();
}

#[test]
fn a_message_that_is_too_long_for_the_buffer_stays() {
    let (mut sender, mut receiver) = pair(1, 8);
    sender.send(b"abcdef").unwrap();
    let refused = ReceiveError::ShortBuffer { room: 5, needed: 6 };
    assert_eq!(receiver.receive(&mut [0; 5]), Err(refused));
    let mut buffer = [0; 6];
    assert_eq!(receiver.receive(&mut buffer), Ok(6));
    assert_eq!(&buffer, b"abcdef");
}

#[test]
fn a_timed_call_does_not_give_up_early() {
    let (mut sender, mut receiver) = pair(1, 8);
    let patience = Duration::from_millis(120);
    let start = Instant::now();
    let timeout = Err(ReceiveTimeoutError::Timeout);
    assert_eq!(receiver.receive_timeout(&mut [0; 8], patience), timeout);
    assert!(start.elapsed() >= patience);
    sender.send(&[1]).unwrap();
    let start = Instant::now();
    assert_eq!(sender.send_timeout(&[2], patience), Err(SendTimeoutError::Timeout));
    assert!(start.elapsed() >= patience);
    assert_eq!(receiver.receive_timeout(&mut [0; 8], Duration::MAX), Ok(1));
}

#[test]
fn an_end_that_leaves_in_order_is_seen_after_what_it_sent() {
    let (mut sender, mut receiver) = pair(4, 8);
    sender.send(&[1]).unwrap();
    sender.close();
    let mut buffer = [0; 8];
    assert_eq!(receiver.receive(&mut buffer), Ok(1));
    assert_eq!(receiver.receive(&mut buffer), Err(ReceiveError::Disconnected));
    assert_eq!(receiver.try_receive(&mut buffer), Err(TryReceiveError::Disconnected));

    let (mut sender, receiver) = pair(4, 8);
    receiver.close();
    assert_eq!(sender.try_send(&[1]), Err(TrySendError::Disconnected));
    assert_eq!(sender.send(&[1]), Err(SendError::Disconnected));
}

#[test]
fn each_role_has_one_seat_and_gives_it_back() {
    let ring = Ring::anonymous(options(2, 8)).unwrap();
    let sender = ring.sender().unwrap();
    let taken = AttachError::Taken { role: Role::Sender, seats: 1 };
    assert_eq!(ring.sender().err(), Some(taken));
    drop(sender);
    let mut sender = ring.sender().unwrap();
    sender.send(&[7]).unwrap();
    drop(sender);
    let mut sender = ring.sender().unwrap();
    sender.send(&[8]).unwrap();
    assert_eq!(sender.try_send(&[9]), Err(TrySendError::Full));
    let mut buffer = [0; 8];
    for expected in [7, 8] {
        // Each message is taken by another receiver.
        let mut receiver = ring.receiver().unwrap();
        assert_eq!(receiver.receive(&mut buffer), Ok(1));
        assert_eq!(buffer[0], expected);
    }
}

#[test]
fn a_name_is_exclusive_private_and_removable() {
    let name = OwnName::new("exclusive");
    let made = Ring::create(&name.0, options(3, 10)).unwrap();
    let own = Name::new(&name.0).unwrap();
    assert_eq!(Ring::create(&name.0, options(3, 10)).err(), Some(CreateError::Exists(own.clone())));
    assert_eq!(object_file(&name).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let opened = Ring::open_or_create(&name.0, options(9, 9)).unwrap();
    assert_eq!((opened.capacity(), opened.size()), (3, Size::UpTo(10)));
    made.sender().unwrap().send(b"kept").unwrap();
    Ring::unlink(&name.0).unwrap();
    assert_eq!(Ring::open(&name.0).err(), Some(OpenError::NotFound(own.clone())));
    assert_eq!(Ring::unlink(&name.0), Err(UnlinkError::NotFound(own)));
    // Whoever has it open keeps it.
    assert_eq!(opened.receiver().unwrap().receive(&mut [0; 10]), Ok(4));
    let slash = NameError::Slash { name: "a/b".into() };
    assert_eq!(Ring::create("a/b", options(1, 1)).err(), Some(CreateError::Name(slash)));
}

#[test]
fn options_that_no_object_can_hold_are_refused() {
    let refused = Ring::anonymous(options(0, 8)).err();
    assert_eq!(refused, Some(CreateError::Capacity { capacity: 0 }));
    let longest = u32::MAX as usize + 1;
    let refused = Ring::anonymous(options(1, longest)).err();
    assert_eq!(refused, Some(CreateError::TooLarge { capacity: 1, longest }));
    let refused = Ring::anonymous(options(1 << 30, u32::MAX as usize)).err();
    assert!(matches!(refused, Some(CreateError::NoRoom { .. })), "{refused:?}");
    let name = OwnName::new("no-room");
    let refused = Ring::create(&name.0, options(1 << 30, u32::MAX as usize)).err();
    assert!(matches!(refused, Some(CreateError::NoRoom { .. })), "{refused:?}");
    assert!(matches!(Ring::unlink(&name.0), Err(UnlinkError::NotFound(_))), "nothing is left");
}

#[test]
fn an_object_that_is_no_ring_of_this_version_is_refused_with_the_reason() {
    let name = OwnName::new("refused");
    let fresh = || {
        let _ = Ring::unlink(&name.0);
        drop(Ring::create(&name.0, options(2, 8)).unwrap());
        object_file(&name)
    };
    let open = || Ring::open(&name.0).err().unwrap();

    fresh().write_all_at(b"somebody", 0).unwrap();
    assert!(matches!(open(), OpenError::WrongMagic { found, .. } if &found == b"somebody"));
    fresh().write_all_at(&9u32.to_le_bytes(), 8).unwrap();
    assert!(matches!(open(), OpenError::OtherVersion { found: 9, .. }));
    fresh().write_all_at(&7u32.to_le_bytes(), 12).unwrap();
    assert!(matches!(open(), OpenError::OtherKind { found: 7, .. }));
    fresh().write_all_at(&u64::MAX.to_le_bytes(), 16).unwrap();
    assert!(matches!(open(), OpenError::Nonsense(_)));
    fresh().write_all_at(&1000u64.to_le_bytes(), 16).unwrap();
    assert!(matches!(open(), OpenError::Truncated { .. }));
    fresh().set_len(200).unwrap();
    assert!(matches!(open(), OpenError::Truncated { found: 200, .. }));
    fresh().set_len(5).unwrap();
    assert!(matches!(open(), OpenError::Truncated { found: 5, .. }));
    // A creator that was killed between its steps.
    fresh().set_len(0).unwrap();
    assert!(matches!(open(), OpenError::Unfinished(_)));
    assert_eq!(Ring::open_or_create(&name.0, options(5, 8)).unwrap().capacity(), 5);
}

#[test]
fn nobody_can_shrink_a_nameless_ring() {
    let ring = Ring::anonymous(options(2, 8)).unwrap();
    let file = std::fs::File::from(ring.as_fd().try_clone_to_owned().unwrap());
    assert!(file.set_len(0).is_err());
    let mut sender = Ring::adopt(file).unwrap().sender().unwrap();
    sender.send(&[1]).unwrap();
    assert_eq!(ring.receiver().unwrap().receive(&mut [0; 8]), Ok(1));
}

#[test]
fn two_threads_pass_everything_in_order() {
    for capacity in [1, 2, 64] {
        let (mut sender, mut receiver) = pair(capacity, 16);
        let sending = std::thread::spawn(move || {
            for i in 0..20_000u64 {
                let length = 8 + (i % 9) as usize;
                let mut message = [0; 16];
                message[..8].copy_from_slice(&i.to_le_bytes());
                sender.send(&message[..length]).unwrap();
            }
        });
        let mut buffer = [0; 16];
        for i in 0..20_000u64 {
            assert_eq!(receiver.receive(&mut buffer), Ok(8 + (i % 9) as usize));
            assert_eq!(buffer[..8], i.to_le_bytes());
        }
        assert_eq!(receiver.receive(&mut buffer), Err(ReceiveError::Disconnected));
        sending.join().unwrap();
    }
}

#[test]
fn lengths_and_counts_that_no_end_writes_are_reported() {
    let (mut sender, mut receiver) = pair(1, 8);
    sender.send(&[1]).unwrap();
    let head = &receiver.0.memory.control().head.0;
    head.store(2, Relaxed);
    let damage = Damage::Head { found: 2, low: 0, high: 1 };
    assert_eq!(sender.try_send(&[2]), Err(TrySendError::Corrupt(damage)));
    head.store(0, Relaxed);
    let mark = receiver.0.memory.mark(0);
    mark.store(mark.load(Relaxed) | 9 << 32, Relaxed);
    let damage = Damage::Length { found: 9, allowed: Size::UpTo(8) };
    assert_eq!(receiver.try_receive(&mut [0; 16]), Err(TryReceiveError::Corrupt(damage)));
}

proptest! {
    /// A peer that writes anything anywhere at any time can make calls fail, but not panic,
    /// and not reach beyond the mapping (which would be a fault here).
    #[test]
    fn whatever_a_hostile_peer_writes_the_calls_come_back(
        capacity in 1usize..5,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..6), 1..60),
    ) {
        let ring = Ring::anonymous(options(capacity, 24)).unwrap();
        let file = std::fs::File::from(ring.as_fd().try_clone_to_owned().unwrap());
        let length = file.metadata().unwrap().len() as usize;
        let mut sender = ring.sender().ok();
        let mut receiver = ring.receiver().ok();
        let mut buffer = [0; 24];
        for (place, value, step) in flips {
            match step {
                0 | 1 => {
                    let _ = sender.as_mut().map(|end| end.try_send(&buffer[..value as usize % 25]));
                }
                2 | 3 => {
                    let _ = receiver.as_mut().map(|end| end.try_receive(&mut buffer));
                }
                4 => {
                    drop(sender.take());
                    sender = ring.sender().ok();
                }
                _ => {
                    drop(receiver.take());
                    receiver = ring.receiver().ok();
                }
            }
            // Half of the bytes are in the header, the atomics and the marks anyway.
            file.write_all_at(&[value], place.index(length) as u64).unwrap();
        }
    }
}
