//! An event queue: registrations, a list of those with news, and the threads that wait for it.
//!
//! An [`Item`] is a registration, known by its [`Key`]: a number *and* the open file description
//! that the number named at the time. It lives as long as the description, whatever becomes of
//! the number.
//!
//! | what | who changes it |
//! |---|---|
//! | `ready`: items with news, oldest news first | [`edge`](Epoll::edge), [`add`](Epoll::add), [`modify`](Epoll::modify), a harvest |
//! | `pending`: news that came in while a harvest was under way | `edge`, the end of the harvest |
//! | `waiters`: who sleeps, and who was woken and has not looked yet | a wait that found nothing, and every wake |
//!
//! All of it is under `state`. `whole` is held by a harvest from beginning to end and by every
//! change of the set; edges need only `state`. Without
//! [`edges_during_harvest`](super::Config::edges_during_harvest) `state` is held for the whole
//! harvest and `whole` is not used.
//!
//! # A harvest
//!
//! ([`Harvest`]) takes the list, and asks each item in turn, *now*, what holds (the edge that
//! queued it may be older or newer news). What does not match the mask is dropped and counts for
//! nothing.
//! A level-triggered item goes back to the end of the list. What is left over stays in front,
//! news that came in meanwhile follow it. A batch is not a snapshot.
//!
//! # Free mode
//!
//! Where [`Freedom`] is granted, some of this is chosen: see there.
//!
//! # Out of scope
//!
//! `EPOLLEXCLUSIVE`, and the depth limit of nested event queues beyond Linux's own.

use super::config::Config;
use super::description::{Description, File, Wakes, Watch, Watcher, key, mask};
use super::digest::digest;
use super::errno::{Errno, Result};
use super::freedom::Freedom;
use super::harvest::{Harvest, Look};
use super::sleep::{Sleeper, Waiters};
use netpoller::seam::{Arc, Mutex, Parker, Primitives};
use std::collections::BTreeMap;

/// What tells one registration of a queue from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The number that was registered.
    pub number: i32,
    /// The serial number of the open file description behind it at that time.
    pub description: u64,
}

/// One harvested event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Report {
    /// What the registration was labelled.
    pub data: u64,
    /// The conditions that held.
    pub bits: u32,
}

/// How many event queues may be nested in a row.
const NESTING: usize = 4;

/// An event queue.
#[derive(Debug)]
pub(super) struct Epoll<P: Primitives> {
    serial: u64,
    edges_during_harvest: bool,
    /// What was granted; what is left of it is in the state.
    freedom: Freedom,
    whole: P::Mutex<()>,
    state: P::Mutex<State<P>>,
}

#[derive(Debug)]
struct State<P: Primitives> {
    items: BTreeMap<Key, Item<P>>,
    ready: Vec<Key>,
    scanning: bool,
    pending: Vec<Key>,
    waiters: Waiters<P>,
    /// What is left of the freedoms with a budget.
    freedom: Freedom,
    /// The event queues that this one is registered in.
    watchers: Vec<Watch>,
}

#[derive(Debug)]
struct Item<P: Primitives> {
    description: Arc<Description<P>>,
    mask: u32,
    data: u64,
    /// False once a ONESHOT item has been reported.
    enabled: bool,
}

impl<P: Primitives> State<P> {
    fn digest(&self) -> u64 {
        let mut items = Vec::with_capacity(self.items.len());
        for (key, item) in &self.items {
            items.push((*key, item.mask, item.data, item.enabled));
        }
        let lists = (&self.ready, self.scanning, &self.pending);
        digest(&(items, lists, self.waiters.places(), self.freedom, &self.watchers))
    }

    /// Takes one down from the list of those who sleep.
    fn pop_waiter(&mut self) -> Option<P::Parker> {
        let count = self.waiters.count();
        let deep = if self.freedom.any_waiter && count > 1 { P::choose(count) } else { 0 };
        self.waiters.pop(deep)
    }

    /// Whom to wake, because there is something to harvest.
    fn pop_waiters(&mut self) -> Vec<P::Parker> {
        let mut parkers = Vec::from_iter(self.pop_waiter());
        let more = !parkers.is_empty() && self.waiters.count() > 0 && self.freedom.extra_wakes > 0;
        if more && P::choose(2) == 1 {
            self.freedom.extra_wakes -= 1;
            parkers.extend(self.pop_waiter());
        }
        parkers
    }

    /// There is news of an item: it is queued, once, and somebody is woken.
    fn queue(&mut self, key: Key) -> Stir<P> {
        self.put(key);
        self.stir()
    }

    fn put(&mut self, key: Key) {
        let list = if self.scanning { &mut self.pending } else { &mut self.ready };
        if !list.contains(&key) {
            list.push(key);
        }
        self.forget_the_order();
    }

    /// Where the order is free, lists that differ in it alone are the same.
    fn forget_the_order(&mut self) {
        if self.freedom.any_order {
            self.ready.sort_unstable();
            self.pending.sort_unstable();
        }
    }

    fn stir(&mut self) -> Stir<P> {
        Stir { parkers: self.pop_waiters(), outer: Wakes::of(&self.watchers, key::EPOLL_IN) }
    }

    /// Edges that nobody has caused, as far as they are granted; whether there were any.
    fn stray_edges(&mut self) -> bool {
        let mut any = false;
        while self.freedom.extra_edges > 0 {
            let queued = |key| self.ready.contains(key) || self.pending.contains(key);
            let idle = self.items.iter().filter(|(key, item)| item.enabled && !queued(key));
            let idle: Vec<Key> = idle.map(|(key, _)| *key).collect();
            let chosen = if idle.is_empty() { 0 } else { P::choose(idle.len() + 1) };
            let Some(key) = chosen.checked_sub(1).map(|place| idle[place]) else { break };
            self.freedom.extra_edges -= 1;
            self.put(key);
            any = true;
        }
        any
    }

    fn begin(&mut self) -> Harvest<P> {
        self.stray_edges();
        self.scanning = true;
        let looks = self.ready.drain(..).map(|key| {
            let item = &self.items[&key];
            let description = item.description.clone();
            Look { key, mask: item.mask, data: item.data, description }
        });
        Harvest::of(looks.collect(), self.freedom)
    }

    /// Puts back what the harvest did not take; says whom else to wake.
    fn finish(&mut self, harvest: &mut Harvest<P>) -> Vec<P::Parker> {
        self.scanning = false;
        for key in harvest.spent.drain(..) {
            if let Some(item) = self.items.get_mut(&key) {
                item.enabled = false;
            }
        }
        self.ready = harvest.left.drain(..).map(|look| look.key).collect();
        for key in std::mem::take(&mut self.pending) {
            let known = self.ready.contains(&key) || harvest.again.contains(&key);
            if self.items[&key].enabled && !known {
                self.ready.push(key);
            }
        }
        self.ready.append(&mut harvest.again);
        self.forget_the_order();
        if self.ready.is_empty() { Vec::new() } else { self.pop_waiters() }
    }

    /// Whether a signal comes while somebody sleeps, or would.
    fn interrupts(&mut self) -> bool {
        let comes = self.freedom.interruptions > 0 && P::choose(2) == 1;
        self.freedom.interruptions -= u8::from(comes);
        comes
    }

    fn forget(&mut self, key: Key) -> Option<Item<P>> {
        self.ready.retain(|queued| *queued != key);
        self.items.remove(&key)
    }
}

/// Whom to wake after the lock is released.
#[must_use]
struct Stir<P: Primitives> {
    parkers: Vec<P::Parker>,
    outer: Wakes,
}

impl<P: Primitives> Stir<P> {
    const fn nobody() -> Stir<P> {
        Stir { parkers: Vec::new(), outer: Wakes::none() }
    }

    fn go(self) {
        unpark(self.parkers);
        self.outer.deliver();
    }
}

fn unpark<K: Parker>(parkers: Vec<K>) {
    for parker in parkers {
        parker.unpark();
    }
}

impl<P: Primitives> Epoll<P> {
    pub(super) fn create(serial: u64, config: &Config) -> Arc<Epoll<P>> {
        let &Config { edges_during_harvest, freedom, .. } = config;
        let state = State {
            items: BTreeMap::new(),
            ready: Vec::new(),
            scanning: false,
            pending: Vec::new(),
            waiters: Waiters::nobody(),
            freedom,
            watchers: Vec::new(),
        };
        Arc::new(Epoll {
            serial,
            edges_during_harvest,
            freedom,
            whole: Mutex::new((), |()| Some(0)),
            state: Mutex::new(state, |state| Some(state.digest())),
        })
    }

    /// Keeps harvests and changes of the set apart where `state` alone does not.
    fn exclude(&self) -> Option<<P::Mutex<()> as Mutex<()>>::Guard<'_>> {
        self.edges_during_harvest.then(|| self.whole.lock())
    }

    /// Something happened to a registered description; `key` says what.
    pub(super) fn edge(&self, item: Key, key: u32) {
        let stir = {
            let mut state = self.state.lock();
            // Where nobody sleeps, the next harvest is early enough.
            let heard = state.waiters.count() > 0 || !state.watchers.is_empty();
            let stray = heard && state.stray_edges();
            match state.items.get(&item) {
                Some(found) if found.enabled && (key == 0 || key & found.mask != 0) => {
                    state.queue(item)
                }
                _ if stray => state.stir(),
                _ => Stir::nobody(),
            }
        };
        stir.go();
    }

    /// An edge of every registration, without news.
    pub(super) fn edge_of_all(&self) {
        let keys: Vec<Key> = self.state.lock().items.keys().copied().collect();
        for item in keys {
            self.edge(item, key::ANYTHING);
        }
    }

    pub(super) fn add(
        self: &Arc<Self>,
        number: i32,
        description: &Arc<Description<P>>,
        mask: u32,
        data: u64,
    ) -> Result<()> {
        match &description.file {
            File::Regular => return Err(Errno::EPERM),
            File::Epoll(inner) => self.may_contain(inner)?,
            _ => {}
        }
        let mask = accepted(mask)?;
        let key = Key { number, description: description.serial };
        let _whole = self.exclude();
        let stir = {
            let mut state = self.state.lock();
            if state.items.contains_key(&key) {
                return Err(Errno::EEXIST);
            }
            let item = Item { description: description.clone(), mask, data, enabled: true };
            state.items.insert(key, item);
            let epoll: Arc<dyn Watcher> = self.clone();
            let watch = Watch { epoll: Arc::downgrade(&epoll), queue: self.serial, item: key };
            // What holds already is reported, once.
            if description.watch(watch) & mask != 0 { state.queue(key) } else { Stir::nobody() }
        };
        stir.go();
        Ok(())
    }

    pub(super) fn modify(&self, key: Key, mask: u32, data: u64) -> Result<()> {
        let mask = accepted(mask)?;
        let _whole = self.exclude();
        let stir = {
            let mut state = self.state.lock();
            let item = state.items.get_mut(&key).ok_or(Errno::ENOENT)?;
            (item.mask, item.data, item.enabled) = (mask, data, true);
            // The same as after an ADD: this is how an item is armed again. One that is queued
            // already stirs nobody.
            let holds = item.description.poll() & mask != 0;
            if holds && !state.ready.contains(&key) { state.queue(key) } else { Stir::nobody() }
        };
        stir.go();
        Ok(())
    }

    pub(super) fn delete(&self, key: Key) -> Result<()> {
        let _whole = self.exclude();
        let mut state = self.state.lock();
        let item = state.forget(key).ok_or(Errno::ENOENT)?;
        item.description.unwatch(self.serial, key);
        Ok(())
    }

    /// The description of a registration is gone.
    pub(super) fn forget(&self, key: Key) {
        let _whole = self.exclude();
        self.state.lock().forget(key);
    }

    /// Waits for up to `most` events, for as long as it takes.
    pub(super) fn wait(&self, most: usize) -> Result<Vec<Report>> {
        let mut sleeper = Sleeper::new();
        let result = loop {
            let reports = self.harvest(most, Some(&mut sleeper));
            sleeper.take_what_is_owed();
            if !reports.is_empty() {
                break Ok(reports);
            }
            // A signal that came while it slept; it has looked once more since.
            if sleeper.has_signal() && !sleeper.lies() {
                break Err(Errno::EINTR);
            }
            sleeper.sleep();
        };
        sleeper.leave();
        result
    }

    /// Harvests up to `most` events without waiting for any.
    pub(super) fn harvest_at_once(&self, most: usize) -> Vec<Report> {
        if self.freedom.empty_while_scanned {
            let scanning = self.state.lock().scanning;
            if scanning && P::choose(2) == 1 {
                return Vec::new();
            }
        }
        self.harvest(most, None)
    }

    /// Whether a signal ends a wait that has found nothing so far and has a timeout.
    pub(super) fn is_interrupted(&self) -> bool {
        self.freedom.interruptions > 0 && self.state.lock().interrupts()
    }

    /// Harvests up to `most` events. A `sleeper` lies down if there was nothing, without a gap
    /// in which an edge could be missed, and unless a signal has come.
    pub(super) fn harvest(&self, most: usize, mut sleeper: Option<&mut Sleeper<P>>) -> Vec<Report> {
        let _whole = self.exclude();
        let mut state = self.state.lock();
        if let Some(sleeper) = &mut sleeper {
            sleeper.get_up(&mut state.waiters);
        }
        let mut harvest = state.begin();
        if self.edges_during_harvest && !harvest.left.is_empty() {
            drop(state);
            harvest.run(most);
            state = self.state.lock();
        } else {
            harvest.run(most);
        }
        let woken = state.finish(&mut harvest);
        if let Some(sleeper) = sleeper
            && harvest.reports.is_empty()
            && state.ready.is_empty()
            && !sleeper.has_signal()
        {
            let signal = state.interrupts();
            sleeper.lie_down(&mut state.waiters, signal);
        }
        drop(state);
        unpark(woken);
        harvest.reports
    }

    /// What holds of this queue as an object of another one.
    pub(super) fn probe(&self) -> u32 {
        let _whole = self.exclude();
        let mut state = self.state.lock();
        let mut harvest = state.begin();
        let any = if self.edges_during_harvest && !harvest.left.is_empty() {
            drop(state);
            let any = harvest.probe();
            state = self.state.lock();
            any
        } else {
            harvest.probe()
        };
        let woken = state.finish(&mut harvest);
        drop(state);
        unpark(woken);
        if any { mask::IN | mask::RDNORM } else { 0 }
    }

    pub(super) fn watch(&self, watch: Watch) {
        self.state.lock().watchers.push(watch);
    }

    pub(super) fn unwatch(&self, others: impl FnMut(&Watch) -> bool) {
        self.state.lock().watchers.retain(others);
    }

    /// The last number of this queue is closed.
    pub(super) fn release(&self) {
        let (watchers, items) = {
            let _whole = self.exclude();
            let mut state = self.state.lock();
            state.ready.clear();
            (std::mem::take(&mut state.watchers), std::mem::take(&mut state.items))
        };
        for watch in watchers {
            if let Some(outer) = watch.epoll.upgrade() {
                outer.forget(watch.item);
            }
        }
        for (key, item) in items {
            item.description.unwatch(self.serial, key);
        }
    }

    /// Whether registering `inner` here makes no circle and nests no deeper than allowed.
    fn may_contain(self: &Arc<Self>, inner: &Arc<Self>) -> Result<()> {
        let below = inner.depth_below(self, NESTING).ok_or(Errno::ELOOP)?;
        if below + 1 + self.depth_above(NESTING) > NESTING { Err(Errno::ELOOP) } else { Ok(()) }
    }

    /// How many queues are nested in a row inside of this one; `None` when one is `forbidden`.
    fn depth_below(self: &Arc<Self>, forbidden: &Arc<Self>, most: usize) -> Option<usize> {
        if Arc::ptr_eq(self, forbidden) {
            return None;
        }
        let files: Vec<_> =
            self.state.lock().items.values().map(|item| item.description.clone()).collect();
        let mut depth = 0;
        for description in files {
            if let File::Epoll(epoll) = &description.file {
                let below = if most == 0 { 0 } else { epoll.depth_below(forbidden, most - 1)? };
                depth = depth.max(below + 1);
            }
        }
        Some(depth)
    }

    /// How many queues this one is nested in.
    fn depth_above(&self, most: usize) -> usize {
        let watchers = self.state.lock().watchers.clone();
        let outer = watchers.iter().filter_map(|watch| watch.epoll.upgrade());
        outer.map(|e| 1 + if most == 0 { 0 } else { e.depth_above(most - 1) }).max().unwrap_or(0)
    }

    /// How many threads sleep in a wait. Not a step of the program.
    pub(super) fn peek_waiters(&self) -> usize {
        self.state.peek(|state| state.waiters.count())
    }

    /// What is registered, with its label and mask. Not a step of the program.
    pub(super) fn peek_items(&self) -> Vec<(Key, u64, u32)> {
        self.state.peek(|state| {
            state.items.iter().map(|(key, item)| (*key, item.data, item.mask)).collect()
        })
    }

    /// What is queued, as labels. Not a step of the program.
    pub(super) fn peek_ready(&self) -> Vec<u64> {
        self.state.peek(|state| state.ready.iter().map(|key| state.items[key].data).collect())
    }
}

impl<P: Primitives> Watcher for Epoll<P> {
    fn edge(&self, item: Key, key: u32) {
        self.edge(item, key);
    }

    fn forget(&self, item: Key) {
        self.forget(item);
    }

    fn depth_above(&self, most: usize) -> usize {
        self.depth_above(most)
    }
}

/// The mask that is in force: errors and hang-up are always reported.
fn accepted(mask: u32) -> Result<u32> {
    if mask & mask::EXCLUSIVE != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    Ok(mask | mask::ERR | mask::HUP)
}
