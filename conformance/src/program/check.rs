//! `check`: is a recorded history legal?

use std::io::Read;

use anyhow::{Context, bail};
use ipc_model::{
    BINARY_MAGIC, Header, History, HistoryError, Lines, Profile, Verdict, lanes, read_binary,
    read_edn, read_porcupine, write_jsonl,
};

use super::{CheckArguments, CheckFormat, FAILS, INCONCLUSIVE, WELL};

pub(super) fn check(arguments: &CheckArguments) -> anyhow::Result<u8> {
    let name = arguments.history.display();
    let mut bytes = Vec::new();
    if arguments.history.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut bytes).context("standard input")?;
    } else {
        bytes = std::fs::read(&arguments.history).with_context(|| format!("{name}"))?;
    }
    let (header, history) = read(&bytes).map_err(|e| anyhow::anyhow!("{name}: {e}"))?;
    drop(bytes);
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

/// Reads a history of whichever form it is in, told by how it begins: our binary form, Jepsen's
/// EDN, a list of operations as Porcupine has it, or JSON lines.
fn read(bytes: &[u8]) -> Result<(Option<Header>, History), String> {
    if bytes.starts_with(BINARY_MAGIC) {
        let read = read_binary(bytes).map_err(|e| format!("record {}: {}", e.line, e.why));
        return read.map(|(header, history)| (Some(header), history));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = bytes[..e.valid_up_to()].split(|b| *b == b'\n').count();
        format!("line {line}: not UTF-8 text")
    })?;
    let start: String = text.trim_start().chars().take(200).collect();
    let bare = |read: Result<History, HistoryError>| read.map(|history| (None, history));
    let read = if start.starts_with("{:") || start.starts_with("[{:") || start.starts_with("#") {
        bare(read_edn(text))
    } else if start.starts_with('[') || start.to_lowercase().contains("\"call\"") {
        bare(read_porcupine(text))
    } else {
        read_lines(text)
    };
    read.map_err(|e| e.to_string())
}

/// Reads JSON lines on all processors, in parts that end where a line does.
fn read_lines(text: &str) -> Result<(Option<Header>, History), HistoryError> {
    const PART: usize = 1 << 20;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let each = (text.len() / processors).max(PART);
    let (mut parts, mut rest, mut first) = (Vec::new(), text, 1);
    while !rest.is_empty() {
        let from = each.min(rest.len());
        let end = rest.as_bytes()[from..].iter().position(|b| *b == b'\n');
        let (part, left) = rest.split_at(end.map_or(rest.len(), |i| from + i + 1));
        parts.push((first, part));
        first += part.bytes().filter(|b| *b == b'\n').count();
        rest = left;
    }
    let read: Result<Vec<Lines>, HistoryError> = std::thread::scope(|scope| {
        let spawn = |(first, part)| scope.spawn(move || Lines::read(part, first));
        let running: Vec<_> = parts.into_iter().map(spawn).collect();
        let join =
            |r: std::thread::ScopedJoinHandle<'_, _>| r.join().expect("readers do not panic");
        running.into_iter().map(join).collect()
    });
    Lines::join(read?)
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
