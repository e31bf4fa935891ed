//! loole 0.6.0: a message sent over a zero-capacity channel waits in it.
use std::{thread, time::Duration};

fn main() {
    let (sender, receiver) = loole::bounded::<u32>(0);
    let early = receiver.clone();
    thread::spawn(move || println!("the receiver that waited got {:?}", early.recv()));
    // Long enough for the receiver to sleep in `recv`.
    thread::sleep(Duration::from_millis(50));
    println!("send: {:?}", sender.try_send(1));
    // The message has been handed over, so nothing can be there for anybody else.
    println!("another receiver, later, gets {:?}", receiver.try_recv());
}
