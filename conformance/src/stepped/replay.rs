//! A counterexample of a stepped run, on file: what was done, where each process stood, and what
//! they shared there; enough to do it again and to see that it is the same.

use std::path::Path;
use std::time::{Duration, Instant};

use ipc_model::{Counterexample, Ends, Profile, Verdict};
use serde::{Deserialize, Serialize};

use super::control::Known;
use super::course::{Action, CREATOR, Call, Course};
use super::memory::{Image, Moving};
use super::setting::Setting;
use super::tracer::Tracer;
use super::world::{Ended, Setup, World};
use super::{Finding, Trouble, narrative};
use crate::adapter::Place;
use crate::replay;

/// A counterexample on file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stepped {
    /// `ipc-stepped/1`.
    pub format: String,
    /// Name of the adapter.
    pub adapter: String,
    /// The configuration.
    pub link: String,
    /// What it claims.
    pub profile: Profile,
    /// The rule of the model that was broken.
    pub rule: String,
    /// The rule of the report that this is a counterexample of, and in which state of the link.
    pub of: String,
    /// A number of the program's bytes: another program's instructions lie elsewhere.
    pub program: String,
    /// What was done.
    pub course: Course,
    /// A number of what was shared, at each stop: hexadecimal.
    pub stops: Vec<String>,
    /// What is left out of these numbers, since it differs each time.
    pub moving: Moving,
    /// All of it in words.
    pub narrative: Vec<String>,
}

/// What came of doing it again.
#[derive(Clone, Debug, PartialEq)]
pub enum Again {
    /// The model forbids it again, by the same rule.
    Fails(Box<Counterexample>),
    /// It went the same way, and the model explains it, or forbids it by another rule.
    Otherwise(String),
    /// It did not go the same way.
    Diverged(String),
}

/// How often a counterexample is done again before it counts, and is written to a file.
const RECORDINGS: usize = 3;

/// How long is spent on making a counterexample shorter, and one that is no verdict.
const SHRINKING: [Duration; 2] = [Duration::from_secs(4), Duration::from_millis(500)];

impl Stepped {
    /// The name of this version of the format.
    pub const FORMAT: &'static str = "ipc-stepped/1";

    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        replay::parse(text, "a stepped replay file", Self::FORMAT, |stepped: &Self| &stepped.format)
    }

    /// Whether a text looks like such a file rather than one of another kind.
    pub fn is_one(text: &str) -> bool {
        replay::claims_format(text, "ipc-stepped/")
    }

    /// Does it again, so many times, in worlds of their own; tells each result.
    ///
    /// # Errors
    /// Why it cannot be done at all.
    pub fn again(
        &self,
        program: &Path,
        folder: &Path,
        times: usize,
        tell: &mut dyn FnMut(Again),
    ) -> Result<(), Trouble> {
        let now = number_of(program)?;
        if now != self.program {
            tell(Again::Diverged(format!(
                "{} is not the program that this was recorded on (its bytes have the number \
                 {now}, not {}); check out and build the version it was recorded on",
                program.display(),
                self.program
            )));
            return Ok(());
        }
        let mut tracer = Tracer::start(program, folder)?;
        let setup = setup(&self.course, &self.link, tracer.place());
        for _ in 0..times {
            tell(self.once(&mut tracer, &setup)?);
        }
        Ok(())
    }

    fn once(&self, tracer: &mut Tracer, setup: &Setup) -> Result<Again, Trouble> {
        let mut stops = self.stops.iter();
        let mut check = |image: &Image| {
            let (found, expected) = (hex(image.hash(&self.moving)), stops.next());
            match expected {
                Some(expected) if *expected == found => Ok(()),
                expected => Err(format!("what is shared has the number {found}, not {expected:?}")),
            }
        };
        let ended = match perform(tracer, setup, &self.course, true, &mut check) {
            Ok(ended) => ended,
            Err(Trouble::Diverged(why)) => return Ok(Again::Diverged(why)),
            Err(trouble) => return Err(trouble),
        };
        Ok(match ipc_model::check(&self.profile, &ended.history) {
            Verdict::Fail(c) if c.rule.to_string() == self.rule => Again::Fails(c),
            Verdict::Fail(c) => Again::Otherwise(format!("now it breaks {}: {c}", c.rule)),
            Verdict::Pass { .. } => Again::Otherwise("the model explains it".into()),
            Verdict::Inconclusive(why) => Again::Otherwise(why),
        })
    }
}

fn hex(number: u64) -> String {
    format!("{number:016x}")
}

fn number_of(program: &Path) -> Result<String, Trouble> {
    let bytes = std::fs::read(program);
    let bytes = bytes.map_err(|e| Trouble::Broken(format!("{}: {e}", program.display())))?;
    Ok(hex(xxhash_rust::xxh3::xxh3_64(&bytes)))
}

fn setup(course: &Course, link: &str, place: &Place) -> Setup {
    Setup {
        link: link.into(),
        place: place.clone(),
        ends: Ends {
            senders: course.senders.iter().copied().collect(),
            receivers: course.receivers.iter().copied().collect(),
        },
        known: Known::of(&course.known),
    }
}

/// Does what the course says. At each stop, `check` sees what is shared. If `exact`, every call
/// must come to the same as before.
fn perform(
    tracer: &mut Tracer,
    setup: &Setup,
    course: &Course,
    exact: bool,
    check: &mut dyn FnMut(&Image) -> Result<(), String>,
) -> Result<Ended, Trouble> {
    let mut world = World::new(tracer, setup);
    world.images = Some(Vec::new());
    world.tracer.stops_at_calls = true;
    for (number, action) in course.actions.iter().enumerate() {
        let reaches = |p| {
            let next = course.actions[number + 1..].iter().find(|a| a.process() == Some(p));
            matches!(next, Some(Action::Reach { .. }))
        };
        let alone = Trouble::Diverged("it is about a process that is not there".into());
        match action.process().filter(|p| !world.has(*p)) {
            Some(_) if !matches!(action, Action::Creator | Action::Admit { .. }) => {
                return Err(alone);
            }
            _ => {}
        }
        match action {
            Action::Creator => world.creator()?,
            Action::Admit { role } => world.admit(*role)?,
            Action::HandOver => world.hand_over()?,
            Action::Remove => world.remove()?,
            Action::EvenClocks => world.even_clocks(),
            Action::Begin { process, call } if reaches(*process) => world.begin(*process, *call)?,
            Action::Begin { process, call } => world.begin_whole(*process, *call)?,
            Action::Reach { process, way } => world.reach(*process, way)?,
            Action::Kill { process } => world.kill(*process)?,
            Action::GoOn { process, thorough, came } => {
                let progress = world.go_on(*process, *thorough)?;
                if exact && progress.word() != *came {
                    let word = progress.word();
                    let why = format!("{process} comes to {word}, and came to {came}");
                    return Err(Trouble::Diverged(why));
                }
            }
        }
        if let Some(image) = world.images.as_mut().and_then(Vec::pop) {
            check(&image).map_err(|why| Trouble::Diverged(format!("{action:?}: {why}")))?;
        }
    }
    world.end()
}

/// What a counterexample is found in.
pub(super) struct Found<'a> {
    pub(super) setting: &'a Setting<'a>,
    pub(super) adapter: &'a str,
    pub(super) program: &'a Path,
    pub(super) of: String,
    pub(super) course: Course,
    pub(super) rule: String,
    /// The link does not promise it.
    pub(super) observed: bool,
}

impl Found<'_> {
    fn fails(&self, tracer: &mut Tracer, course: &Course) -> Option<Ended> {
        let setup = setup(course, &self.setting.claim.link, &self.setting.place);
        // A shorter course that cannot be gone is none.
        let ended = perform(tracer, &setup, course, false, &mut |_| Ok(())).ok()?;
        let finding = ended.judge(self.setting.profile());
        let rule = finding.counterexample().map(|c| c.rule.to_string());
        (rule.as_ref() == Some(&self.rule)).then_some(ended)
    }

    /// Leaves out whatever it fails without.
    fn shrink(&mut self, tracer: &mut Tracer) {
        let begun = Instant::now();
        let (mut from, limit) = (0, SHRINKING[usize::from(self.observed)]);
        while begun.elapsed() < limit {
            let shorter = shorter(&self.course);
            let Some(candidate) = shorter.get(from) else { break };
            match self.fails(tracer, candidate) {
                // As it was done: what came of the calls may be something else now.
                Some(ended) => {
                    self.course = ended.course;
                    from = 0;
                }
                None => from += 1,
            }
        }
    }

    /// Makes it as short as it gets, and does it again some times, to see that it always fails.
    pub(super) fn record(
        mut self,
        tracer: &mut Tracer,
    ) -> Result<(Stepped, Box<Counterexample>), Trouble> {
        self.shrink(tracer);
        let setup = setup(&self.course, &self.setting.claim.link, &self.setting.place);
        let mut recordings: Vec<Vec<Image>> = Vec::new();
        let mut counterexample = None;
        for _ in 0..RECORDINGS {
            let mut images = Vec::new();
            let mut keep = |image: &Image| {
                images.push(image.clone());
                Ok(())
            };
            let ended = perform(tracer, &setup, &self.course, true, &mut keep)?;
            match ended.judge(self.setting.profile()) {
                Finding::Forbidden(c) if c.rule.to_string() == self.rule => {
                    counterexample = Some(c);
                }
                _ => return Err(Trouble::Diverged("it fails sometimes only".into())),
            }
            recordings.push(images);
        }
        let mut moving = Moving::default();
        for other in &recordings[1..] {
            recordings[0].iter().zip(other).for_each(|(a, b)| a.compare(b, &mut moving));
        }
        let stops = recordings[0].iter().map(|image| hex(image.hash(&moving))).collect();
        let counterexample = counterexample
            .ok_or_else(|| Trouble::Diverged("it was not recorded even once".into()))?;
        let narrative = narrative::tell(&self.course, Some(&counterexample), tracer.modules());
        let stepped = Stepped {
            format: Stepped::FORMAT.into(),
            adapter: self.adapter.into(),
            link: self.setting.claim.link.clone(),
            profile: *self.setting.profile(),
            rule: self.rule,
            of: self.of,
            program: number_of(self.program)?,
            course: self.course,
            stops,
            moving,
            narrative,
        };
        Ok((stepped, counterexample))
    }
}

/// The courses with one thing left out: a process, a call, a stop.
fn shorter(course: &Course) -> Vec<Course> {
    let without = |drop: &dyn Fn(usize, &Action) -> bool| {
        let kept = course.actions.iter().enumerate().filter(|(i, a)| !drop(*i, a));
        Course { actions: kept.map(|(_, a)| a.clone()).collect(), ..course.clone() }
    };
    let mut found = Vec::new();
    let admitted = course.actions.iter().filter_map(|a| match a {
        Action::Admit { role } => Some(role.process),
        _ => None,
    });
    for process in admitted {
        found.push(without(&|_, a| a.process() == Some(process)));
    }
    for (number, action) in course.actions.iter().enumerate().rev() {
        let follows = |a: &Action| Some(a) == course.actions.get(number + 1);
        match action {
            Action::Begin { process, call: Call::Op { .. } } => {
                let rest = &course.actions[number + 1..];
                let ends = |a: &Action| {
                    let next = matches!(a, Action::Begin { .. } | Action::Kill { .. });
                    a.process() == Some(*process) && next
                };
                let length = rest.iter().position(ends).unwrap_or(rest.len());
                let range = number..number + 1 + length;
                let mine = |a: &Action| a.process() == Some(*process);
                found.push(without(&|i, a| range.contains(&i) && mine(a)));
            }
            Action::Reach { process, .. } if !follows(&Action::Kill { process: *process }) => {
                found.push(without(&|i, _| i == number));
            }
            Action::HandOver | Action::Remove => found.push(without(&|i, _| i == number)),
            _ => {}
        }
    }
    found.retain(|c| c.actions.iter().any(|a| a.process() != Some(CREATOR)));
    found
}
