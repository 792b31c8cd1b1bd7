//! The edge of `docker-compose.cluster.yml` in front of nodes: Debian's nginx with the very templates in `ops/nginx`, filled in as the
//! image does it.

use crate::service::free_ports;
use reqwest::{Certificate, Client, redirect};
use std::{
    fs,
    net::{IpAddr, SocketAddr},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Numbers that no test meets unless it says so.
const ROOMY: [(&str, &str); 5] = [
    ("EDGE_REQUESTS_PER_SECOND", "10000"),
    ("EDGE_REQUESTS_BURST", "10000"),
    ("EDGE_PROOFS_PER_SECOND", "10000"),
    ("EDGE_PROOFS_BURST", "10000"),
    ("EDGE_IN_HAND", "1000"),
];

/// Who runs it in the image: nobody.
const NOBODY: u32 = 65534;

pub struct Nginx {
    process: Child,
    folder: tempfile::TempDir,
    secrets: PathBuf,
    pub https: SocketAddr,
    pub http: SocketAddr,
}

/// One request, as the access log tells of it.
#[derive(Debug, serde::Deserialize)]
pub struct Record {
    pub method: String,
    pub status: u16,
    /// The nodes that were tried, in order.
    pub node: String,
    /// How many bytes of the request each of them was sent.
    pub sent: String,
}

impl Record {
    /// The nodes that had any of it.
    pub fn had_by(&self) -> Vec<&str> {
        let list = |text: &'_ str| text.replace(" : ", ", ").split(", ").map(str::to_owned).collect::<Vec<_>>();
        let sent = list(&self.sent);
        let nodes = self.node.split(", ").flat_map(|part| part.split(" : "));
        nodes.zip(sent).filter(|(_, sent)| sent.parse::<u64>().is_ok_and(|bytes| bytes > 0)).map(|(node, _)| node).collect()
    }
}

impl Nginx {
    /// Starts it with what `portcullis secrets --cluster` made; some of the image's settings may be changed.
    pub fn before(nodes: [SocketAddr; 2], secrets: &Path, changed: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path();
        fs::set_permissions(run, fs::Permissions::from_mode(0o777)).unwrap();
        let [https, http] = free_ports().map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let log = run.join("access.log");
        let own = [
            ("EDGE_RUN", run.to_str().unwrap().to_owned()),
            ("EDGE_SECRETS", secrets.join("proxy").to_str().unwrap().to_owned()),
            ("EDGE_ACCESS_LOG", log.to_str().unwrap().to_owned()),
            ("EDGE_HTTPS", https.to_string()),
            ("EDGE_HTTP", http.to_string()),
            ("EDGE_HOST", "localhost".to_owned()),
            ("EDGE_PUBLIC_URL", format!("https://localhost:{}", https.port())),
            ("EDGE_NODE_1", nodes[0].to_string()),
            ("EDGE_NODE_2", nodes[1].to_string()),
        ];
        let own: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
        for template in fs::read_dir("ops/nginx").unwrap().map(|entry| entry.unwrap().path()) {
            let text = filled_in(&fs::read_to_string(&template).unwrap(), &[changed, &own, &ROOMY].concat());
            fs::write(run.join(template.file_stem().unwrap()), text).unwrap();
        }
        let mut command = Command::new("nginx");
        command.args(["-e", "stderr", "-g", "daemon off;", "-c"]).arg(run.join("nginx.conf"));
        if rustix::process::getuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let said = fs::File::create(run.join("said")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        let process = command.spawn().unwrap_or_else(|error| panic!("these tests need nginx in the path ({error})"));
        let mut this = Self { process, secrets: secrets.to_owned(), folder, https, http };
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(https).is_err() {
            let ended = this.process.try_wait().unwrap();
            assert!(ended.is_none() && std::time::Instant::now() < deadline, "nginx does not serve: {}", this.said());
            std::thread::yield_now();
        }
        this
    }

    /// What it complained about.
    pub fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("said")).unwrap()
    }

    /// What was asked and has been answered.
    pub fn records(&self) -> Vec<Record> {
        let log = fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default();
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.https.port())
    }

    /// The authority that vouches for it.
    pub fn authority(&self) -> PathBuf {
        self.secrets.join("proxy/authority.pem")
    }

    /// A client at this address, which speaks HTTP/2.
    pub fn client(&self, from: &str) -> Client {
        let authority = Certificate::from_pem(&fs::read(self.authority()).unwrap()).unwrap();
        let client = Client::builder().tls_certs_only([authority]).redirect(redirect::Policy::none()).timeout(Duration::from_secs(40));
        client.no_proxy().local_address(from.parse::<IpAddr>().unwrap()).resolve("localhost", self.https).build().unwrap()
    }
}

/// What the image's envsubst does: nginx's own names have no braces and stay.
fn filled_in(template: &str, values: &[(&str, &str)]) -> String {
    let named = regex::Regex::new(r"\$\{(EDGE_[A-Z0-9_]+)\}").unwrap();
    let value = |name: &str| values.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("nobody sets {name}")).1;
    named.replace_all(template, |found: &regex::Captures| value(&found[1])).into_owned()
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // the first process ends the others; killed, it would leave them
        let _ = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

/// Everything that a first start of the cluster makes, with Redis at this address.
pub fn secrets(redis: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    let made = command.args(["secrets", "--cluster", "--redis-host", redis]).arg(folder.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    folder
}
