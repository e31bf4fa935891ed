//! Processes of our own links, killed at random points of random programs; the model is the judge
//! of what everybody saw.
//!
//! The stepped runs visit every instruction with one schedule; here the schedule is the machine's
//! own. `IPC_KILLS` asks for more than a few kills a link, `IPC_SEED` for other ones:
//!
//! ```text
//! IPC_KILLS=2000 cargo test --release -p ipc-tests --test kills -- --nocapture
//! ```

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ipc_conformance::adapter::Claim;
use ipc_conformance::catalogue;
use ipc_conformance::protocol::Way;
use ipc_conformance::run::{End, Host};
use ipc_conformance::suite::execute;
use ipc_model::check::check;
use ipc_model::mutant::MUTANTS;
use ipc_model::{Holders, Mode, Modes, Scenario, ScenarioBuilder, Verdict};
use proptest::prelude::RngExt as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

fn number(variable: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(variable) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number"))
}

/// Everybody sends or receives a while, in any of the modes that the link has, and an onlooker kills
/// one of them, some calls in.
fn scenario(claim: &Claim, rng: &mut TestRng) -> Scenario {
    let profile = &claim.profile;
    let mut several = |holders| match holders {
        Holders::One => 1,
        Holders::Many => rng.random_range(1..=2),
    };
    let (senders, receivers) = (several(profile.senders), several(profile.receivers));
    let mut builder = ScenarioBuilder::new("killed at random", profile, senders, receivers);
    builder.timeout(20_000_000);
    let victim = rng.random_range(0..senders + receivers);
    let killed_after = rng.random_range(0..12);
    let onlooker = builder.observer();
    for call in 0..16 {
        for process in 0..senders + receivers {
            if process < senders {
                builder.send(process, mode(&profile.send, rng));
            } else {
                builder.receive(process, mode(&profile.receive, rng));
            }
        }
        if call == killed_after {
            builder.await_return(onlooker, victim).kill(onlooker, victim);
        }
    }
    for process in 0..senders + receivers {
        builder.close(process);
    }
    builder.build()
}

/// Mostly the call that waits: it is the one with most to go wrong.
fn mode(offered: &Modes, rng: &mut TestRng) -> Mode {
    let modes = [Mode::Blocking, Mode::Blocking, Mode::Timed, Mode::Nonblocking];
    let modes: Vec<Mode> = modes.into_iter().filter(|m| offered.offers(*m)).collect();
    modes[rng.random_range(0..modes.len())]
}

/// How many of the kills hit a process inside a call.
fn inside(history: &ipc_model::History) -> usize {
    let crashed = |p| history.crashes.iter().any(|(_, killed)| *killed == p);
    history.operations.iter().filter(|o| o.ret.is_none() && crashed(o.process)).count()
}

/// A run mostly waits for what will never move to have rested long enough.
const AT_ONCE: usize = 6;

#[test]
fn whoever_is_killed_at_whatever_point_the_others_see_what_the_model_allows() {
    let (kills, seed) = (number("IPC_KILLS", 6), number("IPC_SEED", 1));
    let folder = tempfile::tempdir().unwrap();
    let mut queue = Vec::new();
    for program in catalogue::build(&["own".into(), "own-os".into()]).unwrap() {
        let host = Host::start(&program, folder.path()).unwrap();
        let mortal = host.claims.iter().filter(|claim| claim.profile.sender_killed.is_some());
        queue.extend(mortal.map(|claim| (program.clone(), claim.clone())));
    }
    assert!(queue.len() > 15, "hardly a link of ours claims anything of deaths");
    let total = kills as usize * queue.len();
    let (queue, inside) = (Mutex::new(queue), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for number in 0..AT_ONCE {
            let (queue, inside) = (&queue, &inside);
            let folder = folder.path().join(number.to_string());
            scope.spawn(move || {
                loop {
                    let Some((program, claim)) = queue.lock().unwrap().pop() else { break };
                    let mut host = Host::start(&program, &folder).unwrap();
                    let found = kill(&mut host, &claim, kills, seed);
                    println!("{}/{}: {kills} kills, {found} in a call", host.name, claim.link);
                    inside.fetch_add(found, Ordering::Relaxed);
                }
            });
        }
    });
    let inside = inside.into_inner();
    println!("{inside} of {total} kills fell inside a call");
    assert!(inside * 10 > total, "the kills come too late to say anything");
}

/// The scenario, random but the same for the same numbers.
fn random(claim: &Claim, seed: u64, run: u64) -> Scenario {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&run.to_le_bytes());
    scenario(claim, &mut TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

fn kill(host: &mut Host, claim: &Claim, kills: u64, seed: u64) -> usize {
    let mut found = 0;
    for run in 0..kills {
        let scenario = random(claim, seed, run);
        let execution = execute(host, claim, &scenario, Way::Processes);
        let about = || format!("{} run {run} of seed {seed}: {scenario:?}", claim.link);
        assert_eq!(execution.end, End::AtRest, "{}", about());
        match check(&claim.profile, &execution.history) {
            Verdict::Pass { .. } => found += inside(&execution.history),
            other => panic!("{}\n{other:?}\n{:?}", about(), execution.history),
        }
    }
    found
}

/// More than enough for the kill to hit the last end of its kind with something to be seen after.
const ENOUGH: u64 = 300;

#[test]
fn links_that_are_wrong_about_death_are_found_out_in_this_way() {
    let program = &catalogue::build(&["model".into()]).unwrap()[0];
    let folder = tempfile::tempdir().unwrap();
    let mut host = Host::start(program, folder.path()).unwrap();
    let wrong: Vec<_> = MUTANTS.iter().filter(|m| m.breaks.starts_with("killed.")).collect();
    assert!(wrong.len() >= 4);
    for mutant in wrong {
        let name = format!("mutant-{}", mutant.name);
        let claim = host.claims.iter().find(|claim| claim.link == name).unwrap().clone();
        let found = (0..ENOUGH).find(|run| {
            let execution = execute(&mut host, &claim, &random(&claim, 1, *run), Way::Processes);
            matches!(check(&claim.profile, &execution.history), Verdict::Fail(_))
        });
        let found = found.unwrap_or_else(|| panic!("{name} went through {ENOUGH} kills"));
        println!("{name}: found out by kill {}", found + 1);
    }
}
