//! `[receiver.NAME]` and `notify`.

use super::{MAPPING, Place, check};
use crate::config::types::Way;

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn webhook(lines: &str) -> String {
    format!("{MAPPING}notify = [\"fraud\"]\n[receiver.fraud]\nwebhook = \"https://h/x0secret\"\n{lines}\n")
}

#[test]
fn a_receiver_is_read_with_its_keys_and_tables_override_their_mapping() {
    let mapping = MAPPING.replace("dataset", "notify = [\"bi\", \"fraud\", \"bi\"]\ndataset");
    let text = format!(
        "{mapping}[[mapping.table]]\nname = \"s.u\"\nnotify = [\"bi\"]\n[[mapping.table]]\nname = \"s.v\"\nnotify = []\n\
         [receiver.bi]\nsns = \"arn:aws:sns:eu-west-1:1:loaded\"\n\
         [receiver.fraud]\nwebhook = \"https://h/x\"\nkey_file = \"fraud.key\"\n\
         [receiver.lake]\npubsub = \"projects/p/topics/t\"\n"
    );
    let place = Place::new(&text);
    std::fs::write(place.path().join("fraud.key"), format!("{KEY}\n")).unwrap();
    let config = place.load(&[("LANDBRIDGE__RECEIVER__FRAUD__SECOND_KEY", KEY)]).unwrap();
    let told: Vec<_> = config.mappings[0].tables.iter().map(|table| table.notify.join(" ")).collect();
    assert_eq!(told, ["bi fraud", "bi", ""]);
    let names: Vec<_> = config.receivers.iter().map(|receiver| &*receiver.name).collect();
    assert_eq!(names, ["bi", "fraud", "lake"]);
    assert_eq!(
        config.receivers[0].way,
        Way::Sns { topic: "arn:aws:sns:eu-west-1:1:loaded".into(), region: "eu-west-1".into() }
    );
    match &config.receivers[1].way {
        Way::Webhook { url, keys } => assert_eq!((url.expose(), keys.len()), ("https://h/x", 2)),
        other @ (Way::Sns { .. } | Way::PubSub { .. }) => panic!("{other:?}"),
    }
    let shown = format!("{:?}", config.receivers);
    assert!(!shown.contains("MfKQ9r8") && !shown.contains("//h/x"), "{shown}");
}

#[test]
fn the_environment_may_have_the_address_and_the_key() {
    let text = format!("{MAPPING}notify = [\"fraud-2\"]\n[receiver.fraud-2]\n");
    let environment = [
        ("LANDBRIDGE__RECEIVER__FRAUD_2__WEBHOOK", "http://localhost:9/x"),
        ("LANDBRIDGE__RECEIVER__FRAUD_2__KEY", KEY),
    ];
    let config = Place::new(&text).load(&environment).unwrap();
    assert_eq!(config.receivers.len(), 1);
    let errors = Place::new(MAPPING).errors(&environment[..1]);
    assert!(errors.contains("LANDBRIDGE__RECEIVER__FRAUD_2__WEBHOOK: it overrides"), "{errors}");
}

#[test]
fn what_is_wrong_with_a_receiver_is_told_without_its_secrets() {
    let cases = [
        (webhook(""), "receiver.fraud.key: nothing would be signed"),
        (webhook("key = \"hunter2\""), "receiver.fraud.key: it is no key"),
        (webhook("key_file = \"nowhere\""), "receiver.fraud.key_file: nowhere cannot be read"),
        (webhook(&format!("key = \"{KEY}\"\nkey_file = \"x\"")), "receiver.fraud.key: two keys are given"),
        (
            webhook(&format!("key = \"{KEY}\"\nsns = \"arn\"")),
            "receiver.fraud: the receiver has two addresses",
        ),
        (webhook(&format!("key = \"{KEY}\"\nkeyfile = \"x\"")), "did you mean `key_file`?"),
        (
            webhook(&format!("key = \"{KEY}\"")).replace("https://h", "http://h"),
            "receiver.fraud.webhook: the address (not shown) is none",
        ),
        (format!("{MAPPING}[receiver.fraud]\n"), "receiver.fraud: the receiver has no address"),
        (format!("{MAPPING}[receiver.Fraud]\nsns = \"x\"\n"), "\"Fraud\" cannot name a receiver"),
        (format!("{MAPPING}[receiver.bi]\nsns = \"topic\"\n"), "receiver.bi.sns: \"topic\" names no topic"),
        (format!("{MAPPING}[receiver.bi]\npubsub = \"t\"\n"), "receiver.bi.pubsub: \"t\" names no topic"),
        (webhook(&format!("key = \"{KEY}\"")).replace("[\"fraud\"]", "[\"frud\"]"), "did you mean `fraud`?"),
        (format!("{MAPPING}notify = [\"bi\"]\n"), "expected a section `[receiver.bi]`"),
    ];
    for (text, expected) in cases {
        let errors = Place::new(&text).errors(&[]);
        assert!(errors.contains(expected), "{expected}: {errors}");
        assert!(!errors.contains("x0secret") && !errors.contains("hunter2"), "{errors}");
        assert!(!errors.contains(KEY), "{errors}");
    }
    check(&format!("{MAPPING}notify = \"bi\"\n"), &["table.notify: the value is no list of texts"]);
    check(&format!("[notify]\ngive_up_after = \"1s\"\n{MAPPING}"), &["notify.give_up_after"]);
}
