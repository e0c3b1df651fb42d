//! The fixed house that the targets know: its wallets, keys and secrets, all of them made up here and used nowhere else.

use std::sync::OnceLock;

use holdfast_authn::Operators;
use holdfast_authn::release::SigningKey;
use holdfast_authn::webauthn::RelyingParty;
use holdfast_transactions::Wallet;
use holdfast_values::{Network, OperatorPublicKey, TextDigest};

/// The seed of the house's Bitcoin keys.
pub const MASTER: [u8; 32] = [0x17; 32];
/// Where the hot wallet's descriptors branch off, in their order.
pub const HOT_BRANCHES: [&str; 4] = ["84'/0'/0'/0", "84'/0'/0'/1", "86'/0'/0'/0", "44'/0'/0'/0"];
/// Where the cold wallet's descriptor branches off.
pub const COLD_BRANCH: &str = "84'/0'/7'/0";
/// The hot wallet: two branches of segwit, one of taproot, one of legacy addresses.
pub const HOT_DESCRIPTORS: [&str; 4] = [
    "wpkh([98e916ed/84'/0'/0']xpub6DNgaizkmbhkKx8GSnGzQYZXMUALE6nvUtpGamCRKcRSU2fVcrFN6Vzv7j4audehZsEej4mXDaadMuz72PzAf3qkyM3FZgbN2RaVoNzRMys/0/*)",
    "wpkh([98e916ed/84'/0'/0']xpub6DNgaizkmbhkKx8GSnGzQYZXMUALE6nvUtpGamCRKcRSU2fVcrFN6Vzv7j4audehZsEej4mXDaadMuz72PzAf3qkyM3FZgbN2RaVoNzRMys/1/*)",
    "tr([98e916ed/86'/0'/0']xpub6CeYz5ScNxD93Dx2EqUNRaTtNVBswHoiZAjCnSr5Wp8Y7Msca9buoxGWCJdCpk4U46P1WB1o5iXQiwXVnW4PnJR1bqm21BEGRgprLodgLD4/0/*)",
    "pkh([98e916ed/44'/0'/0']xpub6CkXEiCjaktwAg5MpBKzAHCBAGUDqYQ1AKPGYk8hzZmmBAU7pqxANdpNF6NdFHNH8zBTqtvJ1j4J8CjqjDekTmoebZ7J9WFfAwMNZ29qfHq/0/*)",
];
/// The cold wallet.
pub const COLD_DESCRIPTOR: &str = "wpkh([98e916ed/84'/0'/7']xpub6DNgaizkmbhkdVsFeFUNMDGgjXJHWn2Gkw1JbZeTbCr1cxtMELdLZSWuNwd58WYiEUmHyZmvLrswQWA5eqdY7SyhqAgjNc6wCi5WPZsEZs7/0/*)";

/// The EVM accounts: hot, and cold.
pub const HOT_ACCOUNT: [u8; 20] = [0xa1; 20];
/// See [`HOT_ACCOUNT`].
pub const COLD_ACCOUNT: [u8; 20] = [0xc2; 20];

/// The place of the paying wallet among [`bitcoin_wallets`] and [`evm_wallets`].
pub const HOT: usize = 1;
/// The place of the wallet that does not pay.
pub const COLD: usize = 0;
/// The place of the hot account on another chain, among [`evm_wallets`].
pub const ELSEWHERE: usize = 2;

/// The seed of the release key.
pub const RELEASE_SEED: [u8; 32] = [0x11; 32];
/// The operators and the seeds of their keys.
pub const OPERATORS: [(&str, [u8; 32]); 3] =
    [("alice", [0xa0; 32]), ("bob", [0xb0; 32]), ("carol", [0xc0; 32])];
/// The API secret of the house's one customer.
pub const API_SECRET: &[u8] = b"a secret of sixty-four letters that stands in no book, 64 or more";
/// The passphrase of that secret, where a dialect has one.
pub const API_PASSPHRASE: &str = "open sesame";

/// The domain of the page where the house's customers approve.
pub const APPROVE_RP_ID: &str = "approve.harbor.example";
/// That page's origin.
pub const APPROVE_ORIGIN: &str = "https://approve.harbor.example";
/// The AppID of keys that were registered under U2F.
pub const APP_ID: &str = "https://harbor.example/app-id.json";
/// What is approved there.
pub const APPROVE_CHALLENGE: &[u8; 32] = b"the SHA-256 of a withdrawal text";
/// The seed of a customer's security key (Ed25519).
pub const KEY_SEED: [u8; 32] = [0x5e; 32];

/// The Bitcoin wallets, cold and hot.
pub fn bitcoin_wallets() -> &'static [Wallet] {
    static WALLETS: OnceLock<Vec<Wallet>> = OnceLock::new();
    WALLETS.get_or_init(|| {
        let wallet = |descriptors: &[&str]| {
            let descriptors: Vec<String> = descriptors.iter().map(|text| (*text).to_owned()).collect();
            Wallet::bitcoin(Network::Bitcoin, &descriptors).ok()
        };
        [wallet(&[COLD_DESCRIPTOR]), wallet(&HOT_DESCRIPTORS)].into_iter().flatten().collect()
    })
}

/// The EVM wallets: cold and hot on Ethereum, and hot on Arbitrum.
pub fn evm_wallets() -> &'static [Wallet] {
    static WALLETS: OnceLock<Vec<Wallet>> = OnceLock::new();
    WALLETS.get_or_init(|| {
        let wallet = |network, account: [u8; 20]| Wallet::evm(network, &address(account)).ok();
        let all = [
            wallet(Network::Ethereum, COLD_ACCOUNT),
            wallet(Network::Ethereum, HOT_ACCOUNT),
            wallet(Network::Arbitrum, HOT_ACCOUNT),
        ];
        all.into_iter().flatten().collect()
    })
}

/// An EVM address in lower case.
pub fn address(account: [u8; 20]) -> String {
    account.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// The key that signs releases, receipts and statements here.
pub fn release_key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::from_seed(&RELEASE_SEED))
}

/// A second name for the first operator's key.
pub const TWIN: &str = "dave";

/// The operator with a passkey.
pub const DORA: &str = "dora";
/// The seed of that passkey (Ed25519).
pub const DORA_SEED: [u8; 32] = [0xd0; 32];
/// The domain of the page where operators' passkeys sign.
pub const OPERATE_RP_ID: &str = "operate.harbor.example";
/// That page's origin.
pub const OPERATE_ORIGIN: &str = "https://operate.harbor.example";

/// The COSE key of an Ed25519 public key, as a passkey gives it.
pub fn cose(public: &[u8]) -> Vec<u8> {
    [&b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20"[..], public].concat()
}

/// The operators' public keys, [`TWIN`] and [`DORA`] among them.
pub fn operators() -> &'static Operators {
    static KEYS: OnceLock<Operators> = OnceLock::new();
    KEYS.get_or_init(|| {
        let key = |(name, seed): &(&str, [u8; 32])| {
            let key = SigningKey::from_seed(seed).public_key();
            Some((name.parse().ok()?, OperatorPublicKey::Ed25519(key)))
        };
        let twin = OPERATORS.first().map(|(_, seed)| (TWIN, *seed));
        let passkey = TextDigest::of(&cose(&SigningKey::from_seed(&DORA_SEED).public_key())).0;
        let dora = DORA.parse().ok().map(|name| (name, OperatorPublicKey::Passkey(passkey)));
        let party =
            RelyingParty { rp_id: OPERATE_RP_ID.into(), origins: vec![OPERATE_ORIGIN.into()], app_id: None };
        let keys = OPERATORS.iter().chain(&twin).filter_map(key).chain(dora).collect();
        Operators { keys, party: Some(party) }
    })
}
