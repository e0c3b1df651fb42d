//! A pack: the texts of its policies, checked and compiled.

use cedar_policy::pst::{Policy as CedarPolicy, Template};
use cedar_policy::{Policy as Parsed, PolicyId, PolicySet, ValidationMode, Validator};
use holdfast_policy::pack::pack_hash;
use holdfast_policy::program::POLICIES_MAX;
use holdfast_policy::{Policy, PolicyMeta, Program};

use crate::load::INVARIANTS_FILE;
use crate::problem::{PackError, Problem};
use crate::scan::{Statement, statements};
use crate::{compile, lint, schema, suggest, tighter};

/// The most files of a pack.
pub const FILES_MAX: usize = 256;
/// The most bytes of a file.
pub const FILE_BYTES_MAX: usize = 256 * 1024;
/// The most bytes of a pack.
pub const PACK_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The longest name of a file.
pub const FILE_NAME_MAX: usize = 64;
/// The stack of the compiling thread: Cedar recurses as deep as the text nests, 4,000 levels in a statement of the largest
/// size, and takes about 24 KB a level when it is not optimised. It is address space: only what is used is memory.
pub(crate) const STACK: usize = 256 << 20;

/// What to do about a condition that is too large or, where Cedar looked away, ill-typed.
const SIMPLER: &str = "split the policy, or simplify its condition";

/// A pack that was accepted.
#[derive(Clone, Debug)]
pub struct CompiledPack {
    /// What decides.
    pub program: Program,
    /// What names the pack: `holdfast_policy::pack::pack_hash` over its files.
    pub hash: [u8; 32],
    /// The files, sorted by name, as they were given.
    pub files: Vec<(String, String)>,
}

/// The version of the compiler. Packs compile to the same bytes for as long as it stays: records carry it, so that whoever
/// compiles a pack again knows whether another program is another compiler's or nobody's.
pub const COMPILER: u32 = 1;
/// The code of a failure that says nothing of the pack.
pub const COMPILER_FAILED: &str = "policy_compiler_failed";

/// Parses, lints, validates and compiles the files of a pack: `(name, text)`, in any order.
///
/// It is all or nothing, and whatever is wrong is reported at once: [`PackError::problems`].
pub fn compile_pack(files: &[(String, String)]) -> Result<CompiledPack, PackError> {
    with_stack(|| compile_here(files)).map_err(suggest::complete)
}

/// Runs the work on a thread whose stack suffices for what [`crate::scan`] lets through.
pub(crate) fn with_stack<T: Send>(
    work: impl FnOnce() -> Result<T, PackError> + Send,
) -> Result<T, PackError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("policy".to_owned()).stack_size(STACK);
        match thread.spawn_scoped(scope, work) {
            Ok(running) => running.join().unwrap_or_else(|_| {
                let message = "the policy compiler failed on this pack: nothing was changed";
                Err(Problem::of_pack(COMPILER_FAILED, message).into())
            }),
            Err(error) => {
                let message = format!("no thread to compile on ({error}): try again");
                Err(Problem::of_pack(COMPILER_FAILED, message).into())
            }
        }
    })
}

fn compile_here(files: &[(String, String)]) -> Result<CompiledPack, PackError> {
    check_sizes(files)?;
    let mut files = files.to_vec();
    files.sort();
    let hash = pack_hash(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let validator = schema::validator()?;
    let (mut problems, mut policies, mut ids) = (Vec::new(), Vec::new(), std::collections::BTreeMap::new());
    for (name, text) in &files {
        let source = (name.as_str(), text.as_str());
        let parsed = match parse(source) {
            Ok(parsed) => parsed,
            Err(mut found) => {
                problems.append(&mut found);
                continue;
            }
        };
        for one in &parsed {
            let id = one.id();
            let at = |code, message, help| {
                Problem::at(code, source, (one.place.offset, first_line(text, one.place)), message)
                    .help(help)
                    .policy(id)
            };
            if let Some(id) = id
                && let Some(elsewhere) = ids.insert(id.to_owned(), name.clone())
            {
                let message = format!("two policies have the id {id:?}, the other in {elsewhere}");
                problems.push(at(
                    "policy_id_duplicate",
                    message,
                    "give each policy an id of its own".to_owned(),
                ));
            }
            let effect = lint::effect(&one.body);
            let condition = compile::policy(&one.body);
            let movable = one.body.annotations.get(tighter::NAME).filter(|_| one.is_forbid());
            if let (Ok((_, condition)), Some(annotation)) = (&condition, movable) {
                for (code, message, help) in tighter::check(annotation.as_str(), condition) {
                    problems.push(at(code, message, help));
                }
            }
            match (effect, condition) {
                (Ok(effect), Ok((actions, condition))) => {
                    let meta = PolicyMeta { id: id.unwrap_or_default().into(), effect, actions };
                    let policy = Policy { meta, condition };
                    // The program is checked as a whole below; alone, so that the author is told which line it is.
                    match Program::new(hash, vec![policy.clone()]) {
                        Ok(_) => policies.push(policy),
                        Err(error) => problems.push(at(error.code(), error.to_string(), SIMPLER.to_owned())),
                    }
                }
                (effect, condition) => {
                    for (code, message, help) in effect.err().into_iter().flatten() {
                        problems.push(at(code, message, help));
                    }
                    if let Err(refusal) = condition {
                        problems.push(at("policy_not_compilable", refusal.message, refusal.help));
                    }
                }
            }
        }
        problems.append(&mut validate(validator, source, parsed));
    }
    prefer_types(&mut problems);
    PackError::unless_empty(problems)?;
    if policies.is_empty() {
        return Err(Problem::of_pack("pack_empty", "the pack has no policies")
            .help("without a permit everything is denied; write at least one")
            .into());
    }
    let program =
        Program::new(hash, policies).map_err(|error| Problem::of_pack(error.code(), error.to_string()))?;
    Ok(CompiledPack { program, hash, files })
}

/// A policy that Cedar accepts as text.
pub(crate) struct ParsedPolicy {
    pub(crate) policy: Parsed,
    pub(crate) body: Template,
    pub(crate) place: Statement,
}

impl ParsedPolicy {
    fn is_forbid(&self) -> bool {
        self.policy.effect() == cedar_policy::Effect::Forbid
    }

    /// The policy's own name.
    pub(crate) fn id(&self) -> Option<&str> {
        self.body.annotations.get("id").map(|id| id.as_str()).filter(|id| !id.is_empty())
    }
}

fn check_sizes(files: &[(String, String)]) -> Result<(), PackError> {
    let mut problems = Vec::new();
    if files.len() > FILES_MAX {
        problems.push(Problem::of_pack("pack_too_large", format!("more than {FILES_MAX} files in one pack")));
    }
    let bytes = files.iter().fold(0usize, |sum, (_, text)| sum.saturating_add(text.len()));
    if bytes > PACK_BYTES_MAX {
        problems.push(Problem::of_pack(
            "pack_too_large",
            format!("the pack has more than {PACK_BYTES_MAX} bytes"),
        ));
    }
    let mut names = std::collections::BTreeSet::new();
    for (name, text) in files {
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        let shown: String = name.chars().take(FILE_NAME_MAX).collect();
        if !plain || name.len() > FILE_NAME_MAX || name.starts_with('.') || !name.ends_with(".cedar") {
            let message = format!("{shown:?} is not the name of a policy file");
            let help =
                format!("letters, digits, '-' and '_', then .cedar, at most {FILE_NAME_MAX} characters");
            problems.push(Problem::of_pack("file_name_invalid", message).help(help));
        }
        if name == INVARIANTS_FILE {
            // Beside a pack it is no part of it, and whoever reviews a directory would not look for a permit there.
            let message = format!("{INVARIANTS_FILE} lies beside a pack, and is no part of it");
            problems.push(Problem::of_pack("file_name_invalid", message).help("rename it"));
        }
        if !names.insert(name) {
            problems.push(Problem::of_pack("file_name_duplicate", format!("two files are named {shown:?}")));
        }
        if text.len() > FILE_BYTES_MAX {
            let message = format!("the file has more than {FILE_BYTES_MAX} bytes");
            problems.push(Problem::of_file("file_too_large", &shown, message));
        }
    }
    // Counted before anything is parsed, so that far too many are refused at once.
    let counted = files.iter().map(|(name, text)| statements(name, text).map_or(0, |found| found.len()));
    let policies = counted.fold(0usize, usize::saturating_add);
    if policies > POLICIES_MAX {
        let message = format!("{policies} policies in one pack, and {POLICIES_MAX} at most");
        problems.push(Problem::of_pack("too_many_policies", message));
    }
    PackError::unless_empty(problems)
}

/// Parses a file; its policies in the order of the text.
pub(crate) fn parse(source: (&str, &str)) -> Result<Vec<ParsedPolicy>, Vec<Problem>> {
    let (name, text) = source;
    let places = statements(name, text).map_err(|error| error.problems)?;
    if places.len() > POLICIES_MAX {
        return Err(vec![Problem::of_file(
            "too_many_policies",
            name,
            format!("more than {POLICIES_MAX} policies"),
        )]);
    }
    let set: PolicySet = text.parse().map_err(|errors: cedar_policy::ParseErrors| {
        errors.iter().map(|error| Problem::of_cedar("policy_syntax", source, error)).collect::<Vec<_>>()
    })?;
    if set.templates().next().is_some() {
        let message = "a template (?principal, ?resource) cannot be compiled";
        return Err(vec![
            Problem::of_file("policy_not_compilable", name, message).help("write plain policies"),
        ]);
    }
    let mut parsed = Vec::with_capacity(places.len());
    for (number, place) in places.into_iter().enumerate() {
        let odd = || {
            vec![Problem::at("policy_syntax", source, (place.offset, 1), "this statement is not one policy")]
        };
        let policy = set.policy(&PolicyId::new(format!("policy{number}"))).ok_or_else(odd)?;
        let body = match policy.to_pst() {
            Ok(CedarPolicy::Static(body)) => body.body().clone(),
            _ => return Err(odd()),
        };
        parsed.push(ParsedPolicy { policy: policy.clone(), body, place });
    }
    if set.num_of_policies() != parsed.len() {
        return Err(vec![Problem::of_file(
            "policy_syntax",
            name,
            "the file's policies could not be told apart",
        )]);
    }
    Ok(parsed)
}

pub(crate) fn first_line(text: &str, place: Statement) -> usize {
    text.get(place.offset..place.offset + place.length).and_then(|s| s.lines().next()).map_or(1, str::len)
}

/// Strict validation against the schema. Cedar's warnings (a policy that can never match, look-alike characters) are
/// refused as well: in a policy that guards money nothing is there by accident.
pub(crate) fn validate(
    validator: &Validator,
    source: (&str, &str),
    parsed: Vec<ParsedPolicy>,
) -> Vec<Problem> {
    let mut set = PolicySet::new();
    let mut named = Vec::new();
    for (number, one) in parsed.into_iter().enumerate() {
        // The number makes ids unique here; that they are unique in the pack is checked, and said, elsewhere.
        let cedar_id = match one.id() {
            Some(id) => format!("{id}#{number}"),
            None => format!("#{number}"),
        };
        named.push((format!("for policy `{cedar_id}`"), cedar_id.clone(), one.id().map(str::to_owned)));
        if let Err(error) = set.add(one.policy.new_id(PolicyId::new(cedar_id))) {
            return vec![Problem::of_file("policy_syntax", source.0, error.to_string())];
        }
    }
    let result = validator.validate(&set, ValidationMode::Strict);
    let errors = result
        .validation_errors()
        .map(|e| ("policy_type", e.policy_id().to_string(), e as &dyn miette::Diagnostic));
    let warnings = result
        .validation_warnings()
        .map(|w| ("policy_suspicious", w.policy_id().to_string(), w as &dyn miette::Diagnostic));
    let told = errors.chain(warnings).map(|(code, cedar_id, diagnostic)| {
        let mut problem = Problem::of_cedar(code, source, diagnostic);
        if let Some((lead, _, id)) = named.iter().find(|(_, known, _)| *known == cedar_id) {
            if let Some(rest) = problem.message.strip_prefix(lead.as_str()) {
                problem.message = rest.trim_start_matches([',', ':', ' ']).to_owned();
            }
            if let Some(rest) = problem.help.as_deref().and_then(|help| help.strip_prefix(lead.as_str())) {
                problem.help = Some(rest.trim_start_matches([',', ':', ' ']).to_owned());
            }
            problem.policy = id.clone();
        }
        problem
    });
    told.collect()
}

/// Where the validator has told what is wrong with a fact's name or type, that it cannot be compiled is no news.
fn prefer_types(problems: &mut Vec<Problem>) {
    let typed: Vec<(String, Option<String>)> = problems
        .iter()
        .filter(|problem| problem.code == "policy_type")
        .map(|problem| (problem.file.clone(), problem.policy.clone()))
        .collect();
    problems.retain(|problem| {
        let unknown = problem.code == "policy_not_compilable"
            && problem.message.starts_with("a fact that does not exist");
        let ill_typed = problem.code == "policy_condition_invalid";
        !(unknown || ill_typed)
            || !typed.iter().any(|(file, policy)| *file == problem.file && *policy == problem.policy)
    });
}
