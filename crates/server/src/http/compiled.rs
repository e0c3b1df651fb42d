//! What packs of the last acts compiled to: whoever has caught one signed text can send it again and again, and each time
//! its pack would be compiled anew.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use holdfast_decision::command::PolicySource;
use holdfast_values::pack_hash;

/// How many packs are remembered. A pack comes to be compiled only under a good signature of an operator.
const REMEMBERED_MAX: usize = 8;

/// A program, or why there is none.
type Outcome = Result<Vec<u8>, String>;

/// The last packs. One is compiled at a time: of many senders at once the others wait for the first.
#[derive(Debug, Default)]
pub struct CompiledPacks(Mutex<VecDeque<([u8; 32], Outcome)>>);

/// Why a pack did not compile.
struct Failed {
    text: String,
    /// It would fail again.
    is_final: bool,
}

impl CompiledPacks {
    /// A pack with its program.
    ///
    /// # Errors
    /// Why it does not compile.
    pub(super) fn source(&self, files: &[(String, String)]) -> Result<PolicySource, String> {
        let mut files = files.to_vec();
        files.sort();
        let compile = |files: &[(String, String)]| match holdfast_cedar::compile_pack(files) {
            Ok(pack) => Ok(pack.program.to_bytes()),
            Err(error) => {
                let is_final =
                    error.problems.iter().all(|problem| problem.code != holdfast_cedar::COMPILER_FAILED);
                Err(Failed { text: error.to_string(), is_final })
            }
        };
        let (hash, program) = self.outcome(&files, compile);
        Ok(PolicySource { hash, files, program: program?, compiler: Some(holdfast_cedar::COMPILER) })
    }

    fn outcome(
        &self,
        files: &[(String, String)],
        compile: impl FnOnce(&[(String, String)]) -> Result<Vec<u8>, Failed>,
    ) -> ([u8; 32], Outcome) {
        let hash = pack_hash(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        // Whoever fails while he holds this has changed nothing.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = last.iter().position(|(known, _)| *known == hash)
            && let Some(known) = last.remove(place)
        {
            let outcome = known.1.clone();
            last.push_back(known);
            return (hash, outcome);
        }
        let outcome = match compile(files) {
            Ok(program) => Ok(program),
            Err(failed) if failed.is_final => Err(failed.text),
            Err(failed) => return (hash, Err(failed.text)),
        };
        if last.len() >= REMEMBERED_MAX {
            last.pop_front();
        }
        last.push_back((hash, outcome.clone()));
        (hash, outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(number: usize) -> Vec<(String, String)> {
        vec![(
            "all.cedar".to_owned(),
            format!("// {number}\n@id(\"all\") permit (principal, action, resource);"),
        )]
    }

    #[test]
    fn a_pack_that_is_sent_again_and_again_is_compiled_once() {
        let (packs, mut compiled) = (CompiledPacks::default(), 0);
        for _ in 0..1_000 {
            for number in 0..REMEMBERED_MAX {
                let (_, outcome) = packs.outcome(&pack(number), |_| {
                    compiled += 1;
                    if number == 3 {
                        return Err(Failed { text: "no".to_owned(), is_final: true });
                    }
                    Ok(vec![number as u8])
                });
                assert_eq!(outcome, if number == 3 { Err("no".to_owned()) } else { Ok(vec![number as u8]) });
            }
        }
        assert_eq!(compiled, REMEMBERED_MAX, "those that fail too");
        for number in 1_000..2_000 {
            packs.outcome(&pack(number), |_| Ok(Vec::new())).1.unwrap();
        }
        assert_eq!(packs.0.lock().unwrap().len(), REMEMBERED_MAX, "and no more are remembered");
    }

    #[test]
    fn what_failed_for_want_of_a_thread_is_tried_again() {
        let packs = CompiledPacks::default();
        let fails = |_: &[(String, String)]| Err(Failed { text: "no thread".to_owned(), is_final: false });
        assert!(packs.outcome(&pack(1), fails).1.is_err());
        assert_eq!(packs.outcome(&pack(1), |_| Ok(vec![7])).1, Ok(vec![7]));
    }

    #[test]
    fn what_is_remembered_is_what_compiles() {
        let packs = CompiledPacks::default();
        let first = packs.source(&pack(1)).unwrap();
        let compiled = holdfast_cedar::compile_pack(&pack(1)).unwrap();
        assert_eq!((first.hash, &first.program), (compiled.hash, &compiled.program.to_bytes()));
        assert_eq!(packs.source(&pack(1)).unwrap(), first);
        let broken = vec![("all.cedar".to_owned(), "permit (".to_owned())];
        assert_eq!(packs.source(&broken).unwrap_err(), packs.source(&broken).unwrap_err());
    }
}
