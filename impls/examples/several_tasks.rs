//! Convenience (P6): one user edits, compiles and prints at once, each in a process of its own.
//!
//! No task goes on before all three have begun, so they are at work at the same time.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

const TASKS: [&str; 3] = ["edit", "compile", "print"];

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        None => user(),
        Some(task) => work(task),
    }
}

fn user() -> Result<(), Box<dyn Error>> {
    let start = |task| {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(task).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
    };
    let mut running = Vec::new();
    for mut child in TASKS.map(start).into_iter().collect::<Result<Vec<_>, _>>()? {
        let mut said = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut line = String::new();
        said.read_line(&mut line)?;
        print!("{line}");
        running.push((child, said));
    }
    println!("all have begun, none has finished");
    for (child, _) in &mut running {
        // Closing its input lets a task go on.
        drop(child.stdin.take());
    }
    for (mut child, mut said) in running {
        let mut rest = String::new();
        said.read_to_string(&mut rest)?;
        print!("{rest}");
        if !child.wait()?.success() {
            return Err("a task failed".into());
        }
    }
    Ok(())
}

fn work(task: &str) -> Result<(), Box<dyn Error>> {
    println!("{task} begins");
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    match task {
        "edit" => println!("edit: {}", "Dear Sir, good bye".replace("Sir", "Madam")),
        "compile" => println!("compile: {}", compile("1 + 2 + 3")),
        "print" => println!("print: {:-^24}", " page 1 "),
        other => return Err(format!("there is no task {other}").into()),
    }
    Ok(())
}

/// A sum, for a machine with a stack.
fn compile(source: &str) -> String {
    let mut terms = source.split('+').map(|term| format!("push {}", term.trim()));
    let first = terms.next().unwrap_or_default();
    terms.fold(first, |code, term| format!("{code}; {term}; add"))
}
