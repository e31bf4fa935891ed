//! The asynchronous side of a link, polled by hand: no runtime, and wakers that count.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use serde::{Deserialize, Serialize};

use crate::adapter::Failure;

type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, Failure>>>>;
type Sender = Box<dyn Fn(Vec<u8>) -> Boxed<()>>;
type Receiver = Box<dyn Fn() -> Boxed<Vec<u8>>>;

/// The ends of a link whose calls are futures. An end has one call at a time.
#[derive(Default)]
pub struct Futures {
    senders: Vec<Option<Sender>>,
    receivers: Vec<Option<Receiver>>,
}

impl Futures {
    /// Adds a sending end, and how it is used.
    #[must_use]
    pub fn sender<E: 'static>(
        mut self,
        end: E,
        send: impl AsyncFn(&mut E, Vec<u8>) -> Result<(), Failure> + 'static,
    ) -> Self {
        let (home, send) = (Home::of(end), Rc::new(send));
        self.senders.push(Some(Box::new(move |bytes| {
            let (home, send) = (home.clone(), Rc::clone(&send));
            Box::pin(async move { send(home.lend()?.end(), bytes).await })
        })));
        self
    }

    /// Adds a receiving end, and how it is used.
    #[must_use]
    pub fn receiver<E: 'static>(
        mut self,
        end: E,
        receive: impl AsyncFn(&mut E) -> Result<Vec<u8>, Failure> + 'static,
    ) -> Self {
        let (home, receive) = (Home::of(end), Rc::new(receive));
        self.receivers.push(Some(Box::new(move || {
            let (home, receive) = (home.clone(), Rc::clone(&receive));
            Box::pin(async move { receive(home.lend()?.end()).await })
        })));
        self
    }
}

/// Where an end is while no call of it is under way.
struct Home<E>(Rc<RefCell<Option<E>>>);

impl<E> Clone for Home<E> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<E> Home<E> {
    fn of(end: E) -> Self {
        Self(Rc::new(RefCell::new(Some(end))))
    }

    fn lend(&self) -> Result<Lent<E>, Failure> {
        let end = self.0.borrow_mut().take();
        let end = end.ok_or_else(|| Failure::other("the end is in a call already"))?;
        Ok(Lent { end: Some(end), home: self.clone() })
    }
}

/// An end in the hands of a call: it goes home when the call's future is done or dropped.
struct Lent<E> {
    end: Option<E>,
    home: Home<E>,
}

impl<E> Lent<E> {
    fn end(&mut self) -> &mut E {
        self.end.as_mut().expect("it goes home only when this is dropped")
    }
}

impl<E> Drop for Lent<E> {
    fn drop(&mut self) {
        *self.home.0.borrow_mut() = self.end.take();
    }
}

/// What is done with the ends and futures of a link. Ends, futures and wakers are numbered, each
/// kind from 0 in the order in which they appear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Makes the future of sending a message, in which every byte has this value.
    Send {
        /// The sending end.
        end: usize,
        /// The value.
        value: u8,
    },
    /// Makes the future of receiving.
    Receive {
        /// The receiving end.
        end: usize,
    },
    /// Polls a future.
    Poll {
        /// Which.
        future: usize,
        /// Whom it is to wake.
        waker: usize,
    },
    /// Drops a future.
    Drop {
        /// Which.
        future: usize,
    },
    /// Drops a sending end.
    CloseSender {
        /// Which.
        end: usize,
    },
    /// Drops a receiving end.
    CloseReceiver {
        /// Which.
        end: usize,
    },
}

/// What a poll answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// Not yet.
    Pending,
    /// The message is sent.
    Sent,
    /// This message came.
    Received(u8),
    /// It failed, in these words.
    Failed(String),
}

/// What was seen right after an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// What the poll answered, if it was one.
    pub answered: Option<Answered>,
    /// How often each waker has been woken so far.
    pub woken: Vec<u32>,
}

/// How many wakers there are.
pub const WAKERS: usize = 3;

/// How many bytes a message has.
const SIZE: usize = 8;

#[derive(Default)]
struct Counter(AtomicU32);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        // Read on this thread after whatever woke it has returned, or not waited for at all.
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

enum Running {
    Send(Boxed<()>),
    Receive(Boxed<Vec<u8>>),
    Over,
}

/// Does all this with the link, and tells what was seen after each action.
///
/// # Errors
/// If an action names what is not there.
pub fn play(mut link: Futures, actions: &[Action]) -> Result<Vec<Seen>, Failure> {
    let counters: [Arc<Counter>; WAKERS] = Default::default();
    let wakers: Vec<Waker> = counters.iter().map(|c| Waker::from(Arc::clone(c))).collect();
    let mut futures: Vec<Running> = Vec::new();
    let missing = || Failure::other("there is no such end, future or waker");
    let mut seen = Vec::new();
    for action in actions {
        let mut answered = None;
        match *action {
            Action::Send { end, value } => {
                let sender = link.senders.get(end).and_then(Option::as_ref).ok_or_else(missing)?;
                futures.push(Running::Send(sender(vec![value; SIZE])));
            }
            Action::Receive { end } => {
                let receiver = link.receivers.get(end).and_then(Option::as_ref);
                futures.push(Running::Receive(receiver.ok_or_else(missing)?()));
            }
            Action::Poll { future, waker } => {
                let context = &mut Context::from_waker(wakers.get(waker).ok_or_else(missing)?);
                answered = Some(poll(futures.get_mut(future).ok_or_else(missing)?, context)?);
            }
            Action::Drop { future } => {
                *futures.get_mut(future).ok_or_else(missing)? = Running::Over;
            }
            Action::CloseSender { end } => {
                *link.senders.get_mut(end).ok_or_else(missing)? = None;
            }
            Action::CloseReceiver { end } => {
                *link.receivers.get_mut(end).ok_or_else(missing)? = None;
            }
        }
        let woken = counters.iter().map(|c| c.0.load(Ordering::SeqCst)).collect();
        seen.push(Seen { answered, woken });
    }
    Ok(seen)
}

/// Polls the future, which is over once it is ready.
fn poll(running: &mut Running, context: &mut Context<'_>) -> Result<Answered, Failure> {
    let answered = match running {
        Running::Send(future) => match future.as_mut().poll(context) {
            Poll::Pending => Answered::Pending,
            Poll::Ready(Ok(())) => Answered::Sent,
            Poll::Ready(Err(failure)) => Answered::Failed(failure.to_string()),
        },
        Running::Receive(future) => match future.as_mut().poll(context) {
            Poll::Pending => Answered::Pending,
            Poll::Ready(Ok(bytes)) => received(&bytes),
            Poll::Ready(Err(failure)) => Answered::Failed(failure.to_string()),
        },
        Running::Over => return Err(Failure::other("the future is over")),
    };
    if answered != Answered::Pending {
        *running = Running::Over;
    }
    Ok(answered)
}

fn received(bytes: &[u8]) -> Answered {
    match bytes {
        [value, rest @ ..] if bytes.len() == SIZE && rest.iter().all(|b| b == value) => {
            Answered::Received(*value)
        }
        _ => Answered::Failed(format!("a message of {bytes:?}, which nobody sent")),
    }
}
