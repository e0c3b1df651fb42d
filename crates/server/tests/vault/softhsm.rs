//! A token of softhsm2 in a directory of its own, for this test alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::Temporary;

const MODULES: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];
pub(crate) const PIN: &str = "a-pin-4711";

pub(crate) struct Token {
    pub(crate) dir: Temporary,
    module: &'static str,
}

impl Token {
    /// A new token; `None`, and a line that says so, if softhsm2 is not installed. Sets `SOFTHSM2_CONF` for this process
    /// by which those that it starts find the token: one test is one process.
    pub(crate) fn new() -> Option<Self> {
        let module = MODULES.into_iter().find(|module| Path::new(module).exists());
        let installed = Command::new("softhsm2-util").arg("--version").output().is_ok();
        let Some(module) = module.filter(|_| installed) else {
            println!("skipped: softhsm2 is not installed");
            return None;
        };
        let token = Self { dir: Temporary::new(), module };
        std::fs::create_dir(token.path("tokens")).unwrap();
        let text = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            token.path("tokens").display()
        );
        std::fs::write(token.conf(), text).unwrap();
        let output = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", "holdfast", "--pin", PIN, "--so-pin", "a-so-pin"])
            .env("SOFTHSM2_CONF", token.conf())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        token.write_pin(PIN);
        Some(token)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn conf(&self) -> PathBuf {
        self.path("softhsm2.conf")
    }

    pub(crate) fn write_pin(&self, pin: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(self.path("pin"), format!("{pin}\n")).unwrap();
        std::fs::set_permissions(self.path("pin"), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The reference to a key in it.
    pub(crate) fn uri(&self, object: &str) -> String {
        format!(
            "pkcs11:token=holdfast;object={object}?module-path={}&pin-source=file:{}",
            self.module,
            self.path("pin").display()
        )
    }

    /// A command that finds the token: softhsm2 is told by the environment where it is.
    pub(crate) fn run(&self, args: &[&str]) -> (bool, String) {
        let output = Command::new(crate::server::HOLDFAST)
            .args(args)
            .env("SOFTHSM2_CONF", self.conf())
            .output()
            .unwrap();
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    }

    /// The same for a command that ends up serving.
    pub(crate) fn command(&self, command: &[String]) -> Vec<String> {
        let mut with = vec!["env".to_owned(), format!("SOFTHSM2_CONF={}", self.conf().display())];
        with.extend_from_slice(command);
        with
    }
}
