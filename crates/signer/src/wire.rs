//! What is said on the socket: frames of a length and CBOR. Who asks, and what is answered, is not known here.

use std::io::{self, Read, Write};

use holdfast_authn::release::{OperatorSignature, SignedAct};
use holdfast_transactions::{Scheme, Sighash};
use holdfast_values::{AccountId, Amount, Name, Network, OperatorProof, Timestamp, WithdrawalId};
use minicbor::{Decode, Encode};

use crate::policy::{Introduced, PolicyStatus};
use crate::refused::BucketName;
use crate::registry::Enrolled;
use crate::signer::{Authorised, BucketStatus, Sighashes, Status};
use crate::store::policy::{Followed, PolicyLink, StepKind};
use crate::store::registry::{Credential, CredentialCounts, CredentialStatus, Origin};

/// Longest request: a release and a transaction of the largest sizes there are.
pub const REQUEST_BYTES_MAX: usize = 12 << 20;
/// Longest answer: a statement of everything that was ever authorised.
pub const ANSWER_BYTES_MAX: usize = 257 << 20;
/// Most signatures under an act.
const SIGNATURES_MAX: usize = 16;

/// What can be asked. The numbers are part of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// May this be signed?
    #[n(0)]
    Authorise {
        /// The release, a COSE_Sign1.
        #[cbor(n(0), with = "minicbor::bytes")]
        release: Vec<u8>,
        /// The final bytes.
        #[cbor(n(1), with = "minicbor::bytes")]
        transaction: Vec<u8>,
    },
    /// Never pay this.
    #[n(1)]
    Void(#[n(0)] WithdrawalId),
    /// How do you stand?
    #[n(2)]
    Status,
    /// Sign nothing.
    #[n(3)]
    Halt,
    /// What operators signed.
    #[n(4)]
    Act(#[n(0)] Act),
    /// Everything that was authorised, signed.
    #[n(5)]
    Spends,
    /// A customer's credential.
    #[n(6)]
    Enrol(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// A credential that is gone.
    #[n(7)]
    Remove(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// An account's credentials.
    #[n(8)]
    Credentials(#[n(0)] AccountId),
    /// A step of the policy.
    #[n(9)]
    IntroducePolicy(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// Never follow the step whose text has this nonce.
    #[n(10)]
    StopPolicy(#[cbor(n(0), with = "minicbor::bytes")] [u8; 32]),
    /// Which policies were followed, and which steps lead on?
    #[n(11)]
    Policy,
}

/// A text with signatures.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Act {
    #[n(0)]
    text: String,
    #[n(1)]
    signatures: Vec<Signature>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Signature {
    #[n(0)]
    operator: Name,
    /// Of either kind.
    #[n(1)]
    signature: OperatorProof,
}

/// What is answered. The numbers are part of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// No.
    #[n(0)]
    Refused {
        /// The stable code.
        #[n(0)]
        code: String,
        /// Why, for people.
        #[n(1)]
        text: String,
        /// The one payment that is refused, where the others of the release are not.
        #[n(2)]
        withdrawal: Option<WithdrawalId>,
    },
    /// Yes: what to sign.
    #[n(1)]
    Authorised(#[n(0)] AuthorisedAnswer),
    /// A receipt or statement, signed.
    #[n(2)]
    Signed(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// How the signer stands.
    #[n(3)]
    Status(#[n(0)] StatusAnswer),
    /// It is done: the act's name.
    #[n(4)]
    Done(#[n(0)] String),
    /// The credential is known.
    #[n(5)]
    Enrolled(#[n(0)] EnrolledAnswer),
    /// An account's credentials.
    #[n(6)]
    Credentials(#[n(0)] Vec<CredentialAnswer>),
    /// The step is known.
    #[n(7)]
    Introduced(#[n(0)] IntroducedAnswer),
    /// The policies that were followed, and the steps.
    #[n(8)]
    Policy {
        /// The newest first.
        #[n(0)]
        path: Vec<FollowedAnswer>,
        /// The newest first.
        #[n(1)]
        links: Vec<LinkAnswer>,
    },
}

/// [`Authorised`] on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AuthorisedAnswer {
    #[n(0)]
    wallet: Name,
    #[n(1)]
    network: Network,
    #[cbor(n(2), with = "minicbor::bytes")]
    digest: [u8; 32],
    #[n(3)]
    each: Vec<Message>,
    #[cbor(n(4), with = "minicbor::bytes")]
    receipt: Vec<u8>,
    #[n(5)]
    repeated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Message {
    #[n(0)]
    input: u32,
    #[cbor(n(1), with = "minicbor::bytes")]
    message: [u8; 32],
    #[n(2)]
    scheme: SchemeNumber,
    #[n(3)]
    descriptor: u8,
    #[n(4)]
    index: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
enum SchemeNumber {
    #[n(0)]
    EcdsaAll,
    #[n(1)]
    SchnorrDefault,
    #[n(2)]
    SchnorrAll,
    #[n(3)]
    Evm,
}

/// [`Status`] on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StatusAnswer {
    #[n(0)]
    name: Name,
    #[n(1)]
    exchange: String,
    #[cbor(n(2), with = "minicbor::bytes")]
    receipt_key: [u8; 32],
    #[cbor(n(3), with = "minicbor::bytes")]
    store: [u8; 16],
    #[n(4)]
    counter: u64,
    #[n(5)]
    epoch: u64,
    #[n(6)]
    seen: Option<Seen>,
    #[n(7)]
    highest: Timestamp,
    #[n(8)]
    halted: bool,
    #[n(9)]
    simulated: bool,
    #[n(10)]
    buckets: Vec<BucketAnswer>,
    #[n(11)]
    credentials: CountsAnswer,
    #[cbor(n(12), with = "minicbor::bytes")]
    policy: Option<[u8; 32]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct CountsAnswer {
    #[n(0)]
    seen: u64,
    #[n(1)]
    removed: u64,
    #[n(2)]
    first_today: u64,
}

/// [`Enrolled`] on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct EnrolledAnswer {
    #[n(0)]
    seen: Timestamp,
    #[n(1)]
    counts_from: Timestamp,
    #[n(2)]
    repeated: bool,
}

/// [`CredentialStatus`] on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CredentialAnswer {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: Vec<u8>,
    #[n(1)]
    account: AccountId,
    #[cbor(n(2), with = "minicbor::bytes")]
    public_key: Vec<u8>,
    #[n(3)]
    legacy_u2f: bool,
    #[n(4)]
    master: bool,
    #[n(5)]
    origin: u8,
    #[cbor(n(6), with = "minicbor::bytes")]
    lineage: Vec<u8>,
    #[n(7)]
    seen: Timestamp,
    #[n(8)]
    removed: Option<Timestamp>,
    #[n(9)]
    counts_from: Timestamp,
    #[n(10)]
    counter: u64,
}

/// [`Introduced`] on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct IntroducedAnswer {
    #[cbor(n(0), with = "minicbor::bytes")]
    to: [u8; 32],
    #[n(1)]
    seen: Timestamp,
    #[n(2)]
    counts_from: Timestamp,
    #[n(3)]
    stopped: bool,
    #[n(4)]
    repeated: bool,
}

/// [`Followed`] on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FollowedAnswer {
    #[cbor(n(0), with = "minicbor::bytes")]
    hash: [u8; 32],
    #[n(1)]
    base: bool,
    #[n(2)]
    since: Timestamp,
    #[n(3)]
    until: Option<Timestamp>,
}

/// [`PolicyLink`] on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LinkAnswer {
    #[cbor(n(0), with = "minicbor::bytes")]
    nonce: [u8; 32],
    #[n(1)]
    kind: u8,
    #[cbor(n(2), with = "minicbor::bytes")]
    from: [u8; 32],
    #[cbor(n(3), with = "minicbor::bytes")]
    to: [u8; 32],
    #[n(4)]
    author: Option<Name>,
    #[n(5)]
    signer: Name,
    #[n(6)]
    seen: Timestamp,
    #[n(7)]
    counts_from: Timestamp,
    #[n(8)]
    stopped: Option<Timestamp>,
    #[n(9)]
    spent: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Seen {
    #[n(0)]
    sequence: u64,
    #[cbor(n(1), with = "minicbor::bytes")]
    head: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct BucketAnswer {
    #[n(0)]
    class: u8,
    #[n(1)]
    what: String,
    #[n(2)]
    network: Network,
    #[n(3)]
    decimals: u8,
    #[n(4)]
    size: Amount,
    #[n(5)]
    available: Amount,
}

impl From<&SignedAct> for Act {
    fn from(signed: &SignedAct) -> Self {
        let signature = |by: &OperatorSignature| Signature {
            operator: by.operator.clone(),
            signature: by.signature.clone(),
        };
        Self { text: signed.text.clone(), signatures: signed.signatures.iter().map(signature).collect() }
    }
}

impl Act {
    /// The act, if it has no more signatures than any act needs.
    pub fn into_signed(self) -> Option<SignedAct> {
        let signature = |by: Signature| OperatorSignature { operator: by.operator, signature: by.signature };
        let few = self.signatures.len() <= SIGNATURES_MAX;
        few.then(|| SignedAct {
            text: self.text,
            signatures: self.signatures.into_iter().map(signature).collect(),
        })
    }
}

impl From<Authorised> for AuthorisedAnswer {
    fn from(authorised: Authorised) -> Self {
        let Sighashes { wallet, network, digest, each } = authorised.sighashes;
        let message = |hash: Sighash| Message {
            input: hash.input,
            message: hash.message,
            scheme: match hash.scheme {
                Scheme::EcdsaAll => SchemeNumber::EcdsaAll,
                Scheme::SchnorrDefault => SchemeNumber::SchnorrDefault,
                Scheme::SchnorrAll => SchemeNumber::SchnorrAll,
                Scheme::Evm => SchemeNumber::Evm,
            },
            descriptor: hash.descriptor,
            index: hash.index,
        };
        let each = each.into_iter().map(message).collect();
        Self { wallet, network, digest, each, receipt: authorised.receipt, repeated: authorised.repeated }
    }
}

impl AuthorisedAnswer {
    /// Only the client in this crate makes what may be signed of an answer.
    pub(crate) fn into_authorised(self) -> Authorised {
        let hash = |message: Message| Sighash {
            input: message.input,
            message: message.message,
            scheme: match message.scheme {
                SchemeNumber::EcdsaAll => Scheme::EcdsaAll,
                SchemeNumber::SchnorrDefault => Scheme::SchnorrDefault,
                SchemeNumber::SchnorrAll => Scheme::SchnorrAll,
                SchemeNumber::Evm => Scheme::Evm,
            },
            descriptor: message.descriptor,
            index: message.index,
        };
        let each = self.each.into_iter().map(hash).collect();
        let sighashes = Sighashes { wallet: self.wallet, network: self.network, digest: self.digest, each };
        Authorised { sighashes, receipt: self.receipt, repeated: self.repeated }
    }
}

impl From<Status> for StatusAnswer {
    fn from(status: Status) -> Self {
        let bucket = |bucket: BucketStatus| {
            let (class, what, network) = match bucket.bucket {
                BucketName::Vouched(symbol, network) => (0, symbol.to_string(), network),
                BucketName::Unvouched(symbol, network) => (1, symbol.to_string(), network),
                BucketName::Fee(wallet, network) => (2, wallet.to_string(), network),
            };
            let BucketStatus { decimals, size, available, .. } = bucket;
            BucketAnswer { class, what, network, decimals, size, available }
        };
        Self {
            name: status.name,
            exchange: status.exchange,
            receipt_key: status.receipt_key,
            store: status.store,
            counter: status.counter,
            epoch: status.epoch,
            seen: status.seen.map(|(sequence, head)| Seen { sequence, head }),
            highest: status.highest,
            halted: status.halted,
            simulated: status.simulated,
            policy: status.policy,
            buckets: status.buckets.into_iter().map(bucket).collect(),
            credentials: {
                let CredentialCounts { seen, removed, first_today } = status.credentials;
                CountsAnswer { seen, removed, first_today }
            },
        }
    }
}

impl StatusAnswer {
    /// The status, if every bucket has a name.
    pub(crate) fn into_status(self) -> Option<Status> {
        let bucket = |answer: BucketAnswer| {
            let bucket = match answer.class {
                0 => BucketName::Vouched(answer.what.parse().ok()?, answer.network),
                1 => BucketName::Unvouched(answer.what.parse().ok()?, answer.network),
                2 => BucketName::Fee(answer.what.parse().ok()?, answer.network),
                _ => return None,
            };
            let BucketAnswer { decimals, size, available, .. } = answer;
            Some(BucketStatus { bucket, decimals, size, available })
        };
        Some(Status {
            name: self.name,
            exchange: self.exchange,
            receipt_key: self.receipt_key,
            store: self.store,
            counter: self.counter,
            epoch: self.epoch,
            seen: self.seen.map(|seen| (seen.sequence, seen.head)),
            highest: self.highest,
            halted: self.halted,
            simulated: self.simulated,
            policy: self.policy,
            buckets: self.buckets.into_iter().map(bucket).collect::<Option<_>>()?,
            credentials: {
                let CountsAnswer { seen, removed, first_today } = self.credentials;
                CredentialCounts { seen, removed, first_today }
            },
        })
    }
}

impl From<Enrolled> for EnrolledAnswer {
    fn from(enrolled: Enrolled) -> Self {
        let Enrolled { seen, counts_from, repeated } = enrolled;
        Self { seen, counts_from, repeated }
    }
}

impl From<EnrolledAnswer> for Enrolled {
    fn from(answer: EnrolledAnswer) -> Self {
        let EnrolledAnswer { seen, counts_from, repeated } = answer;
        Self { seen, counts_from, repeated }
    }
}

impl From<CredentialStatus> for CredentialAnswer {
    fn from(status: CredentialStatus) -> Self {
        let CredentialStatus { credential: known, counts_from, counter } = status;
        Self {
            counts_from,
            counter,
            id: known.id,
            account: known.account,
            public_key: known.public_key,
            legacy_u2f: known.legacy_u2f,
            master: known.master,
            origin: known.origin.number(),
            lineage: known.lineage,
            seen: known.seen,
            removed: known.removed,
        }
    }
}

impl CredentialAnswer {
    /// The credential, if its origin has a name.
    pub(crate) fn into_status(self) -> Option<CredentialStatus> {
        let credential = Credential {
            origin: Origin::from_number(self.origin)?,
            id: self.id,
            account: self.account,
            public_key: self.public_key,
            legacy_u2f: self.legacy_u2f,
            master: self.master,
            lineage: self.lineage,
            seen: self.seen,
            removed: self.removed,
        };
        Some(CredentialStatus { credential, counts_from: self.counts_from, counter: self.counter })
    }
}

impl From<Introduced> for IntroducedAnswer {
    fn from(introduced: Introduced) -> Self {
        let Introduced { to, seen, counts_from, stopped, repeated } = introduced;
        Self { to, seen, counts_from, stopped, repeated }
    }
}

impl From<IntroducedAnswer> for Introduced {
    fn from(answer: IntroducedAnswer) -> Self {
        let IntroducedAnswer { to, seen, counts_from, stopped, repeated } = answer;
        Self { to, seen, counts_from, stopped, repeated }
    }
}

impl From<PolicyStatus> for Answer {
    fn from(status: PolicyStatus) -> Self {
        let followed = |Followed { hash, base, since, until }| FollowedAnswer { hash, base, since, until };
        let link = |link: PolicyLink| {
            let PolicyLink { nonce, kind, from, to, author, signer, seen, counts_from, stopped, spent } =
                link;
            LinkAnswer {
                nonce,
                kind: kind.number(),
                from,
                to,
                author,
                signer,
                seen,
                counts_from,
                stopped,
                spent,
            }
        };
        Self::Policy {
            path: status.path.into_iter().map(followed).collect(),
            links: status.links.into_iter().map(link).collect(),
        }
    }
}

/// The policies and steps of an answer, if every step is of a kind that is known.
pub(crate) fn policy_status(path: Vec<FollowedAnswer>, links: Vec<LinkAnswer>) -> Option<PolicyStatus> {
    let followed = |FollowedAnswer { hash, base, since, until }| Followed { hash, base, since, until };
    let link = |link: LinkAnswer| {
        let LinkAnswer { nonce, kind, from, to, author, signer, seen, counts_from, stopped, spent } = link;
        let kind = StepKind::from_number(kind)?;
        Some(PolicyLink { nonce, kind, from, to, author, signer, seen, counts_from, stopped, spent })
    };
    Some(PolicyStatus {
        path: path.into_iter().map(followed).collect(),
        links: links.into_iter().map(link).collect::<Option<_>>()?,
    })
}

/// Writes one frame: four bytes of length, big-endian, and the message.
pub fn write_frame(to: &mut impl Write, message: &impl Encode<()>) -> io::Result<()> {
    let mut frame = vec![0; 4];
    minicbor::encode(message, &mut frame).map_err(io::Error::other)?;
    let length = frame.len().saturating_sub(4);
    let length = u32::try_from(length).map_err(io::Error::other)?.to_be_bytes();
    for (byte, from) in frame.iter_mut().zip(length) {
        *byte = from;
    }
    to.write_all(&frame)?;
    to.flush()
}

/// Reads one frame of at most `max` bytes; `None` if the other side is done.
pub fn read_frame(from: &mut impl Read, max: usize) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    let (first, rest) = length.split_at_mut(1);
    if from.read(first)? == 0 {
        return Ok(None);
    }
    from.read_exact(rest)?;
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
    if length > max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the frame is too long"));
    }
    // Grows with what arrives, not with what was announced.
    let mut frame = Vec::with_capacity(length.min(64 << 10));
    let announced = u64::try_from(length).map_err(io::Error::other)?;
    from.take(announced).read_to_end(&mut frame)?;
    if frame.len() == length { Ok(Some(frame)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// The message of a frame, which is nothing else.
pub fn parse<'b, T: Decode<'b, ()>>(frame: &'b [u8]) -> Option<T> {
    let mut decoder = minicbor::Decoder::new(frame);
    let message = decoder.decode().ok()?;
    (decoder.position() == frame.len()).then_some(message)
}
