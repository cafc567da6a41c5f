//! One part of a list of work, so that machines can do it side by side: `--shard 2/4`.
//!
//! The parts are dealt out like cards: position 0 to part 1, position 1 to part 2, and so on. So the
//! parts together are exactly the whole, whoever cuts the same list into the same number of parts gets
//! the same ones, and what lies side by side in the list, which is often of a size, is spread.

use std::fmt;
use std::str::FromStr;

/// Which part, counted from 1, of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) part: usize,
    pub(crate) of: usize,
}

impl Shard {
    /// Whether what is at this position of the list, counted from 0, belongs to this part.
    pub(crate) fn takes(&self, position: usize) -> bool {
        position % self.of == self.part - 1
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let numbers = text
            .split_once('/')
            .and_then(|(part, of)| Some(Shard { part: part.parse().ok()?, of: of.parse().ok()? }));
        match numbers {
            Some(shard) if (1..=shard.of).contains(&shard.part) => Ok(shard),
            _ => Err(format!("{text} is no part of a whole: the second of four is 2/4")),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_together_are_exactly_the_whole() {
        for of in 1..=7 {
            for length in 0..=23 {
                let takers = |position: usize| {
                    let parts = (1..=of).map(|part| Shard { part, of });
                    parts.filter(|shard| shard.takes(position)).count()
                };
                let wrong = (0..length).find(|position| takers(*position) != 1);
                assert_eq!(wrong, None, "a position of {length} is in no or in two of {of} parts");
                let size = |part| (0..length).filter(|at| Shard { part, of }.takes(*at)).count();
                let sizes: Vec<_> = (1..=of).map(size).collect();
                let (least, most) = (sizes.iter().min(), sizes.iter().max());
                assert!(most <= least.map(|least| least + 1).as_ref(), "uneven parts: {sizes:?}");
            }
        }
    }

    #[test]
    fn a_part_is_written_as_it_is_read_and_nothing_else_is_one() {
        for text in ["1/1", "1/4", "4/4", "12/12"] {
            assert_eq!(text.parse::<Shard>().map(|shard| shard.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "1", "0/4", "5/4", "1/0", "0/0", "-1/4", "1/4/2", "a/b", "1 / 4"] {
            assert!(text.parse::<Shard>().is_err(), "{text} was taken for a part");
        }
    }
}
