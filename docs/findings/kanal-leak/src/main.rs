//! kanal 0.1.1: a value whose `send_timeout` times out is never dropped.
use std::{sync::Arc, time::Duration};

fn main() {
    let (sender, receiver) = kanal::bounded::<Arc<Vec<u8>>>(1);
    let value = Arc::new(vec![0; 1 << 20]);
    sender.send(Arc::clone(&value)).unwrap();
    // The channel is full, so none of these is taken: "if send fails then the object will be
    // dropped".
    for _ in 0..100 {
        sender.send_timeout(Arc::clone(&value), Duration::from_millis(1)).unwrap_err();
    }
    drop((sender, receiver));
    println!("owners of the value, of which one is left: {}", Arc::strong_count(&value));
}
