//! `byway`: parses the command line, runs the command, prints the one line that says what went wrong.

use std::process::ExitCode;

fn main() -> ExitCode {
    byway::cli::main()
}
