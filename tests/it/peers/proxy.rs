//! A proxy before a stand-in that does what networks do: refuse, and cut an answer after the work behind it is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running proxy. It ends when it is dropped.
pub struct Proxy {
    pub url: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    down: AtomicBool,
    /// So many more answers to uploads are cut.
    cuts: AtomicUsize,
    cut: AtomicUsize,
}

impl Proxy {
    /// Forwards a free port of loopback to `upstream`.
    pub async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<State>::default();
        let (upstream, shared) = (upstream.strip_prefix("http://").unwrap().to_owned(), Arc::clone(&state));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if shared.down.load(Ordering::Relaxed) {
                    continue;
                }
                let (upstream, state) = (upstream.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    let _ = forward(client, &upstream, &state).await;
                });
            }
        });
        Self { url, state, task }
    }

    /// From now on connections are closed at once, or served again.
    pub fn set_down(&self, down: bool) {
        self.state.down.store(down, Ordering::Relaxed);
    }

    /// Cuts the answers to the next uploads.
    pub fn cut_uploads(&self, count: usize) {
        self.state.cuts.store(count, Ordering::Relaxed);
    }

    /// How many answers were cut.
    pub fn cut(&self) -> usize {
        self.state.cut.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(mut client: TcpStream, upstream: &str, state: &State) -> std::io::Result<()> {
    let mut server = TcpStream::connect(upstream).await?;
    let (mut to_server, mut to_client) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut uploading = false;
    loop {
        tokio::select! {
            count = client.read(&mut to_server) => {
                let count = count?;
                if count == 0 || state.down.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let begins = |method: &[u8]| to_server[..count].starts_with(method);
                if begins(b"POST ") || begins(b"PUT ") || begins(b"GET ") {
                    uploading = begins(b"POST /upload/") || begins(b"PUT /upload/");
                }
                server.write_all(&to_server[..count]).await?;
            }
            count = server.read(&mut to_client) => {
                let count = count?;
                let cut = |cuts: usize| cuts.checked_sub(1);
                if count == 0 || state.down.load(Ordering::Relaxed) {
                    return Ok(());
                }
                if uploading && state.cuts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, cut).is_ok() {
                    // The job exists; nobody is told.
                    state.cut.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                client.write_all(&to_client[..count]).await?;
            }
        }
    }
}
