//! What changes the rules of the house, decided: which acts wait and for how long, who may propose, approve, tighten, restore
//! and stop, and what becomes of an act when its time has come.
//!
//! All of it from rules version 3 on; before, everything that enough operators signed took effect at once.

use holdfast_values::{AccountId, Micros, Name, Timestamp, pack_hash, tightening};

use crate::acts::{Act, Digest, PolicyProposal, REASON_BYTES_MAX, REPORT_BYTES_MAX, Required, Waits};
use crate::configuration::{Configuration, only_tightens};
use crate::event::{Event, Events};
use crate::governance::{
    Governance, PROPOSALS_BYTES_MAX, PROPOSALS_MAX, PROPOSALS_OF_ONE_MAX, PolicyMove, PolicyMoveKind,
    ProposalEnd, ProposalOpened, RESTORE_SPAN, SCHEDULED_MAX, ScheduledAct, Turn, WaitingAct, proposal_bytes,
};
use crate::operate::{Signed, count_signatures, perform as perform_act};
use crate::reason::Refusal;
use crate::refuse::{Answer, Refused, check_policy};
use crate::state::State;
use crate::subject::{OperatorKey, OperatorSignature, PolicySource, Scope};

/// What an act needs as things stand: how many signatures, and how long it waits.
pub(crate) struct Terms {
    pub(crate) required: Required,
    pub(crate) delay: Micros,
}

/// Whether an act is one of these rules, and what it needs.
pub(crate) fn terms(state: &State, at: Timestamp, act: &Act) -> Result<Terms, Refused> {
    let is_governed = state.rules() >= crate::RULES_GOVERNED;
    let of_policy = matches!(
        act,
        Act::ProposePolicy(_)
            | Act::ApprovePolicy { .. }
            | Act::TightenPolicy(_)
            | Act::RestorePolicy { .. }
            | Act::StopAct(_)
    );
    if !is_governed {
        return if of_policy {
            Err(Refusal::RulesTooOld.into())
        } else {
            Ok(Terms { required: act.required(), delay: 0 })
        };
    }
    if matches!(act, Act::ActivatePolicy(_)) {
        return Err(Refusal::ActReplaced.into());
    }
    let parameters = &state.configuration().parameters;
    let delay = match act.waits() {
        Waits::No => 0,
        Waits::Resume => parameters.resume_delay(),
        Waits::Loosening => parameters.loosening_delay(),
    };
    let delay = if state.setup_until(at).is_some() { 0 } else { delay };
    let terms = Terms { required: act.required(), delay };
    Ok(match act {
        Act::Configure(new) => configure_terms(state, at, new, terms),
        Act::RevokeOperator(name) => {
            let needed = state.configuration().parameters.loosening_signatures.max(2);
            let (all, rest) = (counting(state, at, |_| true), counting(state, at, |known| known != name));
            // One who revokes alone must not become one without whom nothing goes: whoever holds a single stolen key would
            // revoke the others down to where he cannot be revoked himself. Who does not count yet is missed by nobody.
            let is_spared = has_spare(rest, needed) || (rest == all && rest > needed);
            Terms { required: if is_spared { Required::One } else { Required::Several }, ..terms }
        }
        Act::SetLimits { account, usd_cents_24h, usd_cents_30d } => {
            let known = state.account(account);
            let is_lower = known.is_some_and(|known| {
                let (day, month) = known.limits(state.configuration());
                // An account that gives up its own limit follows its tier, wherever that goes.
                let lowers =
                    |new: Option<_>, own: Option<_>, now| new.map_or(own.is_none(), |new| new <= now);
                lowers(*usd_cents_24h, known.usd_cents_24h, day)
                    && lowers(*usd_cents_30d, known.usd_cents_30d, month)
            });
            if is_lower { Terms { required: Required::One, delay: 0 } } else { terms }
        }
        _ => terms,
    })
}

fn configure_terms(state: &State, at: Timestamp, new: &Configuration, terms: Terms) -> Terms {
    let left = state.governance.as_ref().and_then(|governance| governance.configuration_left.as_deref());
    let is_undone =
        left.is_some_and(|left| left.configuration == *new && at.since(left.left) <= RESTORE_SPAN);
    let is_tighter = only_tightens(state.configuration(), new).is_ok();
    if is_tighter && !locks_out(state, at, new) {
        Terms { required: Required::One, delay: 0 }
    } else if is_tighter || is_undone {
        // As with policies: what the quorum approved comes back by several, and at once.
        Terms { required: terms.required, delay: 0 }
    } else {
        terms
    }
}

/// How many more operators must count than loosening takes, after what one did alone: himself, who may be hostile, and
/// one of the others, who may have lost his key.
const SPARE: u32 = 2;

/// True if the others can undo what one operator did alone, also if one of them cannot be reached.
const fn has_spare(counting: u32, needed: u32) -> bool {
    counting >= needed.saturating_add(SPARE)
}

/// True if what one operator alone configures takes a hand more to undo, or leaves a hand less to do so, than the others
/// can spare.
fn locks_out(state: &State, at: Timestamp, new: &Configuration) -> bool {
    let (old, new) = (&state.configuration().parameters, &new.parameters);
    let (before, after) = (counting(state, at, |_| true), aged(state, at, new.operator_ageing, |_| true));
    let is_harder = new.loosening_signatures > old.loosening_signatures || after < before;
    is_harder && !has_spare(after, new.loosening_signatures)
}

/// How many of these operators count.
fn counting(state: &State, at: Timestamp, is_meant: impl Fn(&Name) -> bool) -> u32 {
    aged(state, at, state.configuration().parameters.operator_ageing, is_meant)
}

fn aged(state: &State, at: Timestamp, ageing: Micros, is_meant: impl Fn(&Name) -> bool) -> u32 {
    let aged = state.operators().filter(|(name, operator)| {
        let is_aged = operator.is_founder || state.steady.age(operator.enrolled_at, at) >= ageing;
        is_aged && is_meant(name)
    });
    u32::try_from(aged.count()).unwrap_or(u32::MAX)
}

/// How many signatures count, if they are enough.
pub(crate) fn enough(
    state: &State,
    at: Timestamp,
    signed: &Signed<'_>,
    required: Required,
) -> Result<u32, Refused> {
    let needed = match required {
        Required::One => 1,
        Required::Two => 2,
        Required::Several => state.configuration().parameters.loosening_signatures.max(2),
    };
    let keys = signed.signatures.iter().map(|signature| &signature.operator);
    let signers = match author_of(state, signed.act) {
        Some((author, key)) => {
            // His other name is still his hand.
            let is_authors = |known: &&OperatorKey| {
                known.name == *author || key.is_some_and(|key| key.public_key == known.public_key)
            };
            count_signatures(state, at, keys.filter(|known| !is_authors(known)))
        }
        None => count_signatures(state, at, keys),
    };
    if signers >= needed {
        return Ok(signers);
    }
    let mut detail =
        format!("{signers} of {needed} signatures count: different operators, past their ageing, are needed");
    if let Act::Configure(new) = signed.act
        && state.rules() >= crate::RULES_GOVERNED
    {
        match only_tightens(state.configuration(), new) {
            Err(what) => {
                detail.push_str("; not only tighter: ");
                detail.push_str(&what);
            }
            Ok(()) => detail.push_str("; one alone may not leave the others without a hand to spare"),
        }
    }
    Err(Refused(Refusal::SignaturesInsufficient, detail))
}

/// Whose signature does not count under an approval, and his key, if his proposal is open.
fn author_of<'a>(state: &'a State, act: &'a Act) -> Option<(&'a Name, Option<&'a OperatorKey>)> {
    let Act::ApprovePolicy { hash, from, author } = act else { return None };
    let open = state.governance.as_ref().and_then(|governance| governance.proposal(hash, from, author));
    let key = open.and_then(|open| open.opened.approval.signatures.first());
    Some((author, key.map(|signature| &signature.operator)))
}

/// Puts an act off until its time.
pub(crate) fn schedule(
    state: &State,
    at: Timestamp,
    (nonce, signed): (Digest, &Signed<'_>),
    (operators, delay): (u32, Micros),
    out: &mut Events,
) -> Answer {
    let governance = governance(state)?;
    if governance.scheduled.len() >= SCHEDULED_MAX {
        let detail = format!("at most {SCHEDULED_MAX} acts wait at once: stop one, or wait");
        return Err(Refused(Refusal::TooMany, detail));
    }
    unheld(governance, &nonce)?;
    let (act, approval, due) = (signed.act.clone(), signed.approval(), at.plus(delay));
    out.push(Event::ActScheduled(Box::new(ScheduledAct { nonce, act, approval, operators, due })));
    Ok(())
}

/// A text may be forgotten, and its nonce come again, while what it asked for still waits or is open: that keeps its name.
fn unheld(governance: &Governance, nonce: &Digest) -> Answer {
    let is_held = governance.scheduled.contains_key(nonce) || governance.proposals.contains_key(nonce);
    if is_held { Err(Refusal::TextUsed.into()) } else { Ok(()) }
}

fn governance(state: &State) -> Result<&Governance, Refused> {
    state.governance.as_deref().ok_or_else(|| Refusal::RulesTooOld.into())
}

/// The acts on policies, and the stop.
pub(crate) fn perform(state: &State, at: Timestamp, signed: &Signed<'_>, out: &mut Events) -> Answer {
    let superseded = |from: &[u8; 32]| {
        if *from == state.policy_hash() { Ok(()) } else { Err(Refusal::PolicySuperseded) }
    };
    match signed.act {
        Act::ProposePolicy(proposal) => {
            superseded(&proposal.from)?;
            propose(state, signed, proposal, out)?;
        }
        Act::ApprovePolicy { hash, from, author } => {
            superseded(from)?;
            let open = governance(state)?.proposal(hash, from, author);
            let opened = &open.ok_or(Refusal::ProposalUnknown)?.opened;
            let reason = Some(opened.proposal.reason.clone());
            let because = (PolicyMoveKind::Approved, Some(author.clone()), reason);
            move_policy(state, signed, &opened.proposal.source, because, out);
        }
        Act::TightenPolicy(tighter) => {
            superseded(&tighter.from)?;
            if tighter.source.hash == tighter.from {
                return Err(Refusal::NothingToChange.into());
            }
            check_source(&tighter.source)?;
            tightening::check(&state.policy().files, &tighter.source.files)
                .map_err(|loosens| Refused(Refusal::PolicyNotTighter, loosens.to_string()))?;
            move_policy(state, signed, &tighter.source, (PolicyMoveKind::Tightened, None, None), out);
        }
        Act::RestorePolicy { hash, from } => {
            superseded(from)?;
            let is_meant = |left: &&crate::governance::BaseLeft| {
                left.source.hash == *hash && at.since(left.left) <= RESTORE_SPAN
            };
            let base = governance(state)?.bases.iter().find(is_meant).ok_or(Refusal::BaseUnknown)?;
            move_policy(state, signed, &base.source, (PolicyMoveKind::Restored, None, None), out);
        }
        Act::StopAct(nonce) => {
            let by = signed.signatures.iter().map(|signature| &signature.operator);
            let by = by.filter(|key| count_signatures(state, at, core::iter::once(*key)) > 0);
            let by = by.map(|key| &key.name).next().ok_or(Refusal::SignaturesInsufficient)?;
            stop(state, *nonce, by, out)?;
        }
        _ => {}
    }
    Ok(())
}

/// A pack whose hash is its files', with a program that was compiled from a pack of that hash.
fn check_source(source: &PolicySource) -> Answer {
    let files = source.files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    if pack_hash(files) != source.hash {
        return Err(Refused(Refusal::PolicyInvalid, "the files have another hash".to_owned()));
    }
    check_policy(&source.program, &source.hash)
}

fn propose(state: &State, signed: &Signed<'_>, proposal: &PolicyProposal, out: &mut Events) -> Answer {
    let [OperatorSignature { operator, .. }] = signed.signatures else {
        return Err(Refusal::ProposalInvalid.into());
    };
    let has_words =
        (1..=REASON_BYTES_MAX).contains(&proposal.reason.len()) && proposal.report.len() <= REPORT_BYTES_MAX;
    if proposal.source.hash == proposal.from || !has_words {
        return Err(Refusal::ProposalInvalid.into());
    }
    check_source(&proposal.source)?;
    let governance = governance(state)?;
    let author = &operator.name;
    if governance.proposal(&proposal.source.hash, &proposal.from, author).is_some() {
        return Err(Refusal::ProposalExists.into());
    }
    let open = governance.proposals.values();
    let own = open.clone().filter(|open| open.opened.author == *author).count();
    let bytes = open.map(|open| open.bytes()).fold(proposal_bytes(proposal), usize::saturating_add);
    let full = [
        (governance.proposals.len() >= PROPOSALS_MAX, format!("at most {PROPOSALS_MAX} proposals are open")),
        (
            own >= PROPOSALS_OF_ONE_MAX,
            format!("one author has at most {PROPOSALS_OF_ONE_MAX} open proposals"),
        ),
        (bytes > PROPOSALS_BYTES_MAX, format!("open proposals have at most {PROPOSALS_BYTES_MAX} bytes")),
    ];
    if let Some((_, detail)) = full.into_iter().find(|(is_full, _)| *is_full) {
        return Err(Refused(Refusal::TooMany, format!("{detail}: take one back, or wait")));
    }
    let nonce = nonce_of(signed.text)?;
    unheld(governance, &nonce)?;
    out.push(Event::PolicyProposed(Box::new(ProposalOpened {
        nonce,
        author: author.clone(),
        proposal: proposal.clone(),
        approval: signed.approval(),
    })));
    Ok(())
}

fn nonce_of(text: &str) -> Result<Digest, Refused> {
    let text = holdfast_values::OperatorText::parse(text.as_bytes())
        .map_err(|error| Refused(Refusal::TextDiffers, error.to_string()))?;
    Ok(Digest(text.nonce.0))
}

/// Another policy decides; what was proposed to follow the one before follows nothing any more.
fn move_policy(
    state: &State,
    signed: &Signed<'_>,
    source: &PolicySource,
    (how, author, reason): (PolicyMoveKind, Option<Name>, Option<String>),
    out: &mut Events,
) {
    let (from, hash) = (state.policy_hash(), source.hash);
    let approved = match (&how, &author) {
        (PolicyMoveKind::Approved, Some(author)) => state
            .governance
            .as_ref()
            .and_then(|governance| governance.proposal(&hash, &from, author))
            .map(|open| open.opened.nonce),
        _ => None,
    };
    let approval = signed.approval();
    out.push(Event::PolicyMoved(Box::new(PolicyMove { how, from, hash, approval, author, reason })));
    out.push(Event::PolicyActivated(Box::new(source.clone())));
    for open in state.proposals() {
        let nonce = open.opened.nonce;
        let why = if approved == Some(nonce) { ProposalEnd::Activated } else { ProposalEnd::Superseded };
        out.push(Event::ProposalClosed { nonce, why });
    }
}

/// Stops an act that waits, or takes a proposal back, with what was approved of it.
pub(crate) fn stop(state: &State, nonce: Digest, by: &Name, out: &mut Events) -> Answer {
    let Some(governance) = &state.governance else { return Err(Refusal::ActUnknown.into()) };
    if governance.scheduled.contains_key(&nonce) {
        out.push(Event::ActStopped { nonce, by: by.clone() });
        return Ok(());
    }
    let open = governance.proposals.get(&nonce).ok_or(Refusal::ActUnknown)?;
    let ProposalOpened { author: own, proposal, .. } = &*open.opened;
    out.push(Event::ProposalClosed { nonce, why: ProposalEnd::Withdrawn });
    stop_where(state, by, out, |act| match act {
        Act::ApprovePolicy { hash, from, author } => {
            author == own && *hash == proposal.source.hash && *from == proposal.from
        }
        _ => false,
    });
    Ok(())
}

/// Halts a scope, and stops what would have ended that very halt.
pub(crate) fn halt(state: &State, scope: &Scope, by: &Name, out: &mut Events) {
    if !state.halts.contains(scope) {
        out.push(Event::Halted { scope: scope.clone() });
    }
    stop_where(state, by, out, |act| matches!(act, Act::Resume(meant) if meant == scope));
}

/// An account's limits are set at once: what waits to set them was signed before anybody knew, and does not undo it.
pub(crate) fn supersede_limits(state: &State, account: &AccountId, out: &mut Events) {
    let is_meant = |act: &Act| matches!(act, Act::SetLimits { account: meant, .. } if meant == account);
    for waiting in state.scheduled_acts().filter(|waiting| is_meant(&waiting.scheduled.act)) {
        let nonce = waiting.scheduled.nonce;
        out.push(Event::ActLapsed { nonce, refusal: Refusal::LimitsSuperseded });
    }
}

fn stop_where(state: &State, by: &Name, out: &mut Events, is_meant: impl Fn(&Act) -> bool) {
    for waiting in state.scheduled_acts().filter(|waiting| is_meant(&waiting.scheduled.act)) {
        out.push(Event::ActStopped { nonce: waiting.scheduled.nonce, by: by.clone() });
    }
}

/// Somebody's time has come.
pub(crate) fn take_turn(state: &State, at: Timestamp, turn: Turn, out: &mut Events) {
    let Some(governance) = &state.governance else { return };
    match turn {
        Turn::Proposal(nonce) => out.push(Event::ProposalClosed { nonce, why: ProposalEnd::Expired }),
        Turn::Act(nonce) => {
            let Some(waiting) = governance.scheduled.get(&nonce) else { return };
            let mut effects = Events::new();
            match take_effect(state, at, governance, waiting, &mut effects) {
                Ok(()) => {
                    out.push(Event::ActTookEffect { nonce });
                    out.append(&mut effects);
                }
                Err(Refused(refusal, _)) => out.push(Event::ActLapsed { nonce, refusal }),
            }
        }
    }
}

/// Carries a waiting act out, if it still may be: hands are counted again, and all is checked as it is now.
fn take_effect(
    state: &State,
    at: Timestamp,
    governance: &Governance,
    waiting: &WaitingAct,
    out: &mut Events,
) -> Answer {
    let ScheduledAct { act, approval, .. } = &*waiting.scheduled;
    if matches!(act, Act::Configure(_)) && governance.configured > waiting.sequence {
        // It would undo what was configured since.
        return Err(Refusal::ConfigurationSuperseded.into());
    }
    let (text, signatures) = (approval.text.as_str(), approval.signatures.as_slice());
    // Only a recovery asks when its text begins, and that never waits here.
    let signed = Signed { act, text, signatures, from: waiting.since };
    let signers = enough(state, at, &signed, act.required())?;
    perform_act(state, at, &signed, signers, out)
}
