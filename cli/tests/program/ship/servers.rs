//! Real servers, which end with the test that started them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server that ends when this is dropped.
pub struct Server {
    child: Child,
    pub port: u16,
    /// Of the parts of SeaweedFS: master, volume, and the file system behind S3.
    weed_ports: [u16; 3],
    pub directory: TempDir,
}

impl Drop for Server {
    /// In order, so that it leaves no shared memory behind.
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // It may have been killed by the test.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let begin = Instant::now();
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if begin.elapsed() > Duration::from_secs(10) {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A port that nobody has, nor the one 10000 above it, which servers of SeaweedFS take too. Below those
/// that the system gives to connections, so that no other test gets it meanwhile.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 12_000 + (std::process::id() as u16).wrapping_add(next).wrapping_mul(7) % 10_000;
        if is_free(port) && is_free(port + 10_000) {
            return port;
        }
    }
}

/// Waits until something listens.
fn wait_for_port(port: u16, child: &mut Child) {
    let begin = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(child.try_wait().unwrap().is_none(), "the server ended");
        assert!(begin.elapsed() < Duration::from_secs(60), "the server never listened");
        std::thread::sleep(Duration::from_millis(20));
    }
}

// ===== PostgreSQL =====

/// A program of PostgreSQL. Debian keeps some of them out of the path.
pub fn postgres_program(name: &str) -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<PathBuf> =
        versions.map(|version| version.unwrap().path().join("bin").join(name)).collect();
    found.push(PathBuf::from("/usr/bin").join(name));
    found.into_iter().find(|path| path.exists())
}

/// Who runs a server that refuses to be run by root.
fn user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    ids("postgres").or_else(|| ids("nobody"))
}

fn as_user(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = user() {
        command.uid(uid).gid(gid);
    }
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A new cluster with a user and a database `cdr`; `None` if PostgreSQL is not installed.
pub fn postgres(encoding: &str) -> Option<Server> {
    let (initdb, createdb) = (postgres_program("initdb")?, postgres_program("createdb")?);
    let directory = tempfile::Builder::new().prefix("cdrlog-postgres").tempdir_in("/tmp").unwrap();
    if let Some((uid, gid)) = user() {
        chown(directory.path(), Some(uid), Some(gid)).unwrap();
    }
    let data = directory.path().join("data");
    let made = as_user(&initdb)
        .args(["--auth=trust", "--username=cdr", "--no-sync", "--locale=C", "--encoding", encoding])
        .arg(&data)
        .status();
    assert!(made.unwrap().success(), "initdb failed");
    let port = free_port();
    let mut child = spawn_postgres(&data, port);
    assert!(is_ready(&mut child, port), "the server ended");
    let server = Server { child, port, weed_ports: [0; 3], directory };
    let port = port.to_string();
    let created =
        as_user(&createdb).args(["-h", "127.0.0.1", "-U", "cdr", "-p", &port, "cdr"]).status();
    assert!(created.unwrap().success(), "createdb failed");
    Some(server)
}

fn spawn_postgres(data: &Path, port: u16) -> Child {
    let program = postgres_program("postgres").expect("initdb is there, and postgres is not");
    as_user(&program)
        .arg("-D")
        .arg(data)
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
        .args(["-c", "unix_socket_directories=", "-c", "max_connections=20"])
        // In its own directory: what is in /dev/shm outlives a kill.
        .args(["-c", "dynamic_shared_memory_type=mmap"])
        .spawn()
        .unwrap()
}

/// Waits until it takes connections. False if it ended.
fn is_ready(child: &mut Child, port: u16) -> bool {
    let ready = postgres_program("pg_isready").expect("pg_isready is missing");
    let port = port.to_string();
    let begin = Instant::now();
    loop {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        let asked = as_user(&ready).args(["-q", "-h", "127.0.0.1", "-p", &port]).status();
        if asked.unwrap().success() {
            return true;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "the server is never ready");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Server {
    /// Kills it, and starts it again.
    pub fn kill_and_restart_postgres(&mut self) {
        let data = self.directory.path().join("data");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let begin = Instant::now();
        loop {
            // It refuses to start until the processes of the killed one have noticed.
            let mut child = spawn_postgres(&data, self.port);
            if is_ready(&mut child, self.port) {
                self.child = child;
                return;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "it never starts again");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Makes a standby of it, which has no primary.
    pub fn become_standby(&mut self) {
        fs::write(self.directory.path().join("data/standby.signal"), "").unwrap();
        self.kill_and_restart_postgres();
    }

    /// From now on it asks for passwords; that of the user `cdr` is this one.
    pub fn ask_for_passwords(&self, password: &str) {
        self.query(&format!("ALTER ROLE cdr PASSWORD '{password}'"));
        let hba = self.directory.path().join("data/pg_hba.conf");
        fs::write(hba, "host all all 127.0.0.1/32 scram-sha-256\n").unwrap();
        self.query("SELECT pg_reload_conf()");
    }

    pub fn database(&self) -> String {
        format!("postgres://cdr@127.0.0.1:{}/cdr?sslmode=disable", self.port)
    }

    /// What a query gives, a line for each row.
    pub fn query(&self, sql: &str) -> String {
        let psql = postgres_program("psql").expect("psql is missing");
        let port = self.port.to_string();
        let output = Command::new(psql)
            .args(["-h", "127.0.0.1", "-U", "cdr", "-p", &port, "-d", "cdr", "-AtX"])
            .args(["-v", "ON_ERROR_STOP=1", "-c", sql])
            .output()
            .unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn program(name: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|path| path.join(name)).find(|it| it.exists())
}

// ===== NATS =====

/// A nats-server that syncs every message, with more lines for its configuration; `None` if there is
/// no program `nats-server`.
pub fn nats(configuration: &str) -> Option<Server> {
    program("nats-server")?;
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let store = directory.path().join("store");
    let text = format!(
        "listen: \"127.0.0.1:{port}\"\n\
         jetstream {{ store_dir: {store:?}, sync_interval: always }}\n{configuration}\n"
    );
    fs::write(directory.path().join("nats.conf"), text).unwrap();
    let mut child = spawn_nats(directory.path());
    wait_for_port(port, &mut child);
    Some(Server { child, port, weed_ports: [0; 3], directory })
}

fn spawn_nats(directory: &Path) -> Child {
    let mut command = Command::new(program("nats-server").expect("it was there"));
    command.arg("-c").arg(directory.join("nats.conf"));
    command.arg("-l").arg(directory.join("log"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

impl Server {
    /// Kills it, and starts it again.
    pub fn kill_and_restart_nats(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn_nats(self.directory.path());
        wait_for_port(self.port, &mut self.child);
    }
}

// ===== S3 =====

/// The keys that the server knows.
pub const S3_KEY: &str = "cdrkey";
pub const S3_SECRET: &str = "cdrsecretcdrsecret";

/// A SeaweedFS with a bucket `cdr`; `None` if there is no program `weed`.
pub fn s3() -> Option<Server> {
    program("weed")?;
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("s3.json");
    let text = format!(
        r#"{{"identities":[{{"name":"cdr","credentials":[{{"accessKey":"{S3_KEY}","secretKey":"{S3_SECRET}"}}],"actions":["Read","List","Tagging","Write"]}}]}}"#
    );
    fs::write(&config, text).unwrap();
    let (port, weed_ports) = (free_port(), [0; 3].map(|_| free_port()));
    let child = spawn_weed(directory.path(), port, weed_ports);
    Some(Server { child, port, weed_ports, directory })
}

fn spawn_weed(directory: &Path, port: u16, ports: [u16; 3]) -> Child {
    let mut command = Command::new(program("weed").expect("it was there"));
    command.arg(format!("-logdir={}", directory.display()));
    command.args(["server", "-ip=127.0.0.1", "-s3", "-filer", "-volume.max=20"]);
    command.args(["-master.volumeSizeLimitMB=64"]);
    command.arg(format!("-dir={}", directory.display()));
    command.arg(format!("-s3.config={}", directory.join("s3.json").display()));
    command.arg(format!("-s3.port={port}"));
    for (name, port) in ["master", "volume", "filer"].iter().zip(ports) {
        command.arg(format!("-{name}.port={port}"));
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    wait_for_port(ports[2], &mut child);
    wait_for_port(port, &mut child);
    assert!(child.try_wait().unwrap().is_none(), "the server ended");
    child
}

impl Server {
    /// The answer of the file system behind S3.
    fn ask(&self, request: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.weed_ports[2])).unwrap();
        let request =
            format!("{request} HTTP/1.0\r\nHost: filer\r\nAccept: application/json\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|it| it == b"\r\n\r\n").expect("no head") + 4;
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        assert!(head.starts_with("HTTP/1.0 2"), "{request}: {head}");
        answer.split_off(end)
    }

    /// Kills it, and starts it again.
    pub fn kill_and_restart_s3(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn_weed(self.directory.path(), self.port, self.weed_ports);
    }

    /// Makes a bucket. The first one takes until the parts of the server know each other.
    pub fn make_bucket(&self, name: &str) {
        self.ask(&format!("POST /buckets/{name}/"));
    }

    /// Copies what is below a place into a directory.
    pub fn copy_objects(&self, place: &str, to: &Path) {
        let listing = self.ask(&format!("GET /buckets/{place}/?limit=100000"));
        let listing: serde_json::Value = serde_json::from_slice(&listing).unwrap();
        for entry in listing["Entries"].as_array().into_iter().flatten() {
            let path = entry["FullPath"].as_str().unwrap();
            let name = path.rsplit('/').next().unwrap();
            let is_directory = entry["Mode"].as_u64().unwrap() & (1 << 31) != 0;
            if is_directory {
                fs::create_dir(to.join(name)).unwrap();
                self.copy_objects(&format!("{place}/{name}"), &to.join(name));
            } else {
                fs::write(to.join(name), self.ask(&format!("GET {path}"))).unwrap();
            }
        }
    }
}
