//! Reads a request's body within its limits: size, pace, and what all bodies together may hold in memory.
//!
//! Never cut and accepted: a body is whole, or it is refused. A slow sender costs what it has sent, not what it
//! announces, and holds nobody up.

use super::Timeouts;
use super::answer::Refusal;
use super::budget::{Budget, Permit};
use actix_web::error::PayloadError;
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, Stream, StreamExt};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The minimum rate counts from here on: a connection may start slowly.
const RATE_GRACE: Duration = Duration::from_secs(5);
/// First step of a buffer, in bytes; it doubles from there, and never passes what was announced.
const BUFFER_STEP: usize = 8 * 1024;

/// What a body has to keep to.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Bytes on the wire; past it 413.
    pub max: usize,
    /// Between two pieces; past it 408.
    pub idle: Duration,
    /// For the whole body; past it 408.
    pub total: Duration,
    /// Bytes a second on average after `grace`; below it 408. 0: no minimum.
    pub min_rate: u64,
    /// From when the minimum rate counts.
    pub grace: Duration,
}

impl BodyLimits {
    /// From the server's settings and the webhook's `max_body`.
    #[must_use]
    pub fn new(max: usize, timeouts: &Timeouts, min_rate: u64) -> Self {
        Self {
            max,
            idle: timeouts.body_idle,
            total: timeouts.body_total,
            min_rate,
            grace: RATE_GRACE,
        }
    }

    /// The moment by which the next piece must be there.
    fn deadline(&self, start: Instant, now: Instant, received: usize) -> Instant {
        let mut deadline = (now + self.idle).min(start + self.total);
        // `received` bytes are enough until this much time has passed since the start.
        let micros = (received as u64).saturating_mul(1_000_000);
        if let Some(micros) = micros.checked_div(self.min_rate) {
            deadline = deadline.min(start + self.grace.max(Duration::from_micros(micros)));
        }
        deadline
    }
}

/// A whole body, with the memory that it takes of the budget.
#[derive(Debug)]
pub struct Body {
    /// The bytes as on the wire.
    pub bytes: Bytes,
    /// Given back when dropped: keep it as long as the bytes are needed.
    pub permit: Permit,
}

/// Reads a body. `announced` is the `Content-Length`, if there is one.
///
/// # Errors
/// `TooLarge` (at once when announced, else at the cap), `Timeout`, `BadRequest` (shorter than announced, or broken
/// chunks), `Busy` when all bodies together hold too much.
pub async fn read<S>(
    payload: &mut S,
    announced: Option<u64>,
    limits: &BodyLimits,
    budget: &Budget,
) -> Result<Body, Refusal>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    if announced.is_some_and(|length| length > limits.max as u64) {
        return Err(Refusal::TooLarge);
    }
    let mut body = Gathered::new(announced, limits.max, budget.permit());
    // Most bodies are there with their head: no clock and no timer for them.
    let mut clock: Option<Instant> = None;
    loop {
        let piece = match payload.next().now_or_never() {
            Some(piece) => piece,
            None => {
                let now = Instant::now();
                let start = *clock.get_or_insert(now);
                let deadline = limits.deadline(start, now, body.len());
                let wait = timeout_at(deadline, payload.next());
                wait.await.map_err(|_| Refusal::Timeout)?
            }
        };
        match piece {
            Some(Ok(piece)) => body.push(piece)?,
            Some(Err(error)) => return Err(refusal_of(&error)),
            None => return body.finish(),
        }
        // A sender that always has a piece ready never waits above.
        if let Some(start) = clock
            && start.elapsed() > limits.total
        {
            return Err(Refusal::Timeout);
        }
    }
}

fn refusal_of(error: &PayloadError) -> Refusal {
    match error {
        PayloadError::Overflow => Refusal::TooLarge,
        // Incomplete, corrupt, gone: whatever it is, the body is not whole.
        _ => Refusal::BadRequest,
    }
}

/// Bytes so far: one piece is kept as it came, more are joined.
struct Gathered {
    announced: Option<usize>,
    max: usize,
    permit: Permit,
    first: Bytes,
    joined: BytesMut,
}

impl Gathered {
    fn new(announced: Option<u64>, max: usize, permit: Permit) -> Self {
        Self {
            announced: announced.map(|length| usize::try_from(length).unwrap_or(usize::MAX)),
            max,
            permit,
            first: Bytes::new(),
            joined: BytesMut::new(),
        }
    }

    fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    fn push(&mut self, piece: Bytes) -> Result<(), Refusal> {
        if piece.is_empty() {
            return Ok(());
        }
        let len = self.len() + piece.len();
        if len > self.max {
            return Err(Refusal::TooLarge);
        }
        if self.first.is_empty() && self.joined.is_empty() {
            self.permit.hold(len)?;
            self.first = piece;
            return Ok(());
        }
        if self.joined.capacity() < len {
            self.grow(len)?;
        }
        self.joined.extend_from_slice(&piece);
        Ok(())
    }

    /// Room for `len` bytes, with some to spare; what is announced bounds it, but does not buy it.
    fn grow(&mut self, len: usize) -> Result<(), Refusal> {
        let bound = self.announced.unwrap_or(self.max).max(len);
        let room = len.saturating_mul(2).max(BUFFER_STEP).min(bound);
        self.permit.hold(room)?;
        self.joined.reserve(room - self.joined.len());
        if !self.first.is_empty() {
            let first = std::mem::take(&mut self.first);
            self.joined.extend_from_slice(&first);
        }
        Ok(())
    }

    fn finish(self) -> Result<Body, Refusal> {
        // actix-web reports an early end itself; this holds if it ever does not.
        if self.announced.is_some_and(|length| length != self.len()) {
            return Err(Refusal::BadRequest);
        }
        let bytes = if self.joined.is_empty() {
            self.first
        } else {
            self.joined.freeze()
        };
        Ok(Body {
            bytes,
            permit: self.permit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use std::task::Poll;

    const LIMITS: BodyLimits = BodyLimits {
        max: 100_000,
        idle: Duration::from_secs(10),
        total: Duration::from_secs(60),
        min_rate: 1024,
        grace: RATE_GRACE,
    };

    async fn from(pieces: &[&[u8]], announced: Option<u64>) -> Result<Bytes, Refusal> {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|p| Ok(Bytes::copy_from_slice(p)))
            .collect();
        let budget = Budget::new(1 << 20);
        let body = read(&mut stream::iter(pieces), announced, &LIMITS, &budget).await?;
        let bytes = body.bytes.clone();
        drop(body);
        assert_eq!(budget.held(), 0);
        Ok(bytes)
    }

    /// A piece of `bytes` every `every`, without end.
    fn drip(
        bytes: usize,
        every: Duration,
    ) -> impl Stream<Item = Result<Bytes, PayloadError>> + Unpin {
        let mut ticks = Box::pin(tokio::time::sleep(every));
        stream::poll_fn(move |cx| match ticks.as_mut().poll_unpin(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                ticks.as_mut().reset(Instant::now() + every);
                Poll::Ready(Some(Ok(Bytes::from(vec![b'x'; bytes]))))
            }
        })
    }

    async fn slow(bytes: usize, every: u64, limits: &BodyLimits) -> (Refusal, Duration) {
        let start = Instant::now();
        let budget = Budget::new(1 << 20);
        let mut payload = drip(bytes, Duration::from_millis(every));
        let refusal = read(&mut payload, None, limits, &budget).await;
        assert_eq!(budget.held(), 0);
        (refusal.err().unwrap(), start.elapsed())
    }

    #[tokio::test]
    async fn whole_bodies() {
        assert_eq!(from(&[], None).await.unwrap(), "");
        assert_eq!(from(&[b"abc"], Some(3)).await.unwrap(), "abc");
        assert_eq!(from(&[b"a", b"", b"bc", b"d"], None).await.unwrap(), "abcd");
        let big = vec![b'x'; 60_000];
        assert_eq!(
            from(&[&big, &big[..40_000]], None).await.unwrap().len(),
            100_000
        );
    }

    #[tokio::test]
    async fn one_piece_is_not_copied() {
        let piece = Bytes::from(vec![1; 5000]);
        let budget = Budget::new(1 << 20);
        let mut payload = stream::iter([Ok(piece.clone())]);
        let body = read(&mut payload, Some(5000), &LIMITS, &budget)
            .await
            .unwrap();
        assert_eq!(body.bytes.as_ptr(), piece.as_ptr());
        assert_eq!(budget.held(), 5000);
    }

    #[tokio::test]
    async fn lies_and_excess() {
        let big = vec![b'x'; 60_000];
        assert_eq!(from(&[b"ab"], Some(3)).await, Err(Refusal::BadRequest));
        assert_eq!(from(&[b"abcd"], Some(3)).await, Err(Refusal::BadRequest));
        assert_eq!(from(&[], Some(100_001)).await, Err(Refusal::TooLarge));
        assert_eq!(from(&[], Some(u64::MAX)).await, Err(Refusal::TooLarge));
        assert_eq!(from(&[&big, &big], None).await, Err(Refusal::TooLarge));
        let mut broken = stream::iter([
            Ok(Bytes::from_static(b"ab")),
            Err(PayloadError::Incomplete(None)),
        ]);
        let cut = read(&mut broken, None, &LIMITS, &Budget::new(1 << 20)).await;
        assert_eq!(cut.err(), Some(Refusal::BadRequest));
        let mut endless = stream::repeat_with(|| Ok(Bytes::from_static(b"chunk")));
        let refused = read(&mut endless, None, &LIMITS, &Budget::new(1 << 20)).await;
        assert_eq!(refused.err(), Some(Refusal::TooLarge));
    }

    const QUICK: BodyLimits = BodyLimits {
        grace: Duration::from_millis(50),
        min_rate: 10_000,
        ..LIMITS
    };

    #[tokio::test]
    async fn slow_senders() {
        let seconds = Duration::from_secs;
        // Nothing at all: the rate asks for something once the grace is over.
        let (refusal, took) = slow(0, 3_600_000, &QUICK).await;
        assert_eq!(refusal, Refusal::Timeout);
        assert!(took >= QUICK.grace && took < seconds(5), "{took:?}");
        // A byte now and then: still below the rate.
        let (refusal, took) = slow(1, 10, &QUICK).await;
        assert_eq!(refusal, Refusal::Timeout);
        assert!(took >= QUICK.grace && took < seconds(5), "{took:?}");
        // Fast enough, until it is too much.
        assert_eq!(slow(30_000, 20, &QUICK).await.0, Refusal::TooLarge);
        // Fast enough, but for too long.
        let limits = BodyLimits {
            total: Duration::from_millis(200),
            min_rate: 0,
            ..QUICK
        };
        let (refusal, took) = slow(100, 20, &limits).await;
        assert_eq!(refusal, Refusal::Timeout);
        assert!(took >= limits.total && took < seconds(5), "{took:?}");
    }

    #[tokio::test]
    async fn a_pause_is_not_forgiven() {
        let first = stream::iter([Ok(Bytes::from(vec![0; 90_000]))]);
        let mut payload = first.chain(stream::pending());
        let limits = BodyLimits {
            idle: Duration::from_millis(100),
            ..LIMITS
        };
        let start = Instant::now();
        let refused = read(&mut payload, None, &limits, &Budget::new(1 << 20)).await;
        assert_eq!(refused.err(), Some(Refusal::Timeout));
        assert!(start.elapsed() >= limits.idle && start.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn the_announced_length_buys_no_memory() {
        let budget = Budget::new(1 << 20);
        let pieces = [Ok(Bytes::from_static(b"a")), Ok(Bytes::from_static(b"b"))];
        let mut payload = stream::iter(pieces).chain(stream::pending());
        let reading = read(&mut payload, Some(90_000), &LIMITS, &budget);
        tokio::pin!(reading);
        assert!(reading.as_mut().now_or_never().is_none());
        assert_eq!(budget.held(), BUFFER_STEP);
    }

    #[tokio::test]
    async fn all_bodies_together_are_bounded() {
        let budget = Budget::new(100_000);
        let one = || stream::iter([Ok(Bytes::from(vec![0; 70_000]))]);
        let first = read(&mut one(), None, &LIMITS, &budget).await.unwrap();
        let second = read(&mut one(), None, &LIMITS, &budget).await;
        assert!(matches!(second.err(), Some(Refusal::Busy { .. })));
        drop(first);
        assert!(read(&mut one(), None, &LIMITS, &budget).await.is_ok());
    }
}
