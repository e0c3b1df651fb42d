//! A small town for stories: entries written by hand, and what the log says of them.

#![expect(clippy::unwrap_used, reason = "a town that cannot be built fails its story")]

use std::path::{Path, PathBuf};

use holdfast_decision::command::PolicySource;
use holdfast_simulator::exchange::Exchange;
use holdfast_simulator::format::{Body, Channel, Entry, Facts, To};
use holdfast_simulator::log::{Line, What};
use holdfast_simulator::play::{Answer, Play, Seen};
use holdfast_values::{Timestamp, time};

/// 2026-03-02T00:00:00Z, a Monday.
pub(crate) const START: Timestamp = Timestamp(1_772_409_600 * time::SECOND);

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn pack(directory: &str) -> PolicySource {
    let pack = holdfast_cedar::load_dir(root().join("policies").join(directory)).unwrap();
    PolicySource {
        hash: pack.hash,
        files: pack.files.clone(),
        program: pack.program.to_bytes(),
        compiler: None,
    }
}

pub(crate) fn permit_all() -> PolicySource {
    let program = holdfast_policy::Program::permit_all();
    PolicySource { hash: program.hash(), files: Vec::new(), program: program.to_bytes(), compiler: None }
}

/// An exchange in which owners never notice and analysts are never wrong, so that a story has one cause.
pub(crate) fn exchange() -> Exchange {
    Exchange { analyst_error_permille: 0, owners_who_notice_permille: 0, ..Exchange::default() }
}

pub(crate) fn bitcoin(word: &str) -> To {
    let hash = blake3::hash(word.as_bytes());
    let address = bech32::segwit::encode_v0(bech32::hrp::BC, &hash.as_bytes()[..20]).unwrap();
    To { network: "bitcoin".into(), address: address.into(), memo: None }
}

pub(crate) fn home(account: &str) -> Facts {
    Facts {
        device: Some(format!("device of {account}").into()),
        ip: Some("203.0.113.7".into()),
        user_agent: Some("Mozilla/5.0".into()),
        tls: Some("t13d1516h2_8daaf6152771_02713d6af862".into()),
        country: Some("MT".into()),
        asn: Some(12_709),
    }
}

/// A play, told entry by entry.
pub(crate) struct Town {
    pub(crate) play: Play,
    pub(crate) now: Timestamp,
    pub(crate) lines: Vec<Line>,
    count: u64,
}

impl Town {
    pub(crate) fn new(exchange: &Exchange, policy: PolicySource) -> Self {
        let play = Play::new(exchange, policy, 7).unwrap();
        Self { play, now: START, lines: Vec::new(), count: 0 }
    }

    pub(crate) fn say_as(&mut self, id: &str, body: Body) -> Answer {
        let answer = self.play.submit(&Entry { at: self.now, id: id.into(), body });
        self.lines.extend(self.play.take_log());
        answer
    }

    pub(crate) fn say(&mut self, body: Body) -> Answer {
        self.count += 1;
        let id = format!("e{}", self.count);
        self.say_as(&id, body)
    }

    pub(crate) fn wait(&mut self, span: u64) {
        self.now = self.now.plus(span);
        self.play.advance(self.now);
        self.lines.extend(self.play.take_log());
    }

    /// An account of a customer who has been here for a while: known device and place, and a key if it says so.
    pub(crate) fn customer(&mut self, account: &str, has_key: bool) {
        let tier = "full".into();
        assert_eq!(self.say(Body::OpenAccount { account: account.into(), tier }), Answer::Taken);
        let session = Body::Session { account: account.into(), facts: home(account) };
        assert_eq!(self.say(session), Answer::Taken);
        if has_key {
            let credential = "key".into();
            let key = Body::AddCredential { account: account.into(), credential, approved_by: None };
            assert_eq!(self.say(key), Answer::Taken);
        }
    }

    pub(crate) fn withdraw(&mut self, id: &str, account: &str, btc: &str, to: &str) -> Answer {
        let channel = Channel::Session { one_time_code: true, facts: Some(home(account)) };
        self.say_as(
            id,
            Body::RequestWithdrawal {
                account: account.into(),
                asset: "BTC".into(),
                to: bitcoin(to),
                amount: btc.into(),
                channel,
            },
        )
    }

    pub(crate) fn seen(&self, id: &str) -> Option<Seen> {
        self.play.seen(id)
    }

    /// What the log says of a withdrawal, in a word each.
    pub(crate) fn story(&self, id: &str) -> Vec<String> {
        let mut story = Vec::new();
        for line in &self.lines {
            match &line.what {
                What::Decided { event, status, class, .. } if &**event == id => {
                    story.push(format!("{status} {class}"));
                }
                What::Closed { event, status } if &**event == id => story.push(format!("closed {status}")),
                What::Left { event, bucket, .. } if &**event == id => story.push(format!("left {bucket}")),
                What::SignerRefused { event, code } if &**event == id => story.push(format!("signer {code}")),
                What::Alarm { kind, event } if &**event == id => story.push(format!("alarm {kind}")),
                What::Staff { did, to } if &**to == id => story.push(format!("staff {did}")),
                What::Refused { event, code, .. } if &**event == id => story.push(format!("refused {code}")),
                _ => {}
            }
        }
        story
    }

    /// When a line of that kind first stood in the log.
    pub(crate) fn when(&self, is_it: impl Fn(&What) -> bool) -> Option<Timestamp> {
        self.lines.iter().find(|line| is_it(&line.what)).map(|line| line.at)
    }
}
