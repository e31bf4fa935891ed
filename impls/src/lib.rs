//! Real links: shared memory that outlives a `kill -9`, and the queues of the operating system.
//!
//! Every link has two kinds of end, a sender and a receiver, with the same verbs
//! ([`links::SendingEnd`], [`links::ReceivingEnd`]). Each is a folder of [`links`], which holds
//! its layout, its ends and its tests.
//!
//! The way down is short: a link is an algorithm over [`shm`] (who is attached, how to sleep, how
//! to lock), which rests on `sync` (the one switch between loom's atomics and the real ones) and
//! `sys` (the one door to the kernel).

pub mod links;
pub mod region;
pub mod shm;
pub(crate) mod sync;
pub(crate) mod sys;

pub use sys::Fault;
