//! Replay files of programs on objects: what breaks a rule, to be judged or to be played again.

use ipc_model::machine::Machine;
use serde::{Deserialize, Serialize};

use super::link::{as_others, is_of_names};
use super::tally::{again, recorded};
use super::{Again, Programs, Subject, System, memory, names};
use crate::replay;

/// A program on file that breaks a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// `ipc-replay-objects/1`.
    pub format: String,
    /// What the program was played on: one of [`super::NAMES`].
    pub objects: String,
    /// The rule that was broken.
    pub rule: String,
    /// The program, and what was recorded.
    #[serde(flatten)]
    pub again: Again,
}

impl Replay {
    /// The name of this version of the format.
    pub const FORMAT: &'static str = "ipc-replay-objects/1";

    /// The program that breaks `rule` on the objects of this name.
    pub fn new(objects: &str, rule: &str, again: Again) -> Self {
        let (format, objects, rule) = (Self::FORMAT.into(), objects.into(), rule.into());
        Self { format, objects, rule, again }
    }

    /// Whether the text is such a file, well formed or not.
    pub fn is_one(text: &str) -> bool {
        replay::claims_format(text, "ipc-replay-obj")
    }

    /// Reads a replay file.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        replay::parse(text, "a replay file", Self::FORMAT, |replay: &Self| &replay.format)
    }

    /// Judges what was recorded; answers the counterexample, and its calls, a line each. `None`:
    /// the model explains it.
    ///
    /// # Errors
    /// If it is no history, or cannot be decided.
    pub fn judge(&self) -> Result<Option<(String, String)>, String> {
        if is_of_names(&self.objects) {
            recorded::<ipc_model::namespace::Namespace>(&self.again)
        } else {
            recorded::<ipc_model::region::Region>(&self.again)
        }
    }

    /// Plays the program once more, on objects of its own; answers as [`Replay::judge`].
    ///
    /// # Errors
    /// If it cannot be played, or not in its setting.
    pub fn play(&self, subject: &Subject<'_>) -> Result<Option<(String, String)>, String> {
        if is_of_names(&self.objects) {
            self.play_on(names(), subject)
        } else {
            self.play_on(memory(), subject)
        }
    }

    fn play_on<M: Programs + Machine>(
        &self,
        machine: M,
        subject: &Subject<'_>,
    ) -> Result<Option<(String, String)>, String> {
        let [first, second] = self.again.setting.users;
        let others = as_others(subject.offer);
        if first != second && !others {
            return Err("its processes are of two users, which only root can have".into());
        }
        let mut system = System::start(subject, &self.again.setting, others)?;
        again(machine, &self.again, &mut system)
    }
}
