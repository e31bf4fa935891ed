//! The adapter's program as the controller of its own link: carries out one order, and says what
//! came of each sweep, a line each.

use std::io::Write;

use super::{Extent, Subject, Sweep, Trouble, run};
use crate::adapter::Adapter;
use crate::stepping::{DONE, Order};

/// Carries out the order.
pub(crate) fn serve(adapter: &dyn Adapter, order: &str) -> Result<(), String> {
    let order: Order = serde_json::from_str(order).map_err(|e| e.to_string())?;
    let program = std::env::current_exe().map_err(|e| format!("where am I? {e}"))?;
    let claims = adapter.claims();
    let claim = claims.iter().find(|c| c.link == order.link);
    let claim = claim.ok_or_else(|| format!("there is no link {}", order.link))?;
    let name = adapter.name();
    let subject = Subject { program: &program, adapter: &name, claim, folder: &order.folder };
    let extent = Extent {
        every: false,
        preemptions: order.depth.preemptions,
        cap: order.depth.cap,
        seed: order.depth.seed,
        kills: order.depth.kills,
    };
    // The figures are those of the crash sweeps of calls.
    let figures = order.rules.iter().any(|r| r.starts_with("figures."));
    let call = |rule: &str| {
        ["send", "receive"]
            .iter()
            .any(|name| rule.split('.').nth(1).is_some_and(|o| o.ends_with(name)))
    };
    let wanted = |rule: &str| order.rules.iter().any(|r| r == rule) || figures && call(rule);
    if let Err(trouble) = run(subject, extent, &wanted, &mut |sweep| say(&Ok(sweep))) {
        say(&Err(trouble));
    }
    println!("{DONE}");
    Ok(())
}

fn say(told: &Result<Sweep, Trouble>) {
    let line = serde_json::to_string(told).unwrap_or_default();
    let mut out = std::io::stdout().lock();
    // Whoever listened may have heard enough, and is about to end this process.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
