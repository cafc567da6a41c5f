//! How the netpoller is checked: the very lines that ship, on a simulated kernel, under engines
//! that decide every interleaving.
//!
//! # For code of yours
//!
//! The engines know nothing of the netpoller. What they need is code that takes its atomics, locks and
//! parking from [`netpoller::seam::Primitives`], and a [`Program`](program::Program) that says what each
//! thread does. Here a thread waits for a flag; the comment names the line without which the wakeup is lost.
//!
//! ```
//! use netpoller::seam::{Atomic, Mutex, Ordering, Os, Parker, Primitives};
//! use netpoller_models::engine::{Engine, Limits, Plan};
//! use netpoller_models::program::{Program, everywhere};
//! use std::sync::Arc;
//!
//! /// A flag that one thread waits for.
//! struct Flag<P: Primitives> {
//!     raised: P::AtomicU32,
//!     waiter: P::Mutex<Option<P::Parker>>,
//! }
//!
//! impl<P: Primitives> Flag<P> {
//!     fn new() -> Self {
//!         let waiter = P::Mutex::new(None, |waiter| Some(u64::from(waiter.is_some())));
//!         Flag { raised: P::AtomicU32::new(0), waiter }
//!     }
//!
//!     fn wait(&self) {
//!         let parker = P::parker();
//!         *self.waiter.lock() = Some(parker.clone());
//!         // Looks after it has said that it waits: parking first would lose the wakeup.
//!         while self.raised.load(Ordering::Acquire) == 0 {
//!             parker.park();
//!         }
//!     }
//!
//!     fn raise(&self) {
//!         self.raised.store(1, Ordering::Release);
//!         if let Some(waiter) = self.waiter.lock().take() {
//!             waiter.unpark();
//!         }
//!     }
//! }
//!
//! /// One thread waits for the flag, and another one raises it.
//! struct WaitAgainstRaise;
//!
//! impl Program for WaitAgainstRaise {
//!     const NAME: &'static str = "wait_against_raise";
//!
//!     fn plan<E: Engine>() -> Plan {
//!         let flag = Arc::new(Flag::<E>::new());
//!         let raised = flag.clone();
//!         Plan::new().thread("waiter", move || flag.wait()).thread("raiser", move || raised.raise())
//!     }
//! }
//!
//! for outcome in everywhere::<WaitAgainstRaise>(&Limits::default()) {
//!     println!("{}: {outcome}", WaitAgainstRaise::NAME);
//!     outcome.assert_passed();
//! }
//! # #[cfg(feature = "shuttle")]
//! netpoller_models::program::run::<WaitAgainstRaise>(
//!     netpoller_models::suite::Kind::Explore,
//!     &Limits::default(),
//! )
//! .assert_exhaustive(); // every interleaving, with the feature `shuttle`
//!
//! let flag = Flag::<Os>::new(); // in production
//! flag.raise();
//! flag.wait();
//! ```

#![forbid(unsafe_code)]

pub mod behaviour;
pub mod conformance;
pub mod conn;
pub mod engine;
pub mod kernel;
pub mod litmus;
pub mod mutants;
pub mod oracle;
pub mod program;
pub mod scenario;
pub mod suite;
pub mod vectors;
pub mod world;
