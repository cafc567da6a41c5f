//! How the netpoller is checked: the very lines that ship, on a simulated kernel, under engines
//! that decide every interleaving.

#![forbid(unsafe_code)]

pub mod behaviour;
pub mod conformance;
pub mod conn;
pub mod engine;
pub mod kernel;
pub mod litmus;
pub mod mutants;
pub mod oracle;
pub mod scenario;
pub mod suite;
pub mod vectors;
pub mod world;
