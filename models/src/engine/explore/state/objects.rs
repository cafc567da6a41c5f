//! What the threads of an execution share, as far as it is part of a state: the values of words, what is in
//! locks and who holds them, the tokens of parkers, what oracles remember.
//!
//! Each change is entered into the terms of the fingerprint here, and told to the audit.

use super::{Lock, Run, Searcher, domain, term};
use crate::engine::digest::Digest;
use crate::engine::explore::footprint::Told;
use crate::engine::record::Object;

impl Run {
    /// An atomic word exists, or has another value.
    pub(in crate::engine::explore) fn atomic(
        &mut self,
        object: Object,
        before: Option<u64>,
        after: u64,
    ) {
        let of = |value| term(domain::ATOMIC, object.word(), Digest::new(0).with(value));
        self.objects ^= before.map_or(0, of) ^ of(after);
        self.audit(|audit| audit.word(object, after));
    }

    /// A lock was made, with this in it if its contents can be condensed: its number.
    pub(in crate::engine::explore) fn lock_made(
        &mut self,
        object: Object,
        condensed: Option<u64>,
    ) -> usize {
        let content = condensed.map_or(Digest::new(0), Self::condensed);
        self.locks.push(Lock { object, holder: None, content });
        if self.forgetful {
            self.contents ^= term(domain::LOCK, object.word(), content);
        }
        self.audit(|audit| audit.lock_made(object, condensed));
        self.locks.len() - 1
    }

    /// The terms of what is in all locks.
    pub(super) fn all_contents(&self) -> u128 {
        let of = |lock: &Lock| term(domain::LOCK, lock.object.word(), lock.content);
        self.locks.iter().map(of).fold(0, |all, one| all ^ one)
    }

    /// Whether a lock is free.
    pub(in crate::engine::explore) fn lock_is_free(&self, lock: usize) -> bool {
        self.locks[lock].holder.is_none()
    }

    /// A lock was taken: its holder observes what is in it.
    pub(in crate::engine::explore) fn locked(&mut self, me: usize, lock: usize) {
        let Lock { object, holder, content } = &mut self.locks[lock];
        *holder = Some(me);
        if let Some(thread) = self.threads.get_mut(me) {
            thread.history = thread.history.with_digest(*content);
            thread.holds.take(*object);
        }
        let object = *object;
        self.audit(|audit| audit.locked(me, object));
    }

    /// A lock was given back, with this in it if its contents can be condensed. `written`: somebody
    /// could have changed them.
    pub(in crate::engine::explore) fn unlocked(
        &mut self,
        me: usize,
        lock: usize,
        condensed: Option<u64>,
        written: bool,
    ) {
        let content = match condensed {
            Some(digest) => Self::condensed(digest),
            None if written => self.left_by(me),
            None => self.locks[lock].content,
        };
        let lock = &mut self.locks[lock];
        let object = lock.object;
        if self.forgetful && lock.content != content {
            let of = |content| term(domain::LOCK, object.word(), content);
            self.contents ^= of(lock.content) ^ of(content);
        }
        (lock.holder, lock.content) = (None, content);
        if let Some(thread) = self.threads.get_mut(me) {
            thread.holds.give_back(object);
        }
        self.audit(|audit| audit.unlocked(me, object, condensed, written));
    }

    /// What is in a lock whose contents cannot be condensed and were changed: whatever a thread
    /// with this history leaves there.
    fn left_by(&self, me: usize) -> Digest {
        let history = self.threads.get(me).map_or(Digest::new(0), |thread| thread.history);
        Digest::new(domain::CONTENT).with(1).with(me as u64).with_digest(history)
    }

    /// What is in a lock whose contents were condensed.
    fn condensed(digest: u64) -> Digest {
        Digest::new(domain::CONTENT).with(2).with(digest)
    }

    /// The token of a thread's parker is there now, or is not.
    pub(in crate::engine::explore) fn token(&mut self, place: usize, there: bool) {
        if let Some(thread) = self.threads.get_mut(place)
            && thread.token != there
        {
            thread.token = there;
            self.objects ^= term(domain::TOKEN, place as u64, Digest::new(0));
        }
        self.audit(|audit| audit.token(place, there));
    }

    /// Whether the token of a thread's parker is there.
    pub(in crate::engine::explore) fn has_token(&self, place: usize) -> bool {
        self.threads.get(place).is_some_and(|thread| thread.token)
    }

    /// What an oracle remembers under this name is condensed to this now, because it was told this.
    pub(in crate::engine::explore) fn oracle(&mut self, name: u64, told: Told, digest: u64) {
        let term = |digest| term(domain::ORACLE, name, Digest::new(0).with(digest));
        match self.oracles.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => {
                self.objects ^= term(*known);
                *known = digest;
            }
            None => self.oracles.push((name, digest)),
        }
        self.objects ^= term(digest);
        match &mut self.searcher {
            Searcher::States(walker) => walker.tells(told),
            Searcher::Schedules(_, audit) => audit.oracle(name, digest),
            Searcher::Steps(_) => {}
        }
    }
}
