//! The way to any instruction of an operation, in another world.

use nix::unistd::Pid;

use super::{CALL, Trace};
use crate::stepped::Trouble;
use crate::stepped::course::Way;
use crate::stepped::decode::Kind;
use crate::stepped::tracer::{Patience, Stop, Tracer};

impl Trace {
    /// The way to this position, from where the trace began.
    pub(in crate::stepped) fn way(
        &self,
        tracer: &mut Tracer,
        position: usize,
    ) -> Result<Way, Trouble> {
        if let Some(first) = self.calls_only.filter(|first| position >= *first) {
            return self.way_by_call(tracer, position.max(first));
        }
        let (from, hits) = self.nearest(position);
        let run = match from {
            0 => None,
            from => Some((tracer.spot(self.path[from])?, hits)),
        };
        let at = self.path.get(position).copied().unwrap_or(self.stand);
        let at = tracer.spot(at)?;
        Ok(Way { run, steps: position - from, at, instructions: position })
    }

    /// The way to the system call at this position; or behind the last one.
    fn way_by_call(&self, tracer: &mut Tracer, position: usize) -> Result<Way, Trouble> {
        let (call, behind) = match self.path.get(position) {
            Some(_) => (position, 0),
            None => (position - 1, CALL),
        };
        let hits = self.path[..=call].iter().filter(|at| **at == self.path[call]).count();
        let run = Some((tracer.spot(self.path[call])?, hits));
        let at = tracer.spot(self.path[call] + behind)?;
        Ok(Way { run, steps: usize::from(behind > 0), at, instructions: position })
    }

    /// The cheapest way to a position: the position to run to by a breakpoint (0: none), and how
    /// often that is hit on the way. The rest is stepped.
    fn nearest(&self, position: usize) -> (usize, usize) {
        /// A hit that is passed over costs a stop, a step, and planting again.
        const HIT: usize = 3;
        /// No breakpoint is looked for further back than this.
        const FAR: usize = 400;
        let mut best = (0, 0, position);
        let last = position.min(self.path.len().saturating_sub(1));
        for from in (position.saturating_sub(FAR).max(1)..=last).rev() {
            let steps = position - from;
            if steps + HIT >= best.2 {
                break;
            }
            // A breakpoint on a repeated instruction is hit once, not at each iteration.
            if self.repeated[from] || self.path[from] == self.path[0] {
                continue;
            }
            let hits = self.path[..=from].iter().filter(|at| **at == self.path[from]).count();
            if steps + HIT * hits < best.2 {
                best = (from, hits, steps + HIT * hits);
            }
        }
        (best.0, best.1)
    }
}

/// Goes this way.
pub(in crate::stepped) fn follow(tracer: &mut Tracer, pid: Pid, way: &Way) -> Result<(), Trouble> {
    let diverged = |stop: &dyn std::fmt::Debug| {
        let (after, at) = (way.instructions, &way.at);
        Trouble::Diverged(format!("on the way to instruction {after}, at {at}: {stop:?}"))
    };
    let step = |tracer: &mut Tracer| {
        let at = tracer.registers(pid)?.rip;
        let stop = match tracer.instruction(pid, at)?.kind {
            Kind::SystemCall => tracer.step_call(pid, Patience::default())?,
            _ => tracer.step(pid)?,
        };
        if stop == Stop::Stepped { Ok(()) } else { Err(diverged(&stop)) }
    };
    if let Some((spot, hits)) = &way.run {
        let at = tracer.address(spot)?;
        tracer.plant(pid, at)?;
        for hit in 1..=*hits {
            match tracer.go(pid)? {
                Stop::Planted(address) if address == at => {}
                stop => return Err(diverged(&stop)),
            }
            tracer.uproot(pid, at)?;
            if hit < *hits {
                step(tracer)?;
                tracer.plant(pid, at)?;
            }
        }
    }
    for _ in 0..way.steps {
        step(tracer)?;
    }
    let (expected, found) = (tracer.address(&way.at)?, tracer.registers(pid)?.rip);
    if expected != found {
        let found = tracer.spot(found)?;
        return Err(diverged(&format!("it stands at {found}")));
    }
    Ok(())
}
