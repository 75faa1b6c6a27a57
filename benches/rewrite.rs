//! Placeholder until the rewriter is there.

fn main() {}
