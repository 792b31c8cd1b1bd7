//! The steps of the Compose file, by hand: secrets, migration as the owner, the service as nobody in particular with a login that owns
//! nothing, mail by STARTTLS, the health check. What the file says about settings must exist.

use crate::{
    journeys::the_binary::wait_until,
    support::{
        TestDatabase,
        relay::Relay,
        smtp::{Offers, SmtpServer},
    },
};
use portcullis::{
    platform::{clock::Clock, db},
    server::tls::Identity,
    settings::{TlsFiles, list::SETTINGS},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

/// The image's program, as the image's user when this process can be somebody else.
fn image(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(folder.join("portcullis"));
    command.args(arguments).current_dir(folder.join("data")).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if rustix::process::getuid().is_root() {
        command.uid(65532).gid(65532);
    }
    command
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn tree(folder: &Path) -> BTreeMap<String, String> {
    let files = ["owner/password", "owner/database-url", "login/database-url", "service/key-encryption-key"];
    let files = files.into_iter().chain(["service/mail-authority.pem", "mail/certificate.pem", "mail/key.pem"]);
    files.map(|name| (name.to_owned(), fs::read_to_string(folder.join(name)).unwrap())).collect()
}

#[actix_web::test]
async fn a_first_start_makes_everything_and_the_service_owns_nothing() {
    let t = TestDatabase::create().await;
    let folder = tempfile::tempdir().unwrap();
    let (secrets, data) = (folder.path().join("secrets"), folder.path().join("data"));
    fs::copy(env!("CARGO_BIN_EXE_portcullis"), folder.path().join("portcullis")).unwrap();
    for path in [folder.path(), &secrets, &data] {
        fs::create_dir_all(path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        if rustix::process::getuid().is_root() {
            std::os::unix::fs::chown(path, Some(65532), Some(65532)).unwrap();
        }
    }
    let make =
        || said(&mut image(folder.path(), &["secrets", secrets.to_str().unwrap(), "--database-host", "localhost", "--mail-host", "localhost"]));
    assert_eq!(make().lines().count(), 7);
    let made = tree(&secrets);
    assert_eq!((make().as_str(), tree(&secrets)), ("", made.clone()), "a second start changes nothing");
    for lost in ["mail/certificate.pem", "service/mail-authority.pem"] {
        fs::remove_file(secrets.join(lost)).unwrap();
        assert_eq!(make().lines().count(), 3, "{lost}: what belongs together is made anew together");
    }
    let made = BTreeMap::from_iter(tree(&secrets));
    let service_sees = fs::read_dir(secrets.join("service")).unwrap().count();
    assert!(service_sees == 2 && !made["service/mail-authority.pem"].contains("PRIVATE"), "nothing of the owner's, no key of the mail server");

    // the database of this test under the names that the secrets have
    let name = t.feed.get_database().unwrap();
    let (owner, service) = (format!("owner_{name}"), format!("service_{name}"));
    let mut superuser = PgConnection::connect_with(&t.superuser.clone().database(name)).await.unwrap();
    superuser.execute("DELETE FROM keyring").await.unwrap();
    let create = format!("CREATE ROLE {owner} SUPERUSER LOGIN PASSWORD '{}'", made["owner/password"]);
    superuser.execute(AssertSqlSafe(create)).await.unwrap();
    // a way to the database that the image's user can reach, carried by a thread of its own: this one waits for programs
    let carrier = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let relay = {
        let _entered = carrier.enter();
        Relay::before(&t.feed)
    };
    let socket = relay.folder().to_str().unwrap();
    fs::set_permissions(socket, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(relay.folder().join(format!(".s.PGSQL.{}", t.feed.get_port())), fs::Permissions::from_mode(0o777)).unwrap();
    for file in ["owner/database-url", "login/database-url"] {
        let path = secrets.join(file);
        let url = made[file].replace("portcullis_owner", &owner).replace("portcullis_service", &service);
        let url = url.replace("/portcullis", &format!("/{name}?host={socket}&port={}", t.feed.get_port()));
        fs::remove_file(&path).unwrap();
        fs::write(path, url).unwrap();
    }
    let path = |name: &str| secrets.join(name).to_str().unwrap().to_owned();
    let database = ("DATABASE_URL_FILE", path("login/database-url"));
    let migrated = said(
        image(folder.path(), &["migrate"])
            .envs([("DATABASE_URL_FILE", database.1.clone()), ("PORTCULLIS_OWNER_DATABASE_URL_FILE", path("owner/database-url"))]),
    );
    assert!(migrated.contains(&format!("made the login {service}")), "{migrated}");

    let files = TlsFiles { certificate: secrets.join("mail/certificate.pem"), key: secrets.join("mail/key.pem") };
    let mail = SmtpServer::proving(Identity::from_files(&files).unwrap(), Offers::StartTls);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let environment = [
        database,
        ("PORTCULLIS_KEY_ENCRYPTION_KEY_FILE", path("service/key-encryption-key")),
        ("PORTCULLIS_SMTP_URL", format!("smtp://localhost:{}?tls=required", mail.port)),
        ("SSL_CERT_FILE", path("service/mail-authority.pem")),
        ("PORTCULLIS_DATA_DIR", data.to_str().unwrap().to_owned()),
        ("PORTCULLIS_HTTPS_LISTEN", "127.0.0.1:0".to_owned()),
        ("PORTCULLIS_HTTP_LISTEN", "off".to_owned()),
        ("PORTCULLIS_OPERATOR_LISTEN", format!("127.0.0.1:{port}")),
        ("PORTCULLIS_LOG_FORMAT", "json".to_owned()),
    ];
    let mut running = image(folder.path(), &[]).envs(environment.clone()).spawn().unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
    let https = lines.by_ref().map(Result::unwrap).find_map(|line| {
        let record: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        record["https"].as_str().map(str::to_owned)
    });
    let https =
        https.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&image(folder.path(), &[]).envs(environment.clone()).output().unwrap().stderr)));
    let drain = std::thread::spawn(move || lines.for_each(drop));
    let port = https.rsplit(':').next().unwrap();

    assert_eq!(said(image(folder.path(), &["health"]).envs(environment.clone())), "ready\n");
    let authority = data.join("tls/ca.pem");
    let body = r#"{"email":"ada@example.org"}"#;
    let call = ["-sS", "--cacert", authority.to_str().unwrap(), &format!("https://localhost:{port}/v1/auth/register"), "--json", body];
    assert!(said(Command::new("curl").args(call)).contains("proof_id"));
    wait_until("the letter is at the mail catcher", || mail.in_tls.lock().unwrap().iter().any(|line| line == "To: ada@example.org"));
    assert!(mail.in_clear.lock().unwrap().iter().all(|line| !line.contains("ada@example.org")));

    let sessions = "SELECT usesysid::regrole::text FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'portcullis'";
    let logins: Vec<String> = sqlx::query_scalar(sessions).fetch_all(&mut superuser).await.unwrap();
    assert!(logins.contains(&service), "{logins:?}");
    let found = db::inspect(&made_url(&secrets).parse().unwrap(), &Clock::system()).await.unwrap();
    assert_eq!([found.powers, found.changes_events].concat(), Vec::<String>::new(), "its login may do no more than it must");
    assert!(found.schema.is_none(), "{:?}", found.schema);
    let foreign = found.foreign.map(|error| error.to_string()).unwrap_or_default();
    assert!(foreign.starts_with("it belongs to development"), "the file is for trying: {foreign}");

    assert!(Command::new("kill").args(["-TERM", &running.id().to_string()]).status().unwrap().success());
    wait_until("it ends", || running.try_wait().unwrap().is_some());
    drain.join().unwrap();
    let down = image(folder.path(), &["health"]).envs(environment).output().unwrap();
    assert!(!down.status.success(), "nobody is there any more");
    carrier.shutdown_background();
    for role in [service, owner] {
        superuser.execute(AssertSqlSafe(format!("DROP OWNED BY {role}; DROP ROLE {role}"))).await.unwrap();
    }
}

fn made_url(secrets: &Path) -> String {
    fs::read_to_string(secrets.join("login/database-url")).unwrap()
}

#[test]
fn the_compose_files_set_what_exists() {
    let named = regex::Regex::new(r"(?m)^\s+((?:PORTCULLIS|DATABASE|REDIS)_[A-Z0-9_]+):").unwrap();
    let command = regex::Regex::new(r#"(?m)command: \["([a-z-]+)""#).unwrap();
    let known = |name: &str| {
        SETTINGS.iter().any(|setting| setting.name == name || setting.secret && name.strip_suffix("_FILE").is_some_and(|name| name == setting.name))
    };
    for (file, own) in
        [("docker-compose.yml", &["secrets", "migrate"][..]), ("docker-compose.cluster.yml", &["secrets", "migrate", "valkey-server", "nginx"])]
    {
        let compose = fs::read_to_string(file).unwrap();
        let names: Vec<_> = named.captures_iter(&compose).map(|found| found[1].to_owned()).collect();
        assert!(names.len() >= 8 && names.iter().all(|name| known(name)), "{file}: {names:?}");
        let commands: Vec<_> = command.captures_iter(&compose).map(|found| found[1].to_owned()).collect();
        assert_eq!(commands, own, "{file}");
    }
}

/// The image leaves a name that nobody sets as it is, and nginx would not start.
#[test]
fn the_cluster_sets_what_its_proxys_configuration_asks_for() {
    let names = |pattern: &str, text: &str| -> BTreeSet<String> {
        regex::Regex::new(pattern).unwrap().captures_iter(text).map(|found| found[1].to_owned()).collect()
    };
    let templates: String = fs::read_dir("ops/nginx").unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let compose = fs::read_to_string("docker-compose.cluster.yml").unwrap();
    let set = names(r"(?m)^\s+(EDGE_[A-Z0-9_]+):", &compose);
    assert_eq!(names(r"\$\{([A-Z0-9_]+)\}", &templates), set);
    assert!(set.len() > 10);
}

/// A reader of one folder knows nothing of the others: nodes get no key of the proxy's, the proxy none of theirs, Redis no password.
#[test]
fn each_part_of_the_cluster_has_its_own_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let make = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        said(command.args(["secrets", "--cluster"]).arg(folder.path()))
    };
    assert_eq!(make().lines().count(), 16);
    assert_eq!(make(), "", "a second start changes nothing");
    let files = |part: &str| {
        let mut names: Vec<_> =
            fs::read_dir(folder.path().join(part)).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(files("service"), ["certificate.pem", "key-encryption-key", "key.pem", "mail-authority.pem", "redis-url"]);
    assert_eq!(files("proxy"), ["authority.pem", "certificate.pem", "key.pem", "node-authority.pem"]);
    assert_eq!((files("redis"), files("alerts")), (vec!["users.acl".to_owned()], vec!["mail-authority.pem".to_owned()]));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let url = read("service/redis-url");
    let password = url.split(['@', ':']).nth(2).unwrap();
    assert!(password.len() == 43 && !read("redis/users.acl").contains(password), "a digest only");
    let authorities = ["proxy/authority.pem", "proxy/node-authority.pem", "alerts/mail-authority.pem", "service/mail-authority.pem"];
    assert!(authorities.iter().all(|name| !read(name).contains("PRIVATE")));
    for (lost, made) in
        [("redis/users.acl", 2), ("proxy/node-authority.pem", 3), ("proxy/key.pem", 3), ("alerts/mail-authority.pem", 1), ("mail/key.pem", 4)]
    {
        fs::remove_file(folder.path().join(lost)).unwrap();
        assert_eq!(make().lines().count(), made, "{lost}: what belongs together is made anew together");
    }
}
