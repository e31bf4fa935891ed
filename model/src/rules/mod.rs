//! The catalogue: every rule of the model, one folder of it a file.

use std::sync::OnceLock;

use crate::rule::Rule;

pub mod at;
mod broadcast;
mod buffered;
mod cell;
mod ends;
mod properties;
mod rendezvous;
mod size;

/// Every rule, in the order in which reports list them.
pub fn all() -> &'static [Rule] {
    static ALL: OnceLock<Vec<Rule>> = OnceLock::new();
    ALL.get_or_init(|| {
        [
            buffered::SEND,
            buffered::RECEIVE,
            rendezvous::RULES,
            size::RULES,
            ends::RULES,
            properties::RULES,
            broadcast::RULES,
            cell::RULES,
        ]
        .concat()
    })
}
