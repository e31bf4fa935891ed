//! Plays a program on objects: carries its steps out, and records what every call was told.

use ipc_model::Process;
use ipc_model::machine::{History, Machine, Operation, User};

use super::Programs;
use super::programs::{Source, Step};

/// What a call amounted to: the calls of the model that it took, in order, and what each was told.
/// A system's call is one of the model's; a crate's may be several, or none where it has no such
/// call.
pub type Told<M> = Vec<(<M as Machine>::Op, <M as Machine>::Ret)>;

/// Something that carries out calls on named objects, for several processes.
pub trait Objects<M: Machine> {
    /// The process makes the call.
    ///
    /// # Errors
    /// Why the call could not be made, or that it was answered in no way that the model knows.
    fn call(&mut self, process: Process, op: &M::Op) -> Result<Told<M>, String>;

    /// Two processes make their calls at once, each of which is one step of the model.
    ///
    /// # Errors
    /// As [`Objects::call`].
    fn both(&mut self, calls: [(Process, &M::Op); 2]) -> Result<[Told<M>; 2], String> {
        let [(p, first), (q, second)] = calls;
        Ok([self.call(p, first)?, self.call(q, second)?])
    }

    /// The process is killed, and dead when this returns.
    ///
    /// # Errors
    /// Why it could not be killed.
    fn kill(&mut self, process: Process) -> Result<(), String>;

    /// What has been done before the program begins, by whom, in the words of the model.
    fn before(&self) -> Vec<(Process, M::Op, M::Ret)> {
        Vec::new()
    }

    /// Whether every call is one step of the model, so that any two can be made at once.
    fn all_at_once(&self) -> bool {
        true
    }
}

/// The users of a program's two processes: every other program has two of them.
pub type Users = [User; 2];

/// A program that was played.
pub(super) struct Played<M: Machine> {
    pub(super) history: History<M>,
    /// The steps that were taken.
    pub(super) steps: Vec<Step<M>>,
}

/// Plays the program, each step once the one before has come to its end.
pub(super) fn play<M: Programs>(
    machine: M,
    users: &Users,
    mut source: impl Source<M>,
    objects: &mut impl Objects<M>,
) -> Result<Played<M>, String> {
    let (users, operations, crashes) = (users.to_vec(), vec![], vec![]);
    let mut record =
        Record { history: History { profile: machine, users, operations, crashes }, time: 0 };
    for (process, op, ret) in objects.before() {
        source.told(process, &op, &ret);
        record.add(process, vec![(op, ret)], record.time);
    }
    let mut steps = Vec::new();
    while let Some(step) = source.next() {
        let told = match &step {
            Step::Call(process, op) => vec![(*process, objects.call(*process, op)?)],
            Step::AtOnce([(p, first), (q, second)]) => {
                let [one, other] = objects.both([(*p, first), (*q, second)])?;
                if one.len().max(other.len()) > 1 {
                    return Err(format!("{first} or {second} was several steps, and not alone"));
                }
                vec![(*p, one), (*q, other)]
            }
            Step::Kill(process) => {
                objects.kill(*process)?;
                record.history.crashes.push((record.time, *process));
                record.time += 1;
                vec![]
            }
        };
        let begun = record.time;
        for (process, told) in told {
            told.iter().for_each(|(op, ret)| source.told(process, op, ret));
            record.add(process, told, begun);
        }
        steps.push(step);
    }
    Ok(Played { history: record.history, steps })
}

struct Record<M: Machine> {
    history: History<M>,
    /// Later than everything so far.
    time: u64,
}

impl<M: Machine> Record<M> {
    /// Adds calls of one process, the first of which began at `time`.
    fn add(&mut self, process: Process, told: Told<M>, mut time: u64) {
        for (op, ret) in told {
            let ret = Some((time + 1, ret));
            let call = Operation { process, op, call: time, ret, system_calls: None };
            self.history.operations.push(call);
            time += 2;
        }
        self.time = self.time.max(time);
    }
}
