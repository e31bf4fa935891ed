//! From the sweeps of a link to its cells.

use std::collections::BTreeMap;

use super::{Cells, RULES, Rule, Subject};
use crate::report::{Cell, CellVerdict};
use crate::rulebook::Asked;

/// What a controller said of its sweeps; or that, and why it did not come to its end.
pub(super) type Lines = Result<Vec<String>, (Vec<String>, String)>;

/// One cell for each rule.
pub(super) fn of(subject: Subject<'_>, asked: &Asked, lines: Lines) -> Cells {
    let (lines, cut) = match lines {
        Ok(lines) => (lines, None),
        Err((lines, why)) => (lines, Some(why)),
    };
    let mut replays = BTreeMap::new();
    let cells = RULES.iter().map(|rule| {
        let id = rule.about.id;
        let plain = |verdict, why: &str| Cell::plain(subject.link, id, verdict, why);
        match rule.is_claimed(subject.claim) {
            Err(why) => plain(CellVerdict::NotClaimed, why),
            Ok(()) if !asked.includes(id) => plain(CellVerdict::Inconclusive, crate::NOT_ASKED),
            Ok(()) => decided(subject.link, rule, &lines, cut.as_deref(), &mut replays),
        }
    });
    (cells.collect(), replays)
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn decided(
    link: &str,
    rule: &Rule,
    _: &[String],
    _: Option<&str>,
    _: &mut BTreeMap<String, String>,
) -> Cell {
    Cell::not_claimed(link, rule.about.id)
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use stepped::decided;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod stepped {
    use super::super::FIGURES;
    use super::*;
    use crate::stepped::{Sweep, Trouble};

    /// What comes of killing processes of a link that claims nothing about it.
    const OBSERVED: CellVerdict = CellVerdict::Observed;

    pub(super) fn decided(
        link: &str,
        rule: &Rule,
        lines: &[String],
        cut: Option<&str>,
        replays: &mut BTreeMap<String, String>,
    ) -> Cell {
        let id = rule.about.id;
        let plain = |verdict, why: &str| Cell::plain(link, id, verdict, why);
        let read: Result<Vec<Result<Sweep, Trouble>>, _> =
            lines.iter().map(|line| serde_json::from_str(line)).collect();
        let read = match read {
            Ok(read) => read,
            Err(why) => return plain(CellVerdict::Broken, &format!("the controller: {why}")),
        };
        let mut sweeps = Vec::new();
        for told in read {
            match told {
                Ok(sweep) if id == FIGURES || sweep.name == id => sweeps.push(sweep),
                Ok(_) => {}
                Err(trouble) => return plain(verdict_of(&trouble), &trouble.to_string()),
            }
        }
        if id == FIGURES {
            return figures(link, id, &sweeps, cut);
        }
        if let Some(sweep) = sweeps.iter().find(|s| s.forbidden > 0) {
            return forbidden(link, sweep, replays);
        }
        if let Some((sweep, left)) = sweeps.iter().find_map(|s| Some((s, s.left_behind()?))) {
            let why = format!("on {}: {left}, which is not so without a kill", sweep.state);
            return plain(if sweep.observed { OBSERVED } else { CellVerdict::Fail }, &why);
        }
        if let Some(why) = cut {
            return plain(CellVerdict::Inconclusive, why);
        }
        if let Some((sweep, why)) = sweeps.iter().find_map(doubt) {
            let why = format!("on {}: {}", sweep.state, why.1);
            return plain(why_not(sweep), &why);
        }
        let kept: Vec<&Sweep> = sweeps.iter().filter(|s| s.trouble.is_none()).collect();
        if kept.is_empty() {
            let refused = sweeps.iter().find_map(|s| s.trouble.as_ref());
            let why = refused.map_or("no state of the link fits".into(), ToString::to_string);
            return plain(CellVerdict::NotClaimed, &why);
        }
        let worlds: usize = kept.iter().map(|s| s.times.len()).sum();
        let (mut verdict, mut why) = (CellVerdict::Pass, passed(&kept));
        if kept.iter().any(|s| s.observed) {
            verdict = OBSERVED;
            why = format!("it claims nothing about killed processes; {why}, none of them bad");
        }
        if let Some(exposed) = kept.iter().find_map(|s| s.exposed.as_ref()) {
            why += &format!("; without namespaces of its own: {exposed}");
        }
        let mut cell = plain(verdict, &why);
        cell.evidence = u32::try_from(worlds).unwrap_or(u32::MAX);
        cell
    }

    fn verdict_of(trouble: &Trouble) -> CellVerdict {
        match trouble {
            Trouble::Broken(_) | Trouble::TooLong(_) => CellVerdict::Broken,
            Trouble::Diverged(_) => CellVerdict::Inconclusive,
            Trouble::Refused(_) => CellVerdict::NotClaimed,
        }
    }

    /// Why a sweep is no pass, though nothing in it is forbidden.
    fn doubt(sweep: &Sweep) -> Option<(&Sweep, (CellVerdict, String))> {
        let inconclusive = |why: String| Some((sweep, (CellVerdict::Inconclusive, why)));
        match &sweep.trouble {
            Some(Trouble::Refused(_)) => return None,
            Some(trouble) => return Some((sweep, (verdict_of(trouble), trouble.to_string()))),
            None => {}
        }
        if sweep.odd > 0 {
            let first = sweep.odd_shown.as_ref().map_or(String::new(), |lines| lines.join("; "));
            return inconclusive(format!("{} worlds of {}: {first}", sweep.odd, sweep.times.len()));
        }
        if let Some(difference) = &sweep.differs {
            let why = format!("it does not do the same when it is stepped again: {difference}");
            return inconclusive(why);
        }
        let complete = sweep.levels.is_empty() || sweep.complete() >= Some(1);
        if !complete {
            let left = sweep.left_out();
            return inconclusive(format!("{} schedules run, {left} left out", sweep.points));
        }
        None
    }

    fn why_not(sweep: &Sweep) -> CellVerdict {
        doubt(sweep).map_or(CellVerdict::Inconclusive, |(_, (verdict, _))| verdict)
    }

    fn passed(sweeps: &[&Sweep]) -> String {
        let sum = |of: &dyn Fn(&Sweep) -> usize| sweeps.iter().map(|s| of(s)).sum::<usize>();
        if sweeps.iter().any(|s| !s.levels.is_empty()) {
            let left = sum(&|s| s.left_out());
            let behind = match left {
                0 => "none left out".to_owned(),
                n => format!("{n} with more preemptions left out"),
            };
            let outcomes = sum(&|s| s.outcomes.len());
            return format!("{} schedules, {outcomes} outcomes; {behind}", sum(&|s| s.points));
        }
        let states = sweeps.len();
        let (most, rejoin) = (
            sweeps.iter().map(|s| s.instructions).max().unwrap_or(0),
            sweeps.iter().find_map(|s| s.rejoin.as_ref()),
        );
        let mut why = format!(
            "killed at {} points of {states} operations of up to {most} instructions, in {} \
             worlds, with {} outcomes",
            sum(&|s| s.points),
            sum(&|s| s.times.len()),
            sum(&|s| s.outcomes.len()),
        );
        if let Some(refused) = rejoin {
            why +=
                &format!("; nobody rejoined, which is refused after an orderly end too: {refused}");
        }
        why
    }

    fn forbidden(link: &str, sweep: &Sweep, replays: &mut BTreeMap<String, String>) -> Cell {
        let mut cell = Cell::plain(link, &sweep.name, CellVerdict::Fail, "");
        let (bad, all) = (sweep.forbidden, sweep.times.len());
        cell.why = format!("on {}: {bad} worlds of {all} break the model", sweep.state);
        if sweep.observed {
            cell.verdict = OBSERVED;
            cell.why = format!(
                "it claims nothing about killed processes; were they as good as quiet, {bad} \
                 worlds of {all} on {} would break the model",
                sweep.state
            );
        }
        if let Some(shown) = &sweep.shown {
            cell.why += &format!("; the shortest {}: {}", shown.rule, shown.says);
            let told = shown.narrative.join("\n");
            cell.picture = Some(format!("{told}\n\n{}", shown.picture));
            match &shown.replay {
                Ok(stepped) => {
                    if let Ok(text) = serde_json::to_string_pretty(stepped) {
                        replays.insert(sweep.name.clone(), text);
                    }
                }
                Err(why) => {
                    // Seen once and not again is no finding.
                    cell.verdict = CellVerdict::Inconclusive;
                    cell.why += &format!("; it cannot be done again: {why}");
                }
            }
        }
        cell
    }

    /// What a send and a receive take that need not wait.
    fn figures(link: &str, id: &str, sweeps: &[Sweep], cut: Option<&str>) -> Cell {
        let told: Vec<String> = [("try_send", "0 messages"), ("try_receive", "1 message")]
            .into_iter()
            .chain([("send", "0 messages"), ("receive", "1 message")])
            .filter_map(|(operation, state)| {
                let name = format!("crash.{operation}.every-instruction");
                let sweep = sweeps.iter().find(|s| s.name == name && s.state == state)?;
                let about = sweep.about();
                (sweep.instructions > 0).then(|| {
                    format!(
                        "{operation}: {about}{} instructions, {} shared reads, {} shared writes, \
                         {} system calls",
                        sweep.instructions, sweep.reads, sweep.writes, sweep.calls
                    )
                })
            })
            .collect();
        if told.is_empty() {
            let why = cut.unwrap_or("no send or receive was stepped");
            return Cell::plain(link, id, CellVerdict::Inconclusive, why);
        }
        let mut cell = Cell::plain(link, id, CellVerdict::Observed, &told.join("; "));
        cell.observed = told;
        cell
    }
}
