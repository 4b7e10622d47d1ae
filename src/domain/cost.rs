//! What a month costs: everything of AWS and Google that landbridge causes, item by item.

use serde::Deserialize;

/// Days of a month, on the mean.
pub const DAYS: f64 = 365.25 / 12.0;
const HOURS: f64 = DAYS * 24.0;
const GB: f64 = 1e9;

/// Prices in US dollars, as `config/prices.toml` has them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// When they were looked up.
    pub date: String,
    /// Of AWS.
    pub aws: Aws,
    /// Of Google.
    pub google: Google,
}

/// Prices of AWS, and what is assumed of the machine.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Aws {
    pub sqs_requests_million: f64,
    pub sqs_requests_free: f64,
    pub s3_gets_thousand: f64,
    pub data_out_gb: f64,
    pub data_out_free_gb: f64,
    pub machine_hour: f64,
    pub disk_gb_month: f64,
    pub disk_gb: f64,
    pub public_ipv4_hour: f64,
    pub nat_hour: f64,
    pub logs_gb: f64,
    pub logs_gb_day: f64,
}

/// Prices of Google Cloud.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Google {
    pub load_jobs: f64,
    pub streamed_gib: f64,
    pub streamed_free_gib: f64,
}

/// What a day needs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Needed {
    /// Files, each of which is announced and fetched.
    pub files: f64,
    /// Queues that are long-polled.
    pub queues: f64,
    /// Bytes that leave for BigQuery.
    pub bytes_out: f64,
    /// Load jobs.
    pub jobs: f64,
}

/// One line of the bill.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What for.
    pub what: &'static str,
    /// How much of it a month.
    pub amount: f64,
    /// Of what.
    pub unit: &'static str,
    /// In US dollars a month.
    pub dollars: f64,
}

/// The bill of a month of such days.
pub fn bill(prices: &Prices, needed: &Needed) -> Vec<Item> {
    /// Messages that a receive or a delete takes; a queue that is silent is asked every 20 seconds.
    const MESSAGES: f64 = 10.0;
    const POLLS: f64 = 86_400.0 / 20.0;
    let aws = &prices.aws;
    let requests = DAYS * (2.0 * needed.files / MESSAGES + needed.queues * POLLS);
    let out = DAYS * needed.bytes_out / GB;
    let gets = DAYS * needed.files;
    let logs = DAYS * aws.logs_gb_day;
    let paid = |amount: f64, free: f64| (amount - free).max(0.0);
    let item = |what, amount, unit, dollars| Item { what, amount, unit, dollars };
    vec![
        item("data out of AWS", out, "GB", paid(out, aws.data_out_free_gb) * aws.data_out_gb),
        item("the machine", HOURS, "hours", HOURS * aws.machine_hour),
        item("its public address", HOURS, "hours", HOURS * aws.public_ipv4_hour),
        item("a NAT gateway", HOURS, "hours", HOURS * aws.nat_hour),
        item("its disk", aws.disk_gb, "GB", aws.disk_gb * aws.disk_gb_month),
        item("S3 GET requests", gets, "requests", gets / 1e3 * aws.s3_gets_thousand),
        item(
            "SQS requests",
            requests,
            "requests",
            paid(requests, aws.sqs_requests_free) / 1e6 * aws.sqs_requests_million,
        ),
        item("logs", logs, "GB", logs * aws.logs_gb),
        item("BigQuery load jobs", DAYS * needed.jobs, "jobs", DAYS * needed.jobs * prices.google.load_jobs),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_charged_for_what_is_needed() {
        let prices = Prices {
            date: "2026-11-27".to_owned(),
            aws: Aws {
                sqs_requests_million: 1.0,
                sqs_requests_free: 1e6,
                s3_gets_thousand: 1.0,
                data_out_gb: 1.0,
                data_out_free_gb: 10.0,
                machine_hour: 1.0,
                disk_gb_month: 2.0,
                disk_gb: 3.0,
                public_ipv4_hour: 0.0,
                nat_hour: 0.0,
                logs_gb: 0.0,
                logs_gb_day: 1.0,
            },
            google: Google { load_jobs: 0.0, streamed_gib: 1.0, streamed_free_gib: 1.0 },
        };
        let needed = Needed { files: 1_000.0, queues: 0.0, bytes_out: 1e9, jobs: 5.0 };
        let bill = bill(&prices, &needed);
        let of = |what: &str| bill.iter().find(|item| item.what == what).unwrap().dollars;
        assert!((of("data out of AWS") - (DAYS - 10.0)).abs() < 1e-9);
        assert!((of("S3 GET requests") - DAYS).abs() < 1e-9 && of("SQS requests") == 0.0);
        assert!((of("the machine") - HOURS).abs() < 1e-9 && of("its disk") == 6.0);
        assert_eq!(of("BigQuery load jobs"), 0.0);
    }
}
