//! What a configuration may say.

use std::path::Path;

use holdfast_connectors::WatchConfig;

const BITCOIN: &str = "network = 'bitcoin-regtest'
wallet = 'btc-hot'
addresses = ['bcrt1qqyqszqgpqyqszqgpqyqszqgpqyqszqgpvxat8t']
start_height = 1
state = 's.json'
[holdfast]
url = 'http://127.0.0.1:8420'
token_file = 't'
[node]
url = 'http://127.0.0.1:8332'
";

#[test]
fn what_is_wrong_is_named() {
    let own = crate::bitcoin_node::address(1);
    let sound = BITCOIN.replace("bcrt1qqyqszqgpqyqszqgpqyqszqgpqyqszqgpvxat8t", &own);
    let parse = |text: &str| WatchConfig::parse(text, Path::new(""));
    parse(&sound).unwrap();
    for (from, to, says) in [
        ("wallet = 'btc-hot'", "", "missing field `wallet`"),
        ("wallet = 'btc-hot'", "wallet = 'btc hot'", "wallet: "),
        ("wallet = 'btc-hot'", "wallet = 'btc-hot'\nwhatever = 1", "unknown field `whatever`"),
        ("bitcoin-regtest", "bitcoin", "addresses: the address belongs to another network"),
        ("bitcoin-regtest", "solana", "network: no watcher knows this network yet"),
        ("bitcoin-regtest", "ethereum", "on an EVM network address"),
        ("start_height = 1", "start_height = 99999999999", "start_height: "),
        ("start_height = 1", "start_height = 1\nconfirmations_final = 0", "confirmations_final: 1 to 200"),
        ("start_height = 1", "start_height = 1\nconfirmations_final = 201", "confirmations_final: 1 to 200"),
        ("start_height = 1", "start_height = 1\nlookahead = 5", "network: on a Bitcoin network"),
        ("start_height = 1", "start_height = 1\npoll = '10'", "poll: write a time such as"),
        ("start_height = 1", "start_height = 1\npoll = '0s'", "poll: write a time such as"),
        ("start_height = 1", "start_height = 1\npoll = '11m'", "poll: write a time such as"),
        ("http://127.0.0.1:8332", "ftp://127.0.0.1", "node.url: write http://"),
        ("http://127.0.0.1:8332", "http://u:p@127.0.0.1", "node.url: write http://"),
        ("http://127.0.0.1:8332'", "http://127.0.0.1:8332'\nurl_file = 'x'", "node.url: give either"),
        ("[node]", "[node]\nuser = 'x'", "node.cookie_file: give either"),
        ("[node]", "[node]\nca = 'missing.pem'", "node.ca: missing.pem"),
        ("token_file = 't'", "", "missing field `token_file`"),
    ] {
        assert!(sound.contains(from), "{from}");
        let error = parse(&sound.replacen(from, to, 1)).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(says), "{to}: {error}");
    }
    let descriptors = sound.replacen("addresses = [", "descriptors = [", 1);
    assert_eq!(parse(&descriptors).map(|_| ()).unwrap_err().code(), "config_value");
}
