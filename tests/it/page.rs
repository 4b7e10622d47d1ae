//! The status page in headless Chromium, as a person uses it.

use std::path::Path;

use super::peers::cloud::World;
use super::peers::journeys::FAST;
use super::peers::process::Process;
use super::support::browser::Browser;

/// The script's view of one table's row.
fn row(table: &str) -> String {
    format!(
        "[...document.querySelectorAll('#live tbody tr')].find(r => r.querySelector('.name').textContent.endsWith('casino.{table}'))"
    )
}

fn shows(table: &str, text: &str) -> String {
    format!("return {}?.innerText.includes({}) ?? false", row(table), serde_json::json!(text))
}

/// Presses a table's button, by the name that a screen reader says.
async fn press(browser: &Browser, table: &str, action: &str) {
    let button = format!("button[aria-label^='{action} '][aria-label$='casino.{table}']");
    let there = format!("return document.querySelector({}) !== null", serde_json::json!(button));
    browser.until("the button is there", &there).await;
    browser.click(&button).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_pauses_a_table_and_lets_it_go_on() {
    let world = World::new(1, 3).await;
    let cluster = &world.clusters[0];
    let process = Process::start(&world.configure(FAST)).await;
    for table in &cluster.tables {
        world.put(cluster, table, 40).await;
    }
    process.until_files("loaded", 3).await;
    let browser = Browser::start(1280, 800).await;
    browser.open(&process.url).await;
    browser.until("all is well", "return document.querySelector('.summary.good') !== null").await;
    browser.until("the rows are counted", &shows("t1", "40")).await;
    assert!(browser.text(".summary h2").await.contains("All well: 3 tables running"));

    // While the page renews itself, a button that is being pressed stays the very same one.
    let button = format!("{}.querySelector('button')", row("t1"));
    browser
        .run(&format!("window.button = {button}; window.at = document.querySelector('.at').innerText"))
        .await;
    browser
        .until("the page is renewed", "return document.querySelector('.at').innerText !== window.at")
        .await;
    assert_eq!(browser.run(&format!("return window.button === {button}")).await, true);

    press(&browser, "t1", "pause").await;
    browser.until("the table is paused", &shows("t1", "paused")).await;
    // From here on nothing of it is loaded, while its neighbour goes on.
    world.put(cluster, "t1", 5).await;
    world.put(cluster, "t0", 5).await;
    process.until_files("loaded", 4).await;
    browser.until("the new file waits", &shows("t1", "behind")).await;
    let (_, verdict) = world.compare(&[], &["--timestamp", "dms_timestamp", "--sequence", "dms_change_seq"]);
    assert_eq!((&verdict["missing"], &verdict["loaded"]), (&5.into(), &125.into()), "{verdict}");
    let title = browser.run("return document.title").await;
    assert!(title.as_str().unwrap().contains("1 paused"), "{title}");

    press(&browser, "t1", "resume").await;
    browser.until("the table runs", &shows("t1", "running")).await;
    process.until_files("loaded", 5).await;
    assert_eq!(world.must_be_equal(&[]), 130);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_what_is_wrong_and_when_it_has_lost_contact() {
    let mut world = World::new(1, 0).await;
    world.clusters[0].name = "game-a".to_owned();
    world.clusters[0].tables = ["bet_history", "payments", "sessions", "users"].map(str::to_owned).to_vec();
    let cluster = &world.clusters[0];
    let process = Process::start(&world.configure(FAST)).await;
    for table in &cluster.tables {
        world.put(cluster, table, 400).await;
    }
    let poison = world.key("sessions");
    world.put_bytes(&cluster.bucket, &poison, b"PAR1 this is no Parquet file PAR1".to_vec()).await;
    process.until_files("loaded", 4).await;
    process.until_files("poisoned", 1).await;
    let pause = format!("{}/api/v1/tables/{}/casino/users/pause", process.url, cluster.name);
    reqwest::Client::new().post(pause).send().await.unwrap();
    let browser = Browser::start(1280, 520).await;
    browser.open(&process.url).await;
    browser.until("the poison file is told", &shows("sessions", "1 poison")).await;
    browser
        .until(
            "the pause is told",
            "return document.querySelector('.summary h2').innerText.includes('1 paused of 4 tables')",
        )
        .await;
    let folder = if std::env::var_os("UPDATE_DOCS").is_some() {
        concat!(env!("CARGO_MANIFEST_DIR"), "/docs/images")
    } else {
        env!("CARGO_TARGET_TMPDIR")
    };
    let pictures = Path::new(folder);
    std::fs::create_dir_all(pictures).unwrap();
    browser.screenshot(&pictures.join("status-page.png")).await;

    let phone = Browser::start(360, 740).await;
    phone.open(&process.url).await;
    phone.until("the phone shows it", &shows("sessions", "1 poison")).await;
    let wide =
        phone.run("return document.documentElement.scrollWidth > document.documentElement.clientWidth").await;
    assert_eq!(wide, false, "nothing is to be scrolled sideways");
    phone.screenshot(&pictures.join("status-page-phone.png")).await;

    process.kill();
    browser
        .until(
            "the loss is told",
            "return !document.getElementById('lost').hidden && document.body.classList.contains('stale')",
        )
        .await;
    assert!(browser.text("#lost").await.contains("what is shown is old"));
}
