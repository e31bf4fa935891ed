//! `bench`: what links cost, side by side in one run. The program that measures has all contenders
//! in it, so it is built only when it is asked for.

use std::process::Command;

use anyhow::Context;
use ipc_conformance::bench::BenchArguments;
use ipc_conformance::{catalogue, versions};

use super::USAGE;

pub(super) fn bench(arguments: &BenchArguments) -> anyhow::Result<u8> {
    let programs =
        catalogue::build_packages(&["ipc-bench".into()], "measured").map_err(anyhow::Error::msg)?;
    let program = programs.first().context("cargo built no program ipc-bench")?;
    let out = arguments.out.clone().unwrap_or_else(|| versions::target().join("ipc-conform"));
    let arguments = BenchArguments { out: Some(out), ..arguments.clone() };
    let status = Command::new(program)
        .args(arguments.words())
        .status()
        .with_context(|| program.display().to_string())?;
    // Without a code it was killed.
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(USAGE))
}
