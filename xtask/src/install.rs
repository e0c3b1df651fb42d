//! Installing what the tests use beyond the Rust toolchain: programs by their Debian packages, the test client's npm
//! packages, a Python environment under the target directory.
//!
//! Nothing here is fatal. What is already there is not touched, what cannot be had is said, counted as skipped, and
//! left to the tests that need it, which then say that they were skipped.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::report::{Counts, Report};
use crate::shell::{Shell, on_path};
use crate::ui::Terminal;

/// A program, the Debian packages that bring it, and what the tests do with it.
struct Tool {
    program: &'static str,
    packages: &'static [&'static str],
    purpose: &'static str,
}

/// Rust's toolchain needs a C compiler; Bitcoin Core's script checks, which the sample's chain runs, need one for C++.
const COMPILER: Tool =
    Tool { program: "c++", packages: &["g++"], purpose: "checks signatures as Bitcoin Core does" };

const TOOLS: &[Tool] = &[
    COMPILER,
    Tool { program: "strace", packages: &["strace"], purpose: "shows that a reply waits for the disk" },
    Tool { program: "sqlite3", packages: &["sqlite3"], purpose: "opens the views as an operator would" },
    Tool {
        program: "unshare",
        packages: &["util-linux"],
        purpose: "makes the full disk and the read-only folder",
    },
    Tool { program: "python3", packages: &["python3"], purpose: "runs the independent verifier" },
    Tool { program: "oathtool", packages: &["oathtool"], purpose: "makes one-time codes of its own" },
    Tool { program: "curl", packages: &["curl"], purpose: "runs the README's commands" },
    Tool { program: "node", packages: &["nodejs"], purpose: "runs the real exchange client" },
    Tool { program: "softhsm2-util", packages: &["softhsm2"], purpose: "keeps keys in a PKCS#11 token" },
    Tool { program: "chromium", packages: &["chromium"], purpose: "drives security keys in a browser" },
    Tool { program: "cvc5", packages: &["cvc5"], purpose: "proves the invariants of the policy packs" },
    Tool { program: "npm", packages: &["npm"], purpose: "installs the real exchange client" },
];

const NPM_FOLDER: &str = "tests/client";
const PYTHON_REQUIREMENTS: &str = "tests/requirements.txt";
const SUITE: &str = "installs";

/// Installs everything and sets the variables by which the tests find it:
/// `HOLDFAST_TEST_PYTHON`, a Python with the packages of `tests/requirements.txt`.
pub fn everything(shell: &mut Shell, target: &Path, terminal: Terminal, report: &mut Report) {
    programs(shell, terminal, report);
    toolchain(shell, terminal, report);
    let outcome = node_packages(shell, terminal);
    count(outcome, "npm packages", "tests with the real exchange client", terminal, report);
    let outcome = python(shell, target, terminal);
    if let Ok(python) = &outcome {
        shell.set("HOLDFAST_TEST_PYTHON", python);
    }
    count(outcome.map(drop), "python packages", "tests with the independent verifier", terminal, report);
}

fn count(outcome: Result<()>, name: &str, lost: &str, terminal: Terminal, report: &mut Report) {
    let counts = match outcome {
        Ok(()) => Counts { passed: 1, ..Counts::default() },
        Err(error) => {
            let text = format!("cannot be had, so {lost} will be skipped: {error}");
            terminal.skipped(name, &text);
            report.remark(format!("SKIPPED {name}: {text}"));
            Counts { skipped: 1, ..Counts::default() }
        }
    };
    report.add(SUITE, counts);
}

/// Installs the C++ compiler if there is none: what is built next needs it.
pub fn compiler(shell: &Shell, terminal: Terminal) {
    if !on_path(COMPILER.program) {
        terminal.begin("compiler", &format!("apt-get install {}", COMPILER.packages.join(" ")));
        if let Err(error) = apt(shell, COMPILER.packages) {
            terminal.note(&error.to_string());
        }
    }
}

/// Programs that are missing are installed with apt, by root or through a sudo that does not ask.
fn programs(shell: &Shell, terminal: Terminal, report: &mut Report) {
    let mut packages: Vec<&str> = Vec::new();
    for tool in TOOLS.iter().filter(|tool| !on_path(tool.program)) {
        packages.extend(tool.packages);
    }
    if !has_venv(shell) {
        packages.push("python3-venv");
    }
    if !packages.is_empty() {
        terminal.begin("programs", &format!("apt-get install {}", packages.join(" ")));
        if let Err(error) = apt(shell, &packages) {
            terminal.note(&error.to_string());
        }
    }
    for tool in TOOLS {
        let outcome = if on_path(tool.program) {
            Ok(())
        } else {
            let advice = format!("install the Debian package {}", tool.packages.join(" "));
            Err(Error::Missing { program: tool.program.to_owned(), advice })
        };
        count(outcome, tool.program, &format!("the test that {}", tool.purpose), terminal, report);
    }
}

fn apt(shell: &Shell, packages: &[&str]) -> Result<()> {
    if !on_path("apt-get") {
        let advice = format!("install {} with this system's package manager", packages.join(", "));
        return Err(Error::Missing { program: "apt-get".to_owned(), advice });
    }
    let is_root = shell.capture(&["id", "-u"]).is_ok_and(|id| id.trim() == "0");
    let prefix: &[&str] = if is_root { &[] } else { &["sudo", "-n"] };
    let apt = [
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-qq",
        "-o",
        "Acquire::Retries=3",
        "-o",
        "DPkg::Lock::Timeout=120",
    ];
    // Packages may be installable from lists that are there although new lists cannot be fetched.
    drop(shell.run(&[prefix, &apt, &["update"]].concat()));
    shell.run(&[prefix, &apt, &["install", "-y", "--no-install-recommends"], packages].concat())
}

fn has_venv(shell: &Shell) -> bool {
    shell.works(&["python3", "-c", "import ensurepip, venv"])
}

/// A minimal toolchain has no rustfmt and no clippy.
fn toolchain(shell: &Shell, terminal: Terminal, report: &mut Report) {
    for (component, line) in
        [("rustfmt", ["cargo", "fmt", "--version"]), ("clippy", ["cargo", "clippy", "--version"])]
    {
        let mut outcome = Ok(());
        if !shell.works(&line) {
            terminal.begin(component, "rustup component add");
            outcome = shell.run(&["rustup", "component", "add", component]);
        }
        count(outcome, component, "its check", terminal, report);
    }
}

fn node_packages(shell: &Shell, terminal: Terminal) -> Result<()> {
    let folder = shell.root().join(NPM_FOLDER);
    let lock = read(&folder.join("package-lock.json"))?;
    let stamp = folder.join("node_modules/.installed-lock");
    if read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    terminal.begin("npm packages", &format!("npm ci in {NPM_FOLDER}"));
    shell.run(&["npm", "--prefix", NPM_FOLDER, "ci", "--no-audit", "--no-fund", "--loglevel=error"])?;
    write(&stamp, &lock)
}

fn python(shell: &Shell, target: &Path, terminal: Terminal) -> Result<PathBuf> {
    let folder = target.join("test-python");
    let python = folder.join("bin/python");
    let wanted = read(&shell.root().join(PYTHON_REQUIREMENTS))?;
    let stamp = folder.join("installed-requirements.txt");
    let interpreter = python.display().to_string();
    if read(&stamp).is_ok_and(|installed| installed == wanted) && shell.works(&[&interpreter, "--version"]) {
        return Ok(python);
    }
    terminal.begin("python packages", &format!("pip install -r {PYTHON_REQUIREMENTS}"));
    shell.run(&["python3", "-m", "venv", "--clear", &folder.display().to_string()])?;
    let pip = [&interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"];
    shell.run(&[&pip[..], &["-r", PYTHON_REQUIREMENTS]].concat())?;
    write(&stamp, &wanted)?;
    Ok(python)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|source| Error::File { path: path.to_owned(), source })
}
