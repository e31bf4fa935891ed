//! A small bounded channel: the link under test. Put your own in its place.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Why a send did not take effect.
#[derive(Debug, PartialEq, Eq)]
pub enum SendError {
    /// The channel is full.
    Full,
    /// The time was up.
    Timeout,
    /// Every receiver is gone.
    Closed,
}

/// Why there was nothing to receive.
#[derive(Debug, PartialEq, Eq)]
pub enum ReceiveError {
    /// The channel is empty.
    Empty,
    /// The time was up.
    Timeout,
    /// The channel is empty, and every sender is gone.
    Closed,
}

struct State<T> {
    queue: VecDeque<T>,
    senders: usize,
    receivers: usize,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    capacity: usize,
    changed: Condvar,
}

/// The sending end.
pub struct Sender<T>(Arc<Shared<T>>);

/// The receiving end.
pub struct Receiver<T>(Arc<Shared<T>>);

/// A channel that holds `capacity` messages.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let state = State {
        queue: VecDeque::new(),
        senders: 1,
        receivers: 1,
    };
    let shared = Shared {
        state: Mutex::new(state),
        capacity,
        changed: Condvar::new(),
    };
    let shared = Arc::new(shared);
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T> Shared<T> {
    /// Waits until `ready` answers something, at most until the deadline.
    fn wait<R>(
        &self,
        deadline: Option<Instant>,
        mut ready: impl FnMut(&mut State<T>) -> Option<R>,
    ) -> Option<R> {
        let mut state = self.state.lock().unwrap();
        loop {
            if let Some(result) = ready(&mut state) {
                self.changed.notify_all();
                return Some(result);
            }
            state = match deadline.map(|d| d.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(state).unwrap(),
                Some(Duration::ZERO) => return None,
                Some(left) => self.changed.wait_timeout(state, left).unwrap().0,
            };
        }
    }
}

impl<T> Sender<T> {
    /// Sends, and waits for room.
    pub fn send(&self, message: T) -> Result<(), SendError> {
        self.send_until(message, None)
    }

    /// Sends, and waits for room no longer than this.
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendError> {
        self.send_until(message, Instant::now().checked_add(timeout))
    }

    /// Sends if there is room now.
    pub fn try_send(&self, message: T) -> Result<(), SendError> {
        self.send_until(message, Some(Instant::now()))
            .map_err(|_| SendError::Full)
    }

    fn send_until(&self, message: T, deadline: Option<Instant>) -> Result<(), SendError> {
        let mut message = Some(message);
        let sent = self.0.wait(deadline, |state| {
            if state.receivers == 0 {
                return Some(Err(SendError::Closed));
            }
            (state.queue.len() < self.0.capacity).then(|| {
                state.queue.extend(message.take());
                Ok(())
            })
        });
        sent.unwrap_or(Err(SendError::Timeout))
    }
}

impl<T> Receiver<T> {
    /// Receives, and waits for a message.
    pub fn receive(&self) -> Result<T, ReceiveError> {
        self.receive_until(None)
    }

    /// Receives, and waits for a message no longer than this.
    pub fn receive_timeout(&self, timeout: Duration) -> Result<T, ReceiveError> {
        // A deadline beyond what the clock can say never comes.
        self.receive_until(Instant::now().checked_add(timeout))
    }

    /// Receives if there is a message now.
    pub fn try_receive(&self) -> Result<T, ReceiveError> {
        let result = self.receive_until(Some(Instant::now()));
        result.map_err(|e| {
            if e == ReceiveError::Timeout {
                ReceiveError::Empty
            } else {
                e
            }
        })
    }

    fn receive_until(&self, deadline: Option<Instant>) -> Result<T, ReceiveError> {
        let received = self
            .0
            .wait(deadline, |state| match state.queue.pop_front() {
                Some(message) => Some(Ok(message)),
                None => (state.senders == 0).then_some(Err(ReceiveError::Closed)),
            });
        received.unwrap_or(Err(ReceiveError::Timeout))
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.state.lock().unwrap().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.0.state.lock().unwrap().receivers += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().senders -= 1;
        self.0.changed.notify_all();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().receivers -= 1;
        self.0.changed.notify_all();
    }
}
