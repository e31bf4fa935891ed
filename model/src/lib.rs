//! The executable model.
