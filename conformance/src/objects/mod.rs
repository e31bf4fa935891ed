//! Real named objects (shared memory, mailboxes) held against the models of memory and of names.
//!
//! Processes of their own make random calls, one after the other or two at once, and the machine of
//! [`ipc_model::machine`] decides whether it explains every answer. Whatever carries calls out is
//! an [`Objects`]: a worker process on a real system or through a crate, or the machine itself,
//! broken on purpose. A program that breaks a rule is made as short as it goes, and written down
//! ([`Replay`]).

pub mod crates;
mod link;
mod offer;
mod play;
mod programs;
mod replay;
mod served;
mod shrink;
mod system;
mod tally;
mod worker;

pub use crates::{OFFER, WITHOUT_INPUT, WORKER};
pub use link::{ADAPTER, ANOTHER_MODEL, Subject, another_model, decide, memory, names, programs};
pub use link::{rules, shown, shown_by, size};
pub use offer::{NAMES, Offer, build, offer, package, usable};
pub use play::{Objects, Told, Users};
pub use programs::{Programs, Step};
pub use replay::Replay;
pub use served::Served;
pub use system::{System, SystemError};
pub use tally::{Again, Found, ONE_USER, Setting, run};
pub use worker::{access, in_a_file, real, refusal, serve};
