//! A machine served as if it were a real system: as it is meant, it passes; broken in one place,
//! it must be found out.

use ipc_model::Process;
use ipc_model::machine::{Call, Machine, Mutation, Patience, Spec, System, User};

use super::Objects;

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

impl<M: Machine> Objects<M> for Served<M> {
    fn call(&mut self, process: Process, op: &M::Op) -> Result<M::Ret, String> {
        self.system = self.spec.call(&self.system, process, op.clone());
        loop {
            let patience = Patience { seen: None, alone: true };
            let Some((_, next)) = self.spec.steps(&self.system, process, patience).pop() else {
                self.system.set(process, Call::Running);
                return Ok(self.lost.clone());
            };
            self.system = next;
            if let Call::Returning(ret) = self.system.call(process) {
                let ret = ret.clone();
                self.system = self.spec.ret(&self.system, process);
                return Ok(ret);
            }
        }
    }

    fn kill(&mut self, process: Process) -> Result<(), String> {
        self.system = self.spec.kill(&self.system, process);
        Ok(())
    }
}
