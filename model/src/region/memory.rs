//! Accesses, byte by byte.

use super::op::{Access, Op, Ret};
use super::state::{Mapping, State, Zone, zone};
use super::{At, Fault, Region, Resized};
use crate::machine::{Effect, Effects};
use crate::op::Process;

/// How far an access has come: what it has read or written, by byte. Empty before the first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Progress(pub Vec<Byte>);

/// How far an access has come with one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Byte {
    /// Not yet there.
    Waits,
    /// Stored, or loaded with this value; `None`: any value.
    Passed(Option<u8>),
}

/// One byte of an access: through which mapping, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The mapping.
    pub mapping: Mapping,
    /// The byte of the object.
    pub address: u64,
    /// Where it lies now.
    pub now: Zone,
    /// Where it lay when it was mapped.
    pub then: Zone,
}

impl Place {
    /// Where part `part` of the call lies, if a mapping covers it.
    pub(super) fn of(
        region: &Region,
        state: &State,
        process: Process,
        op: &Op,
        part: usize,
    ) -> Option<Self> {
        let (slot, place) = match op {
            Op::Read { mapping, place, .. } | Op::Write { mapping, place, .. } => (mapping, place),
            _ => return None,
        };
        let mapping = *state.holder(process).mappings.get(slot)?;
        let place = place.checked_add(part as u64)?;
        // A mapping takes in the whole of its last page.
        if place >= mapping.length.next_multiple_of(region.page) {
            return None;
        }
        let address = mapping.offset + place;
        let now = zone(address, state.object(mapping.object).size, region.page);
        let then = zone(address, mapping.size_then, region.page);
        Some(Self { mapping, address, now, then })
    }

    /// The place belongs to the object as it did when it was mapped, or the system does not mind.
    pub(super) fn steady(&self, region: &Region) -> bool {
        region.resized == Resized::Current || self.now == self.then
    }
}

fn length(op: &Op) -> usize {
    match op {
        Op::Read { length, .. } => *length as usize,
        Op::Write { bytes, .. } => bytes.len(),
        _ => 0,
    }
}

fn byte(progress: &Progress, part: usize) -> Byte {
    progress.0.get(part).copied().unwrap_or(Byte::Waits)
}

/// The bytes of the access that may pass next; of any other call, the call as a whole.
pub(super) fn parts(
    region: &Region,
    state: &State,
    process: Process,
    op: &Op,
    progress: &Progress,
    alone: bool,
) -> Vec<usize> {
    if !matches!(op, Op::Read { .. } | Op::Write { .. }) {
        return vec![0];
    }
    let waiting = (0..length(op).max(1)).filter(|part| byte(progress, *part) == Byte::Waits);
    if !alone {
        return waiting.collect();
    }
    // In one order: first a byte that may fault, because a fault leaves open which of the others
    // have passed; where none may, it makes no difference which comes first.
    let mut waiting = waiting.peekable();
    let first = waiting.peek().copied();
    let safe = |part: usize| {
        let place = Place::of(region, state, process, op, part);
        let writes = matches!(op, Op::Write { .. });
        place.is_some_and(|p| {
            p.steady(region)
                && p.now != Zone::Beyond
                && (!writes || p.mapping.access == Access::ReadWrite)
        })
    };
    waiting.find(|part| !safe(*part)).or(first).into_iter().collect()
}

/// The access is cut short: each byte of a store that has not passed may have, or may not.
pub(super) fn settle(
    region: &Region,
    state: &mut State,
    process: Process,
    op: &Op,
    progress: &Progress,
) {
    let Op::Write { bytes, .. } = op else { return };
    for (part, value) in bytes.iter().enumerate() {
        let waits = byte(progress, part) == Byte::Waits;
        let Some(place) = Place::of(region, state, process, op, part).filter(|_| waits) else {
            continue;
        };
        let object = state.object_mut(place.mapping.object);
        match place.now {
            _ if place.mapping.access == Access::ReadOnly => {}
            Zone::Inside => object.perhaps_put(place.address, *value),
            Zone::Tail => object.dirty_tail = true,
            Zone::Beyond => {}
        }
    }
}

/// The byte that this step is about has passed, and read this.
fn passes(at: &At<'_>, state: State, value: Option<u8>) -> Effect<Region> {
    let mut progress = at.progress.clone();
    progress.0.resize(length(at.op), Byte::Waits);
    if let Some(byte) = progress.0.get_mut(at.part) {
        *byte = Byte::Passed(value);
    }
    if progress.0.contains(&Byte::Waits) {
        return Effect::More(state, progress);
    }
    let read = |byte: &Byte| match byte {
        Byte::Passed(value) => *value,
        Byte::Waits => unreachable!("every byte has passed"),
    };
    let ret = match at.op {
        Op::Read { .. } => Ret::Read(progress.0.iter().map(read).collect()),
        _ => Ret::Done,
    };
    Effect::Done(state, ret)
}

/// The byte that this step is about.
pub(super) fn place(at: &At<'_>) -> Option<Place> {
    Place::of(at.machine, at.state, at.process, at.op, at.part)
}

/// What is recorded to have been read there.
fn seen(at: &At<'_>) -> Option<u8> {
    match at.seen? {
        Ret::Read(bytes) => bytes.get(at.part).copied().flatten(),
        _ => None,
    }
}

/// The byte is loaded: one outcome for each value that may be there.
pub(super) fn loads(at: &At<'_>) -> Effects<Region> {
    let place = place(at)?;
    let object = at.state.object(place.mapping.object);
    let Some(values) = object.values(place.address) else {
        return Some(vec![passes(at, at.state.clone(), None)]);
    };
    let fits = |value: &u8| seen(at).is_none_or(|seen| seen == *value);
    let load = |value: u8| {
        let mut next = at.state.clone();
        // Whoever looks settles what a store that was cut short has left.
        next.object_mut(place.mapping.object).put(place.address, value);
        passes(at, next, Some(value))
    };
    Some(values.into_iter().filter(fits).map(load).collect())
}

/// The byte is loaded, and may be this, or anything.
pub(super) fn loads_value(at: &At<'_>, value: Option<u8>) -> Effects<Region> {
    Some(vec![passes(at, at.state.clone(), value)])
}

/// The byte is stored.
pub(super) fn stores(at: &At<'_>) -> Effects<Region> {
    let Op::Write { bytes, .. } = at.op else { return None };
    let place = place(at)?;
    let mut next = at.state.clone();
    if let Some(value) = bytes.get(at.part) {
        next.object_mut(place.mapping.object).put(place.address, *value);
    }
    Some(vec![passes(at, next, None)])
}

/// The byte is stored behind the end, where it does not become part of the object.
pub(super) fn stores_behind_end(at: &At<'_>) -> Effects<Region> {
    let place = place(at)?;
    let mut next = at.state.clone();
    next.object_mut(place.mapping.object).dirty_tail = true;
    Some(vec![passes(at, next, None)])
}

/// The access ends in a fault.
pub(super) fn faults(at: &At<'_>, fault: Fault) -> Effects<Region> {
    let mut next = at.state.clone();
    let mut progress = at.progress.clone();
    progress.0.resize(length(at.op), Byte::Waits);
    if let Some(byte) = progress.0.get_mut(at.part) {
        *byte = Byte::Passed(None);
    }
    settle(at.machine, &mut next, at.process, at.op, &progress);
    Some(vec![Effect::Done(next, Ret::Faulted(fault))])
}

/// All that the standard leaves open for a byte that was added to its object, or cut off from it,
/// after it was mapped.
pub(super) fn anything(at: &At<'_>) -> Effects<Region> {
    let place = place(at)?;
    let mut effects = faults(at, Fault::BeyondEnd)?;
    if let Op::Read { .. } = at.op {
        effects.extend(loads_value(at, None)?);
        return Some(effects);
    }
    match place.now {
        Zone::Inside => {
            effects.push(passes(at, at.state.clone(), None));
            effects.extend(stores(at)?);
        }
        Zone::Tail => effects.extend(stores_behind_end(at)?),
        Zone::Beyond => effects.push(passes(at, at.state.clone(), None)),
    }
    Some(effects)
}
