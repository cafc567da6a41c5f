//! Values with a number each: equal ones have the same.

use crate::engine::mix::Mix;
use core::hash::{BuildHasher, BuildHasherDefault, Hash};
use hashbrown::HashTable;

/// Values with a number each, from 0 in the order in which they came.
#[derive(Debug)]
pub(super) struct Pool<T> {
    values: Vec<T>,
    numbers: HashTable<u32>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool { values: Vec::new(), numbers: HashTable::new() }
    }
}

impl<T: Eq + Hash> Pool<T> {
    pub(super) fn number(&mut self, value: T) -> u32 {
        let hash = |value: &T| BuildHasherDefault::<Mix>::default().hash_one(value);
        let values = &mut self.values;
        let known = |number: &u32| values[*number as usize] == value;
        let name = hash(&value);
        if let Some(number) = self.numbers.find(name, known) {
            return *number;
        }
        let next = values.len() as u32;
        values.push(value);
        self.numbers.insert_unique(name, next, |number| hash(&values[*number as usize]));
        next
    }

    pub(super) fn get(&self, number: u32) -> &T {
        &self.values[number as usize]
    }
}
