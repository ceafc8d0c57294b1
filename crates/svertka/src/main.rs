//! The command `svertka`.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
