//! ipmpsc 0.5.1: a ring that is empty again does not take the message it took before.
use ipmpsc::{Receiver, Sender, SharedRingBuffer};
use std::time::Duration;

fn main() {
    let (name, ring) = SharedRingBuffer::create_temp(1032).unwrap();
    let receiver = Receiver::new(ring);
    let sender = Sender::new(SharedRingBuffer::open(&name).unwrap());
    let (message, wait) = (vec![7_u8; 1024], Duration::from_millis(100));
    println!("sent: {}", sender.send_timeout(&message, wait).unwrap());
    println!("received: {} bytes", receiver.recv::<Vec<u8>>().unwrap().len());
    // The ring is empty again, but this times out.
    println!("sent: {}", sender.send_timeout(&message, wait).unwrap());
    println!("empty: {}", receiver.try_recv::<Vec<u8>>().unwrap().is_none());
    // Now that the receiver has looked, there is room.
    println!("sent: {}", sender.send_timeout(&message, wait).unwrap());
}
