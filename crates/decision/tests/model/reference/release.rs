//! Proposals in the model: whether a transaction may be signed, told in the order in which the core asks.

use std::collections::BTreeSet;

use holdfast_decision::acts::Digest;
use holdfast_decision::command::{ProposeTransaction, Scope};
use holdfast_values::texts::{Nonce, Purpose, Seconds, TransferText, WithdrawalText};
use holdfast_values::{Timestamp, WithdrawalId};

use super::chain::{ModelTransaction, Stage};
use super::policy::Verdict;
use super::{Answer, DAY, Model, Outcome, Paying, Spent, Told};

/// Who gets how much of what.
type Pay = (String, Option<String>, u128);

/// What operators let out of the wallets: asset, units, value.
type External = Option<(usize, u128, u64)>;

impl Model {
    pub(super) fn propose(
        &mut self,
        at: Timestamp,
        sequence: u64,
        proposed: &ProposeTransaction,
        told: &dyn Told,
    ) -> Result<Answer, &'static str> {
        let signers: Vec<_> = self.configuration.signers.iter().flatten().map(|one| &one.name).collect();
        if !signers.contains(&&proposed.signer) {
            return Err("signer_unknown");
        }
        if self.epoch > 1 && signers.iter().any(|signer| self.told_in.get(signer) != Some(&self.epoch)) {
            return Err("signer_not_recovered");
        }
        let wallet = self.wallet(&proposed.wallet)?;
        let chain = self.configuration.wallets[wallet].on(proposed.network).ok_or("wallet_chain_unknown")?;
        let fee_max = chain.fee_max;
        let text = proposed.transfer.as_ref().map(|approval| TransferText::parse(approval.text.as_bytes()));
        if proposed.withdrawals.is_empty() == text.is_none() {
            return Err("batch_empty");
        }
        let known = self.known(proposed.transaction).cloned();
        if let Some(known) = &known {
            let paid = |ids: &[WithdrawalId]| ids.iter().copied().collect::<BTreeSet<_>>();
            let transfer = text.as_ref().and_then(|text| text.as_ref().ok()).map(|text| text.transfer);
            let same = (&known.signer, known.wallet, known.network, known.transfer)
                == (&proposed.signer, wallet, proposed.network, transfer)
                && known.spends == proposed.spends
                && paid(&known.withdrawals) == paid(&proposed.withdrawals);
            if !same || known.is_over() {
                return Err("release_differs");
            }
        }
        let is_final = |one: &ModelTransaction| {
            one.stage == Stage::Final && one.spends.iter().any(|key| proposed.spends.contains(key))
        };
        if known.is_none() && self.transactions.iter().any(is_final) {
            return Err("coin_spent");
        }
        if proposed.withdrawals.len() > 1_000 {
            return Err("too_many");
        }
        let mut external = None;
        match &text {
            None => {
                if let Some(answer) = self.batch(at, sequence, proposed, wallet, told)? {
                    return Ok(answer);
                }
            }
            Some(text) => {
                let text = text.as_ref().map_err(|_| "transfer_differs")?;
                external = self.transfer(at, proposed, wallet, text)?;
            }
        }
        let text = text.and_then(Result::ok);
        if self.is_stopped(proposed, wallet, text.as_ref()) {
            return Err("halted_now");
        }
        if proposed.fee > fee_max {
            return Err("fee_too_high");
        }
        let units = proposed.fee.base_units();
        if known.is_none() && !self.has_fee(wallet, proposed.network, units, at) {
            return Err("fee_bucket_spent");
        }

        let now = self.running(at);
        if known.is_none() {
            self.spent.push((now, Spent::Fee { wallet, network: proposed.network, units }));
            if let Some((asset, units, usd)) = external {
                self.force(at, holdfast_decision::Class::Bound, asset, wallet, units, usd);
            }
            self.transactions.push(ModelTransaction {
                digest: proposed.transaction,
                signer: proposed.signer.clone(),
                wallet,
                network: proposed.network,
                spends: proposed.spends.clone(),
                outputs: Some(proposed.outputs_digest),
                withdrawals: proposed.withdrawals.clone(),
                transfer: text.map(|text| text.transfer),
                is_signed: false,
                stage: Stage::Unseen,
                confirmations: 0,
                chain_id: None,
                over_since: None,
            });
        } else {
            let known = self.transactions.iter_mut().find(|one| one.digest == proposed.transaction).unwrap();
            known.outputs = Some(proposed.outputs_digest);
        }
        for id in &proposed.withdrawals {
            self.pay_by(*id, proposed.transaction);
        }
        Ok(Answer::Done(Vec::new()))
    }

    /// From now on a transaction may pay a withdrawal: no time and nobody but chain and signer moves it.
    pub(super) fn pay_by(&mut self, id: WithdrawalId, digest: Digest) {
        let Some(which) = self.open(id) else { return };
        self.leave_line(which);
        let withdrawal = &mut self.withdrawals[which];
        let class = withdrawal.reserved.take();
        let paying = withdrawal.paying.get_or_insert(Paying { class, digests: Vec::new() });
        if !paying.digests.contains(&digest) {
            paying.digests.push(digest);
        }
        if !withdrawal.is_released() {
            withdrawal.status = "released";
        }
        withdrawal.next_check = Timestamp(u64::MAX);
    }

    /// What is left out, if anything is.
    fn batch(
        &mut self,
        at: Timestamp,
        sequence: u64,
        proposed: &ProposeTransaction,
        wallet: usize,
        told: &dyn Told,
    ) -> Result<Option<Answer>, &'static str> {
        let ids = &proposed.withdrawals;
        if ids.iter().collect::<BTreeSet<_>>().len() != ids.len() {
            return Err("batch_duplicate");
        }
        let open: Vec<usize> = ids.iter().filter_map(|id| self.open(*id)).collect();
        let closed = ids.iter().filter(|id| self.open(**id).is_none());
        let mut drops: Vec<(WithdrawalId, &'static str)> = closed.map(|id| (*id, "closed")).collect();
        for which in &open {
            let withdrawal = &self.withdrawals[*which];
            if withdrawal.wallet != wallet || withdrawal.request.destination.network() != proposed.network {
                return Err("wallet_differs");
            }
        }
        if drops.is_empty() {
            self.outputs(proposed, &open)?;
            for which in &open {
                let earlier = self.withdrawals[*which].paying.iter().flat_map(|paying| &paying.digests);
                for digest in earlier.filter(|digest| **digest != proposed.transaction) {
                    let rival = self.known(*digest);
                    let is_harmless = rival.is_some_and(|known| {
                        known.is_over() || known.spends.iter().any(|key| proposed.spends.contains(key))
                    });
                    if !is_harmless {
                        return Err("not_conflicting");
                    }
                }
            }
        }
        // Judged as everything stands now; what comes of one verdict changes none of the others.
        let judged: Vec<(usize, Option<Verdict>)> = open
            .into_iter()
            .map(|which| {
                let withdrawal = &self.withdrawals[which];
                let asks = withdrawal.status == "approved" && withdrawal.not_after > at;
                (which, asks.then(|| self.judge(at, which, told.of_open(withdrawal.id))))
            })
            .collect();
        let mut outcomes: Vec<Outcome> = Vec::new();
        for (which, verdict) in judged {
            let withdrawal = &self.withdrawals[which];
            let account = &self.accounts[withdrawal.account];
            let id = withdrawal.id;
            let halted = self.halts.contains(&Scope::Account(account.id.clone()));
            if withdrawal.is_released() {
                if account.is_frozen || halted {
                    drops.push((id, "stopped"));
                }
                continue;
            }
            if withdrawal.status != "approved" {
                drops.push((id, "not_approved"));
                continue;
            }
            let Some(verdict) = verdict else {
                outcomes.push(self.past_its_time(at, which));
                drops.push((id, "decided_again"));
                continue;
            };
            let asks_a_person = verdict.deny || verdict.hold || verdict.factors != (false, false);
            let has_seat = withdrawal.reserved.is_some_and(|reserved| reserved >= verdict.class);
            if !asks_a_person && has_seat && !verdict.wait && verdict.dwell_until <= at {
                continue;
            }
            // Another place in the buckets is found for the first that is decided again, and for no other.
            if asks_a_person || has_seat || outcomes.is_empty() {
                outcomes.push(self.settle(at, sequence, which, verdict, false));
            }
            drops.push((id, "decided_again"));
        }
        if drops.is_empty() {
            return Ok(None);
        }
        outcomes.extend(drops.into_iter().map(|(id, why)| Outcome::plain(id, why)));
        Ok(Some(Answer::Done(outcomes)))
    }

    /// What is owed and what is paid are the same, apart from change; if not, the first difference in order speaks.
    fn outputs(&self, proposed: &ProposeTransaction, open: &[usize]) -> Result<(), &'static str> {
        let mut owed: Vec<Pay> = Vec::new();
        for which in open {
            let withdrawal = &self.withdrawals[*which];
            let spec = &self.configuration.assets[withdrawal.asset].spec;
            let on = spec.on(proposed.network).ok_or("network_not_configured")?;
            let scale = 10u128.pow(u32::from(spec.decimals - on.decimals));
            if !withdrawal.units.is_multiple_of(scale) {
                return Err("output_missing");
            }
            let address = withdrawal.request.destination.address().to_owned();
            owed.push((address, on.contract.as_deref().map(str::to_owned), withdrawal.units / scale));
        }
        if proposed.outputs.iter().any(|output| output.destination.network() != proposed.network) {
            return Err("output_extra");
        }
        let change = |own: &Option<_>| own.as_ref() == Some(&proposed.wallet);
        let paid = proposed.outputs.iter().filter(|output| !change(&output.own)).map(|output| {
            let contract = output.contract.as_deref().map(str::to_owned);
            (output.destination.address().to_owned(), contract, output.amount.base_units())
        });
        let mut paid: Vec<Pay> = paid.collect();
        // What is on both sides is settled, one for one.
        owed.retain(|pay| match paid.iter().position(|other| other == pay) {
            Some(place) => {
                paid.remove(place);
                false
            }
            None => true,
        });
        match (owed.iter().min(), paid.iter().min()) {
            (None, None) => Ok(()),
            (Some(owed), Some(paid)) if paid < owed => Err("output_extra"),
            (Some(_), _) => Err("output_missing"),
            (None, Some(_)) => Err("output_extra"),
        }
    }

    fn transfer(
        &self,
        at: Timestamp,
        proposed: &ProposeTransaction,
        wallet: usize,
        text: &TransferText,
    ) -> Result<External, &'static str> {
        if text.exchange.to_string() != self.exchange {
            return Err("text_exchange");
        }
        if (&text.wallet, text.network) != (&proposed.wallet, proposed.network) {
            return Err("transfer_differs");
        }
        let until = text.not_after.timestamp();
        if until <= at || until.since(at) > 7 * DAY {
            return Err("text_not_now");
        }
        if proposed.fee > text.fee_max {
            return Err("transfer_differs");
        }
        let asset = self.asset(&text.asset).ok_or("asset_unknown")?;
        let on = self.configuration.assets[asset].spec.on(proposed.network);
        let on = on.ok_or("network_not_configured")?;
        let cancels = text.purpose == Purpose::Cancel;
        if !cancels && proposed.outputs.iter().any(|output| output.contract != on.contract) {
            return Err("transfer_differs");
        }
        let strangers: Vec<_> = proposed.outputs.iter().filter(|output| output.own.is_none()).collect();
        let mut external = None;
        match (&strangers[..], &text.external) {
            ([], None) => {}
            ([], Some(_)) => return Err("transfer_differs"),
            ([_], None) | ([_, _, ..], _) => return Err("transfer_foreign"),
            ([output], Some(said)) => {
                let same = (&output.destination, output.amount, &output.contract, on.decimals)
                    == (&said.destination, said.amount, &on.contract, said.decimals);
                if !same {
                    return Err("transfer_differs");
                }
                let signatures = proposed.transfer.iter().flat_map(|approval| &approval.signatures);
                if self.hands(at, signatures.map(|one| &one.operator)) < self.needed() {
                    return Err("signatures_insufficient");
                }
                let units = said.amount.base_units();
                let usd = self.value_or_most(asset, units, at).ok_or("transfer_differs")?;
                if self.known(proposed.transaction).is_none()
                    && !self.has_bound(asset, wallet, units, usd, at)
                {
                    return Err("transfer_foreign");
                }
                external = Some((asset, units, usd));
            }
        }
        let others = self.transactions.iter().filter(|one| one.digest != proposed.transaction);
        let touches = |one: &ModelTransaction| {
            one.spends.iter().any(|key| proposed.spends.contains(key)) && !one.is_over()
        };
        let mut earlier = others.clone().filter(|one| one.transfer == Some(text.transfer));
        if earlier.any(|one| !touches(one)) {
            return Err("not_conflicting");
        }
        let again = self.known(proposed.transaction).is_some();
        if cancels && !again && !others.clone().any(touches) {
            return Err("not_conflicting");
        }
        Ok(external)
    }

    fn is_stopped(&self, proposed: &ProposeTransaction, wallet: usize, text: Option<&TransferText>) -> bool {
        if text.is_some_and(|text| text.purpose == Purpose::Cancel && text.external.is_none()) {
            return false;
        }
        let mut assets: Vec<_> = text.map(|text| text.asset.clone()).into_iter().collect();
        let open = proposed.withdrawals.iter().filter_map(|id| self.open(*id));
        let symbol = |which: usize| {
            let asset = &self.configuration.assets[self.withdrawals[which].asset];
            asset.spec.symbol.clone()
        };
        assets.extend(open.map(symbol));
        let wallet = &self.configuration.wallets[wallet].name;
        self.suspect_since.is_some()
            || self.halts.iter().any(|scope| match scope {
                Scope::Overall => true,
                Scope::Asset(symbol) => assets.contains(symbol),
                Scope::Wallet(name) => name == wallet,
                Scope::Account(_) => false,
            })
    }

    /// The digest of a withdrawal's text.
    pub(super) fn text_digest(&self, which: usize) -> Option<Digest> {
        let withdrawal = &self.withdrawals[which];
        let request = &withdrawal.request;
        let spec = &self.configuration.assets[withdrawal.asset].spec;
        let on = spec.on(request.destination.network())?;
        let text = WithdrawalText {
            exchange: self.exchange.parse().unwrap(),
            account: request.account.clone(),
            withdrawal: withdrawal.id,
            asset: spec.symbol.clone(),
            destination: request.destination.clone(),
            decimals: on.decimals,
            amount: on.to_network_units(spec.decimals, request.amount)?,
            fee_max: on.to_network_units(spec.decimals, request.fee_max)?,
            not_after: Seconds::floor(withdrawal.not_after),
            nonce: Nonce(request.nonce),
        };
        Some(Digest(text.digest().0))
    }
}
