//! Against real pipes.

use std::time::Instant;

use super::super::os::own_path;
use super::*;

fn made(packets: usize, longest: usize) -> Pipe {
    Pipe::anonymous(Options { packets, longest }).unwrap()
}

#[test]
fn exactly_as_many_packets_fit_and_come_out_in_order() {
    let pipe = made(4, LONGEST_PACKET);
    let (mut sender, mut receiver) = (pipe.sender().unwrap(), pipe.receiver().unwrap());
    drop(pipe);
    let mut buffer = [0; LONGEST_PACKET];
    let longest = [3; LONGEST_PACKET];
    for message in [&b""[..], b"one", &longest, b"four"] {
        sender.try_send(message).unwrap();
    }
    assert_eq!(sender.try_send(b"five"), Err(TrySendError::Full));
    let (start, patience) = (Instant::now(), Duration::from_millis(30));
    assert_eq!(sender.send_timeout(b"five", patience), Err(SendTimeoutError::Timeout));
    assert!(start.elapsed() >= patience);
    assert_eq!(receiver.receive(&mut buffer), Ok(0));
    let short = ReceiveError::ShortBuffer { room: 2, needed: 3 };
    assert_eq!(receiver.receive(&mut [0; 2]), Err(short));
    assert_eq!(receiver.receive(&mut buffer), Ok(3));
    assert_eq!(&buffer[..3], b"one");
    assert_eq!(receiver.try_receive(&mut buffer), Ok(LONGEST_PACKET));
    assert_eq!(buffer, longest);
    assert_eq!(receiver.receive_timeout(&mut buffer, Duration::MAX), Ok(4));
    assert_eq!(receiver.try_receive(&mut buffer), Err(TryReceiveError::Empty));
    drop(sender);
    assert_eq!(receiver.receive(&mut buffer), Err(ReceiveError::Disconnected));
}

#[test]
fn long_messages_of_two_senders_are_told_apart() {
    const LONG: usize = 5 * LONGEST_PACKET + 7;
    let pipe = made(16, LONG);
    let mut receiver = pipe.receiver().unwrap();
    std::thread::scope(|scope| {
        for name in 0..2u8 {
            let mut sender = pipe.sender().unwrap();
            scope.spawn(move || {
                for number in 0..50 {
                    let length = if number % 3 == 0 { LONG } else { usize::from(number) };
                    sender.send(&vec![2 * number + name; length]).unwrap();
                }
            });
        }
        let mut buffer = vec![0; LONG];
        let mut next = [0u8; 2];
        while next != [50, 50] {
            let length = receiver.receive(&mut buffer).unwrap();
            // Only number 0 could be empty, and it is long.
            let (number, name) = (buffer[0] / 2, usize::from(buffer[0] % 2));
            assert!(buffer[..length].iter().all(|byte| *byte == buffer[0]), "torn");
            assert_eq!(number, next[name]);
            assert_eq!(length, if number % 3 == 0 { LONG } else { usize::from(number) });
            next[name] += 1;
        }
        assert_eq!(receiver.torn(), 0);
    });
}

#[test]
fn a_message_that_ends_half_way_is_counted_and_never_received() {
    const LONG: usize = 3 * LONGEST_PACKET;
    let pipe = made(4, LONG);
    let (mut sender, mut receiver) = (pipe.sender().unwrap(), pipe.receiver().unwrap());
    drop(pipe);
    let mut buffer = vec![0; LONG];
    // As far as a sender gets that is killed between two packets.
    let half = |sender: &Sender| {
        let header = header(sender.name, LONG, 0);
        let part = [9; LONGEST_PACKET];
        crate::sys::write_parts(sender.waiting.as_fd(), [&header, &part]).unwrap();
    };
    half(&sender);
    assert_eq!(receiver.try_receive(&mut buffer), Err(TryReceiveError::Empty));
    sender.send(b"next").unwrap();
    assert_eq!(receiver.receive(&mut buffer), Ok(4));
    assert_eq!(receiver.torn(), 1);
    half(&sender);
    drop(sender);
    assert_eq!(receiver.receive(&mut buffer), Err(ReceiveError::Disconnected));
    assert_eq!(receiver.torn(), 2);
}

#[test]
fn a_long_message_that_must_not_wait_goes_into_an_empty_pipe_or_not_at_all() {
    const LONG: usize = 3 * LONGEST_PACKET;
    let pipe = made(4, LONG);
    let (mut sender, mut receiver) = (pipe.sender().unwrap(), pipe.receiver().unwrap());
    let mut buffer = vec![0; LONG];
    sender.try_send(&[1; LONG]).unwrap();
    assert_eq!(sender.try_send(&[2; LONG]), Err(TrySendError::Full));
    let patience = Duration::from_millis(10);
    assert_eq!(sender.send_timeout(&[2; LONG], patience), Err(SendTimeoutError::Timeout));
    assert_eq!(receiver.receive(&mut buffer), Ok(LONG));
    sender.send_timeout(&[2; LONG], patience).unwrap();
    assert_eq!(receiver.try_receive(&mut buffer), Ok(LONG));
    assert_eq!(receiver.torn(), 0);
}

#[test]
fn a_fifo_is_made_once_opened_by_path_and_goes_on_without_it() {
    let path = own_path("fifo");
    let options = Options { packets: 2, longest: 64 };
    let name = path.display().to_string();
    assert_eq!(Fifo::open(&path, options).err(), Some(LinkError::NotFound(name.clone())));
    let fifo = Fifo::open_or_create(&path, options).unwrap();
    assert_eq!(Fifo::create(&path, options).err(), Some(LinkError::Exists(name.clone())));
    let (mut sender, mut receiver) = {
        let again = Fifo::open_or_create(&path, options).unwrap();
        (again.sender().unwrap(), again.receiver().unwrap())
    };
    Fifo::unlink(&path).unwrap();
    assert_eq!(Fifo::unlink(&path), Err(LinkError::NotFound(name.clone())));
    drop(fifo);
    sender.send(b"still").unwrap();
    let mut buffer = [0; 64];
    assert_eq!(receiver.receive(&mut buffer), Ok(5));
    drop(receiver);
    assert_eq!(sender.send(b"nobody"), Err(SendError::Disconnected));
    std::fs::write(&*path, "no pipe").unwrap();
    assert_eq!(Fifo::open(&path, options).err(), Some(LinkError::OtherKind(name)));
}
