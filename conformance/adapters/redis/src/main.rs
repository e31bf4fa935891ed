//! Redis lists as an adapter, over TCP: a broker from Debian's packages (`redis-server`), which
//! this starts itself on a loopback port.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};

use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Endpoint, Failure, Place, Role, ends, eventually,
};
use ipc_conformance::calls::{Receives, Sends};
use ipc_model::{Capacity, Modes, Notice, Profile};
use redis::{Client, Connection, RedisError};

struct Redis;

/// A broker of its own, ended when it is dropped.
struct Broker {
    server: Child,
    log: PathBuf,
    url: String,
}

/// A connection, and the list that is the mailbox.
struct End(Connection, String);

/// The shortest and the longest time that `BLPOP` is given, in seconds: it counts milliseconds, and
/// a year is longer than any run.
const SHORTEST: f64 = 0.001;
const LONGEST: f64 = 365.0 * 24.0 * 3600.0;

/// The list; each link has a broker of its own.
const LIST: &str = "messages";

impl Adapter for Redis {
    fn name(&self) -> String {
        "redis".into()
    }

    fn version(&self) -> String {
        let output = Command::new("redis-server").arg("--version").output();
        let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
        let version = text.unwrap_or_default();
        let number = version.split_whitespace().find_map(|word| word.strip_prefix("v="));
        number.unwrap_or("unknown").into()
    }

    fn claims(&self) -> Vec<Claim> {
        let profile = Profile {
            send: Modes { blocking: true, nonblocking: false, timed: false },
            receive: Modes { blocking: true, nonblocking: true, timed: true },
            sender_closed: Notice::Silent,
            receiver_closed: Notice::Silent,
            sender_killed: Some(Notice::Silent),
            receiver_killed: Some(Notice::Silent),
            ..Profile::mailbox(Capacity::Unbounded)
        };
        vec![
            Claim::between_processes("list", profile)
                .documented(
                    "RPUSH, LPOP: appends at the tail, removes the first element of the list",
                )
                .documented("LPOP: nil if there is no such list")
                .documented("BLPOP: blocks for a timeout in seconds, 0 for ever")
                .documented("BLPOP: who has waited longest is served first; an element goes to one")
                .documented("Lists: up to 2^32 - 1 elements, whoever is connected"),
        ]
    }

    fn create(&self, _: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        // The port is free now; the broker says so if somebody else takes it first.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
        let port = port.map_err(Failure::other)?.port().to_string();
        let log = place.folder.join(format!("{}.log", place.name));
        let output = File::create(&log).map_err(Failure::other)?;
        let server = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"])
            .current_dir(&place.folder)
            .stdin(Stdio::null())
            .stdout(output)
            .spawn()
            .map_err(|e| Failure::Other(format!("redis-server: {e} (Debian: redis-server)")))?;
        let broker = Broker { server, log, url: format!("redis://127.0.0.1:{port}/") };
        eventually(|| End::connect(&broker.url))?;
        Ok(Box::new(broker))
    }

    fn connect(
        &self,
        _: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        let end = || End::connect(&address.text).map_err(Failure::other);
        ends(role, || end().map(sender), || end().map(receiver))
    }
}

impl Created for Broker {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        Redis.connect("", &self.address(role)?, role)
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Ok(Address::named(&self.url))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Where they fail, it has ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = std::fs::remove_file(&self.log);
    }
}

impl End {
    fn connect(url: &str) -> Result<Self, RedisError> {
        Ok(Self(Client::open(url)?.get_connection()?, LIST.into()))
    }

    /// `BLPOP`, whose answer is nil or the list's name and the element.
    fn pop(&mut self, seconds: f64) -> Result<Option<Vec<u8>>, Failure> {
        let popped = redis::cmd("BLPOP").arg(&self.1).arg(seconds).query(&mut self.0);
        let popped: Option<(String, Vec<u8>)> = popped.map_err(failure)?;
        Ok(popped.map(|(_, bytes)| bytes))
    }
}

/// What an error means: a broker that is gone is a link that is closed.
fn failure(error: RedisError) -> Failure {
    if error.is_connection_dropped() { Failure::Closed } else { Failure::other(error) }
}

fn sender(end: End) -> Sends<End> {
    Sends::through(end).blocking(|End(connection, list), bytes| {
        redis::cmd("RPUSH").arg(&*list).arg(bytes).exec(connection).map_err(failure)
    })
}

fn receiver(end: End) -> Receives<End> {
    Receives::through(end)
        .blocking(|end| end.pop(0.0)?.ok_or(Failure::Other("BLPOP 0 gave up".into())))
        .nonblocking(|End(connection, list)| {
            let popped: Option<Vec<u8>> =
                redis::cmd("LPOP").arg(&*list).query(connection).map_err(failure)?;
            popped.ok_or(Failure::Empty)
        })
        .timed(|end, timeout| {
            // No time at all would be for ever, and so much is no number that the broker takes.
            let seconds = timeout.as_secs_f64().clamp(SHORTEST, LONGEST);
            end.pop(seconds)?.ok_or(Failure::Timeout)
        })
}

fn main() -> ExitCode {
    ipc_conformance::main(&Redis)
}
