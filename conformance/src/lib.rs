//! Runs any IPC link against the executable model of `ipc-model`.
//!
//! An [`adapter::Adapter`] tells what a link claims and how to use it; [`main`] makes it a program
//! that serves the control protocol and is its own worker; [`run`] runs a scenario through such a
//! program and brings back the history; [`suite`] decides, rule by rule, what came of it.

pub mod adapter;
pub mod arena;
pub mod bench;
pub mod calls;
pub mod campaign;
pub mod catalogue;
pub mod descriptors;
pub mod deviation;
pub mod frames;
pub mod futures;
pub mod generate;
mod harness;
mod heap;
mod host;
pub mod lineage;
pub mod look;
pub mod objects;
pub mod payload;
pub mod probe;
pub mod protocol;
pub mod replay;
pub mod report;
pub mod rulebook;
pub mod run;
pub mod sockets;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod stepped;
pub mod stepping;
pub mod suite;
mod talk;
pub mod temporary;
pub mod values;
pub mod versions;
pub mod worker;

use std::process::ExitCode;

pub use heap::SharedHeap;

/// Why a cell is inconclusive that the user did not ask for.
pub const NOT_ASKED: &str = "not asked for";

/// Why a cell is inconclusive whose rule no scenario has put to the test.
pub const NOT_NEEDED: &str = "no run needed it";

/// The one line of an adapter's `main`: the program is at once a worker and a host of
/// `ipc-conform`, where the environment says so, and otherwise a test binary in which every rule
/// of every link is a test of its own, for `cargo test` and cargo-nextest.
pub fn main(adapter: &dyn adapter::Adapter) -> ExitCode {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    if let Ok(order) = std::env::var(stepping::ORDER_VARIABLE) {
        return match stepped::controller::serve(adapter, &order) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("{}: {why}", adapter.name());
                ExitCode::from(2)
            }
        };
    }
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    if let Ok(descriptor) = std::env::var(protocol::ZYGOTE_VARIABLE) {
        return match stepped::actor::serve(adapter, &descriptor) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("{}: {why}", adapter.name());
                ExitCode::from(2)
            }
        };
    }
    let result = if let Ok(task) = std::env::var(protocol::WORKER_VARIABLE) {
        host::work(adapter, &task).map_err(|e| e.to_string())
    } else if std::env::var_os(protocol::HOST_VARIABLE).is_some() {
        host::serve(adapter).map_err(|e| e.to_string())
    } else {
        return harness::run(adapter);
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{}: {why}", adapter.name());
            ExitCode::from(2)
        }
    }
}

/// The version that a lock file pins a crate to: what an adapter was built with. Where the lock
/// file holds several, the newest is listed last and taken.
pub fn version_of(name: &str, lock_file: &str) -> String {
    let entry = format!("name = \"{name}\"");
    let mut lines = lock_file.lines();
    let mut version = None;
    while lines.any(|l| l == entry) {
        version = lines.next().and_then(|l| l.strip_prefix("version = \"")?.strip_suffix('"'));
    }
    version.unwrap_or("unknown").into()
}

/// The kernel's release: the version of an OS facility.
pub fn kernel_version() -> String {
    let release = nix::sys::utsname::uname().map(|u| u.release().to_string_lossy().into_owned());
    release.unwrap_or_else(|_| "unknown".into())
}
