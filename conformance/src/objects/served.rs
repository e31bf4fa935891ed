//! A machine served as if it were a real system: as it is meant, it passes; broken in one place,
//! it must be found out.

use ipc_model::Process;
use ipc_model::machine::{Call, Machine, Mutation, Patience, Spec, System, User};

use super::{Objects, Told};

/// The machine's own answers.
pub struct Served<M: Machine> {
    spec: Spec<M>,
    system: System<M>,
    /// What is answered where the broken rules allow nothing.
    lost: M::Ret,
}

impl<M: Machine> Served<M> {
    /// The machine of these users' processes, with at most one defect.
    pub fn new(machine: M, users: &[User], defect: Option<Mutation>, lost: M::Ret) -> Self {
        let spec = match defect {
            Some(defect) => Spec::mutated(machine, defect),
            None => Spec::new(machine),
        };
        let system = spec.initial(users);
        Self { spec, system, lost }
    }
}

impl<M: Machine> Served<M> {
    fn begin(&mut self, process: Process, op: &M::Op) {
        self.system = self.spec.call(&self.system, process, op.clone());
    }

    /// One step of the process's call; whether there was one.
    fn step(&mut self, process: Process, alone: bool) -> bool {
        let patience = Patience { seen: None, alone };
        let next = self.spec.steps(&self.system, process, patience).pop();
        next.map(|(_, next)| self.system = next).is_some()
    }

    /// The process's call to its end.
    fn finish(&mut self, process: Process, alone: bool) -> M::Ret {
        loop {
            if let Call::Returning(ret) = self.system.call(process) {
                let ret = ret.clone();
                self.system = self.spec.ret(&self.system, process);
                return ret;
            }
            if !self.step(process, alone) {
                self.system.set(process, Call::Running);
                return self.lost.clone();
            }
        }
    }
}

impl<M: Machine> Objects<M> for Served<M> {
    fn call(&mut self, process: Process, op: &M::Op) -> Result<Told<M>, String> {
        self.begin(process, op);
        Ok(vec![(op.clone(), self.finish(process, true))])
    }

    /// The first call takes one step, then the other one comes to its end.
    fn both(&mut self, calls: [(Process, &M::Op); 2]) -> Result<[Told<M>; 2], String> {
        let [(p, first), (q, second)] = calls;
        self.begin(p, first);
        self.begin(q, second);
        self.step(p, false);
        let answer = self.finish(q, false);
        Ok([vec![(first.clone(), self.finish(p, true))], vec![(second.clone(), answer)]])
    }

    fn kill(&mut self, process: Process) -> Result<(), String> {
        self.system = self.spec.kill(&self.system, process);
        Ok(())
    }
}
