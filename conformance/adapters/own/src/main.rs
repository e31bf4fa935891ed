//! The links of ipc-impls, as adapters.
fn main() {}
