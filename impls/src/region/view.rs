//! A region that is only read: the kernel itself keeps the reader from writing.

use super::{Control, OpenError, Place, Plain, Region, Shared};
use crate::Fault;
use crate::shm::mapping::Reading;
use crate::shm::object::{Kind, Object};

/// A region, mapped for reading. It has no seat and holds nothing, so nobody waits for it, and any
/// number of processes can have one.
pub struct View<T: Shared> {
    memory: Reading,
    /// A `T` of our own, only to ask where in it a place lies.
    plan: Box<T>,
}

impl<T: Shared> Region<T> {
    /// Opens the region of this name for reading, for which permission to read is enough.
    ///
    /// # Errors
    /// As [`Region::open`].
    pub fn view(name: &str) -> Result<View<T>, OpenError> {
        let object = Object::open_for_reading::<Control>(name, Kind::Region)?;
        Ok(Self::check(object, name)?.reading()?)
    }

    /// Maps this region for reading.
    ///
    /// # Errors
    /// What the system says.
    pub fn reading(&self) -> Result<View<T>, Fault> {
        let memory = self.object.read::<Control>()?;
        // SAFETY: zeroes are a new value of any `Shared` type.
        let plan = unsafe { Box::<T>::new_zeroed().assume_init() };
        Ok(View { memory, plan })
    }
}

impl<T: Shared> View<T> {
    /// Copies the value of a place out.
    ///
    /// ```no_run
    /// # use ipc_impls::region::{Place, Region, shared};
    /// # shared! { struct Table { rows: [Place<f64>; 100] } }
    /// let table = Region::<Table>::view("table")?;
    /// let third = table.load(|table| &table.rows[3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// If the place is not one of the region's.
    pub fn load<P: Plain>(&self, place: impl FnOnce(&T) -> &Place<P>) -> P {
        let start = std::ptr::from_ref(&*self.plan).addr();
        let at = std::ptr::from_ref(place(&self.plan)).addr().wrapping_sub(start);
        // SAFETY: any bytes are a valid value of a `Plain` type, and `load` checks the rest.
        unsafe { self.memory.load(at) }
    }

    /// As [`Attached::is_cut`](super::Attached::is_cut).
    pub fn is_cut(&self) -> bool {
        self.memory.is_cut()
    }
}
