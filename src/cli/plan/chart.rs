//! The course of days, drawn: how fresh rows are, and how many jobs the last 24 hours have used.

use std::fmt::Write;

use crate::forecast::Outcome;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 70.0;
const GAP: f64 = 60.0;
/// For light pages and dark ones.
const COLOURS: [&str; 3] = ["#2563eb", "#d97706", "#7c7c7c"];

/// One line of a chart: its name, and a value for each quarter of an hour.
struct Line<'a> {
    name: &'a str,
    values: Vec<f64>,
}

/// Two charts, one below the other, of these courses by their names.
pub(super) fn draw(courses: &[(&str, &Outcome)], quota: f64) -> String {
    let mean = |outcome: &Outcome| outcome.course.iter().map(|(_, seconds)| *seconds).collect();
    let jobs = |outcome: &Outcome| outcome.course.iter().map(|(jobs, _)| *jobs as f64).collect();
    let fresh: Vec<_> = courses.iter().map(|(name, outcome)| Line { name, values: mean(outcome) }).collect();
    let used: Vec<_> = courses.iter().map(|(name, outcome)| Line { name, values: jobs(outcome) }).collect();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#7c7c7c\">\n",
        LEFT + WIDTH + 20.0,
        2.0 * HEIGHT + 3.0 * GAP
    );
    chart(&mut svg, GAP, "From S3's event to queryable: the rows' mean, in seconds", &fresh, None);
    chart(&mut svg, HEIGHT + 2.0 * GAP, "Load jobs in the last 24 hours", &used, Some(quota));
    svg.push_str("</svg>\n");
    svg
}

fn chart(svg: &mut String, top: f64, title: &str, lines: &[Line<'_>], limit: Option<f64>) {
    let most = lines.iter().flat_map(|line| &line.values).copied().chain(limit).fold(1.0, f64::max) * 1.05;
    let count = lines.iter().map(|line| line.values.len()).max().unwrap_or(1).max(2);
    let x = |place: usize| LEFT + WIDTH * place as f64 / (count - 1) as f64;
    let y = |value: f64| top + HEIGHT * (1.0 - value / most);
    // Memory takes everything.
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{:.0}\" font-size=\"15\">{title}</text>", top - 26.0);
    for fifth in 0..=4 {
        let value = most / 1.05 * f64::from(fifth) / 4.0;
        let at = y(value);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {at:.1}h{WIDTH}\" stroke=\"#7c7c7c\" stroke-opacity=\".25\"/><text x=\"{:.0}\" y=\"{:.1}\" \
             text-anchor=\"end\">{value:.0}</text>",
            LEFT - 8.0,
            at + 4.0
        );
    }
    for hour in (0..=24).step_by(4) {
        let at = LEFT + WIDTH * f64::from(hour) / 24.0;
        let _ = writeln!(
            svg,
            "<text x=\"{at:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{hour}:00</text>",
            top + HEIGHT + 18.0
        );
    }
    if let Some(limit) = limit {
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {:.1}h{WIDTH}\" stroke=\"#dc2626\" stroke-dasharray=\"6 4\"/>",
            y(limit)
        );
    }
    for (number, (line, colour)) in lines.iter().zip(COLOURS).enumerate() {
        let mut path = String::new();
        for (place, value) in line.values.iter().enumerate() {
            let _ = write!(path, "{}{:.1} {:.1}", if place == 0 { 'M' } else { 'L' }, x(place), y(*value));
        }
        let _ = writeln!(svg, "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>");
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" fill=\"{colour}\">{}</text>",
            LEFT + 220.0 * number as f64,
            top - 8.0,
            line.name
        );
    }
}
