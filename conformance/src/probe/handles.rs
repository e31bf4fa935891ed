//! Handles that are cloned, leaked or kept, calls that pass several messages, and forks: told as
//! stories, of which the model says whether they may end so.

use ipc_model::{Capacity, Force, Modes, Source};

use super::resources::no_facts;
use super::{Found, Probe, Subject, about};
use crate::adapter::Claim;
use crate::look::handles::CHILD_HANGS;
use crate::look::stories::{self, Story};
use crate::look::{Facts, Task};
use crate::protocol::Way;
use crate::report::CellVerdict;

/// An end is open as long as one of its handles is.
pub(super) const CLONED: Probe = Probe {
    about: about(
        "handles.last-one-closes",
        "An end stays open as long as one of its handles does, however many others are dropped; \
         the last one closes it.",
        &[Source::Statement("N4"), Source::Clause("POSIX close: the last descriptor counts")],
        Force::Shall,
    ),
    claimed: |claim| {
        is_prompt(claim) && (stories::many_senders(claim) || stories::many_receivers(claim))
    },
    deep: false,
    way: Some(Way::Threads),
    look: |subject| tell(subject, Task::Cloned),
};

/// A leak is no close.
pub(super) const LEAKED: Probe = Probe {
    about: about(
        "handles.leaked-stays-open",
        "A handle that is leaked, and so never dropped, has closed nothing: what it sent arrives, \
         and nobody is told that it has gone.",
        &[Source::Clause("std::mem::forget is safe: nothing may rest on a destructor that runs")],
        Force::Shall,
    ),
    claimed: is_prompt,
    deep: false,
    way: Some(Way::Threads),
    look: |subject| {
        let found = tell(subject, Task::Leaked);
        // What was leaked is not to be there for others to find.
        subject.host.end();
        found
    },
};

/// The answer stays the same.
pub(super) const KEPT: Probe = Probe {
    about: about(
        "handles.kept-tells-the-same",
        "A handle that is kept after its peers have gone first yields what is left, and then tells \
         the same at every further call.",
        &[Source::Clause("the crate's own docs: a closed link stays closed")],
        Force::Shall,
    ),
    claimed: is_prompt,
    deep: false,
    way: Some(Way::Threads),
    look: |subject| tell(subject, Task::Kept),
};

/// Several at once are as many, one after the other.
pub(super) const BATCHES: Probe = Probe {
    about: about(
        "batch.as-single-calls",
        "A call that passes several messages does what as many single ones do, one after the \
         other: all that fit or are there, in order, and no others.",
        &[
            Source::Statement("B1"),
            Source::Statement("B3"),
            Source::Clause("the crate's own docs: batch operations"),
        ],
        Force::Shall,
    ),
    claimed: |claim| {
        let batches = claim.extras.batches;
        // With no room, several at once are no more than one.
        let room = claim.profile.capacity != Capacity::Zero;
        claim.threads && room && (batches.send || batches.receive)
    },
    deep: false,
    way: Some(Way::Threads),
    look: |subject| tell(subject, Task::Batches),
};

/// A child that only comes and goes.
pub(super) const FORKED: Probe = Probe {
    about: about(
        "fork.child-changes-nothing",
        "A child that is forked by a holder of the link and ends without exec and without using \
         it, takes nothing from the link and closes nothing.",
        &[Source::Clause("POSIX fork: descriptors and mappings are shared, and both have them")],
        Force::Shall,
    ),
    claimed: is_prompt,
    deep: false,
    way: Some(Way::Threads),
    look: |subject| tell(subject, Task::Forked { dropping: false }),
};

/// A child that runs destructors.
pub(super) const FORKED_DROPS: Probe = Probe {
    about: about(
        "fork.child-drops-its-copies",
        "What becomes of the link when a forked child drops its copies of the ends.",
        &[Source::Clause("POSIX fork; no crate documents it")],
        Force::Unspecified,
    ),
    claimed: is_prompt,
    deep: false,
    way: Some(Way::Threads),
    look: forked_drops,
};

fn forked_drops(subject: &mut Subject<'_>) -> Found {
    let found = tell(subject, Task::Forked { dropping: true });
    let saw = match found.verdict {
        CellVerdict::Pass => "its parent's ends are as before",
        CellVerdict::Fail | CellVerdict::Hang => "its parent's ends are not as before",
        _ if found.why == CHILD_HANGS => "the child hangs",
        _ => return found,
    };
    Found::observed(found.why, [saw.to_string()])
}

/// Ends are held by threads, and there are calls that come back soon.
fn is_prompt(claim: &Claim) -> bool {
    let receive = claim.profile.receive;
    let send = claim.profile.send;
    // A link with room takes a message at once, also by a call that may wait; one without does not.
    let sends = claim.profile.capacity != Capacity::Zero || send.nonblocking || send.timed;
    claim.threads && (receive.nonblocking || receive.timed) && sends
}

/// Has the stories told, and asks the model about each.
fn tell(subject: &mut Subject<'_>, task: Task) -> Found {
    let link = subject.claim.link.clone();
    let is_batch = task == Task::Batches;
    let stories = match subject.host.look(&link, task, |_| ()) {
        Ok((Facts::Stories { stories }, ())) => stories,
        other => return no_facts(other),
    };
    for story in &stories {
        let found = judge(subject, story, is_batch);
        if found.verdict != CellVerdict::Pass {
            return Found { why: format!("{}: {}", story.name, found.why), ..found };
        }
    }
    match stories.len() {
        0 => Found::inconclusive("no story fits the link"),
        _ => {
            let names: Vec<&str> = stories.iter().map(|s| s.name.as_str()).collect();
            Found::kept(names.join("; "))
        }
    }
}

fn judge(subject: &Subject<'_>, story: &Story, is_batch: bool) -> Found {
    let mut profile = subject.claim.profile;
    if is_batch {
        // A batch never waits, whatever the single calls do.
        profile.send = Modes { nonblocking: true, ..profile.send };
        profile.receive = Modes { nonblocking: true, ..profile.receive };
    }
    subject.judge_by(&profile, &story.history(), "")
}

/// Far longer than a thread's stack, a pipe's buffer or a page.
const LONG: u32 = 16 << 20;

/// A message of any length.
pub(super) const LARGE: Probe = Probe {
    about: about(
        "message.far-larger-than-buffers",
        "A message that is far longer than a stack or a buffer arrives as it was sent.",
        &[Source::Statement("L4"), Source::Clause("the crate's own docs: no limit to a length")],
        Force::Shall,
    ),
    claimed: |claim| claim.threads && claim.extras.any_length,
    deep: false,
    way: Some(Way::Threads),
    look: large,
};

fn large(subject: &mut Subject<'_>) -> Found {
    let link = subject.claim.link.clone();
    let task = Task::Large { bytes: LONG };
    let found = match subject.host.look(&link, task, |_| ()) {
        Ok((Facts::Large { why: None }, ())) => {
            Found::kept(format!("{} MiB passed between threads of small stacks", LONG >> 20))
        }
        Ok((Facts::Large { why: Some(why) }, ())) => Found::broken(why),
        other => no_facts(other),
    };
    if found.verdict != CellVerdict::Pass {
        // Threads may still be at it.
        subject.host.end();
    }
    found
}
