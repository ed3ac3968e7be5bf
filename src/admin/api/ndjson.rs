//! `application/x-ndjson`: a whole result as lines, by walking pages, so that memory stays bounded.

use super::block;
use crate::admin::problem::ApiError;
use crate::feed::Paging;
use crate::model::Position;
use actix_web::HttpResponse;
use bytes::Bytes;
use futures_util::stream;
use std::sync::Arc;

/// Media type of lines of JSON.
pub(super) const MEDIA_TYPE: &str = "application/x-ndjson";
/// Rows that are read at once.
const ROWS_AT_ONCE: usize = 200;

/// One page as lines, how many they are, and where the next begins.
pub(super) struct Lines {
    pub(super) text: String,
    pub(super) rows: usize,
    pub(super) next: Option<Position>,
}

type Read = Arc<dyn Fn(Paging) -> Result<Lines, ApiError> + Send + Sync>;

struct Walk {
    read: Read,
    paging: Paging,
    /// Rows still wanted; none: all.
    left: Option<usize>,
    done: bool,
}

/// Streams every page of `read` from `paging` on, up to `limit` rows where one is given.
///
/// An error on the way breaks the connection off, since the status has gone out already; one at the
/// first page is an ordinary error.
pub(super) async fn stream(
    read: Read,
    paging: Paging,
    limit: Option<usize>,
) -> Result<HttpResponse, ApiError> {
    let mut walk = Walk {
        read,
        paging,
        left: limit,
        done: false,
    };
    let first = step(&mut walk).await?;
    let rest = stream::unfold(walk, |mut walk| async move {
        if walk.done {
            return None;
        }
        let lines = step(&mut walk).await;
        walk.done |= lines.is_err();
        Some((lines, walk))
    });
    let all = futures_util::StreamExt::chain(stream::iter([Ok::<Bytes, ApiError>(first)]), rest);
    Ok(HttpResponse::Ok().content_type(MEDIA_TYPE).streaming(all))
}

async fn step(walk: &mut Walk) -> Result<Bytes, ApiError> {
    let mut paging = walk.paging;
    paging.limit = walk
        .left
        .map_or(ROWS_AT_ONCE, |left| left.clamp(1, ROWS_AT_ONCE));
    let read = Arc::clone(&walk.read);
    let lines = block(move || read(paging)).await?;
    walk.left = walk.left.map(|left| left.saturating_sub(lines.rows));
    walk.paging.after = lines.next;
    walk.done = lines.next.is_none() || walk.left == Some(0);
    Ok(Bytes::from(lines.text))
}
