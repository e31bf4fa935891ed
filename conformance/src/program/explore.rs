//! `explore`: every behaviour of small scenarios.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use ipc_model::cover::covering;
use ipc_model::explore::{Exploration, Limit, PROMISES, dot, explore as walk};
use ipc_model::{Profile, Scenario, Spec, scenarios};
use layout::backends::svg::SVGWriter;
use layout::gv::{DotParser, GraphBuilder};

use super::{FAILS, INCONCLUSIVE, WELL};

#[derive(Args)]
pub(crate) struct ExploreArguments {
    /// What the link claims: `unbounded`, `rendezvous`, `bounded:N`, or a JSON object.
    #[arg(long)]
    profile: String,
    /// A scenario: the name of a standard one or of a tour, as the list without this option shows
    /// them, or a file with one in JSON. Default: all of them, a line each.
    #[arg(long)]
    scenario: Option<String>,
    /// Writes the graph of the scenario's states in the DOT language.
    #[arg(long, requires = "scenario")]
    dot: Option<PathBuf>,
    /// Writes the graph of the scenario's states as a picture.
    #[arg(long, requires = "scenario")]
    svg: Option<PathBuf>,
    /// Draws every interleaving, not only those that make a difference.
    #[arg(long)]
    whole: bool,
    /// How many states are looked at, at most.
    #[arg(long, default_value_t = 200_000)]
    states: usize,
}

/// One scenario explored, with and without reduction.
struct Explored {
    whole: Exploration,
    reduced: Exploration,
}

impl Explored {
    fn of(spec: &Spec, scenario: &Scenario, states: usize) -> Self {
        let whole = walk(spec, scenario, Limit { states, reduced: false });
        let reduced = walk(spec, scenario, Limit { states, reduced: true });
        Self { whole, reduced }
    }

    /// What is wrong with the model, if anything is.
    fn faults(&self) -> Vec<String> {
        let broken = self.whole.broken.union(&self.reduced.broken).cloned();
        let complete = !self.whole.cut_short && !self.reduced.cut_short;
        let differ = complete && self.whole.outcomes != self.reduced.outcomes;
        broken.chain(differ.then(|| "the reduced run ends otherwise".into())).collect()
    }

    /// The run that saw the most.
    fn best(&self) -> &Exploration {
        if self.whole.cut_short { &self.reduced } else { &self.whole }
    }

    fn code(&self) -> u8 {
        match (self.faults().is_empty(), self.best().cut_short) {
            (false, _) => FAILS,
            (true, true) => INCONCLUSIVE,
            (true, false) => WELL,
        }
    }
}

pub(super) fn explore(arguments: &ExploreArguments) -> anyhow::Result<u8> {
    let profile = Profile::parse(&arguments.profile).map_err(anyhow::Error::msg)?;
    let spec = Spec::new(profile);
    let Some(wanted) = &arguments.scenario else {
        return Ok(list(&spec, arguments.states));
    };
    let scenario = find(&profile, wanted)?;
    let limit = Limit { states: arguments.states, reduced: !arguments.whole };
    if let Some(file) = &arguments.dot {
        let text = dot(&spec, &scenario, limit);
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if let Some(file) = &arguments.svg {
        let text = draw(&spec, &scenario, limit)?;
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let explored = Explored::of(&spec, &scenario, arguments.states);
    tell(&spec, &scenario, &explored);
    Ok(explored.code())
}

/// The scenarios that the model has for the profile.
fn known(profile: &Profile) -> Vec<Scenario> {
    let standard = scenarios::standard(profile).into_iter().map(|s| s.scenario);
    let tours = covering(profile).scenarios.into_iter().map(|c| c.scenario);
    standard.chain(tours).collect()
}

/// The scenario of this name, or of this file.
///
/// # Errors
/// That there is neither, or what is wrong with the file.
fn find(profile: &Profile, wanted: &str) -> anyhow::Result<Scenario> {
    let known = known(profile);
    if let Some(scenario) = known.iter().find(|s| s.name == wanted) {
        return Ok(scenario.clone());
    }
    let text = match std::fs::read_to_string(wanted) {
        Ok(text) => text,
        Err(error) => {
            let names = known.iter().map(|s| s.name.as_str());
            let known = ipc_conformance::catalogue::suggest(wanted, names);
            anyhow::bail!(
                "no scenario of this profile is called {wanted:?} ({known}), \
                 and as a file: {error}"
            );
        }
    };
    let scenario: Scenario =
        serde_json::from_str(&text).with_context(|| format!("{wanted} is no scenario"))?;
    scenario.validate().with_context(|| format!("{wanted} cannot be run"))?;
    anyhow::ensure!(
        scenario.fits(profile),
        "{wanted} makes a call that the profile does not offer"
    );
    Ok(scenario)
}

/// A line for every scenario.
fn list(spec: &Spec, states: usize) -> u8 {
    super::say!("{:<36} {:>9} {:>9} {:>9}", "scenario", "states", "reduced", "endings");
    let mut worst = WELL;
    for scenario in known(&spec.profile) {
        let explored = Explored::of(spec, &scenario, states);
        let (whole, reduced) = (&explored.whole, &explored.reduced);
        let (name, endings) = (&scenario.name, explored.best().outcomes.len());
        let (all, few) = (count(whole), count(reduced));
        super::say!("{name:<36} {all:>9} {few:>9} {endings:>9}");
        for fault in explored.faults() {
            super::say!("    {fault}");
        }
        worst = match (worst, explored.code()) {
            (FAILS, _) | (_, FAILS) => FAILS,
            (worst, code) => worst.max(code),
        };
    }
    worst
}

/// How many states an exploration has seen, and whether there are more.
fn count(found: &Exploration) -> String {
    format!("{}{}", if found.cut_short { "> " } else { "" }, found.states)
}

/// How many endings are printed before the rest is only counted.
const ENDINGS: usize = 20;

/// Everything about one scenario.
fn tell(spec: &Spec, scenario: &Scenario, explored: &Explored) {
    let Explored { whole, reduced } = explored;
    let best = explored.best();
    super::say!("scenario     {}", scenario.name);
    super::say!("states       {}, {} reduced", count(whole), count(reduced));
    super::say!("edges        {}, {} reduced", whole.transitions, reduced.transitions);
    super::say!("endings      {}", best.outcomes.len());
    for ending in best.outcomes.iter().take(ENDINGS) {
        super::say!("    {ending}");
    }
    if best.outcomes.len() > ENDINGS {
        super::say!("    … and {} more", best.outcomes.len() - ENDINGS);
    }
    let faults = explored.faults();
    if faults.is_empty() {
        super::say!("promises     kept in every state: {}", PROMISES.join(", "));
        if !whole.cut_short {
            super::say!("reduction    ends in the same {} ways", reduced.outcomes.len());
        }
    }
    for fault in faults {
        super::say!("BROKEN       {fault}");
    }
    if whole.cut_short {
        super::say!("cut short    there are more states; --states raises the limit");
    }
    let fired: Vec<_> = best.fired.iter().map(|r| r.rule().id).collect();
    super::say!("rules        {} of {} fired:", fired.len(), spec.rules().len());
    fired.iter().for_each(|rule| super::say!("    {rule}"));
}

/// How many states a picture shows at most: more than anybody follows.
const DRAWN: usize = 300;

/// The graph as SVG.
fn draw(spec: &Spec, scenario: &Scenario, limit: Limit) -> anyhow::Result<String> {
    let states = walk(spec, scenario, limit).states;
    anyhow::ensure!(
        states <= DRAWN,
        "{} has {states} states, and a picture shows {DRAWN} at most; --dot writes them all",
        scenario.name
    );
    let dot = dot(spec, scenario, limit);
    let graph = DotParser::new(&dot).process().map_err(|e| anyhow::anyhow!("cannot draw: {e}"))?;
    let mut builder = GraphBuilder::new();
    builder.visit_graph(&graph);
    let mut svg = SVGWriter::new();
    builder.get().do_it(false, false, false, &mut svg);
    Ok(svg.finalize())
}
