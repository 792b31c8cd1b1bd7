//! Everything that the service logs during the run, in memory, for tests that look for what must not be there.

use portcullis::platform::telemetry::{LogFormat, subscriber};
use std::{
    io,
    sync::{Arc, Mutex, OnceLock},
};
use tracing_subscriber::{EnvFilter, util::SubscriberInitExt};

static LINES: OnceLock<Memory> = OnceLock::new();

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

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
        // more than production ever logs
        subscriber(LogFormat::Json, EnvFilter::new("debug,portcullis=trace"), false, move || writer.clone()).init();
        memory
    });
}

/// All lines so far.
pub fn text() -> String {
    String::from_utf8(LINES.get().expect("installed").0.lock().unwrap().clone()).unwrap()
}
