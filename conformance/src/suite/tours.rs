//! The scenarios that the model makes for itself, and what of the model a link has been seen to do.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use ipc_model::cover::{Covering, covering};
use ipc_model::{Profile, RuleId, Spec};

use crate::adapter::Claim;
use crate::report::Steps;

/// The tours of a profile, which many links share.
pub(super) fn of(profile: &Profile) -> Arc<Covering> {
    static KNOWN: Mutex<Option<HashMap<Profile, Arc<Covering>>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    Arc::clone(known.entry(*profile).or_insert_with(|| Arc::new(covering(profile))))
}

/// Which steps the runs of the link took, and why they took no others. That a rule never can fire is
/// no reason: whatever a profile claims, some tour fires (`model/tests/space.rs`).
pub(super) fn steps(claim: &Claim, fired: &BTreeMap<String, u32>) -> Steps {
    let spec = Spec::new(claim.profile);
    let covering = of(&claim.profile);
    let why = |rule: RuleId| {
        let mut fires = covering.scenarios.iter().filter(|tour| tour.fired.contains(rule));
        let word = if !claim.processes && fires.all(|tour| tour.scenario.kills()) {
            "it takes a kill, and the link joins threads, of which none can be killed alone"
        } else {
            "no run that the model explains took it"
        };
        word.to_owned()
    };
    let unfired = spec.rules().iter().filter(|r| !fired.contains_key(r.rule().id));
    Steps { fired: fired.clone(), unfired: unfired.map(|r| (r.to_string(), why(*r))).collect() }
}
