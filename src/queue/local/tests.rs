use super::*;

const HIDDEN: Duration = Duration::from_secs(30);
const WAIT: Duration = Duration::from_secs(20);

fn queue(bodies: &[&str]) -> Arc<LocalQueue> {
    let queue = LocalQueue::new("q", 100_000);
    for body in bodies {
        assert!(queue.try_send(*body));
    }
    queue
}

async fn receive(queue: &LocalQueue) -> Vec<Message> {
    queue.receive(10, Duration::ZERO, HIDDEN).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_received_message_is_hidden_and_comes_back_with_a_new_receipt() {
    let queue = queue(&["x"]);
    let first = receive(&queue).await;
    assert_eq!((&*first[0].body, first[0].receive_count), ("x", 1));
    assert!(receive(&queue).await.is_empty());
    tokio::time::advance(HIDDEN).await;
    let second = receive(&queue).await;
    assert_eq!((second[0].receive_count, &second[0].id), (2, &first[0].id));
    assert_ne!(second[0].receipt, first[0].receipt);
    // The stale receipt deletes nothing, the new one does.
    assert!(queue.delete(&[first[0].receipt.clone()]).await.unwrap().is_empty());
    assert_eq!(queue.depth().await.unwrap().in_flight, 1);
    queue.delete(&[second[0].receipt.clone()]).await.unwrap();
    assert_eq!(queue.depth().await.unwrap(), Depth::default());
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_wakes_on_arrival_and_on_redelivery() {
    let queue = queue(&[]);
    let poll = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.receive(10, WAIT, HIDDEN).await.unwrap() }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    queue.send("x".to_owned()).await;
    assert_eq!(poll.await.unwrap().len(), 1);
    let started = Instant::now();
    tokio::time::sleep(Duration::from_secs(15)).await;
    let again = queue.receive(10, WAIT, HIDDEN).await.unwrap();
    assert_eq!((again.len(), started.elapsed()), (1, HIDDEN));
    let started = Instant::now();
    assert!(queue.receive(10, WAIT, HIDDEN).await.unwrap().is_empty());
    assert_eq!(started.elapsed(), WAIT);
}

#[tokio::test(start_paused = true)]
async fn visibility_is_extended_shortened_and_ends_after_twelve_hours() {
    let queue = queue(&["x"]);
    let receipt = [receive(&queue).await[0].receipt.clone()];
    assert!(queue.change_visibility(&receipt, Duration::from_secs(100)).await.unwrap().is_empty());
    tokio::time::advance(Duration::from_secs(99)).await;
    assert!(receive(&queue).await.is_empty());
    assert!(queue.change_visibility(&receipt, Duration::ZERO).await.unwrap().is_empty());
    let again = [receive(&queue).await[0].receipt.clone()];
    assert_eq!(queue.change_visibility(&receipt, HIDDEN).await.unwrap(), receipt);
    assert_eq!(queue.change_visibility(&again, VISIBILITY_MAX * 2).await.unwrap(), again);
    tokio::time::advance(HIDDEN).await;
    assert_eq!(queue.change_visibility(&again, HIDDEN).await.unwrap(), again);
}

#[tokio::test(start_paused = true)]
async fn at_most_ten_in_one_call() {
    let queue = queue(&["x"; 12]);
    assert_eq!(queue.receive(100, Duration::ZERO, HIDDEN).await.unwrap().len(), 10);
    let receipts = vec![Receipt("r".into()); 11];
    assert_eq!(queue.delete(&receipts).await.unwrap_err().kind, FaultKind::Internal);
}

#[tokio::test(start_paused = true)]
async fn faults_are_played_on_request() {
    let queue = queue(&[]);
    queue.duplicate_next(1);
    queue.send("x".to_owned()).await;
    queue.send("y".to_owned()).await;
    let bodies: Vec<_> = receive(&queue).await.into_iter().map(|message| message.body.to_string()).collect();
    assert_eq!(bodies, ["x", "x", "y"]);
    tokio::time::advance(HIDDEN).await;
    queue.fail_next_receives(1, FaultKind::Throttled);
    assert_eq!(queue.receive(1, WAIT, HIDDEN).await.unwrap_err().kind, FaultKind::Throttled);
    queue.redeliver_after_delete(1);
    let got = receive(&queue).await;
    let receipts: Vec<_> = got.iter().map(|message| message.receipt.clone()).collect();
    queue.delete(&receipts).await.unwrap();
    let again = receive(&queue).await;
    assert_eq!((again.len(), &again[0].id, again[0].receive_count), (1, &got[0].id, 3));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_makes_its_sender_wait() {
    let queue = LocalQueue::new("q", 1);
    assert!(queue.try_send("x"));
    assert!(!queue.try_send("y"));
    let sender = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.send("y".to_owned()).await }
    });
    tokio::task::yield_now().await;
    assert!(!sender.is_finished());
    let receipt = receive(&queue).await[0].receipt.clone();
    queue.delete(&[receipt]).await.unwrap();
    sender.await.unwrap();
    assert_eq!(&*receive(&queue).await[0].body, "y");
}

#[tokio::test(start_paused = true)]
async fn a_receive_that_is_given_up_loses_nothing() {
    let queue = queue(&[]);
    let poll = queue.receive(10, WAIT, HIDDEN);
    assert!(tokio::time::timeout(Duration::from_secs(1), poll).await.is_err());
    queue.send("x".to_owned()).await;
    assert_eq!(receive(&queue).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_messages_are_no_burden() {
    let queue = LocalQueue::new("q", 100_000);
    for n in 0..100_000 {
        assert!(queue.try_send(n.to_string()));
    }
    let mut seen = 0;
    while seen < 100_000 {
        let messages = receive(&queue).await;
        let receipts: Vec<_> = messages.iter().map(|message| message.receipt.clone()).collect();
        queue.delete(&receipts).await.unwrap();
        seen += messages.len();
    }
    assert_eq!(queue.depth().await.unwrap(), Depth::default());
}
