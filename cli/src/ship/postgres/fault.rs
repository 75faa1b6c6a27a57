//! Why a database did not do what it was asked, as one sentence with the way out.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::ship::certificate;
use crate::ship::destination::Failure;

/// Why something did not work.
pub(super) enum Fault {
    Sql(Error),
    Other(String),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Sql(error)
    }
}

impl Fault {
    pub(super) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Sql(error) => error.code(),
            Self::Other(_) => None,
        }
    }

    /// The server refused a value: another form of it may do.
    pub(super) fn is_of_value(&self) -> bool {
        self.code()
            .is_some_and(|code| code.code().starts_with("22") || code.code().starts_with("54"))
    }

    pub(super) fn sentence(&self) -> String {
        let text = match self {
            Self::Sql(error) => match error.as_db_error() {
                Some(told) => told.message().to_owned(),
                None => {
                    let cause = std::error::Error::source(error);
                    let way_out = cause.and_then(certificate::way_out).map(|way_out| {
                        let else_plain = "or, on a network that you trust, add ?sslmode=disable to \
                                          the address";
                        format!("; {way_out}; {else_plain}")
                    });
                    let way_out = way_out.unwrap_or_default();
                    let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
                    format!("{error}{cause}{way_out}")
                }
            },
            Self::Other(text) => text.clone(),
        };
        match self.way_out() {
            Some(way_out) => format!("{text}; {way_out}"),
            None => text,
        }
    }

    pub(super) fn way_out(&self) -> Option<&'static str> {
        const PASSWORD: &str = "set PGPASSWORD or PGPASSFILE, or look at pg_hba.conf";
        if self.lacks_password() {
            return Some(PASSWORD);
        }
        let code = self.code()?;
        Some(match code.code() {
            "28P01" | "28000" => PASSWORD,
            "3D000" => "create the database, and then its tables with `cdrlog ship --init`",
            "42P01" | "42703" | "42883" => "make the tables with `cdrlog ship --init`",
            "42501" => "grant the user SELECT, INSERT and UPDATE on the tables cdr_*",
            _ => return None,
        })
    }

    /// The server asks for a password, and none is set. The client has no code for that.
    fn lacks_password(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        std::error::Error::source(error).is_some_and(|it| it.to_string() == "password missing")
    }

    /// Trying again does not help before somebody did something.
    pub(super) fn is_of_setup(&self) -> bool {
        self.way_out().is_some()
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self(fault.sentence())
    }
}
