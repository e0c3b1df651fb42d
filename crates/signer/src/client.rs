//! Asks a signer on its socket: for wallets, and for the command line.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use holdfast_authn::release::SignedAct;
use holdfast_values::{AccountId, WithdrawalId};

use crate::policy::{Introduced, PolicyStatus};
use crate::registry::Enrolled;
use crate::signer::{Authorised, Status};
use crate::store::registry::CredentialStatus;
use crate::wire::{ANSWER_BYTES_MAX, Act, Answer, Request, parse, policy_status, read_frame, write_frame};

/// How long an answer may take: long enough for a statement of everything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no answer, or which.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers, or the connection broke: ask again, the answer to the same question is the same.
    #[error("the signer's socket: {0}")]
    Io(#[from] io::Error),
    /// Something else answers.
    #[error("the signer's answer cannot be read: are both sides of one version?")]
    Malformed,
    /// The signer says no.
    #[error("{text}")]
    Refused {
        /// The stable code.
        code: String,
        /// Why.
        text: String,
        /// The one payment that is refused, where the others of the release are not.
        withdrawal: Option<WithdrawalId>,
    },
}

impl ClientError {
    /// The stable code.
    pub fn code(&self) -> &str {
        match self {
            Self::Io(_) => "signer_unreachable",
            Self::Malformed => "answer_malformed",
            Self::Refused { code, .. } => code,
        }
    }
}

/// One connection. After an error of [`ClientError::Io`] or [`ClientError::Malformed`] it is of no use: connect again.
#[derive(Debug)]
pub struct Client(UnixStream);

impl Client {
    /// Connects to a signer's socket.
    pub fn connect(socket: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    /// May this transaction be signed? Safe to ask again after any failure.
    pub fn authorise(&mut self, release: &[u8], transaction: &[u8]) -> Result<Authorised, ClientError> {
        let request = Request::Authorise { release: release.to_vec(), transaction: transaction.to_vec() };
        match self.ask(&request)? {
            Answer::Authorised(authorised) => Ok(authorised.into_authorised()),
            other => Err(unexpected(other)),
        }
    }

    /// Never pay this withdrawal; returns the signed receipt.
    pub fn void(&mut self, withdrawal: WithdrawalId) -> Result<Vec<u8>, ClientError> {
        self.signed(&Request::Void(withdrawal))
    }

    /// How the signer stands.
    pub fn status(&mut self) -> Result<Status, ClientError> {
        match self.ask(&Request::Status)? {
            Answer::Status(status) => status.into_status().ok_or(ClientError::Malformed),
            other => Err(unexpected(other)),
        }
    }

    /// Sign nothing any more.
    pub fn halt(&mut self) -> Result<(), ClientError> {
        self.done(&Request::Halt).map(drop)
    }

    /// Does what operators signed; returns the act's name.
    pub fn act(&mut self, signed: &SignedAct) -> Result<String, ClientError> {
        self.done(&Request::Act(Act::from(signed)))
    }

    /// The signed statement of everything that was authorised or voided.
    pub fn spends(&mut self) -> Result<Vec<u8>, ClientError> {
        self.signed(&Request::Spends)
    }

    /// Takes a sealed [`Enrolment`](holdfast_authn::release::Enrolment). Safe to ask again after any failure.
    pub fn enrol(&mut self, enrolment: &[u8]) -> Result<Enrolled, ClientError> {
        match self.ask(&Request::Enrol(enrolment.to_vec()))? {
            Answer::Enrolled(enrolled) => Ok(enrolled.into()),
            other => Err(unexpected(other)),
        }
    }

    /// Takes a sealed [`Removal`](holdfast_authn::release::Removal). Safe to ask again after any failure.
    pub fn remove(&mut self, removal: &[u8]) -> Result<(), ClientError> {
        self.done(&Request::Remove(removal.to_vec())).map(drop)
    }

    /// Every credential that an account ever had there.
    pub fn credentials(&mut self, account: &AccountId) -> Result<Vec<CredentialStatus>, ClientError> {
        match self.ask(&Request::Credentials(account.clone()))? {
            Answer::Credentials(known) => {
                known.into_iter().map(|known| known.into_status().ok_or(ClientError::Malformed)).collect()
            }
            other => Err(unexpected(other)),
        }
    }

    /// Takes a sealed [`PolicyStep`](holdfast_authn::release::PolicyStep). Safe to ask again after any failure.
    pub fn introduce_policy(&mut self, step: &[u8]) -> Result<Introduced, ClientError> {
        match self.ask(&Request::IntroducePolicy(step.to_vec()))? {
            Answer::Introduced(introduced) => Ok(introduced.into()),
            other => Err(unexpected(other)),
        }
    }

    /// Never follows the step whose text has this nonce.
    pub fn stop_policy(&mut self, nonce: &[u8; 32]) -> Result<(), ClientError> {
        self.done(&Request::StopPolicy(*nonce)).map(drop)
    }

    /// Which policies were followed, and which steps lead on.
    pub fn policy(&mut self) -> Result<PolicyStatus, ClientError> {
        match self.ask(&Request::Policy)? {
            Answer::Policy { path, links } => policy_status(path, links).ok_or(ClientError::Malformed),
            other => Err(unexpected(other)),
        }
    }

    fn signed(&mut self, request: &Request) -> Result<Vec<u8>, ClientError> {
        match self.ask(request)? {
            Answer::Signed(bytes) => Ok(bytes),
            other => Err(unexpected(other)),
        }
    }

    fn done(&mut self, request: &Request) -> Result<String, ClientError> {
        match self.ask(request)? {
            Answer::Done(act) => Ok(act),
            other => Err(unexpected(other)),
        }
    }

    fn ask(&mut self, request: &Request) -> Result<Answer, ClientError> {
        write_frame(&mut self.0, request)?;
        let frame = read_frame(&mut self.0, ANSWER_BYTES_MAX)?;
        let frame = frame.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        parse(&frame).ok_or(ClientError::Malformed)
    }
}

fn unexpected(answer: Answer) -> ClientError {
    match answer {
        Answer::Refused { code, text, withdrawal } => ClientError::Refused { code, text, withdrawal },
        _ => ClientError::Malformed,
    }
}
