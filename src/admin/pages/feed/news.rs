//! `/ui/rows`: the rows that came behind a place, as the feed shows them, for a page that is open.

use super::rows::{Row, Rows};
use super::{Asked, ROWS};
use crate::admin::pages::Ask;
use crate::admin::problem::ApiError;
use crate::feed::{DeliveryRow, Page, Paging};
use crate::model::{Position, Seq};
use actix_web::HttpResponse;
use jiff::Timestamp;
use serde::Serialize;

/// New deliveries that are sent one by one; of more, the newest page.
const NEW_MAX: usize = 200;

#[derive(Debug, Serialize)]
struct NewRows {
    /// Newest first.
    rows: Vec<Row>,
    /// Where to go on.
    place: String,
    /// Whether more came than these.
    more: bool,
    /// Whether there may be more already.
    again: bool,
    /// Deliveries that retention took before they were asked for.
    gone: u64,
    /// Address of what is older than these; empty: nothing.
    older: String,
}

/// `GET /ui/rows`: with `after`, what came behind it; without, the newest page.
pub(crate) async fn rows(ask: Ask) -> Result<HttpResponse, ApiError> {
    let (asked, paging) = Asked::read(&ask)?;
    ask.answer("rows.html", "feed", move |ask| {
        gather(ask, &asked, paging.after)
    })
    .await
}

fn gather(ask: &Ask, asked: &Asked, after: Option<Position>) -> Result<NewRows, ApiError> {
    let now = Timestamp::now();
    let query = asked
        .row_query(now)
        .map_err(|error| ApiError::query("q", error))?;
    let stats = ask.admin.log.stats();
    let feed = &ask.admin.feed;
    let rows = Rows::new(ask, &query, asked.show, now);
    if let Some(after) = after {
        // Upwards from the place: what matches nothing costs no more than what is new.
        let paging = Paging {
            limit: NEW_MAX,
            after: Some(after),
            ascending: true,
        };
        let mut found = feed.deliveries(&query, paging)?;
        let until = stats.head.min(found.indexed_to);
        // A search that has to look at much stops on its way.
        let on_the_way = found.next.filter(|next| next.seq <= until);
        if on_the_way.is_none() || !found.complete {
            found.rows.retain(|row| row.position.seq <= until);
            found.rows.reverse();
            let place = on_the_way.unwrap_or_else(|| place(&found, until));
            return Ok(NewRows {
                rows: rows.of(&found.rows),
                place: place.max(after).to_string(),
                more: false,
                again: on_the_way.is_some(),
                gone: stats.oldest.saturating_sub(after.seq + 1),
                older: String::new(),
            });
        }
    }
    let paging = Paging {
        limit: ROWS,
        after: None,
        ascending: false,
    };
    let found = feed.deliveries(&query, paging)?;
    let older = found.next.map(|next| {
        let after = Some(next.to_string());
        Asked {
            after,
            ..asked.clone()
        }
        .address()
    });
    Ok(NewRows {
        rows: rows.of(&found.rows),
        place: place(&found, stats.head).to_string(),
        more: true,
        again: false,
        gone: 0,
        older: older.unwrap_or_default(),
    })
}

/// What is behind everything that a page of newest rows has seen: nothing is missed and nothing comes twice.
pub(super) fn place(found: &Page<DeliveryRow>, head: Seq) -> Position {
    let seq = head.min(found.indexed_to);
    let whole = Position { seq, index: 0 };
    let newest = found.rows.first().map(|row| row.position);
    newest.map_or(whole, |newest| newest.max(whole))
}
