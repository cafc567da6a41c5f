//! A copy of the sources: edited, built, put back.
//!
//! The copy and its build live in one folder that is kept, so that dependencies are built once. The
//! copy is built incrementally and, unless its runs are long, without optimisation and without debug
//! information; `target` of the real sources is not touched.

use crate::Error;
use netpoller_models::mutants::{Mutant, TestName};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The parts of the workspace that are copied.
const PARTS: [&str; 7] = ["Cargo.toml", "Cargo.lock", ".cargo", "spec", "impl", "models", "tests"];

pub(super) struct Tree {
    /// How many threads a build may use.
    threads: usize,
    /// Built as the sources are built for everybody, and not as fast as it can be.
    optimised: bool,
    sources: PathBuf,
    target: PathBuf,
    programs: PathBuf,
}

/// What was built, out of the way of the next build. Deletes itself.
pub(super) struct Built {
    /// `netpoller-check`, if it was asked for.
    pub(super) program: Option<PathBuf>,
    /// Each test with its program and the folder to run it in.
    pub(super) tests: BTreeMap<TestName, (PathBuf, PathBuf)>,
    pub(super) took: Duration,
    folder: PathBuf,
}

impl Drop for Built {
    fn drop(&mut self) {
        // What is left is overwritten by the next run.
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

/// What was in the files before an edit.
pub(super) struct Restore(Vec<(PathBuf, String)>);

impl Restore {
    pub(super) fn undo(self) -> io::Result<()> {
        self.0.iter().try_for_each(|(path, text)| fs::write(path, text))
    }
}

impl Tree {
    /// Copies the sources at `root` to `dir`, for one of `lanes` that build at the same time. Files
    /// that are the same already keep their times, so that they are not built again.
    pub(super) fn new(
        root: &Path,
        dir: &Path,
        lanes: usize,
        optimised: bool,
    ) -> Result<Tree, Error> {
        let (sources, target) = (dir.join("tree"), dir.join("target"));
        let programs = dir.join("programs");
        fs::create_dir_all(&sources).map_err(|e| format!("{}: {e}", sources.display()))?;
        for part in PARTS {
            mirror(&root.join(part), &sources.join(part))?;
        }
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = (processors / lanes).max(1);
        Ok(Tree { threads, optimised, sources, target, programs })
    }

    /// Another one, with the dependencies that this one has built.
    pub(super) fn like(&self, root: &Path, dir: &Path) -> Result<Tree, Error> {
        let other = Tree { threads: self.threads, ..Tree::new(root, dir, 1, self.optimised)? };
        if !other.target.exists() {
            // With the times of the files, by which cargo knows that they are good. Where this
            // fails, they are built once more.
            let copy = Command::new("cp").arg("-a").args([&self.target, &other.target]).output();
            if !copy.is_ok_and(|copy| copy.status.success()) {
                let _gone = fs::remove_dir_all(&other.target);
            }
        }
        Ok(other)
    }

    /// Edits the copy.
    pub(super) fn apply(&self, mutant: &Mutant) -> Result<Restore, Error> {
        let mut before = Vec::new();
        for (file, text) in mutant.apply(&self.sources)? {
            let path = self.sources.join(file);
            before.push((path.clone(), fs::read_to_string(&path)?));
            fs::write(&path, text)?;
        }
        Ok(Restore(before))
    }

    /// Builds `netpoller-check` if `program` asks for it, and the tests, and puts them aside.
    pub(super) fn build(
        &self,
        name: &str,
        program: bool,
        tests: &BTreeSet<&TestName>,
    ) -> Result<Built, Error> {
        let started = Instant::now();
        let folder = self.programs.join(name);
        fs::create_dir_all(&folder)?;
        let mut built =
            Built { program: None, tests: BTreeMap::new(), took: Duration::ZERO, folder };
        if program {
            let arguments = [
                "build",
                "--package",
                "netpoller-models",
                "--features",
                "cli",
                "--bin",
                "netpoller-check",
            ];
            let made = self.cargo(name, &arguments)?;
            built.program = Some(aside(&made, &built.folder, "netpoller-check")?);
        }
        let targets: BTreeSet<_> = tests.iter().map(|t| (&t.package, &t.target)).collect();
        for (package, target) in targets {
            let mut arguments = vec!["test", "--no-run", "--package", package];
            if package == "netpoller-models" {
                // What its tests of the simulated kernel explore with. Not more: with `cli` the
                // command would be made as well.
                arguments.extend(["--features", "shuttle"]);
            }
            match target.as_str() {
                "lib" => arguments.push("--lib"),
                target => arguments.extend(["--test", target]),
            }
            let made = self.cargo(name, &arguments)?;
            let test_program = aside(&made, &built.folder, &format!("{package}-{target}"))?;
            let member = self.sources.join(package_folder(package));
            for test in tests.iter().filter(|t| (&t.package, &t.target) == (package, target)) {
                built.tests.insert((*test).clone(), (test_program.clone(), member.clone()));
            }
        }
        built.took = started.elapsed();
        Ok(built)
    }

    /// Builds and returns the program that came out.
    fn cargo(&self, name: &str, arguments: &[&str]) -> Result<PathBuf, Error> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(arguments)
            .args(["--locked", "--quiet", "--message-format=json-render-diagnostics"])
            .current_dir(&self.sources)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_INCREMENTAL", "1")
            .env("CARGO_BUILD_JOBS", self.threads.to_string());
        if !self.optimised {
            // Building takes longer than running: a run ends with the first failure.
            command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "0").env("CARGO_PROFILE_DEV_DEBUG", "false");
        }
        let output = command.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{name} does not build:\n{errors}").into());
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        let mut programs = messages.lines().filter_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            message.get("executable")?.as_str().map(PathBuf::from)
        });
        programs
            .next_back()
            .ok_or_else(|| format!("cargo {} made no program", arguments.join(" ")).into())
    }
}

fn package_folder(package: &str) -> &str {
    match package {
        "netpoller" => "impl",
        other => other.strip_prefix("netpoller-").unwrap_or(other),
    }
}

fn aside(program: &Path, folder: &Path, name: &str) -> io::Result<PathBuf> {
    let to = folder.join(name);
    // A running program cannot be overwritten, but its name can be taken.
    if to.exists() {
        fs::remove_file(&to)?;
    }
    fs::copy(program, &to)?;
    Ok(to)
}

/// Makes `to` the same as `from`: copies what differs, and deletes what `from` does not have.
fn mirror(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = |error: io::Error| Error::from(format!("copying {}: {error}", from.display()));
    if !from.is_dir() {
        let bytes = fs::read(from).map_err(failed)?;
        if fs::read(to).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        return fs::write(to, bytes).map_err(failed);
    }
    fs::create_dir_all(to).map_err(failed)?;
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(from).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name != "target" {
            mirror(&from.join(&name), &to.join(&name))?;
            names.insert(name);
        }
    }
    for entry in fs::read_dir(to).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !names.contains(&entry.file_name()) {
            let gone = entry.path();
            if gone.is_dir() { fs::remove_dir_all(gone) } else { fs::remove_file(gone) }
                .map_err(failed)?;
        }
    }
    Ok(())
}
