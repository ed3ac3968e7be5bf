//! Where the request of `render` comes from: a file, stdin, or a delivery that the running gateway has kept.

use crate::cli::Exit;
use crate::cli::client::{Failure, Server};
use crate::config::Config;
use crate::engine;
use crate::model::http_file::MASK;
use crate::model::{Problem, Request};
use jiff::Timestamp;
use serde_json::Value;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Bytes that are read from stdin at most.
const STDIN_BYTES_MAX: u64 = 65 << 20;

/// A request that can be read again.
pub(super) enum Source {
    /// A file, read each time.
    File(PathBuf),
    /// What was on stdin.
    Stdin(Vec<u8>),
    /// A delivery's.
    Delivery(Kept),
}

/// The request of a delivery, as the gateway kept it.
pub(super) struct Kept {
    id: String,
    bytes: Vec<u8>,
    webhook: Option<String>,
    received: Option<Timestamp>,
    peer: Option<IpAddr>,
}

impl Source {
    /// What an argument means: `-` is stdin, a file is a file, what else looks like an id is a delivery's. `config`
    /// gives the configuration whose listener is asked where no other is named.
    ///
    /// # Errors
    /// Stdin cannot be read, the gateway cannot be asked, or has no such request.
    pub(super) fn find(
        argument: &Path,
        server: &Server,
        config: impl FnOnce() -> Option<Config>,
    ) -> Result<Self, Failure> {
        if argument == Path::new("-") {
            let mut bytes = Vec::new();
            let mut stdin = std::io::stdin().lock().take(STDIN_BYTES_MAX);
            return match stdin.read_to_end(&mut bytes) {
                Ok(_) => Ok(Self::Stdin(bytes)),
                Err(error) => {
                    let why = format!("stdin cannot be read: {error}");
                    Err(Failure::new(Exit::Usage, why))
                }
            };
        }
        let id = argument
            .to_str()
            .and_then(|text| uuid::Uuid::try_parse(text).ok());
        let Some(id) = id.filter(|_| !argument.exists()) else {
            return Ok(Self::File(argument.to_path_buf()));
        };
        let server = match config() {
            Some(config) => server.or_listener(config.admin.listen),
            None => server.clone(),
        };
        Kept::fetch(&server, &id.to_string()).map(Self::Delivery)
    }

    /// The request, with the time and the sender it had where that is known.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub(super) fn request(&self) -> Result<Request, Problem> {
        let here = Path::new(".");
        match self {
            Self::File(path) => engine::read_request(path),
            Self::Stdin(bytes) => engine::parse_request(bytes, here, "stdin"),
            Self::Delivery(kept) => {
                // Not `parse_request`: a body of a stranger names no file of ours.
                let received = kept.received.unwrap_or_else(Timestamp::now);
                let parsed = crate::model::http_file::parse(&kept.bytes, received);
                let mut request = parsed.map_err(|error| {
                    let message = format!("the request of delivery {} is none: {error}", kept.id);
                    Problem::new(crate::codes::REQUEST_FILE, message)
                })?;
                request.peer = kept.peer.unwrap_or(request.peer);
                Ok(request)
            }
        }
    }

    /// The webhook that it came to.
    pub(super) fn webhook(&self) -> Option<&str> {
        match self {
            Self::File(_) | Self::Stdin(_) => None,
            Self::Delivery(kept) => kept.webhook.as_deref(),
        }
    }

    /// What a change of would change it.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::File(path) => engine::request_files(path),
            Self::Stdin(_) | Self::Delivery(_) => Vec::new(),
        }
    }

    /// Headers whose values were not kept.
    pub(super) fn masked(&self, request: &Request) -> Vec<String> {
        match self {
            Self::File(_) | Self::Stdin(_) => Vec::new(),
            Self::Delivery(_) => request
                .headers
                .iter()
                .filter(|(_, value)| *value == MASK)
                .map(|(name, _)| name.to_owned())
                .collect(),
        }
    }
}

impl Kept {
    fn fetch(server: &Server, id: &str) -> Result<Self, Failure> {
        let delivery = server.get(&["deliveries", id])?;
        let bytes = server.bytes(&["deliveries", id, "request"], "message/http")?;
        let text = |pointer: &str| delivery.pointer(pointer).and_then(Value::as_str);
        Ok(Self {
            id: id.to_owned(),
            bytes,
            webhook: text("/webhook").map(str::to_owned),
            received: text("/received").and_then(|time| time.parse().ok()),
            peer: text("/request/peer").and_then(|peer| peer.parse().ok()),
        })
    }
}
