//! Against the kernel's own queues.

use std::time::Instant;

use super::*;

/// A name of this test's own, which is gone when the test ends, also by a panic.
struct OwnName(String);

impl OwnName {
    fn new(test: &str) -> OwnName {
        OwnName(format!("ipc-impls-mq-{test}-{}", std::process::id()))
    }
}

impl Drop for OwnName {
    fn drop(&mut self) {
        let _ = Queue::unlink(&self.0);
    }
}

#[test]
fn exactly_the_capacity_fits_and_comes_out_in_order() {
    let name = OwnName::new("capacity");
    let queue = Queue::create(&name.0, 3, 16).unwrap();
    assert_eq!((queue.capacity(), queue.size()), (3, Size::UpTo(16)));
    let (mut sender, mut receiver) = (queue.sender().unwrap(), queue.receiver().unwrap());
    let mut buffer = [0; 16];
    for message in [&b""[..], b"one", b"sixteen bytes!!!"] {
        sender.try_send(message).unwrap();
    }
    assert_eq!(sender.try_send(b"four"), Err(TrySendError::Full));
    let patience = Duration::from_millis(60);
    let start = Instant::now();
    assert_eq!(sender.send_timeout(b"four", patience), Err(SendTimeoutError::Timeout));
    assert!(start.elapsed() >= patience);
    assert_eq!(receiver.receive(&mut buffer), Ok(0));
    assert_eq!(receiver.try_receive(&mut buffer), Ok(3));
    assert_eq!(&buffer[..3], b"one");
    assert_eq!(receiver.receive_timeout(&mut buffer, Duration::MAX), Ok(16));
    assert_eq!(receiver.try_receive(&mut buffer), Err(TryReceiveError::Empty));
    let start = Instant::now();
    let timeout = Err(ReceiveTimeoutError::Timeout);
    assert_eq!(receiver.receive_timeout(&mut buffer, patience), timeout);
    assert!(start.elapsed() >= patience);
}

#[test]
fn a_higher_priority_overtakes() {
    let name = OwnName::new("priority");
    let queue = Queue::create(&name.0, 4, 8).unwrap();
    let (mut sender, mut receiver) = (queue.sender().unwrap(), queue.receiver().unwrap());
    for (message, priority) in [(b"a", 0), (b"b", 7), (b"c", 7), (b"d", 1)] {
        sender.send_with_priority(message, priority).unwrap();
    }
    let mut buffer = [0; 8];
    for expected in b"bcda" {
        assert_eq!(receiver.receive(&mut buffer), Ok(1));
        assert_eq!(buffer[0], *expected);
    }
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    let name = OwnName::new("refused");
    let own = Name::new(&name.0).unwrap();
    assert_eq!(Queue::open(&name.0).err(), Some(OpenError::NotFound(own.clone())));
    assert_eq!(Queue::unlink(&name.0), Err(UnlinkError::NotFound(own.clone())));
    let limit = CreateError::Limit { capacity: 0, longest: 8 };
    assert_eq!(Queue::create(&name.0, 0, 8).err(), Some(limit));
    let queue = Queue::create(&name.0, 1, 8).unwrap();
    assert_eq!(Queue::create(&name.0, 1, 8).err(), Some(CreateError::Exists(own)));
    let refused = SendError::WrongSize { given: 9, allowed: Size::UpTo(8) };
    assert_eq!(queue.sender().unwrap().send(&[0; 9]), Err(refused));
    let refused = ReceiveError::ShortBuffer { room: 7, needed: 8 };
    assert_eq!(queue.receiver().unwrap().receive(&mut [0; 7]), Err(refused));
    let slash = NameError::Slash { name: "a/b".into() };
    assert_eq!(Queue::create("a/b", 1, 8).err(), Some(CreateError::Name(slash)));
}

#[test]
fn an_unlinked_queue_goes_on_for_those_who_have_it() {
    let name = OwnName::new("unlinked");
    let queue = Queue::create(&name.0, 1, 8).unwrap();
    Queue::unlink(&name.0).unwrap();
    queue.sender().unwrap().send(b"still").unwrap();
    assert_eq!(queue.receiver().unwrap().receive(&mut [0; 8]), Ok(5));
}

#[test]
fn what_was_sent_outlives_its_sender() {
    let name = OwnName::new("outlives");
    Queue::create(&name.0, 2, 8).unwrap().sender().unwrap().send(b"kept").unwrap();
    let mut buffer = [0; 8];
    assert_eq!(Queue::open(&name.0).unwrap().receiver().unwrap().receive(&mut buffer), Ok(4));
}

#[test]
fn a_name_is_opened_or_made() {
    let name = OwnName::new("either");
    let mut sender = Queue::open_or_create(&name.0, 3, 16).unwrap().sender().unwrap();
    sender.send(b"first").unwrap();
    let again = Queue::open_or_create(&name.0, 1, 8).unwrap();
    assert_eq!((again.capacity(), again.size()), (3, Size::UpTo(16)));
    assert_eq!(again.receiver().unwrap().try_receive(&mut [0; 16]), Ok(5));
}

#[test]
fn a_descriptor_is_ready_once_there_is_a_message() {
    use nix::poll::PollFlags;
    let name = OwnName::new("poll");
    let queue = Queue::create(&name.0, 1, 8).unwrap();
    let (mut sender, receiver) = (queue.sender().unwrap(), queue.receiver().unwrap());
    let ready = |fd: BorrowedFd<'_>, flags| sys::poll(fd, flags, Some(Duration::ZERO)).unwrap();
    assert!(!ready(receiver.as_fd(), PollFlags::POLLIN));
    assert!(ready(sender.as_fd(), PollFlags::POLLOUT));
    sender.send(b"full").unwrap();
    assert!(ready(receiver.as_fd(), PollFlags::POLLIN));
    assert!(!ready(sender.as_fd(), PollFlags::POLLOUT));
}

#[test]
fn a_signal_tells_once_that_the_queue_is_empty_no_more() {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, sigaction};
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    static CAME: AtomicU32 = AtomicU32::new(0);
    extern "C" fn came(_: libc::c_int) {
        CAME.fetch_add(1, SeqCst);
    }
    // A signal that does no harm to whoever does not expect it.
    let signal = Signal::SIGURG;
    let action = SigAction::new(SigHandler::Handler(came), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does nothing but count.
    unsafe { sigaction(signal, &action) }.unwrap();
    let name = OwnName::new("notify");
    let queue = Queue::create(&name.0, 2, 8).unwrap();
    let (mut sender, mut receiver) = (queue.sender().unwrap(), queue.receiver().unwrap());
    receiver.notify(signal).unwrap();
    assert_eq!(receiver.notify(signal), Err(NotifyError::Taken));
    sender.send(b"first").unwrap();
    let start = Instant::now();
    while CAME.load(SeqCst) == 0 {
        assert!(start.elapsed() < Duration::from_secs(20), "no signal");
        std::thread::yield_now();
    }
    // It came once, and the wish is gone with it.
    receiver.notify(signal).unwrap();
    receiver.withdraw().unwrap();
    receiver.notify(signal).unwrap();
    sender.send(b"second").unwrap();
    assert_eq!(CAME.load(SeqCst), 1, "the queue was not empty");
}
