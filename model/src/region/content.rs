//! The bytes of an object.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::FxHasher;

/// What is known of one byte that is not simply zero.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// This value.
    Is(u8),
    /// One of these values, in ascending order: a store was cut short here, and nobody has looked
    /// since.
    Among(Vec<u8>),
    /// The standard leaves open what is there.
    Any,
}

/// The bytes of an object that are not zero.
///
/// A check holds very many states that differ in a byte or two, so the bytes lie in chunks that
/// states share, and a digest of all of them is kept up to date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// By address over the size of a chunk, then by address; no chunk is empty.
    chunks: BTreeMap<u64, Arc<BTreeMap<u64, Cell>>>,
    /// All cells' marks, joined by exclusive or.
    digest: u64,
}

const CHUNK: u64 = 64;

impl Hash for Content {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

fn mark(address: u64, cell: &Cell) -> u64 {
    let mut hasher = FxHasher::default();
    (address, cell).hash(&mut hasher);
    hasher.finish()
}

impl Content {
    /// What is known of the byte, unless it is zero.
    pub fn at(&self, address: u64) -> Option<&Cell> {
        self.chunks.get(&(address / CHUNK))?.get(&address)
    }

    /// Makes the byte this; `None`: zero.
    pub fn set(&mut self, address: u64, cell: Option<Cell>) {
        if self.at(address) == cell.as_ref() {
            return;
        }
        let chunk = Arc::make_mut(self.chunks.entry(address / CHUNK).or_default());
        if let Some(cell) = &cell {
            self.digest ^= mark(address, cell);
        }
        let before = match cell {
            Some(cell) => chunk.insert(address, cell),
            None => chunk.remove(&address),
        };
        if let Some(before) = before {
            self.digest ^= mark(address, &before);
        }
        if chunk.is_empty() {
            self.chunks.remove(&(address / CHUNK));
        }
    }

    /// Makes every byte from `size` on zero.
    pub fn cut(&mut self, size: u64) {
        let chunks = self.chunks.range(size / CHUNK..).flat_map(|(_, chunk)| chunk.keys());
        let gone: Vec<u64> = chunks.copied().filter(|address| *address >= size).collect();
        gone.into_iter().for_each(|address| self.set(address, None));
    }
}
