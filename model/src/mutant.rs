//! Links that are wrong on purpose.
use crate::rule::{Outcomes, Rule};
use crate::rules::at::At;
/// Replaces what a rule allows.
pub type Mutation = fn(&At<'_>, &Rule, Outcomes) -> Outcomes;
