//! Ownership: every value that is sent has one owner, and is dropped exactly once, also when a call
//! fails or gives up, and when the link ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ipc_model::{Capacity, Profile};
use serde::{Deserialize, Serialize};

use crate::adapter::Failure;

/// A value that counts how often it is dropped. It owns memory of its own, so that dropping it
/// twice is also what a memory checker sees.
#[derive(Debug)]
pub struct Counted {
    number: usize,
    drops: Arc<Vec<AtomicU32>>,
    own: Box<u64>,
}

impl Counted {
    /// Which of the values it is, counted from 0.
    pub fn number(&self) -> usize {
        *self.own as usize
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.drops[self.number].fetch_add(1, Ordering::Relaxed);
    }
}

/// A link that carries [`Counted`] values themselves rather than bytes: what is refused comes back
/// or is dropped by the link, as the crate has it. An adapter translates, and drops what it gets
/// back.
#[expect(unused_variables, reason = "the defaults ignore what they are given")]
pub trait Values {
    /// Sends now or not at all; whether it was taken.
    ///
    /// # Errors
    /// As [`crate::adapter::Endpoint::try_send`].
    fn try_send(&mut self, value: Counted) -> Result<(), Failure>;

    /// Sends, and waits no longer than `timeout`.
    ///
    /// # Errors
    /// As [`crate::adapter::Endpoint::send_timeout`].
    fn send_timeout(&mut self, value: Counted, timeout: Duration) -> Result<(), Failure> {
        Err(Failure::Unsupported)
    }

    /// Receives now or not at all.
    ///
    /// # Errors
    /// As [`crate::adapter::Endpoint::try_receive`].
    fn try_receive(&mut self) -> Result<Counted, Failure>;

    /// Drops the sending end.
    fn close_sender(&mut self);

    /// Drops the receiving end.
    fn close_receiver(&mut self);
}

type TrySend<S> = fn(&mut S, Counted) -> Result<(), Failure>;
type SendTimeout<S> = fn(&mut S, Counted, Duration) -> Result<(), Failure>;

/// A link that carries values, as its two ends and the calls on them.
pub struct Carries<S, R> {
    sender: Option<S>,
    receiver: Option<R>,
    try_send: TrySend<S>,
    send_timeout: Option<SendTimeout<S>>,
    try_receive: fn(&mut R) -> Result<Counted, Failure>,
}

impl<S: 'static, R: 'static> Carries<S, R> {
    /// The link of these ends and nonblocking calls.
    pub fn new(
        (sender, receiver): (S, R),
        try_send: TrySend<S>,
        try_receive: fn(&mut R) -> Result<Counted, Failure>,
    ) -> Self {
        let (sender, receiver) = (Some(sender), Some(receiver));
        Self { sender, receiver, try_send, send_timeout: None, try_receive }
    }

    /// With this timed call.
    #[must_use]
    pub fn timed(self, call: SendTimeout<S>) -> Self {
        Self { send_timeout: Some(call), ..self }
    }

    /// As [`crate::adapter::Adapter::values`] wants it.
    pub fn boxed(self) -> Option<Box<dyn Values>> {
        Some(Box::new(self))
    }
}

impl<S, R> Values for Carries<S, R> {
    fn try_send(&mut self, value: Counted) -> Result<(), Failure> {
        (self.try_send)(self.sender.as_mut().ok_or(Failure::Closed)?, value)
    }

    fn send_timeout(&mut self, value: Counted, timeout: Duration) -> Result<(), Failure> {
        let call = self.send_timeout.ok_or(Failure::Unsupported)?;
        call(self.sender.as_mut().ok_or(Failure::Closed)?, value, timeout)
    }

    fn try_receive(&mut self) -> Result<Counted, Failure> {
        (self.try_receive)(self.receiver.as_mut().ok_or(Failure::Closed)?)
    }

    fn close_sender(&mut self) {
        self.sender = None;
    }

    fn close_receiver(&mut self) {
        self.receiver = None;
    }
}

/// What came of the values of one story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What was done.
    pub story: String,
    /// How many values were made.
    pub made: u32,
    /// The numbers of those that were not dropped.
    pub kept: Vec<u32>,
    /// The numbers of those that were dropped more than once.
    pub twice: Vec<u32>,
}

/// More than any story makes.
const MOST: usize = 64;

/// How long a call that is to time out waits.
const SHORT: Duration = Duration::from_millis(2);

type Make<'a> = &'a dyn Fn() -> Result<Box<dyn Values>, Failure>;

/// Plays every story on a fresh link.
pub(crate) fn tell(profile: &Profile, make: Make<'_>) -> Result<Vec<Told>, Failure> {
    let room = match profile.capacity {
        Capacity::Zero => 0,
        Capacity::Bounded(n) | Capacity::AtLeast(n) => n.min(8),
        Capacity::Unbounded => 8,
    };
    let finite = matches!(profile.capacity, Capacity::Zero | Capacity::Bounded(_));
    let mut told = Vec::new();
    let mut story = |name: &str, play: &dyn Fn(&mut Story) -> Result<(), Failure>| {
        let mut story = Story { link: Some(make()?), drops: fresh(), made: 0 };
        play(&mut story)?;
        told.push(story.end(name));
        Ok::<(), Failure>(())
    };
    story("sent and received", &|s| {
        (0..room).for_each(|_| s.send());
        (0..room).for_each(|_| s.receive());
        Ok(())
    })?;
    story("sent, and the link dropped with all inside", &|s| {
        (0..room).for_each(|_| s.send());
        Ok(())
    })?;
    story("sent, some received, then the receiver dropped before the sender", &|s| {
        (0..room).for_each(|_| s.send());
        (0..room / 2).for_each(|_| s.receive());
        s.link().close_receiver();
        Ok(())
    })?;
    story("sent, the sender dropped, then drained", &|s| {
        (0..room).for_each(|_| s.send());
        s.link().close_sender();
        (0..room).for_each(|_| s.receive());
        Ok(())
    })?;
    story("sent to nobody", &|s| {
        s.link().close_receiver();
        (0..3).for_each(|_| s.send());
        Ok(())
    })?;
    if finite {
        story("refused because it was full", &|s| {
            (0..room + 3).for_each(|_| s.send());
            Ok(())
        })?;
        story("given up after a time limit", &|s| {
            (0..room).for_each(|_| s.send());
            (0..3).for_each(|_| s.send_timeout());
            Ok(())
        })?;
    }
    Ok(told)
}

fn fresh() -> Arc<Vec<AtomicU32>> {
    Arc::new((0..MOST).map(|_| AtomicU32::new(0)).collect())
}

struct Story {
    link: Option<Box<dyn Values>>,
    drops: Arc<Vec<AtomicU32>>,
    made: u32,
}

impl Story {
    fn link(&mut self) -> &mut dyn Values {
        &mut **self.link.as_mut().expect("it ends with the story")
    }

    fn value(&mut self) -> Counted {
        let number = self.made as usize;
        self.made += 1;
        Counted { number, drops: Arc::clone(&self.drops), own: Box::new(number as u64) }
    }

    // What the calls answer is the model's business; here it is only counted what is dropped.
    fn send(&mut self) {
        let value = self.value();
        let _ = self.link().try_send(value);
    }

    fn send_timeout(&mut self) {
        let value = self.value();
        let _ = self.link().send_timeout(value, SHORT);
    }

    fn receive(&mut self) {
        let _ = self.link().try_receive();
    }

    fn end(mut self, story: &str) -> Told {
        self.link = None;
        let those = |test: &dyn Fn(u32) -> bool| {
            let dropped = |n: &u32| self.drops[*n as usize].load(Ordering::Relaxed);
            (0..self.made).filter(|n| test(dropped(n))).collect()
        };
        let (kept, twice) = (those(&|n| n == 0), those(&|n| n > 1));
        Told { story: story.into(), made: self.made, kept, twice }
    }
}
