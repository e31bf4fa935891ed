//! Numbers for messages, by their names.

use rustc_hash::FxHashMap;

use super::windows::NONE;
use crate::op::Message;
use crate::state::ProcessSet;

/// Messages by name: a table where numbers are dense, as they are in recorded histories.
#[derive(Default)]
pub(super) struct Names {
    dense: Vec<Vec<u32>>,
    sparse: FxHashMap<(u16, u32), u32>,
    limit: u32,
}

impl Names {
    pub(super) fn new(operations: usize) -> Self {
        let dense = vec![Vec::new(); ProcessSet::LIMIT as usize];
        let limit = u32::try_from(operations).unwrap_or(u32::MAX).saturating_add(1024);
        Self { dense, sparse: FxHashMap::default(), limit }
    }

    /// Where the message's number stands: [`NONE`] if it has none yet.
    pub(super) fn slot(&mut self, message: &Message) -> &mut u32 {
        let (sender, sequence) = (message.sender.0, message.sequence);
        if sequence >= self.limit || sender as usize >= self.dense.len() {
            return self.sparse.entry((sender, sequence)).or_insert(NONE);
        }
        let row = &mut self.dense[sender as usize];
        let place = sequence as usize;
        if row.len() <= place {
            row.resize((place + 1).max(2 * row.len()), NONE);
        }
        &mut row[place]
    }
}
