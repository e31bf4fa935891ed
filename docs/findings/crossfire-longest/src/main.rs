//! crossfire 3.1.22: a receive that may wait for as long as can be said does not wait at all.
use std::{thread, time::Duration};

fn main() {
    let (sender, receiver) = crossfire::mpsc::bounded_blocking::<u32>(1);
    let sending = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        sender.send(1)
    });
    // Comes back at once, and the message comes after it.
    println!("with Duration::MAX: {:?}", receiver.recv_timeout(Duration::MAX));
    println!("with an hour: {:?}", receiver.recv_timeout(Duration::from_secs(3600)));
    println!("send: {:?}", sending.join());
}
