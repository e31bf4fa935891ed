//! The links of `ipc-impls` over the queues and sockets of the system: two ends that are made
//! together, of which each process takes one.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use ipc_impls::links::{ReceivingEnd, SendingEnd, pipe, stream, sysv, tcp, unix};

use super::ours::{Rx, Tx};
use crate::link::{Cell, Link};

/// Two ends, until they are taken.
pub(super) struct Ends<K: Kind> {
    sender: Mutex<Option<K::Sender>>,
    receiver: Mutex<Option<K::Receiver>>,
    spins: bool,
    _kept: K,
}

/// How two ends are made; what is kept goes with them.
pub(super) trait Kind: Sized + Sync {
    type Sender: SendingEnd + Send;
    type Receiver: ReceivingEnd + Send;
    fn make(cell: &Cell) -> Result<(Self::Sender, Self::Receiver, Self)>;
}

impl<K: Kind> Link for Ends<K> {
    type Sender = Tx<K::Sender>;
    type Receiver = Rx<K::Receiver>;

    fn make(cell: &Cell) -> Result<Self> {
        let (sender, receiver, kept) = K::make(cell)?;
        let (sender, receiver) = (Some(sender).into(), Some(receiver).into());
        Ok(Self { sender, receiver, spins: cell.spins(), _kept: kept })
    }

    fn sender(&self) -> Result<Self::Sender> {
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.take().map(Tx).context("the sender is taken")
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        let end = receiver.take().context("the receiver is taken")?;
        Ok(Rx { end, spins: self.spins })
    }
}

macro_rules! kind {
    ($kind:ident: $sender:ty, $receiver:ty, |$cell:ident| $make:expr) => {
        pub(super) struct $kind;

        impl Kind for $kind {
            type Sender = $sender;
            type Receiver = $receiver;

            fn make($cell: &Cell) -> Result<($sender, $receiver, Self)> {
                let (sender, receiver) = $make;
                Ok((sender, receiver, Self))
            }
        }
    };
}

/// A packet takes a page, however short it is, and this is as long as anybody may make a pipe.
pub(super) const PACKETS: usize = 256;

kind!(Pipe: pipe::Sender, pipe::Receiver, |cell| {
    let pipe = pipe::Pipe::anonymous(pipe::Options { packets: PACKETS, longest: cell.size })?;
    (pipe.sender()?, pipe.receiver()?)
});
kind!(Seqpacket: unix::Sender, unix::Receiver, |cell| unix::Seqpacket::pair(cell.size)?);
kind!(Dgram: unix::Sender, unix::Receiver, |cell| unix::Dgram::pair(cell.size)?);
kind!(Stream: stream::Sender, stream::Receiver, |cell| unix::Stream::pair(cell.size)?);
kind!(Tcp: stream::Sender, stream::Receiver, |cell| {
    let listener = tcp::Listener::bind("127.0.0.1:0", cell.size)?;
    let connection = tcp::Connection::connect(listener.address()?, cell.size)?;
    (connection.sender(), listener.accept()?.receiver())
});

/// A System V queue, removed with its ends; its id is in a file too, in case we are killed.
pub(super) struct SysV {
    queue: sysv::Queue,
    note: PathBuf,
}

impl Kind for SysV {
    type Sender = sysv::Sender;
    type Receiver = sysv::Receiver;

    fn make(cell: &Cell) -> Result<(sysv::Sender, sysv::Receiver, Self)> {
        let queue = sysv::Queue::private()?;
        let note = cell.folder.join(format!("{}.sysv", cell.name));
        std::fs::write(&note, queue.id().to_string())?;
        Ok((queue.sender(), queue.receiver(), Self { queue, note }))
    }
}

impl Drop for SysV {
    fn drop(&mut self) {
        // Where it fails, the queue is gone already.
        let _ = self.queue.remove();
        let _ = std::fs::remove_file(&self.note);
    }
}
