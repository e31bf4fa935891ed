//! A state of the naming model: mailboxes, their names, and who holds them.

use std::collections::BTreeMap;

use super::op::Access;
use crate::machine::User;
use crate::op::Process;

/// A mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mailbox {
    /// Who created it.
    pub owner: User,
    /// Its permission bits.
    pub mode: u16,
    /// The name that it was created under, which it may have lost since.
    pub born: String,
    /// What rests in it, oldest first.
    pub content: Vec<u32>,
    /// Who is to be told when a message arrives, and through which handle it asked for that.
    pub registered: Option<(Process, u8)>,
    /// Who waits for a message, the longest first.
    pub waiting: Vec<Process>,
    /// Messages on their way to somebody that waited.
    pub handed: Vec<(Process, u32)>,
}

/// An open mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle {
    /// Its place in [`State::mailboxes`].
    pub mailbox: usize,
    /// For what it was opened.
    pub access: Access,
}

/// What one process holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Holder {
    /// The user it runs as.
    pub user: User,
    /// By slot.
    pub handles: BTreeMap<u8, Handle>,
    /// Notifications that have come since it looked last.
    pub notices: u32,
}

/// A state of the naming model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// Every mailbox that has a name or is held by somebody. `None`: a place that is free again.
    pub mailboxes: Vec<Option<Mailbox>>,
    /// Which mailbox each name stands for, by its place.
    pub names: BTreeMap<String, usize>,
    /// One entry a process.
    pub holders: Vec<Holder>,
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

    /// The mailbox at this place, which something refers to.
    pub fn mailbox(&self, place: usize) -> &Mailbox {
        self.mailboxes[place].as_ref().expect("what is referred to exists")
    }

    /// The same, to change it.
    pub fn mailbox_mut(&mut self, place: usize) -> &mut Mailbox {
        self.mailboxes[place].as_mut().expect("what is referred to exists")
    }

    /// The mailbox of this name, and its place.
    pub fn named(&self, name: &str) -> Option<(usize, &Mailbox)> {
        let place = *self.names.get(name)?;
        Some((place, self.mailbox(place)))
    }

    /// Whether a mailbox that once had this name has lost it and is still held.
    pub fn lingers(&self, name: &str) -> bool {
        let bearer = self.names.get(name);
        let alive = self.mailboxes.iter().enumerate();
        alive
            .filter(|(place, _)| bearer != Some(place))
            .any(|(_, m)| m.as_ref().is_some_and(|m| m.born == name))
    }

    /// Brings a new mailbox into being, with nothing in it, under a name.
    pub fn create(&mut self, name: &str, owner: User, mode: u16) -> usize {
        let born = name.to_owned();
        let mailbox = Some(Mailbox { owner, mode, born, ..Mailbox::default() });
        let place = match self.mailboxes.iter().position(Option::is_none) {
            Some(free) => {
                self.mailboxes[free] = mailbox;
                free
            }
            None => {
                self.mailboxes.push(mailbox);
                self.mailboxes.len() - 1
            }
        };
        self.names.insert(name.to_owned(), place);
        place
    }

    /// The process lets go of all that it holds.
    pub fn release(&mut self, process: Process) {
        self.holder_mut(process).handles.clear();
        for mailbox in self.mailboxes.iter_mut().flatten() {
            mailbox.registered = mailbox.registered.filter(|(p, _)| *p != process);
            mailbox.waiting.retain(|p| *p != process);
            mailbox.handed.retain(|(p, _)| *p != process);
        }
        self.collect();
    }

    /// Drops every mailbox that has no name and that nobody holds.
    pub fn collect(&mut self) {
        for place in 0..self.mailboxes.len() {
            let holds = |h: &Holder| h.handles.values().any(|handle| handle.mailbox == place);
            let held = self.holders.iter().any(holds);
            if !held && !self.names.values().any(|named| *named == place) {
                self.mailboxes[place] = None;
            }
        }
        while let Some(None) = self.mailboxes.last() {
            self.mailboxes.pop();
        }
    }

    /// Whether `user` may open `mailbox` for `access`.
    pub fn permits(mailbox: &Mailbox, user: User, access: Access) -> bool {
        let bits = if mailbox.owner == user { mailbox.mode >> 6 } else { mailbox.mode };
        bits & access.bits() == access.bits()
    }
}
