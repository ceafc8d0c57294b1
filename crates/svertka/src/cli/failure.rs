//! What ends a verb early, and the exit status it means.

use std::error::Error;
use std::fmt::Display;
use std::process::ExitCode;

/// Why a verb ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It could not be done: status 1.
    Failed(String),
    /// What was asked for does not exist, such as an option, a key or a network: status 2.
    Usage(String),
    /// Nobody reads standard output any longer, as when it is piped into `head`: status 0, without a word.
    Closed,
}

impl Failure {
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// The same failure, told to have happened at `place`.
    pub(crate) fn at(self, place: impl Display) -> Self {
        match self {
            Self::Failed(message) => Self::Failed(format!("{place}: {message}")),
            Self::Usage(message) => Self::Usage(format!("{place}: {message}")),
            Self::Closed => Self::Closed,
        }
    }

    /// Says what happened, if there is something to say.
    pub(crate) fn report(&self) {
        if let Self::Failed(message) | Self::Usage(message) = self {
            super::console::note(&format!("error: {}", one_line(message)));
        }
    }

    pub(crate) fn status(&self) -> ExitCode {
        match self {
            Self::Failed(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
            Self::Closed => ExitCode::SUCCESS,
        }
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(chain(&error))
    }
}

/// A message that lists things below itself, with the things behind it.
fn one_line(message: &str) -> String {
    let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let (first, rest) = (lines.next().unwrap_or_default(), lines.collect::<Vec<_>>().join("; "));
    if rest.is_empty() { first.into() } else { format!("{first} {rest}") }
}

/// An error with its causes; causes that a message already tells are not repeated.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Layered {
        #[error("cannot read the log")]
        Above(#[source] std::io::Error),
        #[error("log: {0}")]
        Told(#[source] std::io::Error),
    }

    #[test]
    fn causes_follow_once() {
        let cause = || std::io::Error::other("disk on fire");
        let message = |error: Layered| match Failure::from(error) {
            Failure::Failed(message) => message,
            other => panic!("{other:?}"),
        };
        assert_eq!(message(Layered::Above(cause())), "cannot read the log: disk on fire");
        assert_eq!(message(Layered::Told(cause())), "log: disk on fire");
    }

    #[test]
    fn lists_follow_on_the_same_line() {
        assert_eq!(
            one_line("2 files are broken:\n  a.png: empty\n  b.png: empty\n"),
            "2 files are broken: a.png: empty; b.png: empty"
        );
        assert_eq!(one_line("one line"), "one line");
    }

    #[test]
    fn a_place_stands_in_front() {
        let Failure::Usage(message) = Failure::usage("no such key").at("config.toml") else { panic!() };
        assert_eq!(message, "config.toml: no such key");
    }
}
