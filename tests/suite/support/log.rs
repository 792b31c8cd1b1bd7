//! Everything that the service logs during the run, in memory, for tests that look for what must not be there, and in a file for
//! `tests/suite_canaries.rs`.

use portcullis::platform::telemetry::{self, LogFormat, subscriber};
use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex, OnceLock},
};
use tracing_subscriber::{EnvFilter, util::SubscriberInitExt};

static LINES: OnceLock<Memory> = OnceLock::new();
static FILE: OnceLock<Mutex<File>> = OnceLock::new();

/// Keeps it for the scan.
pub fn keep(bytes: &[u8]) {
    let file = FILE.get_or_init(|| Mutex::new(File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("suite.log")).unwrap()));
    file.lock().unwrap().write_all(bytes).unwrap();
}

/// Writes to memory and to the file.
struct Kept(Memory);

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        keep(bytes);
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Vec<u8>>>);

impl io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub fn install() {
    LINES.get_or_init(|| {
        let memory = Memory::default();
        let writer = memory.clone();
        // more than production ever logs: all that a setting can turn on
        subscriber(LogFormat::Json, EnvFilter::new("trace"), false, move || Kept(writer.clone()), None).unwrap().init();
        // whatever a test provokes on purpose, and still to be seen where a test fails
        let shown = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            telemetry::log_panic(panic);
            shown(panic);
        }));
        memory
    });
}

impl Memory {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// All lines so far.
pub fn text() -> String {
    LINES.get().expect("installed").text()
}
