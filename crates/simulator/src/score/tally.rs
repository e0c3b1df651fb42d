//! One withdrawal's way, and the tables over all of them.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_values::Timestamp;

use super::layer::{LAYERS, Layer, Standing};
use super::rank::Ranked;
use super::{Case, LayerRow, ReasonRow, Scorer};

impl Case {
    pub(super) fn new(is_attacker: bool, at: Timestamp, usd_cents: u64) -> Self {
        let standing = Standing { layer: Layer::Wallet, code: "".into(), then: None };
        Self {
            is_attacker,
            requested_at: at,
            usd_cents,
            satoshi: 0,
            over_limit: false,
            asked_code: false,
            asked_passkey: false,
            was_held: false,
            is_held: false,
            denied: false,
            denied_by_staff: false,
            closed: false,
            standing,
            dwell_until: None,
            since: at,
            credit: (Layer::Wallet, "".into()),
            spent: [0; LAYERS],
            touched: [false; LAYERS],
            held: 0,
            codes: BTreeSet::new(),
            left: None,
            severity: 0,
            reasons: 0,
        }
    }

    /// How suspicious the first decision found it.
    pub(super) fn rank(&mut self, outcome: &str, reasons: usize) {
        self.severity = match outcome {
            "dwell" => 1,
            "step_up" => 2,
            "hold" => 3,
            "deny" => 4,
            _ => 0,
        };
        self.reasons = u8::try_from(reasons).unwrap_or(u8::MAX);
    }

    /// Time has passed in what it was waiting for.
    pub(super) fn spend(&mut self, at: Timestamp) {
        if self.closed || at <= self.since {
            return;
        }
        let mut from = self.since;
        if let (Some(then), Some(until)) = (self.standing.then, self.dwell_until) {
            // The dwell comes first, the queue after it.
            let dwelt = until.min(at).max(from);
            self.count(self.standing.layer, from, dwelt);
            self.count(then, dwelt, at);
            from = at;
        }
        self.count(self.standing.layer, from, at);
        if self.is_held {
            self.held = self.held.saturating_add(at.since(self.since));
        }
        self.since = at;
    }

    fn count(&mut self, layer: Layer, from: Timestamp, to: Timestamp) {
        if let Some(spent) = self.spent.get_mut(layer.index()) {
            *spent = spent.saturating_add(to.since(from));
        }
        if to > from {
            self.touch(layer);
        }
    }

    fn touch(&mut self, layer: Layer) {
        if let Some(touched) = self.touched.get_mut(layer.index()) {
            *touched = true;
        }
    }

    /// It stands otherwise from now on.
    pub(super) fn stand(&mut self, now: Standing, status: &str, dwell_until: Option<Timestamp>) {
        let by_staff = &*now.code == holdfast_decision::Cause::DeniedByStaff.code();
        // A halt, a freeze or a person's no stops what something else had made wait: that gave them the time.
        let recalls = by_staff || matches!(now.layer, Layer::Halt | Layer::Freeze);
        if !recalls {
            self.credit = (now.layer, now.code.clone());
        } else if self.credit.0 == Layer::Wallet {
            self.credit = (if by_staff { Layer::Halt } else { now.layer }, now.code.clone());
        }
        if !by_staff {
            self.touch(now.layer);
        }
        self.is_held = status == "held";
        self.was_held |= self.is_held;
        self.denied |= status == "denied";
        self.denied_by_staff |= by_staff && status == "denied";
        self.closed |= status == "denied";
        self.standing = now;
        self.dwell_until = dwell_until;
    }
}

impl Scorer {
    pub(super) fn layers(&self) -> Vec<LayerRow> {
        let row = |layer: Layer| LayerRow {
            layer,
            stopped: 0,
            stopped_satoshi: 0,
            touched: 0,
            refused: 0,
            waited: 0,
        };
        let mut rows: Vec<LayerRow> = Layer::ALL.into_iter().map(row).collect();
        for case in self.of(true).filter(|case| case.left.is_none()) {
            if let Some(row) = rows.get_mut(case.credit.0.index()) {
                row.stopped = row.stopped.saturating_add(1);
                row.stopped_satoshi = row.stopped_satoshi.saturating_add(case.satoshi);
            }
        }
        for case in self.of(false) {
            for (row, (touched, spent)) in rows.iter_mut().zip(case.touched.iter().zip(case.spent)) {
                row.touched = row.touched.saturating_add(u64::from(*touched));
                row.waited = row.waited.saturating_add(spent);
            }
            if case.left.is_none()
                && let Some(row) = rows.get_mut(case.credit.0.index())
            {
                row.refused = row.refused.saturating_add(1);
            }
        }
        rows
    }

    pub(super) fn reasons(&self) -> Vec<ReasonRow> {
        let mut rows: BTreeMap<&str, ReasonRow> = BTreeMap::new();
        for (is_attacker, case) in
            [false, true].into_iter().flat_map(|one| self.of(one).map(move |case| (one, case)))
        {
            for code in &case.codes {
                let row = rows.entry(code).or_default();
                let count = if is_attacker { &mut row.attacker } else { &mut row.ordinary };
                *count = count.saturating_add(1);
            }
            if is_attacker && case.left.is_none() && !case.credit.1.is_empty() {
                let row = rows.entry(&case.credit.1).or_default();
                row.stopped_satoshi = row.stopped_satoshi.saturating_add(case.satoshi);
            }
        }
        for (code, (ordinary, attacker)) in &self.refused {
            let row = rows.entry(code).or_default();
            row.ordinary = row.ordinary.saturating_add(*ordinary);
            row.attacker = row.attacker.saturating_add(*attacker);
        }
        rows.into_iter().map(|(code, row)| ReasonRow { code: code.into(), ..row }).collect()
    }

    pub(super) fn ranked(&self) -> Vec<Ranked> {
        let cases = self.order.iter().filter_map(|event| self.cases.get(event));
        cases
            .filter(|case| case.usd_cents > 0)
            .map(|case| Ranked {
                severity: case.severity,
                reasons: case.reasons,
                usd_cents: case.usd_cents,
                is_attacker: case.is_attacker,
            })
            .collect()
    }

    pub(super) fn taken(&self) -> Vec<(u64, u64)> {
        let paid = self.of(true).filter_map(|case| case.left.as_ref());
        paid.map(|payment| (payment.usd_cents, payment.satoshi)).collect()
    }
}
