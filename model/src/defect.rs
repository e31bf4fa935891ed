//! What can be broken in the link model on purpose, one place at a time: each guard of each rule
//! asked the wrong way round or not at all, each effect left out, each rule removed. The tests
//! that keep the model right must notice every one of them (`tests/defects.rs`).
//!
//! A [`crate::mutant`] is another thing: a link that a careless author might write, to test the
//! suite. A defect is a slip of the pen in the model itself.

use std::cell::{Cell, RefCell};

use crate::machine::Part;
use crate::op::{Message, Mode, Op, Process};
use crate::profile::Profile;
use crate::rule::{Kind, Outcomes, RuleId};
use crate::rules::at::At;
use crate::state::{Call, Ends, State, Waiting};

/// One defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defect {
    /// The rule.
    pub rule: RuleId,
    /// What of it is broken.
    pub part: Part,
}

/// Prints `send.room.accepts: "there is room" negated`.
impl std::fmt::Display for Defect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.part {
            Part::Dropped(i) => write!(f, "{}: {:?} dropped", self.rule, guards(self.rule)[i]),
            Part::Negated(i) => write!(f, "{}: {:?} negated", self.rule, guards(self.rule)[i]),
            part => write!(f, "{}: {part}", self.rule),
        }
    }
}

/// Every defect of one place that the rules can have. Properties are no steps and have none; a
/// rule that refuses, or puts to sleep, has no effect beside what its caller sees of it.
pub fn defects() -> impl Iterator<Item = Defect> {
    let steps = RuleId::all().filter(|r| r.rule().kind != Kind::Property);
    steps.flat_map(|rule| {
        let guards = (0..guards(rule).len()).flat_map(|i| [Part::Dropped(i), Part::Negated(i)]);
        let effect = matches!(rule.rule().kind, Kind::Completes | Kind::Blocks | Kind::Internal)
            && !WITHOUT_EFFECT.iter().any(|(id, _)| *id == rule.rule().id);
        let parts = guards.chain(effect.then_some(Part::Still)).chain([Part::Removed]);
        parts.map(move |part| Defect { rule, part })
    })
}

/// Rules that complete a call and change nothing but what it is told, with the reason: there is no
/// effect to leave out.
pub const WITHOUT_EFFECT: &[(&str, &str)] =
    &[("cell.read.latest", "a read leaves the value where it is")];

/// The guards of a rule by name, in the order in which they are asked. That the process is in a
/// call of the right kind at all is none of them.
pub fn guards(rule: RuleId) -> Vec<&'static str> {
    let profile = Profile::default();
    let probe = |state: &State| {
        let asking = Asking::new(None);
        let at = At { asking: Some(&asking), ..At::new(&profile, state, ASKED) };
        (rule.rule().step)(&at);
        asking.asked.take()
    };
    situations().iter().map(probe).max_by_key(Vec::len).unwrap_or_default()
}

const ASKED: Process = Process(0);

/// States in which the process is in a call of each kind: a rule that speaks of the call asks its
/// first guard there, and, if that is passed over, all the others.
fn situations() -> Vec<State> {
    let everybody: crate::ProcessSet = [ASKED, Process(1)].into_iter().collect();
    let mut state = State::new(2, &[Ends { senders: everybody, receivers: everybody }]);
    let message = Message::new(1, 0, 1);
    state.links[0].queue.push(Waiting { message, to: None });
    let calls = [
        Op::Send { link: 0, to: None, message, mode: Mode::Blocking },
        Op::Receive { link: 0, from: None, mode: Mode::Blocking },
        Op::Close { link: 0 },
    ];
    let in_call = |op: &Op| {
        let mut state = state.clone();
        state.set(ASKED, Call::Pending { op: *op, blocked: false, expired: false });
        state
    };
    calls.iter().map(in_call).collect()
}

impl Defect {
    /// The rule's step with the defect in it.
    pub(crate) fn step(self, at: &At<'_>) -> Outcomes {
        let asking = Asking::new(Some(self.part));
        let at = At { asking: Some(&asking), ..*at };
        match self.part {
            Part::Removed => None,
            Part::Still => {
                let outcomes = (self.rule.rule().step)(&at)?;
                let still = |next: State| {
                    let mut still = at.state.clone();
                    let call = *next.call(at.process);
                    // One that sleeps or dies is seen nowhere but in its call.
                    if self.rule.rule().kind == Kind::Completes {
                        still.set(at.process, call);
                    }
                    still
                };
                Some(outcomes.into_iter().map(still).collect())
            }
            Part::Dropped(_) | Part::Negated(_) => (self.rule.rule().step)(&at),
        }
    }
}

/// A way of asking the guards of one rule, in one step.
#[derive(Debug)]
pub(crate) struct Asking {
    /// What is broken; `None`: no guard is asked, they are only listed.
    part: Option<Part>,
    next: Cell<usize>,
    asked: RefCell<Vec<&'static str>>,
}

impl Asking {
    fn new(part: Option<Part>) -> Self {
        Self { part, next: Cell::new(0), asked: RefCell::default() }
    }

    /// What the next guard answers, which should answer `holds`.
    pub(crate) fn answer(&self, says: &'static str, holds: bool) -> bool {
        let place = self.next.replace(self.next.get() + 1);
        match self.part {
            None => {
                self.asked.borrow_mut().push(says);
                true
            }
            Some(Part::Dropped(dropped)) if dropped == place => true,
            Some(Part::Negated(negated)) if negated == place => !holds,
            Some(_) => holds,
        }
    }
}
