#!/bin/sh
# Checks: the documentation builds without a warning: no broken link, no missing item. And what rustdoc does not warn
# of: a link to something that is hidden, which it leaves as it was written.
# Costs: half a minute.
set -eu
cd "$(dirname "$0")/.."
export RUSTDOCFLAGS="-D warnings"
# The specification first: links to a crate that is not documented yet stay as they were written, too, and cargo documents
# crates side by side.
cargo doc --locked --quiet --package netpoller-spec --no-deps --all-features
cargo doc --locked --quiet --workspace --no-deps --all-features
# `super::Subscriber`, `super::Span` and `crate::Span` are in the text of a trait of `tracing` that is for all types.
cd "${CARGO_TARGET_DIR:-target}/doc"
if grep -rnoE 'href="[^"/#]*::[^"]*"' netpoller netpoller_spec --include='*.html' |
    grep -vE 'href="(super::Subscriber|super::Span::current\(\)|crate::Span)"'; then
    echo "these links lead nowhere: what they name is hidden"
    exit 1
fi
