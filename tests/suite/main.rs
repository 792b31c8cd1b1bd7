//! The fast suite: one private Postgres for the run, one database a test, made from a migrated template.

mod attacks;
mod foundation;
mod journeys;
mod local_postgres;
mod support;
