#!/bin/sh
# Checks: what would be published. The packages of `netpoller-spec`, `netpoller` and `netpoller-models` hold both
# licences, the page that they show and their sources; nothing that is not listed here, no file of 400,000 bytes,
# no package of 600,000; a manifest with what a registry shows. Unpacked, side by side, with nothing else of
# this folder, they are type-checked with all features: so no file reaches outside of its package.
# Costs: three seconds, and the first time as much as `clippy` for what the crates depend on.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
dir=$target/ci/package
crates="netpoller-spec netpoller netpoller-models"
rm -rf "$dir"
mkdir -p "$dir"
failed=0
bad() { echo "$*" && failed=1; }

# That a test stays behind is meant, for those that read the workspace.
cargo package --locked --quiet --no-verify --allow-dirty --workspace --exclude netpoller-tests 2>"$dir/said" || {
    cat "$dir/said"
    exit 1
}
grep -v '^warning: ignoring test `.*` is not included in the published package$' "$dir/said" &&
    bad "cargo package has something to say"

# In extended regular expressions: what a package may hold, and what it has to hold.
always='Cargo\.toml Cargo\.toml\.orig Cargo\.lock LICENSE-MIT LICENSE-APACHE src/lib\.rs'
rust='src/.*\.rs|LICENSE-(MIT|APACHE)|Cargo\.(lock|toml|toml\.orig)|\.cargo_vcs_info\.json'
for crate in $crates; do
    file=$(ls -t "$target/package/$crate"-[0-9]*.crate | head -n 1)
    # With the time of now (-m): all files of a package have one time, by which cargo would take them for checked.
    tar -xmzf "$file" -C "$dir"
    folder=$dir/$(basename "$file" .crate)
    case $crate in
        netpoller-spec) must='SPEC\.md' may='SPEC\.md|tests/.*\.rs' ;;
        netpoller) must='README\.md docs/io-models\.md docs/migrating\.md' may='README\.md|(src|docs)/.*\.md|(tests|examples|benches)/.*\.rs' ;;
        *) must='README\.md expected\.toml' may='README\.md|(expected|scenarios)\.toml|vectors/.*\.json|src/.*\.(md|css|js|json)' ;;
    esac
    files=$(cd "$folder" && find . -type f | sed 's|^\./||')
    for one in $always $must; do
        printf '%s\n' "$files" | grep -qxE "$one" || bad "$crate: $one is missing"
    done
    strangers=$(printf '%s\n' "$files" | grep -vxE "$rust|$may" || true)
    [ -z "$strangers" ] || bad "$crate: not expected in a package:" $strangers
    large=$(cd "$folder" && find . -type f -size +399999c)
    [ -z "$large" ] || bad "$crate: too large for a package:" $large
    [ "$(wc -c <"$file")" -lt 600000 ] || bad "$crate: a package of $(wc -c <"$file") bytes"
    for licence in LICENSE-MIT LICENSE-APACHE; do
        cmp -s "$licence" "$folder/$licence" || bad "$crate: its $licence is not that of the workspace"
    done
    for key in description keywords categories readme documentation license rust-version; do
        grep -q "^$key = " "$folder/Cargo.toml" || bad "$crate: its manifest says nothing of $key"
    done
    echo "$crate: $(printf '%s\n' "$files" | wc -l) files, $(wc -c <"$file") bytes"
    mv "$folder" "$dir/$crate"
done
[ "$failed" = 0 ] || exit 1

# A workspace of the three that knows no other folder: what each needs of the others is the packaged one.
{
    echo '[workspace]'
    echo 'resolver = "3"'
    echo 'members = ["netpoller-spec", "netpoller", "netpoller-models"]'
    echo '[patch.crates-io]'
    for crate in $crates; do echo "$crate = { path = \"$crate\" }"; done
} >"$dir/Cargo.toml"
cp Cargo.lock "$dir/Cargo.lock"
cd "$dir"
CARGO_TARGET_DIR=$target cargo check --quiet --workspace --all-features
echo "packaged alone, they are type-checked with all features"
