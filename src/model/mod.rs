//! The words of the product as types. No IO, no async, no clock.
//!
//! Everything here is plain data: a value that exists is valid (`Slug::parse`, `Event` after
//! `translate`), and nothing in this module can print a secret or a slug.

pub mod cloud_event;
pub mod delivery;
pub mod event;
pub mod http_file;
pub mod limits;
pub mod multipart;
pub mod problem;
pub(crate) mod python;
pub mod request;
pub mod secret;
pub mod slug;
pub mod time;
pub mod trace;

pub use delivery::{Delivery, Outcome, Position, Seq};
pub use event::{Event, Labels};
pub use problem::{Note, Place, Problem};
pub use request::{Headers, Request};
pub use secret::Secret;
pub use slug::Slug;
