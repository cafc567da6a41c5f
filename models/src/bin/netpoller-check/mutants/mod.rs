//! `cargo verify mutants`: known bugs are put into a copy of the sources, one at a time, and each
//! has to be caught by the scenario or the test that its entry names, in the way it names.
//!
//! The entries are in `models/mutants` ([`netpoller_models::mutants`]). First all of them are
//! checked without building. Then the copy is built as it is and everything that is named anywhere
//! runs on it and has to pass, so that a failure later means something. Then, mutant by mutant:
//! edit the copy, build, put it back, run. There are as many copies as jobs, each with a build of its
//! own, since a build of one change keeps one processor busy, not two.
//!
//! Numbers that differ from their pins are no catch: a mutant changes them as a matter of course.
//! Only a run that fails counts, and only if it fails as designated: before the oracle that the entry
//! names, judging alone, for another one may object earlier. A run that does not end is
//! killed and is a hang, which is not a catch either unless the entry says so.
//!
//! A mutant that only a weak memory can show has to be passed by explore. `--matrix` asks who else
//! would have caught each mutant ([`matrix`]), `--unique` whether those that claim to be caught by one
//! oracle or one family alone are ([`unique`]).

mod child;
mod matrix;
mod show;
mod tree;
mod unique;

use crate::Error;
use crate::shard::Shard;
use child::{Ended, Verdict};
use indicatif::{ProgressBar, ProgressStyle};
use netpoller_models::mutants::{self, Catch, How, Judge, Mutant, TestName};
use netpoller_models::oracle::Which;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tree::{Built, Tree};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only mutants whose id, rule or origin contains one of these.
    patterns: Vec<String>,
    /// Show the mutants, and which rules have none; build nothing.
    #[arg(long)]
    list: bool,
    /// Run what is designated on all engines and with each oracle alone, too, and show who catches
    /// what; for mutants that a scenario catches. Ten seconds a mutant.
    #[arg(long)]
    matrix: bool,
    /// Put what `--matrix` shows into `models/mutants/MATRIX.md`; what is there about other mutants
    /// stays.
    #[arg(long, requires = "matrix")]
    write: bool,
    /// For mutants that claim to be caught by one oracle or one family only: run all scenarios
    /// without it, which have to pass. Two minutes a mutant.
    #[arg(long, conflicts_with = "matrix")]
    unique: bool,
    /// Give each run of `--unique` only these seconds, on a build that is not optimised: a glance.
    #[arg(long, value_name = "SECONDS", requires = "unique")]
    seconds: Option<u64>,
    /// One part of the work, counted from 1: `2/4`.
    #[arg(long, value_name = "PART/OF")]
    shard: Option<Shard>,
    /// Go on after a mutant that was not caught as designated.
    #[arg(long)]
    keep_going: bool,
    /// How many mutants at a time; as many as there are processors if not given.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Kill a run after this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
    /// Where the copies of the sources and their builds are kept; `mutants` in the target directory if
    /// not given.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

/// Which oracles judge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Jury {
    All,
    Only(String),
    Except(String),
}

/// What a child is asked for: a scenario on an engine before a jury; or a test.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    Scenario { scenario: String, engine: String, jury: Jury },
    Test(TestName),
}

impl Task {
    fn new(scenario: &str, engine: &str, jury: Jury) -> Task {
        Task::Scenario { scenario: scenario.to_owned(), engine: engine.to_owned(), jury }
    }
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Task::Scenario { scenario, engine, jury } => {
                write!(f, "{scenario} on {engine}")?;
                match jury {
                    Jury::All => Ok(()),
                    Jury::Only(oracle) => write!(f, ", only {oracle}"),
                    Jury::Except(oracle) => write!(f, ", without {oracle}"),
                }
            }
            Task::Test(test) => write!(f, "test {test}"),
        }
    }
}

impl From<&Catch> for Task {
    fn from(catch: &Catch) -> Task {
        let Catch { scenario, engine, how, oracle } = catch;
        // The one that is named judges alone: another one may object earlier. What the poller itself
        // finds broken always counts.
        let name = match (how, oracle) {
            (How::Deadlock, _) | (_, Some(Judge::Deadlock | Judge::Invariant)) => "deadlock",
            (_, oracle) => oracle.map_or("", Judge::name),
        };
        let named = Which::ALL.iter().find(|which| which.name() == name);
        let jury = named.map_or(Jury::All, |which| Jury::Only(which.name().to_owned()));
        Task::new(scenario, engine, jury)
    }
}

/// What has become of one mutant.
#[derive(Debug)]
struct Judged<'a> {
    mutant: &'a Mutant,
    /// Empty if it does not build.
    runs: BTreeMap<Task, Ended>,
    /// Why it is not caught as designated; nothing if empty.
    wrong: Vec<String>,
    building: Duration,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("models has no parent")?;
    let all = mutants::load(root)?;
    let faults = mutants::faults(&all, root)?;
    if !faults.is_empty() {
        return Err(format!("the entries are not in order\n{}", faults.join("\n")).into());
    }
    let chosen = select(&all, arguments);
    if chosen.is_empty() {
        return Err("no mutant is left by these arguments; `--list` shows them all".into());
    }
    if arguments.list {
        show::list(&chosen);
        show::rules(&all, &mutants::rules(root)?);
        return Ok(ExitCode::SUCCESS);
    }
    let started = Instant::now();
    let dir = match &arguments.dir {
        // Absolute: tests run in the folders of their packages.
        Some(dir) => std::path::absolute(dir)?,
        None => beside_this_program()?,
    };
    let judged = Campaign::new(arguments, &chosen).run(root, &dir)?;
    let skipped = chosen.len() - judged.len();
    show::outcome(&judged);
    if arguments.matrix {
        let found = matrix::of(&judged);
        println!("{}", found.shown());
        if arguments.write {
            found.write(root, &all)?;
        }
    }
    let wrong = judged.iter().filter(|judged| !judged.wrong.is_empty()).count();
    let building: Duration = judged.iter().map(|judged| judged.building).sum();
    println!(
        "{} mutants: {} caught as designated, {wrong} not, {skipped} not run; {:.0} s, of which {:.0} s building",
        chosen.len(),
        judged.len() - wrong,
        started.elapsed().as_secs_f64(),
        building.as_secs_f64(),
    );
    Ok(if wrong == 0 && skipped == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The mutants that the arguments ask for, in the order of the entries.
fn select<'a>(all: &'a [Mutant], arguments: &Arguments) -> Vec<&'a Mutant> {
    let fits = |mutant: &&Mutant| {
        chosen(mutant, &arguments.patterns)
            && (!arguments.matrix || !mutant.caught.is_empty())
            && (!arguments.unique || unique::claims(mutant))
    };
    let fitting = all.iter().filter(fits).enumerate();
    let mine = |place: usize| arguments.shard.is_none_or(|shard| shard.takes(place));
    fitting.filter(|(place, _)| mine(*place)).map(|(_, mutant)| mutant).collect()
}

fn chosen(mutant: &Mutant, patterns: &[String]) -> bool {
    patterns.is_empty()
        || patterns.iter().any(|part| {
            [&mutant.id, &mutant.rule, &mutant.origin]
                .iter()
                .any(|text| text.contains(part.as_str()))
        })
}

/// target/debug/netpoller-check -> target/mutants
fn beside_this_program() -> Result<PathBuf, Error> {
    let program = std::env::current_exe()?;
    let target = program.parent().and_then(Path::parent);
    Ok(target.ok_or("this program lies in no target directory")?.join("mutants"))
}

/// Everything that is run.
struct Campaign<'a> {
    arguments: &'a Arguments,
    chosen: &'a [&'a Mutant],
    /// The next mutant that no lane has taken.
    next: AtomicUsize,
    /// No lane takes another one.
    stop: AtomicBool,
    progress: ProgressBar,
}

impl<'a> Campaign<'a> {
    fn new(arguments: &'a Arguments, chosen: &'a [&'a Mutant]) -> Campaign<'a> {
        let progress = ProgressBar::new(chosen.len() as u64 + 1).with_style(
            ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        Campaign { arguments, chosen, next, stop, progress }
    }

    fn run(&self, root: &Path, dir: &Path) -> Result<Vec<Judged<'a>>, Error> {
        let lanes =
            self.arguments.jobs.or_else(processors).unwrap_or(1).clamp(1, self.chosen.len());
        // What runs for a minute is worth being optimised; what ends with its first failure is not.
        let (dir, optimised) = match self.arguments.unique && self.arguments.seconds.is_none() {
            true => (&dir.join("optimised"), true),
            false => (&dir.to_owned(), false),
        };
        let tree = Tree::new(root, &dir.join("1"), lanes, optimised)?;
        self.progress.set_message("building the sources as they are");
        let tests = self.chosen.iter().flat_map(|mutant| self.tests(mutant)).collect();
        let pristine = tree.build("pristine", true, &tests)?;
        let folder = |lane: usize| dir.join((lane + 1).to_string());
        let others: Vec<_> =
            (1..lanes).map(|lane| tree.like(root, &folder(lane))).collect::<Result<_, _>>()?;
        let judged = std::thread::scope(|scope| {
            let (tree, pristine) = (&tree, &pristine);
            let first = scope.spawn(move || {
                self.baseline(pristine)?;
                self.progress.inc(1);
                self.lane(tree)
            });
            let others: Vec<_> =
                others.iter().map(|tree| scope.spawn(move || self.lane(tree))).collect();
            let mut judged = Vec::new();
            let mut failed = None;
            for lane in std::iter::once(first).chain(others) {
                match lane.join() {
                    Ok(Ok(done)) => judged.extend(done),
                    Ok(Err(error)) => failed = failed.or(Some(error)),
                    Err(_) => failed = failed.or_else(|| Some("a lane panicked".into())),
                }
            }
            failed.map_or(Ok(judged), Err)
        });
        self.progress.finish_and_clear();
        let mut judged = judged?;
        judged.sort_by_key(|(place, _)| *place);
        Ok(judged.into_iter().map(|(_, judged)| judged).collect())
    }

    /// Takes one mutant after the other, until there are none or something stops everybody.
    fn lane(&self, tree: &Tree) -> Result<Vec<(usize, Judged<'a>)>, Error> {
        let mut all = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let place = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(mutant) = self.chosen.get(place) else { break };
            self.progress.set_message(mutant.id.clone());
            let judged = self.judge(mutant, tree).inspect_err(|_| self.stop())?;
            self.progress.inc(1);
            if !judged.wrong.is_empty() {
                let wrong = judged.wrong.join("; ");
                self.progress.suspend(|| eprintln!("{}: {wrong}", mutant.id));
                if !self.arguments.keep_going {
                    self.stop();
                }
            }
            all.push((place, judged));
        }
        Ok(all)
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.arguments.timeout)
    }

    /// The tests that are to catch it. They say nothing about engines and oracles.
    fn tests(&self, mutant: &'a Mutant) -> &'a [TestName] {
        if self.arguments.matrix || self.arguments.unique { &[] } else { &mutant.tests }
    }

    /// Everything that is to catch it.
    fn designated(&self, mutant: &'a Mutant) -> BTreeSet<Task> {
        let tests = self.tests(mutant).iter().cloned().map(Task::Test);
        mutant.caught.iter().map(Task::from).chain(tests).collect()
    }

    /// What is designated passes without any mutant, as far as a few seconds reach; how far it
    /// passes in full is the business of `cargo verify run`.
    fn baseline(&self, pristine: &Built) -> Result<(), Error> {
        self.progress.set_message("running what is designated on the sources as they are");
        let tasks: BTreeSet<_> =
            self.chosen.iter().flat_map(|mutant| self.designated(mutant)).collect();
        let mut failed = Vec::new();
        for task in tasks {
            let ended = child::run(&task, pristine, &BASELINE, self.timeout());
            if !matches!(ended.verdict, Verdict::Passed) {
                failed.push(format!("{task}: {}", ended.in_words()));
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        self.stop();
        let failed = failed.join("\n");
        Err(format!("the sources fail as they are, so a failure would mean nothing\n{failed}")
            .into())
    }

    fn judge(&self, mutant: &'a Mutant, tree: &Tree) -> Result<Judged<'a>, Error> {
        let restore = tree.apply(mutant)?;
        let built =
            tree.build(&mutant.id, !mutant.caught.is_empty(), &self.tests(mutant).iter().collect());
        restore.undo()?;
        let mut judged =
            Judged { mutant, runs: BTreeMap::new(), wrong: Vec::new(), building: Duration::ZERO };
        let built = match built {
            Ok(built) => built,
            Err(error) => {
                judged.wrong.push(error.to_string());
                return Ok(judged);
            }
        };
        judged.building = built.took;
        let designated = self.designated(mutant);
        for task in &designated {
            let ended = child::run(task, &built, &DESIGNATED, self.timeout());
            judged.runs.insert(task.clone(), ended);
        }
        if mutant.memory {
            for task in matrix::on_a_strong_memory(mutant) {
                judged.has_to_pass(task, |task| {
                    child::run(task, &built, &DESIGNATED, self.timeout())
                });
            }
        }
        if self.arguments.unique {
            let reach = unique::reach(self.arguments.seconds);
            for task in unique::tasks(mutant) {
                // One objection is enough: the claim is false.
                if !judged.wrong.is_empty() {
                    break;
                }
                judged
                    .has_to_pass(task, |task| child::run(task, &built, &[&reach], self.timeout()));
            }
        }
        if self.arguments.matrix {
            for task in matrix::tasks(mutant).difference(&designated) {
                let ended = child::run(task, &built, &matrix::REACH, matrix::TIMEOUT);
                judged.runs.insert(task.clone(), ended);
            }
        }
        for catch in &mutant.caught {
            judged.expect(Task::from(catch), |verdict| as_designated(catch, verdict));
        }
        for test in self.tests(mutant) {
            judged.expect(Task::Test(test.clone()), |verdict| *verdict == Verdict::TestFailed);
        }
        Ok(judged)
    }
}

impl Judged<'_> {
    fn has_to_pass(&mut self, task: Task, run: impl FnOnce(&Task) -> Ended) {
        let ended = run(&task);
        if ended.verdict != Verdict::Passed {
            self.wrong.push(format!("{task} should pass: {}", ended.in_words()));
        }
        self.runs.insert(task, ended);
    }

    fn expect(&mut self, task: Task, as_designated: impl FnOnce(&Verdict) -> bool) {
        let ended = &self.runs[&task];
        if !as_designated(&ended.verdict) {
            self.wrong.push(format!("{task}: {}", ended.in_words()));
        }
    }
}

/// How the sources as they are run: a glance.
const BASELINE: [&str; 1] = ["--seconds=2"];
/// How a mutant runs: to the end, so that what is pinned as a quick run does not hide a catch.
const DESIGNATED: [&str; 1] = ["--deep"];

fn as_designated(catch: &Catch, verdict: &Verdict) -> bool {
    match (catch.how, verdict) {
        (How::Deadlock, Verdict::Deadlock) | (How::Hang, Verdict::Hung) => true,
        (How::Panic, Verdict::Panic(judge)) => catch.oracle == Some(*judge),
        _ => false,
    }
}

fn processors() -> Option<usize> {
    std::thread::available_parallelism().ok().map(usize::from)
}
