//! What came out, as it is written to bench.json: the format `ipc-bench/1`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cell::Sample;
use crate::claims::Claim;
use crate::contenders::LIMIT;
use crate::goals::Goal;
use crate::link::{Contender, Family, Measure};
use crate::rounds::{Key, Samples};

/// The whole of it.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) format: &'static str,
    pub(crate) environment: Environment,
    pub(crate) rounds: u32,
    pub(crate) sizes: Vec<usize>,
    pub(crate) links: Vec<Row>,
    pub(crate) goals: Vec<Goal>,
    pub(crate) claims: Vec<Claim>,
}

/// On what it was measured.
#[derive(Serialize)]
pub(crate) struct Environment {
    pub(crate) processor: String,
    pub(crate) cpus: usize,
    pub(crate) kernel: String,
    pub(crate) architecture: &'static str,
}

/// One contender.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) family: Family,
    pub(crate) in_place: bool,
    /// Nanoseconds a message, by length.
    pub(crate) one_way: BTreeMap<usize, Figure>,
    /// System calls a message of both ends together, by length.
    pub(crate) calls: BTreeMap<usize, f64>,
    pub(crate) two_by_two: Option<Figure>,
    pub(crate) spinning: Option<Trip>,
    pub(crate) sleeping: Option<Trip>,
    /// Why something is missing, by length.
    pub(crate) unavailable: BTreeMap<usize, String>,
}

/// A time by rounds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    /// Nanoseconds: the median of the rounds.
    pub(crate) median: f64,
    /// The capacity of the link that did best.
    pub(crate) capacity: usize,
    /// Against the limit: the median of the ratios within a round.
    pub(crate) of_limit: Option<f64>,
    /// Nanoseconds in each round.
    pub(crate) rounds: Vec<Option<f64>>,
}

/// Round trips.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Trip {
    /// Half of them take at most so long, and how that was in each round.
    pub(crate) p50: Figure,
    /// Nanoseconds: the median over the rounds of what 99 of 100 trips take at most.
    pub(crate) p99: f64,
    /// How often the caller went to sleep, a trip.
    pub(crate) slept: f64,
}

impl Row {
    /// The figures of one contender.
    pub(crate) fn of(contender: &Contender, samples: &Samples) -> Self {
        let of = |measure| figures(contender.name, measure, samples);
        let by_size = |(name, _): &&(&str, usize)| *name == contender.name;
        let one_way = of(Measure::OneWay);
        let trip = |measure| {
            let (size, p50) = of(measure).pop_first()?;
            let key = Key { contender: contender.name, measure, size, capacity: p50.capacity };
            let trips: Vec<_> = samples.by_key[&key].iter().flatten().collect();
            let p99 = trips.iter().filter_map(|s| match s {
                Sample::Trip { p99, .. } => Some(*p99),
                _ => None,
            });
            let slept = trips.iter().filter_map(|s| match s {
                Sample::Trip { slept, .. } => Some(*slept),
                _ => None,
            });
            Some(Trip { p50, p99: median(p99.collect())?, slept: median(slept.collect())? })
        };
        Self {
            name: contender.name,
            family: contender.family,
            in_place: contender.in_place,
            calls: samples
                .calls
                .iter()
                .filter(|(k, _)| by_size(k))
                .map(|((_, s), c)| (*s, *c))
                .collect(),
            two_by_two: of(Measure::TwoByTwo).pop_first().map(|(_, figure)| figure),
            spinning: trip(Measure::Spinning),
            sleeping: trip(Measure::Sleeping),
            unavailable: samples
                .unavailable
                .iter()
                .filter(|(k, _)| by_size(k))
                .map(|((_, size), why)| (*size, why.clone()))
                .collect(),
            one_way,
        }
    }
}

/// By size, the figure of the capacity that did best.
fn figures(name: &'static str, measure: Measure, samples: &Samples) -> BTreeMap<usize, Figure> {
    let mut figures: BTreeMap<usize, Figure> = BTreeMap::new();
    for (key, taken) in &samples.by_key {
        if key.contender != name || key.measure != measure {
            continue;
        }
        let rounds: Vec<Option<f64>> = taken.iter().map(|s| s.and_then(nanoseconds)).collect();
        let Some(median) = median(rounds.iter().flatten().copied().collect()) else { continue };
        let figure = Figure { median, capacity: key.capacity, of_limit: None, rounds };
        let best = figures.entry(key.size).or_insert_with(|| figure.clone());
        if figure.median < best.median {
            *best = figure;
        }
    }
    figures
}

fn nanoseconds(sample: Sample) -> Option<f64> {
    match sample {
        Sample::Message(ns) => Some(ns),
        Sample::Trip { p50, .. } => Some(p50),
        Sample::Passed(_) => None,
    }
}

impl Figure {
    /// How many times as long as the other: the median of the ratios within a round, because
    /// what slows a round down slows down everybody in it.
    pub(crate) fn against(&self, other: &Figure) -> Option<f64> {
        let pairs = self.rounds.iter().zip(&other.rounds);
        median(pairs.filter_map(|(a, b)| Some((*a)? / (*b)?)).collect())
    }
}

/// Fills in every ratio to the limit.
pub(crate) fn compare_with_limit(rows: &mut [Row]) {
    let Some(limit) = rows.iter().position(|row| row.name == LIMIT) else { return };
    let limit =
        (rows[limit].one_way.clone(), rows[limit].spinning.clone(), rows[limit].sleeping.clone());
    for row in rows {
        for (size, figure) in &mut row.one_way {
            figure.of_limit = limit.0.get(size).and_then(|limit| figure.against(limit));
        }
        for (trip, limit) in [(&mut row.spinning, &limit.1), (&mut row.sleeping, &limit.2)] {
            if let (Some(trip), Some(limit)) = (trip, limit) {
                trip.p50.of_limit = trip.p50.against(&limit.p50);
            }
        }
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some((values[low] + values[high]) / 2.0)
}

impl Environment {
    /// This machine.
    pub(crate) fn here() -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            processor: model.map_or("unknown", |(_, name)| name).into(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: ipc_conformance::kernel_version(),
            architecture: std::env::consts::ARCH,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(rounds: &[Option<f64>]) -> Figure {
        let median = median(rounds.iter().flatten().copied().collect()).unwrap();
        Figure { median, capacity: 1, of_limit: None, rounds: rounds.to_vec() }
    }

    #[test]
    fn a_round_that_is_slow_for_all_changes_no_ratio() {
        let one = figure(&[Some(2.0), Some(20.0), Some(2.0)]);
        let other = figure(&[Some(1.0), Some(10.0), Some(1.0)]);
        assert_eq!(one.against(&other), Some(2.0));
    }

    #[test]
    fn a_round_that_one_of_two_has_missed_counts_for_neither() {
        let one = figure(&[Some(2.0), None, Some(6.0)]);
        let other = figure(&[Some(1.0), Some(1.0), Some(2.0)]);
        assert_eq!(one.against(&other), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }
}
