//! The address of a database, and its password.

use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::ship::destination::Failure;

/// How long a connection may take, and how soon a dead one is noticed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const KEEPALIVE: Duration = Duration::from_secs(15);
const DEAD_AFTER: Duration = Duration::from_secs(45);

/// A database, as given with `--to`, without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Database(String);

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Database {
    pub(in crate::ship) fn parse(text: &str) -> Result<Self, String> {
        // The message of the parser may quote a password.
        let config = Config::from_str(text).map_err(|_| {
            "it is not the address of a database, such as postgres://user@host/database; \
             of options, it takes those of the client, such as sslmode=require"
        })?;
        if config.get_password().is_some() {
            return Err(
                "everybody can read a password in the list of processes: leave it out, and \
                        set PGPASSWORD, or PGPASSFILE to a file of passwords"
                    .to_owned(),
            );
        }
        Ok(Self(text.to_owned()))
    }

    /// How to connect.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        let parsed = Config::from_str(&self.0);
        let mut config = parsed.map_err(|error| Failure(error.to_string()))?;
        config
            .application_name("cdrlog")
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE)
            .keepalives_retries(2)
            .tcp_user_timeout(DEAD_AFTER);
        if let Some(password) = password(&config)? {
            config.password(password);
        }
        Ok(config)
    }
}

/// The password from the environment or from a file of passwords, as for PostgreSQL's own tools.
fn password(config: &Config) -> Result<Option<String>, Failure> {
    if let Some(password) = std::env::var("PGPASSWORD").ok().filter(|it| !it.is_empty()) {
        return Ok(Some(password));
    }
    let Some(path) = std::env::var_os("PGPASSFILE").filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    let path = Path::new(&path);
    let text = fs::read_to_string(path)
        .map_err(|error| Failure(format!("cannot read {}: {error}", path.display())))?;
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        _ => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let user = config.get_user().unwrap_or_default();
    let database = config.get_dbname().unwrap_or(user);
    Ok(text.lines().find_map(|line| password_of_line(line, [&host, &port, database, user])))
}

/// The password of a line `host:port:database:user:password`, in which `*` matches everything.
fn password_of_line(line: &str, wanted: [&str; 4]) -> Option<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => fields.last_mut()?.extend(chars.next()),
            ':' if fields.len() < 5 => fields.push(String::new()),
            char => fields.last_mut()?.push(char),
        }
    }
    let is_this = |(field, wanted): (&String, &&str)| field == "*" || field == wanted;
    let fits = fields.len() == 5 && fields.iter().zip(&wanted).all(is_this);
    fits.then(|| fields.pop()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        let fault = Database::parse("postgres://cdr:hunter2@db/cdr").unwrap_err();
        assert!(fault.contains("PGPASSWORD") && !fault.contains("hunter2"), "{fault}");
        let fault = Database::parse("postgres://cdr:hunter2@db/cdr?x=1").unwrap_err();
        assert!(fault.contains("postgres://user@host/database") && !fault.contains("hunter2"));
        let text = "postgres://cdr@db.example.org/cdr?sslmode=require";
        assert_eq!(Database::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn a_file_of_passwords_is_read_as_by_the_other_tools() {
        let wanted = ["db", "5432", "cdr", "me"];
        let of = |line| password_of_line(line, wanted);
        assert_eq!(of("db:5432:cdr:me:a:b").as_deref(), Some("a:b"));
        assert_eq!(of(r"*:*:*:me:a\:\\b").as_deref(), Some(r"a:\b"));
        for other in ["db:5433:cdr:me:x", "# comment", "", "db:5432:cdr:you:x", "db:5432:cdr:me"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
