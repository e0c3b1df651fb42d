//! The keys' side of the socket: a release and a transaction in, the signed transaction and the signer's receipt out.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use holdfast_signer::{Client, ClientError};

use super::config::Keys;
use super::frame::{self, Answer};
use super::secret::Secret;
use super::sign::sign;

/// Connections at a time.
const CONNECTIONS_MAX: usize = 16;
/// How long a connection may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves until the process ends.
pub(crate) fn serve(config: Keys, secret: Secret) -> io::Result<()> {
    // A socket that nobody listens on is what a killed process left.
    if config.socket.exists() {
        if UnixStream::connect(&config.socket).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process serves these keys"));
        }
        std::fs::remove_file(&config.socket)?;
    }
    let listener = UnixListener::bind(&config.socket)?;
    std::fs::set_permissions(&config.socket, std::fs::Permissions::from_mode(config.socket_mode))?;
    tracing::info!(socket = %config.socket.display(), "the keys are ready");
    let shared = Arc::new((config, secret));
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let stream = stream?;
        if open.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX {
            open.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let (shared, open) = (Arc::clone(&shared), Arc::clone(&open));
        std::thread::spawn(move || {
            let (config, secret) = &*shared;
            if let Err(error) = attend(config, secret, stream) {
                tracing::warn!(%error, "a connection ended early");
            }
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
    Ok(())
}

fn attend(config: &Keys, secret: &Secret, mut stream: UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    while let Some(release) = frame::read(&mut stream)? {
        let transaction = frame::read(&mut stream)?;
        let transaction = transaction.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        frame::answer(&mut stream, &decide(config, secret, &release, &transaction))?;
    }
    Ok(())
}

/// Asks the signer; signs what it gives back, and nothing else.
fn decide(config: &Keys, secret: &Secret, release: &[u8], transaction: &[u8]) -> Answer {
    let authorised =
        Client::connect(&config.signer_socket).and_then(|mut signer| signer.authorise(release, transaction));
    let authorised = match authorised {
        Ok(authorised) => authorised,
        Err(ClientError::Refused { code, text, withdrawal }) => {
            tracing::warn!(code, text, "the signer refuses");
            let withdrawal = withdrawal.map(|withdrawal| withdrawal.to_string());
            return Answer::Refused { code, text, withdrawal };
        }
        Err(error) => {
            tracing::warn!(%error, "the signer does not answer");
            return Answer::Unknown { text: error.to_string() };
        }
    };
    let sighashes = &authorised.sighashes;
    let Some(wallet) = config.wallet(sighashes.wallet(), sighashes.network()) else {
        let text = format!("no keys for {} on {} here", sighashes.wallet(), sighashes.network());
        return Answer::Refused { code: "wallet_unknown".to_owned(), text, withdrawal: None };
    };
    match sign(secret, wallet, sighashes, transaction) {
        Ok(signed) => {
            let digest = super::hex(sighashes.digest());
            tracing::info!(wallet = %wallet.name, network = %wallet.network, digest, again = authorised.repeated, "signed");
            Answer::Signed { transaction: signed, receipt: authorised.receipt }
        }
        Err(error) => {
            Answer::Refused { code: "not_signed".to_owned(), text: error.to_string(), withdrawal: None }
        }
    }
}
