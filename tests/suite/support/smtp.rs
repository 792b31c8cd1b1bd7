//! A mail server for one conversation at a time: TLS from the start, STARTTLS, or (the downgrade attack) neither.

use portcullis::{platform::clock::Clock, server::tls::Identity};
use rustls::{ServerConfig, ServerConnection, StreamOwned, sign::SingleCertAndKey};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

#[derive(Clone, Copy, PartialEq)]
pub enum Offers {
    Tls,
    StartTls,
    ClearTextOnly,
}

pub struct SmtpServer {
    pub port: u16,
    /// Every line that came in clear text.
    pub in_clear: Arc<Mutex<Vec<String>>>,
    /// Every line that came through TLS.
    pub in_tls: Arc<Mutex<Vec<String>>>,
    /// While set, a whole letter is taken and not confirmed.
    pub is_silent: Arc<AtomicBool>,
}

impl SmtpServer {
    /// Proves itself with a certificate of the development authority in `tls`.
    pub fn start(tls: &Path, offers: Offers) -> Self {
        Self::proving(Identity::for_development(tls, &Clock::system()).unwrap(), offers)
    }

    pub fn proving(identity: Identity, offers: Offers) -> Self {
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = Arc::new(builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified().unwrap()))));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server =
            Self { port: listener.local_addr().unwrap().port(), in_clear: Arc::default(), in_tls: Arc::default(), is_silent: Arc::default() };
        let (in_clear, in_tls, is_silent) = (Arc::clone(&server.in_clear), Arc::clone(&server.in_tls), Arc::clone(&server.is_silent));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // a client that hangs up in the middle is part of the game
                let _ = serve(stream.unwrap(), &config, offers, &in_clear, &in_tls, &is_silent);
            }
        });
        server
    }
}

fn serve(
    mut stream: TcpStream,
    config: &Arc<ServerConfig>,
    offers: Offers,
    in_clear: &Mutex<Vec<String>>,
    in_tls: &Mutex<Vec<String>>,
    is_silent: &AtomicBool,
) -> std::io::Result<()> {
    if offers != Offers::Tls {
        stream.write_all(b"220 localhost\r\n")?;
        if !talk(&mut stream, offers == Offers::StartTls, in_clear, is_silent)? {
            return Ok(());
        }
    }
    let connection = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    if offers == Offers::Tls {
        stream.write_all(b"220 localhost\r\n")?;
    }
    talk(&mut stream, false, in_tls, is_silent).map(drop)
}

/// `true`: the client wants to go on in TLS.
fn talk<S: Read + Write>(stream: &mut S, offers_starttls: bool, heard: &Mutex<Vec<String>>, is_silent: &AtomicBool) -> std::io::Result<bool> {
    let mut reader = BufReader::with_capacity(1, stream);
    let (mut line, mut in_letter) = (String::new(), false);
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(false);
        }
        let text = line.trim_end().to_owned();
        heard.lock().unwrap().push(text.clone());
        let answer: &[u8] = match text.split(' ').next().unwrap() {
            "." if in_letter && is_silent.load(Ordering::Relaxed) => continue,
            "." if in_letter => {
                in_letter = false;
                b"250 taken\r\n"
            }
            _ if in_letter => continue,
            "EHLO" if offers_starttls => b"250-localhost\r\n250 STARTTLS\r\n",
            "EHLO" => b"250-localhost\r\n250 AUTH PLAIN\r\n",
            "AUTH" => b"235 welcome\r\n",
            "STARTTLS" if offers_starttls => {
                reader.get_mut().write_all(b"220 go on\r\n")?;
                return Ok(true);
            }
            "DATA" => {
                in_letter = true;
                b"354 go on\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 fine\r\n",
        };
        reader.get_mut().write_all(answer)?;
    }
}
