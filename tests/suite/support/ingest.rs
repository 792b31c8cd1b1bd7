//! A Sentry of the test's own: keeps what it is sent, or takes it and never answers.

use super::heard::Heard;
use std::{
    io::{BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

pub struct Ingest {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Ingest {
    pub fn start(is_silent: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let this = Self { port: listener.local_addr().unwrap().port(), heard: Arc::default() };
        let heard = this.heard.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let heard = heard.clone();
                // a connection that breaks is the client's affair
                thread::spawn(move || take(stream, &heard, is_silent).map_err(drop));
            }
        });
        this
    }

    pub fn dsn(&self) -> String {
        format!("http://key@127.0.0.1:{}/1", self.port)
    }

    /// Every request so far, head and body.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

fn take(mut stream: TcpStream, heard: &Mutex<Vec<String>>, is_silent: bool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = Heard::read(&mut reader)? {
        let text = request.head.join("\r\n") + "\r\n\r\n" + std::str::from_utf8(&request.body).expect("text");
        heard.lock().unwrap().push(text);
        if !is_silent {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")?;
        }
    }
    Ok(())
}
