//! Links that are searched one by one. Linearizability is local (Herlihy and Wing 1990), and no rule
//! looks at more than one link: so states of one link need not be multiplied by those of another.

use rustc_hash::FxHashSet;

use crate::history::{History, Operation};
use crate::op::{Op, Process, Ret};
use crate::spec::Spec;
use crate::verdict::{Coverage, Verdict};

/// The history of each link by itself; `None` if there is one only, or if the rules are wrong on
/// purpose and may mix links up. A message that was received on another link than it was sent on is
/// part of both: it is what proves the violation.
pub(super) fn by_link(spec: &Spec, history: &History) -> Option<Vec<History>> {
    let mut links: Vec<u8> = history.operations.iter().map(|o| o.op.link()).collect();
    links.sort_unstable();
    links.dedup();
    if links.len() < 2 || spec.is_mutated() {
        return None;
    }
    let ends = history.ends();
    let part = |link: u8| {
        let received = |o: &Operation| match o.ret {
            Some((_, Ret::Received(m) | Ret::Torn(m))) if o.op.link() == link => {
                Some((m.sender, m.sequence))
            }
            _ => None,
        };
        let received: FxHashSet<(Process, u32)> =
            history.operations.iter().filter_map(received).collect();
        let belongs = |o: &&Operation| {
            o.op.link() == link
                || matches!(o.op, Op::Send { message: m, .. }
                    if received.contains(&(m.sender, m.sequence)))
        };
        History {
            operations: history.operations.iter().filter(belongs).copied().collect(),
            links: ends.clone(),
            ..history.clone()
        }
    };
    Some(links.into_iter().map(part).collect())
}

/// The verdict on all: the earliest failure; or else why one was not decided.
pub(super) fn join(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let mut unsure = None;
    let mut failed: Option<Verdict> = None;
    let (mut covered, mut all) = (Coverage::default(), Vec::new());
    let time = |verdict: &Verdict| verdict.counterexample().map_or(u64::MAX, |found| found.time);
    for verdict in verdicts {
        match verdict {
            Verdict::Pass { coverage, deviations } => {
                covered.any = covered.any.or(coverage.any);
                covered.every = covered.every.or(coverage.every);
                all.extend(deviations);
            }
            Verdict::Fail(_) if failed.as_ref().is_none_or(|f| time(&verdict) < time(f)) => {
                failed = Some(verdict);
            }
            Verdict::Fail(_) => {}
            Verdict::Inconclusive(_) => unsure = Some(verdict),
        }
    }
    let passed = Verdict::Pass { coverage: covered, deviations: all };
    failed.or(unsure).unwrap_or(passed)
}
