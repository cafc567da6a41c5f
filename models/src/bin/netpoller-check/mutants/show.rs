//! What the mutants came to, as tables.

use super::child::{Ended, Verdict};
use super::{Judged, Task};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use netpoller_models::mutants::{Catch, Mutant};

pub(super) fn table(header: &[&str]) -> Table {
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
