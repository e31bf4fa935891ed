//! `check`: is a recorded history legal?

use std::io::Read;

use anyhow::{Context, bail};
use ipc_model::{Profile, Verdict, lanes, read_jsonl, write_jsonl};

use super::{CheckArguments, CheckFormat, FAILS, INCONCLUSIVE, WELL};

pub(super) fn check(arguments: &CheckArguments) -> anyhow::Result<u8> {
    let name = arguments.history.display();
    let mut bytes = Vec::new();
    if arguments.history.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut bytes).context("standard input")?;
    } else {
        bytes = std::fs::read(&arguments.history).with_context(|| format!("{name}"))?;
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let line = e.as_bytes()[..e.utf8_error().valid_up_to()].split(|b| *b == b'\n').count();
        anyhow::anyhow!("{name}: line {line}: not UTF-8 text")
    })?;
    let (header, history) = read_jsonl(&text).map_err(|e| anyhow::anyhow!("{name}: {e}"))?;
    let profile = match (&arguments.profile, header.and_then(|h| h.profile)) {
        (Some(text), _) => Profile::parse(text).map_err(|e| anyhow::anyhow!("--profile: {e}"))?,
        (None, Some(profile)) => profile,
        (None, None) => bail!(
            "{name}: what does the link claim? Give --profile, or a first line such as \
             {{\"format\":\"ipc-history/1\",\"profile\":{{\"capacity\":4}}}}"
        ),
    };
    let verdict = ipc_model::check(&profile, &history);
    match arguments.format {
        CheckFormat::Text => print_text(&verdict, history.operations.len()),
        CheckFormat::Json => print_json(&verdict)?,
    }
    Ok(match verdict {
        Verdict::Pass { .. } => WELL,
        Verdict::Fail(_) => FAILS,
        Verdict::Inconclusive(_) => INCONCLUSIVE,
    })
}

fn print_text(verdict: &Verdict, operations: usize) {
    match verdict {
        Verdict::Pass { deviations, .. } => {
            println!("pass: the model explains all {operations} operations");
            for deviation in deviations {
                println!("deviates from {}: {deviation}", deviation.rule);
            }
        }
        Verdict::Fail(counterexample) => {
            let rule = counterexample.rule.rule();
            let says: Vec<&str> = rule.says.split_whitespace().collect();
            println!("fail: {} [{}]", rule.id, rule.sources[0]);
            println!("  {}", says.join(" "));
            println!("  {counterexample}\n");
            println!("{}", lanes::draw(&counterexample.history, Some(counterexample)));
        }
        Verdict::Inconclusive(why) => println!("inconclusive: {why}"),
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
                "pattern": counterexample.rule.to_string(),
                "why": counterexample.to_string(),
                "operations": operations?,
            })
        }
        Verdict::Inconclusive(why) => serde_json::json!({ "verdict": "inconclusive", "why": why }),
    };
    println!("{json}");
    Ok(())
}
