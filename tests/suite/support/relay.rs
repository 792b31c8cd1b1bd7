//! A socket in front of Postgres that can be cut, or left hanging half-open.

use sqlx::postgres::PgConnectOptions;
use std::{path::Path, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::watch,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Open,
    /// Connections stay and nothing comes through.
    HalfOpen,
    /// Connections end, new ones too.
    Cut,
}

pub struct Relay {
    folder: tempfile::TempDir,
    behind: PgConnectOptions,
    way: Arc<watch::Sender<Way>>,
}

impl Relay {
    pub fn before(behind: &PgConnectOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = format!(".s.PGSQL.{}", behind.get_port());
        let (listener, target) = (UnixListener::bind(folder.path().join(&name)).unwrap(), behind.get_socket().unwrap().join(name));
        let way = Arc::new(watch::Sender::new(Way::Open));
        let ways = way.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = UnixStream::connect(&target).await {
                    tokio::spawn(carry(client, server, ways.subscribe()));
                }
            }
        });
        Self { folder, behind: behind.clone(), way }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn options(&self) -> PgConnectOptions {
        self.behind.clone().socket(self.folder.path())
    }

    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn carry(mut client: UnixStream, mut server: UnixStream, mut way: watch::Receiver<Way>) {
    let (mut from_client, mut from_server) = ([0; 8192], [0; 8192]);
    loop {
        let now = *way.borrow_and_update();
        if now == Way::Cut {
            return;
        }
        let is_open = now == Way::Open;
        let carried = tokio::select! {
            changed = way.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            read = client.read(&mut from_client), if is_open => match read {
                Ok(0) | Err(_) => return,
                Ok(count) => server.write_all(&from_client[..count]).await,
            },
            read = server.read(&mut from_server), if is_open => match read {
                Ok(0) | Err(_) => return,
                Ok(count) => client.write_all(&from_server[..count]).await,
            },
        };
        if carried.is_err() {
            return;
        }
    }
}
