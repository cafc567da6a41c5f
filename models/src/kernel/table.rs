//! The table of numbers of a process: which number names which open file description.
//!
//! A new number is the lowest free one. A number that is closed is free at once, whatever still
//! goes on with the description. The table also counts, for the oracle that asks whether every
//! number was closed exactly once.

use super::Config;
use super::description::{Description, File};
use super::digest::digest;
use super::errno::{Errno, Result};
use netpoller::seam::{Arc, Mutex, Primitives};

/// The table.
#[derive(Debug)]
pub(super) struct Table<P: Primitives> {
    /// The place of a number, counted from the first that is given out.
    places: Vec<Option<Arc<Description<P>>>>,
    /// Places that are given out to calls that are under way.
    reserved: Vec<usize>,
    most: i32,
    next_serial: u64,
    opened: u64,
    closed: u64,
}

/// A number and what it names.
pub(super) type Opened<P> = (i32, Arc<Description<P>>);

fn place(number: i32) -> Option<usize> {
    usize::try_from(number.checked_sub(Config::FIRST_NUMBER)?).ok()
}

fn number(place: usize) -> i32 {
    i32::try_from(place).map_or(i32::MAX, |place| place.saturating_add(Config::FIRST_NUMBER))
}

impl<P: Primitives> Table<P> {
    pub(super) fn create(config: &Config) -> P::Mutex<Table<P>> {
        let table = Table {
            places: Vec::new(),
            reserved: Vec::new(),
            most: config.numbers,
            next_serial: 0,
            opened: 0,
            closed: 0,
        };
        Mutex::new(table, |table| {
            let serials: Vec<Option<u64>> =
                table.places.iter().map(|open| open.as_ref().map(|d| d.serial)).collect();
            let counts = (table.next_serial, table.opened, table.closed);
            Some(digest(&(serials, &table.reserved, table.most, counts)))
        })
    }

    /// The lowest free place, and room for it.
    fn free(&mut self) -> Result<usize> {
        let is_free = |place: &usize| {
            self.places.get(*place).is_none_or(Option::is_none) && !self.reserved.contains(place)
        };
        let free = (0..).find(is_free).expect("a free place among all numbers");
        if number(free) >= self.most {
            return Err(Errno::EMFILE);
        }
        if free >= self.places.len() {
            self.places.resize_with(free + 1, || None);
        }
        Ok(free)
    }

    fn name(&mut self, description: Arc<Description<P>>) -> Result<Opened<P>> {
        let place = self.free()?;
        Ok(self.put(place, description))
    }

    fn put(&mut self, place: usize, description: Arc<Description<P>>) -> Opened<P> {
        self.places[place] = Some(description.clone());
        self.opened += 1;
        (number(place), description)
    }

    /// Keeps the lowest free place for a call that does not know yet what it will be for.
    pub(super) fn reserve(&mut self) -> Result<usize> {
        let place = self.free()?;
        self.reserved.push(place);
        Ok(place)
    }

    /// The end of that call: a number for a new description, or none.
    pub(super) fn fill(&mut self, place: usize, file: Result<File<P>>) -> Result<Opened<P>> {
        self.reserved.retain(|reserved| *reserved != place);
        let serial = self.next_serial;
        let description = Arc::new(Description::new(serial, file?));
        crate::engine::count("an open file description", &description);
        self.next_serial += 1;
        Ok(self.put(place, description))
    }

    /// A number for a new description. `file` is told its serial number.
    pub(super) fn open(&mut self, file: impl FnOnce(u64) -> File<P>) -> Result<Opened<P>> {
        let serial = self.next_serial;
        let description = Arc::new(Description::new(serial, file(serial)));
        crate::engine::count("an open file description", &description);
        let opened = self.name(description)?;
        self.next_serial += 1;
        Ok(opened)
    }

    /// Two numbers for two new descriptions, or none.
    pub(super) fn open_two(&mut self, files: [File<P>; 2]) -> Result<[Opened<P>; 2]> {
        let [first, second] = files;
        let (one, description) = self.open(|_| first)?;
        match self.open(|_| second) {
            Ok(two) => Ok([(one, description), two]),
            Err(error) => {
                self.opened -= 1;
                if let Some(place) = place(one) {
                    self.places[place] = None;
                }
                Err(error)
            }
        }
    }

    /// Another number for the same description.
    pub(super) fn dup(&mut self, description: &Arc<Description<P>>) -> Result<i32> {
        self.name(description.clone()).map(|(number, _)| number)
    }

    pub(super) fn get(&self, number: i32) -> Result<Arc<Description<P>>> {
        let open = place(number).and_then(|place| self.places.get(place)?.clone());
        open.ok_or(Errno::EBADF)
    }

    /// Takes a number out; also says whether it was the last one of its description.
    pub(super) fn close(&mut self, number: i32) -> Result<(Arc<Description<P>>, bool)> {
        let open = place(number).and_then(|place| self.places.get_mut(place)?.take());
        let description = open.ok_or(Errno::EBADF)?;
        self.closed += 1;
        let other = self.places.iter().flatten().any(|other| Arc::ptr_eq(other, &description));
        Ok((description, !other))
    }

    pub(super) fn numbers(&self) -> Vec<i32> {
        let open = self.places.iter().enumerate().filter(|(_, open)| open.is_some());
        open.map(|(place, _)| number(place)).collect()
    }

    pub(super) fn counts(&self) -> (u64, u64) {
        (self.opened, self.closed)
    }
}
