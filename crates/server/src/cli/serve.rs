//! `holdfast serve`: recover, follow, listen; and, when told to stop, finish.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_gate::{Gate, Routes};
use holdfast_values::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{Failure, init::parse_time};
use crate::challenges::Challenges;
use crate::clock::{self, Clock};
use crate::config::{Config, Webhook};
use crate::data::{self, DataDir};
use crate::fingerprint::Fingerprinter;
use crate::gate::Keeper;
use crate::geo::Geo;
use crate::grpc;
use crate::http::{self, Acceptor, App, CompiledPacks, RefusedActs};
use crate::intake::{self, Intake};
use crate::metrics::Metrics;
use crate::outbox::{Endpoint, Outbox, Patience, Roots};
use crate::recovery;
use crate::shadow::Shadow;
use crate::vault::Vault;
use crate::views::{Follower, Signal};

/// How many slow hashes at once: each takes about 19 MiB.
const SLOW_HASHES: usize = 4;
/// A file of routes larger than this is none.
const ROUTES_BYTES_MAX: u64 = 1 << 20;
/// How often it is checked that the writer is alive.
const WATCH_EVERY: Duration = Duration::from_millis(500);

/// Serve the HTTP interface from a data directory.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// The directory that `holdfast init` made.
    #[arg(long)]
    data: PathBuf,
    /// The server's configuration (TOML); holdfast.toml in the data directory if absent and there.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Where to listen, instead of what the configuration says. Port 0 takes a free one.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// How much faster than real time, for a directory made with `init --simulated-clock`.
    #[arg(long)]
    clock_rate: Option<u32>,
    /// When simulated time starts, if that is later than the journal.
    #[arg(long, requires = "clock_rate", value_parser = parse_time)]
    clock_start: Option<Timestamp>,
}

/// Runs the command: 0 after a graceful end, 1 if it cannot start, 70 if the writer died.
pub fn run(args: &ServeArgs) -> ExitCode {
    start_log();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return end(&Failure::new("runtime", error)),
    };
    match runtime.block_on(serve(args)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(70),
        Err(failure) => end(&failure),
    }
}

fn end(failure: &Failure) -> ExitCode {
    tracing::error!(code = failure.code, "{}", failure.message);
    ExitCode::FAILURE
}

/// Lines for people on a terminal, JSON elsewhere; `HOLDFAST_LOG` filters.
pub(super) fn start_log() {
    let filter = EnvFilter::try_from_env("HOLDFAST_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = if std::io::stderr().is_terminal() { log.try_init() } else { log.json().try_init() };
    if let Err(error) = set {
        tracing::warn!(%error, "a log was set up already");
    }
}

fn clock(args: &ServeArgs, simulated: bool, last: Timestamp) -> Result<Clock, Failure> {
    match (args.clock_rate, simulated) {
        (None, false) => Ok(Clock::wall()),
        (rate, true) => {
            let start = args.clock_start.unwrap_or_else(clock::wall_now).max(last);
            tracing::warn!(%start, rate = rate.unwrap_or(1), "the clock is simulated: never trust this with real coins");
            Ok(Clock::simulated(start, rate.unwrap_or(1).max(1)))
        }
        (Some(_), false) => Err(Failure::new(
            "clock_not_simulated",
            "--clock-rate works only on a directory made with `holdfast init --simulated-clock`",
        )),
    }
}

fn endpoint(webhook: &Webhook) -> Result<Endpoint, Failure> {
    let secret =
        data::read_limited(&webhook.secret_file, 4_096).map_err(|error| Failure::new("file", error))?;
    let secret = zeroize::Zeroizing::new(
        String::from_utf8(secret)
            .map_err(|_| Failure::new("webhook_secret", "a webhook's secret is not text"))?,
    );
    Endpoint::new(&webhook.name, &webhook.url, &secret, &webhook.events)
        .map_err(|error| Failure::new("webhook_invalid", error))
}

async fn serve(args: &ServeArgs) -> Result<bool, Failure> {
    let dir = DataDir::new(&args.data);
    recovery::check_servable(&dir).map_err(Failure::recovery)?;
    let config = match &args.config {
        Some(path) => Some(path.clone()),
        None => Some(dir.config()).filter(|path| path.exists()),
    };
    let config = config.map_or_else(|| Ok(Config::default()), |path| Config::read(&path));
    let config = config.map_err(|error| Failure::new("configuration_invalid", error))?;
    let journal_error = |error: holdfast_journal::JournalError| Failure::new(error.code(), error);

    let recovered = intake::recover(dir.path()).map_err(|error| Failure::new(error.code(), error))?;
    let clock = clock(args, recovered.state.is_simulated(), recovered.state.time())?;
    let fingerprint_key =
        dir.read_fingerprint_key().map_err(|error| Failure::new("fingerprint_key", error))?;
    let release_key = dir.read_release_key().map_err(|error| Failure::new("release_key", error))?;
    if release_key.is_none() {
        tracing::warn!("no release key: nothing will be released (holdfast release-key makes one)");
    }
    let kek = config.kek(&dir).load().map_err(|error| Failure::new(error.code(), error))?;
    let vault = Vault::serve(&dir.vault(), &kek).map_err(|error| Failure::new(error.code(), error))?;
    let geo = Geo::open(config.geo.countries.as_deref(), config.geo.systems.as_deref())
        .map_err(|error| Failure::new("geo_file", error))?;
    let signal = Signal::new();
    let reader = recovered.journal.reader().map_err(journal_error)?;
    let (follower, views) = Follower::start(dir.path(), reader, signal.clone())
        .map_err(|error| Failure::new(error.code(), error))?;
    let reader = recovered.journal.reader().map_err(journal_error)?;
    let outbox = if config.webhooks.is_empty() {
        None
    } else {
        let endpoints = config.webhooks.iter().map(endpoint).collect::<Result<_, _>>()?;
        let roots = Roots::of_system().map_err(|error| Failure::new("tls_roots", error))?;
        let readers = || recovered.journal.reader();
        let started = Outbox::start(dir.path(), endpoints, &views, readers, &roots, Patience::default());
        Some(started.map_err(|error| Failure::new(error.code(), error))?)
    };
    let metrics = Arc::new(Metrics::default());
    let shadow = Shadow::open(dir.path());
    let options = intake::Options {
        data: dir.path().to_owned(),
        queue_max: config.limits.queue_max,
        snapshot_every: config.snapshot_every,
    };
    let intake =
        Intake::start(options, recovered, clock.clone(), Arc::clone(&metrics), signal, Some(shadow.clone()))
            .map_err(|error| Failure::new("intake", error))?;

    let fingerprints = Fingerprinter::new(fingerprint_key);
    let (keeper, questions) = match start_gate(&config, &intake, &clock, &fingerprints).await {
        Ok(Some((keeper, listener))) => (Some(keeper), listener),
        Ok(None) => (None, None),
        Err(failure) => {
            intake.stop();
            return Err(failure);
        }
    };
    let address = args.listen.unwrap_or(config.listen);
    let acceptor = Acceptor::bind(address, config.tls.as_ref(), config.limits.clone()).await;
    let acceptor = match acceptor {
        Ok(acceptor) => acceptor,
        Err(error) => {
            intake.stop();
            return Err(Failure::new("listen", error));
        }
    };
    let scheme = if acceptor.is_tls() { "https" } else { "http" };
    let listening = acceptor.local_addr().unwrap_or(address);
    if !acceptor.is_tls() && !listening.ip().is_loopback() {
        tracing::warn!("listening without TLS beyond this machine: tokens can be read on the way");
    }
    let app = Arc::new(App {
        intake: intake.clone(),
        views,
        journal: std::sync::Mutex::new(reader),
        vault,
        fingerprints,
        release_key,
        second_opinion: std::sync::Mutex::default(),
        history: std::sync::Mutex::default(),
        refused_acts: RefusedActs::default(),
        compiled_packs: CompiledPacks::default(),
        shadow: shadow.clone(),
        clock,
        limits: config.limits.clone(),
        metrics,
        outbox,
        key_changes: tokio::sync::Mutex::new(()),
        challenges: Challenges::default(),
        slow_hashes: tokio::sync::Semaphore::new(SLOW_HASHES),
        geo,
        gate: keeper.clone(),
        started: Instant::now(),
    });
    let router = http::router(Arc::clone(&app));
    tracing::info!(url = %format!("{scheme}://{listening}"), pid = std::process::id(), "listening");

    let mut terminate = signal_of(SignalKind::terminate())?;
    let mut interrupt = signal_of(SignalKind::interrupt())?;
    let watched = intake.clone();
    let vaults = Arc::clone(&app);
    let stop = async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                () = tokio::time::sleep(WATCH_EVERY) => if watched.has_ended() { return } else { look_around(&vaults).await },
            }
        }
    };
    let (ending, ended) = tokio::sync::watch::channel(false);
    let asides = asides(&config, &app, questions, &ended);
    http::serve(acceptor, router, stop).await;
    drop(ending);
    for aside in asides {
        let _failed_anyway = aside.await;
    }
    let died = intake.has_ended();
    if died {
        tracing::error!("the writer's thread has ended: start the server again");
    } else {
        tracing::info!("stopping");
    }
    let stopping = intake.clone();
    let stopped = tokio::task::spawn_blocking(move || stopping.stop()).await;
    let _closed = tokio::task::spawn_blocking(move || shadow.close()).await;
    drop(follower);
    drop(app);
    Ok(!died && stopped.is_ok())
}

/// Whether `holdfast vault` has done something to the vault meanwhile.
async fn look_around(app: &Arc<App>) {
    let app = Arc::clone(app);
    if let Ok(Err(error)) = tokio::task::spawn_blocking(move || app.vault.look_around()).await {
        tracing::error!(code = error.code(), %error, "the vault");
    }
}

/// A gate that knows every key, and where Envoy asks it.
async fn start_gate(
    config: &Config,
    intake: &Intake,
    clock: &Clock,
    fingerprints: &Fingerprinter,
) -> Result<Option<(Arc<Keeper>, Option<TcpListener>)>, Failure> {
    let Some(gate) = &config.gate else { return Ok(None) };
    let bytes = data::read_limited(&gate.routes, ROUTES_BYTES_MAX).map_err(|e| Failure::new("file", e))?;
    let invalid = |error: String| Failure::new("gate_routes", format!("{}: {error}", gate.routes.display()));
    let text = String::from_utf8(bytes).map_err(|_| invalid("not UTF-8".to_owned()))?;
    let routes = Routes::parse(&text).map_err(|error| invalid(error.to_string()))?;
    let count = routes.count();
    let listener = match gate.grpc {
        None => None,
        Some(address) => {
            let listener = grpc::bind(address).await.map_err(|error| {
                Failure::new("listen", format!("cannot listen on {address} for the gate: {error}"))
            })?;
            if !address.ip().is_loopback() {
                tracing::warn!(
                    "the gate answers beyond this machine, without TLS: let only the proxy reach it"
                );
            }
            Some(listener)
        }
    };
    let keeper = Arc::new(Keeper::new(Gate::new(routes, clock.now()), fingerprints.clone()));
    intake.attach(Arc::clone(&keeper)).await.map_err(|error| Failure::new("intake", error))?;
    let grpc = listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let grpc = grpc.map_or_else(|| "off".to_owned(), |address| address.to_string());
    tracing::info!(routes = count, grpc, "the gate is ready");
    Ok(Some((keeper, listener)))
}

/// What runs beside HTTP for the gate: answers to Envoy, and reports to the core. All of it ends with `ended`.
fn asides(
    config: &Config,
    app: &http::Shared,
    questions: Option<TcpListener>,
    ended: &tokio::sync::watch::Receiver<bool>,
) -> Vec<tokio::task::JoinHandle<()>> {
    let (Some(gate), Some(keeper)) = (&config.gate, &app.gate) else { return Vec::new() };
    let mut asides = Vec::new();
    if let Some(listener) = questions {
        let (app, keeper, mut ended) = (Arc::clone(app), Arc::clone(keeper), ended.clone());
        let stop = async move { drop(ended.changed().await) };
        asides.push(tokio::spawn(grpc::serve(listener, app, keeper, stop)));
    }
    let (intake, clock) = (app.intake.clone(), app.clock.clone());
    let (keeper, mut ended) = (Arc::clone(keeper), ended.clone());
    let every = Duration::from_secs(gate.summary_seconds);
    asides.push(tokio::spawn(async move {
        let mut over = false;
        while !over {
            over = tokio::time::timeout(every, ended.changed()).await.is_ok();
            crate::gate::tell(&intake, &keeper, &clock).await;
        }
    }));
    asides
}

fn signal_of(kind: SignalKind) -> Result<tokio::signal::unix::Signal, Failure> {
    signal(kind).map_err(|error| Failure::new("signal", error))
}
