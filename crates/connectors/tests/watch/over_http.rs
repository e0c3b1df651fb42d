//! The whole loop over real HTTP: nodes that hang, talk rubbish or reorganise, a Holdfast that is away, and restarts in
//! between.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bitcoin::{OutPoint, Transaction};
use holdfast_connectors::{WatchError, Watcher};

use crate::bitcoin_node::{self, address, out, script, spend};
use crate::evm_node;
use crate::http::{Holdfast, Mood, Reply, rpc, serve};

/// A folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("holdfast-watch-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Setting {
    folder: Folder,
    config: PathBuf,
    node: Arc<Mutex<bitcoin_node::Node>>,
    mood: Arc<Mutex<Option<Mood>>>,
    holdfast: Holdfast,
    coin: OutPoint,
}

impl Setting {
    /// A coin of the wallet at height 101.
    fn new(name: &str) -> Self {
        let mut node = bitcoin_node::Node::new();
        let deposit = spend(&[OutPoint { vout: 7, ..OutPoint::null() }], &[(script(1), 1_000)]);
        node.mine(&[&deposit]);
        let mood = Arc::new(Mutex::new(None::<Mood>));
        let (node, holdfast) = (Arc::new(Mutex::new(node)), Holdfast::default());
        let (serving, feeling) = (Arc::clone(&node), Arc::clone(&mood));
        let url = serve(move |request| {
            // "__cookie__:abc"
            if request.authorization.as_deref() != Some("Basic X19jb29raWVfXzphYmM=") {
                return Reply::Text(401, String::new());
            }
            if let Some(mood) = *feeling.lock().unwrap() {
                return mood();
            }
            Reply::Json(
                200,
                rpc(&request.body, |method, params| serving.lock().unwrap().answer(method, params)),
            )
        });
        let folder = Folder::new(name);
        folder.write("cookie", "__cookie__:abc\n");
        folder.write("token", "chain-token\n");
        let config = folder.write(
            "watch.toml",
            &format!(
                "network = 'bitcoin-regtest'\nwallet = 'btc-hot'\naddresses = ['{}']\nstart_height = 95\npoll = '50ms'\n\
                 confirmations_final = 3\nstate = 'state.json'\n[holdfast]\nurl = '{}'\ntoken_file = 'token'\n\
                 [node]\nurl = '{url}'\ncookie_file = 'cookie'\ntimeout = '1s'\n",
                address(1),
                holdfast.serve()
            ),
        );
        Self { folder, config, node, mood, holdfast, coin: out(&deposit, 0) }
    }

    fn watcher(&self) -> Watcher {
        Watcher::open(&self.config).unwrap()
    }

    fn once(&self) -> Result<(), WatchError> {
        Watcher::open(&self.config)?.once()
    }

    fn expect(&self, wanted: &[(&Transaction, &str)]) {
        self.once().unwrap();
        let wanted: Vec<_> =
            wanted.iter().map(|(tx, rest)| format!("{} {rest}", tx.compute_txid())).collect();
        assert_eq!(self.holdfast.take(), wanted);
    }
}

fn pay(coin: OutPoint, sats: u64) -> Transaction {
    spend(&[coin], &[(script(9), sats), (script(1), 900 - sats)])
}

#[test]
fn a_watcher_that_is_restarted_each_time_misses_nothing() {
    let setting = Setting::new("restarts");
    let (a, b) = (pay(setting.coin, 100), pay(setting.coin, 101));
    setting.expect(&[]);
    setting.node.lock().unwrap().accept(&a);
    setting.expect(&[(&a, "pending 0")]);
    setting.expect(&[]);
    setting.node.lock().unwrap().accept(&b);
    setting.expect(&[(&a, "vanished 0"), (&b, "pending 0")]);
    setting.node.lock().unwrap().mine(&[&b]);
    setting.expect(&[(&b, "included 1")]);
    setting.node.lock().unwrap().mine(&[]);
    setting.expect(&[(&b, "included 2")]);
    {
        let mut node = setting.node.lock().unwrap();
        node.disconnect(2);
        (0..3).for_each(|_| node.mine(&[]));
    }
    setting.expect(&[(&b, "vanished 0")]);
    setting.node.lock().unwrap().mine(&[&a]);
    setting.expect(&[(&a, "included 1")]);
}

#[test]
fn what_holdfast_does_not_acknowledge_is_told_again_also_after_a_restart() {
    let setting = Setting::new("unacknowledged");
    setting.expect(&[]);
    let a = pay(setting.coin, 100);
    setting.node.lock().unwrap().mine(&[&a]);
    let refusals: [(&str, Mood); 5] = [
        ("holdfast_refused", || Reply::Text(503, String::new())),
        ("holdfast_refused", || {
            Reply::Json(422, serde_json::json!({ "code": "wallet_unknown", "title": "No" }))
        }),
        ("holdfast_answer_invalid", || Reply::Text(200, "<html>welcome</html>".into())),
        ("holdfast_answer_invalid", || Reply::Json(200, serde_json::json!({ "results": [] }))),
        ("holdfast_unreachable", || Reply::Close),
    ];
    for (code, refuse) in refusals {
        setting.holdfast.refuse.lock().unwrap().push(refuse);
        assert_eq!(setting.once().unwrap_err().code(), code);
        assert_eq!(setting.holdfast.take(), Vec::<String>::new());
    }
    // The chain goes on in the meantime; order is kept.
    setting.node.lock().unwrap().mine(&[]);
    setting.expect(&[(&a, "included 1"), (&a, "included 2")]);
    setting.expect(&[]);
}

#[test]
fn a_node_that_hangs_dribbles_floods_or_talks_rubbish_is_waited_for() {
    let setting = Setting::new("moods");
    setting.expect(&[]);
    let a = pay(setting.coin, 100);
    setting.node.lock().unwrap().accept(&a);
    setting.expect(&[(&a, "pending 0")]);
    setting.node.lock().unwrap().mine(&[]);
    let moods: [(&str, Mood); 8] = [
        ("node_unreachable", || Reply::Hang(Duration::from_secs(20))),
        ("node_unreachable", || Reply::Dribble),
        ("node_unreachable", || Reply::Flood),
        ("node_unreachable", || Reply::Close),
        ("node_answer_invalid", || Reply::Text(200, "<html>".into())),
        ("node_answer_invalid", || Reply::Text(503, "Work queue depth exceeded".into())),
        ("node_answer_invalid", || Reply::Json(200, serde_json::json!({ "id": 0, "result": [1, 2] }))),
        ("node_unauthorised", || Reply::Text(401, String::new())),
    ];
    for (code, mood) in moods {
        *setting.mood.lock().unwrap() = Some(mood);
        assert_eq!(setting.once().unwrap_err().code(), code);
        assert_eq!(setting.holdfast.take(), Vec::<String>::new());
    }
    *setting.mood.lock().unwrap() = None;
    setting.node.lock().unwrap().mine(&[&a]);
    setting.expect(&[(&a, "included 1")]);
}

#[test]
fn a_running_watcher_gets_over_everything() {
    let setting = Setting::new("running");
    let a = pay(setting.coin, 100);
    let stop = AtomicBool::new(false);
    let wait = |line: String| {
        let start = Instant::now();
        while !setting.holdfast.told.lock().unwrap().contains(&line) {
            assert!(start.elapsed() < Duration::from_secs(20), "{line}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let mut watcher = setting.watcher();
    std::thread::scope(|scope| {
        scope.spawn(|| watcher.run(&stop));
        setting.node.lock().unwrap().accept(&a);
        wait(format!("{} pending 0", a.compute_txid()));
        *setting.mood.lock().unwrap() = Some(|| Reply::Close);
        std::thread::sleep(Duration::from_millis(200));
        setting.holdfast.refuse.lock().unwrap().push(|| Reply::Text(500, String::new()));
        setting.node.lock().unwrap().mine(&[&a]);
        *setting.mood.lock().unwrap() = None;
        wait(format!("{} included 1", a.compute_txid()));
        assert!(
            matches!(Watcher::open(&setting.config), Err(WatchError::Place(error)) if error.code() == "state_in_use")
        );
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn many_observations_go_in_requests_of_at_most_500() {
    let setting = Setting::new("many");
    let outputs: Vec<_> = (0..1_200).map(|_| (script(1), 1)).collect();
    let fan = spend(&[setting.coin], &outputs);
    let spends: Vec<_> = (0..1_200).map(|vout| spend(&[out(&fan, vout)], &[(script(9), 1)])).collect();
    {
        let mut node = setting.node.lock().unwrap();
        node.mine(&[&fan]);
        node.mine(&spends.iter().collect::<Vec<_>>());
    }
    setting.once().unwrap();
    assert_eq!(setting.holdfast.take().len(), 1_201);
    let requests = setting.holdfast.requests.lock().unwrap().clone();
    assert!(requests.len() >= 3 && requests.iter().all(|count| *count <= 500), "{requests:?}");
}

#[test]
fn a_state_file_that_does_not_fit_is_refused_by_name() {
    let setting = Setting::new("state");
    setting.expect(&[]);
    let state = setting.folder.0.join("state.json");
    let whole = std::fs::read_to_string(&state).unwrap();
    let code = || setting.once().unwrap_err().code();
    for (text, wanted) in [
        (String::new(), "state_damaged"),
        (whole[..whole.len() - 1].to_owned(), "state_damaged"),
        (whole.replace("\"version\":1", "\"version\":2"), "state_damaged"),
        (whole.replace("\"height\":100", "\"height\":99"), "state_damaged"),
        (whole.replace("\"watches\":\"", "\"watches\":\"0"), "state_of_another_watcher"),
    ] {
        std::fs::write(&state, text).unwrap();
        assert_eq!(code(), wanted);
    }
    std::fs::write(&state, &whole).unwrap();
    setting.expect(&[]);
    assert!(is_private(&state));
}

fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o077 == 0
}

#[test]
fn an_evm_account_is_watched_the_same_way() {
    let node = Arc::new(Mutex::new(evm_node::Node::new()));
    let serving = Arc::clone(&node);
    let url = serve(move |request| {
        assert_eq!(request.path, "/v3/key");
        Reply::Json(200, rpc(&request.body, |method, params| serving.lock().unwrap().answer(method, params)))
    });
    let (folder, holdfast) = (Folder::new("evm"), Holdfast::default());
    folder.write("token", "chain-token");
    folder.write("url", &format!("{url}/v3/key\n"));
    let config = folder.write(
        "watch.toml",
        &format!(
            "network = 'ethereum'\nwallet = 'eth-hot'\naddress = '{}'\nstart_height = 95\nconfirmations_final = 3\n\
             state = 'state.json'\n[holdfast]\nurl = '{}'\ntoken_file = 'token'\n[node]\nurl_file = 'url'\n",
            evm_node::OWN,
            holdfast.serve()
        ),
    );
    let hash = |n| evm_node::pay(n).hash;
    let expect = |wanted: &[String]| {
        Watcher::open(&config).unwrap().once().unwrap();
        assert_eq!(holdfast.take(), wanted);
    };
    expect(&[]);
    node.lock().unwrap().mine(&[&evm_node::pay(1)]);
    node.lock().unwrap().mine(&[&evm_node::Tx { works: false, ..evm_node::pay(2) }]);
    expect(&[format!("{} included 2", hash(1)), format!("{} failed 1", hash(2))]);
    node.lock().unwrap().disconnect(1);
    (0..2).for_each(|_| node.lock().unwrap().mine(&[]));
    expect(&[format!("{} vanished 0", hash(2)), format!("{} included 3", hash(1))]);
}
