//! A state of the region model: objects, their names, and what each process holds of them.

use std::collections::BTreeMap;

use super::content::{Cell, Content};
use super::op::Access;
use crate::machine::User;
use crate::op::Process;

/// A shared-memory object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Object {
    /// Who created it.
    pub owner: User,
    /// Its permission bits.
    pub mode: u16,
    /// Its size, in bytes.
    pub size: u64,
    /// The bytes that are not zero.
    pub bytes: Content,
    /// Something was stored in its last page, behind its end.
    pub dirty_tail: bool,
}

/// An open object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle {
    /// Its place in [`State::objects`].
    pub object: usize,
    /// For what it was opened.
    pub access: Access,
}

/// A mapping, which lives on when the handle is closed and the name is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mapping {
    /// The place of the object in [`State::objects`].
    pub object: usize,
    /// For what it was mapped.
    pub access: Access,
    /// The first byte that is mapped.
    pub offset: u64,
    /// How many bytes are mapped.
    pub length: u64,
    /// How large the object was when it was mapped.
    pub size_then: u64,
}

/// What one process holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Holder {
    /// The user it runs as.
    pub user: User,
    /// By slot.
    pub handles: BTreeMap<u8, Handle>,
    /// By slot.
    pub mappings: BTreeMap<u8, Mapping>,
}

/// A state of the region model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// Every object that has a name or is held by somebody. `None`: a place that is free again.
    pub objects: Vec<Option<Object>>,
    /// Which object each name stands for, by its place.
    pub names: BTreeMap<String, usize>,
    /// One entry a process.
    pub holders: Vec<Holder>,
}

/// Where a place lies, seen from the end of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// Before the end.
    Inside,
    /// Behind the end, but in the page in which the object ends.
    Tail,
    /// In a page that lies wholly behind the end.
    Beyond,
}

/// Where `address` lies in an object of `size` bytes.
pub fn zone(address: u64, size: u64, page: u64) -> Zone {
    if address < size {
        Zone::Inside
    } else if address < size.next_multiple_of(page) {
        Zone::Tail
    } else {
        Zone::Beyond
    }
}

impl Object {
    /// What may be at `address`, which lies before the end. `None`: anything.
    pub fn values(&self, address: u64) -> Option<Vec<u8>> {
        match self.bytes.at(address) {
            None => Some(vec![0]),
            Some(Cell::Is(value)) => Some(vec![*value]),
            Some(Cell::Among(values)) => Some(values.clone()),
            Some(Cell::Any) => None,
        }
    }

    /// Puts `value` at `address`.
    pub fn put(&mut self, address: u64, value: u8) {
        self.bytes.set(address, (value != 0).then_some(Cell::Is(value)));
    }

    /// Puts `value` at `address`, or leaves what is there: nobody can tell yet.
    pub fn perhaps_put(&mut self, address: u64, value: u8) {
        let Some(mut values) = self.values(address) else { return };
        values.push(value);
        values.sort_unstable();
        values.dedup();
        match values.as_slice() {
            [one] => self.put(address, *one),
            _ => self.bytes.set(address, Some(Cell::Among(values))),
        }
    }

    /// Makes it `size` bytes long. What is cut off is gone; what is added is zero, except that
    /// the standard does not say what becomes of stores made behind the end before.
    pub fn resize(&mut self, size: u64, page: u64) {
        if size > self.size && self.dirty_tail {
            let tail = self.size..self.size.next_multiple_of(page).min(size);
            tail.for_each(|address| self.bytes.set(address, Some(Cell::Any)));
        }
        self.bytes.cut(size);
        if size != self.size {
            self.dirty_tail = false;
        }
        self.size = size;
    }
}

impl State {
    /// What a process holds.
    pub fn holder(&self, process: Process) -> &Holder {
        &self.holders[process.0 as usize]
    }

    /// The same, to change it.
    pub fn holder_mut(&mut self, process: Process) -> &mut Holder {
        &mut self.holders[process.0 as usize]
    }

    /// The object at this place, which something refers to.
    pub fn object(&self, place: usize) -> &Object {
        self.objects[place].as_ref().expect("what is referred to exists")
    }

    /// The same, to change it.
    pub fn object_mut(&mut self, place: usize) -> &mut Object {
        self.objects[place].as_mut().expect("what is referred to exists")
    }

    /// The object of this name, and its place.
    pub fn named(&self, name: &str) -> Option<(usize, &Object)> {
        let place = *self.names.get(name)?;
        Some((place, self.object(place)))
    }

    /// Brings a new object into being, of size zero, under a name.
    pub fn create(&mut self, name: &str, owner: User, mode: u16) -> usize {
        let object = Some(Object { owner, mode, ..Object::default() });
        let place = match self.objects.iter().position(Option::is_none) {
            Some(free) => {
                self.objects[free] = object;
                free
            }
            None => {
                self.objects.push(object);
                self.objects.len() - 1
            }
        };
        self.names.insert(name.to_owned(), place);
        place
    }

    /// Drops every object that has no name and that nobody holds.
    pub fn collect(&mut self) {
        for place in 0..self.objects.len() {
            let held = self.holders.iter().any(|h| {
                h.handles.values().any(|handle| handle.object == place)
                    || h.mappings.values().any(|mapping| mapping.object == place)
            });
            if !held && !self.names.values().any(|named| *named == place) {
                self.objects[place] = None;
            }
        }
        while let Some(None) = self.objects.last() {
            self.objects.pop();
        }
    }

    /// Whether `user` may open `object` for `access`.
    pub fn permits(object: &Object, user: User, access: Access) -> bool {
        let bits = if object.owner == user { object.mode >> 6 } else { object.mode } & 0o7;
        match access {
            Access::ReadOnly => bits & 0o4 != 0,
            Access::ReadWrite => bits & 0o6 == 0o6,
        }
    }
}
