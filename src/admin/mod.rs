//! The admin listener: API, pages, metrics, health.
