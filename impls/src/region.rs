//! A region of shared memory with typed places, and what processes need to use it together.
//!
//! The layout is a type of the user's, made of [`Shared`] parts: [`Place`]s for plain data, and
//! [`Mutex`], [`RwLock`], [`Semaphore`], [`Condition`] and [`Barrier`]. A process attaches the
//! region and uses the parts in place; each attachment has a seat, which the kernel takes back
//! when its process ends, however it ends. So whoever waits for a dead process is told, and does
//! not wait for ever:
//!
//! * a lock whose holder died goes to the next, whose guard says so ([`Guard::owner_died`]): the
//!   data may be half-way;
//! * a permit whose holder died can be acquired again;
//! * a barrier that a dead process would have to reach is broken;
//! * a wait for a condition ends when nobody else is attached.
//!
//! A process that is stopped, not killed, is waited for; the verbs with a patience give up.
//!
//! ```no_run
//! use ipc_impls::region::{Mutex, Place, Region, shared};
//!
//! shared! {
//!     /// What the processes share.
//!     struct Table {
//!         total: Mutex<u64>,
//!         rows: [Place<f64>; 100],
//!     }
//! }
//!
//! let table = Region::<Table>::create("table")?.attach()?;
//! table.rows[3].store(1.5);
//! let mut total = table.total.lock(&table);
//! total.store(total.load() + 1);
//! drop(total);
//! Region::<Table>::unlink("table")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod barrier;
mod mutex;
mod parts;
mod rwlock;
mod semaphore;
mod view;

#[cfg(all(test, loom))]
mod loom;
#[cfg(all(test, not(loom)))]
mod tests;

use std::marker::PhantomData;

pub use self::barrier::{Barrier, Broken};
pub use self::mutex::{Condition, Guard, Mutex, Signal};
pub use self::parts::{Place, Plain, Shared};
pub use self::rwlock::{ReadGuard, RwLock, WriteGuard};
pub use self::semaphore::{Permit, Semaphore};
pub use self::view::View;
pub use crate::shm::object::{AttachError, CreateError, OpenError, OpenOrCreateError, UnlinkError};

use crate::links::Size;
use crate::shm::Memory;
use crate::shm::lock::{Got, Lock, Until};
use crate::shm::mapping::Mapping;
use crate::shm::object::{self, Kind, Object, Options, Shape};
use crate::shm::roster::{Role, Roster, Seat};
use crate::sync::SEATS;

/// Declares a struct whose parts are all [`Shared`], and which therefore is.
#[macro_export]
macro_rules! shared {
    ($(#[$doc:meta])* $vis:vis struct $Name:ident {
        $($(#[$part_doc:meta])* $part_vis:vis $part:ident: $Part:ty),* $(,)?
    }) => {
        $(#[$doc])*
        #[repr(C)]
        $vis struct $Name { $($(#[$part_doc])* $part_vis $part: $Part),* }

        // SAFETY: every part is, which the bounds below check, and the layout is C's.
        unsafe impl $crate::region::Shared for $Name where $($Part: $crate::region::Shared),* {}
    };
}

pub use crate::shared;

/// What all attachments share besides the layout of the user.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Control {
    roster: Roster,
}

// SAFETY: all atomics, and zeroes mean that nobody is attached.
unsafe impl object::Control for Control {
    fn roster(&self) -> &Roster {
        &self.roster
    }
}

/// A region laid out as a `T`, before it is attached. Dropping it removes nothing. All of it is
/// zero in the beginning.
#[derive(Debug)]
pub struct Region<T: Shared> {
    object: Object,
    layout: PhantomData<T>,
}

impl<T: Shared> Region<T> {
    fn shape() -> Result<Shape, CreateError> {
        const { assert!(align_of::<T>() <= 8, "a region is aligned to 8 bytes") };
        Shape::new(Kind::Region, Options { capacity: 1, size: Size::Fixed(size_of::<T>()) })
    }

    fn over(object: Object) -> Region<T> {
        Region { object, layout: PhantomData }
    }

    /// Makes a region whose name must be new. Its owner alone can open it (mode 0600).
    pub fn create(name: &str) -> Result<Region<T>, CreateError> {
        Object::create::<Control>(name, Self::shape()?).map(Self::over)
    }

    /// Makes a region without a name, sealed so that nobody can cut it off.
    pub fn anonymous() -> Result<Region<T>, CreateError> {
        Object::anonymous::<Control>(Self::shape()?).map(Self::over)
    }

    /// Opens the region of this name, if it is as long as a `T`. That it was laid out as one is
    /// for the processes to agree on.
    pub fn open(name: &str) -> Result<Region<T>, OpenError> {
        Self::check(Object::open::<Control>(name, Kind::Region)?, name)
    }

    /// Opens the region of this name, or makes it if there is none.
    pub fn open_or_create(name: &str) -> Result<Region<T>, OpenOrCreateError> {
        let object = Object::open_or_create::<Control>(name, Self::shape()?)?;
        Ok(Self::check(object, name)?)
    }

    /// Takes over a region that came as a file descriptor.
    pub fn adopt(file: std::fs::File) -> Result<Region<T>, OpenError> {
        Self::check(Object::adopt::<Control>(file, Kind::Region)?, "the object")
    }

    fn check(object: Object, name: &str) -> Result<Region<T>, OpenError> {
        let (found, needed) = (object.shape().size, Size::Fixed(size_of::<T>()));
        if found != needed {
            return Err(OpenError::OtherLayout { name: name.to_owned(), found, needed });
        }
        Ok(Self::over(object))
    }

    /// Removes the name. Whoever has the region open keeps it; its memory goes with the last.
    pub fn unlink(name: &str) -> Result<(), UnlinkError> {
        Object::unlink(name)
    }

    /// Maps the region and takes a seat. Up to 32 can be attached at a time.
    pub fn attach(&self) -> Result<Attached<T>, AttachError> {
        let (memory, seat) = self.object.attach::<Control>(Role::Sender, SEATS)?;
        Ok(Attached { memory, seat, layout: PhantomData })
    }
}

impl<T: Shared> std::os::fd::AsFd for Region<T> {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.object.file().as_fd()
    }
}

/// A region, attached. It leaves when this is dropped, and what it holds then stays held until
/// somebody else finds that out: a guard borrows it, so only a forgotten guard can.
pub struct Attached<T: Shared> {
    memory: Mapping<Control>,
    seat: Seat,
    layout: PhantomData<T>,
}

impl<T: Shared> Attached<T> {
    /// Whether somebody truncated the object, so that what is written goes nowhere.
    pub fn is_cut(&self) -> bool {
        self.memory.is_cut()
    }
}

impl<T: Shared> std::ops::Deref for Attached<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let bytes = self.memory.bytes(0, size_of::<T>());
        // SAFETY: the slot is as long as a `T` and aligned to 8, which `shape` has checked is
        // enough; any bytes are a valid `T`, which may change under us (`Shared`).
        unsafe { &*bytes.as_ptr().cast::<T>() }
    }
}

impl<T: Shared> Drop for Attached<T> {
    fn drop(&mut self) {
        self.memory.control().roster.leave(self.seat);
    }
}

/// Whoever uses a part: an attachment of the region that it lies in.
pub trait Attachment {
    /// Its seat and its peers'.
    #[doc(hidden)]
    fn seated(&self) -> Seated<'_>;
}

/// A seat among others. Nobody outside can make one, so [`Attachment`] is closed.
#[derive(Clone, Copy)]
pub struct Seated<'a>(&'a dyn Peers);

/// What the parts have to know of an attachment.
pub(crate) trait Peers {
    fn acquire(&self, lock: &Lock, until: Until<'_>) -> Option<Got>;
    fn seat(&self) -> Seat;
    fn is_alive(&self, badge: u32) -> bool;
    fn others(&self) -> usize;
    fn has_dead(&self) -> bool;
}

/// Declares that something with a `memory` and a `seat` is an attachment.
macro_rules! attachment {
    ($Attached:ty $(, <$T:ident: $Bound:ident>)?) => {
        impl$(<$T: $Bound>)? crate::region::Attachment for $Attached {
            fn seated(&self) -> crate::region::Seated<'_> {
                crate::region::Seated(self)
            }
        }

        impl$(<$T: $Bound>)? crate::region::Peers for $Attached {
            fn acquire(
                &self,
                lock: &crate::shm::lock::Lock,
                until: crate::shm::lock::Until<'_>,
            ) -> Option<crate::shm::lock::Got> {
                lock.acquire(&self.memory.control().roster, &self.memory, self.seat, until)
            }

            fn seat(&self) -> crate::shm::roster::Seat {
                self.seat
            }

            fn is_alive(&self, badge: u32) -> bool {
                // The kernel tells nobody of their own lock.
                badge == self.seat.badge()
                    || self.memory.control().roster.is_badge_alive(&self.memory, badge)
            }

            fn others(&self) -> usize {
                self.memory.control().roster.others(&self.memory, self.seat)
            }

            fn has_dead(&self) -> bool {
                self.memory.control().roster.has_dead(&self.memory, self.seat)
            }
        }
    };
}

#[cfg(all(test, loom))]
pub(crate) use attachment;

attachment!(Attached<T>, <T: Shared>);

impl Seated<'_> {
    fn badge(self) -> u32 {
        self.0.seat().badge()
    }

    /// The number of the seat; every array over attachments has so many places.
    fn index(self) -> usize {
        self.0.seat().index % SEATS
    }

    /// Waits for a lock as long as it takes.
    fn lock(self, lock: &Lock) -> Got {
        loop {
            if let Some(got) = self.0.acquire(lock, Until::Free) {
                return got;
            }
        }
    }
}
