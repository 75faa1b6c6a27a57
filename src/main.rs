//! The program `cdrlog`.

fn main() {}
