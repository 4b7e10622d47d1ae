//! What it costs, as the API and the page tell it.

use serde::Serialize;

use crate::domain::cost::report::Report;
use crate::domain::cost::{Charge, Item, total};

/// The answer of `GET /api/v1/cost`. Dollars are US dollars.
#[derive(Clone, Debug, Serialize)]
pub struct CostView {
    /// When it was made out: at most five minutes ago, while landbridge runs.
    pub at: String,
    /// The date of the prices.
    pub prices_of: String,
    /// Today, in UTC.
    pub today_usd: f64,
    /// The month so far.
    pub month_usd: f64,
    /// The whole month, if it goes on so; none until an hour was counted.
    pub projected_usd: Option<f64>,
    /// Days by which it is projected.
    pub projected_by_days: f64,
    /// What the month may cost, where somebody has said so.
    pub budget_usd: Option<f64>,
    /// What for.
    pub items: Vec<ItemView>,
    /// What tables cost in the month so far, beyond what is there anyway; the dearest first.
    pub tables: Vec<TableCostView>,
}

/// One line of the bill.
#[derive(Clone, Debug, Serialize)]
pub struct ItemView {
    /// Its name.
    pub item: &'static str,
    /// What it is.
    pub what: &'static str,
    /// Of what there is an amount.
    pub unit: &'static str,
    /// How much of it in the month so far.
    pub month: f64,
    /// Today.
    pub today_usd: f64,
    /// The month so far.
    pub month_usd: f64,
    /// The whole month.
    pub projected_usd: Option<f64>,
}

/// What a table costs.
#[derive(Clone, Debug, Serialize)]
pub struct TableCostView {
    /// `cluster/schema.table`.
    pub table: String,
    /// Files that were opened.
    pub files: u64,
    /// Bytes that came from S3.
    pub bytes_in: u64,
    /// Bytes that went to Google.
    pub bytes_out: u64,
    /// The month so far.
    pub month_usd: f64,
}

/// To a hundredth of a cent.
fn rounded(dollars: f64) -> f64 {
    (dollars * 1e4).round() / 1e4
}

impl CostView {
    /// What a report says.
    pub fn of(report: &Report) -> Self {
        let dollars = |charges: &[Charge], item: Item| {
            charges.iter().find(|charge| charge.item == item).map_or(0.0, |charge| rounded(charge.dollars))
        };
        let items = report.month.iter().map(|charge| {
            let (what, unit) = charge.item.described();
            ItemView {
                item: charge.item.name(),
                what,
                unit,
                month: charge.amount,
                today_usd: dollars(&report.today, charge.item),
                month_usd: rounded(charge.dollars),
                projected_usd: report.projected.as_deref().map(|charges| dollars(charges, charge.item)),
            }
        });
        let tables = report.tables.iter().map(|table| TableCostView {
            table: table.table.to_string(),
            files: table.files,
            bytes_in: table.bytes_in,
            bytes_out: table.bytes_out,
            month_usd: rounded(table.dollars),
        });
        Self {
            at: report.at.rfc3339(),
            prices_of: report.prices.clone(),
            today_usd: rounded(total(&report.today)),
            month_usd: rounded(total(&report.month)),
            projected_usd: report.projected_dollars().map(rounded),
            projected_by_days: (report.projected_by_days * 100.0).round() / 100.0,
            budget_usd: report.budget,
            items: items.collect(),
            tables: tables.collect(),
        }
    }
}

/// What the page says of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CostLine {
    /// The month so far, in US dollars.
    pub month_usd: f64,
    /// The whole month.
    pub projected_usd: Option<f64>,
    /// What it may cost.
    pub budget_usd: Option<f64>,
}

impl CostLine {
    /// What a report says.
    pub fn of(report: &Report) -> Self {
        Self {
            month_usd: total(&report.month),
            projected_usd: report.projected_dollars(),
            budget_usd: report.budget,
        }
    }

    /// True when the month is going to cost more than it may.
    pub fn is_over(&self) -> bool {
        self.projected_usd.zip(self.budget_usd).is_some_and(|(projected, budget)| projected > budget)
    }

    /// In words.
    pub fn text(&self) -> String {
        let mut text = format!("this month {:.2} dollars so far", self.month_usd);
        if let Some(projected) = self.projected_usd {
            text.push_str(&format!(", {projected:.2} projected"));
        }
        if let Some(budget) = self.budget_usd {
            text.push_str(&format!(", {budget:.2} budget"));
        }
        text
    }
}
