//! Crates that share memory, each in a program of its own that does with it what a model of
//! regions can explain.

use std::process::ExitCode;

use ipc_model::machine::Errno;
use ipc_model::region::{Op, Region, Ret};

use super::Offer;
use super::play::Told;
use super::worker::{input, lines};

/// The first argument of a program that is to say what its crate offers; the name of the offer
/// follows.
pub const OFFER: &str = "objects-offer";

/// The first argument of a program that is to carry calls out. The name of what it uses follows,
/// and what the names of objects begin with.
pub const WORKER: &str = "objects-worker";

/// The argument after those, if the program is to have no standard input of its own.
pub const WITHOUT_INPUT: &str = "without-input";

/// Shared memory, as a process uses it through a crate.
///
/// Calls of the model are asked for; the crate's own call that is nearest to one is made, and told
/// in the model's words: it may have taken several steps (create, set the size, attach), or the
/// crate may have no such call, and nothing is done and nothing told. What was asked for settles
/// which steps a call takes; only what the crate says settles how they ended.
pub trait Memory {
    /// Makes the call.
    ///
    /// # Errors
    /// What happened, if the model has no words for it.
    fn call(&mut self, op: &Op) -> Result<Told<Region>, String>;
}

/// The whole `main` of a program that uses a crate: `open` is told which offer is meant, and what
/// the names of objects begin with.
pub fn main(
    offer: impl Fn(&str) -> Option<Offer>,
    open: impl Fn(&str, &str) -> Result<Box<dyn Memory>, String>,
) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [OFFER, name] => offer(name)
            .ok_or_else(|| format!("nothing is called {name:?} here"))
            .and_then(|offer| serde_json::to_string(&offer).map_err(|e| e.to_string()))
            .map(|text| println!("{text}")),
        [WORKER, name, prefix] => work(&open, name, prefix, false),
        [WORKER, name, prefix, WITHOUT_INPUT] => work(&open, name, prefix, true),
        _ => Err(format!("usage: {OFFER} NAME, or {WORKER} NAME PREFIX [{WITHOUT_INPUT}]")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn work(
    open: impl Fn(&str, &str) -> Result<Box<dyn Memory>, String>,
    name: &str,
    prefix: &str,
    without_input: bool,
) -> Result<(), String> {
    let input = input(without_input).map_err(|e| e.to_string())?;
    let mut memory = open(name, prefix)?;
    lines::<Region>(input, |op| memory.call(op))?;
    // It ends as a process does that drops nothing, which is what the model's end of one is.
    std::process::exit(0)
}

/// The steps of a call that came through.
pub fn done(steps: impl IntoIterator<Item = Op>) -> Told<Region> {
    steps.into_iter().map(|op| (op, Ret::Done)).collect()
}

/// The only step of a call that was refused.
pub fn refused(op: &Op, errno: Errno) -> Told<Region> {
    vec![(op.clone(), Ret::Refused(errno))]
}
