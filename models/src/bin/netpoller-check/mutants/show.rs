//! What the mutants came to, as tables.

use super::child::{Ended, Verdict};
use super::{Judged, Task};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, ContentArrangement, Table};
use netpoller_models::mutants::{Catch, Mutant};
use netpoller_models::oracle::Which;
use netpoller_models::suite::Kind;

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table
}

/// The mutants, and who is to catch each.
pub(super) fn list(mutants: &[&Mutant]) {
    for mutant in mutants {
        println!("{}", mutant.id);
        println!("    {}", mutant.what);
        println!("    rule     {}", mutant.rule);
        println!("    from     {}", mutant.origin);
        for Catch { scenario, engine, how, oracle } in &mutant.caught {
            let oracle = oracle.map_or_else(String::new, |oracle| format!(", {}", oracle.name()));
            println!("    caught   by {scenario} on {engine}: {}{oracle}", how.name());
        }
        for test in &mutant.tests {
            println!("    caught   by the test {test}");
        }
        println!();
    }
    println!("{} mutants", mutants.len());
}

/// Which mutants break each rule.
pub(super) fn rules(mutants: &[Mutant], rules: &[String]) {
    let mut table = table(&["rule", "mutants"]);
    let mut none = Vec::new();
    for rule in rules {
        let names: Vec<_> = mutants
            .iter()
            .filter(|mutant| mutant.rules().any(|name| name == rule))
            .map(|mutant| mutant.id.as_str())
            .collect();
        if names.is_empty() {
            none.push(rule.as_str());
        }
        table.add_row([rule.as_str(), &names.join(", ")]);
    }
    println!("{table}");
    let none_of_them = if none.is_empty() { "none".to_owned() } else { none.join(", ") };
    println!("{} rules; without a mutant: {none_of_them}", rules.len());
}

/// Who caught what.
pub(super) fn outcome(judged: &[Judged<'_>]) {
    let mut table = table(&["mutant", "rule", "from", "caught by"]);
    for Judged { mutant, runs, wrong, .. } in judged {
        let mut lines = Vec::new();
        for catch in &mutant.caught {
            let task = Task::from(catch);
            lines.push(format!("{task}: {}", runs.get(&task).map_or("-".to_owned(), in_short)));
        }
        for test in &mutant.tests {
            let task = Task::Test(test.clone());
            lines.push(format!("{task}: {}", runs.get(&task).map_or("-".to_owned(), in_short)));
        }
        if !wrong.is_empty() {
            lines.push("NOT AS DESIGNATED".to_owned());
        }
        table.add_row([&mutant.id, &mutant.rule, &mutant.origin, &lines.join("\n")]);
    }
    println!("{table}");
    for Judged { mutant, wrong, .. } in judged {
        for why in wrong {
            println!("{}: {why}", mutant.id);
        }
    }
}

fn in_short(ended: &Ended) -> String {
    match &ended.verdict {
        Verdict::Passed => "SURVIVED".to_owned(),
        Verdict::Deadlock => format!("deadlock, execution {}", ended.executions),
        Verdict::Panic(judge) => format!("{}, execution {}", judge.name(), ended.executions),
        Verdict::TestFailed => "failed".to_owned(),
        Verdict::Hung => "hang".to_owned(),
        Verdict::Broken => "no verdict".to_owned(),
    }
}

/// In which execution each engine and each oracle alone catches each mutant.
pub(super) fn matrix(judged: &[Judged<'_>]) {
    let mut by_engine = table(&["mutant", "scenario"]);
    let mut by_oracle = table(&["mutant", "scenario", "engine"]);
    add_to_header(&mut by_engine, Kind::ALL.iter().map(|kind| kind.name()));
    add_to_header(&mut by_oracle, Which::ALL.iter().map(|which| which.name()));
    for Judged { mutant, runs, .. } in judged {
        let mut scenarios = std::collections::BTreeSet::new();
        for Catch { scenario, engine, .. } in &mutant.caught {
            let run = |engine: &str, only| {
                let engine = engine.to_owned();
                runs.get(&Task::Scenario { scenario: scenario.clone(), engine, only })
            };
            if scenarios.insert(scenario) {
                let mut row = vec![mutant.id.clone(), scenario.clone()];
                let cell = |kind: &Kind| run(kind.name(), None).map_or_else(String::new, catch);
                row.extend(Kind::ALL.iter().map(cell));
                by_engine.add_row(row);
            }
            let mut row = vec![mutant.id.clone(), scenario.clone(), engine.clone()];
            row.extend(Which::ALL.iter().map(|which| {
                let ended = run(engine, Some(which.name()));
                let mine = ended.filter(|ended| objects(&ended.verdict) == which.name());
                mine.map_or_else(|| "-".to_owned(), catch)
            }));
            by_oracle.add_row(row);
        }
    }
    println!("{by_engine}");
    println!(
        "In which execution each engine fails; `-`: it does not. Those that sample, and those whose\n\
         runs are cut, may find it with more executions.\n"
    );
    println!("{by_oracle}");
    println!(
        "The same with one oracle judging alone, and the execution in which it is the one that\n\
         objects. Deadlocks are always noticed. A mutant without a number is caught by the poller\n\
         itself.\n"
    );
}

/// The oracle that a verdict comes from.
fn objects(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Deadlock => Which::Deadlock.name(),
        Verdict::Panic(judge) => judge.name(),
        Verdict::Passed | Verdict::TestFailed | Verdict::Hung | Verdict::Broken => "",
    }
}

fn add_to_header<'a>(table: &mut Table, names: impl Iterator<Item = &'a str>) {
    let mut header: Vec<_> =
        table.header().map(|row| row.cell_iter().cloned().collect()).unwrap_or_default();
    header.extend(names.map(Cell::new));
    table.set_header(header);
}

fn catch(ended: &Ended) -> String {
    match &ended.verdict {
        Verdict::Passed => "-".to_owned(),
        Verdict::Hung => "hang".to_owned(),
        Verdict::Broken => "no verdict".to_owned(),
        Verdict::Deadlock | Verdict::Panic(_) | Verdict::TestFailed => ended.executions.to_string(),
    }
}
