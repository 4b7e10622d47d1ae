//! `landbridge notify`: tells receivers a sample, and says what came back.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use crate::app::{SystemClock, receivers};
use crate::config::load;
use crate::config::types::Config;
use crate::domain::clock::Clock;
use crate::domain::notice::{TEST, sample};
use crate::domain::outbox::Answer;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// One receiver; else all of them
    receiver: Option<String>,
}

/// Exit code 0 when each of them took it, 1 when one did not, 2 when none could be asked.
pub(super) fn notify(arguments: &Arguments) -> ExitCode {
    let config = match load(&arguments.config, std::env::vars()) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(tell(&config, arguments.receiver.as_deref())))
    {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

async fn tell(config: &Config, wanted: Option<&str>) -> Result<bool, String> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let receivers = receivers::open(config, &clock).await.map_err(|fault| fault.chain())?;
    let known: Vec<_> = receivers.keys().map(|name| &**name).collect();
    if known.is_empty() {
        return Err("the configuration names no receiver: docs/notify.md says how".to_owned());
    }
    if let Some(wanted) = wanted.filter(|wanted| !known.contains(wanted)) {
        return Err(format!("there is no receiver \"{wanted}\"; there are: {}", known.join(", ")));
    }
    let mut all = true;
    for (name, receiver) in &receivers {
        if wanted.is_some_and(|wanted| wanted != &**name) {
            continue;
        }
        let answer = receiver.tell(&sample(name, clock.now())).await;
        all &= answer == Answer::Taken;
        println!("{name}: {}", words(answer));
    }
    Ok(all)
}

fn words(answer: Answer) -> String {
    match answer {
        Answer::Taken => format!("took it (an event of the type {TEST})"),
        Answer::Unavailable { problem, wait } => {
            let wait = wait.map(|wait| format!(", and asked for a wait of {} s", wait.as_secs()));
            format!("cannot take it now: {problem}{}", wait.unwrap_or_default())
        }
        Answer::Failed { problem } => format!("failed: {problem}"),
        Answer::Refused { problem } => {
            format!("refused it: {problem}. Does it know the address and one of the keys?")
        }
    }
}
