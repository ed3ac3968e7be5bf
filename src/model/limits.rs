//! Every limit of the product: value, unit, reason. Relations between them are checked when compiling.

/// Default cap of a request body, before and after decompression, in bytes (`max_body`).
pub const BODY_BYTES_DEFAULT: usize = 10 * 1024 * 1024;
/// What `max_body` can be raised to, in bytes: GitHub sends up to 25 MB, nobody known sends more than 64 MiB.
pub const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A decompressed body may be at most this many times its compressed size (past `RATIO_FREE_BYTES`).
pub const DECOMPRESSION_RATIO_MAX: usize = 200;
/// Below this decompressed size, in bytes, the ratio is not looked at: small bodies compress wildly.
pub const RATIO_FREE_BYTES: usize = 1024 * 1024;
/// At most this many codings in one `Content-Encoding`.
pub const CONTENT_CODINGS_MAX: usize = 2;
/// Bytes of bodies that all requests together may hold in memory while they wait; past it 503.
pub const BODIES_IN_FLIGHT_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of a request's path and query together; past it 414.
pub const URL_BYTES_MAX: usize = 8 * 1024;
/// Header lines of one request; past it 431. (actix-web itself stops at 96.)
pub const HEADERS_MAX: usize = 96;
/// Bytes of all header names and values of one request; past it 431.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Characters of a slug.
pub const SLUG_CHARS_MAX: usize = 128;
/// Slugs shorter than this hold less than 128 random bits: `check` warns.
pub const SLUG_CHARS_SAFE: usize = 22;
/// Characters of an event's name (Prefect's limit).
pub const EVENT_NAME_CHARS_MAX: usize = 1_024;
/// Labels of one resource (Prefect's limit).
pub const LABELS_MAX: usize = 500;
/// Related resources of one event, ours included (Prefect's limit).
pub const RELATED_MAX: usize = 100;
/// Bytes of one event as JSON (Prefect's limit).
pub const EVENT_BYTES_MAX: usize = 1_500_000;
/// Events that one request may become: a batch larger than this is a mistake or an attack.
pub const EVENTS_PER_REQUEST_MAX: usize = 10_000;
/// Bytes of all events of one request as JSON.
pub const EVENTS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Nesting of JSON that is read from anywhere (serde_json's own default; never switched off).
pub const JSON_DEPTH_MAX: usize = 128;
/// Instructions one template render may use, what its filters do counted too. Measured: a 40-event alert group uses
/// about 20,000; none takes 50 ms (`benches/budget.rs`).
pub const TEMPLATE_FUEL: u64 = 500_000;
/// Bytes one template render may print.
pub const TEMPLATE_OUTPUT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Depth of macros and recursive loops in a template.
pub const TEMPLATE_RECURSION_MAX: usize = 64;
/// Items `range()` gives at most in a template (as in Prefect's sandbox).
pub const TEMPLATE_RANGE_MAX: usize = 100;
/// Bytes of a delivery key; a longer one is replaced by its SHA-256.
pub const DELIVERY_KEY_BYTES_MAX: usize = 512;
/// Signatures looked at in one header, so that a header cannot buy CPU time.
pub const SIGNATURES_MAX: usize = 10;
/// Bytes of what a handshake reflects.
pub const REFLECTED_BYTES_MAX: usize = 1024;
/// Rejected requests and unsigned handshakes kept per webhook.
pub const RING_ENTRIES: usize = 100;
/// Bytes of the body kept of each of those.
pub const RING_BODY_BYTES: usize = 16 * 1024;
/// Requests that may wait for the log's writer (`queue`).
pub const LOG_QUEUE_DEFAULT: usize = 4_096;
/// Bytes of requests and events that may wait for the log's writer.
pub const LOG_QUEUE_BYTES: usize = 64 * 1024 * 1024;
/// Deliveries in one commit of the log at most, so that a commit stays short.
pub const COMMIT_DELIVERIES_MAX: usize = 1_024;
/// Bytes in one commit of the log at most (one larger delivery still gets its own).
pub const COMMIT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Rows one page of the API gives at most.
pub const PAGE_ROWS_MAX: usize = 1_000;
/// Events that a Prefect sink keeps unconfirmed at most: its server drops above 10,000 in silence.
pub const UNCONFIRMED_EVENTS_MAX: usize = 2_000;
/// Bytes of a sink's answer that are read and kept.
pub const SINK_ANSWER_BYTES_MAX: usize = 4 * 1024;

const _: () = {
    assert!(BODY_BYTES_DEFAULT <= BODY_BYTES_MAX);
    assert!(BODY_BYTES_MAX <= BODIES_IN_FLIGHT_BYTES);
    assert!(EVENT_BYTES_MAX <= COMMIT_BYTES_MAX);
    assert!(SLUG_CHARS_SAFE <= SLUG_CHARS_MAX);
    assert!(TEMPLATE_OUTPUT_BYTES_MAX <= EVENTS_BYTES_MAX);
};
