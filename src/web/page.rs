//! The status page: what needs a person first, then a row a table.

use std::sync::Arc;

use maud::{DOCTYPE, Markup, html};

use super::console::{Action, ErrorView, Overview, Refusal, State, TableView};
use super::human::{ago, counted, duration, number};
use crate::domain::instant::Instant;

/// The whole page. `notice` is what came of a button that was pressed without the script.
pub(super) fn whole(
    overview: &Result<Arc<Overview>, Refusal>,
    signed_in: bool,
    notice: Option<&str>,
) -> Markup {
    let body = html! {
        header {
            h1 { a href="/" { "landbridge" } }
            p id="lost" role="alert" hidden { }
            p id="notice" role="alert" hidden[notice.is_none()] { (notice.unwrap_or_default()) }
        }
        main id="live" { (live(overview)) }
        footer {
            a href="/api/v1/tables" { "JSON" } " · " a href="/metrics" { "metrics" } " · version " (env!("CARGO_PKG_VERSION"))
            @if signed_in {
                form method="post" action="/sign-out" { button type="submit" { "Sign out" } }
            }
        }
    };
    document("landbridge", &body, true)
}

/// The form for the token.
pub(super) fn sign_in(refused: bool) -> Markup {
    let body = html! {
        header { h1 { "landbridge" } }
        main {
            form class="sign-in" method="post" action="/sign-in" {
                @if refused { p role="alert" { "That is not the token." } }
                label for="token" { "Admin token" }
                input id="token" name="token" type="password" autocomplete="current-password" required autofocus;
                button type="submit" { "Sign in" }
            }
        }
    };
    document("landbridge: sign in", &body, false)
}

fn document(title: &str, body: &Markup, live: bool) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href="/assets/icon.svg";
                link rel="stylesheet" href="/assets/page.css";
                @if live {
                    script src="/assets/page.js" defer { }
                    noscript { meta http-equiv="refresh" content="5"; }
                }
            }
            body { (body) }
        }
    }
}

/// The part that is renewed every second.
pub(super) fn live(overview: &Result<Arc<Overview>, Refusal>) -> Markup {
    match overview {
        Ok(overview) => tables(overview),
        Err(refusal) => html! {
            section class="summary bad" data-title="no answer" {
                h2 { (refusal.error) }
                p { (refusal.remedy) }
            }
        },
    }
}

fn tables(overview: &Overview) -> Markup {
    let mut sorted: Vec<_> = overview.tables.iter().map(|table| (table.state(), table)).collect();
    sorted.sort_by(|one, other| (one.0, &one.1.name).cmp(&(other.0, &other.1.name)));
    html! {
        (summary(overview))
        (receivers(overview))
        table {
            thead {
                tr {
                    th scope="col" { "Table" }
                    th scope="col" { "State" }
                    th scope="col" { "Freshness" }
                    th scope="col" class="number" { "Rows today" }
                    th scope="col" class="number" { "Pending" }
                    th scope="col" { "Last load" }
                    th scope="col" { "Errors" }
                    th scope="col" { span class="unseen" { "Actions" } }
                }
            }
            tbody { @for (state, table) in &sorted { (row(*state, table, overview.at)) } }
        }
    }
}

/// What is wrong, first.
fn summary(overview: &Overview) -> Markup {
    let count = |state: State| overview.tables.iter().filter(|table| table.state() == state).count();
    let wrong: Vec<_> = State::ALL
        .into_iter()
        .filter(|state| *state != State::Running)
        .map(|state| (state, count(state)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let rows = overview.tables.iter().map(|table| table.rows_today).sum();
    let pending = overview.tables.iter().map(|table| table.pending.files()).sum();
    let poison = overview.tables.iter().map(|table| table.poison).sum();
    let vanished = overview.tables.iter().map(|table| table.vanished).sum();
    let bad = wrong.iter().any(|(state, _)| *state != State::Paused);
    let title = wrong.iter().map(|(state, count)| format!("{count} {}", state.name())).collect::<Vec<_>>();
    let all = counted(overview.tables.len() as u64, "table");
    html! {
        section class=(if bad { "summary bad" } else if wrong.is_empty() { "summary good" } else { "summary" })
            data-title=(title.join(", ")) {
            h2 {
                @if wrong.is_empty() { "All well: " (all) " running" }
                @else { (title.join(", ")) " of " (all) }
            }
            p {
                (number(rows)) " rows today, " (counted(pending, "file")) " pending"
                @if poison > 0 { ", " (number(poison)) " poison" }
                @if vanished > 0 { ", " (number(vanished)) " vanished" }
                span class="at" { " · as of " time datetime=(overview.at.rfc3339()) { (overview.at.time_of_day()) " UTC" } }
            }
            @if let Some(cost) = &overview.cost {
                p id="cost" class=(if cost.is_over() { "cost over" } else { "cost" }) { (cost.text()) }
            }
        }
    }
}

/// Who is told of loaded batches: those that do not take it first.
fn receivers(overview: &Overview) -> Markup {
    let (failing, fine): (Vec<_>, Vec<_>) =
        overview.receivers.iter().partition(|receiver| receiver.problem.is_some());
    let names = fine.iter().map(|receiver| &*receiver.name).collect::<Vec<_>>().join(", ");
    html! {
        @for receiver in &failing {
            section class="summary bad" data-title={ (receiver.name) " is not told" } {
                h2 { "Receiver " (receiver.name) " does not take notices" }
                p {
                    (counted(receiver.waiting, "notice")) @if receiver.more { " and more" } " waiting"
                    @if let Some(seconds) = receiver.oldest_seconds { ", the oldest for " (duration(seconds)) }
                    ": " (receiver.problem.as_deref().unwrap_or_default())
                }
            }
        }
        @if !fine.is_empty() { p class="small" { "Told of loads: " (names) } }
    }
}

fn row(state: State, table: &TableView, now: Instant) -> Markup {
    html! {
        tr class=(state.name()) {
            th scope="row" data-label="Table" {
                span class="name" { (table.name) }
                span class="small" { "to " (table.destination) }
            }
            td data-label="State" {
                span class={ "state " (state.name()) } { (state.name()) }
                @if let Some(reason) = &table.reason { span class="small" { (reason) } }
            }
            td data-label="Freshness" { (freshness(table, now)) }
            td data-label="Rows today" class="number" {
                (number(table.rows_today))
                span class="small" { (counted(table.files_today, "file")) }
            }
            td data-label="Pending" class="number" { (pending(table)) }
            td data-label="Last load" {
                @match table.last_load_at {
                    Some(at) => span title=(at.rfc3339()) { (ago(now, at)) " ago" },
                    None => span class="none" { "never" },
                }
            }
            td data-label="Errors" class="errors" { (errors(table, now)) }
            td class="actions" { (actions(state, table)) }
        }
    }
}

fn freshness(table: &TableView, now: Instant) -> Markup {
    let Some(watermark) = table.watermark else { return html! { span class="none" { "nothing yet" } } };
    let exact = watermark.rfc3339();
    html! {
        @if table.pending.files() == 0 {
            span title={ "newest change loaded: " (exact) } { "up to date" }
            span class="small" { "last change " (ago(now, watermark)) " ago" }
        } @else {
            span title={ "loaded up to: " (exact) } { (duration(now.since(watermark).as_secs_f64())) " behind" }
        }
        (commits(table, now))
    }
}

/// Up to which commit at the source the table is whole.
fn commits(table: &TableView, now: Instant) -> Markup {
    html! {
        @if let Some(at) = table.commits.watermark {
            span class="small" title={ "everything that was committed at the source before " (at.rfc3339()) " is loaded, as far as it was announced" } {
                "whole until " (ago(now, at)) " ago"
            }
        }
        @if let Some(behind) = &table.commits.behind {
            span class="small" title="why it is whole no further" { (behind.text) }
        }
    }
}

fn pending(table: &TableView) -> Markup {
    let pending = &table.pending;
    let parts = [
        (pending.in_hand, "in hand"),
        (pending.parked, "parked"),
        (pending.deferred, "deferred"),
        (pending.loads, "loads under way"),
    ];
    let told: Vec<_> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", number(count)))
        .collect();
    html! {
        (number(pending.files()))
        @if !told.is_empty() { span class="small" { (told.join(", ")) } }
        span class="small" title="how long a window stays open at the longest, and why it is no shorter" {
            "window " (duration(table.window.seconds)) ", " (table.window.why.replace('_', " "))
        }
    }
}

fn errors(table: &TableView, now: Instant) -> Markup {
    let counts: Vec<_> = [(table.poison, "poison"), (table.vanished, "vanished")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", number(count)))
        .collect();
    html! {
        @if !counts.is_empty() { span class="count" { (counts.join(", ")) } }
        @match &table.last_error {
            Some(ErrorView { at, level, text, remedy }) => {
                details {
                    summary class=(level) { span title=(at.rfc3339()) { (ago(now, *at)) " ago: " (text) } }
                    p { (text) }
                    @if let Some(remedy) = remedy { p class="remedy" { (remedy) } }
                }
            },
            None => @if counts.is_empty() { span class="none" { "none" } },
        }
    }
}

fn actions(state: State, table: &TableView) -> Markup {
    let offered: &[Action] = match state {
        State::Running | State::Late => &[Action::Pause, Action::Flush],
        State::Paused | State::Held | State::Quarantined => &[Action::Resume],
    };
    html! {
        @for action in offered {
            form method="post" action={ "/tables/" (path(table)) "/" (action.name()) } {
                button type="submit" id={ (action.name()) "-" (path(table)) } data-action=(action.name())
                    aria-label={ (action.name()) " " (table.name) } { (action.name()) }
            }
        }
    }
}

/// Cluster, schema and table as a path names them: whatever letters a source gave them.
fn path(table: &TableView) -> String {
    let encoded = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    format!("{}/{}/{}", encoded(&table.cluster), encoded(&table.schema), encoded(&table.table))
}

#[cfg(test)]
mod tests {
    use super::super::console::{Pending, ReceiverView, RefusalKind};
    use super::super::cost::CostLine;
    use super::*;
    use crate::domain::transition::TableMode;

    const NOW: Instant = Instant::from_micros(1_763_856_100_000_000);

    fn table(name: &str, mode: TableMode) -> TableView {
        TableView {
            name: format!("a/s.{name}"),
            cluster: "a".into(),
            schema: "s".into(),
            table: name.into(),
            destination: format!("d.{name}"),
            reason: match &mode {
                TableMode::Held(reason) | TableMode::Quarantined(reason) => Some(reason.clone()),
                TableMode::Running | TableMode::Paused => None,
            },
            mode,
            late: false,
            late_after_seconds: 180,
            watermark: Some(Instant::from_micros(1_763_856_088_000_000)),
            freshness_seconds: Some(12.0),
            commits: crate::web::console::CommitsView::default(),
            window: crate::web::console::WindowView { seconds: 60.0, why: "at_once" },
            pending: Pending::default(),
            rows_today: 1_234_567,
            files_today: 12,
            last_load_at: Some(Instant::from_micros(1_763_856_095_000_000)),
            poison: 0,
            vanished: 0,
            discarded: 0,
            last_error: None,
        }
    }

    fn shown(tables: Vec<TableView>) -> String {
        let overview = Overview { at: NOW, tables, receivers: Vec::new(), cost: None };
        whole(&Ok(Arc::new(overview)), false, None).into_string()
    }

    #[test]
    fn what_needs_a_person_stands_first() {
        let mut late = table("late", TableMode::Running);
        (late.late, late.pending.in_hand) = (true, 3);
        let page = shown(vec![
            table("a", TableMode::Running),
            table("paused", TableMode::Paused),
            table("held", TableMode::Held("no such dataset".into())),
            late,
        ]);
        let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is not in {page}"));
        assert!(at("a/s.held") < at("a/s.late") && at("a/s.late") < at("a/s.paused"));
        assert!(at("a/s.paused") < at(">a/s.a<"));
        assert!(page.contains("1 held, 1 late, 1 paused of 4 tables") && page.contains("no such dataset"));
        assert!(
            page.contains("12 s behind")
                && page.contains("up to date")
                && page.contains("1\u{202f}234\u{202f}567")
        );
        assert!(shown(vec![table("a", TableMode::Running)]).contains("All well: 1 table running"));
        let mut backlog = table("a", TableMode::Running);
        let text = "queue not drained since <noon>".to_owned();
        backlog.commits.behind = Some(crate::web::console::BehindView { what: "queue", text });
        assert!(shown(vec![backlog]).contains("queue not drained since &lt;noon&gt;"));
    }

    #[test]
    fn receivers_that_take_nothing_are_told_before_the_tables() {
        let receiver = |name: &str, problem: Option<&str>| ReceiverView {
            name: name.into(),
            waiting: 12,
            more: false,
            oldest_seconds: Some(300.0),
            failing_since: problem.map(|_| NOW),
            problem: problem.map(str::to_owned),
        };
        let receivers = vec![receiver("bi", None), receiver("fraud", Some("it answered <500>"))];
        let overview =
            Overview { at: NOW, tables: vec![table("a", TableMode::Running)], receivers, cost: None };
        let page = whole(&Ok(Arc::new(overview)), false, None).into_string();
        assert!(page.contains("Receiver fraud does not take notices") && page.contains("Told of loads: bi"));
        assert!(page.contains("12 notices waiting, the oldest for 5 min: it answered &lt;500&gt;"), "{page}");
        assert!(page.find("Receiver fraud").unwrap() < page.find("a/s.a").unwrap());
    }

    #[test]
    fn what_it_costs_is_one_line_that_says_when_it_is_too_much() {
        let line = |projected_usd| {
            let cost = CostLine { month_usd: 4.125, projected_usd, budget_usd: Some(15.0) };
            let overview = Overview { at: NOW, tables: Vec::new(), receivers: Vec::new(), cost: Some(cost) };
            whole(&Ok(Arc::new(overview)), false, None).into_string()
        };
        let over = line(Some(15.01));
        assert!(over.contains("this month 4.12 dollars so far, 15.01 projected, 15.00 budget"), "{over}");
        assert!(over.contains("cost over") && !line(Some(15.0)).contains("cost over"));
        assert!(line(None).contains("so far, 15.00 budget"));
        assert!(!shown(Vec::new()).contains("dollars"));
    }

    #[test]
    fn nothing_that_a_source_named_becomes_markup() {
        let mut hostile = table("<img src=x onerror=alert(1)>\"'/?#", TableMode::Held("<script>".into()));
        hostile.last_error = Some(ErrorView {
            at: NOW,
            level: "error",
            text: "</td><script>alert(2)</script>".to_owned(),
            remedy: Some("<b>".to_owned()),
        });
        let page = shown(vec![hostile]);
        for bad in ["<img", "<script>", "<b>", "</td><script"] {
            assert!(!page.contains(bad), "{bad}");
        }
        assert!(
            page.contains("/tables/a/s/%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E%22%27%2F%3F%23/resume")
        );
    }

    #[test]
    fn without_an_answer_the_page_says_so() {
        let refusal = Refusal {
            kind: RefusalKind::NoAnswer,
            error: "the ledger does not answer".to_owned(),
            remedy: "look at the log".to_owned(),
        };
        let page = whole(&Err(refusal), true, Some("<paused>")).into_string();
        assert!(page.contains("the ledger does not answer") && page.contains("look at the log"));
        assert!(page.contains("&lt;paused&gt;") && page.contains("Sign out"));
    }
}
