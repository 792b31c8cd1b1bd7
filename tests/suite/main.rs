//! The fast suite: one private Postgres for the run, one database a test, made from a migrated template.

mod foundation;
mod journeys;
mod local_postgres;
mod support;
