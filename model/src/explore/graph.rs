//! The states of a scenario as a picture.

use std::fmt::Write;

use super::{Label, Limit, Node, Space, Visit, walk};
use crate::op::Process;
use crate::scenario::Scenario;
use crate::spec::Spec;
use crate::state::Call;

/// The graph of the scenario's states in the DOT language: a node a state, an edge a label. The
/// states in which the scenario may end are shaded.
pub fn dot(spec: &Spec, scenario: &Scenario, limit: Limit) -> String {
    let mut edges = String::new();
    let mut nodes: Vec<(String, bool)> = Vec::new();
    walk(&Space::new(spec, scenario, limit.reduced), limit, |step| {
        let Visit::Edge(from, label, to) = step else { return };
        let known = nodes.len().max(from.0 + 1).max(to.0 + 1);
        nodes.resize(known, (String::new(), true));
        nodes[from.0] = (describe(from.1), false);
        nodes[to.0].0 = describe(to.1);
        let label = match label {
            Label::Step(p, rule) => format!("{p} {rule}"),
            Label::Call(p) => format!("{p} calls"),
            Label::Return(p, ret) => format!("{p} is told {ret}"),
            Label::Time(p) => format!("{p}'s deadline"),
            Label::Go(p) => format!("{p} goes on"),
            Label::Kill(p) => format!("{p} is killed"),
        };
        let _ = writeln!(edges, "  s{} -> s{} [label=\"{label}\"];", from.0, to.0);
    });
    let mut text = String::from("digraph states {\n  node [shape=box, fontname=monospace];\n");
    for (i, (node, end)) in nodes.iter().enumerate() {
        let shade = if *end { ", style=filled, fillcolor=lightgrey" } else { "" };
        let _ = writeln!(text, "  s{i} [label=\"{node}\"{shade}];");
    }
    text + &edges + "}\n"
}

/// A line for each process, and one for what waits in each link.
fn describe(node: &Node) -> String {
    let calls = node.state.calls.iter().enumerate().map(|(i, call)| {
        let p = Process(i as u16);
        match call {
            Call::Running => format!("{p} outside"),
            Call::Pending { op, blocked: false, expired: false } => format!("{p} in {op}"),
            Call::Pending { op, blocked: false, expired: true } => format!("{p} late in {op}"),
            Call::Pending { op, blocked: true, expired: false } => format!("{p} asleep in {op}"),
            Call::Pending { op, blocked: true, expired: true } => {
                format!("{p} asleep, late, in {op}")
            }
            Call::Returning(ret) => format!("{p} gets {ret}"),
            Call::Dead => format!("{p} dead"),
        }
    });
    let queues = node.state.links.iter().map(|link| {
        let waiting: Vec<String> = link.queue.iter().map(|w| w.message.to_string()).collect();
        format!("[{}]", waiting.join(" "))
    });
    calls.chain(queues).collect::<Vec<_>>().join("\\n")
}
