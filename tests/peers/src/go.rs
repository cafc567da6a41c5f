//! The program of Go: built when there is a go command, left out if not.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds it. `Err`: why there is none.
pub(crate) fn build(go: Option<&Path>, out: &Path) -> Result<PathBuf, String> {
    let go = match go {
        // A path is one from here, and the build is made in another folder.
        Some(go) if go.components().count() > 1 => std::path::absolute(go),
        Some(go) => Ok(go.to_owned()),
        None => Ok(PathBuf::from("go")),
    };
    let go = go.map_err(|error| error.to_string())?;
    let program = std::path::absolute(out.join("go-peers")).map_err(|error| error.to_string())?;
    // The name by which the benchmark reaches the break of Go's runtime is otherwise refused.
    let built = Command::new(&go)
        .args(["build", "-ldflags=-checklinkname=0", "-o"])
        .arg(&program)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/go"))
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-mod=readonly")
        .status();
    match built {
        Ok(status) if status.success() => Ok(program),
        Ok(status) => Err(format!("{} build: {status}", go.display())),
        Err(error) => Err(format!("{}: {error}", go.display())),
    }
}

/// Which Go it is.
pub(crate) fn version(program: &Path) -> String {
    let said = Command::new(program).arg("version").output();
    said.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned()).unwrap_or_default()
}
