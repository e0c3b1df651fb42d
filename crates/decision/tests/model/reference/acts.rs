//! Acts of operators in the model: its own reading of the text, its own counting of hands.

use holdfast_decision::acts::Act;
use holdfast_decision::command::{OperatorAct, OperatorKey};
use holdfast_values::{Timestamp, WithdrawalId};

use super::waiting::Waiting;
use super::{Answer, DAY, Model, Spent, Told};

impl Model {
    pub(super) fn act(
        &mut self,
        at: Timestamp,
        sequence: u64,
        signed: &OperatorAct,
        told: &dyn Told,
    ) -> Result<Answer, &'static str> {
        let line = |name: &str| {
            let found = signed.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            found.unwrap_or_default().to_owned()
        };
        let lines = signed.act.lines();
        if (line("act"), line("target"), line("detail")) != (lines.act.to_owned(), lines.target, lines.detail)
        {
            return Err("text_differs");
        }
        if line("exchange") != self.exchange {
            return Err("text_exchange");
        }
        let from = Timestamp::parse(&line("not-before")).unwrap();
        let until = Timestamp::parse(&line("not-after")).unwrap();
        if at < from || at > until || until.since(from) > 7 * DAY {
            return Err("text_not_now");
        }
        let nonce = line("nonce");
        if self.used_nonces.iter().any(|used| used.0 == nonce) {
            return Err("text_used");
        }
        let is_of_policy = matches!(
            lines.act,
            "propose_policy" | "approve_policy" | "tighten_policy" | "restore_policy" | "stop_act"
        );
        if is_of_policy && self.rules < 3 {
            return Err("rules_too_old");
        }
        let keys: Vec<_> = signed.signatures.iter().map(|signature| signature.operator.clone()).collect();
        let (needed, delay) = self.terms(at, &signed.act)?;
        let hands = self.hands_under(at, &signed.act, &keys);
        if hands < needed {
            return Err("signatures_insufficient");
        }
        let nonce_bytes = nonce.parse::<holdfast_values::texts::Nonce>().unwrap().0;
        if delay > 0 {
            self.allows((at, &keys), &signed.act)?;
            if self.waiting.len() >= 64 {
                return Err("too_many");
            }
            if self.holds(&nonce_bytes) {
                return Err("text_used");
            }
            self.used_nonces.push((nonce, until));
            self.keep_proposal(at, &signed.act, delay);
            let (nonce, act) = (nonce_bytes, signed.act.clone());
            self.waiting.push(Waiting { nonce, act, hands: keys, since: at, delay, sequence });
            return Ok(Answer::Done(Vec::new()));
        }
        if matches!(signed.act, Act::ProposePolicy(_)) {
            self.allows((at, &keys), &signed.act)?;
            if self.holds(&nonce_bytes) {
                return Err("text_used");
            }
        }
        let act = (&signed.act, (nonce_bytes, keys.as_slice()));
        let mut outcomes = self.perform((at, from), sequence, act, hands, told)?;
        if let Act::SetLimits { account, .. } = &signed.act {
            let account = self.account(account)?;
            outcomes.extend(self.forget_limits(account));
        }
        self.used_nonces.push((nonce, until));
        Ok(Answer::Done(outcomes))
    }

    /// How many hands count under an act.
    pub(super) fn hands_under(&self, at: Timestamp, act: &Act, signed: &[OperatorKey]) -> u32 {
        let barred = self.barred(act);
        let may = |one: &&OperatorKey| {
            barred.as_ref().is_none_or(|(name, key)| one.name != *name && *key != Some(one.public_key))
        };
        self.hands(at, signed.iter().filter(may))
    }

    /// How many different operators of now, past their ageing, are among those that signed.
    pub(super) fn hands<'a>(&self, at: Timestamp, signed: impl Iterator<Item = &'a OperatorKey>) -> u32 {
        let signed: Vec<_> = signed.collect();
        let ageing = self.configuration.parameters.operator_ageing;
        let hands = self.operators.iter().filter(|(name, key, since, founder)| {
            let counts = *founder || self.age(*since, at) >= ageing;
            counts && signed.iter().any(|one| one.name == *name && one.public_key == *key)
        });
        hands.count() as u32
    }

    /// How many it takes to loosen anything.
    pub(super) const fn needed(&self) -> u32 {
        self.configuration.parameters.loosening_signatures
    }

    /// Whether something that may wait could be done now.
    fn allows(&self, (at, keys): (Timestamp, &[OperatorKey]), act: &Act) -> Result<(), &'static str> {
        self.allows_of_policy(at, act, keys)?;
        match act {
            Act::Resume(scope) => {
                self.known_scope(scope)?;
                if !self.halts.contains(scope) {
                    return Err("not_halted");
                }
            }
            Act::SetTier { account, tier } => {
                self.account(account)?;
                self.tier(tier)?;
            }
            Act::SetLimits { account, .. } => {
                self.account(account)?;
            }
            Act::Configure(next) => {
                let same_order = next.assets[0].spec.symbol == self.configuration.assets[0].spec.symbol;
                let needed = next.parameters.loosening_signatures;
                if !same_order || needed < 2 {
                    return Err("configuration_invalid");
                }
                if self.operators.len() < needed as usize {
                    return Err("operators_too_few");
                }
                let has_passkey = self.operators.iter().any(|known| known.1.is_passkey());
                if has_passkey && next.operate.is_none() != self.configuration.operate.is_none() {
                    return Err("configuration_invalid");
                }
            }
            Act::EnrolOperator(operator) => {
                let known =
                    |known: &super::ModelOperator| known.0 == operator.name || known.1 == operator.public_key;
                if self.operators.iter().any(known) {
                    return Err("operator_exists");
                }
                if operator.public_key.is_passkey() && self.configuration.operate.is_none() {
                    return Err("party_not_configured");
                }
            }
            Act::IssueToken(token)
                if self.tokens.iter().any(|known| known.0 == token.client || known.1 == token.token_hash) =>
            {
                return Err("token_exists");
            }
            Act::ActivateRules(version) => {
                if ![1, 2, 3].contains(version) {
                    return Err("rules_unknown");
                }
                if self.rules == 3 && *version < 3 {
                    return Err("rules_older");
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn perform(
        &mut self,
        (at, from): (Timestamp, Timestamp),
        sequence: u64,
        (act, (nonce, keys)): (&Act, ([u8; 32], &[OperatorKey])),
        hands: u32,
        told: &dyn Told,
    ) -> Result<Vec<super::Outcome>, &'static str> {
        self.allows((at, keys), act)?;
        match act {
            Act::Resume(scope) => {
                self.halts.remove(scope);
                self.look_again_in(at, scope);
                self.wake_all(at);
            }
            Act::ApproveCase(case) => {
                let which = self.open(WithdrawalId(case.0)).ok_or("case_unknown")?;
                if self.withdrawals[which].status != "held" {
                    return Err("case_unknown");
                }
                self.withdrawals[which].operators = hands as u8;
                return Ok(vec![self.decide_again(at, sequence, which, told)]);
            }
            Act::ApproveWithdrawal { withdrawal, text } => {
                let which = self.open(*withdrawal).ok_or("case_unknown")?;
                if self.withdrawals[which].status != "held" {
                    return Err("case_unknown");
                }
                if self.text_digest(which) != Some(*text) {
                    return Err("text_differs");
                }
                self.withdrawals[which].operators = hands as u8;
                return Ok(vec![self.decide_again(at, sequence, which, told)]);
            }
            Act::BeginEpoch(start) => return self.begin_epoch(at, start),
            Act::RecoverAccount { account, credential, key } => {
                self.recover_account(at, account, (*credential, *key), from)?;
            }
            Act::UnfreezeAccount(id) => {
                let account = self.account(id)?;
                if !self.accounts[account].is_frozen {
                    return Err("not_frozen");
                }
                self.accounts[account].is_frozen = false;
                self.accounts[account].word.wished_still = None;
            }
            Act::SetTier { account, tier } => {
                let account = self.account(account)?;
                self.accounts[account].tier = self.tier(tier)?;
            }
            Act::SetLimits { account, usd_cents_24h, usd_cents_30d } => {
                let account = self.account(account)?;
                self.accounts[account].limits =
                    (usd_cents_24h.map(|day| day.0), usd_cents_30d.map(|month| month.0));
            }
            Act::Configure(next) => {
                self.configured = sequence;
                self.configuration = (**next).clone();
                let now = self.running(at);
                self.spent.push((now, Spent::Configured(next.clone())));
                self.wake_all(at);
            }
            Act::EnrolOperator(operator) => {
                self.operators.push((operator.name.clone(), operator.public_key, at, false));
            }
            Act::RevokeOperator(name) => {
                let known =
                    self.operators.iter().position(|known| known.0 == *name).ok_or("operator_unknown")?;
                if self.operators.len() <= self.configuration.parameters.loosening_signatures as usize {
                    return Err("operators_too_few");
                }
                self.operators.remove(known);
            }
            Act::ActivatePolicy(_) => {}
            Act::Import(digests) => {
                for digest in digests {
                    if !self.imports.contains(&digest.0) {
                        self.imports.push(digest.0);
                    }
                }
            }
            Act::IssueToken(token) => {
                self.tokens.push((token.client.clone(), token.token_hash));
            }
            Act::ConfirmClock => {
                let since = self.suspect_since.take().ok_or("clock_not_suspect")?;
                self.suspected.push((since, at));
                self.look_again(at, |_| true);
                self.wake_all(at);
            }
            Act::ActivateRules(version) => {
                self.rules = *version;
            }
            Act::ProposePolicy(_)
            | Act::ApprovePolicy { .. }
            | Act::TightenPolicy(_)
            | Act::RestorePolicy { .. }
            | Act::StopAct(_) => self.perform_of_policy(at, act, nonce, keys),
        }
        Ok(Vec::new())
    }
}
