//! Real named objects (shared memory, mailboxes) held against the models of memory and of names.
//!
//! Processes of their own make random calls, one after the other or two at once, and the machine of
//! [`ipc_model::machine`] decides whether it explains every answer. Whatever carries calls out is
//! an [`Objects`]: a worker process on a real system, or the machine itself, broken on purpose.

mod link;
mod programs;
mod served;
mod system;
mod tally;
mod worker;

pub use link::{
    ADAPTER, ANOTHER_MODEL, another_model, claims, decide, documented, memory, names, programs,
    rules, size,
};
pub use programs::Programs;
pub use served::Served;
pub use system::{NAMES, System, SystemError};
pub use tally::{Found, ONE_USER, Objects, Users, run};
pub use worker::serve;
