//! What the process is given: the log level, the instruction set, algorithms, threads, and what becomes of a panic.

use std::any::Any;
use std::env::{self, VarError};
use std::panic::{self, PanicHookInfo};
use std::sync::{Mutex, PoisonError};

use svertka_engine::cpu::Workspace;
use svertka_engine::{EngineError, Machine};
use svertka_graph::Graph;
use tracing_subscriber::EnvFilter;

use super::console::Notes;
use super::failure::Failure;
use super::memory;

/// Sends the log to standard error: warnings, or what `SVERTKA_LOG` asks for.
pub(crate) fn start_log() -> Result<(), Failure> {
    let text = variable("SVERTKA_LOG")?.unwrap_or_else(|| "warn".into());
    let filter = EnvFilter::try_new(&text)
        .map_err(|error| Failure::usage(format!("SVERTKA_LOG={text}: {error}; an example: info")))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).without_time().with_target(false);
    log.with_ansi(false).with_writer(|| Notes).init();
    Ok(())
}

/// A machine of so many threads (0: one per core) and the best instruction set, or that of `SVERTKA_ISA`; `SVERTKA_CONV`
/// says which algorithms convolutions use.
pub(crate) fn machine(threads: usize) -> Result<Machine, Failure> {
    let mut machine = Machine::new(threads);
    if let Some(name) = variable("SVERTKA_ISA")? {
        machine.isa = name.parse().map_err(|error| Failure::usage(format!("SVERTKA_ISA: {error}")))?;
    }
    if let Some(name) = variable("SVERTKA_CONV")? {
        machine.convolutions =
            name.parse().map_err(|error| Failure::usage(format!("SVERTKA_CONV: {error}")))?;
    }
    Ok(machine)
}

/// A workspace on that machine, for programs that fit into the memory that is free.
pub(crate) fn workspace(threads: usize) -> Result<Workspace, Failure> {
    Ok(Workspace::new(machine(threads)?).with_memory_limit(memory::available()))
}

/// Refuses a network whose parameters, once as they are drawn or read and once in a state, do not fit into the memory that is
/// free: before any of them is made.
pub(crate) fn check_parameters(graph: &Graph) -> Result<(), Failure> {
    let Some(available) = memory::available() else { return Ok(()) };
    let elements = graph.parameters().filter_map(|(_, value, _)| value.ty.shape.elements());
    let bytes = 2 * size_of::<f32>() as u128 * elements.map(|count| count as u128).sum::<u128>();
    if bytes <= u128::from(available) {
        return Ok(());
    }
    Err(EngineError::MemoryLimit { bytes, available }.into())
}

fn variable(name: &str) -> Result<Option<String>, Failure> {
    match env::var(name) {
        Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Failure::usage(format!("{name} is not valid UTF-8"))),
    }
}

/// Where and why the last panic happened. It is told only if it ends the process: a decoder's panic is caught and
/// becomes the error of one picture.
static LAST_PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Runs `body`; a panic in it becomes a failure that asks for a report.
pub(crate) fn guarded(body: impl FnOnce() -> Result<(), Failure> + panic::UnwindSafe) -> Result<(), Failure> {
    // Whoever asks for a backtrace gets the usual message too.
    let usual = env::var_os("RUST_BACKTRACE").map(|_| panic::take_hook());
    panic::set_hook(Box::new(move |info| {
        *LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = Some(describe(info));
        if let Some(hook) = &usual {
            hook(info);
        }
    }));
    panic::catch_unwind(body).unwrap_or_else(|_| {
        let last = LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner).take();
        let last = last.unwrap_or_else(|| "unknown place".into());
        let version = env!("CARGO_PKG_VERSION");
        Err(Failure::failed(format!("internal error, please report it: svertka {version}, {last}")))
    })
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map(|place| format!("{}:{}: ", place.file(), place.line()));
    let message = message(info.payload()).lines().next().unwrap_or_default();
    format!("{}{message}", place.unwrap_or_default())
}

fn message(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_one_line_that_asks_for_a_report() {
        let failure = guarded(|| panic!("first line\nsecond line")).unwrap_err();
        let Failure::Failed(message) = failure else { panic!("{failure:?}") };
        assert!(message.starts_with("internal error, please report it: svertka "), "{message}");
        assert!(message.ends_with("first line"), "{message}");
    }
}
