//! What a stream tells: events, deliveries, or that there is something new.

use super::outlet::{Gone, Outlet};
use super::tail::Tail;
use crate::admin::Admin;
use crate::admin::api::block;
use crate::admin::api::views::{DeliveryView, EventView};
use crate::admin::problem::ApiError;
use crate::feed::{Knowledge, Paging, What};
use crate::log::LogError;
use crate::model::{Position, Seq};
use crate::query::{Query, Subject};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Between two signs of life.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// Between two looks for news: what comes in between comes together.
const EVENTS_EVERY: Duration = Duration::from_millis(25);
const DELIVERIES_EVERY: Duration = Duration::from_millis(100);
const HEADS_EVERY: Duration = Duration::from_millis(100);
/// After a store did not answer.
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// Deliveries that are asked for at once.
const ROWS: usize = 200;

/// Deliveries that are not there any more, or cannot be read.
#[derive(Debug, Clone, Copy, Serialize)]
struct Gap {
    from: Seq,
    to: Seq,
}

/// One message, or what is known instead.
enum Item {
    Message(Position, String),
    Gap(Gap),
}

/// What was found, and from where to go on.
struct Found {
    items: Vec<Item>,
    at: Position,
    /// Whether there is more already.
    more: bool,
}

/// One client's stream of events or deliveries.
pub(super) struct Source {
    admin: Arc<Admin>,
    tail: Arc<Tail>,
    query: Arc<Query>,
    what: What,
    at: Position,
    /// Whether what was kept before is still to be passed.
    from_now: bool,
}

impl Source {
    pub(super) fn new(
        admin: Arc<Admin>,
        tail: Arc<Tail>,
        query: Query,
        what: What,
        after: Option<Position>,
    ) -> Self {
        let newest = *admin.log.head().borrow();
        Self {
            from_now: after.is_none() && what == What::Deliveries,
            at: after.unwrap_or(Position {
                seq: newest,
                index: u32::MAX,
            }),
            admin,
            tail,
            query: Arc::new(query),
            what,
        }
    }

    /// Goes behind what was kept before: it bears the number of the newest delivery.
    async fn start(&mut self) -> Result<(), ApiError> {
        let admin = Arc::clone(&self.admin);
        let newest = Paging {
            limit: 1,
            after: None,
            ascending: false,
        };
        let page = block(move || Ok(admin.feed.deliveries(&Query::default(), newest)?)).await?;
        if let Some(row) = page.rows.first().filter(|row| row.position.index > 0) {
            self.at = row.position;
        }
        self.from_now = false;
        Ok(())
    }

    pub(super) async fn run(mut self, mut outlet: Outlet) {
        match self.tell(&mut outlet).await {
            // The client is gone, or has been told.
            Ok(()) | Err(Gone) => {}
        }
    }

    async fn tell(&mut self, outlet: &mut Outlet) -> Result<(), Gone> {
        let mut head = self.admin.log.head();
        let mut kept = self.admin.feed.kept();
        let event = match self.what {
            What::Events => "event",
            What::Deliveries => "delivery",
        };
        let every = match self.what {
            What::Events => EVENTS_EVERY,
            What::Deliveries => DELIVERIES_EVERY,
        };
        outlet.alive(None);
        outlet.flush().await?;
        let mut alive = Instant::now();
        loop {
            head.borrow_and_update();
            kept.borrow_and_update();
            let looked = Instant::now();
            let Ok(found) = self.look().await else {
                sleep(RETRY_EVERY).await;
                outlet.flush().await?;
                continue;
            };
            for item in &found.items {
                match item {
                    Item::Message(position, json) => outlet.message(Some(position), event, json),
                    Item::Gap(gap) => outlet.typed(Some(&format!("{}.0", gap.to)), "gap", gap),
                }
                if outlet.is_full() {
                    outlet.flush().await?;
                }
            }
            self.at = found.at;
            if !found.items.is_empty() {
                alive = Instant::now();
            }
            outlet.flush().await?;
            if found.more {
                continue;
            }
            let quiet = ALIVE_EVERY.saturating_sub(alive.elapsed());
            let news = async {
                tokio::select! {
                    _ = head.changed() => {}
                    _ = kept.changed(), if self.what == What::Deliveries => {}
                    () = outlet.closed() => {}
                }
                sleep(every.saturating_sub(looked.elapsed())).await;
            };
            if timeout(quiet, news).await.is_err() {
                outlet.alive(Some(&self.at));
                alive = Instant::now();
                outlet.flush().await?;
            }
        }
    }

    async fn look(&mut self) -> Result<Found, ApiError> {
        if self.from_now {
            self.start().await?;
        }
        let admin = Arc::clone(&self.admin);
        let (tail, query) = (Arc::clone(&self.tail), Arc::clone(&self.query));
        let (at, what) = (self.at, self.what);
        block(move || match what {
            What::Events => events(&admin, &tail, &query, at),
            What::Deliveries => deliveries(&admin, &query, at),
        })
        .await
    }
}

/// What retention took since; none: nothing that was asked for.
fn gap(admin: &Admin, at: Position) -> Option<Gap> {
    let oldest = admin.log.stats().oldest;
    (at.seq + 1 < oldest).then_some(Gap {
        from: at.seq + 1,
        to: oldest.saturating_sub(1),
    })
}

fn behind(gap: Gap) -> Found {
    Found {
        items: vec![Item::Gap(gap)],
        at: Position {
            seq: gap.to,
            index: u32::MAX,
        },
        more: true,
    }
}

fn events(admin: &Admin, tail: &Tail, query: &Query, at: Position) -> Result<Found, ApiError> {
    if let Some(gap) = gap(admin, at) {
        return Ok(behind(gap));
    }
    let newest = *admin.log.head().borrow();
    // The rest of a delivery of which an event has been told.
    let whole = at.index == u32::MAX;
    let after = if whole {
        at.seq
    } else {
        at.seq.saturating_sub(1)
    };
    if after >= newest {
        return Ok(Found {
            items: Vec::new(),
            at,
            more: false,
        });
    }
    let records = match tail.read(&*admin.log, after) {
        Ok(records) => records,
        Err(LogError::Damaged { seq, .. }) => {
            return Ok(behind(Gap { from: seq, to: seq }));
        }
        Err(error) => return Err(error.into()),
    };
    let sinks = if query.asks_sinks() {
        admin.feed.sinks()
    } else {
        Vec::new()
    };
    let mut found = Found {
        items: Vec::new(),
        at,
        more: false,
    };
    for record in &records {
        let (seq, delivery) = (record.seq, &record.delivery);
        let known = Knowledge::new(&*admin.log, Some(seq), &sinks);
        for (index, event) in (0..).zip(&delivery.events) {
            let position = Position { seq, index };
            let subject = Subject::new(Some(event), delivery, Some(seq)).with(index, &known);
            if position <= at || !query.matches_subject(&subject) {
                continue;
            }
            let json = super::super::to_json(&EventView::of(position, delivery, event))?;
            found.items.push(Item::Message(position, json));
        }
        found.at = found.at.max(Position {
            seq,
            index: u32::MAX,
        });
    }
    found.more = found.at.seq < newest && !records.is_empty();
    Ok(found)
}

fn deliveries(admin: &Admin, query: &Query, at: Position) -> Result<Found, ApiError> {
    if let Some(gap) = gap(admin, at) {
        return Ok(behind(gap));
    }
    // Read first: what is kept from now on stands behind it.
    let newest = *admin.log.head().borrow();
    // A whole delivery is its first place; requests that were not logged stand behind it.
    let after = if at.index == u32::MAX {
        Position {
            seq: at.seq,
            index: 0,
        }
    } else {
        at
    };
    let paging = Paging {
        limit: ROWS,
        after: Some(after),
        ascending: true,
    };
    let page = admin.feed.deliveries(query, paging)?;
    let until = newest.min(page.indexed_to);
    let mut found = Found {
        items: Vec::new(),
        at: after,
        more: page.next.is_some_and(|next| next.seq <= until),
    };
    for row in page.rows.iter().filter(|row| row.position.seq <= until) {
        let json = super::super::to_json(&DeliveryView::from(row))?;
        found.items.push(Item::Message(row.position, json));
        found.at = found.at.max(row.position);
    }
    let passed = page.next.unwrap_or(Position {
        seq: until,
        index: 0,
    });
    if passed.seq <= until {
        found.at = found.at.max(passed);
    }
    Ok(found)
}

/// That there is something new, and nothing else: a page then fetches rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct HeadMessage {
    /// Newest delivery of the log.
    seq: Seq,
    /// Requests that were not logged but kept, since the start.
    kept: u64,
}

/// One client's stream of heads.
pub(super) struct Heads(Arc<Admin>);

impl Heads {
    pub(super) fn new(admin: Arc<Admin>) -> Self {
        Self(admin)
    }

    pub(super) async fn run(self, mut outlet: Outlet) {
        match self.tell(&mut outlet).await {
            Ok(()) | Err(Gone) => {}
        }
    }

    async fn tell(&self, outlet: &mut Outlet) -> Result<(), Gone> {
        let mut head = self.0.log.head();
        let mut kept = self.0.feed.kept();
        let mut told = None;
        loop {
            let now = HeadMessage {
                seq: *head.borrow_and_update(),
                kept: *kept.borrow_and_update(),
            };
            if told != Some(now) {
                outlet.typed(Some(&format!("{}.0", now.seq)), "head", &now);
                told = Some(now);
            } else {
                outlet.alive(None);
            }
            outlet.flush().await?;
            let at = Instant::now();
            let news = async {
                tokio::select! {
                    _ = head.changed() => {}
                    _ = kept.changed() => {}
                    () = outlet.closed() => {}
                }
            };
            // The first of a burst is told at once, the rest together.
            if timeout(ALIVE_EVERY, news).await.is_ok() {
                sleep(HEADS_EVERY.saturating_sub(at.elapsed())).await;
            }
        }
    }
}
