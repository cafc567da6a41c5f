//! JUnit's XML, which every system for continuous integration reads: a suite an engine, a case a
//! scenario.

use crate::Error;
use crate::one::Report;
use crate::verdict::{Demand, Fault};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use std::path::Path;
use std::time::Duration;

/// Writes the runs, and beside them the faults that are of no one run, in a suite of their own.
/// No case is ever marked as skipped: a run that is missing is a fault.
pub(crate) fn write(
    file: &Path,
    reports: &[Report],
    demand: Demand,
    faults: &[Fault],
) -> Result<(), Error> {
    Ok(std::fs::write(file, xml(reports, demand, faults)?)?)
}

fn xml(reports: &[Report], demand: Demand, faults: &[Fault]) -> Result<String, Error> {
    let mut engines: Vec<_> = reports.iter().map(|report| report.engine.as_str()).collect();
    engines.sort_unstable();
    engines.dedup();
    let mut document = quick_junit::Report::new("netpoller");
    for engine in engines {
        let mut suite = TestSuite::new(engine);
        for report in reports.iter().filter(|report| report.engine == engine) {
            let fault = Fault::of(report, demand);
            let mut case = TestCase::new(&*report.scenario, status(fault.as_ref()));
            case.set_classname(engine);
            case.set_time(Duration::try_from_secs_f64(report.seconds).unwrap_or_default());
            suite.add_test_case(case);
        }
        document.add_test_suite(suite);
    }
    let of_runs: Vec<_> = reports.iter().filter_map(|report| Fault::of(report, demand)).collect();
    let mut whole = TestSuite::new("the whole");
    for fault in faults.iter().filter(|fault| !of_runs.contains(fault)) {
        let mut case = TestCase::new(&*fault.place, status(Some(fault)));
        case.set_classname("the whole");
        whole.add_test_case(case);
    }
    if !whole.test_cases.is_empty() {
        document.add_test_suite(whole);
    }
    Ok(document.to_string()?)
}

fn status(fault: Option<&Fault>) -> TestCaseStatus {
    let Some(Fault { kind, cause, story, again, .. }) = fault else {
        return TestCaseStatus::success();
    };
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(&**kind);
    status.set_message(&**cause);
    status.set_description(format!("{cause}\n{story}\n{again}"));
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_a_run_with_its_story_and_a_suite_for_what_is_of_no_one_run() {
        let story = "   3  reader  load  setup.4 <- 0x1".to_owned();
        let failed = Report::died("park_close", "explore", "deadlock", "one waits".into(), story);
        let mut passed = failed.clone();
        passed.scenario = "park_ready".to_owned();
        passed.failure = None;
        let demand = Demand::default();
        let missing = Fault::plain("park_edge on loom-sc", "missing", "in no part".to_owned());
        let faults = [Fault::of(&failed, demand).expect("it failed"), missing];
        let xml = xml(&[failed, passed], demand, &faults).expect("text");
        assert!(xml.contains(r#"<testsuite name="explore" tests="2""#), "{xml}");
        assert!(xml.contains(r#"name="park_close" classname="explore""#), "{xml}");
        assert!(xml.contains(r#"<failure message="one waits" type="deadlock">"#), "{xml}");
        assert!(xml.contains("setup.4 &lt;- 0x1"), "{xml}");
        assert!(xml.contains(r#"<testsuite name="the whole" tests="1""#), "{xml}");
        assert_eq!(xml.matches("<testcase").count(), 3, "{xml}");
        assert_eq!(xml.matches("<failure").count(), 2, "{xml}");
        assert!(!xml.contains("skipped/"), "{xml}");
    }
}
