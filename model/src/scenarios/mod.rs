//! The standard scenarios: for a profile, small programs that between them lead a link to every
//! rule it claims.

mod broadcast;
mod buffering;
mod cell;
mod ends;
mod messages;
mod rendezvous;

use crate::op::Mode;
use crate::profile::{Capacity, Distribution, Holders, Modes, Profile};
use crate::scenario::{Scenario, ScenarioBuilder};

/// A scenario, and the rules for whose sake it is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Standard {
    /// The scenario.
    pub scenario: Scenario,
    /// Names of rules, the main one first.
    pub about: Vec<&'static str>,
    /// How often it is worth running: more than once only where processes race.
    pub repeat: u32,
}

/// Every standard scenario for links of this profile. All of them validate, and none makes a call
/// that the profile does not offer.
pub fn standard(profile: &Profile) -> Vec<Standard> {
    let mut family = Family { profile: *profile, scenarios: Vec::new() };
    match (profile.distribution, profile.capacity) {
        (Distribution::Latest, _) => cell::add(&mut family),
        (_, Capacity::Zero) => rendezvous::add(&mut family),
        _ => buffering::add(&mut family),
    }
    if profile.distribution == Distribution::ToEach {
        broadcast::add(&mut family);
    }
    messages::add(&mut family);
    ends::add(&mut family);
    family.scenarios.retain(|s| s.scenario.fits(profile));
    family.scenarios
}

/// What is being gathered.
struct Family {
    profile: Profile,
    scenarios: Vec<Standard>,
}

impl Family {
    /// One sender, P0, and one receiver, P1.
    fn pair(&self, name: &str) -> ScenarioBuilder {
        ScenarioBuilder::new(name, &self.profile, 1, 1)
    }

    fn crew(&self, name: &str, senders: u16, receivers: u16) -> ScenarioBuilder {
        ScenarioBuilder::new(name, &self.profile, senders, receivers)
    }

    fn add(&mut self, scenario: &ScenarioBuilder, about: &[&'static str]) {
        self.add_repeated(scenario, about, 1);
    }

    fn add_repeated(&mut self, scenario: &ScenarioBuilder, about: &[&'static str], repeat: u32) {
        let scenario = scenario.build();
        debug_assert_eq!(scenario.validate(), Ok(()), "{}", scenario.name);
        self.scenarios.push(Standard { scenario, about: about.to_vec(), repeat });
    }

    /// How many messages surely fit, at most 3: what a scenario may send without waiting.
    fn fits(&self) -> u32 {
        match self.profile.capacity {
            Capacity::Zero => 0,
            Capacity::Bounded(n) | Capacity::AtLeast(n) => n.min(3),
            Capacity::Unbounded => 3,
        }
    }

    /// A way to send that the link offers, for where it does not matter which.
    fn send(&self) -> Mode {
        any(&self.profile.send)
    }

    /// A way to receive that the link offers, for where a message is there.
    fn receive(&self) -> Mode {
        any(&self.profile.receive)
    }

    fn sends(&self) -> impl Iterator<Item = Mode> + use<> {
        offered(self.profile.send)
    }

    fn receives(&self) -> impl Iterator<Item = Mode> + use<> {
        offered(self.profile.receive)
    }

    fn many_senders(&self) -> bool {
        self.profile.senders == Holders::Many
    }

    fn many_receivers(&self) -> bool {
        self.profile.receivers == Holders::Many
    }
}

fn offered(modes: Modes) -> impl Iterator<Item = Mode> {
    [Mode::Blocking, Mode::Nonblocking, Mode::Timed].into_iter().filter(move |m| modes.offers(*m))
}

fn any(modes: &Modes) -> Mode {
    offered(*modes).next().unwrap_or(Mode::Blocking)
}

/// The word for a mode in the names of scenarios.
fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Blocking => "blocking",
        Mode::Nonblocking => "nonblocking",
        Mode::Timed => "timed",
    }
}
