//! The signer on its Unix socket: a thread for each connection, one signer behind a lock.
//!
//! A frame that cannot be read closes its connection and nothing else. Answers leave after what they say is durable. When
//! the store fails, the server ends with an error, so that whoever supervises it starts it again from what is durable.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::files::{self, FileError};
use crate::refused::Refused;
use crate::signer::Signer;
use crate::wire::{Answer, REQUEST_BYTES_MAX, Request, parse, read_frame, write_frame};

/// Most connections at once.
pub const CONNECTIONS_MAX: usize = 16;
/// How long a connection may stay silent, or leave an answer unread.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait when no connection can be accepted.
const PAUSE: Duration = Duration::from_millis(50);
/// A panic while the store was open for writing.
const BROKEN_OFF: &str = "an answer broke off";

/// Why the server ends.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket cannot be made.
    #[error(transparent)]
    File(#[from] FileError),
    /// Something that is no socket stands in its place.
    #[error("{}: something that is no socket stands here", path.display())]
    NotASocket {
        /// Where.
        path: PathBuf,
    },
    /// Another server listens there.
    #[error("{}: another server listens here", path.display())]
    Taken {
        /// Where.
        path: PathBuf,
    },
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(String),
}

impl ServeError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File(error) => error.code(),
            Self::NotASocket { .. } => "socket_kind",
            Self::Taken { .. } => "socket_taken",
            Self::Store(_) => "store_failed",
        }
    }
}

/// Ends a server: from another thread, such as one that waits for signals.
#[derive(Clone, Debug)]
pub struct Stop {
    stopped: Arc<AtomicBool>,
    socket: PathBuf,
}

impl Stop {
    /// For the server on `socket`.
    pub fn new(socket: &Path) -> Self {
        Self { stopped: Arc::new(AtomicBool::new(false)), socket: socket.to_owned() }
    }

    /// Ends it after the answer that is being given.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        // It waits for a connection; this one wakes it. If that fails, it is not waiting.
        drop(UnixStream::connect(&self.socket));
    }
}

/// What all connections share; without a signer they close.
struct Shared {
    signer: Mutex<Option<Signer>>,
    open: AtomicUsize,
    stop: Stop,
}

/// Serves until `stop` is told, then removes the socket and closes the store.
pub fn serve(signer: Signer, stop: &Stop) -> Result<(), ServeError> {
    let listener = bind(&stop.socket)?;
    let shared =
        Arc::new(Shared { signer: Mutex::new(Some(signer)), open: AtomicUsize::new(0), stop: stop.clone() });
    while !stop.stopped.load(Ordering::Acquire) {
        match listener.accept() {
            Ok((stream, _)) => admit(stream, &shared),
            // The other side is gone already, or there are too many files for now.
            Err(_) => thread::sleep(PAUSE),
        }
    }
    // Best effort: a socket that nobody listens on is replaced by the next server.
    let _ = fs::remove_file(&stop.socket);
    // Waits for the answer that is being given; there is none after it.
    let error = match shared.signer.lock() {
        Ok(mut signer) => signer.take().and_then(|signer| signer.failed().map(str::to_owned)),
        Err(_) => Some(BROKEN_OFF.to_owned()),
    };
    error.map_or(Ok(()), |error| Err(ServeError::Store(error)))
}

fn bind(socket: &Path) -> Result<UnixListener, ServeError> {
    let failed = |error| FileError::io(socket, error);
    files::check_folder(socket)?;
    match fs::symlink_metadata(socket) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error).into()),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(ServeError::NotASocket { path: socket.to_owned() });
        }
        Ok(_) if UnixStream::connect(socket).is_ok() => {
            return Err(ServeError::Taken { path: socket.to_owned() });
        }
        // Left behind by a server that was killed.
        Ok(_) => fs::remove_file(socket).map_err(failed)?,
    }
    let listener = UnixListener::bind(socket).map_err(failed)?;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o660)).map_err(failed)?;
    Ok(listener)
}

/// Counts a connection for as long as it lives.
struct Guest(Arc<Shared>);

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

fn admit(stream: UnixStream, shared: &Arc<Shared>) {
    let before = shared.open.fetch_add(1, Ordering::AcqRel);
    let guest = Guest(Arc::clone(shared));
    if before >= CONNECTIONS_MAX {
        return;
    }
    // A connection whose thread cannot be started is dropped, and closes.
    let _ = thread::Builder::new().spawn(move || {
        // The other side is gone or broken: nothing more to tell it.
        let _ = converse(stream, &guest.0);
    });
}

fn converse(mut stream: UnixStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    while let Some(frame) = read_frame(&mut stream, REQUEST_BYTES_MAX)? {
        let Some(request) = parse(&frame) else {
            return write_frame(&mut stream, &refused(&Refused::RequestMalformed));
        };
        let (answer, failed) = match shared.signer.lock().as_deref_mut() {
            Ok(Some(signer)) => {
                let answer = answer(signer, request).unwrap_or_else(|error| refused(&error));
                (answer, signer.failed().is_some())
            }
            // The server has ended.
            Ok(None) => return Ok(()),
            // An answer broke off half way: what it recorded is only known after a new start.
            Err(_) => (refused(&Refused::StoreFailed(BROKEN_OFF.to_owned())), true),
        };
        let written = write_frame(&mut stream, &answer);
        if failed {
            shared.stop.stop();
        }
        written?;
    }
    Ok(())
}

fn refused(error: &Refused) -> Answer {
    Answer::Refused { code: error.code().to_owned(), text: error.to_string(), withdrawal: error.withdrawal() }
}

fn answer(signer: &mut Signer, request: Request) -> Result<Answer, Refused> {
    Ok(match request {
        Request::Authorise { release, transaction } => {
            Answer::Authorised(signer.authorise(&release, &transaction)?.into())
        }
        Request::Void(withdrawal) => Answer::Signed(signer.void(withdrawal)?),
        Request::Status => Answer::Status(signer.status()?.into()),
        Request::Halt => {
            signer.halt()?;
            Answer::Done("halt".to_owned())
        }
        Request::Act(act) => {
            let signed = act.into_signed().ok_or(Refused::RequestMalformed)?;
            Answer::Done(signer.act(&signed)?.name().to_owned())
        }
        Request::Spends => Answer::Signed(signer.spends()?),
        Request::Enrol(enrolment) => Answer::Enrolled(signer.enrol(&enrolment)?.into()),
        Request::Remove(removal) => {
            signer.remove(&removal)?;
            Answer::Done("remove".to_owned())
        }
        Request::IntroducePolicy(step) => Answer::Introduced(signer.introduce_policy(&step)?.into()),
        Request::StopPolicy(nonce) => {
            signer.stop_policy(&nonce)?;
            Answer::Done("stop".to_owned())
        }
        Request::Policy => signer.policy()?.into(),
        Request::Credentials(account) => {
            Answer::Credentials(signer.credentials(&account)?.into_iter().map(Into::into).collect())
        }
    })
}
