//! Whether a history keeps to the one rule about its own numbering of handles and mappings.

use std::collections::BTreeSet;

use super::{Op, RegionHistory, Ret};

/// A process that fills a slot which is in use: then the history does not say which object a
/// later call is about, and nothing can be decided.
pub(super) fn twice_used(history: &RegionHistory) -> Option<String> {
    let mut operations: Vec<_> = history.operations.iter().collect();
    operations.sort_by_key(|o| (o.process, o.call, o.ret.as_ref().map_or(u64::MAX, |(t, _)| *t)));
    let mut used = BTreeSet::new();
    for o in operations {
        let refused = matches!(o.ret, Some((_, Ret::Refused(_))));
        let (fills, slot) = match o.op {
            Op::Open { handle, .. } => (true, (o.process, "handle", handle)),
            Op::Attach { mapping, .. } => (true, (o.process, "mapping", mapping)),
            Op::Close { handle } => (false, (o.process, "handle", handle)),
            Op::Detach { mapping } => (false, (o.process, "mapping", mapping)),
            _ => continue,
        };
        let (process, kind, number) = slot;
        if !fills {
            used.remove(&slot);
        } else if !refused && !used.insert(slot) {
            return Some(format!("{process} fills {kind} {number} while it is in use"));
        }
    }
    None
}
