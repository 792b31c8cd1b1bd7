//! The fast suite: one private Postgres for the run, one database a test, made from a migrated template.

mod attacks;
mod contract;
mod house_rules;
mod journeys;
mod local_postgres;
mod support;
