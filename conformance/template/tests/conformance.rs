//! Holds the channel against the executable model: `cargo test`, or `cargo nextest run`.

mod adapter;

fn main() -> std::process::ExitCode {
    ipc_conformance::main(&adapter::Channel)
}
