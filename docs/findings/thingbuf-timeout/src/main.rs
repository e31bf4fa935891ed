//! thingbuf 0.1.6: a send that timed out leaves its waiter, a node on its stack, in the queue.
use std::time::Duration;
use thingbuf::mpsc::blocking::channel;

#[inline(never)]
fn overwrite_the_stack() -> u64 {
    let mut words = [0x5555_5555_5555_5555_u64; 256];
    std::hint::black_box(&mut words);
    words[17]
}

fn main() {
    let (sender, receiver) = channel::<u64>(1);
    sender.try_send(1).unwrap();
    // Full: gives up after 5 ms.
    println!("timed out: {}", sender.send_timeout(2, Duration::from_millis(5)).is_err());
    overwrite_the_stack();
    // Makes room, and so wakes the first waiter in the queue: the one that is gone.
    println!("received: {:?}", receiver.recv());
}
