//! Stories about handles that are cloned, leaked or kept, about calls that pass several messages,
//! and about a fork.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

use super::stories::{SECOND_RECEIVER, SECOND_SENDER, Story, Teller, many_receivers, many_senders};
use super::{RECEIVER, SENDER};
use crate::adapter::{Adapter, Claim, Failure, Place};

type Made<'a> = (&'a dyn Adapter, &'a Claim, &'a Place);

/// How long a forked child may take to end.
const LEAVING: Duration = Duration::from_secs(2);

/// What is told of a child that does not end.
pub(crate) const CHILD_HANGS: &str = "the forked child hangs";

/// One of several handles of an end is dropped, and then the last.
pub(super) fn cloned(made: Made<'_>) -> Result<Vec<Story>, Failure> {
    let mut stories = Vec::new();
    if many_senders(made.1) {
        let holders = [SENDER, RECEIVER, SECOND_SENDER];
        let mut t = Teller::new(made, "one of two senders is dropped", &holders)?;
        for sender in [SENDER, SECOND_SENDER] {
            if t.room() > 0 {
                t.send(sender)?;
                t.receive(RECEIVER)?;
            }
            t.receive(RECEIVER)?;
            t.close(sender);
            t.receive(RECEIVER)?;
        }
        stories.push(t.end_of_story());
    }
    if many_receivers(made.1) {
        let holders = [SENDER, RECEIVER, SECOND_RECEIVER];
        let mut t = Teller::new(made, "one of two receivers is dropped", &holders)?;
        t.close(SECOND_RECEIVER);
        if t.room() > 0 {
            t.send(SENDER)?;
            t.receive(RECEIVER)?;
            t.close(RECEIVER);
            t.send(SENDER)?;
        }
        stories.push(t.end_of_story());
    }
    Ok(stories)
}

/// A handle is forgotten and never dropped.
pub(super) fn leaked(made: Made<'_>) -> Result<Vec<Story>, Failure> {
    let mut sender = Teller::new(made, "the sender is leaked", &[SENDER, RECEIVER])?;
    if sender.room() > 0 {
        sender.send(SENDER)?;
    }
    sender.leak(SENDER);
    sender.receive(RECEIVER)?;
    sender.receive(RECEIVER)?;
    let mut stories = vec![sender.end_of_story()];
    let mut receiver =
        Teller::new(made, "the receiver is leaked and nobody else receives", &[SENDER, RECEIVER])?;
    receiver.leak(RECEIVER);
    if receiver.room() > 0 {
        receiver.send(SENDER)?;
    }
    stories.push(receiver.end_of_story());
    Ok(stories)
}

/// A handle is used on and on after its peer has gone.
pub(super) fn kept(made: Made<'_>) -> Result<Vec<Story>, Failure> {
    let mut receiver = Teller::new(made, "the receiver is kept", &[SENDER, RECEIVER])?;
    if receiver.room() > 0 {
        receiver.send(SENDER)?;
    }
    receiver.close(SENDER);
    (0..4).try_for_each(|_| receiver.receive(RECEIVER))?;
    let mut stories = vec![receiver.end_of_story()];
    let mut sender = Teller::new(made, "the sender is kept on", &[SENDER, RECEIVER])?;
    sender.close(RECEIVER);
    if sender.room() > 0 {
        (0..sender.room()).try_for_each(|_| sender.send(SENDER))?;
    }
    stories.push(sender.end_of_story());
    Ok(stories)
}

/// Calls that pass several messages, alone and among calls that pass one.
pub(super) fn batches(made: Made<'_>) -> Result<Vec<Story>, Failure> {
    let batches = made.1.extras.batches;
    let mut t = Teller::new(made, "batches", &[SENDER, RECEIVER])?;
    let many = |t: &mut Teller, count| match batches.send {
        true => t.send_batch(SENDER, count),
        false => (0..count).try_for_each(|_| t.send(SENDER)),
    };
    let all = |t: &mut Teller, count| match batches.receive {
        true => t.receive_batch(RECEIVER),
        false => (0..=count).try_for_each(|_| t.receive(RECEIVER)),
    };
    let room = t.room();
    if room == 0 {
        return Ok(Vec::new());
    }
    // More often than the link is long, so that places are used again.
    for round in 0..5 {
        many(&mut t, if batches.send { room + 2 } else { room })?;
        if round % 2 == 1 {
            t.receive(RECEIVER)?;
        }
        all(&mut t, room)?;
        all(&mut t, 0)?;
        t.send(SENDER)?;
        many(&mut t, room - 1)?;
        all(&mut t, room)?;
    }
    Ok(vec![t.end_of_story()])
}

/// A child is forked that ends without exec; before that, it drops its copies of the ends if
/// `dropping`.
pub(super) fn forked(made: Made<'_>, dropping: bool) -> Result<Vec<Story>, Failure> {
    let mut t = Teller::new(made, "a child is forked", &[SENDER, RECEIVER])?;
    let sends = t.room() > 0;
    if sends {
        t.send(SENDER)?;
    }
    // SAFETY: the child makes no call but those that give up its copies, if it is to, and `_exit`;
    // should another thread have held a lock that they need, it hangs and is killed below.
    match unsafe { fork() }.map_err(Failure::other)? {
        ForkResult::Child => {
            if dropping {
                t.drop_copies();
            }
            // SAFETY: it ends the process and never returns.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => await_child(child)?,
    }
    if sends {
        t.receive(RECEIVER)?;
        t.send(SENDER)?;
        t.receive(RECEIVER)?;
    }
    t.receive(RECEIVER)?;
    t.close(SENDER);
    t.receive(RECEIVER)?;
    Ok(vec![t.end_of_story()])
}

fn await_child(child: nix::unistd::Pid) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)).map_err(Failure::other)? {
            WaitStatus::StillAlive if begun.elapsed() < LEAVING => {
                std::thread::sleep(Duration::from_millis(1));
            }
            WaitStatus::StillAlive => {
                // It is this process's own child, and has not been waited for.
                let _ = kill(child, Signal::SIGKILL);
                let _ = waitpid(child, None);
                return Err(Failure::other(CHILD_HANGS));
            }
            WaitStatus::Signaled(_, signal, _) => {
                return Err(Failure::Other(format!(
                    "the forked child was ended by signal {signal}"
                )));
            }
            _ => return Ok(()),
        }
    }
}
