//! The recount of every policy that ever decided, over a journal of the core with real signatures, and over the same one
//! edited by somebody who can make everything in it but operators' signatures.

use holdfast_decision::acts::{Act, PolicyProposal, PolicyTightening};
use holdfast_decision::command::{
    Command, Initialise, OperatorAct, OperatorKey, OperatorSignature, PolicySource, Price, TokenScopes,
    TokenSpec,
};
use holdfast_decision::event::{Event, Events, PolicyMove};
use holdfast_decision::{RULES_LATEST, State, decide, fold, next_deadline};
use holdfast_journal::Record;
use holdfast_server::history::{Era, History};
use holdfast_values::{OperatorProof, OperatorPublicKey, TextDigest, Timestamp, time};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::world::{self, START, name};

const BASE: &str = "@id(\"all\") permit (principal, action, resource);";
const STOP: &str = "@id(\"stop\") @outcome(\"deny\") @reason(\"stopped\")
forbid (principal, action == Action::\"withdraw\", resource);";
const TWO: [&str; 2] = ["bob", "carol"];

fn pack(files: &[(&str, &str)]) -> PolicySource {
    let files: Vec<(String, String)> =
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let compiled = holdfast_cedar::compile_pack(&files).unwrap();
    PolicySource {
        hash: compiled.hash,
        files: compiled.files.clone(),
        program: compiled.program.to_bytes(),
        compiler: Some(holdfast_cedar::COMPILER),
    }
}

fn base() -> PolicySource {
    pack(&[("all.cedar", BASE)])
}

fn wide() -> PolicySource {
    pack(&[("all.cedar", &BASE.replace("all", "wide"))])
}

fn tight() -> PolicySource {
    pack(&[("all.cedar", &BASE.replace("all", "wide")), ("stop.cedar", STOP)])
}

fn pair(of: &str) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(blake3::hash(of.as_bytes()).as_bytes()).unwrap()
}

fn operator(of: &str) -> OperatorKey {
    let key = pair(of).public_key().as_ref().try_into().unwrap();
    OperatorKey { name: name(of), public_key: OperatorPublicKey::Ed25519(key) }
}

fn sign(text: &str, signers: &[&str]) -> Vec<OperatorSignature> {
    let digest = TextDigest::of(text.as_bytes());
    let sign = |of: &&str| {
        let signature = pair(of).sign(&digest.0).as_ref().try_into().unwrap();
        OperatorSignature { operator: operator(of), signature: OperatorProof::Ed25519(signature) }
    };
    signers.iter().map(sign).collect()
}

/// A journal, as it is written and as it can be edited.
#[derive(Clone)]
struct Book {
    state: State,
    now: Timestamp,
    records: Vec<(Timestamp, Command, Events)>,
    nonce: u64,
}

impl Book {
    fn new() -> Self {
        let mut book = Self { state: State::new(), now: START, records: Vec::new(), nonce: 0 };
        book.say(Command::Initialise(Box::new(Initialise {
            exchange: world::EXCHANGE.to_owned(),
            simulated_clock: false,
            operators: ["alice", "bob", "carol"].map(operator).into(),
            configuration: world::configuration(),
            policy: base(),
            token: TokenSpec { client: name("first"), token_hash: [7; 32], scopes: TokenScopes::READ },
            rules: Some(RULES_LATEST),
        })));
        let prices = vec![Price { asset: "BTC".parse().unwrap(), micro_usd: 5_900_000_000 }];
        book.say(Command::SetPrices { prices });
        book.wait(2 * time::HOUR);
        book
    }

    fn say(&mut self, command: Command) -> Events {
        let mut events = Events::new();
        decide(&self.state, self.now, &command, &mut events);
        assert!(!matches!(events[..], [Event::Refused { .. }]), "{events:?}");
        let sequence = self.state.sequence() + 1;
        fold(&mut self.state, sequence, self.now, &events);
        self.records.push((self.now, command, events.clone()));
        events
    }

    fn wait(&mut self, span: u64) {
        let end = self.now.plus(span);
        while let Some(due) = next_deadline(&self.state).filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.say(Command::Tick);
        }
        self.now = end;
    }

    fn act(&mut self, act: Act, signers: &[&str]) {
        self.nonce += 1;
        let text = world::act_text(&act, self.now, self.nonce);
        let signatures = sign(&text, signers);
        self.say(Command::OperatorAct(Box::new(OperatorAct { text, signatures, act })));
    }

    fn propose(&mut self, source: PolicySource) {
        let (reason, report) = ("Because.".to_owned(), "{}".to_owned());
        let from = self.state.policy_hash();
        self.act(Act::ProposePolicy(Box::new(PolicyProposal { source, from, reason, report })), &["alice"]);
    }

    fn approve(&mut self, hash: [u8; 32], signers: &[&str]) {
        let from = self.state.policy_hash();
        self.act(Act::ApprovePolicy { hash, from, author: name("alice") }, signers);
    }

    /// Loosened, tightened and restored.
    fn whole() -> Self {
        let mut book = Self::new();
        book.propose(wide());
        book.approve(wide().hash, &TWO);
        book.wait(25 * time::HOUR);
        let from = book.state.policy_hash();
        assert_eq!(from, wide().hash);
        book.act(Act::TightenPolicy(Box::new(PolicyTightening { source: tight(), from })), &["carol"]);
        book.wait(time::HOUR);
        book.act(Act::RestorePolicy { hash: from, from: tight().hash }, &["alice", "bob"]);
        book
    }

    fn records(&self) -> Vec<Record> {
        let mut state = State::new();
        let each = self.records.iter().enumerate().map(|(place, (at, command, events))| {
            let sequence = place as u64 + 1;
            let record = Record {
                sequence,
                time: at.0,
                rules: state.rules(),
                policy: state.policy_hash(),
                command: minicbor::to_vec(command).unwrap(),
                events: minicbor::to_vec(events).unwrap(),
                previous: [0; 32],
                hash: [0; 32],
            };
            fold(&mut state, sequence, *at, events);
            record
        });
        each.collect()
    }

    fn eras(&self) -> Vec<Era> {
        read(&self.records())
    }

    /// The place of the first record with such an event.
    fn place(&self, is_it: impl Fn(&Event) -> bool) -> usize {
        self.records.iter().position(|(_, _, events)| events.iter().any(&is_it)).unwrap()
    }

    fn insert(&mut self, place: usize, events: Events) {
        let at = self.records[place].0;
        self.records.insert(place, (at, Command::Tick, events));
    }

    fn moved(&mut self, number: usize) -> &mut PolicyMove {
        let moves =
            self.records.iter_mut().flat_map(|(_, _, events)| events).filter_map(|event| match event {
                Event::PolicyMoved(moved) => Some(&mut **moved),
                _ => None,
            });
        moves.into_iter().nth(number).unwrap()
    }

    fn source(&mut self, number: usize) -> &mut PolicySource {
        let brought = self.records.iter_mut().flat_map(|(_, _, events)| events);
        let sources = brought.filter_map(|event| match event {
            Event::PolicyActivated(source) => Some(&mut **source),
            _ => None,
        });
        sources.into_iter().nth(number).unwrap()
    }
}

fn read(records: &[Record]) -> Vec<Era> {
    let mut history = History::default();
    records.iter().for_each(|record| history.take(record).unwrap());
    history.eras().to_vec()
}

fn is_scheduled(event: &Event) -> bool {
    matches!(event, Event::ActScheduled(_))
}

fn is_moved(event: &Event) -> bool {
    matches!(event, Event::PolicyMoved(_))
}

#[test]
fn a_journal_of_the_core_is_verified_through_suspicion_downtime_and_other_operators() {
    let eras = Book::whole().eras();
    let told: Vec<_> = eras.iter().map(|era| (era.how.as_str(), era.counted, era.needed)).collect();
    assert_eq!(told, [("initial", 0, 0), ("approved", 2, 2), ("tightened", 1, 1), ("restored", 2, 2)]);
    assert!(eras.iter().all(|era| era.verified && era.problems.is_empty()), "{eras:#?}");
    assert!(eras[1].accepted.as_ref().unwrap() < &eras[1].since);

    let mut book = Book::new();
    book.act(Act::EnrolOperator(operator("dave")), &["alice", "bob"]);
    book.wait(60 * time::HOUR);
    book.propose(wide());
    book.approve(wide().hash, &["bob", "dave"]);
    book.wait(time::HOUR);
    book.say(Command::SuspectClock { step: 3 * time::HOUR });
    book.wait(7 * time::HOUR);
    book.act(Act::ConfirmClock, &["alice", "bob"]);
    book.now = book.now.plus(5 * time::HOUR);
    book.say(Command::Start);
    book.act(Act::RevokeOperator(name("carol")), &["alice", "bob"]);
    book.wait(22 * time::HOUR);
    assert_eq!(book.eras().len(), 1, "neither hour counts");
    book.wait(2 * time::HOUR);
    let eras = book.eras();
    assert_eq!(eras.len(), 2);
    assert!(eras[1].verified, "{:#?}", eras[1]);

    // Of two hands one is the author's: it is shown, and does not count.
    let mut book = Book::new();
    book.propose(wide());
    book.approve(wide().hash, &["alice", "bob", "carol"]);
    book.wait(25 * time::HOUR);
    let era = &book.eras()[1];
    let counts: Vec<bool> = era.approvals.iter().map(|signed| signed.counts).collect();
    assert_eq!((era.verified, era.counted, counts), (true, 2, vec![false, true, true]));
}

#[test]
fn while_a_house_is_set_up_nothing_waits_and_that_is_no_fault() {
    let mut book = Book::new();
    book.records.truncate(1);
    let mut young = Book { state: State::new(), now: START, nonce: 0, ..book };
    fold(&mut young.state, 1, START, &young.records[0].2);
    young.propose(wide());
    young.approve(wide().hash, &TWO);
    let eras = young.eras();
    assert!(eras.len() == 2 && eras[1].verified, "{eras:#?}");
    // The same two hours later did not wait.
    let late = START.plus(2 * time::HOUR);
    young.records.iter_mut().skip(1).for_each(|(at, _, _)| *at = late);
    assert!(young.eras()[1].problems.contains(&"it did not wait at all".to_owned()));
}

#[test]
fn whatever_is_edited_is_named() {
    type Edit = fn(&mut Book);
    let table: [(&str, usize, &str, Edit); 18] = [
        ("a signature", 1, "the signature of bob is not good", |book| {
            book.moved(0).approval.signatures[0].signature = OperatorProof::Ed25519([9; 64]);
        }),
        ("the author's hand for another", 1, "1 of 2 operators counted", |book| {
            let text = book.moved(0).approval.text.clone();
            book.moved(0).approval.signatures = sign(&text, &["alice", "bob"]);
        }),
        ("one hand twice", 1, "1 of 2 operators counted", |book| {
            let text = book.moved(0).approval.text.clone();
            book.moved(0).approval.signatures = sign(&text, &["bob", "bob"]);
        }),
        ("a stranger's key under a name", 1, "the signature of carol is not good", |book| {
            let text = book.moved(0).approval.text.clone();
            let mut signatures = sign(&text, &["bob", "mallory"]);
            signatures[1].operator.name = name("carol");
            book.moved(0).approval.signatures = signatures;
        }),
        ("an hour for a day", 1, "it waited 3600 s, not the 86400 s", |book| {
            let from = book.records[book.place(is_scheduled)].0;
            let place = book.place(is_moved);
            book.records[place].0 = from.plus(time::HOUR);
        }),
        ("no proposal", 1, "no open proposal of its author", |book| {
            let place = book.place(|event| matches!(event, Event::PolicyProposed(_)));
            book.records.remove(place);
        }),
        ("a forged proposal", 1, "the signature under its proposal is not good", |book| {
            let place = book.place(|event| matches!(event, Event::PolicyProposed(_)));
            for event in &mut book.records[place].2 {
                if let Event::PolicyProposed(opened) = event {
                    opened.approval.signatures[0].signature = OperatorProof::Ed25519([1; 64]);
                }
            }
        }),
        ("no approval", 1, "not accepted by any record", |book| {
            let place = book.place(is_scheduled);
            book.records.remove(place);
        }),
        ("stopped", 1, "was stopped", |book| {
            let place = book.place(is_scheduled);
            let Event::ActScheduled(act) = book.records[place].2.iter().find(|e| is_scheduled(e)).unwrap()
            else {
                return;
            };
            let stopped = Event::ActStopped { nonce: act.nonce, by: name("desk") };
            book.insert(place + 1, vec![stopped]);
        }),
        ("revoked meanwhile", 1, "the signature of bob is not good", |book| {
            let place = book.place(is_moved);
            book.insert(place, vec![Event::OperatorRevoked(name("bob"))]);
        }),
        ("enrolled yesterday", 1, "1 of 2 operators counted", |book| {
            let place = book.place(is_moved);
            let bob = Event::OperatorEnrolled(operator("bob"));
            book.insert(place, vec![Event::OperatorRevoked(name("bob")), bob]);
        }),
        ("another text", 1, "its text has `act: tighten_policy`", |book| {
            let of_another = book.moved(1).approval.clone();
            book.moved(0).approval = of_another;
        }),
        ("other files", 1, "its files have another hash", |book| {
            book.source(0).files[0].1.push_str("// more");
        }),
        ("another program under the same text", 1, "its program is not what its files compile to", |book| {
            let program = another_program();
            book.source(0).program = program;
        }),
        ("a loosening called tighter", 2, "it does not tighten: more.cedar:1", |book| {
            let loose = pack(&[("all.cedar", &BASE.replace("all", "wide")), ("more.cedar", BASE)]);
            let act = Act::TightenPolicy(Box::new(PolicyTightening {
                source: loose.clone(),
                from: book.moved(1).from,
            }));
            let text = world::act_text(&act, START, 77);
            *book.source(1) = loose.clone();
            let moved = book.moved(1);
            moved.hash = loose.hash;
            moved.approval.signatures = sign(&text, &["carol"]);
            moved.approval.text = text;
        }),
        ("restored by one", 3, "1 of 2 operators counted", |book| {
            book.moved(2).approval.signatures.pop();
        }),
        ("restored too late", 3, "left in the 72 hours before", |book| {
            let last = book.records.len() - 1;
            book.records[last].0 = book.records[last].0.plus(73 * time::HOUR);
        }),
        ("a word used twice", 4, "its text was used before", |book| {
            let place = book.records.len() - 1;
            let again = book.records[place].clone();
            book.records.push(again);
        }),
    ];
    for (what, era, problem, edit) in table {
        let mut book = Book::whole();
        edit(&mut book);
        let eras = book.eras();
        assert!(!eras[era].verified, "{what}");
        let problems = &eras[era].problems;
        assert!(problems.iter().any(|said| said.contains(problem)), "{what}: {problems:?}");
        assert!(eras[..era].iter().all(|era| era.verified), "{what}: the others are as they were");
    }
}

/// The base's program, under the hash of the policy that was approved: it lets through what the approved text does not say.
fn another_program() -> Vec<u8> {
    let (mut program, from, to) = (base().program, base().hash, wide().hash);
    let place = program.windows(32).position(|window| window == from).unwrap();
    program[place..place + 32].copy_from_slice(&to);
    assert!(
        holdfast_policy::Program::from_bytes(&program).unwrap().hash() == to && program != wide().program
    );
    program
}

#[test]
fn a_program_of_another_compiler_is_told_and_called_no_forgery() {
    let of = |compiler: Option<u32>, program: Vec<u8>| {
        let mut book = Book::whole();
        (book.source(0).compiler, book.source(0).program) = (compiler, program);
        let era = &book.eras()[1];
        (era.program.clone(), era.verified, era.compiler)
    };
    let this = holdfast_cedar::COMPILER;
    for compiler in [None, Some(this), Some(this + 1)] {
        assert_eq!(of(compiler, wide().program), ("same".to_owned(), true, compiler));
    }
    for compiler in [None, Some(this + 1)] {
        assert_eq!(of(compiler, another_program()), ("other_compiler".to_owned(), true, compiler));
    }
    assert_eq!(of(Some(this), another_program()), ("other".to_owned(), false, Some(this)));
}

#[test]
fn a_policy_that_came_in_a_record_of_something_else_or_in_none_is_found() {
    let mut book = Book::whole();
    // In the record of the prices.
    book.records[1].2.push(Event::PolicyActivated(Box::new(wide())));
    let eras = book.eras();
    assert_eq!((eras[1].sequence, eras[1].how.as_str(), eras[1].verified), (2, "activated", false));
    assert!(eras[1].problems.contains(&"no operator signed for it".to_owned()), "{:?}", eras[1].problems);

    // In no record at all: State was edited, and what came after was decided by it.
    let mut records = Book::whole().records();
    let end = records.len();
    records[end - 2].policy = [0xbb; 32];
    let eras = read(&records);
    let stray = eras.iter().find(|era| era.how == "unknown").unwrap();
    assert_eq!((stray.hash.as_str(), stray.verified), ("bb".repeat(32).as_str(), false));
    assert_eq!(stray.sequence, records[end - 2].sequence);
}
