//! A journal on disk whose records are decided by the core, as intake writes them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use holdfast_decision::State;
use holdfast_decision::acts::Act;
use holdfast_decision::command::{Command, PolicySource, Price, SecurityChange};
use holdfast_journal::{Draft, Journal as _, LocalJournal, Snapshots};
use holdfast_values::{CaseId, WithdrawalId, time};

use crate::world::{World, account, destination, destination_key, name};

/// A directory that goes away with its value.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("holdfast-follow-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

/// A pack with one policy of each degree.
pub(crate) fn policy() -> PolicySource {
    let text = r#"
@id("open")
permit (principal, action == Action::"withdraw", resource);
@id("new-destination") @outcome("dwell") @for("10m") @reason("first_withdrawal_to_address")
forbid (principal, action == Action::"withdraw", resource) when { !context.destination.known };
@id("code") @outcome("step_up") @factor("one_time_code") @reason("amount_needs_code")
forbid (principal, action == Action::"withdraw", resource)
when { context.amount_usd_cents > 1000000 } unless { context.approval.one_time_code };
@id("large") @outcome("hold") @reason("large_amount")
forbid (principal, action == Action::"withdraw", resource) when { context.amount_usd_cents > 5000000 };
@id("limit") @outcome("deny") @reason("over_daily_limit")
forbid (principal, action == Action::"withdraw", resource) when { context.account.over_limit_24h };
"#;
    let compiled = holdfast_cedar::compile_pack(&[("main.cedar".to_owned(), text.to_owned())]).unwrap();
    PolicySource {
        hash: compiled.hash,
        files: compiled.files.clone(),
        program: compiled.program.to_bytes(),
        compiler: None,
    }
}

/// A world whose records are in a journal.
pub(crate) struct Books {
    pub(crate) dir: Dir,
    pub(crate) journal: LocalJournal,
    pub(crate) world: World,
    written: usize,
}

impl Books {
    pub(crate) fn new() -> Self {
        let dir = Dir::new();
        let journal = LocalJournal::create(dir.path()).unwrap();
        let mut books = Self { dir, journal, world: World::new(policy()), written: 0 };
        books.write();
        books
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn head(&self) -> u64 {
        self.journal.head().sequence
    }

    /// Writes what the world has been told since the last time, as one group.
    pub(crate) fn write(&mut self) {
        // Rules and policy are those in force before each record, so they are followed from the beginning.
        let mut state = State::new();
        let mut group = Vec::new();
        for (place, (at, command, events)) in self.world.records.iter().enumerate() {
            if place >= self.written {
                group.push(Draft {
                    time: at.0,
                    rules: state.rules(),
                    policy: state.policy_hash(),
                    command: minicbor::to_vec(command).unwrap(),
                    events: minicbor::to_vec(events).unwrap(),
                });
            }
            holdfast_decision::fold(&mut state, place as u64 + 1, *at, events);
        }
        self.journal.append(&group).unwrap();
        self.written = self.world.records.len();
    }

    /// An account with history whose destination `old` is aged and noticed.
    pub(crate) fn customer(&mut self, id: &str) {
        self.world.customer(id, "full", 90 * time::DAY, &["old"], &["key"].map(|_| id));
    }

    pub(crate) fn id(&self, label: &str) -> WithdrawalId {
        self.world.ids[label]
    }

    /// Takes a snapshot and records it.
    pub(crate) fn snapshot(&mut self) {
        self.write();
        let mut body = Vec::new();
        self.world.state.encode(&mut body);
        let head = self.journal.head();
        let state_hash = Snapshots::new(self.path()).write(head, &body).unwrap();
        self.world.say(Command::RecordSnapshot { sequence: head.sequence, state_hash });
        self.write();
    }

    /// A day with something of everything: approvals, dwells, codes, holds, denials, cases, halts, notices.
    pub(crate) fn ordinary_day(&mut self) {
        self.until_texts_lapse();
        self.world.wait(8 * time::DAY);
        self.write();
    }

    /// The same, until every text that is left is past its time and may be renewed.
    pub(crate) fn until_texts_lapse(&mut self) {
        self.customer("ac_1");
        self.customer("ac_2");
        let world = &mut self.world;
        world.withdraw("small", "ac_1", "BTC", "0.01", "old");
        world.withdraw("dwells", "ac_1", "BTC", "0.02", "fresh");
        world.withdraw("code", "ac_1", "BTC", "2", "old");
        world.withdraw("held", "ac_1", "BTC", "9", "old");
        world.withdraw("refused", "ac_2", "BTC", "9", "other");
        world.withdraw("huge", "ac_2", "BTC", "1000", "old");
        world.withdraw("unknown", "ac_none", "BTC", "1", "old");
        world.say(Command::ReportOneTimeCode { account: account("ac_1"), withdrawal: world.ids["code"] });
        world.wait(11 * time::MINUTE);
        world.act(Act::ApproveCase(CaseId(world.ids["held"].0)), &["alice", "bob"]);
        world.say(Command::DenyWithdrawal { withdrawal: world.ids["refused"], by: name("desk") });
        world.withdraw("taken-back", "ac_2", "ETH", "1", "fresh");
        world
            .say(Command::CancelWithdrawal { account: account("ac_2"), withdrawal: world.ids["taken-back"] });
        let book = destination_key(&destination(holdfast_values::Network::Bitcoin, "booked"));
        world.say(Command::AddAddress { account: account("ac_2"), destination: book });
        world.say(Command::RecordNoticeDelivered { account: account("ac_2"), destination: book });
        world.say(Command::RecordSecurityChange { account: account("ac_2"), kind: SecurityChange::Password });
        world.say(Command::FreezeAccount { account: account("ac_2"), by: name("desk") });
        world.say(Command::Halt { scope: holdfast_decision::command::Scope::Overall, by: name("desk") });
        world.withdraw("halted", "ac_1", "BTC", "0.01", "old");
        world.act(Act::Resume(holdfast_decision::command::Scope::Overall), &["alice", "carol"]);
        world.act(Act::UnfreezeAccount(account("ac_2")), &["alice"]);
        self.world.wait(8 * time::DAY);
        self.write();
    }

    /// Random commands, deterministic in the seed: many of them refused.
    pub(crate) fn traffic(&mut self, seed: u64, commands: usize) {
        let mut random = Random(seed);
        for number in 0..commands {
            let id = format!("ac_{}", random.below(6));
            let label = format!("r{number}");
            match random.below(14) {
                0 => drop(self.world.say(Command::OpenAccount { account: account(&id), tier: name("full") })),
                1 => self.world.now = self.world.now.plus(random.below(3 * time::HOUR)),
                2 => {
                    let to = destination(holdfast_values::Network::Bitcoin, &format!("d{}", random.below(4)));
                    let destination = destination_key(&to);
                    self.world.say(Command::AddAddress { account: account(&id), destination });
                    self.world.say(Command::RecordNoticeDelivered { account: account(&id), destination });
                }
                3 => {
                    let kind = SecurityChange::Recovery;
                    self.world.say(Command::RecordSecurityChange { account: account(&id), kind });
                }
                4 => {
                    let known: Vec<WithdrawalId> = self.world.ids.values().copied().collect();
                    if let Some(withdrawal) = known.get(random.below(known.len().max(1) as u64) as usize) {
                        let (withdrawal, account) = (*withdrawal, account(&id));
                        self.world.say(match random.below(3) {
                            0 => Command::CancelWithdrawal { account, withdrawal },
                            1 => Command::ReportOneTimeCode { account, withdrawal },
                            _ => Command::DenyWithdrawal { withdrawal, by: name("desk") },
                        });
                    }
                }
                5 => {
                    self.world.wait(random.below(time::DAY));
                    let prices = vec![Price { asset: "BTC".parse().unwrap(), micro_usd: 5_900_000_000 }];
                    self.world.say(Command::SetPrices { prices });
                }
                6 => {
                    let known: Vec<WithdrawalId> = self.world.ids.values().copied().collect();
                    if let Some(id) = known.get(random.below(known.len().max(1) as u64) as usize) {
                        self.world.act(Act::ApproveCase(CaseId(id.0)), &["alice", "bob"]);
                    }
                }
                7 | 8 => {
                    let micro_usd = 5_000_000_000 + random.below(2_000_000_000);
                    let asset = "BTC".parse().unwrap();
                    let prices = vec![Price { asset, micro_usd }];
                    self.world.say(Command::SetPrices { prices });
                }
                _ => {
                    let amount = format!("0.{:03}", 1 + random.below(900));
                    let to = format!("d{}", random.below(4));
                    self.world.withdraw(&label, &id, "BTC", &amount, &to);
                }
            }
        }
        self.write();
    }
}

/// Small, fixed and good enough to draw commands with.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}
