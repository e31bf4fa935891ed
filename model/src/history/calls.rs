//! The calls of a history, in whichever form they are held.

use super::{History, Log, Operation};
use crate::op::{Op, Process};
use crate::state::Ends;

/// What the monitors need of a [`History`] or of a [`Log`].
#[derive(Clone, Copy)]
pub(crate) struct Calls<'h> {
    form: Form<'h>,
    pub(crate) crashes: &'h [(u64, Process)],
    pub(crate) links: &'h [Ends],
    pub(crate) quiescent: bool,
}

#[derive(Clone, Copy)]
enum Form<'h> {
    Plain(&'h [Operation]),
    Packed(&'h Log),
}

impl<'h> From<&'h History> for Calls<'h> {
    fn from(history: &'h History) -> Self {
        let History { operations, crashes, links, quiescent, .. } = history;
        Self { form: Form::Plain(operations), crashes, links, quiescent: *quiescent }
    }
}

impl<'h> From<&'h Log> for Calls<'h> {
    fn from(log: &'h Log) -> Self {
        let Log { crashes, links, quiescent, .. } = log;
        Self { form: Form::Packed(log), crashes, links, quiescent: *quiescent }
    }
}

impl Calls<'_> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self.form {
            Form::Plain(operations) => operations.len(),
            Form::Packed(log) => log.len(),
        }
    }

    /// The call at this place; `None` if there are not so many.
    pub(crate) fn find(&self, index: u32) -> Option<Operation> {
        let index = index as usize;
        match self.form {
            Form::Plain(operations) => operations.get(index).copied(),
            Form::Packed(log) => (index < log.len()).then(|| log.operation(index)),
        }
    }

    /// The call at this place, which there is.
    pub(crate) fn operation(&self, index: u32) -> Operation {
        match self.form {
            Form::Plain(operations) => operations[index as usize],
            Form::Packed(log) => log.operation(index as usize),
        }
    }

    /// Who held which end, link by link, with what was left open filled in.
    pub(crate) fn ends(&self) -> Vec<Ends> {
        let mut ends = self.links.to_vec();
        ends.resize(ends.len().max(1), Ends::default());
        let Ok(()) = self.each(|_, o| {
            let link = o.op.link() as usize;
            ends.resize(ends.len().max(link + 1), Ends::default());
            match o.op {
                _ if link < self.links.len() => {}
                Op::Send { .. } => ends[link].senders.insert(o.process),
                Op::Receive { .. } => ends[link].receivers.insert(o.process),
                Op::Close { .. } => {}
            }
            Ok::<_, std::convert::Infallible>(())
        });
        ends
    }

    /// Shows all of them with their places, until one is refused.
    pub(crate) fn each<E>(
        &self,
        mut show: impl FnMut(u32, &Operation) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.form {
            Form::Plain(all) => (0..).zip(all).try_for_each(|(i, o)| show(i, o)),
            Form::Packed(log) => (0..).zip(log.operations()).try_for_each(|(i, o)| show(i, &o)),
        }
    }
}
