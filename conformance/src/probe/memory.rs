//! Memory errors, as valgrind sees them.

use std::process::Command;

use ipc_model::{Force, Source};

use super::{Found, Probe, Subject, about};
use crate::run::{Course, Host};
use crate::suite::progresses;

/// No invalid memory access.
pub(super) const ERRORS: Probe = Probe {
    about: about(
        "memory.no-invalid-access",
        "No call reads or writes memory that is not its own, or that was never written.",
        &[Source::Clause("Rust reference: behaviour considered undefined")],
        Force::Shall,
    ),
    claimed: |_| true,
    deep: true,
    way: None,
    look: |subject| errors(subject).unwrap_or_else(|found| found),
};

fn errors(subject: &mut Subject<'_>) -> Result<Found, Found> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return Err(Found::inconclusive("valgrind is not installed (Debian: valgrind)"));
    }
    let scenario = subject.plain()?;
    let folder = crate::temporary::folder().map_err(|e| Found::no_look(format!("{e:#}")))?;
    let log = folder.path().join("valgrind");
    let script = folder.path().join("under-valgrind");
    // Workers are started by the adapter's own program, so that valgrind follows them.
    let text = format!(
        "#!/bin/sh\nexec valgrind -q --trace-children=yes --log-file='{}'.%p '{}'\n",
        log.display(),
        subject.host.program().display()
    );
    let write = || {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(&script, text)?;
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))
    };
    write().map_err(|e| Found::no_look(e.to_string()))?;
    let mut host =
        Host::start(&script, &folder.path().join("host")).map_err(Found::inconclusive)?;
    let profile = subject.claim.profile;
    let explains = |history: &ipc_model::History| progresses(&profile, history);
    let course = &mut Course::default();
    let run = host.run_on(&subject.claim.link, &scenario, subject.way, &explains, course);
    drop(host);
    if let Some(found) = Found::of_end(&run.end) {
        // Under valgrind everything takes far longer than the suite's patience allows for.
        return Err(Found::inconclusive(found.why));
    }
    let logs = std::fs::read_dir(folder.path()).into_iter().flatten().filter_map(Result::ok);
    let texts = logs.filter(|e| e.file_name().to_string_lossy().starts_with("valgrind"));
    let texts: Vec<String> = texts.filter_map(|e| std::fs::read_to_string(e.path()).ok()).collect();
    let bad = ["Invalid read", "Invalid write", "Invalid free", "uninitialised", "Mismatched free"];
    let line = texts.iter().flat_map(|t| t.lines()).find(|l| bad.iter().any(|b| l.contains(b)));
    Ok(match line {
        Some(line) => Found::broken(line.split("== ").last().unwrap_or(line).to_string()),
        None => Found::kept(format!("valgrind has nothing to say of scenario {}", scenario.name)),
    })
}
