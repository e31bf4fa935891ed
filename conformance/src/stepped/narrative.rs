//! A counterexample in words: who ran up to which line, what was done there, what each process
//! was told then, and what the model allows instead.

use ipc_model::{Counterexample, Process};

use super::course::{Action, CREATOR, Call, Course, Way};
use super::source::{Modules, Sources};

/// One line, or a few, for each thing that was done and matters.
pub(super) fn tell(
    course: &Course,
    counterexample: Option<&Counterexample>,
    modules: &Modules,
) -> Vec<String> {
    let mut sources = Sources::default();
    let mut lines = Vec::new();
    let mut calls: Vec<(Process, Call)> = Vec::new();
    let forbidden = forbidden(course, counterexample);
    for (number, action) in course.actions.iter().enumerate() {
        let call = |p: &Process| {
            let mine = calls.iter().rev().find(|(who, _)| who == p);
            mine.map(|(_, call)| call.to_string()).unwrap_or_default()
        };
        match action {
            Action::Begin { process, call } => calls.push((*process, *call)),
            Action::Reach { process, way } => {
                let who = name(*process);
                let after = way.instructions;
                if after == 0 {
                    lines.push(format!("{who} {}: stops before it begins", call(process)));
                    continue;
                }
                let s = if after == 1 { "" } else { "s" };
                let call = call(process);
                lines.push(format!("{who} {call}: stops after {after} instruction{s}, before"));
                lines.extend(place(way, modules, &mut sources).map(|line| format!("      {line}")));
            }
            Action::Kill { process } => {
                let mut before = course.actions[..number].iter().rev();
                let how = match before.find(|a| a.process() == Some(*process)) {
                    Some(Action::GoOn { came, .. }) if came == "asleep" => "asleep in its call",
                    Some(Action::Reach { .. }) => "there",
                    _ => "between two calls",
                };
                lines.push(format!("{} is killed {how}", name(*process)));
            }
            Action::GoOn { process, came, .. } => {
                let op = calls.iter().rev().find(|(p, _)| p == process).map(|(_, call)| call);
                // That everybody connects is not worth a word where it goes well.
                if matches!(op, Some(Call::Connect | Call::Create)) && came == "ok" {
                    continue;
                }
                let mut line = format!("{} {}: {came}", name(*process), call(process));
                if let Some(counterexample) = counterexample.filter(|_| Some(number) == forbidden) {
                    line += &format!("   ◄── not allowed; {}", allowed(counterexample));
                }
                lines.push(line);
            }
            Action::Remove => lines.push("what was left behind is removed".into()),
            Action::Creator | Action::Admit { .. } | Action::HandOver | Action::EvenClocks => {}
        }
    }
    lines
}

fn name(process: Process) -> String {
    if process == CREATOR { "the creator".into() } else { process.to_string() }
}

/// The action in which the process was told what it must not be told.
fn forbidden(course: &Course, counterexample: Option<&Counterexample>) -> Option<usize> {
    let counterexample = counterexample?;
    let mut at = None;
    let mut last = None;
    for (number, action) in course.actions.iter().enumerate() {
        match action {
            Action::Begin { process, call } if *process == counterexample.process => {
                last = Some(*call);
            }
            Action::GoOn { process, .. } if *process == counterexample.process => {
                let told = matches!(last, Some(Call::Op { op, .. }) if op == counterexample.op);
                if told && at_time(counterexample, course, number) {
                    at = Some(number);
                }
            }
            _ => {}
        }
    }
    at
}

/// Whether the action is the one that the counterexample speaks of: what was told must fit, since
/// a process may make the same call several times.
fn at_time(counterexample: &Counterexample, course: &Course, number: usize) -> bool {
    let Some(Action::GoOn { came, .. }) = course.actions.get(number) else { return false };
    match counterexample.got {
        ipc_model::Got::Returned(ret) => ret.to_string() == *came,
        ipc_model::Got::Stuck => came == "asleep" || came == "spins",
    }
}

fn allowed(counterexample: &Counterexample) -> String {
    let all: Vec<String> = counterexample
        .allowed
        .iter()
        .map(|(allowed, rule)| format!("{allowed} (by {rule})"))
        .collect();
    if all.is_empty() {
        return "nothing is allowed here".into();
    }
    format!("allowed here: {}", all.join(", "))
}

fn place(way: &Way, modules: &Modules, sources: &mut Sources) -> impl Iterator<Item = String> {
    let frames = modules.frames(&way.at, sources);
    let hit = match &way.run {
        Some((spot, hits)) if *spot == way.at => format!(", for the {hits}. time"),
        _ => String::new(),
    };
    let spot = format!("[{}{hit}]", way.at);
    let inlined = frames.into_iter().enumerate();
    let inlined = inlined.map(|(i, frame)| if i == 0 { frame } else { format!("in {frame}") });
    inlined.chain([spot])
}
