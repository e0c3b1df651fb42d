//! The exchange's edge: what an entry's body is to the core. Here texts become values and keyed fingerprints; what the real
//! edge verifies (signatures, assertions, codes) is the verdict that the entry carries.

use std::collections::BTreeMap;
use std::net::IpAddr;

use holdfast_decision::State;
use holdfast_decision::acts::{Act, Digest};
use holdfast_decision::command::{
    ApiEvidence, Command, Evidence, Idempotency, Price, RequestWithdrawal, Scope, Scopes, SecurityChange,
};
use holdfast_decision::protection::{
    ApiKeySpec, ApprovalFlags, ApprovedText, BoundApproval, Change, ChangeProtection, CredentialUse,
    KeyFence, NewCredential, Place, RecordSession, SessionFacts,
};
use holdfast_gate::IpNet;
use holdfast_values::texts::{Nonce, Seconds};
use holdfast_values::{
    AccountId, Amount, AssetSymbol, Destination, Fingerprint, Name, Network, TextDigest, Timestamp, UsdCents,
    WithdrawalId, time,
};

use super::house;
use crate::format::{Body, Channel, Facts, KeyScope, SecurityKind, To};

/// How long a signed API request is good.
const API_WINDOW: u64 = 5 * time::SECOND;

/// Why an entry cannot become a command: a stable code, and what exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: Box<str>,
    pub(super) detail: Box<str>,
}

impl Refused {
    pub(super) fn new(code: &str, detail: impl ToString) -> Self {
        Self { code: code.into(), detail: detail.to_string().into() }
    }
}

type Read<T> = Result<T, Refused>;

/// What the edge keeps: the key of its fingerprints, and the allowlists of API keys, which State knows only as fingerprints.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    key: [u8; 32],
    allowed: BTreeMap<Fingerprint, Box<[IpNet]>>,
    /// The list of the key that the core is being asked about.
    asked: Option<(Fingerprint, Box<[IpNet]>)>,
}

impl Edge {
    pub(super) fn new(seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("holdfast simulator 2026-03 fingerprints");
        hasher.update(&seed.to_le_bytes());
        Self { key: *hasher.finalize().as_bytes(), allowed: BTreeMap::new(), asked: None }
    }

    /// A keyed fingerprint; `kind` keeps those of different things apart.
    pub(super) fn fingerprint(&self, kind: u8, parts: &[&[u8]]) -> Fingerprint {
        let mut buffer = [0u8; 256];
        let mut used = 0usize;
        let mut put = |bytes: &[u8]| -> Option<()> {
            buffer.get_mut(used..used.checked_add(bytes.len())?)?.copy_from_slice(bytes);
            used += bytes.len();
            Some(())
        };
        let short = put(&[kind]).is_some()
            && parts.iter().all(|part| {
                let length = u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes();
                put(&length).is_some() && put(part).is_some()
            });
        let hash = if short {
            blake3::keyed_hash(&self.key, buffer.get(..used).unwrap_or_default())
        } else {
            let mut hasher = blake3::Hasher::new_keyed(&self.key);
            hasher.update(&[kind]);
            for part in parts {
                hasher.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
                hasher.update(part);
            }
            hasher.finalize()
        };
        let mut half = [0; 16];
        half.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
        Fingerprint(half)
    }

    fn api_key(&self, key: &str) -> Fingerprint {
        self.fingerprint(b'k', &[key.as_bytes()])
    }

    fn ip(&self, ip: IpAddr) -> Fingerprint {
        match ip.to_canonical() {
            IpAddr::V4(ip) => self.fingerprint(b'i', &[&ip.octets()]),
            IpAddr::V6(ip) => self.fingerprint(b'i', &[&ip.octets()]),
        }
    }

    fn network(&self, net: &IpNet) -> Fingerprint {
        self.fingerprint(b'n', &[net.to_string().as_bytes()])
    }

    pub(super) fn credential(&self, account: &str, credential: &str) -> Fingerprint {
        self.fingerprint(b'c', &[account.as_bytes(), credential.as_bytes()])
    }

    fn destination(&self, to: &Destination) -> Fingerprint {
        self.fingerprint(b'd', &[&to.canonical_bytes()])
    }

    /// What a session's facts come to.
    pub(super) fn facts(&self, account: &str, facts: &Facts) -> Read<SessionFacts> {
        let ip = facts.ip.as_deref().map(read_ip).transpose()?;
        let country = match facts.country.as_deref().map(str::as_bytes) {
            None => None,
            Some([a @ b'A'..=b'Z', b @ b'A'..=b'Z']) => Some([*a, *b]),
            Some(_) => return Err(Refused::new("country_invalid", "two capital letters (ISO 3166-1)")),
        };
        let text = |kind, text: &Option<Box<str>>| {
            text.as_deref().map(|text| self.fingerprint(kind, &[text.as_bytes()]))
        };
        Ok(SessionFacts {
            device: facts
                .device
                .as_deref()
                .map(|device| self.fingerprint(b'v', &[account.as_bytes(), device.as_bytes()])),
            ip: ip.map(|ip| self.ip(ip)),
            agent: text(b'a', &facts.user_agent),
            tls: text(b't', &facts.tls),
            place: country.map(|country| Place { country, asn: facts.asn.unwrap_or(0) }),
        })
    }

    /// The core took an API key: its list counts from here.
    pub(super) fn took_key(&mut self) {
        if let Some((key, nets)) = self.asked.take() {
            self.allowed.insert(key, nets);
        }
    }

    /// A withdrawal as it is asked for. `salt` is the event's own: its id, its nonce and its idempotency come of it.
    pub(super) fn request(
        &self,
        state: &State,
        at: Timestamp,
        event: &str,
        body: &Body,
    ) -> Read<RequestWithdrawal> {
        let Body::RequestWithdrawal { account, asset, to, amount, channel } = body else {
            return Err(Refused::new("type_unknown", "not a withdrawal"));
        };
        let asset: AssetSymbol = read("asset_invalid", asset)?;
        let destination = destination(to)?;
        let index = state
            .asset_index(&asset)
            .ok_or_else(|| Refused::new("asset_unknown", format_args!("no asset {asset} is configured")))?;
        let known = state.configuration().assets.get(usize::from(index.0));
        let spec = known.map(|known| &known.spec).ok_or_else(|| Refused::new("asset_unknown", &asset))?;
        let amount = match spec.on(destination.network()) {
            Some(on) => on.parse_amount(spec.decimals, amount),
            None => Amount::parse(amount, spec.decimals),
        };
        let amount = amount.map_err(|error| Refused::new("amount_invalid", error))?;
        let evidence = match channel {
            Channel::Session { one_time_code, facts: None } => {
                Evidence::Session { one_time_code: *one_time_code }
            }
            Channel::Session { one_time_code, facts: Some(facts) } => {
                Evidence::Device { one_time_code: *one_time_code, facts: self.facts(account, facts)? }
            }
            Channel::ApiRequest { key, ip } => {
                Evidence::ApiRequest(Box::new(self.api_evidence(state, at, event, account, key, ip)?))
            }
        };
        let mut mint = blake3::Hasher::new_keyed(&self.key);
        mint.update(b"withdrawal");
        mint.update(event.as_bytes());
        let mut bytes = [0; 64];
        mint.finalize_xof().fill(&mut bytes);
        let (nonce, rest) = bytes.split_first_chunk::<32>().unwrap_or((&[0; 32], &[]));
        let random = rest.first_chunk::<16>().copied().unwrap_or_default();
        Ok(RequestWithdrawal {
            // As intake mints: milliseconds, then 80 bits that look random.
            withdrawal: WithdrawalId(u128::from(at.0 / 1_000) << 80 | (u128::from_be_bytes(random) >> 48)),
            account: read_account(account)?,
            asset,
            fingerprint: self.destination(&destination),
            destination,
            amount,
            fee_max: Amount::ZERO,
            nonce: *nonce,
            evidence,
            idempotency: Idempotency {
                key: self.fingerprint(b'w', &[event.as_bytes()]),
                body: self.fingerprint(b'b', &[event.as_bytes()]),
            },
        })
    }

    fn api_evidence(
        &self,
        state: &State,
        at: Timestamp,
        event: &str,
        account: &str,
        key: &str,
        ip: &str,
    ) -> Read<ApiEvidence> {
        let ip = read_ip(ip)?;
        let key = self.api_key(key);
        let known = state.account(&read_account(account)?).and_then(|account| account.api_key(&key));
        let entries = self.allowed.get(&key).into_iter().flatten();
        let entry = entries.filter(|entry| entry.contains(ip)).max_by_key(|entry| entry.prefix());
        Ok(ApiEvidence {
            key,
            // What the request was verified with is the key's last material.
            revision: known.map_or(1, |known| known.revision),
            signed_at: at,
            window: API_WINDOW,
            request: self.fingerprint(b'r', &[event.as_bytes()]),
            ip: entry.map_or_else(|| self.ip(ip), |entry| self.network(entry)),
            differs: 0,
            verifier: 1,
            sealed: Vec::new(),
        })
    }

    /// The command of every other body; none for those that no rule reads.
    pub(super) fn command(
        &mut self,
        state: &State,
        at: Timestamp,
        event: &str,
        body: &Body,
        find: impl Fn(&str) -> Option<WithdrawalId>,
    ) -> Read<Option<Command>> {
        let named = |withdrawal: &str| {
            find(withdrawal).ok_or_else(|| {
                let detail = format_args!("no open withdrawal was asked for by event {withdrawal}");
                Refused::new("withdrawal_unknown", detail)
            })
        };
        Ok(Some(match body {
            Body::OpenAccount { account, tier } => {
                Command::OpenAccount { account: read_account(account)?, tier: read("tier_invalid", tier)? }
            }
            Body::FreezeAccount { account, by } => Command::FreezeAccount {
                account: read_account(account)?,
                by: read_name(by.as_deref().unwrap_or("staff"))?,
            },
            Body::LowerLimits { account, usd_24h, usd_30d } => Command::LowerLimits {
                account: read_account(account)?,
                usd_cents_24h: cents(usd_24h)?,
                usd_cents_30d: cents(usd_30d)?,
            },
            Body::SecurityChange { account, kind } => Command::RecordSecurityChange {
                account: read_account(account)?,
                kind: match kind {
                    SecurityKind::Password => SecurityChange::Password,
                    SecurityKind::SecondFactor => SecurityChange::SecondFactor,
                    SecurityKind::Contact => SecurityChange::Contact,
                    SecurityKind::Recovery => SecurityChange::Recovery,
                },
            },
            Body::AddAddress { account, to } => Command::AddAddress {
                account: read_account(account)?,
                destination: self.destination(&destination(to)?),
            },
            Body::RemoveAddress { account, to } => Command::RemoveAddress {
                account: read_account(account)?,
                destination: self.destination(&destination(to)?),
            },
            Body::NoticeDelivered { account, to } => Command::RecordNoticeDelivered {
                account: read_account(account)?,
                destination: self.destination(&destination(to)?),
            },
            Body::PutApiKey { account, key, scopes, ip_allowlist, asymmetric, session } => {
                let asn = session.as_ref().and_then(|facts| facts.asn);
                self.put_api_key(account, key, scopes, ip_allowlist, (*asymmetric, asn))?
            }
            Body::RevokeApiKey { account, key } => {
                Command::RevokeApiKey { account: read_account(account)?, key: self.api_key(key) }
            }
            Body::AddCredential { account, credential, approved_by } => {
                self.add_credential(at, event, account, credential, approved_by.as_deref())?
            }
            Body::Session { account, facts } => Command::RecordSession(Box::new(RecordSession {
                account: read_account(account)?,
                facts: self.facts(account, facts)?,
                credential: None,
                sealed: Vec::new(),
            })),
            Body::RequestWithdrawal { .. } => {
                Command::RequestWithdrawal(Box::new(self.request(state, at, event, body)?))
            }
            Body::ApproveWithdrawal { account, withdrawal, credential } => {
                let withdrawal = named(withdrawal)?;
                self.approval(state, account, withdrawal, self.credential(account, credential))?
            }
            Body::OneTimeCode { account, withdrawal } => {
                Command::ReportOneTimeCode { account: read_account(account)?, withdrawal: named(withdrawal)? }
            }
            Body::CancelWithdrawal { account, withdrawal } => {
                Command::CancelWithdrawal { account: read_account(account)?, withdrawal: named(withdrawal)? }
            }
            Body::DenyWithdrawal { withdrawal, by } => {
                Command::DenyWithdrawal { withdrawal: named(withdrawal)?, by: read_name(by)? }
            }
            Body::ApproveHeld { withdrawal, operators } => {
                let act = approve_held(state, named(withdrawal)?)?;
                house::act(act, names(operators)?, at, self.nonce(event))
            }
            Body::Prices { prices } => {
                let price = |asset: &str, price: &str| {
                    let micro = Amount::parse(price, 6).map_err(|e| Refused::new("price_invalid", e))?;
                    let micro = u64::try_from(micro.base_units())
                        .map_err(|_| Refused::new("price_invalid", "too large"))?;
                    Ok(Price { asset: read("asset_invalid", asset)?, micro_usd: micro })
                };
                Command::SetPrices {
                    prices: prices.iter().map(|(asset, value)| price(asset, value)).collect::<Read<_>>()?,
                }
            }
            Body::Halt { scope, by } => Command::Halt { scope: read_scope(scope)?, by: read_name(by)? },
            Body::Resume { scope, operators } => {
                house::act(Act::Resume(read_scope(scope)?), names(operators)?, at, self.nonce(event))
            }
            Body::SetLimits { account, usd_24h, usd_30d, operators } => {
                let act = Act::SetLimits {
                    account: read_account(account)?,
                    usd_cents_24h: Some(cents(usd_24h)?),
                    usd_cents_30d: Some(cents(usd_30d)?),
                };
                house::act(act, names(operators)?, at, self.nonce(event))
            }
            Body::RaiseBuckets { times, operators } => {
                let act = Act::Configure(Box::new(house::raised(state.configuration(), *times)));
                house::act(act, names(operators)?, at, self.nonce(event))
            }
            Body::Deposit { account, .. } | Body::Trade { account, .. } | Body::Support { account, .. } => {
                if state.account(&read_account(account)?).is_none() {
                    return Err(Refused::new("account_unknown", account));
                }
                return Ok(None);
            }
        }))
    }

    pub(super) fn nonce(&self, event: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(b"text");
        hasher.update(event.as_bytes());
        *hasher.finalize().as_bytes()
    }

    fn put_api_key(
        &mut self,
        account: &str,
        key: &str,
        scopes: &[KeyScope],
        ip_allowlist: &[Box<str>],
        (asymmetric, asn): (bool, Option<u32>),
    ) -> Read<Command> {
        let net = |text: &str| text.parse::<IpNet>().map_err(|e| Refused::new("ip_invalid", e));
        let mut nets = ip_allowlist.iter().map(|text| net(text)).collect::<Read<Vec<_>>>()?;
        nets.sort_unstable();
        nets.dedup();
        let bits = scopes.iter().fold(0, |bits, scope| {
            bits | match scope {
                KeyScope::Read => Scopes::READ.0,
                KeyScope::Trade => Scopes::TRADE.0,
                KeyScope::Withdraw => Scopes::WITHDRAW.0,
                KeyScope::Transfer => Scopes::TRANSFER.0,
            }
        });
        let spec = ApiKeySpec {
            key: self.api_key(key),
            scopes: Scopes(bits),
            ip_allowlist: nets.iter().map(|net| self.network(net)).collect(),
            fence: KeyFence { asymmetric, asn, ..KeyFence::default() },
            new_material: true,
        };
        self.asked = Some((spec.key, nets.into()));
        Ok(change(read_account(account)?, Change::PutApiKey(Box::new(spec)), None))
    }

    fn add_credential(
        &self,
        at: Timestamp,
        event: &str,
        account: &str,
        credential: &str,
        approved_by: Option<&str>,
    ) -> Read<Command> {
        let fingerprint = self.credential(account, credential);
        let digest = |what: &[u8]| Digest(self.hash(&[what, account.as_bytes(), credential.as_bytes()]));
        let id = digest(b"id");
        let new = NewCredential {
            credential: fingerprint,
            id,
            key: digest(b"key"),
            legacy_u2f: false,
            used_for: CredentialUse::Approve,
            counter: 0,
            flags: ApprovalFlags::USER_VERIFIED,
            sealed: Vec::new(),
        };
        let change_to = Change::AddCredential(Box::new(new));
        let approval = approved_by.map(|by| {
            self.approved_change(at, event, account, change_to.name(), self.credential(account, by))
        });
        Ok(change(read_account(account)?, change_to, approval))
    }

    /// An API key that its owner's credential approves.
    pub(super) fn approve_change(
        &self,
        at: Timestamp,
        event: &str,
        asked: &ChangeProtection,
        credential: Fingerprint,
    ) -> Command {
        let approval =
            self.approved_change(at, event, asked.account.as_str(), asked.change.name(), credential);
        change(asked.account.clone(), asked.change.clone(), Some(approval))
    }

    fn approved_change(
        &self,
        at: Timestamp,
        event: &str,
        account: &str,
        change: &str,
        credential: Fingerprint,
    ) -> ApprovedText {
        let text = format!(
            "holdfast-change/v1\nexchange: {}\naccount: {account}\nchange: {change}\ntarget: -\ndetail: -\n\
             not-after: {}\nnonce: {}\n",
            house::EXCHANGE,
            Seconds::floor(at.plus(time::HOUR)),
            Nonce(self.nonce(event)),
        );
        let by = bound(credential, TextDigest::of(text.as_bytes()));
        ApprovedText { text, by }
    }

    fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in parts {
            hasher.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            hasher.update(part);
        }
        *hasher.finalize().as_bytes()
    }

    /// A bound approval of a withdrawal's text.
    pub(super) fn approval(
        &self,
        state: &State,
        account: &str,
        withdrawal: WithdrawalId,
        credential: Fingerprint,
    ) -> Read<Command> {
        let text = state.text_of(withdrawal);
        let text = text.ok_or_else(|| Refused::new("withdrawal_unknown", withdrawal))?;
        let approval = Box::new(bound(credential, text.digest()));
        Ok(Command::ApproveIntent { account: read_account(account)?, withdrawal, approval })
    }
}

/// The act by which operators let a held withdrawal go on.
pub(super) fn approve_held(state: &State, withdrawal: WithdrawalId) -> Read<Act> {
    let text = state.text_of(withdrawal);
    let text = text.ok_or_else(|| Refused::new("withdrawal_unknown", withdrawal))?;
    Ok(Act::ApproveWithdrawal { withdrawal, text: Digest(text.digest().0) })
}

const fn bound(credential: Fingerprint, text: TextDigest) -> BoundApproval {
    BoundApproval {
        credential,
        text: Digest(text.0),
        counter: 0,
        flags: ApprovalFlags::USER_VERIFIED,
        verifier: 1,
        sealed: Vec::new(),
    }
}

fn change(account: AccountId, change: Change, approval: Option<ApprovedText>) -> Command {
    let approval = approval.map(Box::new);
    Command::ChangeProtection(Box::new(ChangeProtection {
        account,
        change,
        approval,
        code: None,
        device: None,
    }))
}

fn read<T: core::str::FromStr<Err: core::fmt::Display>>(code: &str, text: &str) -> Read<T> {
    text.parse().map_err(|error| Refused::new(code, error))
}

pub(super) fn read_account(text: &str) -> Read<AccountId> {
    read("account_invalid", text)
}

fn read_name(text: &str) -> Read<Name> {
    read("name_invalid", text)
}

fn names(texts: &[Box<str>]) -> Read<Vec<Name>> {
    texts.iter().map(|text| read_name(text)).collect()
}

fn read_ip(text: &str) -> Read<IpAddr> {
    read("ip_invalid", text)
}

fn cents(text: &str) -> Read<UsdCents> {
    let cents = Amount::parse(text, 2).map_err(|error| Refused::new("amount_invalid", error))?;
    u64::try_from(cents.base_units()).map(UsdCents).map_err(|_| Refused::new("amount_invalid", "too large"))
}

fn destination(to: &To) -> Read<Destination> {
    let network: Network = read("network_unknown", &to.network)?;
    Destination::parse(network, &to.address, to.memo.as_deref())
        .map_err(|error| Refused::new("address_invalid", error))
}

/// `overall`, `asset:X`, `wallet:X` or `account:X`.
pub(super) fn read_scope(text: &str) -> Read<Scope> {
    Ok(match text.split_once(':') {
        None if text == "overall" => Scope::Overall,
        Some(("asset", symbol)) => Scope::Asset(read("asset_invalid", symbol)?),
        Some(("wallet", name)) => Scope::Wallet(read_name(name)?),
        Some(("account", id)) => Scope::Account(read_account(id)?),
        _ => return Err(Refused::new("scope_invalid", "overall, asset:X, wallet:X or account:X")),
    })
}
