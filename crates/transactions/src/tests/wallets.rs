//! Which texts are wallets, and that derivation gives the addresses that everybody else derives.

use core::str::FromStr as _;

use bitcoin::bip32::Xpub;
use holdfast_values::Network;

use super::support::{House, WPKH};
use crate::{Wallet, WalletError};

/// Account keys and first addresses of the mnemonic `abandon ... about` (test vectors of BIP-84 and BIP-86, and the
/// address that every BIP-44 wallet shows for it).
const WPKH_ACCOUNT: &str = "xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V";
const TR_ACCOUNT: &str = "xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ";
const PKH_ACCOUNT: &str = "xpub6BosfCnifzxcFwrSzQiqu2DBVTshkCXacvNsWGYJVVhhawA7d4R5WSWGFNbi8Aw6ZRc1brxMyWMzG3DSSSSoekkudhUd9yLb6qx39T9nMdj";

fn wallet<T: ToString>(network: Network, descriptors: &[T]) -> Result<Wallet, WalletError> {
    let descriptors: Vec<String> = descriptors.iter().map(ToString::to_string).collect();
    Wallet::bitcoin(network, &descriptors)
}

#[test]
fn addresses_are_those_that_every_wallet_derives() {
    let hot = wallet(
        Network::Bitcoin,
        &[
            format!("wpkh([73c5da0a/84'/0'/0']{WPKH_ACCOUNT}/0/*)"),
            format!("wpkh([73c5da0a/84h/0h/0h]{WPKH_ACCOUNT}/1/*)"),
            format!("tr({TR_ACCOUNT}/0/*)"),
            format!("tr({TR_ACCOUNT}/1/*)"),
            format!("pkh({PKH_ACCOUNT}/0/*)"),
        ],
    )
    .unwrap();
    for (descriptor, index, expected) in [
        (0, 0, "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu"),
        (0, 1, "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g"),
        (1, 0, "bc1q8c6fshw2dlwun7ekn9qwf37cu2rn755upcp6el"),
        (2, 0, "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr"),
        (2, 1, "bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh"),
        (3, 0, "bc1p3qkhfews2uk44qtvauqyr2ttdsw7svhkl9nkm9s9c3x4ax5h60wqwruhk7"),
        (4, 0, "1LqBGSKuX5yYUonjxT5qGfpUsXKYYWeabA"),
    ] {
        let destination = hot.address_at(descriptor, index).unwrap();
        assert_eq!((destination.address(), destination.network()), (expected, Network::Bitcoin));
    }
    assert_eq!(hot.address_at(5, 0), None);
    assert!(hot.address_at(0, (1 << 31) - 1).is_some());
    assert_eq!(hot.address_at(0, 1 << 31), None, "hardened");
    assert_eq!((hot.network(), hot.evm_address()), (Network::Bitcoin, None));
}

#[test]
fn only_ranged_single_key_descriptors_with_public_keys_are_wallets() {
    use WalletError::{
        Count, DescriptorDuplicate, DescriptorKind, DescriptorLength, DescriptorMalformed, DescriptorNetwork,
        DescriptorPrivate, DescriptorRange,
    };
    let key = WPKH_ACCOUNT;
    let private = "xprv9s21ZrQH143K31xYSDQpPDxsXRTUcvj2iNHm5NUtrGiGG5e2DtALGdso3pGz6ssrdK4PFmM8NSpSBHNqPqm55Qn3LqFtT2emdEXVYsCzC2U";
    let public = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    let good = format!("wpkh({key}/0/*)");
    let [deep, deepest] = [254, 255].map(|depth| Xpub { depth, ..Xpub::from_str(key).unwrap() });
    assert!(
        wallet(Network::Bitcoin, &[format!("wpkh({deep}/*)")]).is_ok(),
        "255 levels below the master key"
    );
    for (text, expected) in [
        (format!("wpkh({private}/0/*)"), DescriptorPrivate),
        (format!("wpkh([73c5da0a/84'/0'/0']{}/0/*)", private.replacen('x', "t", 1)), DescriptorPrivate),
        ("wpkh(KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU73sVHnoWn)".into(), DescriptorMalformed),
        (format!("wpkh({key}/0/0)"), DescriptorRange),
        (format!("wpkh({key})"), DescriptorRange),
        (format!("wpkh({key}/0/*')"), DescriptorRange),
        (format!("wpkh({key}/0'/*)"), DescriptorRange),
        (format!("wpkh({key}/<0;1>/*)"), DescriptorRange),
        (format!("wpkh({public})"), DescriptorRange),
        (format!("tr({public})"), DescriptorRange),
        (format!("wpkh({deepest}/*)"), DescriptorRange),
        (format!("wpkh({deep}/0/*)"), DescriptorRange),
        (format!("sh(wpkh({key}/0/*))"), DescriptorKind),
        (format!("wsh(pk({key}/0/*))"), DescriptorKind),
        (format!("tr({key}/0/*,pk({key}/1/*))"), DescriptorKind),
        (format!("wsh(multi(1,{key}/0/*))"), DescriptorKind),
        (format!("combo({key}/0/*)"), DescriptorMalformed),
        (format!("{good}#"), DescriptorMalformed),
        (format!("{good}#00000000"), DescriptorMalformed),
        (format!("{good} "), DescriptorMalformed),
        (format!("{good}{}", " ".repeat(400)), DescriptorLength),
        (String::new(), DescriptorMalformed),
        ("wpkh(\u{e4}/0/*)".into(), DescriptorMalformed),
    ] {
        let error = wallet(Network::Bitcoin, &[&text]).err();
        assert_eq!(error, Some(expected), "{text}");
        assert!(!error.unwrap().to_string().contains(key), "what is refused is not repeated");
    }
    let with_checksum =
        miniscript::Descriptor::<miniscript::DescriptorPublicKey>::from_str(&good).unwrap().to_string();
    assert!(wallet(Network::Bitcoin, &[&with_checksum]).is_ok());
    let wrong = with_checksum.replace("/0/*", "/1/*");
    assert_eq!(wallet(Network::Bitcoin, &[wrong]).err(), Some(DescriptorMalformed));
    assert_eq!(wallet(Network::Bitcoin, &[""; 0]).err(), Some(Count));
    let many: Vec<_> = (0..9).map(|step| format!("wpkh({key}/{step}/*)")).collect();
    assert_eq!(wallet(Network::Bitcoin, &many).err(), Some(Count));
    assert!(wallet(Network::Bitcoin, &many[..8]).is_ok());
    assert_eq!(wallet(Network::Bitcoin, &[good.clone(), with_checksum]).err(), Some(DescriptorDuplicate));
    assert_eq!(wallet(Network::BitcoinTestnet, &[&good]).err(), Some(DescriptorNetwork));
    assert_eq!(wallet(Network::BitcoinRegtest, &[&good]).err(), Some(DescriptorNetwork));
    for network in [Network::Litecoin, Network::BitcoinCash, Network::Ethereum] {
        assert_eq!(wallet(network, &[&good]).err(), Some(WalletError::Network));
    }
}

#[test]
fn test_keys_belong_to_every_test_network() {
    let descriptor = House::new().descriptor(WPKH);
    let (before, rest) = descriptor.split_once(']').unwrap();
    let (key, after) = rest.split_once('/').unwrap();
    let mut key = Xpub::from_str(key).unwrap();
    key.network = bitcoin::NetworkKind::Test;
    let descriptor = format!("{before}]{key}/{after}");
    for (network, prefix) in [
        (Network::BitcoinTestnet, "tb1q"),
        (Network::BitcoinSignet, "tb1q"),
        (Network::BitcoinRegtest, "bcrt1q"),
    ] {
        let wallet = wallet(network, &[&descriptor]).unwrap();
        assert!(wallet.address_at(0, 0).unwrap().address().starts_with(prefix));
    }
    assert_eq!(wallet(Network::Bitcoin, &[descriptor]).err(), Some(WalletError::DescriptorNetwork));
}

#[test]
fn an_account_is_a_wallet_on_its_own_network() {
    let account = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    let wallet = Wallet::evm(Network::Base, account).unwrap();
    assert_eq!(wallet.network(), Network::Base);
    assert_eq!(wallet.evm_address().unwrap()[..3], [0x5a, 0xae, 0xb6]);
    assert_eq!(wallet.address_at(0, 0), None);
    let code = |network, text| Wallet::evm(network, text).err().map(WalletError::code);
    assert_eq!(code(Network::Bitcoin, account), Some("wallet_network"));
    assert_eq!(code(Network::Tron, account), Some("wallet_network"));
    assert_eq!(code(Network::Base, "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed"), Some("wallet_address"));
    assert_eq!(code(Network::Base, "0x0000000000000000000000000000000000000000"), Some("wallet_address"));
}
