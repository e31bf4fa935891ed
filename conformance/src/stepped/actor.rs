//! The adapter's side: the zygote, the creator that it forks for each world, and the actors that
//! the creator forks.
//!
//! An actor is a fork instead of a program of its own because a fork costs a tenth of an exec,
//! and is laid out like its parent: an address means the same in every world. What exec would
//! have closed, an actor closes itself.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use ipc_model::{Message, Mode, Op};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{ForkResult, fork};

use super::control::{Answer, Command, Control, Meeting, meet};
use super::namespaces;
use crate::adapter::{Adapter, Address, Created, Endpoint, Failure, Parcel, Role};
use crate::{heap, payload};

/// Is the zygote: serves until told to finish. `descriptor` is the control page's.
pub(crate) fn serve(adapter: &dyn Adapter, descriptor: &str) -> Result<(), Failure> {
    let descriptor: RawFd = descriptor.parse().map_err(Failure::other)?;
    // SAFETY: the controller opened it for us and nobody else in this process knows it.
    let file = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let control = Control::map(&file, true).map_err(Failure::other)?;
    drop(file);
    // Children end without being waited for: whoever could wait is gone, or is being stepped.
    reap_automatically(SigHandler::SigIgn)?;
    let mut private = false;
    loop {
        match next(&control, 0)? {
            Command::Seclude => {
                if let Some(done) = seclude() {
                    private = done.is_ok();
                    answer(&control, 0, &done.map_or_else(Answer::Odd, |()| Answer::Done))?;
                }
            }
            Command::Fork { slot } => {
                if private {
                    namespaces::count_from_start().map_err(Failure::Other)?;
                }
                if let ForkResult::Child = fork_alone()? {
                    return create(adapter, &control, slot);
                }
                answer(&control, 0, &Answer::Done)?;
            }
            Command::Remove { link, place } => {
                adapter.remove(&link, &place);
                answer(&control, 0, &Answer::Done)?;
            }
            Command::HasHeap => {
                let has = if heap::is_present() { Answer::Done } else { Answer::Unsupported };
                answer(&control, 0, &has)?;
            }
            Command::Clear { place } => {
                let found = namespaces::clear(&place, private).map_err(Failure::Other)?;
                control.write(0, &found).map_err(Failure::Other)?;
            }
            Command::Finish => return Ok(()),
            other => return Err(Failure::Other(format!("{other:?} is nothing for the zygote"))),
        }
    }
}

/// Enters namespaces that only the worlds are in, and forks their first process, which is the
/// zygote from now on. `None`: this is the old one, and is never let go again.
fn seclude() -> Option<Result<(), String>> {
    if let Err(why) = namespaces::enter() {
        return Some(Err(why));
    }
    match fork_alone() {
        Ok(ForkResult::Child) => Some(namespaces::arrive()),
        Ok(ForkResult::Parent { .. }) => None,
        Err(why) => Some(Err(why.to_string())),
    }
}

fn reap_automatically(handler: SigHandler) -> Result<(), Failure> {
    // SAFETY: neither ignoring nor the default runs code of ours in a handler.
    unsafe { signal(Signal::SIGCHLD, handler) }.map_err(Failure::other)?;
    Ok(())
}

fn fork_alone() -> Result<ForkResult, Failure> {
    // SAFETY: the adapter's program has this one thread (the controller gives up when it sees
    // another), so no lock is held by a thread that the child does not have.
    unsafe { fork() }.map_err(Failure::other)
}

fn next(control: &Control, slot: usize) -> Result<Command, Failure> {
    meet(Meeting::Idle);
    control.read(slot).map_err(Failure::Other)
}

fn answer(control: &Control, slot: usize, answer: &Answer) -> Result<(), Failure> {
    control.write(slot, answer).map_err(Failure::Other)
}

fn answer_of<T>(result: &Result<T, Failure>) -> Answer {
    match result {
        Ok(_) => Answer::Done,
        Err(failure) => Answer::of(failure.clone()),
    }
}

/// Is the creator of one world.
fn create(adapter: &dyn Adapter, control: &Control, slot: usize) -> Result<(), Failure> {
    let mut held: Option<(String, Box<dyn Created>)> = None;
    let claims = adapter.claims();
    let mut shared = None;
    let absent = || Failure::Other("no link has been created".into());
    loop {
        match next(control, slot)? {
            Command::Create { link, place, stepped } => {
                if claims.iter().any(|c| c.link == link && !c.processes) {
                    heap::renew(control.taken()).map_err(Failure::other)?;
                    shared = Some(control.taken());
                }
                let created =
                    between(stepped, || heap::sharing(shared, || adapter.create(&link, &place)));
                answer(control, slot, &answer_of(&created))?;
                held = created.ok().map(|created| (link, created));
            }
            Command::Admit { role, slot: theirs, known } => {
                let (link, created) = held.as_mut().ok_or_else(absent)?;
                // A link of threads has ends instead of an address: they go over with the fork.
                let end = shared.map(|_| heap::sharing(shared, || created.endpoint(role)));
                let address = match &end {
                    Some(end) => end.as_ref().map(|_| Address::default()).map_err(Clone::clone),
                    None => created.address(role),
                };
                answer(control, slot, &answer_of(&address))?;
                let Ok(address) = address else { continue };
                if let ForkResult::Child = fork_alone()? {
                    let link = link.clone();
                    // Dropping it would remove the link, which is the creator's business.
                    std::mem::forget(held);
                    let seat = Seat { control, slot: theirs, known: known.list(), shared };
                    let end = end.and_then(Result::ok);
                    return act(adapter, &seat, &link, &address, role, end);
                }
                // It is the actor's now.
                std::mem::forget(end);
            }
            Command::HandOver => {
                held.as_mut().ok_or_else(absent)?.1.hand_over();
                answer(control, slot, &Answer::Done)?;
            }
            Command::Finish => return Ok(()),
            other => return Err(Failure::Other(format!("{other:?} is nothing for the creator"))),
        }
    }
}

/// The operation, between two meetings if it is going to be stepped.
#[inline(always)]
fn between<T>(stepped: bool, operation: impl FnOnce() -> T) -> T {
    if !stepped {
        return operation();
    }
    meet(Meeting::Begin);
    let result = operation();
    meet(Meeting::End);
    result
}

/// Where an actor finds its commands, and which messages it may be sent.
struct Seat<'a> {
    control: &'a Control,
    slot: usize,
    known: Vec<Message>,
    /// The counter of the heap that the link's processes share, if they share one.
    shared: Option<&'static AtomicUsize>,
}

/// Is an actor: one process of a scenario.
fn act(
    adapter: &dyn Adapter,
    seat: &Seat<'_>,
    link: &str,
    address: &Address,
    role: Role,
    mut endpoint: Option<Box<dyn Endpoint>>,
) -> Result<(), Failure> {
    reap_automatically(SigHandler::SigDfl)?;
    close_all_but(&address.inherit)?;
    loop {
        match next(seat.control, seat.slot)? {
            Command::Connect { .. } if endpoint.is_some() => {
                answer(seat.control, seat.slot, &Answer::Done)?;
            }
            Command::Connect { stepped } => {
                let connected = between(stepped, || adapter.connect(link, address, role));
                answer(seat.control, seat.slot, &answer_of(&connected))?;
                endpoint = connected.ok();
            }
            Command::Call { op, timeout, stepped } => {
                let timeout = Duration::from_nanos(timeout);
                let came = call(&mut endpoint, op, timeout, seat, stepped);
                answer(seat.control, seat.slot, &came)?;
            }
            Command::Finish => return Ok(()),
            other => return Err(Failure::Other(format!("{other:?} is nothing for an actor"))),
        }
    }
}

/// What exec does to descriptors that are not meant for the new program. Whatever owns them in
/// this process is the creator's, has been forgotten, and is used no more.
fn close_all_but(kept: &[RawFd]) -> Result<(), Failure> {
    let mut kept: Vec<u32> = kept.iter().filter_map(|n| u32::try_from(*n).ok()).collect();
    kept.sort_unstable();
    let mut from = 3;
    for last in kept.iter().map(|n| n.checked_sub(1)).chain([Some(u32::MAX)]) {
        let last = last.unwrap_or(0);
        if from <= last {
            // SAFETY: it takes numbers only; nobody uses these descriptors any more, see above.
            let failed = unsafe { libc::close_range(from, last, 0) };
            if failed != 0 {
                return Err(Failure::other(std::io::Error::last_os_error()));
            }
        }
        from = from.max(last.saturating_add(2));
    }
    Ok(())
}

fn call(
    endpoint: &mut Option<Box<dyn Endpoint>>,
    op: Op,
    timeout: Duration,
    seat: &Seat<'_>,
    stepped: bool,
) -> Answer {
    let Some(held) = endpoint.as_mut() else {
        return Answer::Odd("the end is closed already".into());
    };
    match op {
        Op::Send { to, message, mode, .. } => {
            let bytes = payload::bytes(&message);
            let parcel = Parcel { bytes: &bytes, priority: message.priority, to };
            let send = || match mode {
                Mode::Blocking => held.send(parcel),
                Mode::Nonblocking => held.try_send(parcel),
                Mode::Timed => held.send_timeout(parcel, timeout),
            };
            let result = between(stepped, || heap::sharing(seat.shared, send));
            answer_of(&result)
        }
        Op::Receive { from, mode, .. } => {
            let receive = || match mode {
                Mode::Blocking => held.receive(from),
                Mode::Nonblocking => held.try_receive(from),
                Mode::Timed => held.receive_timeout(from, timeout),
            };
            let result = between(stepped, || heap::sharing(seat.shared, receive));
            result.map_or_else(Answer::of, |delivery| Answer::received(&delivery, &seat.known))
        }
        Op::Close { .. } => {
            let held = endpoint.take();
            between(stepped, || heap::sharing(seat.shared, || drop(held)));
            Answer::Done
        }
    }
}
