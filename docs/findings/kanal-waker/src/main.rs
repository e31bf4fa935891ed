//! kanal 0.1.1: a send that is polled by a second task wakes the first one only.
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Wake, Waker};

#[derive(Default)]
struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn main() {
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let (waker_1, waker_2) = (Waker::from(first.clone()), Waker::from(second.clone()));
    let (tx, rx) = kanal::bounded_async::<u64>(1);
    tx.try_send(1).unwrap();
    let mut send = pin!(tx.send(2));
    assert!(send.as_mut().poll(&mut Context::from_waker(&waker_1)).is_pending());
    // The future moves to another task: this is the waker that has to be woken from now on.
    assert!(send.as_mut().poll(&mut Context::from_waker(&waker_2)).is_pending());
    println!("received: {:?}", rx.try_recv());
    let woken = [&first, &second].map(|count| count.0.load(Ordering::SeqCst));
    println!("first task woken: {}, second task woken: {}", woken[0], woken[1]);
    // The send is through, and the second task never learns of it.
    println!("{:?}", send.as_mut().poll(&mut Context::from_waker(&waker_2)));
}
