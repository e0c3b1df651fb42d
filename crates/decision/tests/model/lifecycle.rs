//! The table of a withdrawal's life: where it stands x what happens, printed from the code into `docs/lifecycle.md`.
//!
//! `HOLDFAST_BLESS=1 cargo test -p holdfast-decision --test model lifecycle` writes the document anew.

use std::path::Path;

use holdfast_decision::acts::{Act, Digest};
use holdfast_decision::command::{
    ApiEvidence, ChainStatus, Command, Evidence, ProposeTransaction, Scope, Scopes, SecurityChange,
};
use holdfast_decision::event::{Change, Event};
use holdfast_decision::protection::CredentialUse;
use holdfast_values::{Network, WithdrawalId, time};

use crate::coins::{authorised, bare, observe, output, payment, propose, record, seen, voided};
use crate::owner::{approval, approves, changes, new_credential, plainly};
use crate::play::{Run, is_refused};
use crate::world::{
    SIGNERS, Signing, account, configuration, fingerprint, name, place, policy, request, usual_prices,
};

const BTC: (&str, Network) = ("BTC", Network::Bitcoin);

/// A world in which one withdrawal of account 0 stands somewhere.
struct Case {
    run: Run,
    id: WithdrawalId,
    /// What pays it, or would.
    made: ProposeTransaction,
}

type Stands = (&'static str, fn() -> Case);

/// Where it stands, and how it came there.
const STANDS: [Stands; 12] = [
    ("awaiting_approval (one-time code)", || Case::new(20, false)),
    ("dwelling (policy)", || Case::new(20, true)),
    ("dwelling (in line)", in_line),
    ("dwelling (halted)", halted),
    ("held", held),
    ("approved", approved),
    ("held (frozen)", frozen),
    ("awaiting_approval (lapsed)", lapsed),
    ("closed", closed),
    ("released", || on_its_way(None)),
    ("broadcast", || on_its_way(Some((ChainStatus::Pending, 0)))),
    ("confirmed", || on_its_way(Some((ChainStatus::Included, 2)))),
];

type Happening = (&'static str, fn(&mut Case) -> Vec<Event>);

/// What happens, in the words of the document.
const HAPPENINGS: [Happening; 31] = [
    ("the same request again", |case| {
        let first = case.run.records.iter().rev().find_map(|record| match &record.command {
            Command::RequestWithdrawal(request) if request.withdrawal == case.id => {
                Some(record.command.clone())
            }
            _ => None,
        });
        case.run.say(first.unwrap())
    }),
    ("its owner cancels", |case| case.say_own(0)),
    ("another account cancels", |case| case.say_own(1)),
    ("its owner shows a one-time code", |case| {
        case.run.say(Command::ReportOneTimeCode { account: account(0), withdrawal: case.id })
    }),
    ("its owner's credential approves it", |case| {
        let text = case.run.state.text_of(case.id).map_or([0; 32], |text| text.digest().0);
        case.run.say(approves(0, case.id, approval(1, Digest(text), 0)))
    }),
    ("its owner renews its text", |case| {
        let (account, withdrawal, nonce) = (account(0), case.id, [9; 32]);
        case.run.say(Command::RenewIntent { account, withdrawal, nonce })
    }),
    ("staff deny it", |case| case.run.say(Command::DenyWithdrawal { withdrawal: case.id, by: name("dora") })),
    ("one operator approves the case", |case| case.approve(&["alice"])),
    ("two operators approve the case", |case| case.approve(&["alice", "bob"])),
    ("the account is frozen", |case| {
        case.run.say(Command::FreezeAccount { account: account(0), by: name("dora") })
    }),
    ("two operators end the account's freeze", |case| case.act(Act::UnfreezeAccount(account(0)))),
    ("the account's protection changes", |case| {
        case.run.say(Command::RecordSecurityChange { account: account(0), kind: SecurityChange::Password })
    }),
    ("its API key is revoked", |case| {
        case.run.say(Command::RevokeApiKey { account: account(0), key: fingerprint("key", 0) })
    }),
    ("its owner objects to the destination", |case| {
        let destination = place(Network::Bitcoin, 7);
        case.run.say(Command::RemoveAddress { account: account(0), destination })
    }),
    ("it is proposed in a batch", |case| case.run.say(propose(&case.made))),
    ("its signer's receipt comes", |case| case.run.say(record(authorised(&case.made, 1, 1)))),
    ("a node shows its transaction", |case| case.shows(ChainStatus::Pending, 0)),
    ("a block holds it", |case| case.shows(ChainStatus::Included, 1)),
    ("it is final", |case| case.shows(ChainStatus::Included, 3)),
    ("its block is reorganised away", |case| case.shows(ChainStatus::Vanished, 0)),
    ("a block holds it, failed", |case| case.shows(ChainStatus::Failed, 1)),
    ("it has failed and is final", |case| case.shows(ChainStatus::Failed, 3)),
    ("another that spends its coin is final", |case| {
        let other = bare(BTC.1, &[1], vec![output(BTC.1, 90, 5)]);
        case.run.say(observe(seen(&other, ChainStatus::Included, 3)))
    }),
    ("its signer voids it", |case| case.run.say(record(voided(SIGNERS[0], 1, case.id, 1)))),
    ("a halt of its asset", |case| {
        let scope = Scope::Asset("BTC".parse().unwrap());
        case.run.say(Command::Halt { scope, by: name("dora") })
    }),
    ("two operators end the halt", |case| case.act(Act::Resume(Scope::Asset("BTC".parse().unwrap())))),
    ("the clock is under suspicion", |case| case.run.say(Command::SuspectClock { step: time::MINUTE })),
    ("a tick before its deadline", |case| case.run.say(Command::Tick)),
    ("ten minutes pass", |case| {
        case.run.wait(10 * time::MINUTE);
        Vec::new()
    }),
    ("an hour passes", |case| {
        case.run.wait(time::HOUR);
        Vec::new()
    }),
    ("three days pass", |case| {
        case.run.wait(72 * time::HOUR);
        Vec::new()
    }),
];

impl Case {
    /// A withdrawal of so many thousandths of a bitcoin by a signed request, with or without a code shown.
    fn new(thousandths: u128, shown: bool) -> Self {
        let mut run = Run::new(configuration(), policy());
        for number in 0..8 {
            run.say(Command::OpenAccount { account: account(number), tier: name("full") });
        }
        run.say(Command::PutApiKey {
            account: account(0),
            key: fingerprint("key", 0),
            scopes: Scopes(4),
            ip_allowlist: vec![fingerprint("ip", 0)],
        });
        let credential = new_credential(1, CredentialUse::Approve);
        run.say(changes(plainly(0, Change::AddCredential(Box::new(credential)))));
        run.wait(7 * time::HOUR);
        run.say(usual_prices());
        let mut case = Self { run, id: WithdrawalId(0), made: bare(BTC.1, &[1], Vec::new()) };
        case.ask(thousandths, shown);
        case
    }

    fn ask(&mut self, thousandths: u128, shown: bool) {
        let mut made = request(self.run.now, 1, 0, BTC, thousandths * 100_000, 7);
        made.evidence = Evidence::ApiRequest(Box::new(ApiEvidence {
            key: fingerprint("key", 0),
            revision: 1,
            signed_at: self.run.now,
            window: 5 * time::SECOND,
            request: fingerprint("request", 1),
            ip: fingerprint("ip", 0),
            differs: 0,
            verifier: 1,
            sealed: Vec::new(),
        }));
        self.id = made.withdrawal;
        self.run.say(Command::RequestWithdrawal(Box::new(made)));
        self.made = payment(&self.run.state, BTC.1, &[self.id], &[1]);
        if shown {
            self.run.say(Command::ReportOneTimeCode { account: account(0), withdrawal: self.id });
        }
    }

    fn say_own(&mut self, number: usize) -> Vec<Event> {
        self.run.say(Command::CancelWithdrawal { account: account(number), withdrawal: self.id })
    }

    fn shows(&mut self, status: ChainStatus, confirmations: u32) -> Vec<Event> {
        self.run.say(observe(seen(&self.made, status, confirmations)))
    }

    fn approve(&mut self, signers: &[&str]) -> Vec<Event> {
        let text = self.run.state.text_of(self.id).map_or([0; 32], |text| text.digest().0);
        let act = Act::ApproveWithdrawal { withdrawal: self.id, text: Digest(text) };
        self.run.say(Signing::new(self.run.now, 700, signers).sign(act))
    }

    fn act(&mut self, act: Act) -> Vec<Event> {
        self.run.say(Signing::new(self.run.now, 701, &["alice", "bob"]).sign(act))
    }

    fn status(&self) -> Option<&'static str> {
        self.run.state.withdrawal(self.id).map(|open| open.status().name())
    }

    /// What an answer and the deadlines that are due with it come to.
    fn told(&mut self, events: &[Event]) -> String {
        if let [Event::Refused { refusal, .. }] = events {
            return format!("`{refusal}`");
        }
        if let [Event::Repeated { .. }] = events {
            return "the first answer".to_owned();
        }
        self.run.wait(0);
        match self.status() {
            Some(status) => status.to_owned(),
            None => closing(&self.run, self.id).to_owned(),
        }
    }
}

/// How a withdrawal that left State ended.
fn closing(run: &Run, id: WithdrawalId) -> &'static str {
    let events = run.records.iter().flat_map(|record| &record.events);
    let ends = events.filter_map(|event| match event {
        Event::WithdrawalCancelled { withdrawal } if *withdrawal == id => Some("cancelled"),
        Event::WithdrawalExpired { withdrawal } if *withdrawal == id => Some("expired"),
        Event::WithdrawalDecided { withdrawal, decision }
            if *withdrawal == id && decision.status.is_final() =>
        {
            Some(decision.status.name())
        }
        Event::WithdrawalMoved { withdrawal, status, .. } if *withdrawal == id && status.is_final() => {
            Some(status.name())
        }
        Event::WithdrawalPaid { withdrawal, .. } if *withdrawal == id => Some("paid"),
        _ => None,
    });
    ends.fold("closed", |_, end| end)
}

fn in_line() -> Case {
    let mut case = Case::new(0, false);
    for number in 1..6 {
        let mut made = request(case.run.now, 10 + number, number as usize, BTC, 25_000_000, 100 + number);
        made.evidence = Evidence::Session { one_time_code: true };
        case.run.say(Command::RequestWithdrawal(Box::new(made)));
    }
    case.ask(250, true);
    assert!(case.run.state.withdrawal(case.id).unwrap().queued.is_some());
    case
}

fn halted() -> Case {
    let mut case = Case::new(20, true);
    case.run.say(Command::Halt { scope: Scope::Asset("BTC".parse().unwrap()), by: name("dora") });
    case.run.wait(11 * time::MINUTE);
    case
}

fn held() -> Case {
    let mut case = Case::new(0, false);
    case.run.say(Command::RecordSecurityChange { account: account(0), kind: SecurityChange::Password });
    case.ask(20, false);
    case
}

fn approved() -> Case {
    let mut case = Case::new(20, true);
    case.run.wait(11 * time::MINUTE);
    case
}

/// Released, and what a chain showed of it.
fn on_its_way(shown: Option<(ChainStatus, u32)>) -> Case {
    let mut case = approved();
    case.run.say(propose(&case.made));
    if let Some((status, confirmations)) = shown {
        case.shows(status, confirmations);
    }
    case
}

fn frozen() -> Case {
    let mut case = Case::new(20, true);
    case.run.say(Command::FreezeAccount { account: account(0), by: name("dora") });
    case.run.wait(0);
    case
}

/// Its text is past its time.
fn lapsed() -> Case {
    let mut case = Case::new(20, true);
    case.run.wait(72 * time::HOUR);
    case.run.say(usual_prices());
    case
}

fn closed() -> Case {
    let mut case = Case::new(20, true);
    case.say_own(0);
    case
}

fn document() -> String {
    let mut text = String::from(
        "# A withdrawal's life\n\n\
         Where a withdrawal stands, what happens, and where it stands then; a code in `backticks` is a refusal, which \
         changes nothing. Deadlines that come due with what happened are included: a halt, for example, is followed by \
         the tick that looks at the withdrawal again.\n\n\
         Printed from the code by a test, which also compares it: `HOLDFAST_BLESS=1 cargo test -p holdfast-decision --test \
         model lifecycle` writes it anew. The withdrawal came by a signed API request, to a destination that is new to \
         its account; the policy asks for a one-time code, for a dwell of ten minutes, and for a hold after a change of \
         protection; a line is served for at most 25 minutes before a person looks; a text is good for three days, and \
         then goes back to its owner, who may renew it within three more. Three confirmations are final. Its transaction spends one coin; a chain or a signer that speaks of it before it was \
         released speaks of a theft, and the wallet halts.\n",
    );
    let cell = |stands: fn() -> Case, happens: fn(&mut Case) -> Vec<Event>| {
        let mut case = stands();
        let events = happens(&mut case);
        case.told(&events)
    };
    for part in STANDS.chunks(4) {
        text.push_str("\n| what happens |");
        part.iter().for_each(|(name, _)| text.push_str(&format!(" {name} |")));
        text.push_str("\n|---|");
        part.iter().for_each(|_| text.push_str("---|"));
        for (what, happens) in HAPPENINGS {
            text.push_str(&format!("\n| {what} |"));
            part.iter().for_each(|(_, stands)| text.push_str(&format!(" {} |", cell(*stands, happens))));
        }
        text.push('\n');
    }
    text.push_str(
        "\nWhat is closed leaves State. `denied`, `cancelled`, `expired`, `voided`, `replaced` and `failed` give its place \
         in the windows and its value in the buckets back, once; what is `paid` stays in the windows, and time alone \
         refills what it spent. Once it is released, nobody but its signer and its chain moves it. An approval of the case \
         makes it spend the bound bucket; a freeze holds against it all the same, and asks for the operators again. Its owner's \
         credential makes it spend the bound bucket too, and ends no hold. A text that lapses takes every word that was given \
         for it along; what the withdrawal has reserved it keeps, until it is renewed or expires.\n",
    );
    text
}

#[test]
fn the_lifecycle_document_is_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/lifecycle.md");
    let printed = document();
    if std::env::var_os("HOLDFAST_BLESS").is_some() {
        std::fs::write(&path, &printed).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(printed == written, "docs/lifecycle.md differs; the code says:\n{printed}");
}

#[test]
fn every_case_of_the_lifecycle_stands_where_it_says() {
    for (name, stands) in STANDS {
        let status = stands().status().unwrap_or("closed");
        assert!(name.starts_with(status), "{name} stands at {status}");
    }
    assert!(is_refused(&closed().say_own(0)));
}
