//! Parses the command line and runs one command.

use clap::Parser;
use mimalloc::MiMalloc;
use portcullis::{cli::Cli, platform::telemetry::causes};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[actix_web::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("portcullis: {}", causes(&error));
            ExitCode::FAILURE
        }
    }
}
