//! What a link holds on to.

use std::time::Instant;

use ipc_model::machine::Described;
use ipc_model::{Force, Kind, Source, scenarios};

use super::{Found, Probe, Subject};
use crate::run::{End, Host, QUIESCENCE};
use crate::suite::execute;

/// How many links are made, used and dropped.
const LINKS: usize = 20;

/// Descriptors are given back.
pub(super) const DESCRIPTORS: Probe = Probe {
    about: Described {
        id: "resources.descriptors-returned",
        says: "When the last end of a link is gone, its process holds no more descriptors than \
               before there was the link.",
        sources: &[Source::Clause("POSIX close, mq_close, munmap; RAII: what is dropped is freed")],
        force: Force::Shall,
        kind: Kind::Property,
    },
    claimed: |_| true,
    look: descriptors,
};

/// How many descriptors are open once nothing more is being closed, or no more than `enough`: what
/// an end's thread still holds while it leaves is no leak.
fn settled(host: &Host, enough: Option<usize>) -> Result<usize, String> {
    let mut open = host.descriptors()?;
    let mut moved = Instant::now();
    while enough.is_none_or(|enough| open > enough) && moved.elapsed() < QUIESCENCE {
        std::thread::sleep(QUIESCENCE / 100);
        let now = host.descriptors()?;
        if now < open {
            moved = Instant::now();
        }
        open = now;
    }
    Ok(open)
}

/// The first link may open what all of them share; from then on the number must not grow.
fn descriptors(subject: &mut Subject<'_>) -> Found {
    let standard = scenarios::standard(&subject.claim.profile);
    let Some(scenario) = standard.into_iter().map(|s| s.scenario).find(|s| !s.kills()) else {
        return Found::inconclusive("no scenario fits the link");
    };
    let mut before = None;
    let mut after = 0;
    for _ in 0..=LINKS {
        let execution = execute(subject.host, subject.claim, &scenario, subject.way);
        if let End::Broken(why) = execution.end {
            return Found::no_look(why);
        }
        if execution.end != End::AtRest
            || execution.history.operations.iter().any(|o| o.ret.is_none())
        {
            return Found::inconclusive(format!("scenario {} did not get through", scenario.name));
        }
        after = match settled(subject.host, before) {
            Ok(number) => number,
            Err(why) => return Found::no_look(why),
        };
        before.get_or_insert(after);
    }
    match before {
        Some(before) if after > before => Found::broken(format!(
            "{before} descriptors open after the first link, {after} after {LINKS} more"
        )),
        _ => Found::kept(format!("{after} descriptors open, after 1 link as after {LINKS} more")),
    }
}
