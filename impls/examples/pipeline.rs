//! Modularity (P5): three programs, each good at one thing, joined by pipes.
//!
//! `pipeline` counts the words of its standard input as `words | sort | count`. Each of the three
//! also runs alone: `pipeline words < text`.

use std::error::Error;
use std::io::{BufRead, Write};
use std::process::{Command, Stdio};

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        None => join(&["words", "sort", "count"]),
        Some("words") => words(),
        Some("sort") => sort(),
        Some("count") => count(),
        Some(other) => Err(format!("there is no program {other}").into()),
    }
}

/// What one program writes, the next one reads. They all run at once.
fn join(programs: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut input = Stdio::inherit();
    let mut running = Vec::new();
    for (place, program) in programs.iter().enumerate() {
        let last = place + 1 == programs.len();
        let output = if last { Stdio::inherit() } else { Stdio::piped() };
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg(program).stdin(input).stdout(output).spawn()?;
        input = child.stdout.take().map_or_else(Stdio::null, Stdio::from);
        running.push(child);
    }
    for (mut child, program) in running.into_iter().zip(programs) {
        if !child.wait()?.success() {
            return Err(format!("{program} failed").into());
        }
    }
    Ok(())
}

fn words() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?.to_lowercase();
        for word in line.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            writeln!(out, "{word}")?;
        }
    }
    Ok(())
}

fn sort() -> Result<(), Box<dyn Error>> {
    let mut lines: Vec<String> = std::io::stdin().lock().lines().collect::<Result<_, _>>()?;
    lines.sort();
    let mut out = std::io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    Ok(())
}

/// Counts how often each line comes in a row.
fn count() -> Result<(), Box<dyn Error>> {
    let lines: Vec<String> = std::io::stdin().lock().lines().collect::<Result<_, _>>()?;
    let mut out = std::io::stdout().lock();
    for run in lines.chunk_by(|a, b| a == b) {
        writeln!(out, "{} {}", run.len(), run[0])?;
    }
    Ok(())
}
