//! The last accesses to every byte, kept by ranges of bytes that share them.

use std::collections::BTreeMap;

use super::Place;
use super::clock::Epoch;

/// The last accesses to a range of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Last {
    /// The last write.
    pub(super) write: Option<Epoch>,
    /// The reads since then, without those that are known to have happened before another of
    /// them: whatever races with one of those races with that other, too.
    pub(super) reads: Vec<Epoch>,
}

/// The last accesses to one region. Ranges do not overlap; a range that is missing was never
/// touched.
#[derive(Clone, Debug, Default)]
pub(super) struct Segments(BTreeMap<u64, (u64, Last)>);

impl Segments {
    /// Cuts the range that `address` lies inside of in two, so that one begins there.
    fn cut(&mut self, address: u64) {
        let Some((&start, (end, _))) = self.0.range(..address).next_back() else { return };
        let end = *end;
        if address < end {
            let (_, last) = self.0[&start].clone();
            self.0.insert(address, (end, last.clone()));
            self.0.insert(start, (address, last));
        }
    }

    /// What is known of each range within `place`; those never touched are left out.
    pub(super) fn within(&mut self, place: &Place) -> impl Iterator<Item = &mut Last> {
        self.cut(place.start);
        self.cut(place.end());
        self.0.range_mut(place.start..place.end()).map(|(_, (_, last))| last)
    }

    /// Makes `last` all that is known of `place`: one range again.
    pub(super) fn set(&mut self, place: &Place, last: Last) {
        self.cut(place.start);
        self.cut(place.end());
        let old: Vec<u64> =
            self.0.range(place.start..place.end()).map(|(start, _)| *start).collect();
        old.iter().for_each(|start| {
            self.0.remove(start);
        });
        self.0.insert(place.start, (place.end(), last));
    }

    /// Notes `last` for every byte of `place` that was never touched.
    pub(super) fn fill(&mut self, place: &Place, last: &Last) {
        let mut gaps = Vec::new();
        let mut from = place.start;
        for (&start, (end, _)) in self.0.range(place.start..place.end()) {
            if from < start {
                gaps.push((from, start));
            }
            from = *end;
        }
        if from < place.end() {
            gaps.push((from, place.end()));
        }
        for (start, end) in gaps {
            self.0.insert(start, (end, last.clone()));
        }
    }
}
