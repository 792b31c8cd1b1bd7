//! Requests as servers of the tests' own hear them: HTTP/1.1 with a length, which is all that this service's clients send.

use std::io::{self, BufRead};

/// A request.
pub struct Heard {
    /// Its lines, the first of which has the method and the path.
    pub head: Vec<String>,
    pub body: Vec<u8>,
}

impl Heard {
    /// The next one; `None`: whoever is there has hung up.
    pub fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut this = Self { head: Vec::new(), body: Vec::new() };
        loop {
            let mut line = String::new();
            if from.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            if line == "\r\n" {
                break;
            }
            this.head.push(line.trim_end().to_owned());
        }
        this.body = vec![0; this.header("content-length").map_or(0, |length| length.parse().unwrap())];
        from.read_exact(&mut this.body)?;
        Ok(Some(this))
    }

    /// The first field of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.split_once(": ").filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value))
    }
}

/// An answer in JSON.
pub fn json_answer(status: u16, text: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{text}", text.len()).into_bytes()
}
