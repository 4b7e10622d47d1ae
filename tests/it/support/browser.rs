//! Headless Chromium, driven over the WebDriver protocol.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use serde_json::{Value, json};

use crate::peers::process::free_port;

/// How long anything that is awaited may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser with one window. Dropping it ends it.
pub struct Browser {
    driver: Child,
    session: String,
    client: reqwest::Client,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts Debian's Chromium with a new, empty profile and a window of that size.
    pub async fn start(width: u32, height: u32) -> Self {
        landbridge::cloud::install_crypto();
        let port = free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the pages are tested in Chromium: install it and its driver (Debian: apt-get install chromium chromium-driver)");
        let profile = tempfile::tempdir().unwrap();
        let client = reqwest::Client::new();
        let base = format!("http://127.0.0.1:{port}");
        let mut browser = Self { driver, session: String::new(), client, _profile: profile };
        let started = tokio::time::Instant::now();
        while browser.client.get(format!("{base}/status")).send().await.is_err() {
            assert!(started.elapsed() < PATIENCE, "chromedriver does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let folder = browser._profile.path().display().to_string();
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            &format!("--user-data-dir={folder}"),
            &format!("--window-size={width},{height}"),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}});
        let answer = browser.call(&format!("{base}/session"), &wanted).await;
        browser.session = format!("{base}/session/{}", answer["sessionId"].as_str().unwrap());
        // The window's size counts its frame; the page's size is what is meant.
        let metrics = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params":
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}});
        browser.post("goog/cdp/execute", &metrics).await;
        browser
    }

    async fn call(&self, url: &str, body: &Value) -> Value {
        let answer = self.client.post(url).json(body).send().await.unwrap();
        let (status, body) = (answer.status(), answer.json::<Value>().await.unwrap());
        assert!(status.is_success(), "{url}: {}", body["value"]["message"]);
        body["value"].clone()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.call(&format!("{}/{path}", self.session), body).await
    }

    pub async fn open(&self, url: &str) {
        self.post("url", &json!({"url": url})).await;
    }

    /// What a script returns.
    pub async fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({"script": script, "args": []})).await
    }

    /// The text that a person sees of the first element that matches.
    pub async fn text(&self, selector: &str) -> String {
        let script = format!("return document.querySelector({})?.innerText ?? ''", json!(selector));
        self.run(&script).await.as_str().unwrap().to_owned()
    }

    /// Clicks the first element that matches, as a person would: it must be there and in reach.
    pub async fn click(&self, selector: &str) {
        let found = self.post("element", &json!({"using": "css selector", "value": selector})).await;
        let id = found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
        self.post(&format!("element/{id}/click"), &json!({})).await;
    }

    /// Waits until the script returns true.
    pub async fn until(&self, what: &str, script: &str) {
        let started = tokio::time::Instant::now();
        while self.run(script).await != Value::Bool(true) {
            let shown = self.text("body").await;
            assert!(started.elapsed() < PATIENCE, "waited in vain until {what}; the page says:\n{shown}");
            // What is awaited happens in the browser: there is nothing to be woken by.
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Writes what is seen as a PNG file.
    pub async fn screenshot(&self, path: &Path) {
        let answer = self.client.get(format!("{}/screenshot", self.session)).send().await.unwrap();
        let body: Value = answer.json().await.unwrap();
        let picture =
            base64::engine::general_purpose::STANDARD.decode(body["value"].as_str().unwrap()).unwrap();
        std::fs::write(path, picture).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser with it.
        let _ = Command::new("pkill").args(["-P", &self.driver.id().to_string()]).status();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
