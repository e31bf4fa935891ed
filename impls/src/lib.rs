//! Real links.
