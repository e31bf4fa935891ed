//! `ipc-conform`: is this inter-process communication correct?

mod program;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    program::Arguments::parse().run()
}
