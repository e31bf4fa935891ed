//! The calls of a history, in whichever form they are held.

use super::{History, Log, Operation};
use crate::op::{Op, Process, Refusal, Ret};
use crate::state::{Ends, ProcessSet};

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

    /// Who held which end, link by link, with what was left open filled in: an end that nobody
    /// uses is held by somebody whom the history does not show, unless it tells of closing.
    pub(crate) fn ends(&self) -> Vec<Ends> {
        let given = self.links.len();
        let mut ends = self.links.to_vec();
        ends.resize(given.max(1), Ends::default());
        let mut closed = vec![false; ends.len()];
        let mut seen = ProcessSet::default();
        let Ok(()) = self.each(|_, o| {
            let link = o.op.link() as usize;
            ends.resize(ends.len().max(link + 1), Ends::default());
            closed.resize(ends.len(), false);
            if link >= given && o.process.0 < ProcessSet::LIMIT {
                seen.insert(o.process);
                closed[link] |= matches!(o.ret, Some((_, Ret::Refused(Refusal::Closed))));
                match o.op {
                    Op::Send { .. } => ends[link].senders.insert(o.process),
                    Op::Receive { .. } => ends[link].receivers.insert(o.process),
                    Op::Close { .. } => closed[link] = true,
                }
            }
            Ok::<_, std::convert::Infallible>(())
        });
        self.crashes.iter().filter(|c| c.1.0 < ProcessSet::LIMIT).for_each(|c| seen.insert(c.1));
        let stranger = (0..ProcessSet::LIMIT).map(Process).find(|p| !seen.contains(*p));
        for (ends, _) in ends.iter_mut().zip(closed).skip(given).filter(|(_, closed)| !closed) {
            for end in [&mut ends.senders, &mut ends.receivers].into_iter().filter(|e| e.is_empty())
            {
                stranger.into_iter().for_each(|p| end.insert(p));
            }
        }
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
