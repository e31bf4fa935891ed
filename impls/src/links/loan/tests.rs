//! What loom cannot see: loans as they are used, and other processes' bytes.

use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use proptest::prelude::*;

use super::*;
use crate::links::{ReceivingEnd, SendingEnd, Size, TryReceiveError, TrySendError};

fn mailbox(capacity: usize, longest: usize) -> Mailbox {
    Mailbox::anonymous(Options { capacity, size: Size::UpTo(longest) }).unwrap()
}

#[test]
fn exactly_the_capacity_fits_whatever_is_on_loan() {
    let mailbox = mailbox(3, 8);
    let (mut first, mut second) = (mailbox.sender().unwrap(), mailbox.sender().unwrap());
    let mut receivers = [mailbox.receiver().unwrap(), mailbox.receiver().unwrap()];
    for round in 0..200u8 {
        let mut on_loan = first.loan(2).unwrap();
        on_loan.write(0, &[round]);
        for i in 0..3 {
            second.try_send(&[i]).unwrap();
        }
        let Err((TrySendError::Full, mut on_loan)) = on_loan.try_send() else { panic!() };
        let [one, other] = &mut receivers;
        let borrowed = (one.borrow().unwrap(), other.try_borrow().unwrap());
        assert_eq!(borrowed.0.bytes()[0].load(std::sync::atomic::Ordering::Relaxed), 0);
        // Two places are free although two messages are on loan.
        on_loan.write(1, &[round ^ 1]);
        on_loan.send().unwrap();
        second.try_send(&[4]).unwrap();
        assert_eq!(second.try_send(&[5]), Err(TrySendError::Full));
        let mut byte = [9];
        borrowed.1.read(0, &mut byte);
        assert_eq!(byte, [1]);
        drop(borrowed);
        let mut buffer = [0; 8];
        assert_eq!(one.try_receive(&mut buffer), Ok(1));
        assert_eq!(buffer[0], 2);
        assert_eq!(other.try_receive(&mut buffer), Ok(2));
        assert_eq!(buffer[..2], [round, round ^ 1]);
        assert_eq!(one.try_receive(&mut buffer), Ok(1));
        assert_eq!(other.try_receive(&mut buffer), Err(TryReceiveError::Empty));
    }
}

#[test]
fn a_place_that_is_not_sent_is_lent_again() {
    let mailbox = mailbox(1, 8);
    let mut sender = mailbox.sender().unwrap();
    let mut receiver = mailbox.receiver().unwrap();
    for _ in 0..100 {
        let _unsent = sender.loan(8).unwrap();
    }
    assert!(matches!(sender.try_loan(9), Err(TrySendError::WrongSize { given: 9, .. })));
    assert!(matches!(receiver.try_borrow(), Err(TryReceiveError::Empty)));
}

#[test]
#[should_panic(expected = "beyond the place")]
fn nobody_writes_beyond_a_place() {
    let mailbox = mailbox(1, 8);
    let mut sender = mailbox.sender().unwrap();
    let _receiver = mailbox.receiver().unwrap();
    sender.loan(4).unwrap().write(2, &[0; 3]);
}

proptest! {
    /// As for the mailbox, with the locks spared for the same reason.
    #[test]
    fn whatever_a_hostile_peer_writes_the_calls_come_back(
        capacity in 1usize..5,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..6), 1..60),
    ) {
        let control = Box::<Control>::default();
        let offset = |lock: &crate::shm::lock::Lock| std::ptr::from_ref(lock).addr()
            - std::ptr::from_ref(&*control).addr() + crate::shm::object::HEADER;
        let locks = [offset(&control.sending.lock), offset(&control.receiving.lock)];
        let mailbox = mailbox(capacity, 24);
        let file = std::fs::File::from(mailbox.as_fd().try_clone_to_owned().unwrap());
        let length = file.metadata().unwrap().len() as usize;
        let mut sender = mailbox.sender().ok();
        let mut receiver = mailbox.receiver().ok();
        let mut buffer = [0; 24];
        for (place, value, step) in flips {
            let given = value as usize % 25;
            match step {
                0 | 1 => drop(sender.as_mut().map(|end| end.try_send(&buffer[..given]))),
                2 => drop(receiver.as_mut().map(|end| end.try_receive(&mut buffer))),
                3 => if let Some(Ok(held)) = receiver.as_mut().map(Receiver::try_borrow) {
                    held.read(0, &mut buffer[..held.len()]);
                },
                4 => {
                    drop(sender.take());
                    sender = mailbox.sender().ok();
                }
                _ => {
                    drop(receiver.take());
                    receiver = mailbox.receiver().ok();
                }
            }
            let place = place.index(length);
            if !locks.iter().any(|lock| (*lock..lock + 4).contains(&place)) {
                file.write_all_at(&[value], place as u64).unwrap();
            }
        }
    }
}
