//! What the workers wrote down, joined.

use ipc_model::{History, Operation, Process, Scenario};

use crate::arena::{Arena, Record, now};

/// The first call that ended in a way the model has no word for, and whether that is a panic.
pub(super) fn first_odd(arena: &Arena, scenario: &Scenario) -> Option<(bool, String)> {
    (0..arena.processes() as u16).map(Process).find_map(|p| {
        let op = |call| scenario.calls(p).nth(call as usize).map_or("?", ipc_model::Op::name);
        arena.records(p).unwrap_or_default().into_iter().find_map(|(_, record)| match record {
            Record::Odd { call } => Some((false, format!("{p} {} failed oddly", op(call)))),
            Record::Panicked { call } => Some((true, format!("{p} {} panicked", op(call)))),
            Record::Unsupported { call } => {
                Some((false, format!("the link claims {} and has no such call", op(call))))
            }
            _ => None,
        })
    })
}

/// Joins what the workers wrote down.
pub(super) fn history(arena: &Arena, scenario: &Scenario) -> Result<History, String> {
    let mut history = History { links: scenario.links.clone(), ..History::default() };
    let mut index = std::collections::HashMap::new();
    let mut blocked = Vec::new();
    let end = now();
    for process in (0..scenario.width() as u16).map(Process) {
        let calls: Vec<_> = scenario.calls(process).copied().collect();
        let (mut last, mut inside) = (0, None);
        for (time, record) in arena.records(process).map_err(|e| e.to_string())? {
            if time > end || time < last {
                return Err(format!("{process} reports times that go backwards"));
            }
            last = time;
            let known = |call: u32| {
                let op = calls.get(call as usize).copied();
                op.ok_or_else(|| format!("{process} reports call {call} of {}", calls.len()))
            };
            match record {
                Record::Call { call } => {
                    let op = known(call)?;
                    if let Some(earlier) = inside.replace(call) {
                        return Err(format!("{process} begins call {call} within {earlier}"));
                    }
                    if index.contains_key(&(process, call)) {
                        return Err(format!("{process} begins call {call} twice"));
                    }
                    let timed = op.mode() == ipc_model::Mode::Timed;
                    index.insert((process, call), history.operations.len());
                    history.operations.push(Operation {
                        process,
                        op,
                        call: time,
                        ret: None,
                        timeout: timed.then_some(scenario.timeout),
                        blocked: None,
                    });
                }
                Record::Return { call, ret } => match index.get(&(process, call)) {
                    Some(&i) if history.operations[i].ret.is_none() => {
                        inside = None;
                        history.operations[i].ret = Some((time, ret));
                    }
                    _ => return Err(format!("{process} answers call {call} twice or unasked")),
                },
                Record::Blocked { process, call } => blocked.push((process, call, time)),
                Record::Kill { process } => history.kills.push((time, process)),
                Record::Killed { process } => history.crashes.push((time, process)),
                Record::Odd { .. } | Record::Panicked { .. } | Record::Unsupported { .. } => {
                    inside = None;
                }
            }
        }
    }
    for (process, call, time) in blocked {
        if let Some(&i) = index.get(&(process, call)) {
            history.operations[i].blocked = Some(time);
        }
    }
    Ok(history)
}
