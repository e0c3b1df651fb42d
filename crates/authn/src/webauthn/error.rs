//! Why a registration, an assertion or a key is refused. Nothing here decides.

/// Why it is refused. Each has a stable [`code`](Self::code), and `docs/webauthn.md` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebAuthnError {
    /// The caller's challenge is too short to be unique, or absurdly long.
    #[error("a challenge has 16 to 1024 bytes: ask again with a new one")]
    ChallengeLength,
    /// Client data over its limit.
    #[error("clientDataJSON may have at most 4096 bytes")]
    ClientDataSize,
    /// Client data that is not the JSON that a browser writes.
    #[error(
        "clientDataJSON must be one JSON object in UTF-8 with the members type, challenge and origin: send the \
         browser's bytes unchanged"
    )]
    ClientDataMalformed,
    /// Client data that says something twice.
    #[error("clientDataJSON names a member twice: send the browser's bytes unchanged")]
    ClientDataDuplicate,
    /// A registration where an assertion belongs, or the reverse.
    #[error(
        "clientDataJSON is of another ceremony: webauthn.create registers a key, webauthn.get approves with it"
    )]
    TypeMismatch,
    /// Signed for another challenge.
    #[error("this was signed for another challenge: ask for a new one, and sign that")]
    ChallengeMismatch,
    /// Signed on another page.
    #[error("this was signed on an origin that is not permitted: use the page of the permitted origin")]
    OriginMismatch,
    /// Signed inside a frame of another origin.
    #[error("this was signed in a frame of another site's page: open the page itself")]
    CrossOrigin,
    /// Signed inside a frame, and the outer page is named.
    #[error("this was signed below another page (topOrigin): open the page itself")]
    TopOrigin,
    /// Bound to a TLS connection that nobody here knows.
    #[error("token binding is not supported: sign without it")]
    TokenBinding,
    /// Authenticator data over its limit.
    #[error("authenticator data may have at most 4096 bytes")]
    AuthenticatorDataSize,
    /// Authenticator data that ends early or goes on too long.
    #[error("authenticator data is cut off or has bytes behind its end: send the browser's bytes unchanged")]
    AuthenticatorDataMalformed,
    /// Made for another relying party.
    #[error("the key signed for another relying party: register it on this site")]
    RpIdMismatch,
    /// Nobody touched the key.
    #[error("the key does not say that its owner was present: touch it, and sign again")]
    UserNotPresent,
    /// Backed up, but not able to be.
    #[error("the key says that it is backed up and that it cannot be: use another key")]
    BackupFlags,
    /// A registration without a key.
    #[error("authenticator data of a registration must carry the new credential")]
    CredentialMissing,
    /// An assertion with a key.
    #[error("authenticator data of an assertion must not carry a credential")]
    CredentialUnexpected,
    /// A credential id of an impossible length.
    #[error("a credential id has 1 to 1023 bytes")]
    CredentialIdLength,
    /// Extension outputs that are not one map of names.
    #[error("extension outputs must be one CBOR map with texts as keys")]
    ExtensionsMalformed,
    /// CBOR that cannot be read.
    #[error("the CBOR is cut off, too deep or not well-formed: send the browser's bytes unchanged")]
    CborMalformed,
    /// CBOR in another spelling than its one.
    #[error("the CBOR is not in CTAP2 canonical form (shortest heads, definite lengths, keys in order)")]
    CborNotCanonical,
    /// CBOR that says something twice.
    #[error("a CBOR map names a key twice")]
    CborDuplicateKey,
    /// Something behind the end of the CBOR.
    #[error("there are bytes behind the end of the CBOR")]
    CborTrailing,
    /// An attestation object over its limit.
    #[error("an attestation object may have at most 16384 bytes")]
    AttestationObjectSize,
    /// Not fmt, attStmt and authData.
    #[error("an attestation object has exactly the members fmt, attStmt and authData")]
    AttestationObjectMalformed,
    /// A format that is not verified here.
    #[error(
        "this attestation format is not supported: ask for attestation none, or use a key that gives none, packed \
         or fido-u2f"
    )]
    AttestationFormat,
    /// A statement that is not what its format wants.
    #[error("the attestation statement does not have the members of its format")]
    AttestationStatement,
    /// A statement signed by another algorithm than it names, or by one that is not supported.
    #[error("the attestation's algorithm is not its key's, or is not ES256, EdDSA or RS256")]
    AttestationAlgorithm,
    /// A certificate that cannot be read, or is not for attestation.
    #[error("the attestation certificate cannot be read or does not meet the requirements of its format")]
    AttestationCertificate,
    /// A certificate for another model.
    #[error("the attestation certificate is for another model of authenticator (AAGUID)")]
    AttestationAaguid,
    /// The attestation is not what was signed.
    #[error("the attestation's signature does not fit: register again")]
    AttestationSignature,
    /// A key that cannot be read.
    #[error("the public key is neither a COSE key as WebAuthn wants it nor an uncompressed point of P-256")]
    KeyMalformed,
    /// A key of another algorithm.
    #[error("the key's algorithm is not supported: use ES256, EdDSA (Ed25519) or RS256")]
    KeyAlgorithm,
    /// An RSA key too small, too large or odd.
    #[error("RSA keys must have 2048 to 8192 bits and an odd exponent from 3 to 2^33 - 1")]
    KeyRsaSize,
    /// An Ed25519 key under which some signature fits every message, or that has a second spelling.
    #[error("this is not a usable Ed25519 public key: make a new one")]
    KeyWeak,
    /// The assertion is not what was signed, or not by this key.
    #[error("the signature is not this key's over this assertion: sign again with the registered key")]
    SignatureInvalid,
}

impl WebAuthnError {
    /// Every refusal, in the order of `docs/webauthn.md`.
    pub const ALL: [Self; 36] = [
        Self::ChallengeLength,
        Self::ClientDataSize,
        Self::ClientDataMalformed,
        Self::ClientDataDuplicate,
        Self::TypeMismatch,
        Self::ChallengeMismatch,
        Self::OriginMismatch,
        Self::CrossOrigin,
        Self::TopOrigin,
        Self::TokenBinding,
        Self::AuthenticatorDataSize,
        Self::AuthenticatorDataMalformed,
        Self::RpIdMismatch,
        Self::UserNotPresent,
        Self::BackupFlags,
        Self::CredentialMissing,
        Self::CredentialUnexpected,
        Self::CredentialIdLength,
        Self::ExtensionsMalformed,
        Self::CborMalformed,
        Self::CborNotCanonical,
        Self::CborDuplicateKey,
        Self::CborTrailing,
        Self::AttestationObjectSize,
        Self::AttestationObjectMalformed,
        Self::AttestationFormat,
        Self::AttestationStatement,
        Self::AttestationAlgorithm,
        Self::AttestationCertificate,
        Self::AttestationAaguid,
        Self::AttestationSignature,
        Self::KeyMalformed,
        Self::KeyAlgorithm,
        Self::KeyRsaSize,
        Self::KeyWeak,
        Self::SignatureInvalid,
    ];

    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ChallengeLength => "webauthn_challenge_length",
            Self::ClientDataSize => "webauthn_client_data_size",
            Self::ClientDataMalformed => "webauthn_client_data_malformed",
            Self::ClientDataDuplicate => "webauthn_client_data_duplicate",
            Self::TypeMismatch => "webauthn_type_mismatch",
            Self::ChallengeMismatch => "webauthn_challenge_mismatch",
            Self::OriginMismatch => "webauthn_origin_mismatch",
            Self::CrossOrigin => "webauthn_cross_origin",
            Self::TopOrigin => "webauthn_top_origin",
            Self::TokenBinding => "webauthn_token_binding",
            Self::AuthenticatorDataSize => "webauthn_authenticator_data_size",
            Self::AuthenticatorDataMalformed => "webauthn_authenticator_data_malformed",
            Self::RpIdMismatch => "webauthn_rp_id_mismatch",
            Self::UserNotPresent => "webauthn_user_not_present",
            Self::BackupFlags => "webauthn_backup_flags",
            Self::CredentialMissing => "webauthn_credential_missing",
            Self::CredentialUnexpected => "webauthn_credential_unexpected",
            Self::CredentialIdLength => "webauthn_credential_id_length",
            Self::ExtensionsMalformed => "webauthn_extensions_malformed",
            Self::CborMalformed => "webauthn_cbor_malformed",
            Self::CborNotCanonical => "webauthn_cbor_not_canonical",
            Self::CborDuplicateKey => "webauthn_cbor_duplicate_key",
            Self::CborTrailing => "webauthn_cbor_trailing",
            Self::AttestationObjectSize => "webauthn_attestation_object_size",
            Self::AttestationObjectMalformed => "webauthn_attestation_object_malformed",
            Self::AttestationFormat => "webauthn_attestation_format",
            Self::AttestationStatement => "webauthn_attestation_statement",
            Self::AttestationAlgorithm => "webauthn_attestation_algorithm",
            Self::AttestationCertificate => "webauthn_attestation_certificate",
            Self::AttestationAaguid => "webauthn_attestation_aaguid",
            Self::AttestationSignature => "webauthn_attestation_signature",
            Self::KeyMalformed => "webauthn_key_malformed",
            Self::KeyAlgorithm => "webauthn_key_algorithm",
            Self::KeyRsaSize => "webauthn_key_rsa_size",
            Self::KeyWeak => "webauthn_key_weak",
            Self::SignatureInvalid => "webauthn_signature_invalid",
        }
    }
}
