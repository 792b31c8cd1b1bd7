//! The command line. `migrate` brings the database up to date: the one in `DATABASE_URL`, or a private one under `data/`.

use mimalloc::MiMalloc;
use portcullis::platform::{db, local_postgres::LocalPostgres};
use sqlx::postgres::PgConnectOptions;
use std::{path::Path, process::ExitCode};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(clap::Parser)]
#[command(name = "portcullis", version, about)]
enum Command {
    /// Apply outstanding migrations as the owner of the database.
    Migrate,
}

#[actix_web::main]
async fn main() -> ExitCode {
    let Command::Migrate = clap::Parser::parse();
    match migrate().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn migrate() -> anyhow::Result<()> {
    let Ok(url) = std::env::var("DATABASE_URL") else {
        let local = LocalPostgres::start(Path::new("data/postgres"), &[]).await?;
        db::migrate(&local.owner()).await?;
        println!("the private database under data/postgres is up to date");
        return Ok(());
    };
    // the parser's message is left out: it may quote the password
    let owner: PgConnectOptions = url.parse().map_err(|_| anyhow::anyhow!("DATABASE_URL is no Postgres address"))?;
    db::migrate(&owner).await?;
    println!("the database is up to date");
    Ok(())
}
