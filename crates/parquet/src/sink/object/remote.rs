//! The object store: requests, which wait in a thread of their own, and what went wrong with them.

use std::future::Future;
use std::sync::mpsc::{channel, RecvTimeoutError};
use std::sync::OnceLock;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::cancel::Control;
use crate::error::{Error, ErrorKind, Result};
use crate::options::Storage;
use crate::ordered::POLL;

/// Time that a request may take in all.
const REQUEST: Duration = Duration::from_secs(120);
/// Time to reach the endpoint.
const CONNECT: Duration = Duration::from_secs(5);
/// Time after the first failure of a request when no more attempts are made.
const RETRIES: Duration = Duration::from_secs(60);

/// A thread that waits for the network; ended with its owner.
struct Reactor {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Reactor {
    fn start() -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Io, format!("cannot start the thread of the network: {error}"))
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let work = move || {
            let _ = runtime.block_on(stopped);
            // Names are looked up on threads that cannot be interrupted: they are not waited for.
            runtime.shutdown_background();
        };
        let thread = Builder::new().name("questdb-upload".to_owned()).spawn(work).map_err(failed)?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A bucket.
pub struct Remote {
    /// The client.
    pub store: AmazonS3,
    /// `s3://bucket`.
    pub url: String,
    /// Where requests go, as it is shown.
    pub endpoint: String,
    /// What must not appear in a message, whoever wrote it.
    secrets: Vec<String>,
    reactor: Reactor,
}

impl Remote {
    /// Makes the client; nothing is sent.
    pub fn connect(storage: &Storage, bucket: &str) -> Result<Self> {
        install_crypto();
        let endpoint = storage.endpoint();
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(5),
                base: 2.0,
            },
            max_retries: storage.max_retries,
            retry_timeout: RETRIES,
        };
        let client = ClientOptions::new()
            .with_allow_http(endpoint.starts_with("http://"))
            .with_timeout(REQUEST)
            .with_connect_timeout(CONNECT);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(&storage.region)
            .with_access_key_id(storage.access_key.reveal())
            .with_secret_access_key(storage.secret_key.reveal())
            .with_virtual_hosted_style_request(storage.virtual_hosted_style)
            .with_client_options(client)
            .with_retry(retry);
        if let Some(token) = &storage.session_token {
            builder = builder.with_token(token.reveal());
        }
        if let Some(endpoint) = &storage.endpoint {
            builder =
                builder.with_endpoint(match (storage.virtual_hosted_style, endpoint.split_once("://")) {
                    (true, Some((scheme, host))) => format!("{scheme}://{bucket}.{host}"),
                    _ => endpoint.clone(),
                });
        }
        let secrets = [Some(&storage.access_key), Some(&storage.secret_key), storage.session_token.as_ref()];
        let mut remote = Self {
            store: builder.build().map_err(|error| {
                Error::option("storage", "an object store cannot be made of it").found(error)
            })?,
            url: format!("s3://{bucket}"),
            endpoint,
            secrets: secrets.into_iter().flatten().map(|secret| secret.reveal().to_owned()).collect(),
            reactor: Reactor::start()?,
        };
        remote.secrets.retain(|secret| !secret.is_empty());
        Ok(remote)
    }

    /// Begins something in the background.
    pub fn spawn<F>(&self, future: F) -> tokio::task::AbortHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.reactor.handle.spawn(future).abort_handle()
    }

    /// Waits for `future`, unless the export is stopped before.
    pub fn wait<T: Send + 'static>(
        &self,
        control: &Control,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        self.wait_while(future, || control.check())
    }

    /// Waits for `future`, but not beyond `deadline`.
    pub fn wait_until<T: Send + 'static>(
        &self,
        deadline: Instant,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        self.wait_while(future, || match Instant::now() < deadline {
            true => Ok(()),
            false => Err(Error::cancelled()),
        })
    }

    fn wait_while<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
        check: impl Fn() -> Result<()>,
    ) -> Result<T> {
        let (answer, answered) = channel();
        let task = self.spawn(async move {
            let _ = answer.send(future.await);
        });
        loop {
            match answered.recv_timeout(POLL) {
                Ok(value) => return Ok(value),
                Err(RecvTimeoutError::Timeout) => check().inspect_err(|_| task.abort())?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::internal("a request ended without an answer"))
                }
            }
        }
    }

    /// The error of a request: what it was for, the object, the endpoint, the answer, and what to do.
    pub fn failed(&self, action: &str, key: &str, error: &object_store::Error) -> Error {
        let answer = Answer::of(error);
        let object = match key {
            "" => self.url.clone(),
            key => format!("{}/{key}", self.url),
        };
        let text = self.without_secrets(&answer.text);
        let again = match answer.retries {
            0 => String::new(),
            retries => format!(" (after {retries} more attempts)"),
        };
        Error::new(ErrorKind::Io, format!("cannot {action} \"{object}\" at {}: {text}{again}", self.endpoint))
            .hint(answer.hint)
    }

    fn without_secrets(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

/// What the library's error tells; its type is private, its text is not.
struct Answer {
    text: String,
    retries: u64,
    hint: &'static str,
}

impl Answer {
    fn of(error: &object_store::Error) -> Self {
        let whole = error.to_string();
        let between = |start: &str, end: &str| {
            let (_, behind) = whole.split_once(start)?;
            behind.split_once(end).map(|(inner, _)| inner.trim().to_owned())
        };
        let retries = between(", after ", " retries").and_then(|number| number.parse().ok()).unwrap_or(0);
        let status = between("status code: ", ":").unwrap_or_default();
        let code = between("<Code>", "</Code>").unwrap_or_default();
        let message = between("<Message>", "</Message>").unwrap_or_default();
        if status.is_empty() && code.is_empty() {
            let redirected = whole.contains("redirect without LOCATION");
            let text = match redirected {
                true => "the endpoint answers with a redirection".to_owned(),
                false => innermost(error),
            };
            let hint = match redirected {
                true => REGION,
                false => "Check the endpoint in storage.options, and that it can be reached from here.",
            };
            return Self { text, retries, hint };
        }
        let parts = [status.as_str(), code.as_str()];
        let mut text: String =
            parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" ");
        if !message.is_empty() {
            text = format!("{text}: {message}");
        }
        Self { text, retries, hint: hint(&status, &code) }
    }
}

const REGION: &str = "Check region and endpoint in storage.options: the bucket may be elsewhere.";

fn hint(status: &str, code: &str) -> &'static str {
    match (status.get(..3).unwrap_or_default(), code) {
        (_, "NoSuchBucket") => "Create the bucket, or correct its name.",
        (_, "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException") => {
            REGION
        }
        (_, "RequestTimeTooSkewed") => "Set the clock of this machine.",
        ("401" | "403", _) => {
            "Check access_key and secret_key, and that they may list and write in the bucket."
        }
        ("301" | "307" | "308", _) => REGION,
        ("429" | "500" | "502" | "503" | "504", _) => {
            "The store is busy or out of order. Run the export again later."
        }
        ("404", _) => "Check the name of the bucket and the endpoint.",
        _ => "Check the option storage; the answer is the store's.",
    }
}

/// The last of the causes, which says what happened; those before say where in the library.
fn innermost(error: &object_store::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// TLS comes with one implementation of cryptography; it must be named before the first connection.
fn install_crypto() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
