//! One transaction a step further: proposed, released, signed, sent, confirmed; replaced if it does not confirm.
//!
//! Each step is written down before the next begins. From the moment that the keys may have seen a transaction, its payments
//! only ever go into transactions that cannot be on the chain together with it.

use std::time::Duration;

use holdfast_authn::encoding::{base64, to_base64};
use holdfast_values::Amount;
use holdfast_values::texts::TransferText;

use super::book::{Attempt, Payment, Slot, Stage};
use super::config::Kind;
use super::flow::{Flow, FlowError, Next, now_ms};
use super::frame::{self, Answer};
use super::holdfast::{HoldfastError, Verdict};
use super::node::NodeError;
use super::{coins, gas, unhex};

/// The first wait after a refusal, and the longest.
const WAIT_LEAST: Duration = Duration::from_secs(1);
const WAIT_MOST: Duration = Duration::from_secs(30);
/// Steps at a time; more than there are.
const STEPS_MAX: usize = 8;
/// What a signer says of a payment whatever its owner's word is worth.
const OF_THE_PAYMENT: [&str; 4] = ["bucket_empty", "voided", "intent_expired", "intent_changed"];

/// How a step ended.
enum Went {
    /// On with the next.
    On,
    /// Nothing more to do now.
    Wait,
    /// It does not work now, and this is why.
    Vain(String),
}

impl Flow {
    /// Takes a slot as far as it goes.
    pub(crate) fn pursue(&mut self, id: u64) -> Result<(), FlowError> {
        let name = format!("slot {id}");
        if self.rests(&name) {
            return Ok(());
        }
        for _ in 0..STEPS_MAX {
            match self.step(id) {
                Ok(Went::On) => {
                    self.rested(&name);
                    self.quiet(&name);
                }
                Ok(Went::Wait) => return Ok(()),
                Ok(Went::Vain(why)) => {
                    self.say(&name, &why);
                    self.rest(&name, WAIT_LEAST, WAIT_MOST);
                    return Ok(());
                }
                Err(FlowError::Book(error)) => return Err(error.into()),
                Err(error) => {
                    self.say(&name, &error.to_string());
                    self.rest(&name, WAIT_LEAST, WAIT_MOST);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, id: u64) -> Result<Went, FlowError> {
        let Some(slot) = self.book.slots.iter().find(|slot| slot.id == id).cloned() else {
            return Ok(Went::Wait);
        };
        let Some(till) = self.till_of(&slot) else {
            return Ok(Went::Vain(format!("{} is no longer configured: put it back", slot.place())));
        };
        let Some(last) = slot.attempts.last() else { return self.close(id) };
        let confirmations = self.confirmations(till, &slot)?;
        let wanted = self.tills.get(till).map_or(u64::MAX, |till| till.wallet.confirmations);
        if confirmations.is_some_and(|confirmations| confirmations >= wanted) {
            tracing::info!(slot = id, "it is final");
            return self.close(id);
        }
        if confirmations.is_some_and(|confirmations| confirmations > 0) {
            return Ok(Went::Wait);
        }
        if confirmations.is_none() && last.stage < Stage::Signed {
            // What it is to replace is still the best there is. If that does not go, the replacement may.
            let result = self.send_again(till, &slot).map_err(FlowError::from);
            self.note(&format!("transaction of slot {id}"), result)?;
        }
        match last.stage {
            Stage::Proposed => self.propose(&slot, last),
            Stage::Released => self.have_signed(till, &slot, last),
            Stage::Signed => self.send_first(till, &slot, last),
            Stage::Sent => self.watch(till, &slot, last, confirmations.is_some()),
        }
    }

    /// The most confirmations that any of a slot's transactions has; `None` if the node knows none of them.
    fn confirmations(&self, till: usize, slot: &Slot) -> Result<Option<u64>, NodeError> {
        let mut found = None;
        let Some(till) = self.tills.get(till) else { return Ok(None) };
        for id in slot.attempts.iter().filter_map(|attempt| attempt.id.as_deref()) {
            let here = match &till.wallet.kind {
                Kind::Bitcoin(_) => till.node.confirmations(id)?,
                Kind::Evm(_) => till.node.evm_confirmations(id)?,
            };
            found = found.max(here);
        }
        Ok(found)
    }

    fn close(&mut self, id: u64) -> Result<Went, FlowError> {
        self.book.slots.retain(|slot| slot.id != id);
        let name = format!("slot {id}");
        self.rested(&name);
        self.quiet(&name);
        self.save()?;
        Ok(Went::Wait)
    }

    fn change_last(&mut self, id: u64, change: impl FnOnce(&mut Attempt)) -> Result<Went, FlowError> {
        let slot = self.book.slots.iter_mut().find(|slot| slot.id == id);
        if let Some(last) = slot.and_then(|slot| slot.attempts.last_mut()) {
            change(last);
        }
        self.save()?;
        Ok(Went::On)
    }

    /// Asks Holdfast.
    fn propose(&mut self, slot: &Slot, last: &Attempt) -> Result<Went, FlowError> {
        let signer = self.config.signer.to_string();
        match self.holdfast.propose(&signer, &slot.wallet, &slot.network, last) {
            Ok(Verdict::Released(release)) => self.change_last(slot.id, |last| {
                last.release = Some(release);
                last.stage = Stage::Released;
            }),
            Ok(Verdict::Dropped(dropped)) => {
                for (withdrawal, why) in &dropped {
                    tracing::info!(slot = slot.id, withdrawal, why, "left out");
                    self.rest(withdrawal, WAIT_LEAST.saturating_mul(5), WAIT_MOST.saturating_mul(2));
                }
                let is_dropped = |payment: &&Payment| {
                    !dropped.iter().any(|(id, _)| payment.withdrawal.as_ref() == Some(id))
                };
                let left: Vec<Payment> = last.payments.iter().filter(is_dropped).cloned().collect();
                self.without(slot, last, &left)
            }
            Err(HoldfastError::Refused { code, text }) => self.refused(slot, last, &code, &text),
            Err(error) => Ok(Went::Vain(error.to_string())),
        }
    }

    /// Goes on with those payments that are left.
    fn without(&mut self, slot: &Slot, last: &Attempt, left: &[Payment]) -> Result<Went, FlowError> {
        let earlier = slot.attempts.len().saturating_sub(1);
        if earlier > 0 && !last.asked {
            // A replacement is not wanted now: what was sent before stands.
            return self.give_up_last(slot);
        }
        if left.is_empty() {
            if slot.attempts.iter().any(|attempt| attempt.asked) {
                let why =
                    "all its withdrawals were stopped after the keys may have seen it: void them, or wait";
                return Ok(Went::Vain(why.to_owned()));
            }
            return self.close(slot.id);
        }
        let replaces = slot.attempts.iter().any(|attempt| attempt.signed.is_some());
        let next = Next { payments: left, transfer: None, replaces, fee_max: None };
        let attempt = self.attempt_again(slot, &next)?;
        if last.asked {
            self.push_attempt(slot.id, attempt)?;
        } else {
            // Nobody but Holdfast has seen the last one, and whatever it released of it shares its coins with this.
            self.change_last(slot.id, |last| *last = attempt)?;
        }
        Ok(Went::On)
    }

    /// Holdfast refuses the bytes themselves.
    fn refused(&mut self, slot: &Slot, last: &Attempt, code: &str, text: &str) -> Result<Went, FlowError> {
        let why = format!("Holdfast refuses: {code}: {text}");
        if last.asked {
            return Ok(Went::Vain(why));
        }
        if slot.attempts.len() > 1 {
            self.say(&format!("slot {}", slot.id), &why);
            return self.give_up_last(slot);
        }
        if last.transfer.is_some() {
            tracing::error!(slot = slot.id, why, "a transfer is given up");
            return self.close(slot.id);
        }
        // With the fees of the moment it may fare better; the coins or the nonce stay.
        let next = Next { payments: &last.payments, transfer: None, replaces: false, fee_max: None };
        let attempt = self.attempt_again(slot, &next)?;
        self.change_last(slot.id, |last| *last = attempt)?;
        Ok(Went::Vain(why))
    }

    /// Drops an attempt that was never signed; the one before it is pursued again. Both spend the same.
    fn give_up_last(&mut self, slot: &Slot) -> Result<Went, FlowError> {
        if let Some(slot) = self.book.slots.iter_mut().find(|known| known.id == slot.id) {
            slot.attempts.pop();
            if let Some(last) = slot.attempts.last_mut() {
                // Not again at once.
                last.sent_ms = last.sent_ms.map(|_| now_ms());
            }
        }
        self.save()?;
        Ok(Went::Wait)
    }

    /// Has the keys sign.
    fn have_signed(&mut self, till: usize, slot: &Slot, last: &Attempt) -> Result<Went, FlowError> {
        let release = last.release.as_deref().and_then(|release| base64(release.as_bytes()));
        let (Some(release), Some(unsigned)) = (release, unhex(&last.unsigned)) else {
            return self.change_last(slot.id, |last| last.stage = Stage::Proposed);
        };
        if !last.asked {
            // Written down first: from here on a signature may exist.
            self.change_last(slot.id, |last| last.asked = true)?;
        }
        match frame::ask(&self.config.keys_socket, &release, &unsigned) {
            Ok(Answer::Signed { transaction, receipt }) => {
                let evm = self.tills.get(till).is_some_and(|till| matches!(till.wallet.kind, Kind::Evm(_)));
                let id = if evm { gas::id_of(&transaction) } else { coins::id_of(&transaction) };
                let Some(id) = id else {
                    return Ok(Went::Vain("what the keys gave back is no transaction".to_owned()));
                };
                self.shelf.keep(&id, &release, &unsigned, &transaction)?;
                tracing::info!(slot = slot.id, id, "signed");
                self.change_last(slot.id, |last| {
                    last.signed = Some(super::hex(&transaction));
                    last.id = Some(id);
                    last.receipt = Some(to_base64(&receipt));
                    last.stage = Stage::Signed;
                })
            }
            Ok(Answer::Refused { code, text, withdrawal }) => {
                let why = format!("the signer refuses: {code}: {text}");
                if slot.attempts.iter().any(|attempt| attempt.stage == Stage::Sent) {
                    // A replacement that may not be: what was sent before stands.
                    self.say(&format!("replacement for slot {}", slot.id), &why);
                    return self.give_up_last(slot);
                }
                match withdrawal {
                    Some(withdrawal) => self.one_refused(slot, last, &withdrawal, &code, why),
                    None => {
                        self.change_last(slot.id, |last| last.stage = Stage::Proposed)?;
                        Ok(Went::Vain(why))
                    }
                }
            }
            Ok(Answer::Unknown { text }) => Ok(Went::Vain(format!("the signer: {text}"))),
            Err(error) => Ok(Went::Vain(format!("the keys do not answer: {error}"))),
        }
    }

    /// The signer would sign for all but one withdrawal: that is asked for without its owner's word, once, and then left
    /// out for now, so that the others do not wait for it.
    fn one_refused(
        &mut self,
        slot: &Slot,
        last: &Attempt,
        withdrawal: &str,
        code: &str,
        why: String,
    ) -> Result<Went, FlowError> {
        let is_it = |payment: &Payment| payment.withdrawal.as_deref() == Some(withdrawal);
        let about_a_word = !OF_THE_PAYMENT.contains(&code);
        let asked_before = last.payments.iter().any(|payment| is_it(payment) && payment.without_word);
        if about_a_word && !asked_before && last.payments.iter().any(is_it) {
            tracing::warn!(slot = slot.id, withdrawal, why, "asked again without its owner's word");
            return self.change_last(slot.id, |last| {
                last.stage = Stage::Proposed;
                last.payments.iter_mut().filter(|p| is_it(p)).for_each(|p| p.without_word = true);
            });
        }
        let left: Vec<Payment> = last.payments.iter().filter(|payment| !is_it(payment)).cloned().collect();
        if left.is_empty() || left.len() == last.payments.len() {
            // It waits alone; its owner's word may count next time.
            self.change_last(slot.id, |last| {
                last.stage = Stage::Proposed;
                last.payments.iter_mut().for_each(|payment| payment.without_word = false);
            })?;
            return Ok(Went::Vain(why));
        }
        tracing::warn!(slot = slot.id, withdrawal, why, "left out");
        self.rest(withdrawal, WAIT_LEAST.saturating_mul(5), WAIT_MOST.saturating_mul(2));
        // Written down before it was asked, and not yet in what is held here.
        let last = Attempt { asked: true, ..last.clone() };
        self.without(slot, &last, &left)
    }

    /// Hands Holdfast the receipt, then sends.
    fn send_first(&mut self, till: usize, slot: &Slot, last: &Attempt) -> Result<Went, FlowError> {
        if let Some(receipt) = &last.receipt {
            match self.holdfast.receipt(receipt) {
                Ok(()) => {}
                Err(HoldfastError::Refused { code, text }) => {
                    // The signer has authorised it; what Holdfast makes of its word is for people to find out.
                    let why = format!("Holdfast refuses the receipt: {code}: {text}");
                    self.say(&format!("receipt of slot {}", slot.id), &why);
                }
                Err(error) => return Ok(Went::Vain(error.to_string())),
            }
        }
        self.send(till, last)?;
        tracing::info!(slot = slot.id, id = last.id.as_deref().unwrap_or_default(), "sent");
        self.change_last(slot.id, |last| {
            last.stage = Stage::Sent;
            last.sent_ms = Some(now_ms());
        })?;
        Ok(Went::Wait)
    }

    fn send(&self, till: usize, attempt: &Attempt) -> Result<(), NodeError> {
        let bytes = attempt.signed.as_deref().and_then(unhex).unwrap_or_default();
        let Some(till) = self.tills.get(till) else { return Ok(()) };
        match &till.wallet.kind {
            Kind::Bitcoin(_) => till.node.send(&bytes),
            Kind::Evm(_) => till.node.evm_send(&bytes),
        }
    }

    /// Sends the newest of a slot's signed transactions that the node takes.
    fn send_again(&self, till: usize, slot: &Slot) -> Result<(), NodeError> {
        let mut error = None;
        for attempt in slot.attempts.iter().rev().filter(|attempt| attempt.signed.is_some()) {
            match self.send(till, attempt) {
                Ok(()) => {
                    tracing::info!(
                        slot = slot.id,
                        id = attempt.id.as_deref().unwrap_or_default(),
                        "sent again"
                    );
                    return Ok(());
                }
                Err(refused) => error = error.or(Some(refused)),
            }
        }
        error.map_or(Ok(()), Err)
    }

    /// Sends again what a node has forgotten, and for more what does not confirm.
    fn watch(&mut self, till: usize, slot: &Slot, last: &Attempt, known: bool) -> Result<Went, FlowError> {
        if !known {
            self.send_again(till, slot)?;
            return Ok(Went::Wait);
        }
        let after = self.tills.get(till).and_then(|till| till.wallet.bump_after);
        let due = after.is_some_and(|after| {
            let waited = now_ms().saturating_sub(last.sent_ms.unwrap_or(u64::MAX));
            u128::from(waited) >= after.as_millis()
        });
        if !due {
            return Ok(Went::Wait);
        }
        let fee_max = match &last.transfer {
            Some(transfer) => TransferText::parse(transfer.text.as_bytes()).ok().map(|text| text.fee_max),
            None => None::<Amount>,
        };
        let next =
            Next { payments: &last.payments, transfer: last.transfer.clone(), replaces: true, fee_max };
        match self.attempt_again(slot, &next) {
            Ok(attempt) => {
                self.push_attempt(slot.id, attempt)?;
                Ok(Went::On)
            }
            Err(FlowError::Build(error)) => {
                // As much as may be paid for it is paid: it waits.
                self.say(&format!("slot {}", slot.id), &format!("it cannot be replaced for more: {error}"));
                self.change_last(slot.id, |last| last.sent_ms = Some(now_ms()))?;
                Ok(Went::Wait)
            }
            Err(error) => Err(error),
        }
    }
}
