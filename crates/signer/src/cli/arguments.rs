//! Arguments: a command's name, then what it takes, in any order. Unknown and repeated options are refused.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the user did not say, or said wrongly.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Usage(pub(super) String);

/// What one command takes.
pub(super) struct Takes {
    /// Positional arguments, for messages.
    pub(super) positional: &'static [&'static str],
    /// Options with a value.
    pub(super) valued: &'static [&'static str],
    /// Options that may stand several times.
    pub(super) repeated: &'static [&'static str],
}

/// What was given.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) positional: Vec<String>,
    options: BTreeMap<String, Vec<String>>,
    pub(super) json: bool,
    pub(super) help: bool,
}

impl Given {
    pub(super) fn parse(takes: &Takes, arguments: impl IntoIterator<Item = String>) -> Result<Self, Usage> {
        let mut given = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix("--") {
                Some("help") => given.help = true,
                Some("json") => given.json = true,
                Some(option) => {
                    let (name, value) = match option.split_once('=') {
                        Some((name, value)) => (name, Some(value.to_owned())),
                        None => (option, None),
                    };
                    let repeated = takes.repeated.contains(&name);
                    if !repeated && !takes.valued.contains(&name) {
                        return Err(Usage(format!("unknown option --{name}")));
                    }
                    let value = value.or_else(|| arguments.next());
                    let value = value.ok_or_else(|| Usage(format!("--{name} needs a value")))?;
                    let values = given.options.entry(name.to_owned()).or_default();
                    if !repeated && !values.is_empty() {
                        return Err(Usage(format!("--{name} is given twice")));
                    }
                    values.push(value);
                }
                None if argument == "-h" => given.help = true,
                None if given.positional.len() < takes.positional.len() => given.positional.push(argument),
                None => return Err(Usage(format!("nothing takes {argument:?}"))),
            }
        }
        Ok(given)
    }

    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name)?.first().map(String::as_str)
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.option(name).map(PathBuf::from)
    }

    pub(super) fn need_path(&self, name: &str) -> Result<PathBuf, Usage> {
        self.path(name).ok_or_else(|| Usage(format!("--{name} is missing")))
    }

    pub(super) fn repeated(&self, name: &str) -> &[String] {
        self.options.get(name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn need(&self, takes: &Takes, place: usize) -> Result<&str, Usage> {
        let name = takes.positional.get(place).copied().unwrap_or("an argument");
        self.positional.get(place).map(String::as_str).ok_or_else(|| Usage(format!("{name} is missing")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAKES: Takes =
        Takes { positional: &["FILE"], valued: &["pins", "store"], repeated: &["signature"] };

    fn parse(arguments: &[&str]) -> Result<Given, Usage> {
        Given::parse(&TAKES, arguments.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn options_stand_in_any_order() {
        let given =
            parse(&["--pins", "a", "file", "--signature=x=1", "--signature", "y=2", "--json"]).unwrap();
        assert_eq!(given.positional, ["file"]);
        assert_eq!(given.option("pins"), Some("a"));
        assert_eq!(given.repeated("signature"), ["x=1", "y=2"]);
        assert!(given.json && !given.help);
        assert_eq!(given.need_path("store").unwrap_err().0, "--store is missing");
    }

    #[test]
    fn unknown_repeated_and_surplus_arguments_are_refused() {
        for arguments in [&["--pin", "a"][..], &["--pins", "a", "--pins", "b"], &["--pins"], &["a", "b"]] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
    }
}
