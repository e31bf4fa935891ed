//! What the model promises of each of its states: the explorer holds it to that.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::{Explorer, Node, outcome};
use crate::op::{Message, Mode, Process, Ret};
use crate::profile::Capacity;
use crate::rule::{Kind, RuleId};
use crate::state::Call;

/// The promises, as [`super::Exploration::broken`] begins with them.
pub const PROMISES: [&str; 7] = [
    "bound kept",
    "nothing invented",
    "nothing twice",
    "nothing lost",
    "waiting is silence",
    "one step, one rule",
    "every step changes something",
];

impl Explorer<'_> {
    /// Notes every invariant that the node breaks.
    pub(super) fn hold_to(&self, node: &Node, broken: &mut BTreeSet<String>) {
        let mut places: FxHashMap<(Process, u32), u32> = FxHashMap::default();
        let mut count = |m: &Message| *places.entry((m.sender, m.sequence)).or_default() += 1;
        let received = |ret: &Ret| match ret {
            Ret::Received(m) => Some(*m),
            _ => None,
        };
        for link in &node.state.links {
            link.queue.iter().for_each(|w| count(&w.message));
            let bound = match self.spec.profile.capacity {
                Capacity::Zero => 0,
                Capacity::Bounded(n) => n as usize * self.scenario.width(),
                Capacity::AtLeast(_) | Capacity::Unbounded => usize::MAX,
            };
            let shared = self.spec.profile.addressing == crate::Addressing::Mailbox;
            let bound = if shared { bound / self.scenario.width().max(1) } else { bound };
            let each = self.spec.profile.distribution == crate::Distribution::ToEach;
            let bound =
                if each { bound.saturating_mul(link.receivers.iter().count()) } else { bound };
            if link.queue.len() > bound {
                broken.insert(format!("bound kept: {}", outcome(node)));
            }
        }
        node.told.iter().flatten().filter_map(received).for_each(|m| count(&m));
        for call in &node.state.calls {
            if let Call::Returning(ret) = call {
                received(ret).iter().for_each(&mut count);
            }
        }
        let sent = self.scenario.messages().map(|m| (m.sender, m.sequence));
        let sent: BTreeSet<_> = sent.collect();
        if places.keys().any(|name| !sent.contains(name)) {
            broken.insert(format!("nothing invented: {}", outcome(node)));
        }
        let queue = self.spec.profile.distribution.is_queue();
        if queue && places.values().any(|n| *n > 1) {
            broken.insert(format!("nothing twice: {}", outcome(node)));
        }
        // A receiver that was killed may have taken a message with it.
        let killed = node.state.calls.contains(&Call::Dead);
        for p in (0..self.scenario.width() as u16).map(Process) {
            let told = node.told[p.0 as usize].iter();
            let done = self.scenario.calls(p).zip(told).filter(|(_, ret)| **ret == Ret::Done);
            let lost = done
                .filter_map(|(op, _)| op.message())
                .any(|m| !places.contains_key(&(m.sender, m.sequence)));
            if lost && !killed && queue {
                broken.insert(format!("nothing lost: {}", outcome(node)));
            }
            self.hold_to_waiting(node, p, broken);
        }
        self.hold_to_reasons(node, broken);
    }

    /// A call that has not taken effect can take a step, or sleeps: never both, never neither.
    fn hold_to_waiting(&self, node: &Node, p: Process, broken: &mut BTreeSet<String>) {
        let Call::Pending { op, expired, .. } = *node.state.call(p) else { return };
        if matches!(self.spec.profile.capacity, Capacity::AtLeast(_)) {
            return;
        }
        let mut awake = node.state.clone();
        awake.set(p, Call::Pending { op, blocked: false, expired });
        // A partner that does not wait may meet it, but need not: it may sleep until then.
        for call in &mut awake.calls {
            let waits = matches!(call, Call::Pending { op, .. } if op.mode() != Mode::Nonblocking);
            let own = *call == Call::Pending { op, blocked: false, expired };
            if !waits && !own {
                *call = Call::Running;
            }
        }
        let enabled = self.spec.enabled(&awake, p);
        let blocks = enabled.iter().any(|r| r.rule().kind == Kind::Blocks);
        // Dying is no step of the call's own.
        let own = |r: &&RuleId| !matches!(r.rule().kind, Kind::Blocks | Kind::Internal);
        let others = enabled.iter().any(|r| own(&r));
        if blocks == others {
            let which = if blocks { "and may take a step" } else { "and may not even sleep" };
            broken.insert(format!("waiting is silence: {p} in {op} {which}: {}", outcome(node)));
        }
    }

    /// A step has one reason, and makes a difference.
    fn hold_to_reasons(&self, node: &Node, broken: &mut BTreeSet<String>) {
        let all = (0..self.scenario.width() as u16).map(Process);
        let steps: Vec<_> = all.flat_map(|p| self.spec.steps(&node.state, p)).collect();
        for (i, (rule, next)) in steps.iter().enumerate() {
            if *next == node.state {
                let so_far = outcome(node);
                broken.insert(format!("every step changes something: not {rule}: {so_far}"));
            }
            let also = steps[..i].iter().find(|(other, to)| other != rule && to == next);
            if let Some((other, _)) = also {
                let so_far = outcome(node);
                broken.insert(format!("one step, one rule: {other} and {rule}: {so_far}"));
            }
        }
    }
}
