//! Keys in a PKCS#11 token: a hardware module, or softhsm2. What is done with such a key is done inside the token; the
//! key itself is never read, and one that could be read is refused.

mod uri;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

pub use uri::{Pkcs11Uri, URI_BYTES_MAX};

use super::envelope::KEY_BYTES;

const GCM_TAG_BITS: u64 = 128;
/// The curve's name as an ASN.1 PrintableString, as PKCS#11 has it.
const EDWARDS25519: &[u8] = b"\x13\x0cedwards25519";
/// The same as the object identifier of RFC 8410, as later tokens have it.
const ED25519_OID: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];

/// Why a token's key cannot be used. Each has a stable [`code`](Self::code); none holds a PIN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No reference to a key.
    #[error(
        "not a reference to a token's key: {0}. Write \
         pkcs11:token=LABEL;object=LABEL?module-path=/PATH/MODULE.so&pin-source=file:/PATH"
    )]
    Uri(String),
    /// The vendor's library does not load or start.
    #[error("the PKCS#11 module {module} cannot be used: {what}")]
    Module {
        /// Its path.
        module: String,
        /// What it said.
        what: String,
    },
    /// No token of this label, or several.
    #[error("{found} tokens are labelled {label}: exactly one must be")]
    Missing {
        /// The label.
        label: String,
        /// How many there are.
        found: usize,
    },
    /// The PIN is missing or wrong.
    #[error("the token's PIN cannot be used: {0}")]
    Pin(String),
    /// No key of this label, or several.
    #[error("the token has {found} keys labelled {label} that are {what}: exactly one must be there")]
    Key {
        /// The label.
        label: String,
        /// Of which kind.
        what: &'static str,
        /// How many there are.
        found: usize,
    },
    /// The key could be read out of the token.
    #[error(
        "the token gives the key {0} away to whoever asks: use one that is sensitive and not extractable"
    )]
    Readable(String),
    /// A key of this label is there already.
    #[error("the token has a key labelled {0} already: nothing was changed")]
    Exists(String),
    /// What was wrapped was not wrapped by this key for this purpose, or was altered.
    #[error("this was not wrapped by the token's key, or it has been altered")]
    NotAuthentic,
    /// A signature that does not verify: the token is faulty, or something is between it and us.
    #[error("the token's signature does not fit its own public key: it is not used")]
    BadSignature,
    /// The token refused or failed.
    #[error("the token refused or failed: {0}")]
    Failed(String),
}

impl TokenError {
    /// The stable code of this failure.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Uri(_) => "pkcs11_uri_invalid",
            Self::Module { .. } => "pkcs11_module",
            Self::Missing { .. } => "pkcs11_token_missing",
            Self::Pin(_) => "pkcs11_pin",
            Self::Key { .. } => "pkcs11_key_missing",
            Self::Readable(_) => "pkcs11_key_readable",
            Self::Exists(_) => "pkcs11_key_exists",
            Self::NotAuthentic => "sealed_not_authentic",
            Self::BadSignature => "pkcs11_signature",
            Self::Failed(_) => "pkcs11_failed",
        }
    }
}

impl From<Error> for TokenError {
    fn from(error: Error) -> Self {
        match error {
            Error::Pkcs11(code @ (RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange), _) => {
                Self::Pin(format!("{code:?}: it is wrong"))
            }
            Error::Pkcs11(code @ (RvError::PinLocked | RvError::PinExpired), _) => {
                Self::Pin(format!("{code:?}: the token's security officer must set it anew"))
            }
            Error::Pkcs11(code, function) => Self::Failed(format!("{code:?} from {function:?}")),
            error => Self::Failed(error.to_string()),
        }
    }
}

/// What a key is for; others of the same label are not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Wrapping,
    Signing,
}

impl Use {
    const fn name(self) -> &'static str {
        match self {
            Self::Wrapping => "AES secret keys",
            Self::Signing => "Ed25519 private keys",
        }
    }

    fn template(self, label: &str) -> Vec<Attribute> {
        let (class, kind) = match self {
            Self::Wrapping => (ObjectClass::SECRET_KEY, KeyType::AES),
            Self::Signing => (ObjectClass::PRIVATE_KEY, KeyType::EC_EDWARDS),
        };
        vec![
            Attribute::Class(class),
            Attribute::KeyType(kind),
            Attribute::Token(true),
            Attribute::Label(label.as_bytes().to_vec()),
        ]
    }
}

/// A session with a token, logged in, and the key in it.
struct Opened {
    session: Session,
    key: ObjectHandle,
}

/// How it stands with a key's session.
enum State {
    Open(Opened),
    Lost,
    /// The PIN was refused. It is not tried again: a few more tries would lock the token for everybody.
    Refused(TokenError),
}

/// A key in a token. One operation at a time; a session that was lost is opened anew.
struct TokenKey {
    uri: Pkcs11Uri,
    purpose: Use,
    state: Mutex<State>,
}

impl TokenKey {
    fn open(uri: &Pkcs11Uri, purpose: Use) -> Result<Self, TokenError> {
        let opened = connect(uri, purpose)?;
        Ok(Self { uri: uri.clone(), purpose, state: Mutex::new(State::Open(opened)) })
    }

    /// Does something with the key. Whatever fails is tried once more in a new session: tokens are pulled, modules
    /// restarted, and sessions end with them.
    fn with<T>(
        &self,
        work: impl Fn(&Session, ObjectHandle) -> Result<T, TokenError>,
    ) -> Result<T, TokenError> {
        // A thread that died here left at most a session behind, which the next failure replaces.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Refused(error) => return Err(error.clone()),
            State::Open(Opened { session, key }) => {
                if let Ok(done) = work(session, *key) {
                    return Ok(done);
                }
            }
            State::Lost => {}
        }
        *state = State::Lost;
        match connect(&self.uri, self.purpose) {
            Ok(opened) => {
                let result = work(&opened.session, opened.key);
                *state = State::Open(opened);
                result
            }
            Err(error) => {
                if matches!(error, TokenError::Pin(_)) {
                    *state = State::Refused(error.clone());
                }
                Err(error)
            }
        }
    }
}

/// Modules are loaded and started once in a process and stay: a second start, or an end, would end the sessions of the
/// other keys of the same module.
fn module(path: &Path) -> Result<Pkcs11, TokenError> {
    static MODULES: OnceLock<Mutex<BTreeMap<PathBuf, Pkcs11>>> = OnceLock::new();
    let mut modules = MODULES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = modules.get(path) {
        return Ok(module.clone());
    }
    let failed = |error: Error| TokenError::Module {
        module: path.display().to_string(),
        what: match error {
            Error::LibraryLoading(error) => format!("it does not load: {error}"),
            error => error.to_string(),
        },
    };
    let module = Pkcs11::new(path).map_err(failed)?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(failed(error)),
    }
    modules.insert(path.to_owned(), module.clone());
    Ok(module)
}

fn session(uri: &Pkcs11Uri, writable: bool) -> Result<Session, TokenError> {
    let module = module(&uri.module)?;
    let mut slots: Vec<Slot> = Vec::new();
    for slot in module.get_slots_with_initialized_token()? {
        // A broken token in another slot is no concern of ours.
        if module.get_token_info(slot).is_ok_and(|info| info.label() == uri.token) {
            slots.push(slot);
        }
    }
    let &[slot] = slots.as_slice() else {
        return Err(TokenError::Missing { label: uri.token.clone(), found: slots.len() });
    };
    let session = if writable { module.open_rw_session(slot)? } else { module.open_ro_session(slot)? };
    let pin = uri.pin()?;
    match session.login(UserType::User, Some(&AuthPin::new(pin.as_str().into()))) {
        // A login holds for all sessions that a process has with a token.
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
        Err(error) => Err(error.into()),
    }
}

fn connect(uri: &Pkcs11Uri, purpose: Use) -> Result<Opened, TokenError> {
    let session = session(uri, false)?;
    let key = only(uri, purpose.name(), session.find_objects(&purpose.template(&uri.object))?)?;
    let attributes = session.get_attributes(key, &[AttributeType::Sensitive, AttributeType::Extractable])?;
    let locked = attributes.contains(&Attribute::Sensitive(true))
        && attributes.contains(&Attribute::Extractable(false));
    if !locked {
        return Err(TokenError::Readable(uri.object.clone()));
    }
    Ok(Opened { session, key })
}

fn only(uri: &Pkcs11Uri, what: &'static str, found: Vec<ObjectHandle>) -> Result<ObjectHandle, TokenError> {
    match found.as_slice() {
        &[key] => Ok(key),
        found => Err(TokenError::Key { label: uri.object.clone(), what, found: found.len() }),
    }
}

/// A new key's attributes: it stays in the token, and only the user who is logged in may use it.
fn kept(label: &[u8]) -> Vec<Attribute> {
    vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Label(label.to_vec()),
    ]
}

fn refuse_existing(session: &Session, uri: &Pkcs11Uri, purpose: Use) -> Result<(), TokenError> {
    if session.find_objects(&purpose.template(&uri.object))?.is_empty() {
        Ok(())
    } else {
        Err(TokenError::Exists(uri.object.clone()))
    }
}

/// An AES-256 key that wraps data keys with GCM inside the token.
pub(super) struct WrappingKey(TokenKey);

impl WrappingKey {
    /// Makes the key in the token. One that is there is left alone.
    pub(super) fn make(uri: &Pkcs11Uri) -> Result<(), TokenError> {
        let session = session(uri, true)?;
        refuse_existing(&session, uri, Use::Wrapping)?;
        let mut template = kept(uri.object.as_bytes());
        template.extend([
            Attribute::ValueLen(KEY_BYTES.try_into()?),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::Wrap(false),
            Attribute::Unwrap(false),
        ]);
        session.generate_key(&Mechanism::AesKeyGen, &template)?;
        Ok(())
    }

    pub(super) fn open(uri: &Pkcs11Uri) -> Result<Self, TokenError> {
        TokenKey::open(uri, Use::Wrapping).map(Self)
    }

    /// Ciphertext and tag.
    pub(super) fn wrap(&self, nonce: [u8; 12], aad: &[u8], secret: &[u8]) -> Result<Vec<u8>, TokenError> {
        self.0.with(|session, key| {
            let mut nonce = nonce;
            let parameters = GcmParams::new(&mut nonce, aad, GCM_TAG_BITS.into())?;
            Ok(session.encrypt(&Mechanism::AesGcm(parameters), key, secret)?)
        })
    }

    pub(super) fn unwrap(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, TokenError> {
        self.0.with(|session, key| {
            let mut nonce = nonce;
            let parameters = GcmParams::new(&mut nonce, aad, GCM_TAG_BITS.into())?;
            match session.decrypt(&Mechanism::AesGcm(parameters), key, wrapped) {
                Ok(secret) => Ok(Zeroizing::new(secret)),
                // What a token says of a tag that does not fit differs between vendors.
                Err(Error::Pkcs11(
                    RvError::EncryptedDataInvalid
                    | RvError::EncryptedDataLenRange
                    | RvError::DataInvalid
                    | RvError::GeneralError,
                    _,
                )) => Err(TokenError::NotAuthentic),
                Err(error) => Err(error.into()),
            }
        })
    }
}

/// An Ed25519 key that signs inside the token.
pub struct TokenSigner {
    key: TokenKey,
    public: [u8; 32],
}

impl std::fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenSigner(..)")
    }
}

impl TokenSigner {
    /// Makes a pair of keys in the token. A private key of the same label is left alone and refused.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn make(uri: &Pkcs11Uri) -> Result<(), TokenError> {
        let session = session(uri, true)?;
        refuse_existing(&session, uri, Use::Signing)?;
        let label = uri.object.as_bytes();
        let public = [
            Attribute::Token(true),
            Attribute::Private(false),
            Attribute::Verify(true),
            Attribute::Label(label.to_vec()),
            Attribute::EcParams(EDWARDS25519.to_vec()),
        ];
        let mut private = kept(label);
        private.push(Attribute::Sign(true));
        session.generate_key_pair(&Mechanism::EccEdwardsKeyPairGen, &public, &private)?;
        Ok(())
    }

    /// Finds the pair of keys, and tries it once.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn open(uri: &Pkcs11Uri) -> Result<Self, TokenError> {
        let key = TokenKey::open(uri, Use::Signing)?;
        let public = key.with(|session, _| public_key(session, uri))?;
        let signer = Self { key, public };
        signer.sign(b"holdfast: does the private key fit the public one?")?;
        Ok(signer)
    }

    /// The public half.
    pub const fn public_key(&self) -> [u8; 32] {
        self.public
    }

    /// Signs. What does not verify under the public half is not handed out.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64], TokenError> {
        let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
        let signature = self.key.with(|session, key| Ok(session.sign(&mechanism, key, message)?))?;
        let public = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, &self.public);
        public.verify(message, &signature).map_err(|_| TokenError::BadSignature)?;
        signature.try_into().map_err(|_| TokenError::BadSignature)
    }
}

fn public_key(session: &Session, uri: &Pkcs11Uri) -> Result<[u8; 32], TokenError> {
    const WHAT: &str = "Ed25519 public keys";
    let template = [
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::KeyType(KeyType::EC_EDWARDS),
        Attribute::Label(uri.object.as_bytes().to_vec()),
    ];
    let key = only(uri, WHAT, session.find_objects(&template)?)?;
    let attributes = session.get_attributes(key, &[AttributeType::EcParams, AttributeType::EcPoint])?;
    let is_curve = |attribute: &Attribute| match attribute {
        Attribute::EcParams(curve) => curve == EDWARDS25519 || curve == ED25519_OID,
        _ => false,
    };
    let point = attributes.iter().find_map(|attribute| match attribute {
        // The point as it is, or as tokens of version 2.40 have it, in an OCTET STRING.
        Attribute::EcPoint(point) => point.strip_prefix(&[0x04, 0x20]).unwrap_or(point).try_into().ok(),
        _ => None,
    });
    point.filter(|_| attributes.iter().any(is_curve)).ok_or(TokenError::Key {
        label: uri.object.clone(),
        what: WHAT,
        found: 0,
    })
}
