//! Turns the difference between two steps into something to read: two columns in a terminal, a page for a browser, the
//! pages in `docs/steps`, the chapters of the book. `scripts/diff_step.sh` and `scripts/book.sh` call it.
//!
//! The lines come from the steps, the words between them from `docs/steps/stepN.notes.md`.

mod attacks;
mod book;
mod columns;
mod difference;
mod exercise;
mod files;
mod html;
mod items;
mod links;
mod markdown;
mod notes;
mod paint;
mod reading;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use clap::Parser;
use clap::Subcommand;

use crate::columns::Look;
use crate::reading::Material;

/// What the lesson of this workspace is made with
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where the workspace lies
    #[arg(long, global = true, default_value = ".")]
    root: PathBuf,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Old and new in two columns
    Columns {
        #[command(flatten)]
        what: What,

        /// Characters in a row of the terminal
        #[arg(long, default_value_t = 160)]
        width: usize,

        #[arg(long)]
        color: bool,
    },
    /// Old and new as one page for a browser
    Html {
        #[command(flatten)]
        what: What,

        #[arg(long)]
        output: PathBuf,
    },
    /// Writes docs/steps/stepN.md anew, for all steps
    Pages,
    /// Puts the source of the book together
    Book { output: PathBuf },
    /// Looks whether every link of a built book leads somewhere
    Links { folder: PathBuf },
}

/// Which difference.
#[derive(Args)]
struct What {
    /// step2 to step8, or whoami
    name: String,

    /// Only these files
    files: Vec<String>,

    /// With the tests
    #[arg(long)]
    tests: bool,
}

impl What {
    /// A test that is named is shown anyway.
    fn material(
        &self,
        root: &Path,
    ) -> anyhow::Result<Material> {
        Material::read(root, &self.name, self.tests || !self.files.is_empty())
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments {
        root,
        command,
    } = arguments;
    match command {
        Command::Columns {
            what,
            width,
            color,
        } => {
            let look = Look {
                width,
                color,
            };
            let text = columns::page(&what.material(&root)?, &what.files, &look)?;
            writeln!(std::io::stdout(), "{text}").context("cannot write the page")
        }
        Command::Html {
            what,
            output,
        } => {
            let page = html::page(&what.material(&root)?, &what.files)?;
            fs::write(&output, page).with_context(|| format!("cannot write {}", output.display()))
        }
        Command::Pages => markdown::write_all(&root),
        Command::Book {
            output,
        } => book::assemble(&root, &output),
        Command::Links {
            folder,
        } => links::check(&folder),
    }
}
