//! What landbridge costs.

use tracing::{info, warn};

use super::{c, event, label, level, raise};
use crate::domain::alert::AlertKind;
use crate::domain::cost::Charge;
use crate::domain::cost::report::Report;
use crate::domain::ids::TableId;

event! {
    /// What today, this month and the whole month cost was made out.
    CostShown<'a> { report: &'a Report } |e| {
        let Report { today, month, projected, .. } = e.report;
        let shown = [("today", Some(today)), ("month", Some(month)), ("projected", projected.as_ref())];
        for (period, charges) in shown {
            for Charge { item, dollars, .. } in charges.into_iter().flatten() {
                level(&c::COST, &[label("period", period), label("item", item.name())], *dollars);
            }
        }
        if let Some(budget) = e.report.budget {
            level(&c::COST_BUDGET, &[], budget);
        }
    }
}

event! {
    /// The month is going to cost more than it may.
    BudgetPassed<'a> { projected: f64, budget: f64, dearest: &'a str } |e| {
        warn!(projected_usd = e.projected, budget_usd = e.budget, dearest = e.dearest, remedy = AlertKind::Budget.remedy(),
            "the month is going to cost more than its budget: loading goes on");
        let nobody = TableId::new("all", "all", "tables");
        let told = format!("{:.2} dollars of {:.2}, most of it for {}", e.projected, e.budget, e.dearest);
        raise(AlertKind::Budget, &nobody, "", &told);
    }
}

event! {
    /// It is not, any more.
    BudgetKept<'a> { projected: f64, budget: f64, remark: &'a str } |e| {
        info!(projected_usd = e.projected, budget_usd = e.budget, remark = e.remark,
            "the month is going to cost no more than its budget");
    }
}

event! {
    /// The free bytes of streams are used up, or a month has begun.
    StreamsPriced<'a> { report: &'a Report, free: bool, free_gib: f64 } |e| {
        if e.free {
            info!(streamed_gib = e.report.streamed_gib(), free_gib = e.free_gib,
                "streams cost nothing: tables with `delivery = \"storage_write_free\"` go by them");
        } else {
            info!(streamed_gib = e.report.streamed_gib(), free_gib = e.free_gib,
                "the month's free bytes of streams are used up: tables with `delivery = \"storage_write_free\"` go by load jobs until it ends");
        }
    }
}
