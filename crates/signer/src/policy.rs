//! Under which policy Holdfast may release: the one that is pinned, and from there on only along steps that operators
//! signed. By the signer's own clock, pins and store; everything is changed in the caller's one transaction.
//!
//! A step is taken in when Holdfast sends it, and followed when the first release under its policy comes. What was followed
//! is never followed again, nor is another step from the same policy: going back takes a step of its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use holdfast_authn::encoding;
use holdfast_authn::release::{PolicyStep, SignedAct, verify_act};
use holdfast_values::pack::pack_hash;
use holdfast_values::texts::OperatorText;
use holdfast_values::{Micros, Name, Timestamp, tightening, time};

use crate::acts::APPROVAL_GRACE;
use crate::pins::{Pins, Policy};
use crate::refused::Refused;
use crate::store::hex;
use crate::store::policy::{Beginning, Followed, PolicyLink, StepKind};
use crate::store::records::Records;

/// How long after a base was left two operators may go back to it.
pub const RESTORE: Micros = 72 * time::HOUR;
/// How many operators go back.
const RESTORE_SIGNATURES: usize = 2;
/// Most steps of several operators that wait to be followed.
pub const OPEN_MAX: usize = 64;
/// Most steps by which one operator tightens that are taken in within [`PLACE`] and wait: none can keep the others from it.
pub const OPEN_PER_OPERATOR_MAX: usize = 16;
/// After how long a tightening that waits gives its place back: it still counts, and another may come after it. Otherwise
/// Holdfast, which is past it, could release nothing more: the step that is missing would never be taken.
pub const PLACE: Micros = time::DAY;
/// Most steps by which one operator tightens that wait, whatever their age.
pub const WAITING_PER_OPERATOR_MAX: usize = 64;
/// How much of the past is listed.
const LISTED_MAX: u32 = 256;

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduced {
    /// The policy that begins.
    pub to: [u8; 32],
    /// When this signer saw the step first.
    pub seen: Timestamp,
    /// From when on it counts.
    pub counts_from: Timestamp,
    /// It was stopped: it never counts.
    pub stopped: bool,
    /// It was known before.
    pub repeated: bool,
}

impl Introduced {
    fn of(link: &PolicyLink, repeated: bool) -> Self {
        Self {
            to: link.to,
            seen: link.seen,
            counts_from: link.counts_from,
            stopped: link.stopped.is_some(),
            repeated,
        }
    }
}

/// The path so far, and the steps that lead on; the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyStatus {
    /// What was followed.
    pub path: Vec<Followed>,
    /// The steps.
    pub links: Vec<PolicyLink>,
}

/// What a text about the policy says.
struct Move {
    kind: StepKind,
    from: [u8; 32],
    to: [u8; 32],
    author: Option<Name>,
}

/// Starts the path where nothing is recorded, or another beginning is pinned: whoever writes the pinned file says so.
pub(crate) fn begin(pins: &Pins, records: &Records<'_>, now: Timestamp) -> Result<Policy, Refused> {
    let policy = pins.policy.ok_or(Refused::PolicyUnpinned)?;
    let before = records.policy_beginning()?;
    let begun = before.begun.unwrap_or(now);
    if before.initial == Some(policy.initial) && before.begun.is_some() {
        return Ok(policy);
    }
    if before.initial != Some(policy.initial) {
        if let Some(current) = records.policy()? {
            records.spend_policy_links_from(&current.hash, now)?;
        }
        records.follow_policy(&policy.initial, true, now)?;
    }
    records.set_policy_beginning(Beginning { initial: Some(policy.initial), begun: Some(begun) })?;
    Ok(policy)
}

/// Takes a step in, or says why not: the same for the same step each time.
pub(crate) fn introduce(
    pins: &Pins,
    records: &Records<'_>,
    step: &PolicyStep,
    now: Timestamp,
) -> Result<Introduced, Refused> {
    let policy = begin(pins, records, now)?;
    let text = OperatorText::parse(step.act.text.as_bytes()).map_err(Refused::ActMalformed)?;
    let Move { kind, from, to, author } = read(pins, &text)?;
    if let Some(known) = records.policy_link(&text.nonce.0)? {
        if records.policy_text(&text.nonce.0)?.as_deref() != Some(step.act.text.as_str()) {
            return Err(Refused::ActUsed);
        }
        let stopped = known.stopped.or(step.stopped.then_some(now));
        if step.stopped {
            records.stop_policy_link(&known.nonce, now)?;
        }
        return Ok(Introduced::of(&PolicyLink { stopped, ..known }, true));
    }
    let signer = match kind {
        StepKind::Approved => approved(pins, step, (&from, &to), author.as_ref())?,
        StepKind::Tightened => tightened(pins, step, (&from, &to))?,
        StepKind::Restored => first(&verify_act(&step.act, &pins.operators), RESTORE_SIGNATURES)?,
    };
    let counts_from = match kind {
        StepKind::Approved if !setting_up(records, policy, now)? => now.plus(policy.delay),
        _ => now,
    };
    let stopped = step.stopped.then_some(now);
    if stopped.is_none() {
        let begun = text.window.not_before().timestamp() <= now;
        if !begun || now > text.window.not_after().timestamp().plus(APPROVAL_GRACE) {
            return Err(Refused::ActNotNow);
        }
        check_room(records, kind, &signer, now)?;
    } else if kind == StepKind::Tightened {
        // It is made at once: there is nothing to stop.
        return Err(Refused::PolicyStepDiffers { field: "stopped" });
    }
    let nonce = text.nonce.0;
    let link =
        PolicyLink { nonce, kind, from, to, author, signer, seen: now, counts_from, stopped, spent: None };
    records.add_policy_link(&link, &step.act.text)?;
    Ok(Introduced::of(&link, false))
}

/// A step never counts. Needs no signature, as halting needs none.
pub(crate) fn stop(records: &Records<'_>, nonce: &[u8; 32], now: Timestamp) -> Result<(), Refused> {
    match records.policy_link(nonce)? {
        None => Err(Refused::PolicyStepUnknown),
        Some(_) => Ok(records.stop_policy_link(nonce, now)?),
    }
}

/// The path so far, and the steps.
pub(crate) fn status(records: &Records<'_>) -> Result<PolicyStatus, Refused> {
    Ok(PolicyStatus { path: records.policy_path(LISTED_MAX)?, links: records.policy_links(LISTED_MAX)? })
}

/// Whether a release may be under this policy; follows the steps that lead to it.
pub(crate) fn follow(
    pins: &Pins,
    records: &Records<'_>,
    policy: &[u8; 32],
    now: Timestamp,
) -> Result<(), Refused> {
    begin(pins, records, now)?;
    let current = records.policy()?.ok_or(Refused::PolicyUnpinned)?.hash;
    let open = records.open_policy_links()?;
    if current == *policy {
        return spend_circles(records, &open, &current, now);
    }
    let mut counting = Vec::with_capacity(open.len());
    for link in &open {
        if link.counts_from <= now && (link.kind != StepKind::Restored || restorable(records, link, now)?) {
            counting.push(link);
        }
    }
    let Some(path) = path(&counting, &current, policy) else {
        return Err(refusal(records, &open, (&current, policy), now)?);
    };
    for link in path {
        // Whatever else led on from there was meant for a policy that is left now.
        records.spend_policy_links_from(&link.from, now)?;
        records.follow_policy(&link.to, link.kind != StepKind::Tightened, now)?;
    }
    Ok(())
}

/// Steps that lead away from the policy that counts and back to it are behind Holdfast: they are not taken again.
fn spend_circles(
    records: &Records<'_>,
    open: &[PolicyLink],
    current: &[u8; 32],
    now: Timestamp,
) -> Result<(), Refused> {
    let mut counting = Vec::with_capacity(open.len());
    for link in open {
        let back = link.kind != StepKind::Restored || link.to == *current || restorable(records, link, now)?;
        if link.counts_from <= now && back {
            counting.push(link);
        }
    }
    let ahead = reached(current, &counting, |link| (&link.from, &link.to));
    let behind = reached(current, &counting, |link| (&link.to, &link.from));
    for link in counting {
        if ahead.contains(&link.from) && behind.contains(&link.to) {
            records.spend_policy_link(&link.nonce, now)?;
        }
    }
    Ok(())
}

/// Every policy that steps lead to, its own included.
fn reached<'a>(
    start: &'a [u8; 32],
    links: &[&'a PolicyLink],
    ends: impl Fn(&'a PolicyLink) -> (&'a [u8; 32], &'a [u8; 32]),
) -> BTreeSet<&'a [u8; 32]> {
    let (mut seen, mut queue) = (BTreeSet::from([start]), VecDeque::from([start]));
    while let Some(at) = queue.pop_front() {
        for link in links {
            let (from, to) = ends(link);
            if from == at && seen.insert(to) {
                queue.push_back(to);
            }
        }
    }
    seen
}

/// The shortest way, in the order of its steps.
fn path<'a>(links: &[&'a PolicyLink], from: &[u8; 32], to: &[u8; 32]) -> Option<Vec<&'a PolicyLink>> {
    let (mut came, mut queue) = (BTreeMap::<[u8; 32], &PolicyLink>::new(), VecDeque::from([*from]));
    while let Some(at) = queue.pop_front() {
        for link in links.iter().filter(|link| link.from == at && link.to != *from) {
            if let std::collections::btree_map::Entry::Vacant(new) = came.entry(link.to) {
                new.insert(link);
                queue.push_back(link.to);
            }
        }
    }
    let mut path = Vec::new();
    let mut at = *to;
    while at != *from {
        let link = came.get(&at)?;
        path.push(*link);
        at = link.from;
    }
    path.reverse();
    Some(path)
}

/// Whether the base of this step was left recently enough when the step was seen, or since.
fn restorable(records: &Records<'_>, link: &PolicyLink, now: Timestamp) -> Result<bool, Refused> {
    Ok(records.base_left(&link.to)?.is_some_and(|left| {
        let until = if link.seen >= left { link.seen } else { now };
        until.since(left) <= RESTORE
    }))
}

/// Why no steps lead there.
fn refusal(
    records: &Records<'_>,
    open: &[PolicyLink],
    (current, policy): (&[u8; 32], &[u8; 32]),
    now: Timestamp,
) -> Result<Refused, Refused> {
    let known = records.policy_links(LISTED_MAX)?;
    let mut links = Vec::with_capacity(open.len());
    for link in open {
        if link.kind != StepKind::Restored || restorable(records, link, now)? {
            links.push(link);
        }
    }
    if let Some(path) = path(&links, current, policy) {
        let from = path.iter().map(|link| link.counts_from).max().unwrap_or(now);
        return Ok(Refused::PolicyTooYoung { from });
    }
    links.extend(known.iter().filter(|link| link.stopped.is_some() && link.spent.is_none()));
    if path(&links, current, policy).is_some() {
        return Ok(Refused::PolicyStopped);
    }
    if records.policy_was_followed(policy)? {
        return Ok(Refused::PolicySuperseded);
    }
    Ok(Refused::PolicyNotApproved { policy: hex(policy) })
}

fn setting_up(records: &Records<'_>, policy: Policy, now: Timestamp) -> Result<bool, Refused> {
    Ok(records.policy_beginning()?.begun.is_some_and(|begun| now < begun.plus(policy.setup)))
}

fn check_room(records: &Records<'_>, kind: StepKind, signer: &Name, now: Timestamp) -> Result<(), Refused> {
    let open = records.open_policy_links()?;
    let within =
        |taken: usize, max| if taken >= max { Err(Refused::PolicyStepsMany { max }) } else { Ok(()) };
    if kind != StepKind::Tightened {
        let shared = open.iter().filter(|link| link.kind != StepKind::Tightened);
        return within(shared.count(), OPEN_MAX);
    }
    let own = open.iter().filter(|link| link.kind == StepKind::Tightened && link.signer == *signer);
    within(own.clone().count(), WAITING_PER_OPERATOR_MAX)?;
    within(own.filter(|link| now.since(link.seen) < PLACE).count(), OPEN_PER_OPERATOR_MAX)
}

/// What a text asks, in exactly one spelling.
fn read(pins: &Pins, text: &OperatorText) -> Result<Move, Refused> {
    let differs = |field| Refused::PolicyStepDiffers { field };
    if text.exchange != pins.exchange {
        return Err(differs("exchange"));
    }
    let kind = match text.act.as_str() {
        "approve_policy" => StepKind::Approved,
        "tighten_policy" => StepKind::Tightened,
        "restore_policy" => StepKind::Restored,
        _ => return Err(differs("act")),
    };
    let to = hash(text.target.as_str()).ok_or_else(|| differs("target"))?;
    let detail = text.detail.as_str().strip_prefix("from=");
    let (from, author) = match (kind, detail.and_then(|detail| detail.split_once(" author="))) {
        (StepKind::Approved, Some((from, author))) => (Some(from), author.parse().ok()),
        (StepKind::Tightened | StepKind::Restored, None) => (detail, None),
        _ => (None, None),
    };
    let from = from.and_then(hash).filter(|from| *from != to).ok_or_else(|| differs("detail"))?;
    if (kind == StepKind::Approved) != author.is_some() {
        return Err(differs("detail"));
    }
    if (kind == StepKind::Tightened) != text.payload.is_some() {
        return Err(differs("payload"));
    }
    Ok(Move { kind, from, to, author })
}

/// 64 digits in lower case.
fn hash(text: &str) -> Option<[u8; 32]> {
    encoding::hex::<32>(text.as_bytes()).filter(|hash| hex(hash) == text)
}

fn first(valid: &[Name], needed: usize) -> Result<Name, Refused> {
    match valid.first() {
        Some(first) if valid.len() >= needed => Ok(first.clone()),
        _ => Err(Refused::SignaturesMissing { needed, valid: valid.len() }),
    }
}

/// The threshold of operators, and none of them the author: who that is, the author's own proposal says.
fn approved(
    pins: &Pins,
    step: &PolicyStep,
    (from, to): (&[u8; 32], &[u8; 32]),
    author: Option<&Name>,
) -> Result<Name, Refused> {
    let differs = |field| Refused::PolicyProposalDiffers { field };
    let (Some(author), Some(SignedAct { text, .. })) = (author, &step.proposal) else {
        return Err(differs("text"));
    };
    let proposal = OperatorText::parse(text.as_bytes()).map_err(Refused::ActMalformed)?;
    let other = [
        ("exchange", proposal.exchange != pins.exchange),
        ("act", proposal.act.as_str() != "propose_policy"),
        ("target", proposal.target.as_str() != hex(to)),
        ("detail", proposal.detail.as_str() != format!("from={}", hex(from))),
        ("payload", proposal.payload.is_none()),
    ];
    if let Some((field, _)) = other.into_iter().find(|(_, differs)| *differs) {
        return Err(differs(field));
    }
    let proposers = step.proposal.as_ref().map(|signed| verify_act(signed, &pins.operators));
    if !proposers.is_some_and(|proposers| proposers.contains(author)) {
        return Err(differs("author"));
    }
    let mut valid = verify_act(&step.act, &pins.operators);
    valid.retain(|name| name != author);
    first(&valid, pins.threshold)
}

/// One operator; that it tightens is seen from the packs themselves.
fn tightened(pins: &Pins, step: &PolicyStep, (from, to): (&[u8; 32], &[u8; 32])) -> Result<Name, Refused> {
    let signer = first(&verify_act(&step.act, &pins.operators), 1)?;
    for (files, wanted, field) in [(&step.from_files, from, "files before"), (&step.files, to, "files")] {
        if pack_hash(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))) != *wanted {
            return Err(Refused::PolicyStepDiffers { field });
        }
    }
    tightening::check(&step.from_files, &step.files)
        .map_err(|loosens| Refused::PolicyLoosens(Box::new(loosens)))?;
    Ok(signer)
}
