//! What is done when a test cannot be: it is said aloud, and it fails unless that is allowed by name.

use std::env;

/// A part of a test is not done. The variable `SKIPS_ALLOWED` has the names of those that may be,
/// with blanks between them.
///
/// # Panics
///
/// When it is not allowed.
pub fn skip(name: &str, why: &str) {
    let allowed = env::var("SKIPS_ALLOWED").unwrap_or_default();
    let allowed = allowed.split(' ').any(|allowed| allowed == name);
    assert!(allowed, "SKIPPED: {why} (SKIPS_ALLOWED=\"{name}\" allows that)");
    println!("1 SKIPPED (allowed): {why}");
}

#[cfg(test)]
mod tests {
    #[test]
    #[should_panic = "SKIPPED: there is no such thing"]
    fn what_is_not_allowed_by_name_is_red() {
        super::skip("no-such-thing", "there is no such thing");
    }
}
