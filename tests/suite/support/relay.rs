//! A socket in front of Postgres that can be cut, or left hanging half-open.

use sqlx::postgres::PgConnectOptions;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::watch,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Open,
    /// What is asked comes through, answers wait.
    AnswersHeld,
    /// Connections stay and nothing comes through.
    HalfOpen,
    /// Connections end, new ones too.
    Cut,
}

pub struct Relay {
    folder: tempfile::TempDir,
    behind: PgConnectOptions,
    way: Arc<watch::Sender<Way>>,
    /// Connections before this one hang for ever.
    hung: Arc<AtomicUsize>,
    made: Arc<AtomicUsize>,
}

impl Relay {
    pub fn before(behind: &PgConnectOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = format!(".s.PGSQL.{}", behind.get_port());
        let (listener, target) = (UnixListener::bind(folder.path().join(&name)).unwrap(), behind.get_socket().unwrap().join(name));
        let way = Arc::new(watch::Sender::new(Way::Open));
        let ways = way.clone();
        let (hung, made) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (hanging, counted) = (hung.clone(), made.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = UnixStream::connect(&target).await {
                    tokio::spawn(carry(client, server, ways.subscribe(), counted.fetch_add(1, Ordering::SeqCst), hanging.clone()));
                }
            }
        });
        Self { folder, behind: behind.clone(), way, hung, made }
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

    /// How many there were so far.
    pub fn connections(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }

    /// The connections that there are stay and carry nothing any more; new ones do.
    pub fn hang(&self) {
        self.hung.store(self.made.load(Ordering::SeqCst), Ordering::SeqCst);
        self.set(Way::Open);
    }
}

async fn carry(mut client: UnixStream, mut server: UnixStream, mut way: watch::Receiver<Way>, number: usize, hung: Arc<AtomicUsize>) {
    let (mut from_client, mut from_server) = ([0; 8192], [0; 8192]);
    loop {
        let now = *way.borrow_and_update();
        if now == Way::Cut {
            return;
        }
        let is_open = now == Way::Open && number >= hung.load(Ordering::SeqCst);
        let is_heard = is_open || now == Way::AnswersHeld;
        let carried = tokio::select! {
            changed = way.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            read = client.read(&mut from_client), if is_heard => match read {
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
