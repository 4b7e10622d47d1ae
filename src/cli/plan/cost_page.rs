//! `docs/cost.md`, whose bill is made out as every other is: of a day in simulation, by the prices that landbridge comes with.

use clap::Parser;

use super::{Arguments, day, needed};
use crate::config::cost::prices;
use crate::domain::cost::{Aws, Charge, DAYS, Needed, Prices, bill, total};
use crate::forecast::run;

/// What a month of 40 million rows a day may cost, in US dollars.
const BAR: f64 = 15.0;

#[derive(Parser)]
struct Whole {
    #[command(flatten)]
    plan: Arguments,
}

/// The first day of `make day`.
fn the_day() -> Needed {
    let scenario = day(60, 70, 40e6, 1);
    needed(&Whole::parse_from(["plan", "--day"]).plan, &scenario, &run(&scenario))
}

fn variants() -> [(&'static str, Prices); 4] {
    let listed = prices(None).unwrap();
    let with = |change: &dyn Fn(&mut Aws)| {
        let mut prices = listed.clone();
        change(&mut prices.aws);
        prices
    };
    let [address, used_up]: [&dyn Fn(&mut Aws); 2] =
        [&|aws| aws.public_ipv4_hour = 0.0, &|aws| aws.data_out_free_gb = 0.0];
    [
        ("as listed", listed.clone()),
        ("without a public IPv4 address", with(address)),
        ("as listed, the free 100 GB used up by others", with(used_up)),
        (
            "both",
            with(&|aws| {
                address(aws);
                used_up(aws);
            }),
        ),
    ]
}

fn table(day: &Needed) -> String {
    let variants = variants();
    let bills: Vec<Vec<Charge>> =
        variants.iter().map(|(_, prices)| bill(prices, &day.month(prices))).collect();
    let names: Vec<_> = variants.iter().map(|(name, _)| *name).collect();
    let mut text =
        format!("| dollars a month | amount | {} |\n|---|---|---|---|---|---|\n", names.join(" | "));
    for (place, charge) in
        bills[0].iter().enumerate().filter(|(place, _)| bills.iter().any(|bill| bill[*place].dollars > 0.0))
    {
        let (what, unit) = charge.item.described();
        let dollars: Vec<_> = bills.iter().map(|bill| format!("{:.2}", bill[place].dollars)).collect();
        let amount = match charge.amount {
            amount if amount >= 1e5 => format!("{:.1} million {unit}", amount / 1e6),
            amount => format!("{amount:.1} {unit}"),
        };
        text.push_str(&format!("| {what} | {amount} | {} |\n", dollars.join(" | ")));
    }
    let sums: Vec<_> = bills.iter().map(|bill| format!("**{:.2}**", total(bill))).collect();
    text.push_str(&format!("| **in all** | | {} |\n", sums.join(" | ")));
    text
}

#[test]
fn the_page_is_not_stale() {
    let day = the_day();
    let (head, tail) = (include_str!("cost_page/head.md"), include_str!("cost_page/tail.md"));
    let text = format!("{head}{}{tail}", table(&day));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cost.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), text);
    // It may cost no more, and what leaves is about what is said of it.
    let [(_, listed), (_, without_address), ..] = variants();
    for prices in [listed, without_address] {
        let dollars = total(&bill(&prices, &day.month(&prices)));
        assert!(dollars <= BAR, "{dollars}");
    }
    let gigabytes = day.bytes_out * DAYS / 1e9;
    assert!((100.0..120.0).contains(&gigabytes), "{gigabytes}");
}
