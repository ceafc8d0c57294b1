//! One short file per verb, and the table of them.

mod bench;
mod data_check;
mod data_show;
mod eval;
mod file_facts;
mod model_compare;
mod model_draw;
mod model_list;
mod model_show;
mod predict;
mod repeat;
mod train;

use clap::{ArgMatches, Args, Command};

use super::failure::Failure;

/// Something that the command can do.
pub(crate) struct Verb {
    /// The words that ask for it.
    pub(crate) path: &'static [&'static str],
    /// Its arguments, as usage and README tell them.
    pub(crate) usage: &'static str,
    arguments: fn(Command) -> Command,
    pub(crate) run: fn(&ArgMatches) -> Result<(), Failure>,
}

/// The arguments of a verb. Its documentation is the verb's manual.
pub(crate) trait Run: Args {
    fn run(self) -> Result<(), Failure>;
}

/// Verbs of two words begin with one of these.
pub(crate) static GROUPS: &[(&str, &str)] = &[
    ("model", "Lists networks, shows their layers, draws them, compares what they compute"),
    ("data", "Checks data sets, shows their samples"),
];

/// Every verb there is.
pub(crate) static VERBS: &[Verb] = &[
    verb::<train::Train>(
        &["train"],
        "[DATA] [--model MODEL] [--preprocess LIST] [--out DIR] [--config FILE] [--resume RUN] [--threads N] [--json] [key=value ...]",
    ),
    verb::<eval::Eval>(&["eval"], "MODEL [DATA] [--part PART] [--json]"),
    verb::<predict::Predict>(&["predict"], "MODEL FILE... [--top N] [--json]"),
    verb::<repeat::Repeat>(&["repeat"], "RUN [--steps N] [--json]"),
    verb::<bench::Bench>(
        &["bench"],
        "MODEL [--train] [--batch N] [--size PX] [--plan] [--json] [--interactive] [--threads N]",
    ),
    verb::<model_list::ModelList>(&["model", "list"], "[--json]"),
    verb::<model_show::ModelShow>(
        &["model", "show"],
        "MODEL [--train] [--plan] [--batch N] [--size PX] [--json]",
    ),
    verb::<model_draw::ModelDraw>(&["model", "draw"], "MODEL -o FILE.svg [--size PX] [--nodes]"),
    verb::<model_compare::ModelCompare>(
        &["model", "compare"],
        "A B [--on FILE] [--tolerance T] [--batch N] [--verbose] [--json]",
    ),
    verb::<data_check::DataCheck>(&["data", "check"], "[DATA] [--json]"),
    verb::<data_show::DataShow>(&["data", "show"], "[DATA] -o FILE.svg [--samples N] [--seed N]"),
];

const fn verb<V: Run>(path: &'static [&'static str], usage: &'static str) -> Verb {
    Verb { path, usage, arguments: V::augment_args, run: |matches| V::from_arg_matches(matches)?.run() }
}

impl Verb {
    /// The whole line to type: `svertka data check [DATA] [--json]`.
    pub(crate) fn line(&self) -> String {
        format!("svertka {} {}", self.path.join(" "), self.usage)
    }

    /// The parser of its arguments, under this name.
    pub(crate) fn parser(&self, name: &'static str) -> Command {
        (self.arguments)(Command::new(name)).override_usage(self.line())
    }
}
