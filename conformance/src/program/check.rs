//! `check`: is a recorded history legal?

mod input;

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, anyhow, bail};
use ipc_model::check::monitor::Finding;
use ipc_model::check::{Budget, ByLink};
use ipc_model::{Log, Profile, Spec, Verdict, lanes, write_jsonl};

use ipc_conformance::report::html::{Checked, history_page, history_picture};

use super::{CheckArguments, CheckFormat, FAILS, INCONCLUSIVE, WELL};

pub(super) fn check(arguments: &CheckArguments) -> anyhow::Result<u8> {
    let asked = match &arguments.profile {
        Some(text) => Some(Profile::parse(text).map_err(|e| anyhow!("--profile: {e}"))?),
        None => None,
    };
    let (header, log) = input::read(&arguments.history)?;
    let Some(profile) = asked.or(header.and_then(|h| h.profile)) else {
        bail!(
            "{}: what does the link claim? Give --profile, or a first line such as \
             {{\"format\":\"ipc-history/1\",\"profile\":{{\"capacity\":4}}}}",
            arguments.history.display()
        )
    };
    let verdict = match log.is_empty() {
        true => Verdict::Inconclusive("the history has no calls".into()),
        false => decide(&Spec::new(profile), &log),
    };
    draw(arguments, &profile, &log, &verdict)?;
    match arguments.format {
        CheckFormat::Text => print_text(&verdict, log.len()),
        CheckFormat::Json => print_json(&verdict)?,
    }
    Ok(match verdict {
        Verdict::Pass { .. } => WELL,
        Verdict::Fail(_) => FAILS,
        Verdict::Inconclusive(_) => INCONCLUSIVE,
    })
}

/// Writes the page and the picture, where they are asked for.
fn draw(
    arguments: &CheckArguments,
    profile: &Profile,
    log: &Log,
    verdict: &Verdict,
) -> anyhow::Result<()> {
    let name = arguments.history.display().to_string();
    let name = if name == "-" { "standard input" } else { &name };
    let checked = Checked { name, profile, log, verdict };
    if let Some(path) = &arguments.html {
        std::fs::write(path, history_page(&checked)).with_context(|| path.display().to_string())?;
    }
    if let Some(path) = &arguments.svg {
        let Some(picture) = history_picture(&checked) else {
            bail!("--svg: there is nothing to draw, or too much");
        };
        std::fs::write(path, picture).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Decides the links of a log side by side, on all processors.
fn decide(spec: &Spec, log: &Log) -> Verdict {
    let by_link = ByLink::new(spec, log, Budget::default());
    let links = by_link.links();
    let next = AtomicUsize::new(0);
    let findings: Mutex<Vec<(usize, Finding)>> = Mutex::new(Vec::new());
    let work = || {
        loop {
            // Whoever takes a number owns that link; the scope's end publishes what was found.
            let link = next.fetch_add(1, Ordering::Relaxed);
            if link >= links {
                return;
            }
            let found = by_link.decide(link);
            findings.lock().expect("monitors do not panic").push((link, found));
        }
    };
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 1..processors.min(links) {
            scope.spawn(work);
        }
        work();
    });
    let mut findings = findings.into_inner().expect("monitors do not panic");
    findings.sort_by_key(|(link, _)| *link);
    by_link.conclude(findings.into_iter().map(|(_, found)| found).collect())
}

fn print_text(verdict: &Verdict, operations: usize) {
    match verdict {
        Verdict::Pass { deviations, .. } => {
            super::say!("pass: the model explains all {operations} operations");
            for deviation in deviations {
                super::say!("deviates from {}: {deviation}", deviation.rule);
            }
        }
        Verdict::Fail(counterexample) => {
            let rule = counterexample.rule.rule();
            let says: Vec<&str> = rule.says.split_whitespace().collect();
            super::say!("fail: {} [{}]", rule.id, rule.sources[0]);
            super::say!("  {}", says.join(" "));
            super::say!("  {counterexample}");
            if let Some(pattern) = &counterexample.pattern {
                super::say!("  {pattern}");
            }
            super::say!("");
            super::say!("{}", lanes::draw(&counterexample.history, Some(counterexample)));
        }
        Verdict::Inconclusive(why) => super::say!("inconclusive: {why}"),
    }
}

fn print_json(verdict: &Verdict) -> anyhow::Result<()> {
    let json = match verdict {
        Verdict::Pass { deviations, .. } => {
            let missed: Vec<String> = deviations.iter().map(|d| d.rule.to_string()).collect();
            serde_json::json!({ "verdict": "pass", "deviates": missed })
        }
        Verdict::Fail(counterexample) => {
            let lines = write_jsonl(None, &counterexample.history);
            let operations: Result<Vec<serde_json::Value>, _> =
                lines.lines().skip(1).map(serde_json::from_str).collect();
            serde_json::json!({
                "verdict": "fail",
                "rule": counterexample.rule.to_string(),
                "pattern": counterexample.pattern.as_ref().map(ToString::to_string),
                "why": counterexample.to_string(),
                "operations": operations?,
            })
        }
        Verdict::Inconclusive(why) => serde_json::json!({ "verdict": "inconclusive", "why": why }),
    };
    super::say!("{json}");
    Ok(())
}
