//! The simulated kernel, lock by lock: what happens between two of them, how many a call takes,
//! and what they say of their contents to an explorer.

mod digest;
mod harvest;
mod sockets;
mod watched;
