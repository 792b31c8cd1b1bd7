//! Asks a running service whether it is ready, for a container's health check: the image has no other program.

use crate::settings::Settings;
use anyhow::{Context, bail};
use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// For connecting, and for each part of the answer.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn run() -> anyhow::Result<()> {
    let Some(address) = Settings::operator_listen_in(&Settings::process_values()?)? else {
        bail!("PORTCULLIS_OPERATOR_LISTEN is off: there is nobody to ask")
    };
    let mut stream = TcpStream::connect_timeout(&reachable(address), PATIENCE).with_context(|| format!("nobody listens on {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer)?;
    let status = answer.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        bail!("not ready: {status}");
    }
    writeln!(std::io::stdout(), "ready")?;
    Ok(())
}

/// Who listens everywhere is asked here.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
