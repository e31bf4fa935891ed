//! What the model promises of each of its states: the explorer holds it to that.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::{Label, Node, Space};
use crate::op::{Message, Mode, Process, Ret};
use crate::profile::{Addressing, Capacity, Distribution};
use crate::rule::{Kind, RuleId};
use crate::state::{Call, State};

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

impl Space<'_> {
    /// Every promise that the node breaks, with the outcome so far: none, in a sound model.
    pub fn broken_promises(&self, node: &Node) -> BTreeSet<String> {
        let all = (0..self.scenario.width() as u16).map(Process);
        let steps: Vec<_> = all.flat_map(|p| self.spec.steps(&node.state, p)).collect();
        let steps: Vec<_> = steps.iter().map(|(rule, next)| (*rule, next)).collect();
        self.broken_with(node, &steps)
    }

    /// The same, where what may happen next is known.
    pub(super) fn broken_before(
        &self,
        node: &Node,
        successors: &[(Label, Node)],
    ) -> BTreeSet<String> {
        // A reduced space leaves steps out.
        if self.reduced {
            return self.broken_promises(node);
        }
        self.broken_with(node, &successors.iter().filter_map(step).collect::<Vec<_>>())
    }

    fn broken_with(&self, node: &Node, steps: &[(RuleId, &State)]) -> BTreeSet<String> {
        let mut broken = BTreeSet::new();
        self.hold_to_bound(node, &mut broken);
        self.hold_to_messages(node, &mut broken);
        for p in (0..self.scenario.width() as u16).map(Process) {
            self.hold_to_waiting(node, p, &mut broken);
        }
        self.hold_to_reasons(node, steps, &mut broken);
        broken
    }

    /// No more wait in a link than its capacity.
    fn hold_to_bound(&self, node: &Node, broken: &mut BTreeSet<String>) {
        let profile = &self.spec.profile;
        let mut places = match profile.capacity {
            Capacity::Zero => 0,
            Capacity::Bounded(n) => n as usize,
            Capacity::AtLeast(_) | Capacity::Unbounded => return,
        };
        // On a direct link every pair or every recipient has a queue of its own.
        if profile.addressing != Addressing::Mailbox {
            places *= self.scenario.width();
        }
        for link in &node.state.links {
            let each = profile.distribution == Distribution::ToEach;
            let copies = if each { link.receivers.iter().count() } else { 1 };
            if link.queue.len() > places * copies {
                broken.insert(format!("bound kept: {}", self.outcome(node)));
            }
        }
    }

    /// Every message that was sent is in one place, and nothing else is anywhere.
    fn hold_to_messages(&self, node: &Node, broken: &mut BTreeSet<String>) {
        let mut places: FxHashMap<(Process, u32), u32> = FxHashMap::default();
        let mut count = |m: &Message| *places.entry((m.sender, m.sequence)).or_default() += 1;
        let all = || (0..self.scenario.width() as u16).map(Process);
        node.state.links.iter().flat_map(|l| &l.queue).for_each(|w| count(&w.message));
        let received = |ret: &Ret| match ret {
            Ret::Received(m) => Some(*m),
            _ => None,
        };
        let told = || all().flat_map(|p| self.told(node, p));
        told().filter_map(|ret| received(&ret)).for_each(|m| count(&m));
        for call in &node.state.calls {
            if let Call::Returning(ret) = call {
                received(ret).iter().for_each(&mut count);
            }
        }
        let sent = self.scenario.messages().map(|m| (m.sender, m.sequence));
        let sent: BTreeSet<_> = sent.collect();
        if places.keys().any(|name| !sent.contains(name)) {
            broken.insert(format!("nothing invented: {}", self.outcome(node)));
        }
        let queue = self.spec.profile.distribution.is_queue();
        if queue && places.values().any(|n| *n > 1) {
            broken.insert(format!("nothing twice: {}", self.outcome(node)));
        }
        // A receiver that was killed may have taken a message with it.
        if !queue || node.state.calls.contains(&Call::Dead) {
            return;
        }
        for p in all() {
            let told = self.scenario.calls(p).zip(self.told(node, p));
            let done = told.filter(|(_, ret)| *ret == Ret::Done);
            let lost = done
                .filter_map(|(op, _)| op.message())
                .any(|m| !places.contains_key(&(m.sender, m.sequence)));
            if lost {
                broken.insert(format!("nothing lost: {}", self.outcome(node)));
            }
        }
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
            broken
                .insert(format!("waiting is silence: {p} in {op} {which}: {}", self.outcome(node)));
        }
    }

    /// A step has one reason, and makes a difference.
    fn hold_to_reasons(
        &self,
        node: &Node,
        steps: &[(RuleId, &State)],
        broken: &mut BTreeSet<String>,
    ) {
        for (i, (rule, next)) in steps.iter().enumerate() {
            if **next == node.state {
                let so_far = self.outcome(node);
                broken.insert(format!("every step changes something: not {rule}: {so_far}"));
            }
            let also = steps[..i].iter().find(|(other, to)| other != rule && to == next);
            if let Some((other, _)) = also {
                let so_far = self.outcome(node);
                broken.insert(format!("one step, one rule: {other} and {rule}: {so_far}"));
            }
        }
    }
}

/// The rule of a step, and the state that it leads to.
fn step((label, next): &(Label, Node)) -> Option<(RuleId, &State)> {
    match *label {
        Label::Step(_, rule) => Some((rule, &next.state)),
        _ => None,
    }
}
