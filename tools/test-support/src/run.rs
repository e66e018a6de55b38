//! Running a program to its end.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::binary::command;

/// What a program may use up.
struct Bounds {
    time: Duration,
    /// Bytes that it prints, on each of its two outputs.
    output: u64,
}

const BOUNDS: Bounds = Bounds {
    time: Duration::from_secs(120),
    output: 16 * 1024 * 1024,
};

/// A program that used up more, and was ended.
#[derive(Debug, PartialEq)]
enum Overrun {
    Time,
    Output,
}

impl fmt::Display for Overrun {
    fn fmt(
        &self,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        f.write_str(match self {
            Self::Time => "it runs for too long",
            Self::Output => "it prints too much",
        })
    }
}

/// Runs a program until it ends, and gives what it printed and its exit status.
///
/// # Panics
///
/// Where it runs for more than two minutes, or prints more than 16 MiB; then it is ended.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    match run_within(command, BOUNDS) {
        Ok(output) => output,
        Err(error) => panic!("{error}: {command:?}"),
    }
}

fn run_within(
    command: &mut Command,
    bounds: Bounds,
) -> Result<Output, Overrun> {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{error}: {command:?}"));
    let outputs = outputs(&mut child, bounds);
    if outputs.is_err() {
        let _ = child.kill();
    }
    // Without an error both outputs are closed: it has ended, or is about to.
    let status = child.wait().unwrap();
    let (stdout, stderr) = outputs?;
    Ok(Output {
        status,
        stdout,
        stderr,
    })
}

/// What it prints on standard output and standard error, both to their end.
fn outputs(
    child: &mut Child,
    bounds: Bounds,
) -> Result<(Vec<u8>, Vec<u8>), Overrun> {
    let deadline = Instant::now() + bounds.time;
    let stdout = collect(child.stdout.take().expect("it is piped"), bounds.output);
    let stderr = collect(child.stderr.take().expect("it is piped"), bounds.output);
    let printed = |output: Receiver<Vec<u8>>| {
        let left = deadline.saturating_duration_since(Instant::now());
        let bytes = output.recv_timeout(left).map_err(|_| Overrun::Time)?;
        if bytes.len() as u64 > bounds.output {
            return Err(Overrun::Output);
        }
        Ok(bytes)
    };
    Ok((printed(stdout)?, printed(stderr)?))
}

/// Reads an output to its end, or one byte more than it may have.
fn collect(
    pipe: impl Read + Send + 'static,
    most: u64,
) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // An error ends it as its end does: the process is gone.
        let _ = pipe.take(most + 1).read_to_end(&mut bytes);
        // Nobody waits any more after an overrun.
        let _ = sender.send(bytes);
    });
    receiver
}

/// What gen-token prints for these flags, without the last line break: a token, as a rule.
///
/// # Panics
///
/// Where gen-token fails; with what it complains about.
#[track_caller]
pub fn gen_token(
    keys_dir: &Path,
    flags: &[&str],
) -> String {
    let output = run(command("gen-token").arg("--keys-dir").arg(keys_dir).args(flags));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "gen-token {flags:?}: {complaint}");
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_status_are_those_of_the_program() {
        let output = run(command("step1").arg("--nonsense"));
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        assert!(output.stderr.starts_with(b"error: "));
    }

    #[test]
    fn a_program_that_never_ends_is_ended() {
        let bounds = Bounds {
            time: Duration::ZERO,
            ..BOUNDS
        };
        let outcome = run_within(command("step1").args(["--bind", "127.0.0.1:0"]), bounds);
        assert_eq!(outcome, Err(Overrun::Time));
    }

    #[test]
    fn a_program_that_prints_too_much_is_ended() {
        let bounds = Bounds {
            output: 10,
            ..BOUNDS
        };
        let outcome = run_within(command("step1").arg("--help"), bounds);
        assert_eq!(outcome, Err(Overrun::Output));
    }
}
