//! thingbuf 0.1.6: a send that was woken and is dropped takes the wakeup with it.
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
    let (tx, rx) = thingbuf::mpsc::channel::<u64>(1);
    tx.try_send(1).unwrap();
    let mut second_send = pin!(tx.send(3));
    let mut first_send = Box::pin(tx.send(2));
    assert!(first_send.as_mut().poll(&mut Context::from_waker(&waker_1)).is_pending());
    assert!(second_send.as_mut().poll(&mut Context::from_waker(&waker_2)).is_pending());
    // Makes room, and wakes the first send, which is dropped, as `select!` may do.
    println!("received: {:?}", rx.try_recv());
    drop(first_send);
    let woken = [&first, &second].map(|count| count.0.load(Ordering::SeqCst));
    println!("first task woken: {}, second task woken: {}", woken[0], woken[1]);
    // There is room, and the second send, though it is polled again, does not take it.
    println!("{:?}", second_send.as_mut().poll(&mut Context::from_waker(&waker_2)));
    println!("room: {}", tx.try_send(4).is_ok());
}
