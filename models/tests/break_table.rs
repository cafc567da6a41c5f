//! The break as litmus programs: which combinations of breaker and clear lose one (SPEC.md 11).
//!
//! At the start a break is on its way: the flag is set and a token is in the kernel. A breaker
//! publishes work and asks for a break, which may be suppressed; one or two pollers that both
//! harvested the break drain the token, clear the flag and look at the work. A combination is
//! sound if afterwards some poller has seen the work or a token is left for the next poll, and if
//! the flag is never left set over an empty queue, where it would suppress every later break.
//!
//! The last row is what `Poller::wake` and `Poller::take_break` do; the scenarios
//! `break_suppressed*` run those very lines. The others are here to show that it is no accident.

use netpoller::seam::{Atomic, Ordering, Primitives};
use netpoller_models::engine::{Engine, Limits, LoomWeak, Plan};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering as Std};

type Word = <LoomWeak as Primitives>::AtomicU32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Breaker {
    /// Load; if clear, compare-exchange and write the token.
    Load,
    /// The same after a sequentially consistent fence.
    FenceLoad,
    /// Swap always; write the token if it was clear.
    Swap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clear {
    Store,
    Swap,
    StoreFence,
    SwapFence,
}

/// Whether what precedes the write of a token is seen by whoever drains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Orders,
    OrdersNothing,
}

#[derive(Debug)]
struct World {
    flag: Word,
    token: Word,
    work: Word,
    seen: AtomicBool,
}

fn fence() {
    LoomWeak::fence(Ordering::SeqCst);
}

impl World {
    fn post(&self, kind: Token) {
        let order = if kind == Token::Orders { Ordering::AcqRel } else { Ordering::Relaxed };
        self.token.swap(1, order);
    }

    fn drain(&self, kind: Token) {
        let order = if kind == Token::Orders { Ordering::AcqRel } else { Ordering::Relaxed };
        self.token.swap(0, order);
    }

    fn wake(&self, breaker: Breaker, kind: Token) {
        self.work.store(1, Ordering::Relaxed);
        if breaker == Breaker::FenceLoad {
            fence();
        }
        let posts = match breaker {
            Breaker::Swap => self.flag.swap(1, Ordering::AcqRel) == 0,
            Breaker::Load | Breaker::FenceLoad => {
                self.flag.load(Ordering::Acquire) == 0
                    && self.flag.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire).is_ok()
            }
        };
        if posts {
            self.post(kind);
        }
    }

    fn take(&self, clear: Clear, kind: Token) {
        self.drain(kind);
        match clear {
            Clear::Store | Clear::StoreFence => self.flag.store(0, Ordering::Release),
            Clear::Swap | Clear::SwapFence => {
                self.flag.swap(0, Ordering::AcqRel);
            }
        }
        if matches!(clear, Clear::StoreFence | Clear::SwapFence) {
            fence();
        }
        if self.work.load(Ordering::Relaxed) == 1 {
            self.seen.store(true, Std::Relaxed);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Every execution there is was fine.
    Sound,
    /// The work was not seen and no token is left.
    Lost,
    /// The flag is set over an empty queue.
    Stuck,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Found::Sound => "sound",
            Found::Lost => "lost",
            Found::Stuck => "stuck",
        })
    }
}

fn try_out(breaker: Breaker, clear: Clear, kind: Token, pollers: usize) -> Found {
    let outcome = LoomWeak::run(
        move || {
            let world = Arc::new(World {
                flag: Word::new(1),
                token: Word::new(1),
                work: Word::new(0),
                seen: AtomicBool::new(false),
            });
            let one = Arc::clone(&world);
            let mut plan = Plan::new().thread("breaker", move || one.wake(breaker, kind));
            for name in ["poller-1", "poller-2"].into_iter().take(pollers) {
                let one = Arc::clone(&world);
                plan = plan.thread(name, move || one.take(clear, kind));
            }
            plan.finally(move || {
                let token = world.token.peek() == 1;
                assert!(world.flag.peek() == 0 || token, "stuck");
                assert!(world.seen.load(Std::Relaxed) || token, "lost");
            })
        },
        &Limits::default(),
    );
    match &outcome.failure {
        None => {
            outcome.assert_ended();
            Found::Sound
        }
        Some(failure) if failure.message.contains("lost") => Found::Lost,
        Some(failure) if failure.message.contains("stuck") => Found::Stuck,
        Some(failure) => panic!("{failure}"),
    }
}

#[test]
fn the_table_of_the_break() {
    use Found::{Lost, Sound};
    use Token::{Orders, OrdersNothing};
    let rows = [
        (Breaker::Load, Clear::Store, OrdersNothing, [Lost, Lost]),
        (Breaker::Load, Clear::Swap, OrdersNothing, [Lost, Lost]),
        (Breaker::Load, Clear::StoreFence, OrdersNothing, [Lost, Lost]),
        (Breaker::FenceLoad, Clear::Store, OrdersNothing, [Lost, Lost]),
        (Breaker::FenceLoad, Clear::Swap, OrdersNothing, [Lost, Lost]),
        // In C11 the store of one poller may be ordered before the exchange of a breaker whose
        // token that poller has drained, and the flag is left set. loom orders stores as they
        // are executed and does not show it; a swap cannot be ordered so.
        (Breaker::FenceLoad, Clear::StoreFence, OrdersNothing, [Sound, Sound]),
        (Breaker::FenceLoad, Clear::StoreFence, Orders, [Sound, Sound]),
        (Breaker::Swap, Clear::Store, OrdersNothing, [Lost, Lost]),
        (Breaker::Swap, Clear::Swap, OrdersNothing, [Sound, Sound]),
        // What the poller does: suppressed breaks cost a fence and a load.
        (Breaker::FenceLoad, Clear::SwapFence, OrdersNothing, [Sound, Sound]),
    ];
    let mut wrong = Vec::new();
    println!("breaker    clear       token          1 poller  2 pollers");
    for (breaker, clear, kind, expected) in rows {
        let found = [1, 2].map(|pollers| try_out(breaker, clear, kind, pollers));
        let row = format!(
            "{:<10} {:<11} {:<14} {:<9} {}",
            format!("{breaker:?}"),
            format!("{clear:?}"),
            format!("{kind:?}"),
            found[0],
            found[1]
        );
        println!("{row}");
        if found != expected {
            wrong.push(format!("{row}; expected {} and {}", expected[0], expected[1]));
        }
    }
    assert!(wrong.is_empty(), "not as in the table:\n{}", wrong.join("\n"));
}
