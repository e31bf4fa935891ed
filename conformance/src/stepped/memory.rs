//! What several processes share at one moment, so that two worlds can be told apart.

use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::shared::Shared;

/// Of each mapping no more than this is looked at: links that map much use little.
const LOOKED_AT: u64 = 4 << 20;

/// The word that one thing is told from another by.
const WORD: usize = 8;

/// The bytes of every shared mapping of a process, in the order of their addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Image(Vec<Vec<u8>>);

/// Words that differ from one world to the next although nothing else does: times, process ids,
/// random names. By mapping and word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moving(Vec<(usize, usize)>);

impl Image {
    /// That of this process, which is stopped.
    pub(super) fn of(pid: Pid) -> Result<Self, String> {
        let shared = Shared::of(pid)?;
        let path = format!("/proc/{pid}/mem");
        let memory = File::open(&path).map_err(|e| format!("{path}: {e}"))?;
        let read = |range: &std::ops::Range<u64>| {
            let length = (range.end - range.start).min(LOOKED_AT);
            let mut bytes = vec![0; length as usize];
            // Behind the end of a mapped file there is nothing to read.
            let got = memory.read_at(&mut bytes, range.start).unwrap_or(0);
            bytes.truncate(got);
            bytes
        };
        Ok(Self(shared.mappings().map(|m| read(&m.range)).collect()))
    }

    /// Notes the words in which this differs from another world's image at the same point.
    pub(super) fn compare(&self, other: &Self, moving: &mut Moving) {
        for (mapping, (mine, theirs)) in self.0.iter().zip(&other.0).enumerate() {
            let words = mine.chunks(WORD).zip(theirs.chunks(WORD)).enumerate();
            let differ = words.filter(|(_, (a, b))| a != b).map(|(word, _)| (mapping, word));
            let new: Vec<_> = differ.filter(|place| !moving.0.contains(place)).collect();
            moving.0.extend(new);
        }
    }

    /// A number that is the same for the same contents, but for what moves.
    pub(super) fn hash(&self, moving: &Moving) -> u64 {
        let mut hash = Xxh3::new();
        for (mapping, bytes) in self.0.iter().enumerate() {
            hash.update(&(bytes.len() as u64).to_le_bytes());
            let mut bytes = bytes.clone();
            for (_, word) in moving.0.iter().filter(|(m, _)| *m == mapping) {
                let end = bytes.len().min((word + 1) * WORD);
                bytes[(word * WORD).min(end)..end].fill(0);
            }
            hash.update(&bytes);
        }
        hash.digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_is_left_out_of_the_hash_and_nothing_else_is() {
        let image = |a: u8, b: u8| Image(vec![vec![a; 8], [[1; 8], [b; 8]].concat()]);
        let mut moving = Moving::default();
        image(0, 1).compare(&image(0, 2), &mut moving);
        assert_eq!(moving, Moving(vec![(1, 1)]));
        assert_eq!(image(0, 1).hash(&moving), image(0, 9).hash(&moving));
        assert_ne!(image(0, 1).hash(&moving), image(1, 1).hash(&moving));
    }
}
