//! Core and model side by side while policies are proposed, approved, stopped, tightened and restored, well and badly, amid
//! traffic, downtime and suspicion; by whatever decides then.

use std::collections::BTreeMap;

use holdfast_decision::acts::{Act, Digest, PolicyProposal, PolicyTightening};
use holdfast_decision::command::{Command, PolicySource};
use holdfast_decision::event::Event;
use holdfast_decision::{RULES_LATEST, State};
use holdfast_policy::expr::{Comparison, Expr};
use holdfast_policy::facts::{Action, Fact};
use holdfast_policy::outcome::Degree;
use holdfast_policy::program::{Effect, Policy, PolicyMeta, Program};
use holdfast_values::{Name, Timestamp, pack_hash, time};

use crate::compare::{Pair, told};
use crate::play::Play;
use crate::random::{Announce, seeds};
use crate::world::{configuration, name, policies};

/// Above which value in US cents a person looks.
const LIMITS: [u64; 5] = [400_000, 900_000, 1_500_000, 3_000_000, 60_000_000];
const SLOW: (&str, &str) = (
    "slow.cedar",
    "@id(\"slow\") @outcome(\"dwell\") @for(\"20m\") @reason(\"slowed\")\nforbid (principal, action, resource);\n",
);
/// What no tightening may bring: a permit, whatever the program makes of it.
const FREE: (&str, &str) = ("free.cedar", "@id(\"free\") permit (principal, action, resource);\n");

/// A pack with one number that may fall, and further files; its program does what the files say.
fn pack(limit: u64, others: &[(&str, &str)]) -> PolicySource {
    let base = format!(
        "@id(\"open\") permit (principal, action, resource);\n@id(\"large\") @outcome(\"hold\") @reason(\"over_the_limit\")\n\
         @tighter(\"amount_usd_cents lower\")\nforbid (principal, action, resource)\n\
         when {{ context.amount_usd_cents > {limit} }};\n"
    );
    let mut files = vec![("base.cedar".to_owned(), base)];
    files.extend(others.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
    files.sort();
    let forbid = |id: &str, degree, reason: &str, condition| Policy {
        meta: PolicyMeta {
            id: id.into(),
            effect: Effect::Forbid { degree, reason: reason.into() },
            actions: Action::Withdraw.bit(),
        },
        condition,
    };
    let mut rules = policies();
    let over = Box::new([Expr::Fact(Fact::AmountUsdCents), Expr::Long(limit as i64)]);
    rules.push(forbid("large", Degree::Hold, "over_the_limit", Expr::Compare(Comparison::Greater, over)));
    if others.contains(&SLOW) {
        rules.push(forbid("slow", Degree::Dwell(20 * time::MINUTE), "slowed", Expr::Bool(true)));
    }
    let hash = pack_hash(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    PolicySource { hash, program: Program::new(hash, rules).unwrap().to_bytes(), files, compiler: None }
}

/// Random acts about policies, aimed at what stands in State.
struct Governors {
    play: Play,
}

impl Governors {
    fn someone(&mut self) -> &'static str {
        self.play.random.pick(&["alice", "bob", "carol", "dave"])
    }

    /// So many different hands, and now and then one of them twice.
    fn several(&mut self, number: usize) -> Vec<&'static str> {
        let mut all = vec!["alice", "bob", "carol", "dave"];
        while all.len() > number {
            let place = self.play.random.below(all.len() as u64) as usize;
            all.remove(place);
        }
        if self.play.random.one_in(15) {
            all[0] = all[number - 1];
        }
        all
    }

    fn any_pack(&mut self) -> PolicySource {
        let limit = self.play.random.pick(&LIMITS);
        let others: &[_] = match self.play.random.below(5) {
            0..3 => &[],
            3 => &[SLOW],
            _ => &[FREE],
        };
        self.maybe_spoilt(pack(limit, others))
    }

    fn maybe_spoilt(&mut self, mut source: PolicySource) -> PolicySource {
        if self.play.random.one_in(25) {
            source.files[0].1.push_str("// not what was hashed\n");
        }
        source
    }

    /// The policy that decides; seldom another.
    fn from(&mut self, state: &State) -> [u8; 32] {
        if self.play.random.one_in(10) {
            self.play.random.pick(&[[1; 32], [2; 32]])
        } else {
            state.policy_hash()
        }
    }

    fn next(&mut self, state: &State, now: Timestamp) -> Command {
        let (act, signers) = match self.play.random.below(100) {
            0..26 => {
                let reason = if self.play.random.one_in(20) { String::new() } else { "Because.".to_owned() };
                let source = self.any_pack();
                let from = self.from(state);
                let proposal = PolicyProposal { source, from, reason, report: "{}".to_owned() };
                let hands = if self.play.random.one_in(15) { 2 } else { 1 };
                (Act::ProposePolicy(Box::new(proposal)), self.several(hands))
            }
            26..58 => self.approve(state),
            58..72 => self.tighten(state),
            72..86 => {
                let left: Vec<_> = state.bases_left().map(|base| base.source.hash).collect();
                let hash = match self.play.random.below(8) {
                    0 => self.any_pack().hash,
                    _ if left.is_empty() => state.policy_base_hash(),
                    _ => self.play.random.pick(&left),
                };
                let hands = if self.play.random.one_in(6) { 1 } else { 2 };
                (Act::RestorePolicy { hash, from: self.from(state) }, self.several(hands))
            }
            86..91 => {
                let act = self.what_stands(state);
                if self.play.random.one_in(2) {
                    return Command::StopAct { act, by: name("dora") };
                }
                (Act::StopAct(act), self.several(1))
            }
            91..94 => (Act::RevokeOperator(name(self.someone())), self.several(2)),
            94..98 => (Act::EnrolOperator(crate::world::operator(self.someone())), self.several(2)),
            98 => return Command::SuspectClock { step: time::HOUR },
            _ => return Command::Start,
        };
        if state.is_clock_suspect() && self.play.random.one_in(3) {
            return self.play.signed_by(Act::ConfirmClock, now, &["alice", "bob", "carol"]);
        }
        self.play.signed_by(act, now, &signers)
    }

    fn approve(&mut self, state: &State) -> (Act, Vec<&'static str>) {
        let open: Vec<_> = state.proposals().collect();
        let (mut hash, mut from, mut author): ([u8; 32], [u8; 32], Name) =
            (state.policy_hash(), state.policy_hash(), name("alice"));
        if !open.is_empty() {
            let place = self.play.random.below(open.len() as u64) as usize;
            let opened = &open[place].opened;
            (hash, from) = (opened.proposal.source.hash, opened.proposal.from);
            author = opened.author.clone();
        }
        match self.play.random.below(24) {
            0 => hash = [3; 32],
            1 => from = [4; 32],
            2 => author = name(self.someone()),
            _ => {}
        }
        let hands = if self.play.random.one_in(4) { 3 } else { 2 };
        let mut signers = self.several(hands);
        // Mostly those whose hands count.
        if !self.play.random.one_in(4) {
            signers = ["alice", "bob", "carol"].into_iter().filter(|one| *one != author.as_str()).collect();
        }
        (Act::ApprovePolicy { hash, from, author }, signers)
    }

    /// What decides, with less let through; now and then with more.
    fn tighten(&mut self, state: &State) -> (Act, Vec<&'static str>) {
        let files = &state.policy().files;
        let has = |name: &str| files.iter().any(|file| file.0 == name);
        let now =
            LIMITS.iter().position(|limit| files.iter().any(|file| file.1.contains(&format!("> {limit} "))));
        let place = match (self.play.random.below(6), now.unwrap_or(0)) {
            (0, _) => self.play.random.below(5) as usize,
            (1 | 2, place) => place,
            (_, place) => place.saturating_sub(1),
        };
        let mut others = Vec::new();
        if has(FREE.0) != self.play.random.one_in(12) {
            others.push(FREE);
        }
        if (has(SLOW.0) && !self.play.random.one_in(8)) || self.play.random.one_in(4) {
            others.push(SLOW);
        }
        let source = self.maybe_spoilt(pack(LIMITS[place], &others));
        let tighter = PolicyTightening { source, from: self.from(state) };
        (Act::TightenPolicy(Box::new(tighter)), self.several(1))
    }

    fn what_stands(&mut self, state: &State) -> Digest {
        let waiting = state.scheduled_acts().map(|waiting| waiting.scheduled.nonce);
        let all: Vec<_> = waiting.chain(state.proposals().map(|open| open.opened.nonce)).collect();
        if all.is_empty() || self.play.random.one_in(8) {
            Digest([6; 32])
        } else {
            self.play.random.pick(&all)
        }
    }

    fn gap(&mut self) -> u64 {
        let random = &mut self.play.random;
        let seconds = match random.below(100) {
            0..35 => random.below(60),
            35..70 => random.below(40 * 60),
            70..93 => random.below(5 * 3_600),
            93..99 => random.below(30 * 3_600),
            _ => random.below(8 * 24 * 3_600),
        };
        seconds * time::SECOND
    }
}

/// What must have come up, and how often at least.
const MET: [(&str, u32); 25] = [
    ("proposed", 200),
    ("approved", 60),
    ("tightened", 60),
    ("restored", 40),
    ("scheduled", 100),
    ("took effect", 60),
    ("act stopped", 20),
    ("taken back", 10),
    ("closed by itself", 5),
    ("superseded", 60),
    ("activated", 60),
    ("policy_superseded", 40),
    ("proposal_invalid", 20),
    ("proposal_exists", 10),
    ("proposal_unknown", 20),
    ("policy_invalid", 20),
    ("nothing_to_change", 10),
    ("policy_not_tighter", 20),
    ("base_unknown", 20),
    ("act_unknown", 10),
    ("signatures_insufficient", 100),
    ("too_many", 5),
    ("text_used", 5),
    ("over_the_limit", 50),
    ("slowed", 50),
];

#[test]
fn model_and_core_agree_on_whose_word_moves_the_policy_and_decide_by_the_one_that_it_moved_to() {
    let seeds = seeds(160);
    let mut times = BTreeMap::<String, u32>::new();
    for seed in &seeds {
        let _announce = Announce(*seed);
        let mut play = Play::new(*seed, true);
        play.is_settled = true;
        let mut pair = Pair::new();
        let mut house = configuration();
        house.parameters.loosening_delay = Some(3 * time::HOUR);
        for mut command in play.opening() {
            if let Command::Initialise(first) = &mut command {
                first.rules = Some(RULES_LATEST);
                first.configuration = house.clone();
                first.policy = pack(LIMITS[3], &[]);
            }
            pair.say(command);
        }
        let mut governors = Governors { play };
        for _ in 0..180 {
            let gap = governors.gap();
            pair.wait(gap);
            let (state, now) = (&pair.run.state, pair.run.now);
            let is_traffic = governors.play.random.below(10) < 4;
            let command =
                if is_traffic { governors.play.next(state, now) } else { governors.next(state, now) };
            pair.say(command);
        }
        for event in pair.run.records.iter().flat_map(|record| &record.events) {
            *times.entry(told(event).to_owned()).or_default() += 1;
            let Event::WithdrawalDecided { decision, .. } = event else { continue };
            for reason in &decision.reasons {
                *times.entry(reason.code.clone()).or_default() += 1;
            }
        }
    }
    let few = MET.iter().filter(|(what, least)| times.get(*what).is_none_or(|times| times < least));
    let few: Vec<_> = few.map(|(what, _)| (what, times.get(*what))).collect();
    assert!(few.is_empty() || seeds.len() < 160, "{few:?} came up too seldom: {times:?}");
}
