//! The links of `ipc-impls`. A new one is one line of `named!` and one line of the list.

use std::marker::PhantomData;

use anyhow::Result;
use ipc_impls::links::{self, ReceivingEnd, SendError, SendingEnd, TryReceiveError};

use crate::link::{Cell, Link, Receives, Sends};

/// Which lengths its links take: the length is not fixed, though all messages here have one.
fn size(cell: &Cell) -> links::Size {
    links::Size::UpTo(cell.size)
}

fn options(cell: &Cell) -> links::ring::Options {
    links::ring::Options { capacity: cell.capacity, size: size(cell) }
}

/// A sending end.
pub(super) struct Tx<S>(pub(super) S);

/// A receiving end, which asks again and again where it must not sleep.
pub(super) struct Rx<R> {
    pub(super) end: R,
    pub(super) spins: bool,
}

impl<S: SendingEnd> Sends for Tx<S> {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Result<()> {
        loop {
            match self.0.send(message) {
                // An unbounded link has a budget, and here no time to be patient in its stead.
                Err(SendError::Exhausted { .. }) => std::hint::spin_loop(),
                sent => return Ok(sent?),
            }
        }
    }
}

impl<R: ReceivingEnd> Receives for Rx<R> {
    #[inline]
    fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
        if !self.spins {
            self.end.receive(buffer)?;
            return Ok(());
        }
        loop {
            match self.end.try_receive(buffer) {
                Ok(_) => return Ok(()),
                Err(TryReceiveError::Empty) => std::hint::spin_loop(),
                Err(other) => return Err(other.into()),
            }
        }
    }
}

/// A link with a name, which is removed once both ends have it, and at the latest when this goes.
pub(super) struct Named<K: Kind> {
    name: String,
    spins: bool,
    kind: PhantomData<fn() -> K>,
}

/// How a kind of link is made, opened and removed by name.
pub(super) trait Kind {
    type Sender: SendingEnd;
    type Receiver: ReceivingEnd;
    fn create(cell: &Cell) -> Result<()>;
    fn sender(name: &str) -> Result<Self::Sender>;
    fn receiver(name: &str) -> Result<Self::Receiver>;
    fn unlink(name: &str);
}

impl<K: Kind> Link for Named<K> {
    type Sender = Tx<K::Sender>;
    type Receiver = Rx<K::Receiver>;

    fn make(cell: &Cell) -> Result<Self> {
        K::create(cell)?;
        Ok(Self { name: cell.name.clone(), spins: cell.spins(), kind: PhantomData })
    }

    fn sender(&self) -> Result<Self::Sender> {
        K::sender(&self.name).map(Tx)
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        Ok(Rx { end: K::receiver(&self.name)?, spins: self.spins })
    }

    fn attached(&self) {
        K::unlink(&self.name);
    }
}

impl<K: Kind> Drop for Named<K> {
    fn drop(&mut self) {
        K::unlink(&self.name);
    }
}

macro_rules! named {
    ($kind:ident is $module:ident::$link:ident, |$cell:ident| $($argument:expr),+) => {
        pub(super) struct $kind;

        impl Kind for $kind {
            type Sender = links::$module::Sender;
            type Receiver = links::$module::Receiver;

            fn create($cell: &Cell) -> Result<()> {
                links::$module::$link::create(&$cell.name, $($argument),+)?;
                Ok(())
            }

            fn sender(name: &str) -> Result<Self::Sender> {
                Ok(links::$module::$link::open(name)?.sender()?)
            }

            fn receiver(name: &str) -> Result<Self::Receiver> {
                Ok(links::$module::$link::open(name)?.receiver()?)
            }

            fn unlink(name: &str) {
                // Where it fails, the name is gone already.
                let _ = links::$module::$link::unlink(name);
            }
        }
    };
}

named!(Ring is ring::Ring, |cell| options(cell));
named!(Mailbox is mpmc::Mailbox, |cell| options(cell));
named!(Rendezvous is rendezvous::Rendezvous, |cell| size(cell));
named!(Mq is mq::Queue, |cell| super::kernel::mq_capacity(), cell.size);
/// What a link that grows is cut into: each part holds as many messages as other links do.
const SEGMENTS: usize = 64;

named!(Unbounded is unbounded::Unbounded, |cell| links::unbounded::Options {
    budget: SEGMENTS * cell.capacity * (cell.size + 16),
    size: size(cell),
});

/// A link whose messages are filled and read in place: 16 bytes of each.
macro_rules! loaned {
    ($link:ident is $module:ident::$type:ident) => {
        pub(super) struct $link(String);

        impl Link for $link {
            type Sender = Loans<links::$module::Sender>;
            type Receiver = Borrows<links::$module::Receiver>;

            fn make(cell: &Cell) -> Result<Self> {
                links::$module::$type::create(&cell.name, options(cell))?;
                Ok(Self(cell.name.clone()))
            }

            fn sender(&self) -> Result<Self::Sender> {
                Ok(Loans(links::$module::$type::open(&self.0)?.sender()?))
            }

            fn receiver(&self) -> Result<Self::Receiver> {
                Ok(Borrows(links::$module::$type::open(&self.0)?.receiver()?))
            }

            fn attached(&self) {
                // Where it fails, the name is gone already.
                let _ = links::$module::$type::unlink(&self.0);
            }
        }

        impl Drop for $link {
            fn drop(&mut self) {
                self.attached();
            }
        }

        impl Sends for Loans<links::$module::Sender> {
            #[inline]
            fn send(&mut self, message: &[u8]) -> Result<()> {
                let mut loan = self.0.loan(message.len())?;
                loan.write(0, &message[..TOUCHED.min(message.len())]);
                Ok(loan.send()?)
            }
        }

        impl Receives for Borrows<links::$module::Receiver> {
            #[inline]
            fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
                let touched = TOUCHED.min(buffer.len());
                self.0.borrow()?.read(0, &mut buffer[..touched]);
                Ok(())
            }
        }
    };
}

/// How much of a message is touched where it is used in place.
pub(super) const TOUCHED: usize = 16;

/// A sending end that lends.
pub(super) struct Loans<S>(S);

/// A receiving end that borrows.
pub(super) struct Borrows<R>(R);

loaned!(RingLoan is ring::Ring);
loaned!(MailboxLoan is loan::Mailbox);
