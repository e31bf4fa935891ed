//! Channels between threads of one process, by value: what a link costs where nothing has to be
//! shared with another address space.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use super::by_size;
use crate::cell::{Sample, measure};
use crate::link::{Cell, Link, Place, Receives, Sends};

by_size!(crossbeam, Crossbeam);
by_size!(rtrb, Rtrb);
by_size!(kanal, Kanal);
by_size!(flume, Flume);

fn array<const N: usize>(message: &[u8]) -> Result<[u8; N]> {
    message.try_into().context("another size than the channel's")
}

/// A channel whose ends can be cloned, for many of both.
macro_rules! channel {
    ($channel:ident, $sender:ty, $receiver:ty, $bounded:path, $try:expr) => {
        struct $channel<const N: usize> {
            sender: $sender,
            receiver: $receiver,
            spins: bool,
        }

        impl<const N: usize> Link for $channel<N> {
            type Sender = Tx<$sender>;
            type Receiver = Rx<$receiver>;
            const PLACE: Place = Place::Threads;

            fn make(cell: &Cell) -> Result<Self> {
                let (sender, receiver) = $bounded(cell.capacity);
                Ok(Self { sender, receiver, spins: cell.spins() })
            }

            fn sender(&self) -> Result<Self::Sender> {
                Ok(Tx(self.sender.clone()))
            }

            fn receiver(&self) -> Result<Self::Receiver> {
                Ok(Rx { end: self.receiver.clone(), spins: self.spins })
            }
        }

        impl<const N: usize> Sends for Tx<$sender> {
            #[inline]
            fn send(&mut self, message: &[u8]) -> Result<()> {
                self.0.send(array(message)?).ok().context("the receiver is gone")
            }
        }

        impl<const N: usize> Receives for Rx<$receiver> {
            #[inline]
            fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
                let message = if self.spins {
                    loop {
                        match $try(&self.end)? {
                            None => std::hint::spin_loop(),
                            Some(message) => break message,
                        }
                    }
                } else {
                    self.end.recv()?
                };
                buffer.copy_from_slice(message_of(&message));
                Ok(())
            }
        }
    };
}

fn message_of<const N: usize>(message: &[u8; N]) -> &[u8] {
    message
}

struct Tx<S>(S);

struct Rx<R> {
    end: R,
    spins: bool,
}

channel!(
    Crossbeam,
    crossbeam_channel::Sender<[u8; N]>,
    crossbeam_channel::Receiver<[u8; N]>,
    crossbeam_channel::bounded,
    |end: &crossbeam_channel::Receiver<[u8; N]>| match end.try_recv() {
        Err(crossbeam_channel::TryRecvError::Empty) => anyhow::Ok(None),
        other => Ok(Some(other?)),
    }
);
channel!(
    Kanal,
    kanal::Sender<[u8; N]>,
    kanal::Receiver<[u8; N]>,
    kanal::bounded,
    |end: &kanal::Receiver<[u8; N]>| end.try_recv()
);
channel!(
    Flume,
    flume::Sender<[u8; N]>,
    flume::Receiver<[u8; N]>,
    flume::bounded,
    |end: &flume::Receiver<[u8; N]>| match end.try_recv() {
        Err(flume::TryRecvError::Empty) => anyhow::Ok(None),
        other => Ok(Some(other?)),
    }
);

/// One to one, and each end once.
struct Rtrb<const N: usize> {
    producer: Mutex<Option<rtrb::Producer<[u8; N]>>>,
    consumer: Mutex<Option<rtrb::Consumer<[u8; N]>>>,
}

impl<const N: usize> Link for Rtrb<N> {
    type Sender = rtrb::Producer<[u8; N]>;
    type Receiver = rtrb::Consumer<[u8; N]>;
    const PLACE: Place = Place::Threads;

    fn make(cell: &Cell) -> Result<Self> {
        let (producer, consumer) = rtrb::RingBuffer::new(cell.capacity);
        Ok(Self { producer: Mutex::new(Some(producer)), consumer: Mutex::new(Some(consumer)) })
    }

    fn sender(&self) -> Result<Self::Sender> {
        let mut producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        producer.take().context("the only producer is taken")
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        let mut consumer = self.consumer.lock().unwrap_or_else(PoisonError::into_inner);
        consumer.take().context("the only consumer is taken")
    }
}

impl<const N: usize> Sends for rtrb::Producer<[u8; N]> {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Result<()> {
        let message = array(message)?;
        while self.push(message).is_err() {
            std::hint::spin_loop();
        }
        Ok(())
    }
}

impl<const N: usize> Receives for rtrb::Consumer<[u8; N]> {
    #[inline]
    fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
        loop {
            if let Ok(message) = self.pop() {
                buffer.copy_from_slice(&message);
                return Ok(());
            }
            std::hint::spin_loop();
        }
    }
}
