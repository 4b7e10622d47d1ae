//! A tap before a stand-in: forwards what passes, and writes down every request that it sees.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request, as it was on the wire.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET /path?query`
    pub line: String,
    /// The operation of a JSON protocol of AWS; empty elsewhere.
    pub target: String,
    /// Bytes of its head.
    pub head_bytes: usize,
    /// Its body.
    pub body: Vec<u8>,
}

/// A running tap.
pub struct Tap {
    pub url: String,
    passed: Arc<Passed>,
}

#[derive(Default)]
struct Passed {
    seen: Mutex<Vec<Seen>>,
    /// What was answered, by connections.
    answers: Mutex<Vec<Vec<u8>>>,
}

impl Tap {
    /// Forwards a free port of loopback to `upstream`.
    pub async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let passed = Arc::<Passed>::default();
        let (upstream, shared) = (upstream.strip_prefix("http://").unwrap().to_owned(), Arc::clone(&passed));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, upstream.clone(), Arc::clone(&shared)));
            }
        });
        Self { url, passed }
    }

    /// What has passed so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.passed.seen.lock().unwrap().clone()
    }

    /// The numbers that stand behind this name in the answers.
    pub fn answered(&self, name: &str) -> Vec<f64> {
        let answers = self.passed.answers.lock().unwrap();
        let texts = answers.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let numbers = |text: String| -> Vec<f64> {
            let behind = text.split(&format!("\"{name}\":")).skip(1).map(str::to_owned).collect::<Vec<_>>();
            behind
                .iter()
                .map(|text| text.trim_start().split([',', '}']).next().unwrap().parse().unwrap())
                .collect()
        };
        texts.flat_map(numbers).collect()
    }
}

async fn forward(client: TcpStream, upstream: String, passed: Arc<Passed>) {
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let place = {
        let mut answers = passed.answers.lock().unwrap();
        answers.push(Vec::new());
        answers.len() - 1
    };
    let back = async {
        let mut piece = vec![0; 64 << 10];
        while let Ok(length) = from_server.read(&mut piece).await {
            passed.answers.lock().unwrap()[place].extend_from_slice(&piece[..length]);
            if length == 0 || to_client.write_all(&piece[..length]).await.is_err() {
                break;
            }
        }
    };
    let forth = async {
        let (mut piece, mut unread) = (vec![0; 64 << 10], Vec::new());
        while let Ok(length) = from_client.read(&mut piece).await {
            if length == 0 {
                break;
            }
            unread.extend_from_slice(&piece[..length]);
            while let Some((request, length)) = first_of(&unread) {
                unread.drain(..length);
                passed.seen.lock().unwrap().push(request);
            }
            if to_server.write_all(&piece[..length]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = back => {}
        () = forth => {}
    }
}

/// The first request of these bytes, once all of it is there, and its length.
fn first_of(bytes: &[u8]) -> Option<(Seen, usize)> {
    let head_bytes = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..head_bytes]).into_owned();
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
            .next()
    };
    assert!(header("transfer-encoding").is_none(), "whoever counts must know lengths: {head}");
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    let body = bytes.get(head_bytes..head_bytes + length)?.to_vec();
    let line = head.lines().next()?.rsplit_once(' ')?.0.to_owned();
    let target = header("x-amz-target").unwrap_or_default();
    Some((Seen { line, target, head_bytes, body }, head_bytes + length))
}
