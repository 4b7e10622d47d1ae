//! `[cost]`: what things cost, and what a month may.

use std::path::Path;

use super::ConfigError;
use super::load::Settings;
use super::types::Cost;
use crate::domain::cost::Prices;
use crate::domain::cost::budget::OnBudget;

/// The prices that landbridge comes with.
const BUILT_IN: &str = include_str!("../../config/prices.toml");

/// The prices of the file; without one, those that landbridge comes with. The error names the file and says what is wrong with it.
pub fn prices(path: Option<&Path>) -> Result<Prices, String> {
    let (name, text) = match path {
        None => ("config/prices.toml".to_owned(), BUILT_IN.to_owned()),
        Some(path) => {
            let name = path.display().to_string();
            let text =
                std::fs::read_to_string(path).map_err(|error| format!("cannot read {name}: {error}"))?;
            (name, text)
        }
    };
    toml::from_str(&text).map_err(|error| format!("{name}: {error}"))
}

/// `None` when a value was wrong; that error is told.
pub(super) fn read(settings: &Settings<'_>, errors: &mut Vec<ConfigError>) -> Option<Cost> {
    let on_budget = match settings.text("cost", "on_budget")? {
        "slow_down" => OnBudget::SlowDown,
        _ => OnBudget::Warn,
    };
    let budget_usd_month = settings.number("cost", "budget_usd_month").map(|dollars| dollars as f64);
    match prices(settings.path("cost", "prices").as_deref()) {
        Ok(prices) => Some(Cost { budget_usd_month, on_budget, prices }),
        Err(problem) => {
            errors.push(ConfigError {
                place: settings.place("cost", "prices"),
                key: "cost.prices".to_owned(),
                problem,
                expected:
                    "expected a file with all that config/prices.toml has: copy it, and change the numbers"
                        .to_owned(),
                nearest: None,
            });
            None
        }
    }
}
